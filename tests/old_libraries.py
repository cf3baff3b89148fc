"""Libraries as older versions made them: what they hold, and copies to work on. `tests/data/make_old_libraries.py` made them."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np

from openclap.store import File, Recording

OLD = Path(__file__).parent / "data" / "old"
E = 8
MAKER = {"model": "small", "fingerprint": "0123456789abcdef", "embedding": E, "window": 10.0, "hop": 5.0}
HELD = {
    "/nas/rain/1.wav": 3,
    "/nas/rain/2 声.wav": 1,
    "/nas/rain/cafe\u0301.wav": 2,  # as from a Mac
    "/nas/na\udcffme.wav": 1,  # no UTF-8
    "/nas/wind.flac": 5,
}  # windows of each file
TAGS = {"/nas/rain/1.wav": ("field", "wet"), "/nas/na\udcffme.wav": ("field",), "/nas/wind.flac": ("läut",)}


def recording(path: str, windows: int) -> Recording:
    """What the libraries hold of a file."""
    rng = np.random.default_rng([len(path), *path.encode("utf-8", "surrogateescape")])
    start = np.arange(windows, dtype=np.float64) * 5.0
    rows = rng.standard_normal((windows, E))
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    name = path.encode("utf-8", "surrogateescape").hex()[-32:]
    return Recording(File(path, 1000 + windows, 10**18 + windows, name, windows * 5.0 + 5), start, start + 10, unit)


def run_alone(module: str, function: str, *arguments: str | Path) -> int:
    """Call a function of a test module in a new process → its exit code. A fork of this one would have its threads' locks."""
    call = f"import sys, {module}; {module}.{function}(*sys.argv[1:])"
    command = [sys.executable, "-c", call, *map(str, arguments)]
    return subprocess.run(command, cwd=Path(__file__).parent, check=False).returncode


def old_library(kind: str, folder: Path) -> Path:
    """A copy of the one in "sqlite 2" to "sqlite 4", "lance 1" to "lance 3", or "first", to be opened and changed."""
    engine, _, version = kind.partition(" ")
    if engine == "lance":
        shutil.unpack_archive(OLD / f"format-{version}.lance.zip", folder / "old.lance")
        return folder / "old.lance"
    place = folder / "old"
    place.mkdir(parents=True)
    if kind == "first":
        shutil.copy(OLD / "format-1.npz", place / "library.npz")
        return place
    db = sqlite3.connect(place / "library.sqlite")
    db.executescript((OLD / f"version-{version}.sql").read_text(encoding="utf-8"))
    db.close()
    return place
