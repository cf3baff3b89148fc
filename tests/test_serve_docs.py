"""Every example of docs/service.md, run against a server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_for_tests import Running, encoded, running

from openclap import CLAP, Library
from openclap.clap import synthesised

PAGE = Path(__file__).parents[1] / "docs" / "service.md"
BLOCKS = re.findall(r"```(bash|python)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
COMMANDS = [
    command
    for kind, block in BLOCKS
    if kind == "bash"
    for command in re.sub(r"\\\n\s*", "", block).splitlines()
    if command.startswith("curl")
]
PROGRAMS = [block for kind, block in BLOCKS if kind == "python"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "sounds").mkdir()
    for i, (wave, rate) in enumerate(synthesised()[:3]):
        (folder / "sounds" / f"{i}.wav").write_bytes(encoded(wave, rate))
    shutil.copy(folder / "sounds" / "1.wav", folder / "dog.wav")
    Library.open(folder / "library", model=CLAP.from_pretrained("mini")).add(folder / "sounds")
    with running(folder) as server:
        yield server


def test_there_are_examples() -> None:
    assert len(COMMANDS) == 7
    assert len(PROGRAMS) == 2


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
@pytest.mark.parametrize("command", COMMANDS)
def test_curl(server: Running, command: str) -> None:
    here = command.replace("http://127.0.0.1:8000", server.url)
    done = subprocess.run(["sh", "-c", here], capture_output=True, text=True, check=True, cwd=server.folder)
    answer = json.loads(done.stdout)
    assert any(answer.get(name) for name in ("data", "labels", "matches", "hits", "moments")), answer


@pytest.mark.parametrize("program", PROGRAMS)
def test_python(server: Running, program: str) -> None:
    here = program.replace("http://127.0.0.1:8000", server.url)
    done = subprocess.run(
        [sys.executable, "-c", here], capture_output=True, text=True, cwd=server.folder, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "dog" in done.stdout
    assert "rain" in done.stdout
