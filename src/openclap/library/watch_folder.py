"""Files and folders, looked at again and again → a library that stays up to date."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from openclap.clap import CLAP
from openclap.library import indexing
from openclap.library.model_identity import claim_store
from openclap.library.scan import size_and_time
from openclap.results import AddReport
from openclap.store import Store

__all__ = ["watch_folder"]

SETTLED = 2.0  # seconds after the last write to a file, after which it counts as finished


def watch_folder(
    store: Store,
    clap: CLAP,
    paths: Sequence[str | os.PathLike[str]],
    *,
    every: float,
    tags: Sequence[str],
    exclude: Sequence[str] = (),
) -> Iterator[AddReport]:
    """Yield a report at once and after every change, for ever; see `Library.watch`."""
    bad: dict[str, tuple[int, int]] = {}  # path → size and time of files that could not be used
    reported: set[tuple[str, str]] = set()  # path and error of failures

    def skip(path: Path, now: tuple[int, int]) -> bool:
        return 0 <= time.time() - now[1] / 1e9 < SETTLED or bad.get(str(path)) == now

    first, kept = True, 0
    while True:
        report = indexing.add(
            store, clap, paths, claim=partial(claim_store, store, clap), tags=tags, exclude=exclude, skip=skip
        )
        for failure in report.failed:
            if (now := size_and_time(failure.path)) is not None:
                bad[failure.path] = now
        failed = [failure for failure in report.failed if (failure.path, failure.error) not in reported]
        reported |= {(failure.path, failure.error) for failure in failed}
        report = replace(report, failed=failed)
        if first or report.added or report.updated or report.removed or report.failed or report.kept_missing != kept:
            yield report
        first, kept = False, report.kept_missing
        time.sleep(every)
