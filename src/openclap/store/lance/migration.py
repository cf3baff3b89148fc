"""An older library in LanceDB → one of the present format, in place, by the first process that writes.

    format 1 ─ STEPS[1] ─ format 2 ─ …     each step is one commit of the table of windows, and may be done twice;
                                           the row of `about` gets the new format last

A tag keeps the table as it was until all steps are done; where one fails, the table is restored.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from openclap.errors import Hint, LibraryError
from openclap.store.lance.tables import FORMAT_VERSION, Tables

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
    with suppress(RuntimeError, ValueError, OSError):  # on object storage another machine may have done it
        if "reading" not in table.schema.names:
            table.add_columns({"reading": "CAST(1 AS INT)"})
    if "reading" not in table.schema.names:
        table.add_columns({"reading": "CAST(1 AS INT)"})


STEPS: dict[int, Callable[[Any], None]] = {1: _readings}
