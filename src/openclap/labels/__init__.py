"""Label lists of the field's benchmarks, in the index order of each data set; README.md beside this names their sources."""

from __future__ import annotations

from pathlib import Path

from openclap.errors import UsageError

__all__ = ["LISTS", "labels"]

LISTS = ("audioset", "esc50", "fsd50k", "gtzan", "urbansound8k", "vggsound")


def labels(name: str) -> list[str]:
    """The labels of a data set, one of `LISTS`."""
    if name not in LISTS:
        raise UsageError(f"{name!r} is no list of labels; choose {', '.join(LISTS)}")
    return (Path(__file__).parent / f"{name}.txt").read_text(encoding="utf-8").splitlines()
