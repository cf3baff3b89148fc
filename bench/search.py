"""Search in a library of many windows: ingest, caches, cold and warm queries, recall, memory, disk; beside raw engines.

usage: python bench/search.py [--rows 10000 100000 1000000] [--width 512] [--engines openclap openclap_lance numpy usearch faiss lancedb]
       python bench/search.py --vectors ROWS.npy --queries TEXTS.npy SOUNDS.npy     # of your own, unit rows

Vectors are realistic: clusters of clusters, as sounds have, a few windows a file; queries lie apart from them as texts do
(the modality gap). Every engine has a process of its own, one after another, over the same arrays. faiss looks at as many
partitions as find 0.995 of the best ten, or what all of them find. `cpu` is the processor time of all threads for a query, which other work on the
machine changes less than the clock; `half` and `hundredth` are the same (of processors) where a filter leaves that share of the files. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from child_processes import exit_on_sigterm
from rich.console import Console
from rich.table import Table

ENGINES = ("openclap", "openclap_lance", "numpy", "usearch", "faiss", "lancedb")
QUERIES = 200
K = 10
A_FILE = 4  # windows
SHARES = {"half": 2, "hundredth": 100}  # a filter leaves every second file, or every hundredth
ROWS_AT_ONCE = 20_000


def clustered(rows: int, width: int, seed: int = 0) -> np.ndarray:
    """Unit rows (N, E) around 2000 themes of 60 kinds, of 48 effective dimensions, with a common part as CLAP's have."""
    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((48, width)) / width**0.5
    kinds = rng.standard_normal((60, 48))
    themes = kinds[rng.integers(0, 60, 2000)] + 0.7 * rng.standard_normal((2000, 48))
    common = 1.5 * rng.standard_normal(width) / width**0.5
    made = np.empty((rows, width), np.float32)
    for start in range(0, rows, ROWS_AT_ONCE):
        count = min(ROWS_AT_ONCE, rows - start)
        files = rng.integers(0, 2000, -(-count // A_FILE)).repeat(A_FILE)[:count]
        of_file = 0.5 * rng.standard_normal((-(-count // A_FILE), 48)).repeat(A_FILE, 0)[:count]
        part = (themes[files] + of_file + 0.25 * rng.standard_normal((count, 48))) @ basis
        part += common + 0.15 * rng.standard_normal((count, width)) / width**0.5
        made[start : start + count] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return made


def queries_of(vectors: np.ndarray, seed: int = 1) -> np.ndarray:
    """As texts: near no row, but nearer to some than to others."""
    rng = np.random.default_rng(seed)
    chosen = np.array(vectors[np.sort(rng.integers(0, len(vectors), QUERIES))])
    gap = rng.standard_normal(vectors.shape[1]) / vectors.shape[1] ** 0.5
    made = chosen - chosen.mean(0) + 0.8 * gap + 0.5 * rng.standard_normal(chosen.shape) / vectors.shape[1] ** 0.5
    unit: np.ndarray = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    return unit


def resident() -> float:
    """MB now."""
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def timed(search: Callable[..., Any], queries: np.ndarray, share: int = 1) -> tuple[np.ndarray, list[Any]]:
    """Milliseconds on the wall and of processors (2, Q), and what is found in every `share`-th file."""
    times, found = [], []
    for query in queries:
        wall, work = time.perf_counter(), time.process_time()
        found.append(search(query) if share == 1 else search(query, share))
        times.append((time.perf_counter() - wall, time.process_time() - work))
    return 1e3 * np.array(times).T, found


def recall_of(found: list[Any], truth: np.ndarray) -> float:
    return float(np.mean([len(set(map(int, a)) & set(map(int, b))) / K for a, b in zip(truth, found, strict=True)]))


def share_of(file: int) -> int:
    """The largest of `SHARES` that a file belongs to: seconds that are added to its length, for filters."""
    return max((share for share in SHARES.values() if file % share == 0), default=0)


# -- engines: each gives {"search": query (and a share of files) → row numbers, and what it measured} ------------------------


def with_openclap(
    vectors: np.ndarray, place: Path, name: str = "library"
) -> tuple[Callable[[np.ndarray], list[int]], dict[str, Any]]:
    from openclap.store import File, Recording, ScoredWindow, SearchFilter, open_store

    store = open_store(place / name)
    start = time.perf_counter()
    store.claim({"model": "bench", "fingerprint": "0" * 16, "embedding": vectors.shape[1]})
    batch: list[Recording] = []
    spans: Any = np.arange(A_FILE) * 5.0
    for number, row in enumerate(range(0, len(vectors), A_FILE)):
        rows = np.array(vectors[row : row + A_FILE])
        file = File(f"/sounds/{number:08d}.wav", 1000, number, f"{number:032x}", 25.0 + share_of(number))
        batch.append(Recording(file, spans[: len(rows)], spans[: len(rows)] + 10, rows))
        if len(batch) == 1000:
            store.put(batch)
            batch = []
    store.put(batch)
    ingest = time.perf_counter() - start
    start = time.perf_counter()
    store.optimize()
    build = time.perf_counter() - start
    store.close()

    def number_of(row: ScoredWindow) -> int:
        return int(row.path[8:16]) * A_FILE + round(row.start / 5)

    store = open_store(place / name)
    new = queries_of(vectors[: QUERIES * 2], 5)[0]
    before = time.perf_counter()
    store.nearest(new, K, per_file=False)
    cold = time.perf_counter() - before
    found = {"ingest_s": ingest, "build_s": build, "cold_ms": cold * 1e3}

    def search(query: np.ndarray, share: int = 0) -> list[int]:
        where = SearchFilter(min_seconds=25.0 + share) if share else None
        return [number_of(row) for row in store.nearest(query, K, where=where, per_file=False)]

    return search, found


def with_openclap_lance(vectors: np.ndarray, place: Path) -> tuple[Callable[[np.ndarray], list[int]], dict[str, Any]]:
    """The store past one machine, in a folder here."""
    return with_openclap(vectors, place, "library.lance")


def with_numpy(vectors: np.ndarray, place: Path) -> tuple[Callable[[np.ndarray], list[int]], dict[str, Any]]:
    """The exact scan over a mapped array: what to compare with."""
    path = place / "raw.npy"
    start = time.perf_counter()
    np.save(path, vectors)
    ingest = time.perf_counter() - start
    mapped = np.load(path, mmap_mode="r")

    def search(query: np.ndarray) -> list[int]:
        score = mapped @ query
        best = np.argpartition(-score, K)[:K]
        return [int(i) for i in best[np.argsort(-score[best])]]

    before = time.perf_counter()
    search(queries_of(vectors[: QUERIES * 2], 5)[0])
    return search, {"ingest_s": ingest, "build_s": 0.0, "cold_ms": (time.perf_counter() - before) * 1e3}


def with_usearch(vectors: np.ndarray, place: Path) -> tuple[Callable[[np.ndarray], list[int]], dict[str, Any]]:
    from usearch.index import Index

    index = Index(ndim=vectors.shape[1], metric="ip", dtype="f16")
    start = time.perf_counter()
    for row in range(0, len(vectors), ROWS_AT_ONCE):
        part = np.array(vectors[row : row + ROWS_AT_ONCE])
        index.add(np.arange(row, row + len(part)), part)
    build = time.perf_counter() - start
    index.save(str(place / "index.usearch"))
    return lambda query: [int(i) for i in index.search(query, K).keys], {"ingest_s": 0.0, "build_s": build}


def with_faiss(vectors: np.ndarray, place: Path) -> tuple[Callable[[np.ndarray], list[int]], dict[str, Any]]:
    import faiss

    count = round(len(vectors) ** 0.5)
    coarse = faiss.IndexFlatIP(vectors.shape[1])
    index = faiss.IndexIVFScalarQuantizer(
        coarse, vectors.shape[1], count, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    start = time.perf_counter()
    rng = np.random.default_rng(0)
    index.train(np.array(vectors[np.sort(rng.permutation(len(vectors))[: count * 40])]))
    for row in range(0, len(vectors), ROWS_AT_ONCE):
        index.add(np.array(vectors[row : row + ROWS_AT_ONCE]))
    build = time.perf_counter() - start
    faiss.write_index(index, str(place / "index.faiss"))
    files = np.arange(len(vectors)) // A_FILE
    allowed = {share: np.packbits(files % share == 0, bitorder="little") for share in SHARES.values()}
    chosen = {share: faiss.IDSelectorBitmap(rows) for share, rows in allowed.items()}
    index.nprobe = 64

    def search(query: np.ndarray, share: int = 1) -> list[int]:
        options = None if share == 1 else faiss.SearchParametersIVF(sel=chosen[share], nprobe=index.nprobe)
        return [int(i) for i in index.search(query[None], K, params=options)[1][0]]

    file = str(vectors.filename)  # type: ignore[attr-defined]  # a mapped array
    queries, truth = (np.load(file.replace(".npy", f"-{part}.npy")) for part in ("queries", "truth1"))

    def recall_with(probed: int) -> float:
        index.nprobe = probed
        return recall_of([search(query) for query in queries], truth)

    enough, probed = min(0.995, recall_with(count)), 64  # its numbers of eight bits lose some, too
    while probed < count and recall_with(probed) < enough:
        probed = min(count, probed * 5 // 4)
    index.nprobe = probed
    return search, {"ingest_s": 0.0, "build_s": build, "probed": index.nprobe / count}


def with_lancedb(vectors: np.ndarray, place: Path) -> tuple[Callable[[np.ndarray], list[int]], dict[str, Any]]:
    import lancedb
    import pyarrow as pa

    start = time.perf_counter()
    db = lancedb.connect(str(place / "lance"))
    schema = pa.schema([("id", pa.int64()), ("vector", pa.list_(pa.float32(), vectors.shape[1]))])
    table = db.create_table("t", schema=schema)
    for row in range(0, len(vectors), ROWS_AT_ONCE):
        part = np.array(vectors[row : row + ROWS_AT_ONCE])
        rows = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), vectors.shape[1])
        table.add(pa.table({"id": np.arange(row, row + len(part)), "vector": rows}, schema=schema))
    ingest = time.perf_counter() - start
    start = time.perf_counter()
    if len(vectors) >= 250_000:
        table.create_index(metric="dot", vector_column_name="vector", index_type="IVF_SQ", num_partitions=round(len(vectors) ** 0.5))  # fmt: skip
    build = time.perf_counter() - start

    def search(query: np.ndarray) -> list[int]:
        rows = table.search(query).distance_type("dot").nprobes(40).refine_factor(3).limit(K).select(["id"]).to_arrow()
        return [int(i) for i in rows["id"].to_pylist()]

    return search, {"ingest_s": ingest, "build_s": build}


def measure(engine: str, rows: int, width: int, place: Path) -> dict[str, Any]:
    vectors = np.load(place / f"{rows}.npy", mmap_mode="r")
    queries = np.load(place / f"{rows}-queries.npy")
    truth = np.load(place / f"{rows}-truth1.npy")
    with tempfile.TemporaryDirectory(dir=place) as aside:
        search, measured = globals()[f"with_{engine}"](vectors, Path(aside))
        del vectors
        timed(search, queries[:5])
        times, found = timed(search, queries)
        if engine in ("openclap", "faiss"):
            for name, share in SHARES.items():
                some_times, some_found = timed(search, queries, share)
                measured[f"{name}_ms"] = float(np.median(some_times[1]))
                measured[f"{name}_recall"] = recall_of(some_found, np.load(place / f"{rows}-truth{share}.npy"))
        disk = sum(path.stat().st_size for path in Path(aside).rglob("*") if path.is_file()) / 2**20
        return {
            **measured, "p50_ms": float(np.median(times[0])), "p99_ms": float(np.quantile(times[0], 0.99)),
            "cpu_ms": float(np.median(times[1])), "cpu_p99_ms": float(np.quantile(times[1], 0.99)), "recall": recall_of(found, truth),
            "resident_mb": resident(), "disk_mb": disk,
        }  # fmt: skip


def best_rows(vectors: np.ndarray, queries: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The best rows among those at some places, for each query: (Q, K)."""
    best, scores = np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0), np.float32)
    for start in range(0, len(places), ROWS_AT_ONCE):
        some = places[start : start + ROWS_AT_ONCE]
        best = np.concatenate([best, np.tile(some, (len(queries), 1))], 1)
        scores = np.concatenate([scores, queries @ vectors[some].T], 1)
        kept = np.argpartition(-scores, K - 1, axis=1)[:, :K]
        best, scores = np.take_along_axis(best, kept, 1), np.take_along_axis(scores, kept, 1)
    return best


def prepare(rows: int, width: int, place: Path, own: Path | None, asked: list[Path]) -> None:
    vectors = np.load(own, mmap_mode="r") if own else clustered(rows, width)
    queries = np.concatenate([np.load(path) for path in asked]) if asked else queries_of(vectors)
    np.save(place / f"{rows}.npy", vectors)
    np.save(place / f"{rows}-queries.npy", queries)
    for share in (1, *SHARES.values()):
        places = np.flatnonzero(np.arange(rows) // A_FILE % share == 0)
        np.save(place / f"{rows}-truth{share}.npy", best_rows(vectors, queries, places))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--engines", nargs="*", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--folder", type=Path, help="where the arrays are made: 10 GB for a million rows")
    parser.add_argument("--only", choices=[*ENGINES, "prepare"], help=argparse.SUPPRESS)
    parser.add_argument("--vectors", type=Path, help="rows of your own, instead of made ones: (N, E), of unit length")
    parser.add_argument("--queries", type=Path, nargs="*", default=[], help="queries of your own, likewise")
    args = parser.parse_args()
    if args.vectors:
        rows, args.width = np.load(args.vectors, mmap_mode="r").shape
        args.rows = [rows]
    if args.only == "prepare":
        prepare(args.rows[0], args.width, args.folder, args.vectors, args.queries)
        return
    if args.only:
        print(json.dumps(measure(args.only, args.rows[0], args.width, args.folder)))
        return
    console, summary = Console(width=200), {}
    with tempfile.TemporaryDirectory(dir=args.folder) as aside:
        for rows in args.rows:
            options = ["--rows", str(rows), "--width", str(args.width), "--folder", aside]
            own = [
                *(["--vectors", args.vectors] if args.vectors else []),
                *(["--queries", *args.queries] if args.queries else []),
            ]
            subprocess.run([sys.executable, __file__, *options, *own, "--only", "prepare"], check=True)
            table = Table(title=f"{rows:,} windows of {args.width} numbers, {QUERIES} queries, k = {K}")
            columns = (
                "ingest_s", "build_s", "cold_ms", "p50_ms", "p99_ms", "cpu_ms", "cpu_p99_ms", "recall", "half_ms", "half_recall",
                "hundredth_ms", "hundredth_recall", "probed", "resident_mb", "disk_mb",
            )  # fmt: skip
            for column in ("", *columns):
                table.add_column(column.replace("_", " "), justify="right" if column else "left")
            for engine in args.engines:
                done = subprocess.run([sys.executable, __file__, *options, "--only", engine], check=False, capture_output=True, text=True)  # fmt: skip
                if done.returncode:
                    reason = done.stderr.strip().splitlines()[-1]
                    table.add_row(engine, reason)
                    continue
                found = json.loads(done.stdout.splitlines()[-1])
                summary[f"{engine} {rows}"] = {name: round(value, 3) for name, value in found.items()}
                table.add_row(engine, *(f"{found[c]:.3g}" if c in found else "" for c in columns))
            console.print(table)
            (Path(aside) / f"{rows}.npy").unlink()
    print(json.dumps(summary))


if __name__ == "__main__":
    exit_on_sigterm()
    main()
