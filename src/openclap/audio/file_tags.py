"""A sound file → what it says of itself: title, artist, description, tempo and the like. Decodes nothing.

    WAV, BWF, RF64    its chunks: LIST INFO, bext, iXML (Soundminer, BaseHead, field recorders), acid (loops)
    FLAC, Ogg         Vorbis comments, where they stand whole in the first 64 KiB
    all others        FFmpeg's tags (PyAV): ID3, MP4, AIFF, Matroska; that takes ten times as long

Tags may come from anybody: each value is cut, and XML that declares anything of its own is not read.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, BinaryIO
from xml.parsers import expat

from openclap.audio.files import open_binary
from openclap.errors import SoundError
from openclap.file_facts import normalize_key
from openclap.textfiles import guess_code_page

__all__ = ["FileTags", "read_tags"]

MOST_SIGNS = 2_000  # of a value; the rest is cut
MOST_BYTES = 1 << 20  # of a chunk
MOST_CHUNKS = 256
HEAD_BYTES = 1 << 16
VORBIS_COMMENT = 4  # the type of a block of FLAC
MOST_ELEMENTS = 5_000  # of iXML
QUICK = {"probesize": "32768", "analyzeduration": "0"}  # tags stand in headers; nothing need be known of the sound
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\ufeff\ufffd]+")
BPM = re.compile(r"\s*(\d{2,3}(?:[.,]\d+)?)\b")

# names of tags without case, spaces, `_` and `-`, the first that says something counts → fields of FileTags
NAMES = {
    "title": ("fxname", "title", "inam", "name", "mediatracktitle"),
    "artist": (
        "artist",
        "iart",
        "author",
        "performer",
        "albumartist",
        "designer",
        "creatorid",
        "originator",
        "composer",
    ),
    "album": ("album", "iprd", "library", "medialibrary", "project"),
    "genre": ("genre", "ignr", "musicalstyle"),
    "comment": ("comment", "comments", "icmt", "note", "notes", "mediacomment"),
    "description": ("description", "isbj", "synopsis", "bwfdescription", "subject", "trackdescription"),
    "keywords": ("keywords", "ikey", "keyword", "tags", "grouping", "musicalinstrument"),
    "category": ("category", "musicalcategory"),
    "subcategory": ("subcategory", "musicalsubcategory"),
    "catid": ("catid",),
    "bpm": ("bpm", "tbpm", "tmpo", "tempo", "ibpm"),
    "key": ("initialkey", "tkey", "key", "songkey", "musicalkey"),
}


@dataclass(frozen=True)
class FileTags:
    """What a file says of itself; a field that it does not tell is empty, or None.

    Attributes
    ----------
    category, subcategory, catid : str
        Of the Universal Category System: "AMBIENCE", "FOREST" and "AMBForst".
    bpm : float
        Beats in a minute.
    key : str
        A musical key, as it is written there.
    """

    title: str = ""
    artist: str = ""
    album: str = ""
    genre: str = ""
    comment: str = ""
    description: str = ""
    keywords: str = ""
    category: str = ""
    subcategory: str = ""
    catid: str = ""
    bpm: float | None = None
    key: str | None = None


def read_tags(sound: str | os.PathLike[str] | BinaryIO) -> FileTags:
    """Read the tags of a file; of one that has none, or cannot be read, all fields are empty."""
    try:
        with open_binary(sound, str(sound)) as file:
            return _choose(_read_pairs(file))
    except (SoundError, OSError):
        return FileTags()


def _read_pairs(file: BinaryIO) -> list[tuple[str, str]]:
    """All names and values, those that count first."""
    head = file.read(12)
    if head[:4] in (b"OggS", b"fLaC"):
        found = _vorbis_pairs(head + file.read(HEAD_BYTES))
        return _ffmpeg_pairs(file) if found is None else found
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64", b"BW64") or head[8:] != b"WAVE":
        return _ffmpeg_pairs(file)
    pairs: list[tuple[str, str]] = []
    names = set()
    for name, content in _chunks(file, ">" if head[:4] == b"RIFX" else "<"):
        names.add(name)
        if name == b"iXML":
            pairs = [*_ixml_pairs(content), *pairs]  # what a librarian wrote counts before what a recorder did
        elif name == b"bext":
            pairs += [("description", _decode(content[:256])), ("originator", _decode(content[256:288]))]
        elif name == b"LIST" and content[:4] == b"INFO":
            pairs += _info_pairs(content[4:], ">" if head[:4] == b"RIFX" else "<")
        elif name == b"acid" and len(content) >= 24 and not content[0] & 1:  # a one-shot has no tempo
            pairs.append(("bpm", f"{struct.unpack_from('<f', content, 20)[0]:.2f}"))
    return [*pairs, *(_ffmpeg_pairs(file) if b"id3 " in names or b"ID3 " in names else ())]


def _choose(pairs: Iterable[tuple[str, str]]) -> FileTags:
    said: dict[str, str] = {}
    for name, value in pairs:
        text = " ".join(CONTROLS.sub(" ", value[:MOST_SIGNS]).split())
        if text:
            said.setdefault(re.sub(r"[\s_-]+", "", name.lower()), text)
    found: dict[str, Any] = {
        field.name: next((said[name] for name in NAMES[field.name] if name in said), "") for field in fields(FileTags)
    }
    tempo = BPM.match(found["bpm"])
    found["bpm"] = float(tempo[1].replace(",", ".")) if tempo else None
    found["key"] = found["key"] if normalize_key(found["key"]) else None
    return FileTags(**found)


# -- FLAC and Ogg ------------------------------------------------------------------------------------


def _vorbis_pairs(head: bytes) -> list[tuple[str, str]] | None:
    """The Vorbis comments of FLAC, Vorbis or Opus; None where they are not whole in the beginning of the file."""
    at = _start_of_comments(head)
    if at is None:
        return None
    pairs = []
    try:
        at += 4 + struct.unpack_from("<I", head, at)[0]  # the name of the encoder
        for _ in range(struct.unpack_from("<I", head, at)[0]):
            at += 4
            size = struct.unpack_from("<I", head, at)[0]
            name, equals, value = head[at + 4 : at + 4 + size].partition(b"=")
            at += size
            if not equals or at + 4 > len(head):
                return None
            pairs.append((name.decode("latin-1"), _repair(_decode(value))))
    except struct.error:
        return None
    return pairs


def _start_of_comments(head: bytes) -> int | None:
    if head.startswith(b"OggS"):
        return next((head.find(mark) + len(mark) for mark in (b"\x03vorbis", b"OpusTags") if mark in head), None)
    at = 4
    while at + 4 < len(head) and head[at] & 0x7F != VORBIS_COMMENT:
        at += 4 + int.from_bytes(head[at + 1 : at + 4], "big")
    return at + 4 if at + 4 < len(head) else None


# -- FFmpeg ------------------------------------------------------------------------------------------


def _ffmpeg_pairs(file: BinaryIO) -> list[tuple[str, str]]:
    import av

    file.seek(0)
    try:  # no protocol is allowed: what is read is this open file and nothing it points to
        options = {"protocol_whitelist": "", **QUICK}
        with av.open(file, metadata_errors="replace", container_options=options) as container:
            sounds: list[Mapping[str, str]] = [stream.metadata for stream in container.streams.audio[:1]]
            return [(name, _repair(value)) for tags in (container.metadata, *sounds) for name, value in tags.items()]
    except (av.FFmpegError, OSError, ValueError, IndexError):
        return []


def _repair(text: str) -> str:
    """A text that was read as Latin-1, although it is in UTF-8 or a code page of Windows, as it was meant."""
    text = text[:MOST_SIGNS]
    if text.isascii() or any(ord(sign) > 0xFF for sign in text):
        return text
    return _decode(text.encode("latin-1"))


def _decode(text: bytes) -> str:
    """Bytes up to the first zero as a text, in UTF-8 or else in the code page that is most likely."""
    text = text.partition(b"\0")[0][: 4 * MOST_SIGNS]
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        if error.end == len(text) and error.reason.startswith("unexpected end"):  # cut within a letter
            return text[: error.start].decode()
    return text.decode(guess_code_page(text), errors="replace")


# -- WAV ---------------------------------------------------------------------------------------------


def _chunks(file: BinaryIO, order: str) -> Iterator[tuple[bytes, bytes]]:
    """The names of a WAV's chunks, and of those that hold tags the content, in the file's order."""
    long = here = 12
    for _ in range(MOST_CHUNKS):
        file.seek(here)
        head = file.read(8)
        if len(head) < 8:
            return
        name, size = head[:4], struct.unpack(f"{order}I", head[4:])[0]
        content = file.read(min(size, MOST_BYTES)) if name in (b"iXML", b"bext", b"LIST", b"acid", b"ds64") else b""
        if name == b"ds64" and len(content) >= 16:
            long = struct.unpack_from("<Q", content, 8)[0]
        yield name, content
        size = long if name == b"data" and size == 0xFFFF_FFFF else size
        here += 8 + size + size % 2


def _info_pairs(content: bytes, order: str) -> Iterator[tuple[str, str]]:
    here = 0
    while here + 8 <= len(content):
        size = struct.unpack_from(f"{order}I", content, here + 4)[0]
        yield content[here : here + 4].decode("latin-1"), _decode(content[here + 8 : here + 8 + size])
        here += 8 + size + size % 2


class _Refused(Exception):
    """XML that declares something of its own, or holds too much."""


def _ixml_pairs(content: bytes) -> list[tuple[str, str]]:
    """The texts of iXML's elements by name, as far as it can be read; Steinberg's attributes by theirs."""
    pairs: list[tuple[str, str]] = []
    texts: list[str] = []
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise _Refused

    def start(*_: object) -> None:
        texts.clear()
        if len(pairs) > MOST_ELEMENTS:
            raise _Refused

    def end(name: str) -> None:
        value = "".join(texts)
        if name == "VALUE" and pairs and pairs[-1][0] == "NAME":
            name = pairs.pop()[1]
        pairs.append((name, value))
        texts.clear()

    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, texts.append
    with suppress(expat.ExpatError, _Refused, ValueError, LookupError):
        parser.Parse(content.strip(b"\0 \r\n\t"), True)
    return pairs
