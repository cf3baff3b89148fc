"""Files of a library → a file that lists them, for other programs: CSV, one path a line, or a playlist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from openclap.atomic_write import write_text
from openclap.errors import UsageError
from openclap.library.library_results import LibraryFile
from openclap.library.playlist import ENDINGS, PlaylistEntry, save_playlist
from openclap.textfiles import format_csv

__all__ = ["FORMATS", "write_list"]


def write_list(files: Sequence[LibraryFile], output: Path) -> None:
    """Write a list of files in the format of the name's ending: one of `FORMATS`, .m3u or .m3u8.

    Raises
    ------
    UsageError
        Another ending, or a file that cannot be written.
    """
    if output.suffix.lower() in ENDINGS:
        save_playlist((PlaylistEntry(file.path, file.seconds) for file in files), output)
        return
    make = FORMATS.get(output.suffix.lower())
    if make is None:
        raise UsageError(f"-o {output}: the name must end in {', '.join((*FORMATS, *ENDINGS))}")
    write_text(output, make(files))


def _csv(files: Sequence[LibraryFile]) -> str:
    rows = (
        (file.path, round(file.seconds, 3), file.windows, ", ".join(file.tags), ", ".join(file.collections))
        for file in files
    )
    return format_csv(("path", "seconds", "windows", "tags", "collections"), rows)


def _paths(files: Sequence[LibraryFile]) -> str:
    """A path a line, without names that hold a line break."""
    return "".join(f"{file.path}\n" for file in files if not {"\n", "\r"} & {*file.path})


FORMATS: dict[str, Callable[[Sequence[LibraryFile]], str]] = {".csv": _csv, ".txt": _paths}
