"""Curves of confidence travel with a model, are read strictly, and are no part of what the model is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from models_for_tests import small_clap, small_config
from typer.testing import CliRunner

from openclap import CLAP, Library
from openclap.checkpoints.locate import packaged_folder
from openclap.cli.app import app
from openclap.confidence import DEFAULT_CURVES, UNLIKELY, confidence_curves, has_own_curves, reference_bank
from openclap.config import CLAPConfig, ConfidenceCurves
from openclap.describe import Describer
from openclap.doctor import examine_installation
from openclap.errors import BadCheckpoint
from openclap.synth import synthesise

OWN = ConfidenceCurves((-3.0, 1.0, 0.5), (-8.0, 10.0), "0123456789abcdef", "twenty doors", 0.4)


@pytest.fixture
def folder(tmp_path: Path, tokenizer_file: Path) -> Path:
    small_clap(tokenizer_file).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def given(folder: Path, curves: Any) -> Path:
    """The model with other curves in its config.json."""
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "confidence": curves}))
    return folder


def test_the_third_edition_is_what_it_was() -> None:
    """Its libraries stay valid: its fingerprint before curves lay in its config.json, and its curves."""
    mini = CLAP.from_pretrained("mini-3")
    assert (mini.fingerprint, confidence_curves(mini.config)) == ("86b7c91662cc86f7", DEFAULT_CURVES)
    assert has_own_curves(mini)
    data = json.loads((packaged_folder("mini-3") / "config.json").read_text())
    assert mini.config == CLAPConfig.from_dict({k: v for k, v in data.items() if k != "confidence"})


def test_the_shipped_mini_has_curves_of_its_own() -> None:
    mini = CLAP.from_pretrained("mini")
    assert has_own_curves(mini)
    assert confidence_curves(mini.config) != DEFAULT_CURVES


def test_curves_are_kept_and_are_no_part_of_the_fingerprint(folder: Path, tmp_path: Path) -> None:
    before = CLAP.from_pretrained(folder)
    assert "confidence" not in json.loads((folder / "config.json").read_text())
    after = CLAP.from_pretrained(given(folder, OWN.__dict__))
    after.save_pretrained(tmp_path / "saved")
    saved = CLAP.from_pretrained(tmp_path / "saved")
    assert confidence_curves(saved.config) == saved.config.confidence == OWN
    assert before.fingerprint == after.fingerprint == saved.fingerprint
    assert before.config == after.config, "the same model"
    assert reference_bank(before).curves == DEFAULT_CURVES
    assert reference_bank(after).curves == OWN, "banks are kept by fingerprint, curves are not"
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["confidence"]["words"] == [-3.0, 1.0, 0.5]


def test_a_model_without_curves_is_given_a_guess(folder: Path) -> None:
    clap = CLAP.from_pretrained(folder)
    assert confidence_curves(clap.config) == DEFAULT_CURVES
    assert not has_own_curves(clap)
    assert "mini's third edition" in examine_installation(str(folder))["installation"]["confidence"]


def test_of_a_model_that_was_changed_it_says_so(folder: Path) -> None:
    given(folder, OWN.__dict__)
    told = examine_installation(str(folder))["installation"]["confidence"]
    assert told.startswith("fitted for another model (0123456789abcdef), not for this one")
    given(folder, {**OWN.__dict__, "fingerprint": CLAP.from_pretrained(folder).fingerprint})
    told = examine_installation(str(folder))["installation"]["confidence"]
    assert told == "fitted for this model: twenty doors"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"words": [-3.0, 1.0]}, "words of the confidence is .*give 3 numbers"),
        ({"words": [-3.0, 1.0, float("nan")]}, "words is nan; it must be a number"),
        ({"words": [-3.0, "x", 1.0]}, "words is 'x'; it must be a number"),
        ({"words": [1e300, 1.0, 1.0]}, "between -1000 and 1000"),
        ({"words": [-3.0, -1.0, 1.0]}, "none may be below 0"),
        ({"sounds": [-3.0, 0.0]}, "nor all 0"),
        ({"sounds": None}, "sounds is None"),
        ({"unlikely": 0}, "unlikely of the confidence is 0"),
        ({"unlikely": 1.5}, "it must lie between 0 and 1"),
        ({"fingerprint": "mini"}, "fingerprint of the confidence is 'mini'"),
        ({"fitted_on": "\x1b[2J"}, "fitted_on of the confidence"),
        ({"fitted_on": "x" * 301}, "fitted_on of the confidence"),
        ({"evidence": {"Mantra": -1.0}}, "evidence of the confidence for 'Mantra' is -1.0; give a number between 0"),
        ({"evidence": {"Mantra": float("nan")}}, "evidence of the confidence for 'Mantra' is nan"),
        ({"evidence": {"Mantra": "much"}}, "evidence of the confidence for 'Mantra' is 'much'"),
        ({"evidence": [1.0]}, "evidence is .*table of names and values"),
        ({"unheard": 1}, "ConfidenceCurves has no field unheard: the checkpoint is newer"),
    ],
)
def test_bad_curves_are_refused_in_one_sentence(folder: Path, changed: dict[str, Any], why: str) -> None:
    given(folder, {**OWN.__dict__, **changed})
    with pytest.raises(BadCheckpoint, match=why) as refused:
        CLAP.from_pretrained(folder)
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize("curves", [7, [1.0], "steep", {}, {"words": [1, 2, 3]}])
def test_what_are_no_curves_is_refused(folder: Path, curves: Any) -> None:
    with pytest.raises(BadCheckpoint):
        CLAP.from_pretrained(given(folder, curves))


def test_none_is_none(folder: Path) -> None:
    assert CLAP.from_pretrained(given(folder, None)).config.confidence is None


def test_the_models_threshold_is_used_wherever_something_is_unlikely(tmp_path: Path) -> None:
    """It was 0.25 for every model."""
    rate, rain = 32_000, synthesise("rain", np.random.default_rng(3), rate=32_000, seconds=3.0)[0]
    sf.write(tmp_path / "rain.wav", rain, rate)
    mini = CLAP.from_pretrained("mini")
    mini.save_pretrained(tmp_path / "strict")
    config = json.loads((tmp_path / "strict" / "config.json").read_text())
    said = {}
    for least in (UNLIKELY, 0.99):
        given(tmp_path / "strict", {**config["confidence"], "unlikely": least})
        clap = CLAP.from_pretrained(tmp_path / "strict")
        library = Library.open(tmp_path / "library", model=clap)
        library.add(tmp_path / "rain.wav")
        asked = ["search", "rain falling", "--library", str(tmp_path / "library"), "--model", str(tmp_path / "strict")]
        ran = CliRunner().invoke(app, asked)
        assert ran.exit_code == 0, ran.output
        said[least] = "nothing here sounds like that" in ran.output
        assert library.unlikely == Describer(clap, ["rain"]).threshold == least
        assert bool(clap.describe((rain, rate), ["rain", "rain falling"]).tags) == (least == UNLIKELY)
    assert said == {UNLIKELY: False, 0.99: True}
    assert has_own_curves(mini)


def test_descriptions_are_made_anew_where_the_curves_are_others(tokenizer_file: Path) -> None:
    clap = small_clap(tokenizer_file)
    first = Describer(clap, ["dog"], threshold=0.3).key()
    clap.config = replace(clap.config, confidence=replace(OWN, words=DEFAULT_CURVES.words))
    assert Describer(clap, ["dog"], threshold=0.3).key() == first
    clap.config = replace(clap.config, confidence=OWN)
    assert Describer(clap, ["dog"], threshold=0.3).key() != first


def test_a_configuration_may_bring_curves() -> None:
    config = replace(small_config(), confidence=OWN)
    assert CLAPConfig.from_dict(json.loads(json.dumps(config.to_dict()))).confidence == OWN


def test_names_that_sound_like_everything_need_more_evidence() -> None:
    """Of AudioSet's names where all of them may be heard; whoever asks for one by name gets its confidence."""
    rate, rain = 32_000, synthesise("rain", np.random.default_rng(3), rate=32_000, seconds=3.0)[0]
    mini = CLAP.from_pretrained("mini-3")
    before, key = mini.describe((rain, rate)), Describer(mini).key()
    mini.config = replace(mini.config, confidence=replace(DEFAULT_CURVES, evidence={before.tags[0].label: 2.0}))
    after = mini.describe((rain, rate), threshold=0.0, top=100)
    tag = before.tags[0]
    logit = np.log(tag.confidence / (1 - tag.confidence)) - 2.0
    same = next((one for one in after.tags if one.label == tag.label), None)
    if same is None:  # another of its family stands for it now
        assert any(tag.label in one.alike for one in after.tags)
    else:
        assert same.confidence == pytest.approx(1 / (1 + np.exp(-logit)), abs=2e-3)
    asked = mini.describe((rain, rate), [tag.label]).tags[0]
    assert asked.confidence == pytest.approx(tag.confidence, abs=1e-4)
    assert Describer(mini).key() != key
    assert Describer(mini, ["rain"]).key() == Describer(CLAP.from_pretrained("mini-3"), ["rain"]).key()
    saved = CLAPConfig.from_dict(json.loads(json.dumps(mini.config.to_dict())))
    assert saved.confidence == mini.config.confidence
    assert "evidence" not in CLAP.from_pretrained("mini-3").config.to_dict()["confidence"]
