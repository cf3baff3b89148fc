"""What differs between systems, as far as it can be seen from one of them; `make check` types the code for each."""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path

import pytest

from openclap.cli import options
from openclap.cli.show import emit
from openclap.cli.watch import _arguments
from openclap.errors import UsageError
from openclap.watch import Command, Event


def test_a_command_of_windows_keeps_its_backslashes(monkeypatch: pytest.MonkeyPatch) -> None:
    line = r'"C:\Program Files\tell.exe" --to C:\events\new'
    monkeypatch.setattr(sys, "platform", "win32")
    assert _arguments(line) == [r"C:\Program Files\tell.exe", "--to", r"C:\events\new"]
    monkeypatch.setattr(sys, "platform", "linux")
    assert _arguments('tell "a b"') == ["tell", "a b"]


def test_json_stays_json_in_a_pipe_of_another_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """An é became \\xe9 and an emoji \\U0001f600, which no reader of JSON takes."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "cp1252", errors="backslashreplace"))
    emit([{"path": "Tür 😀 狗.wav"}, {"path": "Tür.wav"}])
    lines = written.getvalue().decode("cp1252").splitlines()
    assert [json.loads(line)["path"] for line in lines] == ["Tür 😀 狗.wav", "Tür.wav"]


def test_a_time_that_the_system_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no local time before 1970: an OSError without a word of --after."""

    class Unknown:
        @staticmethod
        def fromisoformat(text: str) -> Unknown:
            return Unknown()

        def timestamp(self) -> float:
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(options, "datetime", Unknown)
    with pytest.raises(UsageError, match="--after"):
        options.parse_time("1960-01-01", "--after")


def test_a_command_that_is_stopped_says_so(tmp_path: Path) -> None:
    """It was told by SIGKILL's number, which Windows does not have."""
    told: list[str] = []
    began = tmp_path / "began"
    code = f"import pathlib, time; pathlib.Path({str(began)!r}).touch(); time.sleep(60)"
    command = Command([sys.executable, "-c", code], told.append)
    command.put(Event("x", 0, 1, 0.5, 0, 1, 1))
    while not began.exists():
        time.sleep(0.005)
    command.close(0.01)
    assert any("was not done when the watch ended and was stopped" in text for text in told)
