"""Runs and processes beside each other: one run a folder, one process that speaks."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from openclap.cli import app, finetune
from openclap.cli import train as verbs
from openclap.errors import SoundWarning, TrainingError
from openclap.train.distributed import Ranks, is_first, same_outcome
from openclap.train.finetuning.task import FinetuneReport
from openclap.train.preflight import lock_folder
from openclap.train.settings import Settings
from openclap.train.task import Report


def test_two_runs_into_one_folder_refuse_each_other(tmp_path: Path) -> None:
    """They wrote over each other's states and models."""
    settings = Settings(sources=(), out="a/model", folder=tmp_path)
    with lock_folder(settings):
        with (
            pytest.raises(TrainingError, match=r"a/model: another run trains into it; wait for its end"),
            lock_folder(settings),
        ):
            pass
        with lock_folder(Settings(sources=(), out="a/other", folder=tmp_path)):
            pass
        (tmp_path / "a/model/log.csv").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "log.csv", "model"]  # nothing else is left
    with lock_folder(settings):
        pass


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the second of two."""
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "1"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("second")
def test_only_the_first_process_tells_results(capsys: pytest.CaptureFixture[str]) -> None:
    """Four processes printed four reports."""
    report = Report("out", 1, 2, 0.5, 3.0)
    for as_json in (False, True):
        verbs._tell(report, as_json)
        finetune._tell(FinetuneReport(report, None), as_json)
    assert capsys.readouterr().out == ""
    assert not is_first()


@pytest.mark.parametrize("launched", [{}, {"RANK": "1"}, {"WORLD_SIZE": "2", "RANK": "0"}])
def test_a_process_alone_tells_its_own(launched: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in launched.items():
        monkeypatch.setenv(name, value)
    verbs._tell(Report("out", 1, 2, 0.5, 3.0), False)
    assert "2 steps in 3 s" in capsys.readouterr().out
    with pytest.raises(TrainingError) as raised, same_outcome():
        raise TrainingError("x")
    assert not raised.value.quiet


@pytest.mark.usefixtures("second")
def test_what_all_processes_see_is_told_by_the_first(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with same_outcome():
            warnings.warn("2 sounds are left out", SoundWarning, stacklevel=1)
    with pytest.raises(TrainingError) as raised, same_outcome():
        raise TrainingError("sources: nothing there")

    def fails() -> None:
        raise raised.value

    monkeypatch.setattr(app, "app", fails)
    assert app._run() == 2
    assert capsys.readouterr().err == ""
    with Ranks(0, 2).same_outcome(), pytest.warns(SoundWarning):
        warnings.warn("told", SoundWarning, stacklevel=1)
