"""A bar on stderr for what takes long. Knows nothing of what is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["with_progress"]

T = TypeVar("T")


def with_progress(things: Iterable[T], what: str, total: int | None, *, show: bool) -> Iterator[T]:
    """Things as they come, counted in a bar on stderr where it is shown; `total` is None where it is not known before."""
    if not show:
        return iter(things)
    from rich.console import Console
    from rich.progress import track

    return iter(track(things, what, total, console=Console(stderr=True)))
