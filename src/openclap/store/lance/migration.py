"""Older libraries in LanceDB: read as they are, and brought up in place by the first who writes.

    format 1 ─ STEPS[1] ─ format 2 ─ …     each step is one commit of the table of windows, and done twice is as if done once
                                           the row of `about` says the new format last

LanceDB keeps the table as it was under a tag until all steps are done, and goes back to it where one fails.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from openclap.errors import LibraryError
from openclap.store.lance.tables import FORMAT_VERSION, Tables

__all__ = ["migrate"]

COPY = "before-format-"  # and the format that it is brought to: the tag of the table as it was


def migrate(tables: Tables, slot: str, table: Any) -> None:
    """Make the older library of a slot one of now; nobody else in its folder writes meanwhile.

    Raises
    ------
    LibraryError
        It would not hold what it held; it is left as it was.
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
                f"{tables.uri} could not be brought up to format version {FORMAT_VERSION}; it is as it was, try "
                " openclap library verify"
            )
    except Exception:
        if table.version != before:
            table.restore(before)
        raise
    tables.write_about(slot, replace(about, format=FORMAT_VERSION))
    table.tags.delete(tag)


def _readings(table: Any) -> None:
    """1 → 2: by which revision of decoding each file was read."""
    with suppress(RuntimeError, ValueError, OSError):  # on object storage another machine may be first
        if "reading" not in table.schema.names:
            table.add_columns({"reading": "CAST(1 AS INT)"})
    if "reading" not in table.schema.names:
        table.add_columns({"reading": "CAST(1 AS INT)"})


STEPS: dict[int, Callable[[Any], None]] = {1: _readings}
