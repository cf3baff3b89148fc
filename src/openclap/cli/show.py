"""How results look: tables for people on a terminal, one JSON object a line for programs. stdout is results alone."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from openclap.results import Failure

__all__ = ["bar", "emit", "err", "exit_told", "out", "short", "span", "table", "warn_in_one_line"]

out = Console(soft_wrap=not sys.stdout.isatty(), highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def emit(rows: Iterable[dict[str, Any]]) -> None:
    """One JSON object a line."""
    for row in rows:
        print(json.dumps(row, ensure_ascii=False), flush=True)


def exit_told(failed: Sequence[Failure]) -> None:
    """Name what failed on stderr, a line each, and exit 1; nothing where nothing failed."""
    for failure in failed:
        err.print(f"[red]error:[/red] {escape(failure.path)}: {escape(failure.error)}")
    if failed:
        raise typer.Exit(1)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """A table; cells may hold markup, so user text must be escaped (see `short`)."""
    view = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for column in columns:
        view.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        view.add_row(*row)
    out.print(view)


def bar(value: float, width: int = 16) -> str:
    """A share in [0, 1] as a bar."""
    filled = round(max(0.0, min(1.0, value)) * width)
    return f"[green]{'█' * filled}[/green][dim]{'░' * (width - filled)}[/dim]"


def short(path: str) -> str:
    """A path as the user would write it here, safe to print in a table."""
    relative = os.path.relpath(path) if not path.startswith("<") else path
    home = str(Path.home())
    best = min((relative, path.replace(home, "~", 1) if path.startswith(home + os.sep) else path), key=len)
    return escape(best)


def span(start: float, end: float) -> str:
    """Seconds as 0:03.0-0:13.0."""
    return f"{_clock(start)}-{_clock(end)}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def warn_in_one_line() -> None:
    """Warnings as one line on stderr, without the code that gave them."""

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if category.__module__.startswith("openclap"):
            err.print(f"[yellow]warning:[/yellow] {escape(str(message))}")

    warnings.showwarning = show
    warnings.simplefilter("default")
