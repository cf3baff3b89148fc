"""Coded bytes → mono blocks: libsndfile where it can, else FFmpeg. Knows nothing of paths.

    file ─ tags before it? ─┬─ Ogg: each link of the chain ─┬─ libsndfile ─┐
                            ├─ wav aiff …: sizes right? ────┤              ├─ samples (S, channels) ─ Downmix ─ mono
                            └─ mp3, MP3 in WAV ─────────────┴─ FFmpeg ─────┘

The content decides, never the file's name. MP3 goes to FFmpeg although libsndfile reads it: mpg123 prints
its worries on stderr, and guesses the length of files without a Xing header.

Rooms: `ogg` finds links, `sizes` mends headers (`riff`, `headers`), `mpeg` reads what an MP3 announces, `libsndfile`
and `ffmpeg` decode, `tracks` opens containers, `timeline` knows where frames lie by their time stamps, `channels` makes
one channel of several. `reading` is what one pass is asked and tells.
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

__all__ = ["DecodePass", "Wave", "decode_blocks", "measure_seconds", "to_float32", "to_mono"]

Samples = npt.NDArray[Any]
TAGGED = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b"OggS", b".snd", b"caff")  # what may stand behind ID3


def decode_blocks(file: BinaryIO, reading: DecodePass) -> Iterator[tuple[float, Wave]]:
    """Decode a seekable binary file → (rate in Hz, float32 (S,) mono) blocks in bounded memory, from `reading.start` on.

    Raises
    ------
    EmptySound, UnreadableSound
        When not one sample can be decoded, or the track that is wanted is not there.
    """
    mixing: Downmix | None = None
    for rate, samples in _samples(_strip_tags(file), reading):
        if mixing is None or (mixing.rate, mixing.channels) != (rate, samples.shape[1]):
            if mixing is not None and len(wave := mixing.flush()):
                yield mixing.rate, wave
            mixing = Downmix(rate, samples.shape[1])
        wave = mixing.feed(samples)
        reading.warn_cancelled(mixing.cancelled)
        reading.count(len(samples), rate)
        if len(wave):
            yield rate, wave
    if mixing is not None and len(wave := mixing.flush()):
        reading.warn_cancelled(mixing.cancelled)
        yield mixing.rate, wave
    reading.finish()


def measure_seconds(file: BinaryIO, reading: DecodePass) -> float | None:
    """How long what `decode_blocks` gives is, without decoding it all; None where that cannot be told."""
    file = _strip_tags(file)
    if ogg.is_ogg(_read_head(file)):
        return _seconds_of_links(file, reading)
    container = header_sizes.examine_header(file)
    sound = None if _is_for_ffmpeg(container) else libsndfile.open_sound(container.file)
    if sound is None:
        return ffmpeg.measure_seconds(container.file, reading)
    with sound:
        reading.choose_track(1)
        frames = libsndfile.count_frames(sound)
        return None if frames is None else float(frames / sound.samplerate)


def differs_from_first_revision(file: BinaryIO, reading: DecodePass) -> bool:
    """Whether `decode_blocks` gives other samples than revision 1 did (see `revision`); no more is decoded than tells it.

    Raises
    ------
    EmptySound, UnreadableSound
        As `decode_blocks`.
    """
    with closing(_samples(_strip_tags(file), reading)) as parts:
        mixing: Downmix | None = None
        for rate, samples in parts:
            reading.count(len(samples), rate)
            if reading.changed or (reading.known and samples.shape[1] == 1):
                return reading.changed
            if mixing is None or (mixing.rate, mixing.channels) != (rate, samples.shape[1]):
                reading.changed = mixing is not None and _rest_cancels(mixing)
                mixing = Downmix(rate, samples.shape[1])
            mixing.feed(samples)
            if mixing.cancelled is not None:
                return True
    reading.finish()
    if reading.compared:
        reading.changed = _samples_before(file, reading) != reading.samples
    return reading.changed or (mixing is not None and _rest_cancels(mixing))


def _samples_before(file: BinaryIO, reading: DecodePass) -> int:
    """How many samples FFmpeg finds in a file as it is; -1 where it finds none."""
    try:
        return sum(len(samples) for _, samples in ffmpeg.decode_samples(file, DecodePass(reading.name, quiet=True)))
    except UnreadableSound:
        return -1


def _rest_cancels(mixing: Downmix) -> bool:
    mixing.flush()
    return mixing.cancelled is not None


# -- samples of any file --------------------------------------------------------------------------------


def _samples(file: BinaryIO, reading: DecodePass) -> Generator[tuple[int, Samples], None, None]:
    """Blocks of (rate, samples (S, channels))."""
    if ogg.is_ogg(_read_head(file)):
        links = ogg.find_links(file)
        if len(links) > 1:
            yield from _decode_chain(file, links, reading)
        else:
            yield from _decode_link(file, links[0] if links else ogg.Link(0), reading, reading.start)
        return
    container = header_sizes.examine_header(file)
    if container.sizes is not None:
        reading.warn(container.sizes)
    reading.cut = container.cut
    sound = None if _is_for_ffmpeg(container) else libsndfile.open_sound(container.file)
    if sound is None:
        reading.changed = container.mpeg or container.sizes is not None
        yield from ffmpeg.decode_samples(container.file, reading, start=reading.start)
        return
    with sound:
        if container.sizes is not None:
            reading.changed = sound.frames != _frames_before(file)
        reading.known = True
        yield from _read_libsndfile(sound, reading, reading.start)
        if sound.format == "FLAC":
            _warn_of_trailing_flac(container.file, reading)


def _warn_of_trailing_flac(file: BinaryIO, reading: DecodePass) -> None:
    """Warn of FLAC files that were put behind the one that was read: where one ends is not known without decoding it."""
    begin = libsndfile.find_trailing_flac(file)
    behind = None if begin is None else libsndfile.open_sound(open_slice(file, begin))
    if behind is not None:
        with behind:
            seconds = f" of {behind.frames / behind.samplerate:.2f} s" if behind.frames else ""
            reading.warn(f"another FLAC{seconds} lies behind it in the same file and is left out; make a file of each")


def _read_libsndfile(sound: sf.SoundFile, reading: DecodePass, start: int) -> Iterator[tuple[int, Samples]]:
    """What libsndfile gives of one sound, from a whole second on where that can be sought."""
    reading.choose_track(1)
    rate = sound.samplerate
    exact = block_samples(rate, sound.channels) == rate  # seconds are judged as in the whole
    begin = start * rate if exact and libsndfile.seek_exactly(sound, start * rate) else 0
    reading.skipped += begin // rate
    for samples in libsndfile.decode_samples(sound, reading, begin):
        yield rate, samples


def _is_for_ffmpeg(container: header_sizes.ExaminedFile) -> bool:
    return container.mpeg or mp3_header.looks_like_mpeg(_read_head(container.file))


def _frames_before(file: BinaryIO) -> int:
    """Frames that libsndfile finds in a file as it is."""
    sound = libsndfile.open_sound(file)
    if sound is None:
        return -1
    with sound:
        return int(sound.frames)


# -- Ogg ----------------------------------------------------------------------------------------------


def _open_link(file: BinaryIO, link: ogg.Link, reading: DecodePass) -> sf.SoundFile | None:
    """A link that libsndfile reads; what lies beside its sound, and lost pages, are for FFmpeg, which knows the time."""
    sound = libsndfile.open_sound(file)
    if sound is not None and (link.mixed or link.holes):
        sound.close()
        reading.changed = True
        return None
    return sound


def _decode_link(
    file: BinaryIO, link: ogg.Link, reading: DecodePass, start: int | None
) -> Iterator[tuple[int, Samples]]:
    """The sound of one link: of the only one, or, where `start` is None, of one in a chain."""
    reading.cut = reading.cut or not link.ends_well
    sound = _open_link(file, link, reading)
    if sound is None:
        yield from ffmpeg.decode_samples(file, reading, start=start or 0)
        return
    with sound:
        reading.known = start is not None
        yield from _read_libsndfile(sound, reading, start or 0)


def _decode_chain(file: BinaryIO, links: list[ogg.Link], reading: DecodePass) -> Iterator[tuple[int, Samples]]:
    """The sound of every link, from `reading.start` on where all have one rate; what cannot be decoded is left out and told."""
    reading.changed = _frames_before(file) >= 0
    reading.compared = not reading.changed  # FFmpeg read it, and reads chains of FLAC
    first, begin = _find_link(file, links, reading) if reading.start else (0, 0)
    left_out: list[str] = []
    for number, link in enumerate(links[first:], first + 1):
        piece = open_slice(file, link.start, link.end)
        sound = _open_link(piece, link, reading) if begin else None
        before, cut = reading.samples, reading.cut
        try:
            if sound is not None:
                with sound:
                    sound.seek(begin)
                    for samples in libsndfile.decode_samples(sound, reading, begin):
                        yield sound.samplerate, samples
            else:
                yield from _decode_link(piece, link, reading, None)
        except UnreadableSound:
            failed = True
        else:
            failed = reading.samples == before and not link.ends_well
        if failed:
            left_out.append(str(number))
            reading.cut = cut
        begin = 0
    if not reading.samples and not reading.skipped:  # its pages are damaged; FFmpeg may find something in the whole
        yield from ffmpeg.decode_samples(file, reading)
    elif left_out:
        text = f"of the {len(links)} recordings chained in it number {', '.join(left_out[:20])} cannot be decoded"
        reading.warn(f"{text}; the others are used")


def _find_link(file: BinaryIO, links: list[ogg.Link], reading: DecodePass) -> tuple[int, int]:
    """The link in which `reading.start` lies, and its frame in it; the very beginning where that cannot be told."""
    before, kind = 0, None
    for number, link in enumerate(links):
        sound = _open_link(open_slice(file, link.start, link.end), link, reading)
        if sound is None:
            break
        with sound:
            kind = kind or (sound.samplerate, sound.channels)
            frame = reading.start * kind[0] - before
            if (sound.samplerate, sound.channels) != kind or block_samples(*kind) != kind[0]:
                break
            if frame < sound.frames:
                if not libsndfile.seek_exactly(sound, frame):
                    break
                reading.skipped = reading.start
                return number, frame
            before += sound.frames
    return 0, 0


def _seconds_of_links(file: BinaryIO, reading: DecodePass) -> float | None:
    links = ogg.find_links(file)
    total = 0.0
    for link in links:
        piece = open_slice(file, link.start, link.end) if len(links) > 1 else file
        sound = _open_link(piece, link, reading)
        if sound is None:
            if len(links) > 1:
                return None
            return ffmpeg.measure_seconds(piece, reading)
        with sound:
            reading.choose_track(1)
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
    """The file behind ID3 tags, where what follows them is no MP3."""
    if not _read_head(file).startswith(b"ID3"):
        return file
    length = mp3_header.tag_bytes(file)
    file.seek(length)
    tagged = file.read(4) in TAGGED
    file.seek(0)
    return open_slice(file, length) if tagged else file
