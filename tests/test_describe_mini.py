"""What the model that ships says of sounds. Any retrained one must: so what is asked leaves room, and no number is exact."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from openclap import CLAP, Description
from openclap.describe import SILENCE, Describer, timeline
from openclap.results import Span
from openclap.sentences import inline_label
from openclap.synth import synthesise

RATE = 32_000
Wave = npt.NDArray[np.float32]
OWN = ["dog", "rain", "cricket", "siren", "telephone", "snare drum", "door knock", "sea waves", "bird", "church bells"]


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture(scope="module")
def describer(clap: CLAP) -> Describer:
    return Describer(clap)


def sound(kind: str, seconds: float = 4.0, seed: int = 5) -> Wave:
    wave = synthesise(kind, np.random.default_rng(seed), rate=RATE, seconds=seconds)[0]
    return (0.5 * wave / max(float(np.abs(wave).max()), 1e-6)).astype(np.float32)


def names(made: Description) -> list[str]:
    """All names that are said, those that a tag stands for as well."""
    return [name for tag in made.tags for name in (tag.label, *tag.alike)]


@pytest.mark.parametrize(
    ("kind", "any_of"),
    [
        ("dog bark", {"Dog", "Bark", "Bow-wow"}),
        ("rain", {"Rain", "Raindrop", "Rain on surface"}),
        ("bird", {"Bird", "Chirp, tweet", "Bird vocalization, bird call, bird song"}),
        ("cricket", {"Cricket", "Insect"}),
        ("sea waves", {"Ocean", "Waves, surf"}),
        ("thunder", {"Thunder", "Thunderstorm"}),
        ("snare drum", {"Snare drum", "Drum"}),
        ("door knock", {"Knock", "Tap", "Door"}),
        ("smoke alarm", {"Smoke detector, smoke alarm", "Alarm", "Fire alarm"}),
        ("phone dialing", {"Telephone dialing, DTMF"}),
        ("organ", {"Organ", "Electronic organ", "Hammond organ"}),
    ],
)
def test_what_is_heard_is_named(describer: Describer, kind: str, any_of: set[str]) -> None:
    assert any_of & set(names(describer((sound(kind), RATE)))), kind


@pytest.mark.parametrize(("kind", "label"), [("dog bark", "dog"), ("cricket", "cricket"), ("sea waves", "sea waves"), ("bird", "bird")])  # fmt: skip
def test_of_ones_own_labels_the_right_one_is_first(clap: CLAP, kind: str, label: str) -> None:
    assert clap.describe((sound(kind), RATE), OWN, threshold=0.0).tags[0].label == label


def test_two_things_at_once_are_two_tags(describer: Describer) -> None:
    wave = np.concatenate([sound("dog bark", 10.0), sound("smoke alarm", 10.0)])
    said_names = set(names(describer((wave, RATE))))
    assert said_names & {"Dog", "Bark", "Bow-wow"}
    assert said_names & {"Smoke detector, smoke alarm", "Fire alarm", "Alarm", "Beep, bleep"}


def test_silence_is_silence_and_sounds_are_not(describer: Describer) -> None:
    made = describer((np.zeros(RATE * 3, np.float32), RATE))
    assert (made.tags, made.sentence) == ([], "Silence.")
    for kind in ("door knock", "water drops", "clock tick"):  # mostly pauses
        assert "silence" not in {name.lower() for name in names(describer((sound(kind), RATE)))}


@pytest.mark.parametrize("kind", ["thunder", "stream", "gunshot", "church bells", "train", "laser"])
def test_sentence_and_tags_have_one_order(describer: Describer, kind: str) -> None:
    """Tags were "Thunderstorm 74 %, Explosion 80 %"."""
    made = describer((sound(kind), RATE))
    assert all(a.confidence >= b.confidence for a, b in pairwise(made.tags))
    places = [made.sentence.find(inline_label(tag.label)) for tag in made.tags]
    assert places == sorted(places)
    assert min(places, default=0) >= 0
    sure = made.sentence.lower().partition("perhaps")[0]
    assert all((inline_label(tag.label) in sure) == (tag.confidence >= 0.5) for tag in made.tags)


def test_nothing_is_named_twice(describer: Describer) -> None:
    """A bird was "Bird vocalization 86 %, Bird 83 %"."""
    vocabulary = describer.vocabulary
    for kind in ("bird", "dog bark", "rain", "smoke alarm", "thunder", "guitar"):
        order = [vocabulary.labels.index(tag.label) for tag in describer((sound(kind), RATE)).tags]
        assert all(
            len(group) == 1
            for group in vocabulary.group_families(order, np.linspace(1, 0.5, len(vocabulary.labels), dtype=np.float32))
        )
        said_names = names(describer((sound(kind), RATE)))
        assert len(said_names) == len(set(said_names))


def _recording() -> tuple[Wave, list[tuple[float, float, str]]]:
    wave = (0.0005 * np.random.default_rng(0).standard_normal(30 * RATE)).astype(np.float32)
    truth = [(2.0, 8.0, "sea waves"), (12.0, 18.0, "cricket"), (22.0, 28.0, "dog bark")]
    for start, end, kind in truth:
        wave[round(start * RATE) : round(end * RATE)] += sound(kind, end - start)[: round((end - start) * RATE)]
    return np.clip(wave, -1, 1), truth


def _mostly(spans: list[Span], start: float, end: float) -> str | None:
    """The label that most of a stretch is called."""
    lengths: dict[str | None, float] = {}
    for span in spans:
        lengths[span.label] = lengths.get(span.label, 0.0) + max(0.0, min(end, span.end) - max(start, span.start))
    return max(lengths, key=lambda label: lengths[label])


def test_a_timeline_is_in_the_order_of_what_was_played(clap: CLAP) -> None:
    wave, truth = _recording()
    spans = timeline(
        Describer(clap, ["sea waves", "cricket", "dog bark", "church bells", "siren"], threshold=0.2), (wave, RATE)
    )
    assert (spans[0].start, spans[-1].end) == (0.0, 30.0)
    assert all(a.end == b.start for a, b in pairwise(spans))
    assert [_mostly(spans, start, end) for start, end, _ in truth] == [kind for *_, kind in truth]
    assert _mostly(spans, 9.0, 11.0) is None


def test_a_spans_label_is_the_surest_of_its_tags(describer: Describer) -> None:
    """The path through the recording chose the label, whatever else was surer: "Chainsaw 63 %, also Snoring" of 94 %."""
    spans = timeline(describer, (_recording()[0], RATE), change=1.0)
    named = [span for span in spans if span.label not in (None, SILENCE)]
    assert named
    for span in named:
        assert (span.label, span.score) == (span.tags[0].label, span.tags[0].confidence)
        assert all(a.confidence >= b.confidence for a, b in pairwise(span.tags))


def test_families_are_told_by_texts_with_room(clap: CLAP) -> None:
    """Of the threshold's own doing only what is far from it is asked."""
    words = ["dog barking", "dog bark", "church bells", "rain falling", "rainfall", "an airplane"]
    made = Describer(clap, words)
    groups = made.vocabulary.group_families(range(len(words)), np.linspace(0.9, 0.4, len(words), dtype=np.float32))
    assert sorted(sorted(words[i] for i in group) for group in groups) == [
        ["an airplane"], ["church bells"], ["dog bark", "dog barking"], ["rain falling", "rainfall"],
    ]  # fmt: skip


def test_a_sentence_says_no_more_than_its_tags(describer: Describer) -> None:
    made = describer((sound("vehicle horn"), RATE))
    if not made.tags:
        assert re.fullmatch(r"Nothing that can be named with confidence; the nearest is .+\.", made.sentence)
    else:
        assert made.sentence.count(inline_label(made.tags[0].label)) == 1
