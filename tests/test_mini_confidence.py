"""How mini's confidence is fitted: what is asked of which sounds, and what the curves are worth."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from models_for_tests import small_clap

sys.path.insert(0, str(Path(__file__).parent.parent / "runs" / "mini"))

import asking
import confidence as fitting
from sheet import DevSound

from openclap import CLAP
from openclap.confidence import ReferenceBank, confidence_curves, has_own_curves
from openclap.config import ConfidenceCurves

NAMES = ("dog bark", "rain", "violin", "church bells", "zipper", "explosion", "telephone ringing", "car horn", "footsteps", "tearing", "snoring", "camera shutter")  # fmt: skip
WAVE = np.zeros(10, np.float32)


def sounds() -> list[DevSound]:
    return [
        DevSound("concept", "things", f"{name} {take}", name, WAVE)
        for name in NAMES
        for take in range(3)
    ]  # fmt: skip


class Ears:
    """A concept's vector is its own, in whatever words; sounds lie near that of their name."""

    concepts: ClassVar[dict[str, str]] = {question.text: question.concept for question in asking.questions(sounds())}

    def encode_text(self, texts: list[str]) -> Any:
        named = [self.concepts.get(text, text) for text in texts]
        found = np.stack([np.random.default_rng([*map(ord, name)]).standard_normal(48) for name in named])
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def rows_of(some: list[DevSound], noise: float) -> Any:
    rng = np.random.default_rng(3)
    found = Ears().encode_text([s.asked for s in some]) + noise * rng.standard_normal((len(some), 48)) / np.sqrt(48)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def usual() -> ReferenceBank:
    return ReferenceBank(
        Ears().encode_text([f"t{i}" for i in range(40)]), Ears().encode_text([f"s{i}" for i in range(30)])
    )


def test_what_answers_is_left_out_where_it_must_not_be_there() -> None:
    some = sounds()
    asked = [question for question in asking.questions(some) if question.kind == "label"]
    assert {question.concept for question in asked} == set(NAMES)
    found = list(asking.cases(some, asked))
    assert {case.there for case in found} == {True, False}
    for case in found:
        own = [some[i].asked == asked[case.question].concept for i in case.collection]
        np.testing.assert_array_equal(case.answers, own)
        assert case.there == any(own)
    bells = next(number for number, question in enumerate(asked) if question.text == "church bells")
    beside = {some[i].asked for case in found if case.question == bells for i in case.collection}
    assert "telephone ringing" not in beside, "it rings: neither right nor wrong"


def test_paraphrases_are_of_concepts_and_written_once() -> None:
    lines = (asking.HERE / "paraphrases.csv").read_text().splitlines()[1:]
    assert len(set(lines)) == len(lines) > 40
    labels = {rule.label for rule in __import__("development").read_rules() if rule.set == "concept"}
    assert {line.rsplit(",", 1)[1] for line in lines} <= labels


def test_a_curve_is_judged_on_concepts_it_was_not_fitted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    some = sounds()
    seen = fitting.observed_by_words(usual(), Ears(), some, rows_of(some, 0.5))  # type: ignore[arg-type]
    concepts: list[set[int]] = []
    real = fitting.fitted

    def noted(of: fitting.Observed) -> tuple[float, ...]:
        concepts.append(set(of.part.tolist()))
        return real(of)

    monkeypatch.setattr(fitting, "fitted", noted)
    sure = fitting.confidences(seen)
    assert [set(range(fitting.PARTS)) - some for some in concepts] == [{part} for part in range(fitting.PARTS)]
    made = fitting.judged(seen, sure)
    assert made.auc > 0.9
    assert made.silent <= fitting.SILENT + 0.05
    assert made.right > 0.8
    weights = [row[2] for row in made.table]
    assert sum(weights) == int((seen.right | ~seen.there).sum())


def test_what_tells_nothing_has_no_slope() -> None:
    rng = np.random.default_rng(0)
    right = np.arange(200) % 2 == 0
    features = np.stack([rng.standard_normal(200) + 3 * right, -rng.standard_normal(200) - right], 1)
    seen = fitting.Observed(features, right, right, np.arange(200) % 5, np.array(["label"] * 200))
    start, first, second = fitting.fitted(seen)
    assert start < 0 < first
    assert second == 0
    assert fitting.fitted(fitting.Observed(features[:, 1:], right, right, seen.part, seen.kind))[1] == 0.01


def test_the_numbers_are_those_of_the_hand() -> None:
    """Four right hits, one wrong, five without an answer; half surer than the threshold."""
    there = np.array([True] * 5 + [False] * 5)
    right = np.array([True] * 4 + [False] * 6)
    seen = fitting.Observed(np.zeros((10, 1)), there, right, np.zeros(10, int), np.array(["label"] * 10))
    sure = np.array([0.9, 0.8, 0.6, 0.2, 0.1, 0.7, 0.3, 0.2, 0.1, 0.05])
    made = fitting.judged(seen, sure, 0.5)
    assert (made.right, made.silent, made.missed, made.found) == (0.8, 0.25, 0.4, 0.2)
    assert made.auc == pytest.approx((5 + 5 + 4 + 2.5) / 20, abs=1e-3)


def test_a_name_that_is_heard_in_everything_needs_more_evidence() -> None:
    """By hand: of three other concepts, heard in all takes of two; of its own concept it may be heard."""
    sure = np.array([[0.9, 0.9], [0.9, 0.9], [0.1, 0.9], [0.1, 0.1], [0.1, 0.1]], np.float32)  # "Rain", "Mantra"
    own = np.array([[True, False], [True, False], [False, False], [False, False], [False, False]])
    made = fitting.evidence_of(sure, own, ["rain", "rain", "zipper", "gong", "violin"])
    assert made[0] == 0, "heard in rain alone"
    assert made[1] == pytest.approx(np.log((2 / 4 + 0.02) / 0.02)), "rain and zipper, of four concepts"


def test_evidence_is_judged_on_other_concepts() -> None:
    """A name that is heard in everything a little more than the own one: the own one is the surest without it."""
    concepts = [f"thing {number}" for number in range(10)]
    sure = np.full((10, 11), 0.01, np.float32)
    sure[:, 10] = 0.9
    sure[np.arange(10), np.arange(10)] = 0.8
    own = np.eye(10, 11, dtype=bool)
    assert fitting.named(sure, own, concepts) == [(0.0, 1.0), (1.0, 1.0)]


def test_curves_are_written_into_a_checkpoint(tmp_path: Path, tokenizer_file: Path) -> None:
    small_clap(tokenizer_file).save_pretrained(tmp_path / "model")
    before = CLAP.from_pretrained(tmp_path / "model")
    curves = ConfidenceCurves((-2.0, 1.0, 0.5), (-4.0, 6.0), before.fingerprint, "three doors", 0.3)
    fitting.write(tmp_path / "model", curves)
    after = CLAP.from_pretrained(tmp_path / "model")
    assert confidence_curves(after.config) == curves
    assert has_own_curves(after)
    assert after.fingerprint == before.fingerprint
    assert list(json.loads((tmp_path / "model" / "config.json").read_text()))[-1] == "confidence"
