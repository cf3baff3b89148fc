"""An older library in LanceDB → one of the present format, in place, by the first process that writes.

    format 1 ─ STEPS[1] ─ format 2 ─ …     each step is one commit of the table of windows, and may be done twice;
                                           the row of `about` gets the new format last

A tag keeps the table as it was until all steps are done; where one fails, the table is restored.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

from openclap.errors import Hint, LibraryError
from openclap.store.lance.tables import FORMAT_VERSION, Tables
from openclap.store.lance.texts import NAMED, TEXT

__all__ = ["migrate"]

COPY = "before-format-"  # with the new format, the tag of the table as it was


def migrate(tables: Tables, slot: str, table: Any) -> None:
    """Bring the library of a slot to the present format; the caller keeps other writers out of a folder.

    Raises
    ------
    LibraryError
        It would not hold what it held before; it is left as it was.
    """
    about = tables.about(slot)
    rows, before, tag = table.count_rows(), table.version, f"{COPY}{FORMAT_VERSION}"
    if tag not in table.tags.list():
        table.tags.create(tag, before)
    try:
        for version in range(about.format, FORMAT_VERSION):
            STEPS[version](table)
        if table.count_rows() != rows:
            raise LibraryError(
                f"{tables.uri} could not be brought up to format version {FORMAT_VERSION}; it is as it was",
                Hint("repair"),
            )
    except Exception:
        if table.version != before:
            table.restore(before)
        raise
    tables.write_about(slot, replace(about, format=FORMAT_VERSION))
    table.tags.delete(tag)


def _readings(table: Any) -> None:
    """1 → 2: a column for the revision of decoding by which each file was read."""
    _add_columns(table, {"reading": "CAST(1 AS INT)"})


def _texts(table: Any) -> None:
    """2 → 3: columns for the words of files, which the next `add` fills."""
    _add_columns(table, dict.fromkeys([*TEXT, NAMED], "CAST(NULL AS STRING)"))


def _levels_and_tracks(table: Any) -> None:
    """3 → 4: columns for the level of each window and the vector of each file as a whole, where they are known."""
    _add_columns(table, {"level": "CAST(NULL AS FLOAT)", "track": "CAST(NULL AS BINARY)"})


def _add_columns(table: Any, columns: dict[str, str]) -> None:
    """Add those of the columns that are not there, with their values."""
    for trying in (suppress(RuntimeError, ValueError, OSError), nullcontext()):
        with trying:  # on object storage another machine may have done it meanwhile
            missing = {name: value for name, value in columns.items() if name not in table.schema.names}
            if missing:
                table.add_columns(missing)


STEPS: dict[int, Callable[[Any], None]] = {1: _readings, 2: _texts, 3: _levels_and_tracks}
