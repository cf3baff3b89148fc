"""How far indexing has come: a bar on stderr with rate, time left and failures, or calls of a function."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from openclap.results import Failure

__all__ = ["Advance", "Progress", "track_progress"]

Advance = Callable[[int], None]  # called with the number of files that were just done
Progress = Callable[[int, int], None]  # called with how many files of how many are done; what it raises stops the run


@contextmanager
def track_progress(total: int, show: bool | Progress, failed: Sequence[Failure]) -> Iterator[Advance]:
    """A function to call with the number of files that were just done, which shows progress or calls `show`."""
    if callable(show):
        so_far = 0

        def tell(count: int) -> None:
            nonlocal so_far
            so_far += count
            show(so_far, total)

        tell(0)
        yield tell
        return
    if not show:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("indexing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("[red]{task.fields[bad]}"),
    )
    began, done = time.monotonic(), 0
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, rate="", bad="")

        def advance(count: int) -> None:
            nonlocal done
            done += count
            rate = done / max(time.monotonic() - began, 1e-6)
            bad = f"{len(failed)} failed" if failed else ""
            bar.update(task, completed=done, rate=f"{rate:.0f} files/s", bad=bad)

        yield advance
