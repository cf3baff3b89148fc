"""The command line as a person and as a program meet it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from conftest import long_wave
from models_for_tests import small_clap

from openclap import CLAP, confidence

RATE = 16_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tokenizer_file: Path) -> Path:
    place = tmp_path_factory.mktemp("cli")
    small_clap(tokenizer_file).save_pretrained(place / "model")
    bank = place / ".cache" / "openclap" / "background"
    bank.mkdir(parents=True)
    clap = CLAP.from_pretrained(place / "model")
    confidence.save_banks(bank / f"{clap.fingerprint}-{confidence.VERSION}.npz", confidence.reference_bank(clap))
    sounds = place / "sounds"
    sounds.mkdir()
    for i in range(3):
        sf.write(sounds / f"good {i}.wav", long_wave(1 + i, RATE, seed=i), RATE)
    sf.write(place / "long.wav", long_wave(30, RATE), RATE)
    (place / "empty.wav").touch()
    (place / "text.wav").write_text("I am no sound")
    sf.write(place / "nan.wav", np.array([0.1, np.nan]), RATE, subtype="FLOAT")
    return place


def run(place: Path, *args: str, model: bool = True) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(place),
        "OPENCLAP_LIBRARY": str(place / "library"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": ":".join(sys.path),
    }
    if model:
        env["OPENCLAP_MODEL"] = str(place / "model")
    return subprocess.run(
        [sys.executable, "-m", "openclap.cli.app", *args],
        capture_output=True,
        text=True,
        env=env,
        cwd=place,
        check=False,
    )


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", ["empty.wav", "text.wav", "nan.wav", "missing.wav"])
def test_a_bad_file_is_one_line_on_stderr(place: Path, name: str) -> None:
    done = run(place, "classify", name, "--labels", "dog, rain")
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_classify_goes_on_after_a_bad_file(place: Path) -> None:
    done = run(place, "classify", "empty.wav", "sounds/good 0.wav", "--labels", "dog， rain", "--json")
    assert done.returncode == 1
    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert row["sound"] == "sounds/good 0.wav"
    assert {label["label"] for label in row["labels"]} == {"dog", "rain"}
    assert set(row["labels"][0]) == {"label", "score", "similarity"}


def test_match_json(place: Path) -> None:
    found = rows(run(place, "match", "sounds/good 1.wav", "a dog", "rain", "--json"))
    assert [set(row) for row in found] == [{"sound", "text", "score"}] * 2
    assert [row["text"] for row in found] == ["a dog", "rain"]


def test_index_search_library(place: Path) -> None:
    done = run(place, "index", "sounds", "text.wav", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout.splitlines()[-1])
    assert (report["added"], [Path(f["path"]).name for f in report["failed"]]) == (3, ["text.wav"])
    again = rows(run(place, "index", "sounds", "--json"))[-1]
    assert again == {"added": 0, "unchanged": 3, "updated": 0, "removed": 0, "kept_missing": 0, "failed": []}
    hits = rows(run(place, "search", "a dog", "-k", "2", "--json"))
    assert [row["rank"] for row in hits] == [1, 2]
    fields = {"rank", "path", "start", "end", "score", "confidence", "relevance", "named"}
    assert set(hits[0]) == fields | ({"unlikely"} if hits[0].get("unlikely") else set())
    same = rows(run(place, "search", "--sound", "sounds/good 2.wav", "-k", "1", "--json"))
    assert same[0]["path"].endswith("good 2.wav")
    inside = rows(run(place, "search", "a dog", "long.wav", "--json"))
    assert [Path(row["path"]).name for row in inside] == ["long.wav"]
    stats = rows(run(place, "library", "--json"))[0]
    assert (stats["files"], stats["model"]) == (4, "small")


def test_moments_json(place: Path) -> None:
    found = rows(run(place, "moments", "long.wav", "rain", "--json"))
    assert found
    assert all(row["path"] == "long.wav" and 0 <= row["start"] < row["end"] <= 30 for row in found)


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_embed(place: Path, suffix: str) -> None:
    summary = rows(run(place, "embed", "sounds", "long.wav", "-o", f"out{suffix}", "--windows", "--json"))[0]
    assert (summary["files"], summary["embeddings"], summary["size"], summary["failed"]) == (4, 8, 24, [])
    if suffix == ".npz":
        data = np.load(place / "out.npz")
        assert data["embedding"].shape == (8, 24)
        assert np.allclose(np.linalg.norm(data["embedding"], axis=1), 1, atol=1e-5)
        assert data["start"].tolist()[-5:] == [0, 5, 10, 15, 20]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("classify", "long.wav"), "--labels"),
        (("search", "dog", "-k", "0"), "is too small; give 1 or more"),
        (("search",), "say what to look for"),
        (("match", "long.wav", "dog", "--model", "nonsense"), "not a model"),
        (("embed", "long.wav", "-o", "x.csv"), ".npz or .parquet"),
        (("index", "sounds", "--library", "long.wav"), "is a file"),
        (("nonsense",), "nonsense"),
        (("train", "missing.yaml"), "missing.yaml"),
    ],
)
def test_wrong_use_exits_with_2_and_says_why(place: Path, args: tuple[str, ...], words: str) -> None:
    done = run(place, *args)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_is_for_people(place: Path) -> None:
    done = run(place, "match", "sounds/good 1.wav", "a dog [red]")
    assert done.returncode == 0
    assert "a dog [red]" in done.stdout
    assert "\x1b" not in done.stdout  # no colours where nobody sees them


def test_short_help_quiet_and_verbose(place: Path) -> None:
    """-h was no option, and an error of a library had no traceback that could be asked for."""
    assert run(place, "search", "-h").stdout == run(place, "search", "--help").stdout != ""
    assert run(place, "data", "pack", "-h").returncode == 0
    told = run(place, "match", "nowhere.wav", "a dog")
    asked = run(place, "match", "nowhere.wav", "a dog", "-v")
    assert "Traceback" not in told.stderr
    assert "Traceback" in asked.stderr
    assert asked.stderr.endswith(told.stderr)
    remark = "confidences were not fitted"
    assert [remark in run(place, "describe", "long.wav", "--labels", "rain", *q).stderr for q in ((), ("-q",))] == [
        True,
        False,
    ]


def test_completion_can_be_installed(place: Path) -> None:
    assert "--install-completion" in run(place, "-h").stdout


def test_help_version_models_and_doctor(place: Path) -> None:
    assert "search" in run(place).stdout
    assert run(place, "--version").stdout.strip()[0].isdigit()
    names = [row["name"] for row in rows(run(place, "models", "--json"))]
    assert rows(run(place, "models", "--for", "birds", "--json"))[0]["trained_on"].startswith("AnimalSpeak")
    assert "the first was trained on music above all" in run(place, "models", "--for", "music").stdout
    assert names[:2] == ["mini", "laion/clap-htsat-fused"]
    report = rows(run(place, "doctor", "--json"))[0]
    assert report["findings"] == []
    missing = run(place, "pull", "laion/clap-htsat-fused")
    assert missing.returncode == 2
    assert "openclap pull laion/clap-htsat-fused" in missing.stderr


def test_the_demo_writes_over_nothing_of_others(place: Path) -> None:
    mine = place / "project" / "library"
    mine.mkdir(parents=True)
    (mine / "song.wav").write_text("precious")
    done = run(place, "demo", "project", model=False)
    assert done.returncode == 2
    assert "holds something else" in done.stderr
    assert (mine / "song.wav").read_text() == "precious"


def test_a_name_that_is_no_utf8_stays_json(place: Path) -> None:
    folder = place / "odd names"
    folder.mkdir()
    name = os.fsencode(folder) + b"/bad\xff:dog:.wav"
    with open(name, "wb") as file:  # noqa: PTH123
        sf.write(file, long_wave(1, RATE), RATE, format="WAV")
    done = run(place, "search", "dog", str(folder), "--json", "--library", "odd")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["path"].endswith(":dog:.wav")
    table = run(place, "search", "dog", str(folder), "--library", "odd")
    assert table.returncode == 0, table.stderr
    assert ":dog:.wav" in table.stdout


def test_a_name_does_not_command_the_terminal(place: Path) -> None:
    """A file from elsewhere could set the window's title, or write over what was said of others."""
    done = run(place, "match", "\x1b]0;owned\x07\x9b2J.wav", "dog")
    assert done.returncode == 1
    assert not {"\x1b", "\x07", "\x9b"} & set(done.stderr)
    assert "\\x1b]0;owned\\x07" in done.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("match", "~nosuchuser/x.wav", "dog"), "no such file"),
        (("index", ""), "a path is empty"),
        (("match", "long.wav", ""), "a text is empty"),
        (("search", "dog", "sounds", "--threads", "99999999"), "at most 1024"),
        (("search", "dog", "--library", "http://bucket/x"), "is no place for a library"),
        (("index", "sounds", "--engine", "ray"), "give one in LanceDB"),
        (("index", "sounds", "--engine", "spark"), "is not one of"),
        (("embed", "sounds", "-o", "nowhere/x.npz"), "folder does not exist"),
        (("embed", "empty.wav", "-o", "x.npz"), "was not written"),
        (("search", "dog", "no-such.wav", "--library", "fresh"), "no such file"),
    ],
)
def test_wrong_use_is_one_line(place: Path, args: tuple[str, ...], words: str) -> None:
    done = run(place, *args)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert words in done.stderr
    assert not done.stdout


def test_labels_from_a_spreadsheet(place: Path) -> None:
    """Excel and Notepad begin a file with a byte order mark; a label given twice is one label."""
    (place / "labels.txt").write_bytes("\ufeffdog\nrain\ndog\n".encode())
    done = run(place, "classify", "long.wav", "--labels-file", "labels.txt", "--json")
    assert {row["label"] for row in json.loads(done.stdout)["labels"]} == {"dog", "rain"}
    assert len(json.loads(done.stdout)["labels"]) == 2


def test_a_stopped_index_keeps_what_it_has_and_says_so(place: Path) -> None:
    sounds = place / "many"
    sounds.mkdir()
    for i in range(40):
        sf.write(sounds / f"{i:02}.wav", long_wave(1, RATE, seed=i), RATE)
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(place),
        "OPENCLAP_MODEL": str(place / "model"),
        "PYTHONPATH": ":".join(sys.path),
    }
    # two batches, committed one by one, then a third that takes until the signal comes
    slow = """
import itertools, time, openclap.clap.runtime, openclap.library.indexing
openclap.library.indexing.COMMIT_SECONDS = 0
number, runtime = itertools.count(), openclap.clap.runtime.Runtime
encode = runtime.encode_audio
def slowly(*given):
    if next(number) == 2:
        print("third", flush=True)
        time.sleep(60)
    return encode(*given)
runtime.encode_audio = slowly
from openclap.cli.app import main
main()
"""
    done = subprocess.Popen(
        [sys.executable, "-c", slow, "index", "many", "--library", "stopped"],
        cwd=place,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.stdout is not None
    assert done.stdout.readline() == "third\n"
    done.send_signal(signal.SIGTERM)
    _, told = done.communicate(timeout=60)
    assert done.returncode == 130
    assert "interrupted; what was finished is kept" in told
    stats = json.loads(run(place, "library", "--library", "stopped", "--json").stdout)
    assert 0 < stats["files"] < 40
