"""What the paper prints (Wu et al., ICASSP 2023, arXiv 2211.06687), from published.csv: the one place of its numbers.

`table` is the paper's, `percent` as printed, and `row` says which model it is; all are HTSAT-tiny with RoBERTa. K2C: trained
on AudioCaps, Clotho, LAION-Audio-630K, and AudioSet with keyword-to-caption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from openclap.results import Result
from openclap.textfiles import read_records

__all__ = ["PAPER", "Published", "find_published", "published_scores", "rows_of_model"]

PAPER = "arXiv 2211.06687"
FILE = Path(__file__).parent / "published.csv"
COLUMNS = ("table", "row", "benchmark", "task", "metric", "percent")
PLAIN, FUSED, SMALL, TUNED = "K2C", "fusion + K2C", "AudioCaps + Clotho", "fine-tuned"


@dataclass(frozen=True)
class Published(Result):
    """One number of the paper: the table and row where it stands, and its value as a share."""

    table: int
    row: str
    benchmark: str
    task: str
    metric: str
    value: float


@cache
def _all() -> tuple[Published, ...]:
    return tuple(
        Published(
            int(r["table"]), r["row"], r["benchmark"], r["task"], r["metric"], round(float(r["percent"]) / 100, 6)
        )
        for _, r in read_records(FILE, COLUMNS)
    )


def published_scores(benchmark: str) -> dict[str, dict[str, float]]:
    """The numbers of the paper's K2C model on a benchmark: by task, then by metric."""
    found: dict[str, dict[str, float]] = {}
    for one in _all():
        if (one.benchmark, one.row) == (benchmark, PLAIN):
            found.setdefault(one.task, {})[one.metric] = one.value
    return found


def rows_of_model(*, fused: bool) -> tuple[str, ...]:
    """The rows to compare a model with, the nearest first: a fused model has a row of its own for some numbers."""
    return (*((FUSED,) if fused else ()), PLAIN, TUNED, SMALL)


def find_published(benchmark: str, task: str, metric: str, rows: Sequence[str]) -> Published | None:
    """The number of the first of these rows that has one; None where the paper prints none."""
    found = {one.row: one for one in _all() if (one.benchmark, one.task, one.metric) == (benchmark, task, metric)}
    return next((found[row] for row in rows if row in found), None)
