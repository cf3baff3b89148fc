"""A search that shows nothing says where it looked, what is there, and what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from conftest import long_wave
from models_for_tests import small_clap
from typer.testing import CliRunner

from openclap.cli.app import app
from openclap.cli.show import short

RATE = 16_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tokenizer_file: Path) -> Path:
    place = tmp_path_factory.mktemp("nothing")
    small_clap(tokenizer_file).save_pretrained(place / "model")
    for folder in ("sounds/rain", "sounds/empty", "alone"):
        (place / folder).mkdir(parents=True)
    for i in range(2):
        sf.write(place / "sounds" / "rain" / f"{i}.wav", long_wave(1, RATE, seed=i), RATE)
    sf.write(place / "alone" / "a.wav", long_wave(1, RATE, seed=7), RATE)
    assert run(place, "index", str(place / "sounds"))[0] == 0
    return place


def run(place: Path, *args: str, library: str = "library") -> tuple[int, str]:
    options = ["--library", str(place / library), "--model", str(place / "model")]
    done = CliRunner().invoke(app, [*args, *options])
    return done.exit_code, " ".join(f"{done.output} {done.exception or ''}".split())


def told_as(place: Path, *below: str) -> str:
    """A path below the sounds, as the command line shows it: relative where that is shorter from where tests run."""
    return short(str(place.joinpath("sounds", *below)))


def test_a_path_that_is_not_there_within_an_indexed_folder(place: Path) -> None:
    """It said "nothing in the library passes these filters", though none was given."""
    for verb in (["search", "rain"], ["similar", str(place / "alone" / "a.wav")]):
        code, told = run(place, *verb, str(place / "sounds" / "nothere"))
        assert code == 1
        assert "filters" not in told
        assert f"no sound in {told_as(place, 'nothere')}, which is not there, but 2 sounds in {told_as(place)}" in told
        assert "check the path, or leave it out to search the whole library" in told
        assert told.count("nothere") == 1, "said once"


def test_words_without_quotes_and_duplicates_of_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second word was a path that is not there, and nothing said why; there were "0 groups" in what is not there."""
    monkeypatch.chdir(place)
    code, told = run(place, "search", "creaky", "door")
    assert (code, "several words to look for stand in quotes" in told) == (1, True)
    done = CliRunner().invoke(app, ["duplicates", "nothere", "--library", str(place / "library")])
    assert done.stdout == "0 groups\n"
    assert "the library holds no sound in nothere, which is not there" in done.stderr


def test_the_same_with_json_and_in_a_new_library(place: Path) -> None:
    code, told = run(place, "search", "rain", str(place / "sounds" / "nothere"), "--json")
    assert (code, "which is not there" in told) == (1, True)
    code, told = run(place, "search", "rain", str(place / "nothere"), library="new")
    assert code != 0
    assert "nothere: no such file" in told


def test_a_folder_without_sounds_is_told_by_name(place: Path) -> None:
    code, told = run(place, "search", "rain", str(place / "sounds" / "empty"))
    assert (code, f"no sounds in {place}/sounds/empty; give a folder that holds some" in told) == (1, True)
    code, told = run(place, "recommend", "--like", "rain", "--in", str(place / "sounds" / "empty"))
    assert f"no sound in {told_as(place, 'empty')}, but 2 sounds in {told_as(place)}" in told
    assert "add them: openclap index FOLDER" in told


def test_of_filters_it_says_which(place: Path) -> None:
    code, told = run(place, "search", "rain", "--tag", "wet")
    assert code == 0
    assert "none of the 2 sounds of the library passes --tag; ask for less, or leave it out" in told
    code, told = run(place, "search", "rain", str(place / "sounds" / "rain"), "--tag", "wet", "--min-seconds", "9")
    assert (
        f"none of the 2 sounds in {told_as(place, 'rain')} passes --min-seconds and --tag; ask for less, or leave one out"
        in told
    )


@pytest.mark.parametrize("verb", [["search"], ["moments"], ["recommend", "--like"]])
def test_of_facts_and_words_in_quotes_it_says_which(place: Path, verb: list[str]) -> None:
    """ "There is no other sound than what was given", it said, though the query asked for what no file is."""
    code, told = run(place, *verb, 'rain artist:Nobody "night owl"')
    assert code == 0
    assert 'none of the 2 sounds of the library passes "night owl" and artist:Nobody; ask for less' in told


def test_a_library_in_which_nothing_is_heard(place: Path) -> None:
    """It had a dog in it, 96 %."""
    sf.write(place / "alone" / "nothing.wav", np.zeros(8_000), 16_000)
    code, told = run(place, "search", "a dog barking", str(place / "alone" / "nothing.wav"), library="silent")
    assert code == 0
    assert "nothing is heard in the 1 sound in" in told
    (place / "alone" / "nothing.wav").unlink()


def test_a_library_of_what_was_given_alone(place: Path) -> None:
    """ "nothing in the library passes these filters" it was, without any."""
    assert run(place, "index", str(place / "alone"), library="one")[0] == 0
    for verb in (["similar", str(place / "alone" / "a.wav")], ["recommend", "--like", str(place / "alone" / "a.wav")]):
        code, told = run(place, *verb, library="one")
        assert code == 0
        assert "no other sound than what was given among the 1 sound of the library; add more" in told
