"""Writes the descriptions of many sounds into one file, which the next run continues; `Describer` makes each.

sounds ─ in the file already, unchanged? ─ yes ─────────────────────────┐
             └ no ─ windows ─ description ─ a line in FILE.part, at once ─┴─ FILE, as a whole, at the end

A killed run loses only the sounds that were being described; the next one takes what FILE and FILE.part hold. Any other
file is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from openclap.atomic_write import write_text
from openclap.audio.decode_limits import limit
from openclap.catalogue.rows import ENDINGS, HEAD, format_rows, read_lines, read_rows
from openclap.catalogue.run import DescribeReport, describer_key
from openclap.clap import CLAP
from openclap.describe import Describer
from openclap.errors import SoundError, UsageError
from openclap.library.reachability import is_gone
from openclap.library.scan import FoundSounds, find_sounds, require_sounds, size_and_time
from openclap.progress import with_progress
from openclap.results import Failure

__all__ = ["describe_to_file"]


def describe_to_file(
    clap: CLAP, describer: Describer, paths: Iterable[str | os.PathLike[str]], output: Path, *, progress: bool = False
) -> DescribeReport:
    """Describe files and folders into one .json, .jsonl or .csv file; for a folder, into descriptions.json in it.

    Sounds that the file describes already, by this model and with these labels, are left as they are unless their size
    or time has changed. Descriptions of other sounds stay in the file; those of sounds that are gone from `paths` are
    removed.

    Raises
    ------
    UsageError
        There are no sounds, it is another ending, the file is of another kind or another process is writing it, or it
        cannot be written.
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
        now = size_and_time(path) or (-1, -1)
        row = rows.get(str(path), {})
        if [row.get(key) for key in ("size", "mtime_ns", "settings")] != [*now, settings]:
            todo[path] = now  # before it is read, so that a change meanwhile makes the next run describe it again
    described = 0
    try:
        with _open_journal(journal) as file:
            for path, result in _describe_each(clap, describer, list(todo), progress):
                if isinstance(result, SoundError):
                    failed.append(Failure(str(path), result.cause))
                    rows.pop(str(path), None)
                    continue
                size, mtime_ns = todo[path]
                rows[str(path)] = {
                    "path": str(path),
                    **result,
                    "size": size,
                    "mtime_ns": mtime_ns,
                    "settings": settings,
                }
                file.write(json.dumps(rows[str(path)]) + "\n")
                file.flush()
                described += 1
    finally:  # after Ctrl-C as well, so that what is finished is not lost
        kept = [rows[path] for path in sorted(rows) if not _has_left(Path(path), found)]
        write_text(output, format_rows(kept, output.suffix.lower()))
        with suppress(OSError):
            journal.unlink()
    return DescribeReport(str(output), described, len(found.files) - len(todo), failed)


def _has_left(path: Path, found: FoundSounds) -> bool:
    """Whether a described sound was deleted from the paths of this run; one on a drive that is away was not."""
    return is_gone(path) and (path in found.files or any(folder in path.parents for folder in found.folders))


@contextmanager
def _lock_output(output: Path) -> Iterator[None]:
    """Keep other processes from writing the same file; the lock file lies in the cache, not beside the user's files."""
    name = hashlib.blake2b(os.fsencode(output.resolve()), digest_size=16).hexdigest()
    try:
        place = user_cache_path("openclap") / "describing" / f"{name}.lock"
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place, timeout=0)
        lock.acquire()
    except Timeout:
        raise UsageError(f"{output}: another process is writing it; wait for it, or choose another -o") from None
    except OSError:  # in a read-only home there can be no lock
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _describe_each(
    clap: CLAP, describer: Describer, todo: Sequence[Path], progress: bool
) -> Iterator[tuple[Path, dict[str, Any] | SoundError]]:
    """Describe sounds in order; the model's batches are filled across sounds."""
    seconds = clap.front_end.clip_seconds
    sounds = [limit(path, track=describer.track) for path in todo]
    found = clap.encode_each(sounds, window=seconds, hop=seconds / 2)
    for path, windows in zip(with_progress(todo, "describing", len(todo), show=progress), found, strict=True):
        if isinstance(windows, SoundError):
            yield path, windows
            continue
        try:
            yield path, describer.describe_windows(path, windows).to_dict()
        except SoundError as error:  # it was deleted meanwhile
            yield path, error


def _open_journal(journal: Path) -> io.TextIOWrapper:
    try:
        file = journal.open("a", encoding="utf-8")
        file.write("\n" if journal.stat().st_size else json.dumps(HEAD) + "\n")  # after half a line of a killed run
    except OSError as error:
        raise UsageError(
            f"{journal.parent} cannot be written to ({error.strerror or error}); choose another -o"
        ) from error
    return file
