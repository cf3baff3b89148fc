"""Where the time of HTSAT's graph goes, layer by layer, beside what the same matrix products take in numpy.

usage: python bench/layers.py [--threads 1] [--rounds 20]

A full-size HTSAT-tiny with random weights, a clip of 10 s, mel → embedding. The engine's own counters say how long each kind of
layer takes; the products of the graph (their shapes read from it) are timed in numpy's BLAS between the runs of the graph, so that
the machine's mood falls on both alike. "÷ products" near 1 means that there is nothing left to fuse. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from end_to_end import again
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from openclap import CLAP
from openclap.backends.graphs.engine import ov

FRAMES, MELS = 1001, 64


def compiled(weights: Path, threads: int, *, counters: bool) -> tuple[Any, Counter[tuple[int, int, int, int]]]:
    """An inference request for one clip, and how often each product (batch, rows, inner, columns) is in its graph."""
    clap = CLAP.from_pretrained(weights)
    backend: Any = clap.backend
    graph = backend._audio_graph(fused=False)  # what short clips run
    graph.reshape([1, 1, FRAMES, MELS])
    products: Counter[tuple[int, int, int, int]] = Counter()
    for op in graph.get_ops():
        if op.get_type_name() == "MatMul":
            first, out = (list(shape) for shape in (op.input(0).get_shape(), op.output(0).get_shape()))
            inner = first[-2] if op.get_attributes()["transpose_a"] else first[-1]
            batched = len(op.input(1).get_shape()) > 2
            batch = int(np.prod(out[:-2])) if batched else 1
            products[batch, int(np.prod(out[:-1])) // batch, inner, out[-1]] += 1
    options = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": str(threads), "PERF_COUNT": counters}  # fmt: skip
    return ov.Core().compile_model(graph, "CPU", options).create_infer_request(), products


def took(call: Callable[[], object]) -> float:
    """Seconds of a call."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as aside:
        again("--save", "--weights", aside)
        plain, products = compiled(Path(aside), args.threads, counters=False)
        counted, _ = compiled(Path(aside), args.threads, counters=True)
    mel = rng.standard_normal((1, 1, FRAMES, MELS)).astype(np.float32)
    given = {
        (b, m, k, n): [rng.standard_normal((b, *shape)).astype(np.float32) for shape in ((m, k), (k, n))]
        for b, m, k, n in products
    }
    spent: Counter[str] = Counter()
    layers: Counter[str] = Counter()
    whole, alone = [], []
    with threadpool_limits(args.threads, user_api="blas"):
        for round_ in range(-2, args.rounds):  # two to get warm
            seconds = took(lambda: plain.infer([mel]))
            floor = sum(1.0 * count * took(partial(np.matmul, *given[shape])) for shape, count in products.items())
            counted.infer([mel])
            if round_ < 0:
                continue
            whole.append(seconds)
            alone.append(floor)
            for layer in counted.profiling_info:
                kind = f"{layer.node_type}, {layer.exec_type}"
                spent[kind] += layer.real_time.total_seconds()
                layers[kind] += 1
    gflop = sum(2 * np.prod(shape) * count for shape, count in products.items()) / 1e9
    ms, floor_ms = (1e3 * float(np.median(x)) for x in (whole, alone))
    ratio = float(np.median(np.array(whole) / np.array(alone)))
    table = Table(
        title=f"HTSAT mel → embedding: {ms:.0f} ms on {args.threads} thread(s); its products ({gflop:.1f} GFLOP) in numpy"
        f" {floor_ms:.0f} ms; ÷ products {ratio:.2f}"
    )
    for column in ("layers", "how many", "share of the time"):
        table.add_column(column, justify="left" if column == "layers" else "right")
    shares = {kind: seconds / spent.total() for kind, seconds in spent.most_common() if seconds}
    for kind, share in shares.items():
        if share >= 0.002:
            table.add_row(kind, str(layers[kind] // args.rounds), f"{share:.1%}")
    Console(width=120).print(table)
    print(json.dumps({"threads": args.threads, "ms": round(ms, 1), "products_ms": round(floor_ms, 1), "ratio": round(ratio, 2), "gflop": round(gflop, 2), "shares": {kind: round(share, 3) for kind, share in shares.items()}}))  # fmt: skip


if __name__ == "__main__":
    main()
