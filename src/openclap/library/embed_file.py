"""Files and folders → their embeddings in one .npz or .parquet file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from openclap.atomic_write import atomic_write
from openclap.audio.decode_limits import limit
from openclap.clap import CLAP
from openclap.errors import MissingExtra, SoundError, UsageError
from openclap.library.scan import find_sounds, require_sounds
from openclap.plurals import count_noun
from openclap.progress import with_progress
from openclap.results import Failure, Windows

__all__ = ["embed_to_file"]


def embed_to_file(
    clap: CLAP,
    paths: Iterable[str],
    output: Path,
    *,
    windows: bool = False,
    track: int | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Embed files and folders into one file; sounds that cannot be used are left out and reported.

    The file holds `path` (N,), `embedding` float32 (N, E) and, with `windows`, `start` and `end` in seconds (N,).
    `track` as in `CLAP.encode_audio`.

    Returns
    -------
    A summary: output, files, embeddings, size (E), model, failed.
    """
    write = _choose_writer(output)
    if not output.parent.is_dir() or output.is_dir():
        raise UsageError(
            f"-o {output}: {'it is a folder' if output.is_dir() else 'its folder does not exist'}; choose another -o"
        )
    found = find_sounds(paths)
    require_sounds(found)
    done: list[tuple[str, Windows]] = []
    failed = list(found.unreadable)
    stopped = False
    sounds = [limit(path, track=track) for path in found.files]
    seconds = clap.front_end.window_seconds
    embedded = clap.encode_each(sounds, window=seconds if windows else None, hop=seconds / 2)
    try:
        rows = with_progress(embedded, "embedding", len(found.files), show=progress)
        for path, result in zip(found.files, rows, strict=True):
            if isinstance(result, SoundError):
                failed.append(Failure(str(path), result.cause))
            else:
                done.append((str(path), result))
    except KeyboardInterrupt:  # write what is finished, then stop
        stopped = True
    if not done:
        if stopped:
            raise KeyboardInterrupt
        raise UsageError(
            f"not one of {count_noun(len(found.files), 'sound')} could be used, so {output} was not written; the first:"
            f" {failed[0].path}: {failed[0].error}"
        )
    columns: dict[str, Any] = {"path": np.array([path for path, spans in done for _ in range(len(spans))], np.str_)}
    if windows:
        columns["start"] = np.concatenate([spans.start for _, spans in done] or [np.zeros(0)])
        columns["end"] = np.concatenate([spans.end for _, spans in done] or [np.zeros(0)])
    columns["embedding"] = np.concatenate(
        [spans.embedding for _, spans in done] or [np.zeros((0, clap.config.embedding), np.float32)]
    )
    try:
        with atomic_write(output) as part:
            write(part, columns)
    except OSError as error:
        raise UsageError(f"{output} cannot be written ({error.strerror or error}); choose another -o") from error
    if stopped:
        raise KeyboardInterrupt
    return {
        "output": str(output),
        "files": len(done),
        "embeddings": len(columns["path"]),
        "size": clap.config.embedding,
        "model": clap.name,
        "failed": [failure.to_dict() for failure in failed],
    }


def _choose_writer(output: Path) -> Any:
    if output.suffix.lower() == ".npz":
        return _write_npz
    if output.suffix.lower() == ".parquet":
        try:
            import pyarrow as _  # noqa: F401
        except ImportError:
            raise MissingExtra("a .parquet file needs pyarrow:  pip install pyarrow  (or write a .npz file)") from None
        return _write_parquet
    raise UsageError(f"-o {output}: the name must end in .npz or .parquet")


def _write_npz(path: Path, columns: dict[str, Any]) -> None:
    with path.open("wb") as file:
        np.savez(file, **columns)


def _write_parquet(path: Path, columns: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: Sequence[Any] = columns["embedding"]
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(rows)), columns["embedding"].shape[1])
    plain = {
        name: pa.array([str(v).encode("utf-8", "replace").decode() for v in values] if name == "path" else values)
        for name, values in columns.items()
        if name != "embedding"
    }
    pq.write_table(pa.table({**plain, "embedding": vectors}), path)
