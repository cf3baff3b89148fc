"""A server of its own on loopback for whoever asks: started as a user would, stopped by a signal."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import soundfile as sf

__all__ = ["Running", "encoded", "running", "serving", "some_sounds", "uri_of"]


@dataclass
class Running:
    """A server that runs: where it is, its process, and its log when it has ended."""

    url: str
    folder: Path
    process: subprocess.Popen[str]
    log_file: IO[str]
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end → exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        self.log_file.seek(0)
        self.log = [json.loads(line) for line in self.log_file if line.startswith("{")]
        return code


@contextmanager
def running(
    folder: Path, *options: str, settings: dict[str, Any] | None = None, **environment: str
) -> Iterator[Running]:
    """`openclap serve` on a free port, with its library in `folder`, until the block ends; `settings` are in a file."""
    if settings is not None:
        file = folder / "settings.yaml"
        file.write_text(json.dumps(settings), encoding="utf-8")  # which is YAML as well
        options = (*options, "--config", str(file))
    command = [sys.executable, "-m", "openclap", "serve", "--port", "0", "--json", *options]
    if "--library" not in options:
        command += ["--library", str(folder / "library")]
    with _started(folder, command, environment) as server:
        yield server


SERVING = """
import json, resource, sys
from openclap.http.server import run_server
from openclap.serve.app import create_app
from openclap.serve.settings import ServeSettings
files, settings = json.loads(sys.argv[1])
if files:
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
settings = ServeSettings(port=0, **settings)
run_server(lambda: create_app(settings), settings, listening=lambda url: print(json.dumps({"url": url}), flush=True))
"""


@contextmanager
def serving(folder: Path, *, files: int | None = None, **settings: Any) -> Iterator[Running]:
    """A service with settings that no option has, without a page, that may open so many files."""
    with _started(folder, [sys.executable, "-c", SERVING, json.dumps([files, settings])], {}) as server:
        yield server


@contextmanager
def _started(folder: Path, command: list[str], environment: dict[str, str]) -> Iterator[Running]:
    import openclap

    source = str(Path(openclap.__file__).parents[1])
    known = {**os.environ, "PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")]), **environment}
    with (folder / f"server-{os.urandom(4).hex()}.log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=known)
        assert process.stdout is not None
        with process.stdout:
            line = process.stdout.readline()
            log.seek(0)
            assert line, log.read()
            server = Running(json.loads(line)["url"], folder, process, log)
            try:
                yield server
            finally:
                if process.poll() is None:
                    server.stop()


def encoded(wave: np.ndarray, rate: int = 16_000, kind: str = "WAV", subtype: str | None = None) -> bytes:
    """A wave as the bytes of a file."""
    file = io.BytesIO()
    sf.write(file, wave, rate, format=kind, subtype=subtype)
    return file.getvalue()


def some_sounds(count: int) -> list[bytes]:
    """Synthesised sounds of different kinds, 3 s each, as files."""
    from openclap.synth import KINDS, synthesise

    rate = 16_000
    made = [
        synthesise(kind, np.random.default_rng((2, i)), rate=rate, seconds=3.0)
        for i, kind in enumerate([*KINDS][:count])
    ]
    return [encoded(wave, rate) for wave, *_ in made]


def uri_of(data: bytes) -> str:
    """The bytes of a sound as a data URI."""
    return "data:audio/wav;base64," + base64.b64encode(data).decode()
