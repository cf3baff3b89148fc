"""Unit vectors on disk and the nearest of them. Knows nothing of audio, text or models.

One file, `library.npz`: a manifest and four arrays. Every write goes to a file aside, is flushed to the disk and
renamed, so a crash at any moment leaves the previous library whole. A later version keeps this interface over a database.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.errors import LibraryError, LibraryMismatch

__all__ = ["FORMAT_VERSION", "File", "NpzStore", "Rows"]

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


@dataclass(frozen=True, eq=False)
class Rows:
    """Every window of a library, by path and time.

    Attributes
    ----------
    paths : list of str
        The files, sorted.
    file : int (N,)
        Which of `paths` a window is of.
    start, end : float64 (N,)
        Seconds.
    embedding : float32 (N, E)
    edges : int (files + 1,)
        The windows of file i are rows edges[i] to edges[i + 1].
    """

    paths: list[str]
    file: npt.NDArray[np.intp]
    start: Seconds
    end: Seconds
    embedding: Vectors
    edges: npt.NDArray[np.intp]


class NpzStore:
    """Files, their windows and the windows' embeddings; held in memory, written by `commit`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "library.npz"
        self.maker: dict[str, Any] = {}  # which model made the vectors; empty in a new library
        self.files: dict[str, File] = {}
        self._parts: dict[str, tuple[Seconds, Seconds, Vectors]] = {}  # path → start, end, embedding
        self._rows: Rows | None = None
        self._changed = False
        self._seen: tuple[int, int, int] | None = None  # the file that was read or written last
        self.refresh()

    # -- writing -------------------------------------------------------------------------------------

    def put(self, file: File, start: Seconds, end: Seconds, embedding: Vectors) -> None:
        """Add a file's windows, or replace them."""
        self.files[file.path] = file
        self._parts[file.path] = (start, end, embedding.astype(np.float32))
        self._rows, self._changed = None, True

    def delete(self, path: str) -> None:
        """Forget a file."""
        del self.files[path], self._parts[path]
        self._rows, self._changed = None, True

    def commit(self) -> None:
        """Make everything so far durable; nothing is written where nothing changed."""
        if not self._changed:
            return
        rows = self.rows()
        manifest = {
            "format": "openclap-library",
            "format_version": FORMAT_VERSION,
            "maker": self.maker,
            "files": [asdict(self.files[path]) for path in rows.paths],
            "windows_of_file": np.diff(rows.edges).tolist(),
        }
        aside = self.file.with_suffix(".part")
        try:
            with aside.open("wb") as out:
                arrays: dict[str, Any] = {
                    "manifest": np.array(json.dumps(manifest)),
                    "start": rows.start,
                    "end": rows.end,
                    "embedding": rows.embedding,
                }
                np.savez(out, **arrays)
                out.flush()
                os.fsync(out.fileno())
            os.replace(aside, self.file)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise LibraryError(
                f"{self.file} cannot be written ({error.strerror or error}); what was there before is unharmed"
            ) from error
        self._changed, self._seen = False, _signature(self.file)

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
            self.refresh()
            yield
        finally:
            lock.release()

    # -- reading -------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read what another process has committed since we read or wrote."""
        try:
            signature = _signature(self.file)
            if signature is not None and signature != self._seen:
                self._read()
                self._seen = signature
        except OSError as error:
            raise LibraryError(
                f"{self.file} cannot be read ({error.strerror or error}); give yourself permission, or use another --library"
            ) from error

    def rows(self) -> Rows:
        """Every window, in order of path and time."""
        if self._rows is None:
            paths = sorted(self.files)
            parts = [self._parts[path] for path in paths]
            counts = [len(start) for start, _, _ in parts]
            width = parts[0][2].shape[1] if parts else 0
            self._rows = Rows(
                paths,
                np.repeat(np.arange(len(paths)), counts),
                np.concatenate([start for start, _, _ in parts]) if parts else np.zeros(0),
                np.concatenate([end for _, end, _ in parts]) if parts else np.zeros(0),
                np.concatenate([rows for _, _, rows in parts]) if parts else np.zeros((0, width), np.float32),
                np.cumsum([0, *counts]),
            )
        return self._rows

    def _read(self) -> None:
        try:
            with self.file.open("rb") as file, np.load(file, allow_pickle=False) as data:
                manifest = json.loads(str(data["manifest"]))
                start, end, embedding = data["start"], data["end"], data["embedding"]
            known = (manifest["format"], manifest["format_version"])
        except OSError:
            raise
        except Exception as error:  # a damaged archive raises from zipfile, zlib, numpy's header parser and json
            raise LibraryError(
                f"{self.file} is not a library of openclap, or broken ({error}); move it away and index again"
            ) from error
        if known != ("openclap-library", FORMAT_VERSION):
            raise LibraryMismatch(
                f"{self.file} is of format {known[0]} version {known[1]}; this openclap reads version {FORMAT_VERSION}: update openclap, or index again into another --library"
            )
        try:
            files = {str(entry["path"]): File(**entry) for entry in manifest["files"]}
            edges = np.cumsum([0, *manifest["windows_of_file"]])
            whole = len(files) + 1 == len(edges) and len(start) == len(end) == len(embedding) == edges[-1]
            if not whole or embedding.ndim != 2 or not np.isfinite(embedding).all():
                raise ValueError("its parts do not fit together")
            self.maker = dict(manifest["maker"])
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise LibraryError(f"{self.file} is broken ({error}); move it away and index again") from error
        self.files = files
        self._parts = {
            path: (start[a:b], end[a:b], embedding[a:b])
            for path, a, b in zip(files, edges[:-1], edges[1:], strict=True)
        }
        self._rows, self._changed = None, False


def _signature(file: Path) -> tuple[int, int, int] | None:
    """What changes whenever a file is replaced; None where there is none."""
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
