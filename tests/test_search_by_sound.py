"""What a hit for a sound is worth: a curve and a threshold of its own, in every door that shows hits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

from openclap import CLAP, Library
from openclap.cli.app import app
from openclap.confidence import DEFAULT_CURVES, reference_bank
from openclap.config import CLAPConfig, ConfidenceCurves
from openclap.results import Hit
from openclap.synth import synthesise

RATE = 32_000
OLDER = ConfidenceCurves((-3.0, 1.0, 0.5), (-8.0, 10.0), "0123456789abcdef", "twenty doors", 0.4)


@pytest.fixture(scope="module")
def mini() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two takes of rain, and a siren."""
    folder = tmp_path_factory.mktemp("sounds")
    for name, kind, seed in (("rain 1", "rain", 1), ("rain 2", "rain", 2), ("siren", "siren", 3)):
        wave = synthesise(kind, np.random.default_rng(seed), rate=RATE, seconds=2.0)[0]
        sf.write(folder / f"{name}.wav", wave, RATE)
    return folder


@pytest.fixture(scope="module")
def library(mini: CLAP, sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Library:
    library = Library.open(tmp_path_factory.mktemp("library"), model=mini)
    library.add(sounds)
    return library


def by_name(hits: list[Hit]) -> dict[str, Hit]:
    return {Path(hit.path).stem: hit for hit in hits}


def test_the_same_recording_is_as_good_as_certain(library: Library, sounds: Path) -> None:
    """It was 82 %, whatever the sound."""
    for path in sounds.iterdir():
        found = library.search(path, 3)
        assert Path(found[0].path) == path
        assert found[0].confidence is not None
        assert found[0].confidence >= 0.97
    wave, rate = sf.read(sounds / "siren.wav", dtype="float32")
    quiet = library.search((wave / 4, rate), 1)[0]
    assert (Path(quiet.path).stem, quiet.unlikely) == ("siren", False)
    assert (quiet.confidence or 0) >= 0.97


def test_another_take_is_likely_and_another_thing_is_not(library: Library, sounds: Path) -> None:
    found = by_name(library.search(sounds / "rain 1.wav", 3))
    assert not found["rain 2"].unlikely
    assert found["siren"].unlikely
    assert (found["siren"].confidence or 1) < (found["rain 2"].confidence or 0)


def test_confidence_of_sounds_grows_with_the_cosine(mini: CLAP) -> None:
    """By hand: a share of 0.9 of the way is a decade, all of it three."""
    usual = replace(reference_bank(mini), curves=replace(OLDER, sounds=(-4.0, 3.0, 5.0)))
    bank = usual.sounds.mean(0)
    query = np.zeros_like(bank)
    query[0] = 1
    share, decades = usual.features(query, query, words=False)
    assert share == pytest.approx(1)
    assert decades == pytest.approx(3, abs=1e-3)
    assert usual.confidence(query, query, words=False) == pytest.approx(1 / (1 + np.exp(-14)), abs=1e-4)
    assert replace(usual, curves=OLDER).confidence(query, query, words=False) == pytest.approx(
        1 / (1 + np.exp(-2)), abs=1e-4
    ), "an older curve has one slope"


def test_the_threshold_of_sounds_is_its_own_in_every_door(mini: CLAP, sounds: Path, tmp_path: Path) -> None:
    """It was that of words: right hits were called unlikely."""
    mini.save_pretrained(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    query = tmp_path / "query.wav"
    sf.write(query, synthesise("rain", np.random.default_rng(5), rate=RATE, seconds=2.0)[0], RATE)
    said: dict[tuple[str, float], bool] = {}
    for least in (0.001, 0.9999999):
        changed = {**config, "confidence": {**config["confidence"], "unlikely": 0.5, "unlikely_sounds": least}}
        (tmp_path / "model" / "config.json").write_text(json.dumps(changed))
        for verb in (["similar", str(query)], ["search", "--sound", str(query)], ["recommend", "--like", str(query)]):
            library = ["--library", str(tmp_path / "library"), "--model", str(tmp_path / "model")]
            if not said:
                assert CliRunner().invoke(app, ["index", str(sounds), *library]).exit_code == 0
            result = CliRunner().invoke(app, [*verb, *library])
            assert result.exit_code == 0, result.output
            said[verb[0], least] = "nothing here sounds like that" in result.output
    assert {verb for (verb, least), nothing in said.items() if nothing} == {"similar", "search", "recommend"}
    assert not any(nothing for (verb, least), nothing in said.items() if least == 0.001)
    clap = CLAP.from_pretrained(tmp_path / "model")
    hits = Library.open(tmp_path / "library", model=clap)
    assert hits.unlikely == 0.5, "that of words"
    assert all(hit.unlikely for hit in hits.recommend([query], k=2))
    assert all(hit.unlikely for hit in hits.search(query, 3))
    assert all(hit.unlikely == ((hit.confidence or 0) < 0.5) for hit in hits.search("rain", 3))
    mixed = hits.recommend([query, "rain"], k=2)
    assert len(mixed) == 2


def test_json_says_what_is_unlikely() -> None:
    """A program that reads lines had no way to know that nothing was likely."""
    plain = {"path": "/a.wav", "start": 0.0, "end": 1.0, "score": 0.5, "confidence": 0.5}
    assert Hit("/a.wav", 0.0, 1.0, 0.5, 0.5).to_dict() == plain
    assert Hit("/a.wav", 0.0, 1.0, 0.5, 0.5, unlikely=True).to_dict() == {**plain, "unlikely": True}


def test_curves_of_before_load_and_are_saved_as_they_were() -> None:
    """A config.json without the threshold of sounds, with one slope; saved again it has no field that older versions refuse."""
    assert (OLDER.least(words=True), OLDER.least(words=False)) == (0.4, 0.4)
    assert DEFAULT_CURVES.least(words=False) == DEFAULT_CURVES.unlikely
    config = CLAPConfig.from_dict({**CLAPConfig().to_dict(), "confidence": {
        "words": [-3.0, 1.0, 0.5], "sounds": [-8.0, 10.0], "fingerprint": "0123456789abcdef", "fitted_on": "twenty doors",
    }})  # fmt: skip
    assert config.confidence is not None
    assert set(config.to_dict()["confidence"]) == {"words", "sounds", "fingerprint", "fitted_on", "unlikely"}
    own = replace(OLDER, sounds=(-4.0, 3.0, 5.0), unlikely_sounds=0.3)
    again = CLAPConfig.from_dict(json.loads(json.dumps(replace(config, confidence=own).to_dict()))).confidence
    assert again == own
    assert (own.least(words=True), own.least(words=False)) == (0.4, 0.3)


def test_a_model_without_curves_of_its_own_knows_the_same_recording() -> None:
    mini = CLAP.from_pretrained("mini-3")
    query = mini.encode_text("rain")[0]
    assert reference_bank(mini).confidence(query, query, words=False) > 0.95
