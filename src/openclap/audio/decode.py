"""An open sound file → blocks of mono samples: libsndfile decodes what it can, FFmpeg the rest.

    file ─ tags before it? ─┬─ Ogg: each link of the chain ─┬─ libsndfile ─┐
                            ├─ wav aiff …: sizes right? ────┤              ├─ samples (S, channels) ─ Downmix ─ mono
                            └─ mp3, MP3 in WAV ─────────────┴─ FFmpeg ─────┘

The content of a file decides, never its name. MP3 goes to FFmpeg although libsndfile reads it: its mpg123 prints
warnings on stderr, and guesses the length of files without a Xing header.

`ogg` finds links, `header_sizes` repairs headers (`riff`, `headers`), `mp3_header` reads the length that an MP3
announces, `libsndfile` and `ffmpeg` decode, `tracks` opens containers, `timestamps` places frames by their time stamps,
`channels` mixes several channels into one. A `DecodePass` carries the wishes and the findings of one pass.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any, BinaryIO

import numpy.typing as npt
import soundfile as sf

from openclap.audio import ffmpeg, header_sizes, libsndfile, mp3_header, ogg
from openclap.audio.channels import Downmix, Wave, block_samples, to_float32, to_mono
from openclap.audio.decode_pass import DecodePass
from openclap.audio.file_slice import open_slice
from openclap.errors import UnreadableSound

__all__ = ["DecodePass", "Wave", "decode_blocks", "decode_samples", "measure_seconds", "to_float32", "to_mono"]

Samples = npt.NDArray[Any]
MAY_FOLLOW_TAGS = (
    b"RIFF",
    b"RIFX",
    b"RF64",
    b"BW64",
    b"riff",
    b"FORM",
    b"OggS",
    b".snd",
    b"caff",
)  # formats that may follow an ID3 tag


def decode_blocks(file: BinaryIO, decode_pass: DecodePass) -> Iterator[tuple[float, Wave]]:
    """Decode a seekable binary file in bounded memory → (rate in Hz, float32 (S,) mono), from `decode_pass.start` on.

    Raises
    ------
    EmptySound, UnreadableSound
        Not one sample can be decoded, or the wanted track is not there.
    """
    mixing: Downmix | None = None
    for rate, samples in _samples(_strip_tags(file), decode_pass):
        if mixing is None or (mixing.rate, mixing.channels) != (rate, samples.shape[1]):
            if mixing is not None and len(wave := mixing.flush()):
                yield mixing.rate, wave
            mixing = Downmix(rate, samples.shape[1])
        wave = mixing.feed(samples)
        decode_pass.warn_cancelled(mixing.cancelled)
        decode_pass.count(len(samples), rate)
        if len(wave):
            yield rate, wave
    if mixing is not None and len(wave := mixing.flush()):
        decode_pass.warn_cancelled(mixing.cancelled)
        yield mixing.rate, wave
    decode_pass.finish()


def decode_samples(file: BinaryIO, decode_pass: DecodePass) -> Generator[tuple[int, Samples], None, None]:
    """Decode a seekable binary file with all of its channels → (rate in Hz, samples (S, channels) of any type), from `decode_pass.start` on.

    Raises
    ------
    UnreadableSound
        It cannot be decoded, or the wanted track is not there.
    """
    yield from _samples(_strip_tags(file), decode_pass)


def measure_seconds(file: BinaryIO, decode_pass: DecodePass) -> float | None:
    """The length in seconds of what `decode_blocks` gives, without decoding it all; None where that is not possible."""
    file = _strip_tags(file)
    if ogg.is_ogg(_read_head(file)):
        return _seconds_of_links(file, decode_pass)
    container = header_sizes.examine_header(file)
    sound = None if _is_for_ffmpeg(container) else libsndfile.open_sound(container.file)
    if sound is None:
        return ffmpeg.measure_seconds(container.file, decode_pass)
    with sound:
        decode_pass.choose_track(1)
        frames = libsndfile.count_frames(sound)
        return None if frames is None else float(frames / sound.samplerate)


def differs_from_first_revision(file: BinaryIO, decode_pass: DecodePass) -> bool:
    """Whether `decode_blocks` gives other samples than revision 1 did (see `decode_revision`).

    Decoding stops as soon as that is known.

    Raises
    ------
    EmptySound, UnreadableSound
        As `decode_blocks`.
    """
    with closing(_samples(_strip_tags(file), decode_pass)) as parts:
        mixing: Downmix | None = None
        for rate, samples in parts:
            decode_pass.count(len(samples), rate)
            if decode_pass.changed or (decode_pass.change_is_certain and samples.shape[1] == 1):
                return decode_pass.changed
            if mixing is None or (mixing.rate, mixing.channels) != (rate, samples.shape[1]):
                decode_pass.changed = mixing is not None and _rest_is_cancelling(mixing)
                mixing = Downmix(rate, samples.shape[1])
            mixing.feed(samples)
            if mixing.cancelled is not None:
                return True
    decode_pass.finish()
    if decode_pass.must_compare:
        decode_pass.changed = _count_ffmpeg_samples(file, decode_pass) != decode_pass.samples
    return decode_pass.changed or (mixing is not None and _rest_is_cancelling(mixing))


def _count_ffmpeg_samples(file: BinaryIO, decode_pass: DecodePass) -> int:
    """How many samples FFmpeg finds in the unchanged file; -1 where it cannot read it."""
    try:
        return sum(len(samples) for _, samples in ffmpeg.decode_samples(file, DecodePass(decode_pass.name, quiet=True)))
    except UnreadableSound:
        return -1


def _rest_is_cancelling(mixing: Downmix) -> bool:
    """Whether channels cancel each other out, also in the last, incomplete second."""
    mixing.flush()
    return mixing.cancelled is not None


# -- samples of any file --------------------------------------------------------------------------------


def _samples(file: BinaryIO, decode_pass: DecodePass) -> Generator[tuple[int, Samples], None, None]:
    """Blocks of (rate, samples (S, channels)) of a file of any format."""
    if ogg.is_ogg(_read_head(file)):
        links = ogg.find_links(file)
        if len(links) > 1:
            yield from _decode_chain(file, links, decode_pass)
        else:
            yield from _decode_link(file, links[0] if links else ogg.Link(0), decode_pass, decode_pass.start)
        return
    container = header_sizes.examine_header(file)
    if container.wrong_sizes is not None:
        decode_pass.warn(container.wrong_sizes)
    decode_pass.truncated = container.truncated
    sound = None if _is_for_ffmpeg(container) else libsndfile.open_sound(container.file)
    if sound is None:
        decode_pass.changed = container.holds_mp3 or container.wrong_sizes is not None
        yield from ffmpeg.decode_samples(container.file, decode_pass, start=decode_pass.start)
        return
    with sound:
        if container.wrong_sizes is not None:
            decode_pass.changed = sound.frames != _count_libsndfile_frames(file)
        decode_pass.change_is_certain = True
        yield from _read_libsndfile(sound, decode_pass, decode_pass.start)
        if sound.format == "FLAC":
            _warn_of_trailing_flac(container.file, decode_pass)


def _warn_of_trailing_flac(file: BinaryIO, decode_pass: DecodePass) -> None:
    """Warn of FLAC files that follow in the same file: only decoding the first one shows where it ends."""
    begin = libsndfile.find_trailing_flac(file)
    behind = None if begin is None else libsndfile.open_sound(open_slice(file, begin))
    if behind is not None:
        with behind:
            seconds = f" of {behind.frames / behind.samplerate:.2f} s" if behind.frames else ""
            decode_pass.warn(
                f"another FLAC{seconds} lies behind it in the same file and is left out; make a file of each"
            )


def _read_libsndfile(sound: sf.SoundFile, decode_pass: DecodePass, start: int) -> Iterator[tuple[int, Samples]]:
    """Decode one sound with libsndfile, from a whole second on where it can seek there."""
    decode_pass.choose_track(1)
    rate = sound.samplerate
    whole_seconds = (
        block_samples(rate, sound.channels) == rate
    )  # else the downmix would judge other parts than in the whole
    begin = start * rate if whole_seconds and libsndfile.seek_exactly(sound, start * rate) else 0
    decode_pass.skipped += begin // rate
    for samples in libsndfile.decode_samples(sound, decode_pass, begin):
        yield rate, samples


def _is_for_ffmpeg(container: header_sizes.ExaminedFile) -> bool:
    """Whether a file holds MP3."""
    return container.holds_mp3 or mp3_header.looks_like_mpeg(_read_head(container.file))


def _count_libsndfile_frames(file: BinaryIO) -> int:
    """How many frames libsndfile finds in the unchanged file; -1 where it cannot read it."""
    sound = libsndfile.open_sound(file)
    if sound is None:
        return -1
    with sound:
        return int(sound.frames)


# -- Ogg ----------------------------------------------------------------------------------------------


def _open_link(file: BinaryIO, link: ogg.Link, decode_pass: DecodePass) -> sf.SoundFile | None:
    """Open a link with libsndfile; None for links that FFmpeg must read.

    Those are links with other streams or lost pages, which only FFmpeg places in time, and what libsndfile cannot read.
    """
    sound = libsndfile.open_sound(file)
    if sound is not None and (link.has_other_streams or link.lost_pages):
        sound.close()
        decode_pass.changed = True
        return None
    return sound


def _decode_link(
    file: BinaryIO, link: ogg.Link, decode_pass: DecodePass, start: int | None
) -> Iterator[tuple[int, Samples]]:
    """Decode one link: the only one of a file, or, where `start` is None, one of a chain."""
    decode_pass.truncated = decode_pass.truncated or not link.ends_well
    sound = _open_link(file, link, decode_pass)
    if sound is None:
        yield from ffmpeg.decode_samples(file, decode_pass, start=start or 0)
        return
    with sound:
        decode_pass.change_is_certain = start is not None
        yield from _read_libsndfile(sound, decode_pass, start or 0)


def _decode_chain(file: BinaryIO, links: list[ogg.Link], decode_pass: DecodePass) -> Iterator[tuple[int, Samples]]:
    """Decode every link, from `decode_pass.start` on where all have one rate; warn of links that cannot be decoded."""
    decode_pass.changed = _count_libsndfile_frames(file) >= 0
    decode_pass.must_compare = not decode_pass.changed  # revision 1 gave it to FFmpeg, which reads chains of FLAC
    first, begin = _find_link(file, links, decode_pass) if decode_pass.start else (0, 0)
    skipped_links: list[str] = []
    for number, link in enumerate(links[first:], first + 1):
        piece = open_slice(file, link.start, link.end)
        sound = _open_link(piece, link, decode_pass) if begin else None
        before, cut = decode_pass.samples, decode_pass.truncated
        try:
            if sound is not None:
                with sound:
                    sound.seek(begin)
                    for samples in libsndfile.decode_samples(sound, decode_pass, begin):
                        yield sound.samplerate, samples
            else:
                yield from _decode_link(piece, link, decode_pass, None)
        except UnreadableSound:
            failed = True
        else:
            failed = decode_pass.samples == before and not link.ends_well
        if failed:
            skipped_links.append(str(number))
            decode_pass.truncated = cut
        begin = 0
    if (
        not decode_pass.samples and not decode_pass.skipped
    ):  # its pages are damaged: FFmpeg may find something in the file
        yield from ffmpeg.decode_samples(file, decode_pass)
    elif skipped_links:
        text = f"of the {len(links)} recordings chained in it number {', '.join(skipped_links[:20])} cannot be decoded"
        decode_pass.warn(f"{text}; the others are used")


def _find_link(file: BinaryIO, links: list[ogg.Link], decode_pass: DecodePass) -> tuple[int, int]:
    """(index of the link, frame in it) of `decode_pass.start`; (0, 0) where that cannot be found."""
    before, kind = 0, None
    for number, link in enumerate(links):
        sound = _open_link(open_slice(file, link.start, link.end), link, decode_pass)
        if sound is None:
            break
        with sound:
            kind = kind or (sound.samplerate, sound.channels)
            frame = decode_pass.start * kind[0] - before
            if (sound.samplerate, sound.channels) != kind or block_samples(*kind) != kind[0]:
                break
            if frame < sound.frames:
                if not libsndfile.seek_exactly(sound, frame):
                    break
                decode_pass.skipped = decode_pass.start
                return number, frame
            before += sound.frames
    return 0, 0


def _seconds_of_links(file: BinaryIO, decode_pass: DecodePass) -> float | None:
    """The length of all links of an Ogg file in seconds; None where it is not known without decoding."""
    links = ogg.find_links(file)
    total = 0.0
    for link in links:
        piece = open_slice(file, link.start, link.end) if len(links) > 1 else file
        sound = _open_link(piece, link, decode_pass)
        if sound is None:
            if len(links) > 1:
                return None
            return ffmpeg.measure_seconds(piece, decode_pass)
        with sound:
            decode_pass.choose_track(1)
            frames = libsndfile.count_frames(sound)
            if frames is None:
                return None
            total += frames / sound.samplerate
    return total


# -- the beginning --------------------------------------------------------------------------------------


def _read_head(file: BinaryIO) -> bytes:
    file.seek(0)
    head = file.read(16)
    file.seek(0)
    return head


def _strip_tags(file: BinaryIO) -> BinaryIO:
    """The part of a file that follows its ID3 tags, where that is no MP3; else the file itself."""
    if not _read_head(file).startswith(b"ID3"):
        return file
    length = mp3_header.tag_bytes(file)
    file.seek(length)
    tagged = file.read(4) in MAY_FOLLOW_TAGS
    file.seek(0)
    return open_slice(file, length) if tagged else file
