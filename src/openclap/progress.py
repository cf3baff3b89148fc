"""A progress bar on stderr."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["with_progress"]

T = TypeVar("T")


def with_progress(things: Iterable[T], what: str, total: int | None, *, show: bool) -> Iterator[T]:
    """Go through things, with a progress bar on stderr where `show` is True; `total` may be unknown (None)."""
    if not show:
        return iter(things)
    from rich.console import Console
    from rich.progress import track

    return iter(track(things, what, total, console=Console(stderr=True)))
