"""A folder or an address → its tables of LanceDB, opened, made and dropped, with errors in plain words.

about       a row for the library, and one for a library that is made beside it: its model, and its table of windows
windows-…   windows; one of these tables is the library's
remembered  tags of content that has left; made with the first of them
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa
from filelock import FileLock, Timeout

from openclap.errors import Hint, LibraryError, LibraryMismatch, OpenClapError
from openclap.store.lance.conditions import is_any_of, quote
from openclap.store.lance.rows import SCHEMAS, check_schema
from openclap.store.validation import BrokenValue, validate_identity

__all__ = ["FORMAT_VERSION", "About", "Tables", "is_outage"]

FORMAT_VERSION = 4
WAIT_SECONDS = 120  # for another process to finish writing
REASONS = [  # what the long messages of the storage hold → what to do about it
    ("NoSuchBucket|region for bucket", "there is no such bucket; make it, or use another library"),
    ("[Nn]o space left|StorageFull", "the disk is full; what was there before is unharmed, make room"),
    (
        "[Pp]ermission denied|[Rr]ead-only",
        "it is not yours to change; give yourself permission, or use another library",
    ),
    ("AWS credentials|CredentialsNotLoaded", "it wants credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    (
        "AccessDenied|Forbidden|InvalidAccessKey|SignatureDoesNotMatch",
        "the storage refuses the credentials it was given",
    ),
    ("RelativeUrlWithoutBase|InvalidUri|builder error", "AWS_ENDPOINT_URL is no address"),
    (
        "HttpError|Connect|dns error|error sending request|timed out",
        "the storage is not reachable; is AWS_ENDPOINT_URL right?",
    ),
]
NAME = re.compile("windows-[0-9a-f]+")  # of a table of windows, and of its folder
PLACE_IN_CODE = re.compile(r",? /\S*cargo\S*")
NOTHING_THERE = re.compile("was not found|not found in|does not exist")


@dataclass(frozen=True)
class About:
    """The model that made a library, the name of its table of windows (empty where there is none), and its format."""

    maker: dict[str, Any]
    windows: str
    format: int = FORMAT_VERSION


class Tables:
    """The tables in a folder, or at an address on object storage; nothing is made before the first write."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.folder = None if "://" in uri else Path(uri)
        self._db: Any = None
        self._open: dict[str, Any] = {}
        self._opening = threading.RLock()

    def close(self) -> None:
        """Close them; the next call opens them again."""
        with self._opening:
            self._db, self._open = None, {}

    def get(self, name: str) -> Any:
        """A table, whose reads always see its latest version; None where there is none of this name."""
        with self._opening:
            if self.folder is not None and not (self.folder / f"{name}.lance").exists():
                self._open.pop(name, None)
                return None
            if name not in self._open:
                try:
                    table = self._connect().open_table(name)
                    check_schema(name, table.schema)
                    self._open[name] = table
                except (ValueError, FileNotFoundError) as error:
                    if not isinstance(error, BrokenValue) and NOTHING_THERE.search(str(error)):
                        return None
                    raise
            return self._open[name]

    def make(self, name: str, schema: Any) -> Any:
        """Make a table; of two processes at once one does, and both get it."""
        with self._opening:
            self._open[name] = self._connect().create_table(name, schema=schema, exist_ok=True)
            return self._open[name]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one process at a time change a folder; object storage has no lock."""
        if self.folder is None or not self.folder.exists():  # an empty library needs no lock
            yield
            return
        self._connect()
        try:
            with FileLock(self.folder / "writing.lock", timeout=WAIT_SECONDS):
                yield
        except Timeout:
            raise LibraryError(
                f"{self.uri}: another process has been writing for {WAIT_SECONDS} s; wait until it is done"
            ) from None

    def drop(self, name: str) -> None:
        """Drop a table of windows, unless a row of `about` names it."""
        table = self.get("about")
        if table is not None and table.count_rows(f"windows = {quote(name)}"):
            return
        with contextlib.suppress(ValueError, RuntimeError, OSError), self._opening:
            self._connect().drop_table(name)
        self._open.pop(name, None)

    # -- about ---------------------------------------------------------------------------------------

    def about(self, slot: str) -> About:
        """The row of a slot; empty where there is none."""
        table = self.get("about")
        rows = table.search().where(f"key = {quote(slot)}").limit(None).to_list() if table is not None else []
        if not rows:
            return About({}, "")
        version, maker, windows = (rows[0].get(name) for name in ("format", "maker", "windows"))
        if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
            raise LibraryMismatch(
                f"{self.uri} is of format version {version}; this openclap reads versions 1 to {FORMAT_VERSION}",
                "update openclap",
                Hint("other_library"),
            )
        if not isinstance(windows, str) or not (NAME.fullmatch(windows) or not windows):
            raise BrokenValue("it does not say where its windows are")
        return About(validate_identity(maker), windows, version)

    def tables_of_broken_row(self, slot: str) -> list[str]:
        """The table of windows that the broken row of a slot names, or else all tables of windows."""
        rows = self.get("about").search().where(f"key = {quote(slot)}").limit(None).to_list()
        name = str(rows[0]["windows"]) if rows else ""
        there = [name for name in self._connect().list_tables().tables if NAME.fullmatch(name)]
        return [name] if name in there else there

    def create_about(self, slot: str, maker: dict[str, Any]) -> About:
        """Write the row of a slot, or the model into a row without one → the row as it is now."""
        found = self.about(slot)
        if not found.windows:
            table = self.make("about", SCHEMAS["about"])
            new = _about_table(slot, About(maker, new_name()))
            table.merge_insert("key").when_not_matched_insert_all().execute(new)
            found = self.about(slot)
        if maker and not found.maker:
            without_maker = f"key = {quote(slot)} AND maker = '{{}}'"
            self.get("about").update(without_maker, {"maker": json.dumps(maker)})
            found = self.about(slot)
        return found

    def write_about(self, slot: str, about: About, *, instead_of: Sequence[str] = ()) -> None:
        """Change the row of a slot, and drop the rows of the slots `instead_of`, in one commit."""
        merge = self.get("about").merge_insert("key").when_matched_update_all()
        if instead_of:
            merge = merge.when_not_matched_by_source_delete(is_any_of("key", instead_of))
        merge.execute(_about_table(slot, about))

    def forget(self, slot: str) -> None:
        """Drop the row of a slot, and its table."""
        name = self.about(slot).windows
        if name:
            self.get("about").delete(f"key = {quote(slot)}")
            self.drop(name)

    # -- inside --------------------------------------------------------------------------------------

    def _connect(self) -> Any:
        with self._opening:
            if self._db is None:
                folder = self.folder
                if (
                    folder is not None
                    and folder.exists()
                    and not (folder / "about.lance").exists()
                    and any(folder.iterdir())
                ):
                    raise LibraryMismatch(f"{folder} holds something else than a library", Hint("other_library"))
                self._db = lancedb.connect(self.uri, read_consistency_interval=timedelta(0))
            return self._db

    @contextmanager
    def translate_errors(self, what: str) -> Iterator[None]:
        """Turn errors of LanceDB and of the storage into a `LibraryError` in plain words."""
        try:
            yield
        except Exception as error:
            ours = isinstance(error, RuntimeError | ValueError | OSError) or "Rust" in type(error).__name__
            if isinstance(error, OpenClapError) or not ours:
                raise
            told = re.sub(r"\s+", " ", PLACE_IN_CODE.sub("", str(error)))
            if isinstance(error, BrokenValue):
                raise LibraryError(f"{self.uri} is broken ({told})", Hint("repair")) from error
            short = next((words for found, words in REASONS if re.search(found, told)), told[:200])
            raise LibraryError(f"{self.uri} cannot be {what}: {short}") from error


def is_outage(error: Exception) -> bool:
    """Whether an error only says that the storage could not be reached, and nothing about what it holds."""
    return any(re.search(found, str(error)) for found, _ in REASONS)


def new_name() -> str:
    """A new name for a table of windows."""
    return f"windows-{uuid.uuid4().hex[:12]}"


def _about_table(slot: str, about: About) -> Any:
    """An Arrow table with the row of a slot."""
    row = {"key": slot, "format": about.format, "maker": json.dumps(about.maker), "windows": about.windows}
    return pa.Table.from_pylist([row], schema=SCHEMAS["about"])
