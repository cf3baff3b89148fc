"""`openclap moments` looks into a recording, and through a library; `search --moments` is its older spelling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

from openclap.cli.app import app
from openclap.cli.show import short
from openclap.errors import UsageError
from openclap.synth import synthesise

RATE = 32_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of two recordings."""
    folder = tmp_path_factory.mktemp("moments verb")
    (folder / "sounds").mkdir()
    for name, kind in (("shore", "rain"), ("street", "siren")):
        wave = synthesise(kind, np.random.default_rng(1), rate=RATE, seconds=4.0)[0]
        sf.write(folder / "sounds" / f"{name}.wav", wave, RATE)
    done = CliRunner().invoke(app, ["index", str(folder / "sounds"), "--library", str(folder / "library")])
    assert done.exit_code == 0, done.output
    return folder


def ask(folder: Path, *words: str, library: bool = True) -> list[dict[str, Any]]:
    place = ["--library", str(folder / "library")] * library
    done = CliRunner().invoke(app, [*words, "--json", "-q", *place], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def names(rows: list[dict[str, Any]]) -> set[str]:
    return {Path(row["path"]).name for row in rows}


def test_without_a_recording_the_library_is_looked_through(folder: Path, tmp_path: Path) -> None:
    """Two verbs did it, each with options that the other lacked."""
    found = ask(folder, "moments", "rain")
    assert names(found) == {"shore.wav", "street.wav"}
    assert found == ask(folder, "search", "rain", "--moments", "-k", "5")
    assert names(ask(folder, "moments", "rain", "--path", "*/st*")) == {"street.wav"}
    assert names(ask(folder, "moments", "--sound", str(folder / "sounds" / "shore.wav"), "-k", "1")) == {"shore.wav"}
    ask(folder, "moments", "rain", "-o", str(tmp_path / "m.csv"))
    assert "shore.wav" in (tmp_path / "m.csv").read_text()


def test_with_a_recording_nothing_else_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library in the environment is no library that was asked for."""
    monkeypatch.setenv("OPENCLAP_LIBRARY", str(folder / "library"))
    assert names(ask(folder, "moments", str(folder / "sounds" / "shore.wav"), "rain", library=False)) == {"shore.wav"}
    assert len(names(ask(folder, "moments", "rain", library=False))) == 2


def test_several_questions_are_answered_apart(folder: Path, tmp_path: Path) -> None:
    """Each question was a run of its own, which listened to the whole recording."""
    sound, csv, labels = str(folder / "sounds" / "shore.wav"), tmp_path / "m.csv", tmp_path / "m.txt"
    one = ask(folder, "moments", sound, "rain", library=False)
    both = ask(folder, "moments", sound, "rain", "a siren", "-o", str(csv), library=False)
    assert [{**row, "query": "rain"} for row in one] == [row for row in both if row["query"] == "rain"]
    assert [row["query"] for row in both] == ["rain"] * len(one) + ["a siren"] * (len(both) - len(one))
    assert [line.split(",")[4] for line in csv.read_text().splitlines()[1:]] == [row["query"] for row in both]
    ask(folder, "moments", sound, "rain", "a siren", "-o", str(labels), library=False)
    assert {line.split("\t")[2].rpartition(" ")[0] for line in labels.read_text().splitlines()} == {"rain", "a siren"}
    ask(folder, "moments", sound, "rain", "a siren", "-o", str(tmp_path / "m.json"), library=False)
    saved = json.loads((tmp_path / "m.json").read_text())
    assert [group["query"] for group in saved["queries"]] == ["rain", "a siren"]
    assert {row["query"] for row in ask(folder, "moments", "rain", "a siren")} == {"rain", "a siren"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["moments", "shore.wav", "rain", "--library", "library"], "look into shore.wav, or through --library"),
        (["moments", "shore.wav"], "say what to look for"),
        (["moments"], "say what to look for"),
        (["search", "rain", "-o", "m.csv"], "openclap moments QUERY -o FILE"),
        (["search", "rain", "--moments", "--windows"], "leave --not and --windows out"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)


def test_several_questions_without_a_recording_are_told_what_to_name() -> None:
    """ "a dog: no such file" said nothing of what to do."""
    done = CliRunner().invoke(app, ["moments", "a dog", "rain"])
    assert isinstance(done.exception, UsageError)
    assert str(done.exception).startswith("a dog is no file; give a recording first, or name the --library")


def test_a_silent_recording_is_told(tmp_path: Path) -> None:
    """It printed nothing at all."""
    sf.write(tmp_path / "nothing.wav", np.zeros(RATE), RATE)
    done = CliRunner().invoke(app, ["moments", str(tmp_path / "nothing.wav"), "rain"])
    assert done.exit_code == 0, done.output
    assert f"nothing is heard in {short(str(tmp_path / 'nothing.wav'))}" in done.stderr
