"""Files that were put one behind another with `cat`: all is heard, or what is not is told."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from muxed_for_tests import Track, muxed, noise

from openclap.audio.load import load
from openclap.errors import SoundWarning

RATE = 44_100


def id3(picture: bytes) -> bytes:
    size = len(picture)
    return b"ID3\3\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + picture


@pytest.mark.parametrize(
    "tag",
    [
        id3(bytes(200)),
        id3(np.random.default_rng(0).bytes(60_000)),  # a cover: what looks like frames is in it
        b"APETAGEX" + bytes(400) + b"TAG" + b"a" * 125,
    ],
    ids=["short", "cover", "ape"],
)
def test_a_tag_between_two_mp3_is_no_damage(tag: bytes) -> None:
    mp3 = muxed("mp3", [Track(noise(1.0, RATE), rate=RATE)], codec="libmp3lame")
    with warnings.catch_warnings():
        warnings.simplefilter("error", SoundWarning)
        assert len(load(mp3 + tag + mp3, RATE)) == pytest.approx(2 * RATE, abs=5000)


def test_a_hole_in_an_mp3_is_told() -> None:
    mp3 = muxed("mp3", [Track(noise(2.0, RATE), rate=RATE)], codec="libmp3lame")
    with pytest.warns(SoundWarning, match="cut short or damaged"):
        load(mp3[: len(mp3) // 2] + bytes(3000) + mp3[len(mp3) // 2 :], RATE)


@pytest.mark.parametrize("seconds", [0.05, 3.0])
def test_a_flac_behind_a_flac_is_told(seconds: float, tmp_path: Path) -> None:
    pieces = []
    for wave in (noise(seconds, RATE), noise(2.0, RATE)):
        file = io.BytesIO()
        sf.write(file, wave, RATE, format="FLAC")
        pieces.append(file.getvalue())
    with warnings.catch_warnings():
        warnings.simplefilter("error", SoundWarning)
        alone = load(pieces[0], RATE)
    path = tmp_path / "two.flac"
    path.write_bytes(b"".join(pieces))
    with pytest.warns(SoundWarning, match=r"another FLAC of 2\.00 s lies behind it"):
        assert np.array_equal(load(path, RATE), alone)
