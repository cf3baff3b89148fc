"""Unit vectors on disk and the nearest of them. Knows nothing of audio, text or models.

One file, `library.npz`: a manifest and four arrays. Every write goes to a file aside, is flushed to the disk and
renamed, so a crash at any moment leaves the previous library whole. A later version keeps this interface over a database.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.errors import LibraryError, LibraryMismatch

__all__ = ["FORMAT_VERSION", "File", "NpzStore"]

FORMAT_VERSION = 1
Vectors = npt.NDArray[np.float32]
Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True)
class File:
    """A file of the library, as it was when it was embedded."""

    path: str
    size: int  # bytes
    mtime_ns: int
    seconds: float


class NpzStore:
    """Files, their windows and the windows' embeddings; held in memory, written by `commit`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "library.npz"
        self.maker: dict[str, Any] = {}  # which model made the vectors; empty in a new library
        self.files: dict[str, File] = {}
        self._parts: dict[str, tuple[Seconds, Seconds, Vectors]] = {}  # path → start, end, embedding
        self._joined: tuple[npt.NDArray[np.str_], Seconds, Seconds, Vectors] | None = None
        if self.file.exists():
            self._read()

    # -- writing -------------------------------------------------------------------------------------

    def put(self, file: File, start: Seconds, end: Seconds, embedding: Vectors) -> None:
        """Add a file's windows, or replace them."""
        self.files[file.path] = file
        self._parts[file.path] = (start, end, embedding.astype(np.float32))
        self._joined = None

    def delete(self, path: str) -> None:
        """Forget a file."""
        del self.files[path], self._parts[path]
        self._joined = None

    def commit(self) -> None:
        """Make everything so far durable."""
        _, start, end, embedding = self.windows()
        manifest = {
            "format": "openclap-library",
            "format_version": FORMAT_VERSION,
            "maker": self.maker,
            "files": [asdict(file) for file in self.files.values()],
            "windows_of_file": [len(self._parts[path][0]) for path in self.files],
        }
        aside = self.file.with_suffix(".part")
        try:
            with aside.open("wb") as out:
                np.savez(out, manifest=np.array(json.dumps(manifest)), start=start, end=end, embedding=embedding)
                out.flush()
                os.fsync(out.fileno())
            os.replace(aside, self.file)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise LibraryError(
                f"{self.file} cannot be written ({error.strerror or error}); what was there before is unharmed"
            ) from error

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Alone to write: another process that indexes into the same library is refused, not corrupted."""
        from filelock import FileLock, Timeout

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / "lock", timeout=0)
            lock.acquire()
        except Timeout:
            raise LibraryError(
                f"{self.folder} is being indexed by another process; wait until it is done, or use another --library"
            ) from None
        except OSError as error:
            raise LibraryError(
                f"{self.folder} cannot be written to ({error.strerror or error}); choose another --library"
            ) from error
        try:
            if self.file.exists():
                self._read()  # what another process may have added since we opened
            yield
        finally:
            lock.release()

    # -- reading -------------------------------------------------------------------------------------

    def windows(self) -> tuple[npt.NDArray[np.str_], Seconds, Seconds, Vectors]:
        """Every window: path (N,), start and end in seconds (N,), embedding (N, E)."""
        if self._joined is None:
            parts = [self._parts[path] for path in self.files]
            paths = (
                np.repeat(np.array(list(self.files), dtype=np.str_), [len(p[0]) for p in parts])
                if parts
                else np.array([], np.str_)
            )
            width = parts[0][2].shape[1] if parts else 0
            self._joined = (
                paths,
                np.concatenate([p[0] for p in parts]) if parts else np.zeros(0),
                np.concatenate([p[1] for p in parts]) if parts else np.zeros(0),
                np.concatenate([p[2] for p in parts]) if parts else np.zeros((0, width), np.float32),
            )
        return self._joined

    def _read(self) -> None:
        try:
            with self.file.open("rb") as file, np.load(file, allow_pickle=False) as data:
                manifest = json.loads(str(data["manifest"]))
                start, end, embedding = data["start"], data["end"], data["embedding"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise LibraryError(
                f"{self.file} is not a library of openclap, or broken ({error}); remove it and index again"
            ) from error
        if manifest.get("format") != "openclap-library" or manifest.get("format_version") != FORMAT_VERSION:
            found = f"{manifest.get('format')} version {manifest.get('format_version')}"
            raise LibraryMismatch(
                f"{self.file} is of format {found}; this openclap reads version {FORMAT_VERSION}: update openclap, or index again into another --library"
            )
        self.maker = manifest["maker"]
        self.files = {entry["path"]: File(**entry) for entry in manifest["files"]}
        edges = np.cumsum([0, *manifest["windows_of_file"]])
        self._parts = {
            path: (start[a:b], end[a:b], embedding[a:b])
            for path, a, b in zip(self.files, edges[:-1], edges[1:], strict=True)
        }
        self._joined = None
