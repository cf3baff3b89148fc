"""Folders without sounds: one sentence that names them and says what to do, whatever the verb."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from models_for_tests import small_clap
from typer.testing import CliRunner

from openclap.cli.app import app
from openclap.errors import UsageError

RATE = 16_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tokenizer_file: Path) -> Path:
    place = tmp_path_factory.mktemp("nothing")
    small_clap(tokenizer_file).save_pretrained(place / "model")
    for name in ("sounds", "empty", "texts"):
        (place / name).mkdir()
    sf.write(place / "sounds" / "a.wav", np.random.default_rng(0).uniform(-0.3, 0.3, RATE), RATE)
    (place / "texts" / "notes.txt").write_text("rain")
    return place


def ask(place: Path, *args: str) -> Any:
    return CliRunner().invoke(app, [*args, "--model", str(place / "model")])


def refused(place: Path, *args: str) -> str:
    done = ask(place, *args)
    assert isinstance(done.exception, UsageError), done.output
    assert done.stdout == ""
    return str(done.exception)


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("folder", ["empty", "texts"])
def test_a_search_in_a_folder_without_sounds(place: Path, tmp_path: Path, folder: str, filled: bool) -> None:
    """In a new library it was told to "fill it with openclap index FOLDER", in another that "nothing passes these filters"."""
    library = ["--library", str(tmp_path / "library")]
    if filled:
        assert ask(place, "index", str(place / "sounds"), *library).exit_code == 0
    wanted = f"no sounds in {place / folder}; give a folder that holds some"
    assert refused(place, "search", "rain", str(place / folder), *library).startswith(wanted)
    assert refused(place, "similar", str(place / "sounds" / "a.wav"), str(place / folder), *library).startswith(wanted)


def test_what_a_library_holds_is_searched_though_its_disk_is_away(place: Path, tmp_path: Path) -> None:
    library = ["--library", str(tmp_path / "library")]
    (tmp_path / "nas").mkdir()
    sf.write(tmp_path / "nas" / "b.wav", np.random.default_rng(1).uniform(-0.3, 0.3, RATE), RATE)
    assert ask(place, "index", str(tmp_path / "nas"), *library).exit_code == 0
    (tmp_path / "nas" / "b.wav").unlink()
    done = ask(place, "search", "rain", str(tmp_path / "nas"), *library)
    assert "1 hit left out" in done.stderr


@pytest.mark.parametrize("args", [[], ["--timeline"], ["--timeline", "-o", "{out}"], ["-o", "{out}.json"]])
def test_describing_a_folder_without_sounds(place: Path, tmp_path: Path, args: list[str]) -> None:
    """It printed nothing, and exit 0."""
    out = [arg.format(out=tmp_path / "out") for arg in args]
    told = refused(place, "describe", str(place / "empty"), "--labels", "rain, dog bark", *out)
    assert told.startswith(f"no sounds in {place / 'empty'}; give")
    assert list(tmp_path.iterdir()) == []


def test_descriptions_stay_where_a_disk_is_not_mounted(place: Path, tmp_path: Path) -> None:
    """The descriptions of all its sounds left the file."""
    (tmp_path / "nas").mkdir()
    sf.write(tmp_path / "nas" / "b.wav", np.random.default_rng(1).uniform(-0.3, 0.3, RATE), RATE)
    args = ["describe", str(tmp_path / "nas"), "--labels", "rain, dog bark", "-o", str(tmp_path / "out.json")]
    assert ask(place, *args).exit_code == 0
    before = json.loads((tmp_path / "out.json").read_text())
    (tmp_path / "nas" / "b.wav").unlink()
    refused(place, *args)
    assert json.loads((tmp_path / "out.json").read_text()) == before


def test_embedding_a_folder_without_sounds(place: Path, tmp_path: Path) -> None:
    assert str(place / "empty") in refused(place, "embed", str(place / "empty"), "-o", str(tmp_path / "out.npz"))


def test_indexing_nothing_says_so(place: Path, tmp_path: Path) -> None:
    done = ask(place, "index", str(place / "empty"), "--json", "--library", str(tmp_path / "library"))
    assert (done.exit_code, json.loads(done.stdout)["added"]) == (0, 0)
    assert "no sounds in what was given" in done.stderr
    done = ask(place, "index", str(place / "sounds"), "--library", str(tmp_path / "library"))
    assert "no sounds" not in done.stderr
