"""How results look: tables for people on a terminal, one JSON object a line for programs. stdout is results alone."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from openclap.plurals import count_noun

if TYPE_CHECKING:
    from openclap.results import Failure, MissingFolder

__all__ = [
    "bar",
    "emit",
    "err",
    "exit_if_failed",
    "out",
    "plain",
    "print_error",
    "print_failures",
    "print_left_out",
    "print_missing",
    "print_uncalibrated",
    "short",
    "span",
    "table",
    "use_any_terminal",
    "warn_in_one_line",
]

# a file name is no emoji; what is piped is not folded
out = Console(
    soft_wrap=not sys.stdout.isatty(), highlight=False, emoji=False, width=None if sys.stdout.isatty() else 10_000
)
err = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)


# what moves a terminal's cursor or turns its letters round, as a file or a detector of a stranger may be called
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def emit(rows: Iterable[dict[str, Any]]) -> None:
    """One JSON object a line."""
    for row in rows:
        line = json.dumps(row, ensure_ascii=False, allow_nan=False)
        try:
            line.encode(sys.stdout.encoding or "utf-8")
        except (
            UnicodeEncodeError
        ):  # a file name that is no UTF-8, or a pipe of Windows, is escaped, so that the line stays JSON
            line = json.dumps(row, allow_nan=False)
        print(line, flush=True)


def print_error(message: object) -> None:
    """An error as one line on stderr, with nothing in it taken for markup."""
    err.print("[red]error:[/red]", plain(message))


def print_failures(failed: Sequence[Failure]) -> None:
    """Name what failed on stderr, a line each."""
    for failure in failed:
        print_error(f"{failure.path}: {failure.error}")


def print_left_out(count: int, what: str) -> None:
    """How many results are not shown since their files cannot be reached, in a line."""
    if count:
        files = "its file" if count == 1 else "their files"
        err.print(
            f"{count_noun(count, what)} left out: {files} cannot be reached now (--missing shows"
            f" {'it' if count == 1 else 'them'})"
        )


def print_missing(folders: Sequence[MissingFolder]) -> None:
    """Which files stay in a library though they are missing, in a line."""
    if folders:
        count = sum(folder.files for folder in folders)
        where = ", ".join(short(folder.path) for folder in folders[:3]) + ", …" * (len(folders) > 3)
        err.print(
            f"[yellow]kept:[/yellow] {count_noun(count, 'file')} missing from",
            plain(where),
            "(is a disk not mounted?); --prune drops them",
        )


def print_uncalibrated() -> None:
    """What confidences are worth with a model that they were not fitted for, in a line."""
    err.print("[dim]confidences were not fitted for this model: their order holds, how large they are is a guess[/dim]")


def exit_if_failed(failed: Sequence[Failure]) -> None:
    """Name what failed, and exit 1; nothing where nothing failed."""
    print_failures(failed)
    if failed:
        raise typer.Exit(1)


Cell = str | Text


def table(title: Cell, columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, right: Sequence[str] = ()) -> None:
    """A table; strings may hold markup, so what a user wrote must come as `plain` text."""
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


def plain(text: object) -> Text:
    """Text that is printed as it is, on one line; of what is no letter, what it is called."""
    return Text(UNSEEN.sub(lambda sign: ascii(sign[0])[1:-1], " ".join(str(text).split())))


def short(path: str) -> str:
    """A path as the user would write it here."""
    relative = os.path.relpath(path) if not path.startswith("<") else path
    home = str(Path.home())
    return min((relative, path.replace(home, "~", 1) if path.startswith(home + os.sep) else path), key=len)


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
            err.print("[yellow]warning:[/yellow]", plain(message))

    warnings.showwarning = show
    warnings.simplefilter("default")


def use_any_terminal() -> None:
    """Signs that a terminal or a file name's encoding does not have are escaped, not a crash."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
