"""Descriptions of many sounds in one file, which the next run goes on with. Knows how to go on, not how to describe.

sounds ─ in the file already, unchanged? ─ yes ─────────────────────────┐
             └ no ─ windows ─ description ─ a line in FILE.part, at once ─┴─ FILE, written aside and renamed, at the end

A killed run loses the sounds in flight; the next one takes what FILE and FILE.part hold. A file that is not one of
these is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from openclap.atomic_write import write_text
from openclap.catalogue.rows import ENDINGS, HEAD, format_rows, read_lines, read_rows
from openclap.catalogue.run import DescribeReport, describer_key, file_stat, show_progress
from openclap.errors import SoundError, UsageError
from openclap.library.reachability import is_gone
from openclap.library.scan import FoundSounds, find_sounds, require_sounds
from openclap.results import Failure

if TYPE_CHECKING:
    from openclap.clap import CLAP
    from openclap.describe import Describer

__all__ = ["describe_to_file"]


def describe_to_file(
    clap: CLAP, describer: Describer, paths: Iterable[str | os.PathLike[str]], output: Path, *, progress: bool = False
) -> DescribeReport:
    """Describe files and folders into one .json, .jsonl or .csv file (a folder: descriptions.json in it).

    Sounds that the file describes already, by this model and with these labels, are left as they are unless their size
    or time has changed. Descriptions of other sounds stay; sounds that are gone from `paths` leave the file.

    Raises
    ------
    UsageError
        No sounds there, another ending, a file that was not made by this or that another process is writing, or a place
        that cannot be written to.
    """
    output = output / "descriptions.json" if output.is_dir() else output
    if output.suffix.lower() not in ENDINGS:
        raise UsageError(
            f"-o {output}: descriptions are written to a name that ends in {', '.join(ENDINGS)}, or to a folder that"
            " exists"
        )
    found = find_sounds(paths)
    require_sounds(found)
    with _lock_output(output):
        return _describe(clap, describer, found, output, progress)


# -- inside ------------------------------------------------------------------------------------------


def _describe(clap: CLAP, describer: Describer, found: FoundSounds, output: Path, progress: bool) -> DescribeReport:
    settings = describer_key(describer)
    journal = output.with_name(output.name + ".part")
    rows = {row["path"]: row for row in (*read_rows(output), *read_lines(journal))}
    failed, todo = list(found.unreadable), {}
    for path in found.files:
        now = file_stat(path) or (-1, -1)
        row = rows.get(str(path), {})
        if [row.get(key) for key in ("size", "mtime_ns", "settings")] != [*now, settings]:
            todo[path] = now  # as it was before it was read: what changes meanwhile is described again by the next run
    described = 0
    try:
        with _open_journal(journal) as file:
            for path, made in _describe_each(clap, describer, list(todo), progress):
                if isinstance(made, SoundError):
                    failed.append(Failure(str(path), made.cause))
                    rows.pop(str(path), None)
                    continue
                size, mtime_ns = todo[path]
                rows[str(path)] = {"path": str(path), **made, "size": size, "mtime_ns": mtime_ns, "settings": settings}
                file.write(json.dumps(rows[str(path)]) + "\n")
                file.flush()
                described += 1
    finally:  # Ctrl-C too: what is finished is in its place
        kept = [rows[path] for path in sorted(rows) if not _has_left(Path(path), found)]
        write_text(output, format_rows(kept, output.suffix.lower()))
        with suppress(OSError):
            journal.unlink()
    return DescribeReport(str(output), described, len(found.files) - len(todo), failed)


def _has_left(path: Path, found: FoundSounds) -> bool:
    """Whether a sound that was described is no more where we have looked; a drive that is not there has lost nothing."""
    return is_gone(path) and (path in found.files or any(folder in path.parents for folder in found.folders))


@contextmanager
def _lock_output(output: Path) -> Iterator[None]:
    """One process writes a file at a time; the lock lies in the user's cache, beside nothing of the user's."""
    name = hashlib.blake2b(os.fsencode(output.resolve()), digest_size=16).hexdigest()
    try:
        place = user_cache_path("openclap") / "describing" / f"{name}.lock"
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place, timeout=0)
        lock.acquire()
    except Timeout:
        raise UsageError(f"{output}: another process is writing it; wait for it, or choose another -o") from None
    except OSError:  # a read-only home: nobody can be kept out
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _describe_each(
    clap: CLAP, describer: Describer, todo: Sequence[Path], progress: bool
) -> Iterator[tuple[Path, dict[str, Any] | SoundError]]:
    """Descriptions in order, batches of the model filled across sounds."""
    seconds = clap.front_end.clip_seconds
    found = clap.encode_each(todo, window=seconds, hop=seconds / 2)
    for path, windows in zip(show_progress(todo, progress), found, strict=True):
        if isinstance(windows, SoundError):
            yield path, windows
            continue
        try:
            yield path, describer.of_windows(path, windows).to_dict()
        except SoundError as error:  # gone meanwhile
            yield path, error


def _open_journal(journal: Path) -> io.TextIOWrapper:
    try:
        file = journal.open("a", encoding="utf-8")
        file.write("\n" if journal.stat().st_size else json.dumps(HEAD) + "\n")  # behind a killed run's half line
    except OSError as error:
        raise UsageError(
            f"{journal.parent} cannot be written to ({error.strerror or error}); choose another -o"
        ) from error
    return file
