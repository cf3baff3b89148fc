"""How results look: tables for people, one JSON object a line for programs; on stdout there are only results."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from openclap.clock import clock
from openclap.errors import OpenClapError, SoundError
from openclap.plurals import count_noun
from openclap.progress import bar
from openclap.results import Failure, MissingFolder, UnderstoodText, UnknownWord

__all__ = [
    "HINTS",
    "bar",
    "each_sound",
    "emit",
    "err",
    "exit_if_failed",
    "file_name",
    "out",
    "plain",
    "print_error",
    "print_failures",
    "print_left_out",
    "print_missing",
    "print_uncalibrated",
    "print_understood",
    "print_unknown",
    "short",
    "span",
    "table",
    "use_any_terminal",
    "verbosity",
    "warn_in_one_line",
]

S = TypeVar("S")
R = TypeVar("R")

# no emoji, as a file name may hold :dog:; what is piped is not folded at the width of a terminal
WIDEST = 10_000  # columns
out = Console(
    soft_wrap=not sys.stdout.isatty(), highlight=False, emoji=False, width=None if sys.stdout.isatty() else WIDEST
)
err = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)


@dataclass
class Verbosity:
    """How much is said on stderr beside errors: what `-q` and `-v` choose."""

    quiet: bool = False
    verbose: bool = False

    def choose(self, *, quiet: bool, verbose: bool) -> None:
        """Choose for the rest of this run; `verbose` also turns the log on."""
        self.quiet, self.verbose = quiet, verbose
        if verbose:
            import logging

            logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")

    @property
    def progress(self) -> bool:
        """Whether bars are shown."""
        return err.is_terminal and not self.quiet


verbosity = Verbosity()

# control characters that move the cursor or reverse the text: the name of a stranger's file may hold them
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


# what to do about an error, in verbs and options
HINTS = {
    "alerts": 'give alerts (--alert "glass breaking"), or ask for anything unusual (--unusual)',
    "carry": "on a machine with a network run  openclap pull {name}  and copy {cache} here",
    "fill": "fill it with  openclap index FOLDER",
    "models": "see  openclap models",
    "other_library": "use another --library",
    "pull": "get it with  openclap pull {name}",
    "rate": "give --rate, and --channels and --format where they are not 1 and s16le",
    "reembed": "embed it anew with  openclap index --reembed --library {place}",
    "refit": "teach it anew by the examples that were kept:  openclap teach {name} --refit --model {model}",
    "repair": "try  openclap library repair",
    "restart": "start anew with --restart",
    "same_model": "give the model that made it with --model",
    "teach": "teach it:  openclap teach NAME --yes FILE…",
    "train_head": "train a head for this model:  openclap eval probe FOLDER --save FILE",
    "use_model": "go on with --model {name}",
}


def emit(rows: Iterable[dict[str, Any]]) -> None:
    """Print dictionaries as JSON, one a line."""
    for row in rows:
        line = json.dumps(row, ensure_ascii=False, allow_nan=False)
        try:
            line.encode(sys.stdout.encoding or "utf-8")
        except UnicodeEncodeError:  # a file name that is no UTF-8, or a pipe of Windows: escaped, it stays JSON
            line = json.dumps(row, allow_nan=False)
        print(line, flush=True)


def print_error(message: object) -> None:
    """Print an error as one line on stderr; nothing in it is taken for markup."""
    err.print("[red]error:[/red]", plain(message))


def print_failures(failed: Sequence[Failure]) -> None:
    """Print what failed on stderr, a line each."""
    for failure in failed:
        print_error(f"{failure.path}: {failure.error}")


def print_left_out(count: int, what: str) -> None:
    """Print in one line how many results are not shown because their files cannot be reached."""
    if count:
        files = "its file" if count == 1 else "their files"
        err.print(
            f"{count_noun(count, what)} left out: {files} cannot be reached now (--missing shows"
            f" {'it' if count == 1 else 'them'})"
        )


def print_silent(sound: str) -> None:
    """Print in one line that nothing is heard in a sound."""
    err.print(plain(f"{short(sound)}: nothing is heard in it; what follows means nothing"))


def print_missing(folders: Sequence[MissingFolder]) -> None:
    """Print in one line how many files stay in a library though they are missing, and where they were."""
    if folders:
        count = sum(folder.files for folder in folders)
        where = ", ".join(short(folder.path) for folder in folders[:3]) + ", …" * (len(folders) > 3)
        err.print(
            f"[yellow]kept:[/yellow] {count_noun(count, 'file')} missing from",
            plain(where),
            "(is a disk not mounted?); --prune drops them",
        )


def print_uncalibrated() -> None:
    """Print in one line that confidences were not fitted for this model."""
    if not verbosity.quiet:
        err.print(
            "[dim]confidences were not fitted for this model: their order holds, how large they are is a guess[/dim]"
        )


def print_unknown(words: Sequence[UnknownWord]) -> None:
    """Print in one line which words of a query the model was never taught, and what may have been meant."""
    if words:
        err.print(Text("this model does not know  ", "yellow") + plain(", ".join(map(str, words))))


def print_understood(texts: Sequence[UnderstoodText]) -> None:
    """Print in one line what a query in another language was taken for."""
    if texts:
        err.print(Text("understood as  ", "dim") + plain("; ".join(text.english for text in texts)))


def exit_if_failed(failed: Sequence[Failure]) -> None:
    """Print what failed and leave with exit code 1; return where nothing failed."""
    print_failures(failed)
    if failed:
        raise typer.Exit(1)


def each_sound(
    sounds: Iterable[S], work: Callable[[S], R], unreadable: Sequence[Failure] = ()
) -> Iterator[tuple[S, R]]:
    """Do something with each sound → the sounds that could be used, with what came of them.

    The others are printed, as are those that were `unreadable` before; where there are any, the exit code is 1.
    """
    failed = False
    for sound in sounds:
        try:
            made = work(sound)
        except SoundError as error:
            failed = True
            print_error(error)
        else:
            yield sound, made
    exit_if_failed(unreadable)
    if failed:
        raise typer.Exit(1)


Cell = str | Text


def table(
    title: Cell,
    columns: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    right: Sequence[str | int] = (),
    below: Sequence[int] = (),
    wide: Sequence[int] = (),
) -> None:
    """Print a table; strings may hold markup, so what a user wrote must come as `plain` text.

    Parameters
    ----------
    right
        Columns, by their names or their numbers, whose cells stand to the right.
    below
        Numbers of columns, such as that of a name. On a terminal that is too narrow for a row, their cells stand on
        lines of their own below it, and are not broken.
    wide
        Numbers of columns, such as that of a bar, that are then left out.
    """
    view = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    to_right = [column in right or number in right for number, column in enumerate(columns)]
    for column, side in zip(columns, to_right, strict=True):
        view.add_column(column, justify="right" if side else "left", overflow="fold")
    cells = [[Text.from_markup(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    for row in cells:
        view.add_row(*row)
    if below and out.measure(view, options=out.options.update(max_width=WIDEST)).maximum > out.width:
        kept = [number for number in range(len(columns)) if number not in {*below, *wide}]
        _print_stacked(title, [to_right[i] for i in kept], cells, kept, below)
    else:
        out.print(view)


def _print_stacked(
    title: Cell, right: Sequence[bool], rows: Sequence[Sequence[Text]], kept: Sequence[int], below: Sequence[int]
) -> None:
    """Print rows in two lines or more: the columns that are `kept`, then the cells of those `below`, one a line."""
    out.print(title, style="bold", soft_wrap=True)
    widths = [max((row[i].cell_len for row in rows), default=0) for i in kept]
    for row in rows:
        line = Text("  ").join(_pad(row[i], width, side) for i, width, side in zip(kept, widths, right, strict=True))
        for part in (line, *(Text("   ").append_text(row[i]) for i in below)):
            part.rstrip()
            if part:
                out.print(part, soft_wrap=True)


def _pad(cell: Text, width: int, right: bool) -> Text:
    padded = cell.copy()
    (padded.pad_left if right else padded.pad_right)(width - cell.cell_len)
    return padded


def plain(text: object) -> Text:
    """Text that is printed as it is, an error in the command line's words; on one line, control characters escaped."""
    said = text.say(HINTS, shlex.quote) if isinstance(text, OpenClapError) else str(text)
    return Text(UNSEEN.sub(lambda sign: ascii(sign[0])[1:-1], " ".join(said.split())))


def short(path: str) -> str:
    """Shorten a path as a user would write it: relative, or with ~."""
    relative = os.path.relpath(path) if not path.startswith("<") else path
    home = str(Path.home())
    return min((relative, path.replace(home, "~", 1) if path.startswith(home + os.sep) else path), key=len)


def file_name(path: str) -> Text:
    """The path of a file, shortened; a link to the file on a terminal that takes them (OSC 8)."""
    name = plain(short(path))
    shows_links = out.is_terminal and out.color_system is not None and not out.no_color and not out.legacy_windows
    if shows_links and not path.startswith("<"):
        name.stylize(Style(link=Path(os.path.abspath(path)).as_uri()))
    return name


def span(start: float, end: float) -> str:
    """Write seconds as 0:03.0-0:13.0."""
    return f"{clock(start)}-{clock(end)}"


def warn_in_one_line() -> None:
    """Print warnings of openclap as one line on stderr, without the line of code; leave out those of libraries."""

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if category.__module__.startswith("openclap"):
            err.print("[yellow]warning:[/yellow]", plain(message))

    warnings.showwarning = show
    warnings.simplefilter("default")


def use_any_terminal() -> None:
    """Escape characters that the terminal's encoding lacks, where printing them would be an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
