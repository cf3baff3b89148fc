"""The same recording in other clothes, and others that only sound alike."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from models_for_tests import small_clap

from openclap import Library
from openclap.audio.fingerprint import LAG_FRAMES, Fingerprint, Overlaps, fingerprint, landmark_keys, overlap
from openclap.library import duplicates

RATE = 16_000


def recording(seed: int, seconds: float = 4.0) -> np.ndarray:
    """Bursts of filtered noise: something that moves, never the same twice."""
    rng = np.random.default_rng(seed)
    wave = np.zeros(round(seconds * RATE), np.float32)
    for _ in range(round(4 * seconds)):
        start, length = rng.integers(0, len(wave) - 3000), int(rng.integers(1000, 3000))
        tone = np.sin(2 * np.pi * rng.uniform(200, 3000) * np.arange(length) / RATE)
        wave[start : start + length] += (np.hanning(length) * (tone + 0.3 * rng.standard_normal(length))).astype(
            np.float32
        )
    return (0.3 * wave + 0.003 * rng.standard_normal(len(wave))).astype(np.float32)


@pytest.mark.parametrize(
    ("change", "offset"),
    [
        (lambda w: w, 0.0),
        (lambda w: 0.1 * w, 0.0),
        (lambda w: np.concatenate([np.zeros(round(0.7 * RATE), np.float32), w]), -0.7),
        (lambda w: w[round(1.01 * RATE) :], 1.01),
        (lambda w: np.convolve(w, [0.6, 0.4], "same").astype(np.float32), 0.0),
    ],
    ids=["itself", "softer", "later", "cut", "duller"],
)
def test_the_same_recording_is_recognised(change, offset: float) -> None:  # type: ignore[no-untyped-def]
    wave = recording(1)
    lies = overlap(fingerprint((wave, RATE)), fingerprint((change(wave), RATE)))
    assert lies.correlation > 0.75
    assert lies.offset == pytest.approx(offset, abs=0.02)
    assert (
        len(np.intersect1d(landmark_keys(fingerprint((wave, RATE))), landmark_keys(fingerprint((change(wave), RATE)))))
        > 3
    )


def test_other_recordings_are_others() -> None:
    prints = [fingerprint((recording(seed), RATE)) for seed in range(8)]
    assert max(overlap(prints[i], prints[j]).correlation for i in range(8) for j in range(i)) < 0.5


@pytest.mark.parametrize("samples", [1, 50, 128 * LAG_FRAMES, 2000])
def test_short_and_silent_sounds_have_nothing_to_compare(samples: int) -> None:
    silent = fingerprint((np.zeros(samples, np.float32), RATE))
    assert overlap(silent, silent).correlation == 0
    assert len(landmark_keys(silent)) == 0


def test_groups_of_a_library(tokenizer_file: Path, tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    one, two = recording(1), recording(2)
    sf.write(sounds / "a.wav", one, RATE)
    sf.write(sounds / "b.flac", 0.5 * one, RATE)
    sf.write(sounds / "c.ogg", one[RATE // 2 :], RATE)
    shutil.copy(sounds / "a.wav", sounds / "d.wav")
    sf.write(sounds / "e.wav", two, RATE)
    sf.write(sounds / "f.wav", recording(3), RATE)
    sf.write(sounds / "gone.wav", recording(4), RATE)
    library = Library.open(tmp_path / "lib", model=small_clap(tokenizer_file))
    library.add(sounds)
    (sounds / "gone.wav").unlink()
    found = library.duplicates()
    (group,) = found.groups
    assert [Path(copy.path).name for copy in group.files] == ["a.wav", "b.flac", "c.ogg", "d.wav"]
    assert [copy.offset for copy in group.files] == pytest.approx([0, 0, 0.5, 0], abs=0.03)
    assert group.files[3].similarity == 1.0
    assert [Path(failure.path).name for failure in found.failed] == ["gone.wav"]
    assert library.duplicates(within=[sounds / "e.wav", sounds / "f.wav"]).groups == []


def test_the_next_look_listens_to_what_is_new(
    tokenizer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every look for duplicates decoded all files of the library."""
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for name, seed in (("a", 11), ("b", 12), ("c", 13)):
        sf.write(sounds / f"{name}.wav", recording(seed), RATE)
    sf.write(sounds / "d.flac", 0.5 * recording(11), RATE)
    library = Library.open(tmp_path / "lib", model=small_clap(tokenizer_file))
    library.add(sounds)
    first = library.duplicates()
    assert [[Path(copy.path).name for copy in group.files] for group in first.groups] == [["a.wav", "d.flac"]]
    heard: list[str] = []

    def listen(path: str) -> Fingerprint:
        heard.append(Path(path).name)
        return fingerprint(path)

    monkeypatch.setattr(duplicates, "fingerprint", listen)
    assert library.duplicates() == first
    assert heard == []
    sf.write(sounds / "c.wav", recording(11)[RATE:], RATE)  # not indexed again: its hash is that of another sound
    assert [len(group.files) for group in library.duplicates().groups] == [3]
    assert heard == ["c.wav"]


def test_many_pairs_are_compared_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = [
        fingerprint((recording(seed, seconds), RATE)) for seed, seconds in ((1, 2.0), (1, 3.0), (2, 9.0), (3, 1.0))
    ]
    monkeypatch.setattr("openclap.audio.fingerprint.TRANSFORMED_BYTES", 100_000)
    overlaps = Overlaps(prints.__getitem__)
    for a, b in ((0, 1), (0, 2), (1, 2), (2, 3), (0, 1), (2, 0)):
        assert overlaps.of(a, b) == overlap(prints[a], prints[b])
    assert overlaps._bytes <= 300_000
