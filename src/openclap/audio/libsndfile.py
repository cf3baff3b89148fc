"""Files that libsndfile decodes → blocks of samples: wav flac ogg opus aiff caf au w64 and others.

A file that ends early gives what could be decoded. "Early" is judged by

    wav aiff au w64 svx    the data chunk's announced size
    flac                   the announced number of frames

and not at all for nist, voc and caf, which announce nothing. (Ogg is judged by `ogg`.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile as sf

from openclap.audio.channels import block_samples
from openclap.audio.decode_pass import DecodePass
from openclap.audio.header_sizes import STREAMED_BYTES

__all__ = ["count_frames", "decode_samples", "find_trailing_flac", "open_sound", "seek_exactly"]

UNKNOWN_FRAMES = 1 << 62  # libsndfile's count for streams of unknown length is 2**63 - 1
BUFFER_BYTES = 1 << 16
FLAC_HEADS = (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22")  # with the head of the first block, which may be the last one
# Codings in which decoding from any frame gives the samples that decoding from the start gives.
SEEKABLE = {
    "PCM_S8",
    "PCM_U8",
    "PCM_16",
    "PCM_24",
    "PCM_32",
    "FLOAT",
    "DOUBLE",
    "ULAW",
    "ALAW",
    "VORBIS",
    "OPUS",
    "ALAC_16",
    "ALAC_20",
    "ALAC_24",
    "ALAC_32",
}
# Lines in libsndfile's log: the size that a header announces, and the one that was found.
WRONG_SIZES = re.compile(
    r"^\s*(?:data|SSND|BODY|Data Size|riff|Riff size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE
)


def open_sound(file: BinaryIO) -> sf.SoundFile | None:
    """Open a seekable binary file; None where FFmpeg should try."""
    file.seek(0)
    try:
        sound = sf.SoundFile(file)
    except sf.LibsndfileError:
        return None
    if sound.frames >= UNKNOWN_FRAMES:  # for these libsndfile fails at the end and loses the last block
        sound.close()
        return None
    return sound


def decode_samples(sound: sf.SoundFile, decode_pass: DecodePass, start: int = 0) -> Iterator[npt.NDArray[Any]]:
    """Blocks of float32 (S, channels) of a sound that stands at frame `start`; notes in `decode_pass` if it is cut."""
    rate, channels, frames = sound.samplerate, sound.channels, sound.frames
    if any(
        int(actual) < int(announced) < STREAMED_BYTES for announced, actual in WRONG_SIZES.findall(sound.extra_info)
    ):
        decode_pass.truncated = True
    size, second = decode_pass.block_size(rate, channels), block_samples(rate, channels)
    if channels > 1 and size > second:
        size -= size % second
    done = start
    while done < frames:
        wanted = min(size, frames - done)
        # A decoder that fails does not say how much it wrote: NaN marks what it has not written.
        block = np.full((wanted, channels), np.nan, np.float32)
        try:
            got = len(sound.read(wanted, dtype="float32", always_2d=True, out=block))
        except sf.LibsndfileError:
            unwritten = np.isnan(block[:, 0])
            got = int(unwritten.argmax()) if unwritten.any() else wanted
            frames = done + got
            decode_pass.truncated = True
        if got:
            yield block[:got]
        done += got
        if got < wanted:
            decode_pass.truncated = decode_pass.truncated or done < frames
            break


def seek_exactly(sound: sf.SoundFile, frame: int) -> bool:
    """Go to a frame; where that cannot be done exactly, stay at the start and return False."""
    if sound.subtype not in SEEKABLE or not 0 < frame < sound.frames or sound.format == "SD2":
        return False
    try:
        sound.seek(frame)
    except sf.LibsndfileError:
        sound.seek(0)
        return False
    return True


def find_trailing_flac(file: BinaryIO) -> int | None:
    """The byte at which another FLAC begins behind the one that was just read to its end, or None.

    libsndfile stops where the first header says; the decoder has read at most one buffer beyond.
    """
    at, kept = max(1, file.tell() - BUFFER_BYTES), b""
    file.seek(at)
    while data := file.read(BUFFER_BYTES):
        actual = [place for head in FLAC_HEADS if (place := (kept + data).find(head)) >= 0]
        if actual:
            return at - len(kept) + min(actual)
        at, kept = at + len(data), data[-7:]
    return None


def count_frames(sound: sf.SoundFile) -> int | None:
    """How many frames a sound will give, without decoding it; None where its header cannot be relied on."""
    if sound.frames and sound.format == "FLAC":  # the header says how many there were before the file was cut
        try:
            sound.seek(sound.frames - 1)
            if len(sound.read(1, dtype="float32")) != 1:
                return None
        except sf.LibsndfileError:
            return None
    elif sound.subtype not in SEEKABLE:
        return None
    return int(sound.frames)
