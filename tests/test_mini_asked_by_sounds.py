"""How mini's confidence by sounds is fitted: which recordings are right for which, and what a copy is."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "runs" / "mini"))

import asking
import confidence as fitting
from gather import RATE
from sheet import DevSound

WAVE = np.zeros(10, np.float32)
NAMES = ("rain", "rain", "rain", "violin", "a man speaking", "a woman speaking", "access denied", "zipper")


def test_what_is_neither_right_nor_wrong_is_not_asked() -> None:
    """A woman speaking, and a voice that says "access denied", counted as wrong for a man speaking."""
    sounds = [DevSound("concept", "things", str(i), name, WAVE) for i, name in enumerate(NAMES)]
    sounds.append(DevSound("mixture 0 dB", "things", "m", "rain", WAVE))
    found = list(asking.cases_by_sounds(sounds))
    assert {case.question for case in found} == set(range(len(NAMES))), "no mixture asks"
    for case in found:
        assert case.question not in case.collection
        assert len(sounds) - 1 not in case.collection
        names = [sounds[i].asked for i in case.collection]
        assert case.there == bool(case.answers.any())
        assert all(
            (name == sounds[case.question].asked) == right for name, right in zip(names, case.answers, strict=True)
        )
    man = [case for case in found if case.question == 4]
    assert {sounds[i].asked for case in man for i in case.collection} == {"rain", "violin", "zipper"}
    assert not any(case.there for case in man), "there is one man"
    assert {case.there for case in found if case.question == 0} == {True, False}


def test_copies_are_the_same_recording() -> None:
    wave = np.random.default_rng(1).uniform(-0.3, 0.3, RATE).astype(np.float32)
    copies = fitting.copies_of(wave)
    assert len(copies["it without its first fifth"]) == len(wave) - len(wave) // 5
    assert abs(np.corrcoef(copies["it as MP3"][: len(wave)], wave[: len(copies["it as MP3"])])[0, 1]) > 0.5
    noise = copies["it with noise 30 dB below"] - wave
    assert np.isclose(20 * np.log10(np.std(noise) / np.std(wave)), -30, atol=0.5)
    assert fitting.copies_of(np.zeros(RATE, np.float32))["itself"].max() == 0


def test_an_older_curve_has_fewer_slopes_than_there_are_features() -> None:
    there = np.array([True, False] * 5)
    seen = fitting.Observed(np.ones((10, 2)), there, there, np.arange(10) % 5, np.array(["fold"] * 10))
    assert np.allclose(fitting.confidences(seen, (-1.0, 1.0)), 0.5)
    assert np.allclose(fitting.confidences(seen, (-1.0, 1.0, 1.0)), 1 / (1 + np.exp(-1)))
