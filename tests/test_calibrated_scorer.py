"""What stands out of a place: by a model's own curve of a watch."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models_for_tests import small_clap

from openclap import CLAP
from openclap.confidence import DEFAULT_CURVES, ReferenceBank, confidence_curves
from openclap.errors import BadCheckpoint
from openclap.watch import PushedSource, watch
from openclap.watch.alert_scorer import AlertScorer
from openclap.watch.calibrated_scorer import FEWEST, LEAST_LEFT, TAKEN_OUT, CalibratedAlertScorer

sys.path.insert(0, str(Path(__file__).parent.parent / "runs" / "mini"))

CURVE = (-6.0, 0.2, 10.0, 10.0)


def unit(rows: Any) -> np.ndarray:
    made: np.ndarray = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return made


def banks(size: int = 8) -> ReferenceBank:
    rng = np.random.default_rng(0)
    texts, sounds = unit(rng.standard_normal((132, size))), unit(rng.standard_normal((56, size)))
    return ReferenceBank(texts, sounds, replace(DEFAULT_CURVES, watch=CURVE))


def calibrated(known: int = 120, warmup: int = 30) -> CalibratedAlertScorer:
    return CalibratedAlertScorer(np.eye(8, dtype=np.float32)[:1], banks(), warmup=warmup, minute=60, known=known)


def heard(scorer: CalibratedAlertScorer, rows: np.ndarray) -> list[float]:
    found = []
    for row in rows:
        confidence, cosine = scorer.score(row)
        scorer.learn(row, cosine, confidence >= 0.2)
        found.append(float(confidence[0]))
    return found


def rain(count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return unit(np.eye(8)[1] + 0.02 * rng.standard_normal((count, 8)))


def test_the_distances_are_what_they_say() -> None:
    scorer = calibrated()
    b, x = unit(np.array([0.1, 1, 0, 0, 0, 0, 0, 0])), unit(np.array([0.6, 1, 0, 0, 0, 0, 0, 0]))
    heard(scorer, np.tile(b, (60, 1)))
    _, rise, new = scorer.features((scorer._queries @ x).astype(float), x)
    left = x - TAKEN_OUT * b
    assert rise[0] == pytest.approx(x[0] - b[0], abs=1e-5)
    assert np.linalg.norm(left) < LEAST_LEFT
    assert new[0] == pytest.approx(left[0] / LEAST_LEFT, abs=1e-4)
    y = np.eye(8, dtype=np.float32)[0]
    left = y - TAKEN_OUT * b
    assert scorer.features((scorer._queries @ y).astype(float), y)[2, 0] == pytest.approx(
        left[0] / np.linalg.norm(left), abs=1e-4
    )


def test_a_sound_in_the_rain_is_heard_in_one_window_alone() -> None:
    """A window of rain with a bark in it says mostly rain; over two windows it was lost."""
    scorer = calibrated()
    mixed = unit(np.eye(8)[1] + 0.5 * np.eye(8)[0])
    levels = heard(scorer, np.concatenate([rain(300), mixed[None], rain(60)]))
    assert levels[300] > 0.7
    assert max(levels[:300] + levels[301:]) < 0.2


def test_nothing_is_said_in_the_warm_up_and_without_one_it_begins_at_once() -> None:
    loud = np.tile(np.eye(8, dtype=np.float32)[0], (20, 1))
    assert max(heard(calibrated(), loud)) == 0.0
    assert heard(calibrated(warmup=0), loud)[0] > 0.7


def test_what_goes_on_becomes_the_background() -> None:
    levels = heard(calibrated(), np.concatenate([rain(200), np.tile(unit(np.eye(8)[1] + np.eye(8)[0]), (600, 1))]))
    assert levels[201] > 0.9
    assert levels[-1] < 0.2


def test_a_short_recording_is_judged_though_half_of_it_is_the_event() -> None:
    scorer = calibrated()
    bark = unit(np.eye(8)[1] + 0.8 * np.eye(8)[0])
    rows = np.concatenate([rain(6), np.tile(bark, (6, 1))])
    assert max(heard(scorer, rows)) == 0.0
    levels = [
        float(confidence[0]) for confidence, _ in scorer.score_short_recording(list(rows), [True, *[False] * 11], 0.2)
    ]
    assert min(levels[6:]) > 0.7
    assert max(levels[:6]) < 0.2


def test_before_ten_windows_the_bank_stands_for_what_is_missing() -> None:
    scorer = calibrated(warmup=0)
    heard(scorer, rain(2))
    filled = np.concatenate([scorer._cosines[:2, 0], np.full(FEWEST - 2, scorer._mean[0])])
    assert scorer._quantiles((0.5,))[0] == pytest.approx(np.median(filled), abs=1e-6)


def test_what_is_remembered_does_not_grow() -> None:
    scorer = calibrated(known=50)
    heard(scorer, rain(500))
    assert scorer._cosines.shape == (50, 1)
    assert scorer._mean_window.shape == (8,)


def test_a_model_without_a_curve_of_its_own_is_watched_as_before() -> None:
    new, old = CLAP.from_pretrained("mini"), CLAP.from_pretrained("mini-3")
    assert len(confidence_curves(new.config).watch) == 4
    assert confidence_curves(old.config).watch == ()
    assert type(watch(PushedSource("door"), ["rain"], model=new)._scorer) is CalibratedAlertScorer
    assert type(watch(PushedSource("door"), ["rain"], model=old)._scorer) is AlertScorer


def test_the_curve_is_kept_and_read_strictly(tmp_path: Path, tokenizer_file: Path) -> None:
    small_clap(tokenizer_file).save_pretrained(tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    plain = json.loads(file.read_text())
    own = {**DEFAULT_CURVES.__dict__, "watch": [-4.0, 0.0, 10.0, 8.0]}
    file.write_text(json.dumps({**plain, "confidence": own}))
    clap = CLAP.from_pretrained(tmp_path / "model")
    assert confidence_curves(clap.config).watch == (-4.0, 0.0, 10.0, 8.0)
    clap.save_pretrained(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["confidence"]["watch"] == [-4.0, 0.0, 10.0, 8.0]
    for wrong, said in (([1.0, 2.0], "give 4 numbers"), ([1.0, -2.0, 1.0, 1.0], "none may be below 0")):
        file.write_text(json.dumps({**plain, "confidence": {**own, "watch": wrong}}))
        with pytest.raises(BadCheckpoint, match=f"watch of the confidence is .*{said}"):
            CLAP.from_pretrained(tmp_path / "model")


def test_a_curve_is_fitted_with_as_few_false_alarms_as_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes of rain in which every alert is planted once."""
    import watching

    monkeypatch.setattr(watching, "STARTS", np.arange(-4.0, 6.0, 1.0))
    monkeypatch.setattr(watching, "NEW", (0.0, 1.0))
    monkeypatch.setattr(watching, "OWN", (0.0, 0.02))
    rng = np.random.default_rng(0)
    names = len(watching.ALERTS)
    queries, usual = np.eye(names + 4, dtype=np.float32)[:names], banks(names + 4)
    rows = np.eye(names + 4)[names] + 0.1 * rng.standard_normal((600, names + 4))
    planted = []
    for number, alert in enumerate(watching.ALERTS):
        at = 60 + 40 * number
        rows[at : at + 2] += (0.5 + 0.4 * rng.random()) * queries[number]
        planted.append(watching.Planted(alert, at + 0.5, at + 2.5, 0))
    one = watching.Recorded(unit(rows), planted)
    curve = watching.fitted([one], queries, usual, wanted=2.5)
    assert len(curve) == 4
    assert curve[2] > 0 <= min(curve[1], curve[3])
    made = watching.heard(one.rows, queries, usual, curve)
    line = watching.judged(watching.told(made.sure, watching.Rules()), planted, one.seconds)
    assert line["found"] >= 10
    assert line["false_alarms_an_hour"] <= 6.0  # one in ten minutes
