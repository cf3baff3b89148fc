"""A library → whether it is whole; a library → one Parquet file, and back.

A Parquet export holds a row for each window (path, size, mtime_ns, hash, seconds, tags, start, end, embedding, reading,
text, level) and, as metadata, the model that made it; only a library of the same model imports it. `text` is JSON, or
null. Older exports have no columns `reading`, which is 1 then, `text` and `level`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import astuple
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from openclap.atomic_write import atomic_write
from openclap.audio.content_hash import content_hash
from openclap.batches import batches
from openclap.errors import Hint, LibraryError, LibraryMismatch, MissingExtra, SoundError, UsageError
from openclap.library.model_identity import describe_maker, precision_of, same_front_end
from openclap.library.reachability import is_gone
from openclap.library.scan import size_and_time
from openclap.results import Verification
from openclap.store import File, FileText, Recording, Store
from openclap.store.validation import (
    validate_file,
    validate_identity,
    validate_level,
    validate_span,
    validate_text,
    validate_vectors,
)

__all__ = ["export_parquet", "import_parquet", "refuse_empty", "verify"]

FORMAT = "openclap-library"
VERSION = 1
ROWS_AT_ONCE = 4096
FILES_AT_ONCE = 256


def refuse_empty(store: Store) -> None:
    """Raise where nothing was ever indexed, so that a mistyped path is not called a sound library."""
    try:
        empty = not store.model_identity()
    except LibraryMismatch:
        raise
    except LibraryError:  # it is broken, and `repair` is there to mend it
        return
    if empty:
        raise LibraryError(f"{store.place} holds no sounds", Hint("other_library"))


def verify(store: Store, *, hashes: bool = True) -> Verification:
    """Compare a library with itself and with the disk, without changing anything.

    With `hashes` every file is read and its content compared, otherwise only its size and time.
    """
    damaged = store.check()
    missing: list[str] = []
    changed: list[str] = []
    try:
        for file in store.files():
            path = Path(file.path)
            if is_gone(path):
                missing.append(file.path)
            elif not _is_as_it_was(path, file, hashes):
                changed.append(file.path)
    except LibraryError as error:  # the list of files itself may be damaged
        damaged = damaged or [str(error.args[0])]
    return Verification(damaged, missing, changed)


def _is_as_it_was(path: Path, file: File, hashes: bool) -> bool:
    try:
        if hashes and file.is_hashed:
            return content_hash(path) == file.hash
        return size_and_time(path) == (file.size, file.mtime_ns)
    except SoundError:
        return False


def export_parquet(store: Store, output: Path) -> dict[str, Any]:
    """Write every window of a library to one Parquet file → {"output", "files", "windows"}."""
    pa, pq = _pyarrow()
    maker = store.model_identity()
    if not maker:
        raise LibraryError(f"{store.place} holds no sounds yet", Hint("fill"))
    if output.suffix.lower() != ".parquet":
        raise UsageError(f"{output}: the name must end in .parquet")
    about = json.dumps({"format": FORMAT, "version": VERSION, "maker": maker})
    schema = pa.schema(
        [
            ("path", pa.binary()),
            ("size", pa.int64()),
            ("mtime_ns", pa.int64()),
            ("hash", pa.string()),
            ("seconds", pa.float64()),
            ("tags", pa.list_(pa.string())),
            ("start", pa.float64()),
            ("end", pa.float64()),
            ("embedding", pa.list_(pa.float32(), maker["embedding"])),
            ("reading", pa.int32()),
            ("text", pa.string()),
            ("level", pa.float32()),
        ],
        metadata={"openclap": about},
    )
    files = windows = 0
    try:
        with atomic_write(output) as part, pq.ParquetWriter(part, schema) as writer:
            waiting: list[Any] = []
            for recording in store.scan():
                count = len(recording.start)
                file = recording.file
                facts = (os.fsencode(file.path), file.size, file.mtime_ns, file.hash, file.seconds, list(file.tags))
                vectors = pa.FixedSizeListArray.from_arrays(
                    pa.array(recording.embedding.ravel()), recording.embedding.shape[1]
                )
                columns = [pa.array([fact] * count, kind) for fact, kind in zip(facts, schema.types, strict=False)]
                readings = pa.array([file.reading] * count, pa.int32())
                text = None if recording.text is None else json.dumps(astuple(recording.text))
                texts = pa.array([text] * count, pa.string())
                spans = [pa.array(recording.start), pa.array(recording.end)]
                levels = pa.array(recording.levels, pa.float32(), mask=np.isnan(recording.levels))
                waiting.append(
                    pa.Table.from_arrays([*columns, *spans, vectors, readings, texts, levels], schema=schema)
                )
                files, windows = files + 1, windows + count
                if sum(map(len, waiting)) >= ROWS_AT_ONCE:
                    writer.write_table(pa.concat_tables(waiting))
                    waiting = []
            if waiting:
                writer.write_table(pa.concat_tables(waiting))
    except OSError as error:
        raise UsageError(f"{output} cannot be written ({error.strerror or error}); choose another file") from error
    return {"output": str(output), "files": files, "windows": windows}


def import_parquet(store: Store, source: Path) -> dict[str, Any]:
    """Add what another library has exported → {"files", "windows"}; files that are known already are replaced.

    Raises
    ------
    LibraryMismatch
        Another model than this library's made the export.
    LibraryError
        The file is not an export of a library.
    """
    pa, pq = _pyarrow()
    if not source.exists():
        raise LibraryError(f"{source}: no such file; give one that a library was exported to")
    try:
        file = pq.ParquetFile(source)
        about = json.loads((file.schema_arrow.metadata or {})[b"openclap"])
        maker = validate_identity(json.dumps(about["maker"]))
        if not maker:
            raise ValueError("it does not say what made it")
        if (about["format"], about["version"]) != (FORMAT, VERSION):
            raise LibraryMismatch(
                f"{source} is of format version {about['version']}; this openclap reads {VERSION}: update openclap"
            )
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise LibraryError(f"{source} is no library that openclap has exported ({error}); give another file") from error
    mine = store.claim(maker)
    if mine["fingerprint"] != maker["fingerprint"]:
        raise LibraryMismatch(
            f"{source} was made by {describe_maker(maker)['model']} ({maker['fingerprint']}), {store.place} by"
            f" {describe_maker(mine)['model']} ({mine['fingerprint']})",
            Hint("other_library"),
        )
    if precision_of(mine) != precision_of(maker):
        raise LibraryMismatch(
            f"the vectors of {source} were computed in {precision_of(maker)}, those of {store.place} in"
            f" {precision_of(mine)}; import it into another library"
        )
    if not same_front_end(mine.get("front_end"), maker.get("front_end")):
        raise LibraryMismatch(
            f"{source} and {store.place} were made with another front end of {mine['model']}; index the files of both"
            " libraries again, and export it again"
        )
    files = windows = 0
    for some in batches(_recordings(file, source, maker["embedding"]), FILES_AT_ONCE):
        store.restore(some)
        files, windows = files + len(some), windows + sum(len(recording.start) for recording in some)
    store.optimize()
    return {"files": files, "windows": windows}


def _recordings(file: Any, source: Path, width: int) -> Iterator[Recording]:
    """The recordings of an export, in which the rows of one file follow each other."""
    rows = (row for batch in file.iter_batches(ROWS_AT_ONCE) for row in batch.to_pylist())
    try:
        for path, group in groupby(rows, key=lambda row: row["path"]):
            some = list(group)
            first = some[0]
            size, mtime_ns, content, seconds, tags = (
                first[name] for name in ("size", "mtime_ns", "hash", "seconds", "tags")
            )
            reading = first.get("reading", 1)
            known = validate_file(os.fsdecode(path), size, mtime_ns, content, seconds, tags or (), reading)
            spans = np.array([validate_span(known.path, row["start"], row["end"]) for row in some], np.float64)
            vectors = np.array([row["embedding"] for row in some], np.float32)
            whole = validate_vectors(known.path, vectors, width)
            level = np.array([validate_level(known.path, row.get("level")) for row in some], np.float32)
            yield Recording(known, spans[:, 0].copy(), spans[:, 1].copy(), whole, _text_of(first.get("text")), level)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise LibraryError(
            f"{source} is damaged ({error}); what was before that is imported, export it again"
        ) from error


def _text_of(value: str | None) -> FileText | None:
    if value is None:
        return None
    name, folders, tags, facts = json.loads(value)
    return validate_text(name, folders, tags, json.dumps(facts))


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("Parquet needs pyarrow:  pip install pyarrow") from None
    return pa, pq
