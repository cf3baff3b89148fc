"""What sound files say of themselves, in every way in which programs write it, hostile ways too."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile as sf

from openclap.audio import file_tags
from openclap.audio.file_tags import FileTags, read_tags

IXML = """<?xml version="1.0" encoding="UTF-8"?><BWFXML><PROJECT>Movie</PROJECT><NOTE>windy &amp; wet</NOTE>
<USER><CATID>AMBForst</CATID><CATEGORY>AMBIENCE</CATEGORY><SUBCATEGORY>FOREST</SUBCATEGORY><FXNAME>Vögel</FXNAME>
<DESIGNER>J. Doe</DESIGNER><KEYWORDS>dawn, birds</KEYWORDS></USER>
<STEINBERG><ATTR_LIST><ATTR><TYPE>string</TYPE><NAME>MusicalKey</NAME><VALUE>Am</VALUE></ATTR></ATTR_LIST></STEINBERG></BWFXML>\0"""


def chunk(name: bytes, content: bytes, order: str = "<") -> bytes:
    return name + struct.pack(f"{order}I", len(content)) + content + bytes(len(content) % 2)


def wav(*after: bytes, before: tuple[bytes, ...] = (), data: bytes = bytes(1600)) -> bytes:
    form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16))
    body = b"WAVE" + form + b"".join(before) + chunk(b"data", data) + b"".join(after)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def info(**tags: bytes) -> bytes:
    return chunk(b"LIST", b"INFO" + b"".join(chunk(name.encode(), value + b"\0") for name, value in tags.items()))


def ixml(text: str) -> bytes:
    return chunk(b"iXML", text.encode())


def bext(description: bytes, originator: bytes = b"") -> bytes:
    return chunk(b"bext", description.ljust(256, b"\0") + originator.ljust(346, b"\0"))


def acid(tempo: float, flags: int = 0) -> bytes:
    return chunk(b"acid", struct.pack("<IHHfIHHf", flags, 60, 0, 0.0, 4, 4, 4, tempo))


def tags(content: bytes) -> FileTags:
    return read_tags(io.BytesIO(content))


def test_chunks_of_wav() -> None:
    """What a librarian wrote (iXML) counts before what a recorder did (bext); FFmpeg gives no iXML."""
    said = wav(
        ixml(IXML), before=(bext(b"A dog in the yard", b"Zoom H5"), info(INAM=b"Dog", IGNR=b"Field"), acid(120.5))
    )
    assert tags(said) == FileTags(
        title="Vögel", artist="J. Doe", album="Movie", genre="Field", comment="windy & wet", description="A dog in the yard", keywords="dawn, birds",
        category="AMBIENCE", subcategory="FOREST", catid="AMBForst", bpm=120.5, key="Am",
    )  # fmt: skip
    assert tags(wav(before=(bext(b"A dog in the yard", b"Zoom H5"),))) == FileTags(
        description="A dog in the yard", artist="Zoom H5"
    )
    assert tags(wav(acid(120.0, flags=1))) == FileTags()  # a one-shot


def test_rf64_and_rifx() -> None:
    plain = wav(info(INAM=b"Dog"), data=bytes(100))
    at = plain.index(b"data")
    ds64 = chunk(b"ds64", struct.pack("<QQQI", len(plain), 100, 50, 0))
    long = b"RF64\xff\xff\xff\xffWAVE" + ds64 + plain[12:at] + b"data\xff\xff\xff\xff" + plain[at + 8 :]
    assert tags(long).title == "Dog"
    inside = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"Dog", ">"), ">")
    assert tags(b"RIFX\0\0\0\0WAVE" + chunk(b"data", bytes(3), ">") + inside).title == "Dog"


@pytest.mark.parametrize("text", ["Björk Günther", "我爱你北京天安门", "Громкий дождь ночью"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "gb18030", "cp1251"])
def test_code_pages(text: str, encoding: str) -> None:
    try:
        content = text.encode(encoding)
    except UnicodeEncodeError:
        return
    if encoding == "gb18030" and not text.startswith("我"):
        return  # nobody writes them so
    assert tags(wav(info(INAM=content))).title == text


@pytest.mark.parametrize(
    ("ending", "codec"), [("mp3", "libmp3lame"), ("m4a", "aac"), ("flac", "flac"), ("aiff", "pcm_s16be")]
)
def test_tags_of_other_files(ending: str, codec: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    said = {
        "title": "Störung", "artist": "我爱你北京天安门".encode("gb18030").decode("latin-1"), "album": "\u202eOne\u0007 two\n three", "genre": "Techno",
        "comment": "x" * 10_000, "BPM": "128 bpm", "initialkey": "Am",
    }  # fmt: skip
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=44_100, layout="mono")
        container.metadata.update(said)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44_100), np.float32), format="fltp", layout="mono")
        frame.rate = 44_100
        resampler = av.AudioResampler(stream.format, "mono", 44_100, frame_size=stream.codec_context.frame_size or 1024)
        for some in (*resampler.resample(frame), *resampler.resample(None), None):
            container.mux(stream.encode(some))
    found = read_tags(path)
    assert found.title == "Störung"
    assert found.comment in ("", "x" * file_tags.MOST_SIGNS)
    if ending != "aiff":
        assert (found.artist, found.album, found.genre) == ("我爱你北京天安门", "One two three", "Techno")
    if ending in ("mp3", "flac"):
        assert (found.bpm, found.key) == (128.0, "Am")


def comments(*tags: bytes) -> bytes:
    return (
        struct.pack("<I", 3)
        + b"ffm"
        + struct.pack("<I", len(tags))
        + b"".join(struct.pack("<I", len(t)) + t for t in tags)
    )


def ogg(packet: bytes) -> bytes:
    return b"OggS\0\x02" + bytes(20) + b"\x01\x1e" + bytes(30) + b"OggS\0\0" + bytes(20) + b"\x01\xff" + packet


def flac(*blocks: tuple[int, bytes]) -> bytes:
    return b"fLaC" + b"".join(bytes([kind]) + len(content).to_bytes(3, "big") + content for kind, content in blocks)


def test_vorbis_comments() -> None:
    said = comments(b"TITLE=Dog = wolf", "artist=Jürgen".encode(), b"bpm=", "Genre=Möhre".encode("cp1252"))
    for content in (
        ogg(b"\x03vorbis" + said),
        ogg(b"OpusTags" + said),
        flac((0, bytes(34)), (6, bytes(9)), (0x84, said)),
    ):
        found = tags(content)
        assert (found.title, found.artist, found.genre, found.bpm) == ("Dog = wolf", "Jürgen", "Möhre", None)


@pytest.mark.parametrize(
    "content",
    [
        ogg(b"\x03vorbis" + comments(b"title=Dog")[:-1]),
        ogg(b"\x03vorbis" + comments(b"no sign")),
        ogg(b"\x03vorbis\xff\xff\xff\xff"),
        ogg(b"\x03vorbis"),
        flac((0, bytes(34))),
        flac((4, b"\xff\xff\xff\x7f" * 9)),
        b"OggS",
        b"fLaC",
        flac((4, struct.pack("<II", 0, 2**32 - 1))),
    ],
)
def test_broken_vorbis_comments_are_none(content: bytes) -> None:
    assert tags(content) == FileTags()


def test_comments_behind_a_picture(tmp_path: Path) -> None:
    """They do not stand in what is read of the file: FFmpeg finds them."""
    path = tmp_path / "a.flac"
    with sf.SoundFile(path, "w", 8000, 1) as file:
        file.title = "Dog"
        file.write(np.zeros(800, np.float32))
    content = path.read_bytes()
    assert content[4] == 0
    streaminfo, rest = content[: 8 + 34], content[8 + 34 :]
    path.write_bytes(streaminfo + b"\x01" + (100_000).to_bytes(3, "big") + bytes(100_000) + rest)
    assert read_tags(path).title == "Dog"


HOSTILE = {
    "an entity": ixml('<!DOCTYPE x [<!ENTITY a "aaa">]><BWFXML><NOTE>&a;</NOTE></BWFXML>'),
    "a file": ixml('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><BWFXML><NOTE>&a;</NOTE></BWFXML>'),
    "many elements": ixml(f"<BWFXML>{'<A>b</A>' * 100_000}<NOTE>late</NOTE></BWFXML>"),
    "deep": ixml("<A>" * 200_000),
    "no XML": ixml("hello"),
    "another encoding": ixml('<?xml version="1.0" encoding="nonsense"?><A><NOTE>x</NOTE></A>'),
    "cut": ixml("<BWFXML><NOTE>")[:-3],
    "a huge size": b"iXML\xf0\xff\xff\xff<A>",
    "a size of nothing": chunk(b"LIST", b"INFO") + chunk(b"LIST", b"INFOINAM\xff\xff\xff\xff") + b"\0" * 9,
    "no number": acid(float("nan")) + acid(float("inf")),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_tags_are_none(what: str) -> None:
    found = tags(wav(HOSTILE[what]))
    assert (found.comment, found.bpm) == ("", None)


def test_what_has_no_tags(tmp_path: Path) -> None:
    nothing = FileTags()
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.mp3").write_text("no sound")
    assert read_tags(tmp_path / "empty.wav") == read_tags(tmp_path / "text.mp3") == nothing
    assert read_tags(tmp_path / "none.wav") == read_tags(tmp_path) == read_tags(str(tmp_path / "n\0.wav")) == nothing
    assert tags(wav()) == tags(wav()[:30]) == tags(b"RIFF\0\0\0\0WAVE") == nothing


def test_values_are_cut_and_cleaned() -> None:
    found = tags(wav(info(INAM=b" a\tb\x01c " + b"x" * 5_000_000, ICMT=b"\xff" * 100)))
    assert found.title.startswith("a b c xxx")
    assert len(found.title) <= file_tags.MOST_SIGNS
    assert tags(wav(info(IBPM=b"9"), info(IKEY=b"rain"))) == FileTags(keywords="rain")
