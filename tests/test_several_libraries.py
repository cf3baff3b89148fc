"""`--library A --library B`: the best of both, as if all files were in one."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from models_for_tests import small_clap
from typer.testing import CliRunner

from openclap import CLAP, Library
from openclap.cli.app import app
from openclap.errors import LibraryError, LibraryMismatch, LibraryWarning
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


def test_an_empty_library_is_told_and_the_others_are_searched(place: Path, clap: CLAP, tmp_path: Path) -> None:
    """One empty library among several stopped the whole search: "holds no sounds yet"."""
    emptied = Library.open(tmp_path / "emptied", model=clap)
    emptied.add(place / "sounds" / "rain_1.wav")
    emptied.forget([place / "sounds" / "rain_1.wav"])
    (tmp_path / "new").mkdir()
    some = SeveralLibraries.open([tmp_path / "new", place / "a", tmp_path / "emptied", place / "b"], clap)
    with pytest.warns(LibraryWarning, match=r"holds no sounds yet; the others are searched") as told:
        found = some.search("rain", 5, by="sound")
    assert [str(one.message).split()[0] for one in told] == [str(tmp_path / "new"), str(tmp_path / "emptied")]
    both = SeveralLibraries.open([place / "a", place / "b"], clap)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # told once
        assert [hit.path for hit in found] == [hit.path for hit in both.search("rain", 5, by="sound")]
        assert some.moments("rain", 3, fine=False) == both.moments("rain", 3, fine=False)
        assert some.stats() == both.stats()


def test_nothing_but_empty_libraries(clap: CLAP, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    none = SeveralLibraries.open([tmp_path / "one", tmp_path / "two"], clap)
    for ask in (none.search, none.moments):
        with pytest.raises(LibraryError, match="one holds no sounds yet"):
            ask("rain")


def test_a_wrong_path_is_an_error(place: Path, clap: CLAP) -> None:
    """A path that was spelt wrong may not become answers of the other libraries alone."""
    with pytest.raises(LibraryError, match="lib-that-is-not: there is no library; check the path"):
        SeveralLibraries.open([place / "a", place / "lib-that-is-not"], clap)
    with pytest.raises(LibraryError, match="is a file"):
        SeveralLibraries.open([place / "a", place / "sounds" / "rain_1.wav"], clap)


def test_the_command_line_tells_of_an_empty_one(place: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    both = ["--library", str(place / "a"), "--library", str(tmp_path / "new")]
    for verb, count in (("search", 7), ("moments", 5)):
        options = ["-k", "12", "--model", str(place / "model"), "--json"]
        with pytest.warns(LibraryWarning, match="new holds no sounds yet; the others are searched"):
            run = CliRunner().invoke(app, [verb, "rain", *both, *options])
        assert run.exit_code == 0, run.output
        assert run.stdout.count('"path"') >= count


def test_another_model_is_refused(place: Path, tokenizer_file: Path) -> None:
    other = small_clap(tokenizer_file, fusion=None, seed=5)
    with pytest.raises(LibraryMismatch):
        SeveralLibraries.open([place / "a", place / "b"], other)
