"""Coded bytes → mono blocks: libsndfile where it can, else FFmpeg. Knows nothing of paths.

    file ─ tags before it? ─┬─ Ogg: each link of the chain ─┬─ libsndfile ─┐
                            ├─ wav aiff …: sizes right? ────┤              ├─ samples (S, channels) ─ Downmix ─ mono
                            └─ mp3, MP3 in WAV ─────────────┴─ FFmpeg ─────┘

The content decides, never the file's name. MP3 goes to FFmpeg although libsndfile reads it: mpg123 prints
its worries on stderr, and guesses the length of files without a Xing header.

Rooms: `ogg` finds links, `sizes` mends headers (`riff`, `headers`), `mpeg` reads what an MP3 announces, `libsndfile` and `ffmpeg`
decode, `tracks` opens containers, `timeline` knows where frames lie by their time stamps, `channels` makes one channel of several.
`reading` is what one pass is asked and tells.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any, BinaryIO

import numpy.typing as npt
import soundfile as sf

from openclap.audio import ffmpeg, libsndfile, mpeg, ogg, sizes
from openclap.audio.channels import Downmix, Wave, as_floats, mono, second_of
from openclap.audio.parts import part_of
from openclap.audio.reading import Reading
from openclap.errors import UnreadableSound

__all__ = ["Reading", "Wave", "as_floats", "blocks", "mono", "seconds"]

Samples = npt.NDArray[Any]
TAGGED = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b"OggS", b".snd", b"caff")  # what may stand behind ID3


def blocks(file: BinaryIO, reading: Reading) -> Iterator[tuple[float, Wave]]:
    """Decode a seekable binary file → (rate in Hz, float32 (S,) mono) blocks in bounded memory, from `reading.start` on.

    Raises
    ------
    EmptySound, UnreadableSound
        When not one sample can be decoded, or the track that is wanted is not there.
    """
    mixing: Downmix | None = None
    for rate, samples in _samples(_untagged(file), reading):
        if mixing is None or (mixing.rate, mixing.channels) != (rate, samples.shape[1]):
            if mixing is not None and len(wave := mixing.rest()):
                yield mixing.rate, wave
            mixing = Downmix(rate, samples.shape[1])
        wave = mixing.feed(samples)
        reading.tell_cancelled(mixing.cancelled)
        reading.count(len(samples), rate)
        if len(wave):
            yield rate, wave
    if mixing is not None and len(wave := mixing.rest()):
        reading.tell_cancelled(mixing.cancelled)
        yield mixing.rate, wave
    reading.finish()


def seconds(file: BinaryIO, reading: Reading) -> float | None:
    """How long what `blocks` gives is, without decoding it all; None where that cannot be told."""
    file = _untagged(file)
    if ogg.is_ogg(_head(file)):
        return _seconds_of_links(file, reading)
    container = sizes.examined(file)
    sound = None if _is_for_ffmpeg(container) else libsndfile.open_sound(container.file)
    if sound is None:
        return ffmpeg.seconds_of(container.file, reading)
    with sound:
        reading.chosen(1)
        frames = libsndfile.frames_of(sound)
        return None if frames is None else float(frames / sound.samplerate)


def differs(file: BinaryIO, reading: Reading) -> bool:
    """Whether `blocks` gives other samples than revision 1 did (see `revision`); no more is decoded than tells it.

    Raises
    ------
    EmptySound, UnreadableSound
        As `blocks`.
    """
    with closing(_samples(_untagged(file), reading)) as parts:
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


def _samples_before(file: BinaryIO, reading: Reading) -> int:
    """How many samples FFmpeg finds in a file as it is; -1 where it finds none."""
    try:
        return sum(len(samples) for _, samples in ffmpeg.samples_of(file, Reading(reading.name, quiet=True)))
    except UnreadableSound:
        return -1


def _rest_cancels(mixing: Downmix) -> bool:
    mixing.rest()
    return mixing.cancelled is not None


# -- samples of any file --------------------------------------------------------------------------------


def _samples(file: BinaryIO, reading: Reading) -> Generator[tuple[int, Samples], None, None]:
    """Blocks of (rate, samples (S, channels))."""
    if ogg.is_ogg(_head(file)):
        links = ogg.links_of(file)
        if len(links) > 1:
            yield from _chain(file, links, reading)
        else:
            yield from _link(file, links[0] if links else ogg.Link(0), reading, reading.start)
        return
    container = sizes.examined(file)
    if container.sizes is not None:
        reading.tell(container.sizes)
    reading.cut = container.cut
    sound = None if _is_for_ffmpeg(container) else libsndfile.open_sound(container.file)
    if sound is None:
        reading.changed = container.mpeg or container.sizes is not None
        yield from ffmpeg.samples_of(container.file, reading, start=reading.start)
        return
    with sound:
        if container.sizes is not None:
            reading.changed = sound.frames != _frames_before(file)
        reading.known = True
        yield from _of_sound(sound, reading, reading.start)
        if sound.format == "FLAC":
            _tell_behind(container.file, reading)


def _tell_behind(file: BinaryIO, reading: Reading) -> None:
    """Warn of FLAC files that were put behind the one that was read: where one ends is not known without decoding it."""
    begin = libsndfile.flac_behind(file)
    behind = None if begin is None else libsndfile.open_sound(part_of(file, begin))
    if behind is not None:
        with behind:
            seconds = f" of {behind.frames / behind.samplerate:.2f} s" if behind.frames else ""
            reading.tell(f"another FLAC{seconds} lies behind it in the same file and is left out; make a file of each")


def _of_sound(sound: sf.SoundFile, reading: Reading, start: int) -> Iterator[tuple[int, Samples]]:
    """What libsndfile gives of one sound, from a whole second on where that can be sought."""
    reading.chosen(1)
    rate = sound.samplerate
    exact = second_of(rate, sound.channels) == rate  # seconds are judged as in the whole
    begin = start * rate if exact and libsndfile.sought(sound, start * rate) else 0
    reading.skipped += begin // rate
    for samples in libsndfile.samples_of(sound, reading, begin):
        yield rate, samples


def _is_for_ffmpeg(container: sizes.Container) -> bool:
    return container.mpeg or mpeg.is_like(_head(container.file))


def _frames_before(file: BinaryIO) -> int:
    """Frames that libsndfile finds in a file as it is."""
    sound = libsndfile.open_sound(file)
    if sound is None:
        return -1
    with sound:
        return int(sound.frames)


# -- Ogg ----------------------------------------------------------------------------------------------


def _opened_link(file: BinaryIO, link: ogg.Link, reading: Reading) -> sf.SoundFile | None:
    """A link that libsndfile reads; what lies beside its sound, and lost pages, are for FFmpeg, which knows the time."""
    sound = libsndfile.open_sound(file)
    if sound is not None and (link.mixed or link.holes):
        sound.close()
        reading.changed = True
        return None
    return sound


def _link(file: BinaryIO, link: ogg.Link, reading: Reading, start: int | None) -> Iterator[tuple[int, Samples]]:
    """The sound of one link: of the only one, or, where `start` is None, of one in a chain."""
    reading.cut = reading.cut or not link.ends_well
    sound = _opened_link(file, link, reading)
    if sound is None:
        yield from ffmpeg.samples_of(file, reading, start=start or 0)
        return
    with sound:
        reading.known = start is not None
        yield from _of_sound(sound, reading, start or 0)


def _chain(file: BinaryIO, links: list[ogg.Link], reading: Reading) -> Iterator[tuple[int, Samples]]:
    """The sound of every link, from `reading.start` on where all have one rate; what cannot be decoded is left out and told."""
    reading.changed = _frames_before(file) >= 0
    reading.compared = not reading.changed  # FFmpeg read it, and reads chains of FLAC
    first, begin = _sought_link(file, links, reading) if reading.start else (0, 0)
    left_out: list[str] = []
    for number, link in enumerate(links[first:], first + 1):
        piece = part_of(file, link.start, link.end)
        sound = _opened_link(piece, link, reading) if begin else None
        before, cut = reading.samples, reading.cut
        try:
            if sound is not None:
                with sound:
                    sound.seek(begin)
                    for samples in libsndfile.samples_of(sound, reading, begin):
                        yield sound.samplerate, samples
            else:
                yield from _link(piece, link, reading, None)
        except UnreadableSound:
            failed = True
        else:
            failed = reading.samples == before and not link.ends_well
        if failed:
            left_out.append(str(number))
            reading.cut = cut
        begin = 0
    if not reading.samples and not reading.skipped:  # its pages are damaged; FFmpeg may find something in the whole
        yield from ffmpeg.samples_of(file, reading)
    elif left_out:
        text = f"of the {len(links)} recordings chained in it number {', '.join(left_out[:20])} cannot be decoded"
        reading.tell(f"{text}; the others are used")


def _sought_link(file: BinaryIO, links: list[ogg.Link], reading: Reading) -> tuple[int, int]:
    """The link in which `reading.start` lies, and its frame in it; the very beginning where that cannot be told."""
    before, kind = 0, None
    for number, link in enumerate(links):
        sound = _opened_link(part_of(file, link.start, link.end), link, reading)
        if sound is None:
            break
        with sound:
            kind = kind or (sound.samplerate, sound.channels)
            frame = reading.start * kind[0] - before
            if (sound.samplerate, sound.channels) != kind or second_of(*kind) != kind[0]:
                break
            if frame < sound.frames:
                if not libsndfile.sought(sound, frame):
                    break
                reading.skipped = reading.start
                return number, frame
            before += sound.frames
    return 0, 0


def _seconds_of_links(file: BinaryIO, reading: Reading) -> float | None:
    links = ogg.links_of(file)
    total = 0.0
    for link in links:
        piece = part_of(file, link.start, link.end) if len(links) > 1 else file
        sound = _opened_link(piece, link, reading)
        if sound is None:
            if len(links) > 1:
                return None
            return ffmpeg.seconds_of(piece, reading)
        with sound:
            reading.chosen(1)
            frames = libsndfile.frames_of(sound)
            if frames is None:
                return None
            total += frames / sound.samplerate
    return total


# -- the beginning --------------------------------------------------------------------------------------


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    head = file.read(16)
    file.seek(0)
    return head


def _untagged(file: BinaryIO) -> BinaryIO:
    """The file behind ID3 tags, where what follows them is no MP3."""
    if not _head(file).startswith(b"ID3"):
        return file
    length = mpeg.tag_bytes(file)
    file.seek(length)
    tagged = file.read(4) in TAGGED
    file.seek(0)
    return part_of(file, length) if tagged else file
