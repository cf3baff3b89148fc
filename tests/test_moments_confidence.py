"""How sure a moment is: as sure as search is of the same window, in a library, a recording, a file and on the command line."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

from openclap import CLAP, Library
from openclap.cli.app import app
from openclap.confidence import confidence_curves, reference_bank
from openclap.errors import UsageError
from openclap.library import moments_in, write_moments
from openclap.synth import synthesise

RATE = 32_000


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of waves, then four of a cricket."""
    rng = np.random.default_rng(3)
    parts = [
        synthesise(kind, rng, rate=RATE, seconds=seconds)[0] for kind, seconds in (("sea waves", 8.0), ("cricket", 4.0))
    ]
    path = tmp_path_factory.mktemp("moments") / "shore.wav"
    sf.write(path, np.concatenate([0.3 * part / np.abs(part).max() for part in parts]), RATE)
    return path


def test_a_moment_is_as_sure_as_search_is_of_its_window(clap: CLAP, recording: Path, tmp_path: Path) -> None:
    """Moments had a cosine alone, which says little: 0.3 may be sure of one thing and no sign of another."""
    library = Library.open(tmp_path / "library", model=clap)
    library.add(recording)
    (hit,) = library.search("a cricket", 1)
    moment = library.moments("a cricket", 1, fine=False)[0]
    assert moment.confidence is not None
    assert (moment.score, moment.confidence) == pytest.approx((hit.score, hit.confidence), abs=1e-4)
    by_sound = library.moments(recording, 1, fine=False)[0]
    assert by_sound.confidence == pytest.approx(
        library.search(recording, 1)[0].confidence, abs=2e-3
    )  # rows of a library are rounded
    library.close()


def test_windows_that_begin_at_every_sample_are_refused(clap: CLAP) -> None:
    """A hop of 0.0001 s over fifteen seconds ran for more than ten minutes."""
    with pytest.raises(UsageError, match=r"hop is 0\.0001 s; it must be 0\.05 s or more"):
        moments_in(clap, (np.zeros(16_000, np.float32), 16_000), "a cricket", hop=0.0001)


def test_moments_of_a_recording_are_as_sure_as_their_best_window(clap: CLAP, recording: Path) -> None:
    found = moments_in(clap, recording, "a cricket", 3, fine=False)
    windows = clap.encode_windows(recording, window=1.0, hop=1.0)
    text = clap.encode_text("a cricket")[0]
    best = int((windows.embedding @ text).argmax())
    sure = reference_bank(clap).confidence(text, windows.embedding[best], words=True)
    assert found[0].confidence == pytest.approx(sure, abs=1e-4)
    fine = moments_in(clap, recording, "a cricket", 1)[0]
    assert fine.confidence is not None
    assert fine.start >= 6.5  # where the cricket is
    there = moments_in(clap, recording, "a string quartet", 1)[0].confidence
    assert there is not None
    assert there < fine.confidence


def test_moments_as_files_say_how_sure(clap: CLAP, recording: Path, tmp_path: Path) -> None:
    found = moments_in(clap, recording, "a cricket", 1, fine=False)
    write_moments(found, tmp_path / "m.csv", "cricket")
    write_moments(found, tmp_path / "m.json", "cricket")
    with (tmp_path / "m.csv").open(encoding="utf-8", newline="") as file:
        assert float(next(csv.DictReader(file))["confidence"]) == pytest.approx(found[0].confidence, abs=1e-4)
    assert json.loads((tmp_path / "m.json").read_text())["moments"] == [found[0].to_dict()]


def test_the_command_says_when_nothing_is_there(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three moments with a bar each were shown for what was not there at all."""
    monkeypatch.setenv("OPENCLAP_MODEL", "mini")
    run = CliRunner()
    done = run.invoke(app, ["moments", str(recording), "a string quartet playing", "--json"])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows
    assert all(0 <= row["confidence"] <= 1 for row in rows)
    sure = max(row["confidence"] for row in rows)
    real = confidence_curves
    monkeypatch.setattr(
        "openclap.library.moments.confidence_curves", lambda config: replace(real(config), unlikely=sure + 0.01)
    )
    assert "nothing here sounds like that" in _said(run, recording)
    monkeypatch.setattr(
        "openclap.library.moments.confidence_curves", lambda config: replace(real(config), unlikely=sure - 0.01)
    )
    assert "nothing here sounds like that" not in _said(run, recording)


def _said(run: CliRunner, recording: Path) -> str:
    """Both streams of the command."""
    done = run.invoke(app, ["moments", str(recording), "a string quartet playing"])
    assert done.exit_code == 0, done.output
    return done.output
