"""`--library A --library B`: the best of both, as if all files were in one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from models_for_tests import small_clap
from typer.testing import CliRunner

from openclap import CLAP, Library
from openclap.cli.app import app
from openclap.errors import LibraryMismatch
from openclap.library.several import SeveralLibraries

RATE = 16_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tokenizer_file: Path) -> Path:
    """A model, and twelve sounds: all in one library, and parted between two that share one."""
    place = tmp_path_factory.mktemp("several")
    small_clap(tokenizer_file, fusion=None).save_pretrained(place / "model")
    (place / "sounds").mkdir()
    files = []
    for i in range(12):
        wave = np.random.default_rng(i).standard_normal(RATE * (2 + i)).astype(np.float32) * 0.1
        wave *= np.sin(np.arange(len(wave)) / (3 + 2 * i)).astype(np.float32)
        files.append(place / "sounds" / f"{'dog' if i % 4 == 0 else 'rain'}_{i}.wav")
        sf.write(files[-1], wave, RATE)
    clap = CLAP.from_pretrained(place / "model")
    for name, some in (("all", files), ("a", files[:7]), ("b", files[6:])):
        Library.open(place / name, model=clap).add(some)
    return place


@pytest.fixture(scope="module")
def clap(place: Path) -> CLAP:
    return CLAP.from_pretrained(place / "model")


@pytest.mark.parametrize("by", ["both", "sound", "names"])
def test_the_best_of_both_is_the_best_of_all(place: Path, clap: CLAP, by: str) -> None:
    one, both = Library.open(place / "all", model=clap), SeveralLibraries.open([place / "a", place / "b"], clap)
    expected, found = one.search("rain", 5, by=by), both.search("rain", 5, by=by)  # type: ignore[arg-type]
    value = [hit.score if hit.relevance is None else hit.relevance for hit in found]
    assert value == sorted(value, reverse=True)
    assert len({hit.path for hit in found}) == 5  # the one that both hold is there once
    assert found.by == expected.by == by
    if by == "sound":  # relevance weighs words by how rare they are in a library
        assert [(hit.path, hit.start) for hit in found] == [(hit.path, hit.start) for hit in expected]


def test_moments_are_merged(place: Path, clap: CLAP) -> None:
    both = SeveralLibraries.open([place / "a", place / "b", place / "a"], clap)
    assert len(both.libraries) == 2
    found = both.moments("rain", 6, fine=False)
    assert [moment.score for moment in found] == sorted((moment.score for moment in found), reverse=True)
    assert len({(moment.path, moment.start) for moment in found}) == len(found) == 6


def test_the_command_line_asks_several(place: Path) -> None:
    of = ["--model", str(place / "model"), "--json", "-q"]
    both = ["--library", str(place / "a"), "--library", str(place / "b")]
    run = CliRunner().invoke(app, ["search", "rain", *both, "-k", "12", *of])
    assert run.exit_code == 0, run.output
    assert len({json.loads(line)["path"] for line in run.output.splitlines() if line.startswith("{")}) == 12
    run = CliRunner(env={"OPENCLAP_LIBRARY": str(place / "b")}).invoke(app, ["search", "rain", *of, "-k", "12"])
    assert run.output.count('"rank"') == 6
    for more, why in (
        ([str(place / "sounds")], "paths are indexed into one library"),
        (["--collect", "wet"], "a collection is of one library"),
    ):
        assert why in str(CliRunner().invoke(app, ["search", "rain", *more, *both, *of]).exception)


def test_another_model_is_refused(place: Path, tokenizer_file: Path) -> None:
    other = small_clap(tokenizer_file, fusion=None, seed=5)
    with pytest.raises(LibraryMismatch):
        SeveralLibraries.open([place / "a", place / "b"], other)
