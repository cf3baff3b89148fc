"""With a model that the confidence curves were not fitted for, whatever shows a confidence says so, once, on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from models_for_tests import small_clap
from starlette.testclient import TestClient
from typer.testing import CliRunner

from openclap import CLAP, Library
from openclap.cli.app import app
from openclap.detector import Detector
from openclap.serve.app import create_app
from openclap.serve.settings import ServeSettings

RATE = 16_000
SAID = "confidences were not fitted for this model"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tokenizer_file: Path) -> Path:
    place = tmp_path_factory.mktemp("calibrated")
    small_clap(tokenizer_file).save_pretrained(place / "model")
    (place / "sounds").mkdir()
    for i in range(2):
        sf.write(place / "sounds" / f"{i}.wav", np.random.default_rng(i).uniform(-0.3, 0.3, RATE), RATE)
    return place


@pytest.fixture
def ask(place: Path) -> Callable[..., tuple[str, str]]:
    """A verb with a model → stdout and stderr."""

    def asked(*args: str, model: str | None = None) -> tuple[str, str]:
        options = ["--model", model or str(place / "model")]
        done = CliRunner().invoke(app, [*args, *options])
        assert done.exit_code == 0, done.output
        return done.stdout, done.stderr

    return asked


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("verb", ["search", "similar", "recommend", "moments", "describe", "timeline", "watch"])
def test_every_verb_that_shows_confidences_says_so(
    place: Path, ask: Callable[..., tuple[str, str]], verb: str, as_json: bool
) -> None:
    """They printed confidences of 0.97 that meant nothing; only `openclap doctor` said so."""
    sounds, library = str(place / "sounds"), ["--library", str(place / "library")]
    sound = str(place / "sounds" / "0.wav")
    ask("index", sounds, *library)
    args = {
        "search": ["search", "rain", sounds, *library],
        "similar": ["similar", sound, *library],
        "recommend": ["recommend", "--like", "rain", *library],
        "moments": ["moments", sound, "rain"],
        "describe": ["describe", sounds, "--labels", "dog bark, rain"],
        "timeline": ["describe", sound, "--timeline", "--labels", "dog bark, rain"],
        "watch": ["watch", sound, "--alert", "rain"],
    }[verb]
    stdout, stderr = ask(*args, *["--json"] * as_json)
    assert stderr.count(SAID) == 1
    assert SAID not in stdout
    for line in stdout.splitlines() if as_json else ():
        json.loads(line)


def test_where_they_were_fitted_or_none_is_shown_nothing_is_said(
    place: Path, ask: Callable[..., tuple[str, str]]
) -> None:
    sounds, sound = str(place / "sounds"), str(place / "sounds" / "0.wav")
    assert SAID not in ask("search", "rain", sounds, "--library", str(place / "mini"), model="mini")[1]
    assert SAID not in ask("classify", sound, "--labels", "dog bark, rain")[1]


def test_a_result_says_so_in_python(place: Path) -> None:
    clap = CLAP.from_pretrained(place / "model")
    library = Library.open(place / "in Python", model=clap)
    library.add(place / "sounds")
    assert not library.search("rain").calibrated
    assert not library.recommend(["rain"]).calibrated
    taught = Detector("rain", None, np.ones(clap.config.embedding, np.float32), 0.0, clap.name, clap.fingerprint)
    assert library.search(taught).calibrated  # its confidences are its own probabilities


def test_the_service_says_so_of_its_model(place: Path) -> None:
    for model, calibrated in (("mini", True), (str(place / "model"), False)):
        service = create_app(ServeSettings(), clap=CLAP.from_pretrained(model))
        try:
            cards = TestClient(service, base_url="http://localhost").get("/v1/models").json()["data"]
        finally:
            service.state.engine.close()
        (loaded,) = (card for card in cards if card["loaded"])
        assert loaded["calibrated"] is calibrated
        known = {card["id"]: card for card in cards}["mini"]  # what `openclap models` tells
        assert (known["parameters"], known["rate"], known["licence"]) == (15.0, 32_000, "Apache-2.0")
