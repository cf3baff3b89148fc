"""Which of many names a sound is given, and in which order. Mostly made of vectors whose cosines are chosen, so that no model decides."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from openclap.confidence import ReferenceBank
from openclap.config import ConfidenceCurves
from openclap.describe import Vocabulary
from openclap.describe.audioset import EXTRA_EVIDENCE, FAMILIES, UMBRELLAS, audioset_facts
from openclap.describe.vocabulary import LabelFacts
from openclap.labels import labels as packaged

CURVES = ConfidenceCurves(
    words=(0.0, 0.1, 1.0), sounds=(0.0, 1.0), fingerprint="0" * 16, fitted_on="nothing", unlikely=0.3
)
AUDIOSET = packaged("audioset")


def vocabulary(labels: Sequence[str], vectors: np.ndarray, names: LabelFacts | None = None) -> Vocabulary:
    """One whose banks have a mean of nothing."""
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    bank = np.concatenate([np.eye(vectors.shape[1]), -np.eye(vectors.shape[1])]).astype(np.float32)
    return Vocabulary(tuple(labels), vectors, ReferenceBank(bank, bank, CURVES), names)


def of_audioset(*labels: str) -> Vocabulary:
    """Some of AudioSet's names, whose vectors have nothing in common: what joins them is only what is known of them."""
    at = [AUDIOSET.index(label) for label in labels]
    known = audioset_facts()
    names = LabelFacts(known.extra_evidence[at], known.same_thing[np.ix_(at, at)], known.is_above[np.ix_(at, at)])
    return vocabulary(labels, np.eye(len(labels)), names)


def heard(
    made: Vocabulary, confidences: Sequence[float], monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str, list[str]]]:
    """The tags of a window in which every label is as sure as that, before what is taken off."""
    monkeypatch.setattr(ReferenceBank, "confidences", lambda *_: np.array([confidences], np.float32))
    tags = made.tags(np.eye(1, made.vectors.shape[1], dtype=np.float32), threshold=0.3)
    assert all(a.confidence >= b.confidence for a, b in pairwise(tags))
    return [(tag.label, tag.alike) for tag in tags]


def test_no_two_tags_are_names_of_one_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels were compared with a family's surest one, not with the one that is shown: "Bird vocalization 86 %, Bird 83 %"."""
    angles = np.radians([0, 50, 100])  # Song is akin to Bird and to Chirp, which are not akin
    vectors = np.stack([np.cos(angles), np.sin(angles), np.zeros(3)], axis=1)
    made = vocabulary(["Bird", "Song", "Chirp"], vectors)
    assert heard(made, [0.78, 0.8, 0.85], monkeypatch) == [("Bird", ["Chirp", "Song"])]


def test_tags_are_in_the_order_of_their_confidence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A family stood where its surest member belonged, but was shown by another: "Bouncing 46 %, Fireworks 50 %"."""
    made = vocabulary(["Dog", "Bark", "Rain"], np.array([[1.0, 0.0, 0.0], [0.9, 0.3, 0.0], [0.0, 0.0, 1.0]]))
    assert heard(made, [0.71, 0.8, 0.75], monkeypatch) == [("Rain", []), ("Dog", ["Bark"])]


def test_the_most_tags_are_the_surest(monkeypatch: pytest.MonkeyPatch) -> None:
    made = vocabulary(["a", "b", "c", "d"], np.eye(4))
    monkeypatch.setattr(ReferenceBank, "confidences", lambda *_: np.array([[0.4, 0.9, 0.5, 0.6]], np.float32))
    assert [tag.label for tag in made.tags(np.eye(1, 4, dtype=np.float32), threshold=0.3, top=2)] == ["b", "d"]


@pytest.mark.parametrize("words", [("Bass drum", "Bass guitar"), ("Electric toothbrush", "Electric piano"), ("Wind", "Wind chime")])  # fmt: skip
def test_a_common_word_alone_makes_no_family(words: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The bass guitar was "also called" bass drum."""
    made = vocabulary(words, np.array([[1.0, 0.0], [0.3, 1.0]]))  # a cosine of 0.29
    assert len(heard(made, [0.9, 0.8], monkeypatch)) == 2


def test_a_name_within_a_name_needs_less(monkeypatch: pytest.MonkeyPatch) -> None:
    near = np.array([[1.0, 0.0], [0.45, np.sqrt(1 - 0.45**2)]])
    assert heard(vocabulary(["Bell", "Bicycle bell"], near), [0.7, 0.9], monkeypatch) == [("Bicycle bell", ["Bell"])]
    assert len(heard(vocabulary(["Gong", "Bicycle bell"], near), [0.7, 0.9], monkeypatch)) == 2


# -- what is known of AudioSet -----------------------------------------------------------------------------


def test_what_is_known_speaks_of_audiosets_names() -> None:
    for name in (*EXTRA_EVIDENCE, *UMBRELLAS, *UMBRELLAS.values(), *(one for family in FAMILIES for one in family)):
        assert name in AUDIOSET, name
    for name, last in UMBRELLAS.items():
        assert AUDIOSET.index(name) < AUDIOSET.index(last)
    assert {"Field recording", "Static", "Mantra", "Sidetone", "Filing (rasp)", "Sound effect", "Inside, small room"} <= set(EXTRA_EVIDENCE)  # fmt: skip


def test_a_thing_and_its_sound_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """ "Pig 45 %, Oink 43 %" """
    assert heard(of_audioset("Pig", "Oink", "Dog"), [0.6, 0.65, 0.5], monkeypatch) == [("Pig", ["Oink"]), ("Dog", [])]


def test_an_umbrella_is_no_name_beside_what_it_stands_above(monkeypatch: pytest.MonkeyPatch) -> None:
    made = of_audioset("Animal", "Dog", "Cat", "Rain")
    assert heard(made, [0.8, 0.85, 0.78, 0.0], monkeypatch) == [("Dog", ["Animal"]), ("Cat", [])]  # nor one of both
    assert heard(made, [0.8, 0.4, 0.0, 0.5], monkeypatch) == [("Animal", []), ("Rain", []), ("Dog", [])]


def test_vague_names_need_more_and_are_said_when_surely_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rain was "Static 65 %, Rain 51 %", a train a "Field recording"."""
    made = of_audioset("Rain", "Static", "Field recording", "Mantra")
    assert heard(made, [0.51, 0.65, 0.5, 0.6], monkeypatch) == [("Rain", []), ("Static", [])]
    assert heard(made, [0.2, 0.95, 0.95, 0.2], monkeypatch) == [("Static", []), ("Field recording", [])]


def test_a_sound_that_has_a_level_is_never_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """AudioSet's own Silence was a tag of digging, at 47 %."""
    assert heard(of_audioset("Silence", "Rain"), [0.999, 0.5], monkeypatch) == [("Rain", [])]
