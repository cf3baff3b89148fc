"""Descriptions of whole folders, in a file of their own beside nothing of the user's. Knows how to go on, not how to describe.

    sounds ─ in the file already, unchanged? ─ yes ─────────────────────────┐
                 └ no ─ windows ─ description ─ a line in FILE.part, at once ─┴─ FILE, written aside and renamed, at the end

A killed run loses the sounds in flight; the next one takes what FILE and FILE.part hold. A file that is not one of these is refused.
Timelines of many sounds go into a folder, every format of each. The .json is there first, without spans, and tells that the others
are ours; it is written again, last, with what it was made of: that sound is done.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from openclap.describe import timeline
from openclap.describe.picture import check_picture, draw_timeline
from openclap.describe.written import FORMATS, csv_of, write_text, write_timeline
from openclap.describe.written import HEAD as TIMELINE
from openclap.errors import SoundError, UsageError
from openclap.library.indexing import is_gone
from openclap.library.scan import Found, find_sounds
from openclap.results import Failure

if TYPE_CHECKING:
    from openclap.clap import CLAP
    from openclap.describe import Describer

__all__ = ["DescribeReport", "describe_to_file", "timelines_to_folder"]

HEAD = {"format": "openclap descriptions", "version": 1}
COLUMNS = ("path", "sentence", "tags", "confidences", "captions", "size", "mtime_ns", "settings")
ENDINGS = (".json", ".jsonl", ".csv")
LONGEST_NAME = 255  # bytes, of nearly every file system
Row = dict[str, Any]


@dataclass(frozen=True)
class DescribeReport:
    """What a run did, in sounds: `described` now, `unchanged` since an earlier run."""

    output: str
    described: int = 0
    unchanged: int = 0
    failed: list[Failure] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values only."""
        return asdict(self)


def describe_to_file(
    clap: CLAP, describer: Describer, paths: Iterable[str | os.PathLike[str]], output: Path, *, progress: bool = False
) -> DescribeReport:
    """Describe files and folders into one .json, .jsonl or .csv file (a folder: descriptions.json in it).

    Sounds that the file describes already, by this model and with these labels, are left as they are unless their size or
    time has changed. Descriptions of other sounds stay; sounds that are gone from `paths` leave the file.

    Raises
    ------
    UsageError
        Another ending, a file that was not made by this or that another process is writing, or a place that cannot be written to.
    """
    output = output / "descriptions.json" if output.is_dir() else output
    if output.suffix.lower() not in ENDINGS:
        raise UsageError(f"-o {output}: descriptions are written to a name that ends in {', '.join(ENDINGS)}, or to a folder that exists")  # fmt: skip
    with _alone(output):
        return _describe(clap, describer, find_sounds(paths), output, progress)


def timelines_to_folder(
    describer: Describer,
    paths: Iterable[str | os.PathLike[str]],
    folder: Path,
    *,
    window: float,
    hop: float,
    change: float,
    pictures: bool | None = None,
    progress: bool = False,
) -> DescribeReport:
    """The timeline of every sound as .md, .csv, .srt, .vtt, .png and .json in a folder, under the sounds' own names.

    Pictures are drawn where matplotlib is installed, unless it is said whether they should be.

    Raises
    ------
    UsageError
        The folder cannot be made or written to.
    MissingExtra
        Pictures are wanted and matplotlib is not installed.
    """
    pictures = find_spec("matplotlib") is not None if pictures is None else pictures
    if pictures:
        check_picture()
    settings = _settings(describer, window, hop, change)
    _make_folder(folder)
    found = find_sounds(paths)
    top = os.path.commonpath([path.parent for path in found.files]) if found.files else ""
    failed, described, unchanged = list(found.closed), 0, 0
    for path in _shown(found.files, progress):
        place = folder / os.path.relpath(path, top)
        last = place.with_name(place.name + ".json")
        made_of = [*(_now(path) or (-1, -1)), settings]
        before = _timeline_of(last)
        if before.get("made_of") == made_of:
            unchanged += 1
            continue
        if (why := _why_not(place, ours=bool(before))) is not None:
            failed.append(Failure(str(path), why))
            continue
        try:
            spans = timeline(describer, path, window=window, hop=hop, change=change)
            _make_folder(place.parent)
            if not before:
                write_text(last, json.dumps(TIMELINE) + "\n")
            for ending in (".md", ".csv", ".srt", ".vtt"):
                write_timeline(spans, place.with_name(place.name + ending), str(path))
            if pictures:
                draw_timeline(path, spans, place.with_name(place.name + ".png"), title=path.name)
            whole = {**json.loads(FORMATS[".json"](spans, str(path))), "made_of": made_of}
            write_text(last, json.dumps(whole, indent=1) + "\n")
            described += 1
        except SoundError as error:
            failed.append(Failure(str(path), error.cause))
    return DescribeReport(str(folder), described, unchanged, failed)


# -- inside ------------------------------------------------------------------------------------------


def _describe(clap: CLAP, describer: Describer, found: Found, output: Path, progress: bool) -> DescribeReport:
    settings = _settings(describer)
    journal = output.with_name(output.name + ".part")
    rows = {row["path"]: row for row in (*_read(output), *_read_lines(journal))}
    failed, todo = list(found.closed), {}
    for path in found.files:
        now = _now(path) or (-1, -1)
        row = rows.get(str(path), {})
        if [row.get(key) for key in ("size", "mtime_ns", "settings")] != [*now, settings]:
            todo[path] = now  # as it was before it was read: what changes meanwhile is described again by the next run
    described = 0
    try:
        with _opened(journal) as file:
            for path, made in _described(clap, describer, list(todo), progress):
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
        write_text(output, _written(kept, output.suffix.lower()))
        with suppress(OSError):
            journal.unlink()
    return DescribeReport(str(output), described, len(found.files) - len(todo), failed)


def _has_left(path: Path, found: Found) -> bool:
    """Whether a sound that was described is no more where we have looked; a drive that is not there has lost nothing."""
    return is_gone(path) and (path in found.files or any(folder in path.parents for folder in found.folders))


@contextmanager
def _alone(output: Path) -> Iterator[None]:
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


def _described(
    clap: CLAP, describer: Describer, todo: Sequence[Path], progress: bool
) -> Iterator[tuple[Path, dict[str, Any] | SoundError]]:
    """Descriptions in order, batches of the model filled across sounds."""
    seconds = clap.front_end.clip_seconds
    found = clap.encode_each(todo, window=seconds, hop=seconds / 2)
    for path, windows in zip(_shown(todo, progress), found, strict=True):
        if isinstance(windows, SoundError):
            yield path, windows
            continue
        try:
            yield path, describer.of_windows(path, windows).to_dict()
        except SoundError as error:  # gone meanwhile
            yield path, error


def _shown(paths: Sequence[Path], progress: bool) -> Iterable[Path]:
    from rich.console import Console
    from rich.progress import track

    return track(paths, "describing", console=Console(stderr=True), disable=not progress)


def _settings(describer: Describer, *more: object) -> str:
    """What a description depends on beside the sound."""
    said = [describer.clap.fingerprint, describer.key(), *more]
    return hashlib.blake2b(json.dumps(said).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _now(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _opened(journal: Path) -> io.TextIOWrapper:
    try:
        file = journal.open("a", encoding="utf-8")
        file.write("\n" if journal.stat().st_size else json.dumps(HEAD) + "\n")  # behind a killed run's half line
    except OSError as error:
        raise UsageError(
            f"{journal.parent} cannot be written to ({error.strerror or error}); choose another -o"
        ) from error
    return file


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made ({error.strerror or error}); choose another -o") from error


def _timeline_of(place: Path) -> dict[str, Any]:
    """A .json that was written here; nothing where it is another's, or not there."""
    with suppress(OSError, ValueError):
        made = json.loads(place.read_text(encoding="utf-8"))
        if isinstance(made, dict) and {key: made.get(key) for key in TIMELINE} == TIMELINE:
            return made
    return {}


def _why_not(place: Path, *, ours: bool) -> str | None:
    """Why a sound's timeline cannot be written under its name."""
    if len(os.fsencode(place.name)) + len(".json") > LONGEST_NAME:
        return "its name is too long to write files of that name with another ending"
    there = next((e for e in (*FORMATS, ".png") if os.path.lexists(f"{place}{e}")), None)
    if there is not None and not ours:
        return f"{place}{there} is there already and was not made by this; it is left as it is: choose another -o"
    return None


def _read(output: Path) -> list[Row]:
    """What an earlier run wrote; nothing where there is no file."""
    if output.suffix.lower() == ".jsonl":
        return _read_lines(output)
    try:
        text = output.read_bytes().decode("utf-8", "surrogateescape")  # a carriage return in a name stays one
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{output} cannot be read ({error.strerror or error}); choose another -o") from error
    if output.suffix.lower() == ".csv":
        with suppress(csv.Error, ValueError, TypeError, AttributeError):
            return _read_csv(text)
        raise _not_ours(output)
    with suppress(ValueError, AttributeError, KeyError, TypeError):
        whole = json.loads(text)
        if {key: whole.get(key) for key in HEAD} == HEAD:
            return [row for row in whole["sounds"] if _is_row(row)]
    raise _not_ours(output)


def _read_lines(place: Path) -> list[Row]:
    """JSON lines after a head; a last line that was not finished is left out."""
    try:
        lines = place.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{place} cannot be read ({error.strerror or error}); choose another -o") from error
    rows: list[Row] = []
    for i, line in enumerate(lines):
        row: Any = None
        with suppress(ValueError):
            row = json.loads(line)
        if i == 0 and row != HEAD:
            raise _not_ours(place)
        if i and _is_row(row):
            rows.append(row)
    return rows


def _is_row(row: Any) -> bool:
    wanted = {"path", "sentence", "tags", "captions", "size", "mtime_ns", "settings"}
    return isinstance(row, dict) and wanted <= set(row) and isinstance(row["path"], str)


def _not_ours(place: Path) -> UsageError:
    return UsageError(f"{place} holds something else than descriptions of version {HEAD['version']}; it is left as it is: choose another -o")  # fmt: skip


def _written(rows: Sequence[Row], ending: str) -> str:
    if ending == ".json":
        return json.dumps({**HEAD, "sounds": list(rows)}, indent=1) + "\n"
    if ending == ".jsonl":
        return "".join(json.dumps(row) + "\n" for row in (HEAD, *rows))
    return csv_of(COLUMNS, ([_to_csv(row)[column] for column in COLUMNS] for row in rows))


def _to_csv(row: Row) -> Row:
    return {
        **{key: row[key] for key in ("path", "sentence", "size", "mtime_ns", "settings")},
        "tags": "; ".join(tag["label"] for tag in row["tags"]),
        "confidences": "; ".join(str(tag["confidence"]) for tag in row["tags"]),
        "captions": "; ".join(caption["text"] for caption in row["captions"]),
    }


def _read_csv(text: str) -> list[Row]:
    limit = csv.field_size_limit(len(text) + 1)  # captions may be long
    try:
        table = csv.DictReader(io.StringIO(text, newline=""))
        if tuple(table.fieldnames or ()) != COLUMNS:
            raise ValueError("other columns")
        return [_of_csv(row) for row in table]
    finally:
        csv.field_size_limit(limit)


def _of_csv(row: Row) -> Row:
    names, sure = (row[key].split("; ") if row[key] else [] for key in ("tags", "confidences"))
    return {
        **row,
        "size": int(row["size"]),
        "mtime_ns": int(row["mtime_ns"]),
        "tags": [{"label": name, "confidence": value} for name, value in zip(names, sure, strict=False)],
        "captions": [{"text": text} for text in row["captions"].split("; ") if text],
    }
