"""Which files are read differently than before: those, and no others."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from muxed_for_tests import Track, muxed, noise
from test_mpeg import mp3
from test_ogg import link, pages
from test_sizes import PCM, chunk, wav

from openclap.audio.decode_revision import DECODE_REVISION, is_read_differently
from openclap.errors import SoundError, SoundNotFound, SoundWarning

RATE = 48_000


def stereo(kind: str, right: float) -> bytes:
    file, wave = io.BytesIO(), noise(1.5)
    sf.write(file, np.stack([wave, right * wave], axis=1), RATE, format=kind)
    return file.getvalue()


def lost_page() -> bytes:
    data = link(6.0, 1)
    begin, end = pages(data)[len(pages(data)) // 2]
    return data[:begin] + data[end:]


CONCERNED: dict[str, Callable[[], bytes]] = {
    "chain": lambda: link(0.5, 1) + link(0.5, 2),
    "lost page": lost_page,
    "size 0": lambda: wav(PCM, data=0),
    "size too small": lambda: wav(PCM, data=1000, riff=0),
    "opposite phase": lambda: stereo("WAV", -1.0),
    "opposite phase, FLAC": lambda: stereo("FLAC", -1.0),
    "late": lambda: muxed("mp4", [Track(noise(1.0), lambda second: second + 2.0)], codec="aac"),
    "gap": lambda: muxed("matroska", [Track(noise(1.0), lambda second: second + (second > 0.5))]),
    "other track": lambda: muxed(
        "matroska", [Track(noise(1.0), default=False, codec="libopus"), Track(noise(1.0), default=False)]
    ),  # it was the one of the higher bit rate
    "MP3 in WAV": lambda: mp3(container="wav"),
}
SAME: dict[str, Callable[[], bytes]] = {
    "wav": lambda: wav(PCM),
    "LIST behind": lambda: wav(PCM, after=chunk(b"LIST", 40)),
    "streamed": lambda: wav(PCM, data=0xFFFFFFFF, riff=0xFFFFFFFF),
    "cut wav": lambda: wav(PCM)[:9000],
    "riff size wrong": lambda: wav(PCM, riff=0),
    "stereo": lambda: stereo("WAV", 0.5),
    "stereo FLAC": lambda: stereo("FLAC", 1.0),
    "ogg": lambda: link(0.5, 1),
    "opus": lambda: link(0.5, 1, codec="OPUS", channels=2),
    "mp3": mp3,
    "mp3 without Xing": lambda: mp3(xing=False),
    "default track": lambda: muxed("matroska", [Track(noise(1.0), default=False), Track(noise(1.0), default=True)]),
    "m4a": lambda: muxed("mp4", [Track(noise(1.0))], codec="aac"),
    "webm": lambda: muxed("webm", [Track(noise(1.0))], codec="libopus"),
    "jitter": lambda: muxed("matroska", [Track(noise(1.0), lambda second: second + 0.01 * (second > 0.5))]),
}


@pytest.mark.parametrize("kind", [*CONCERNED, *SAME])
def test_what_is_read_differently_and_what_is_not(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "sound"
    path.write_bytes({**CONCERNED, **SAME}[kind]())
    with warnings.catch_warnings():
        warnings.simplefilter("error", SoundWarning)  # it is told when the file is read, not here
        assert is_read_differently(path, 1) is (kind in CONCERNED)
    assert is_read_differently(path, DECODE_REVISION) is False


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SoundNotFound):
        is_read_differently(tmp_path / "no.wav", 1)
    (tmp_path / "text.wav").write_text("no sound at all\n" * 50)
    with pytest.raises(SoundError):
        is_read_differently(tmp_path / "text.wav", 1)
    (tmp_path / "empty.wav").write_bytes(wav(b""))
    with pytest.raises(SoundError):
        is_read_differently(tmp_path / "empty.wav", 1)
