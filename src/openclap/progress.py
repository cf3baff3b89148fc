"""A progress bar on stderr."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["bar", "with_progress"]

T = TypeVar("T")


def with_progress(things: Iterable[T], what: str, total: int | None, *, show: bool) -> Iterator[T]:
    """Go through things, with a progress bar on stderr where `show` is True; `total` may be unknown (None)."""
    if not show:
        return iter(things)
    from rich.console import Console
    from rich.progress import track

    return iter(track(things, what, total, console=Console(stderr=True)))


def bar(share: float, width: int = 16) -> str:
    """A share in [0, 1] as a bar, in the markup of rich."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return f"[green]{'█' * filled}[/green][dim]{'░' * (width - filled)}[/dim]"
