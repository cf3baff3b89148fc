"""Options that several verbs share, each declared once, and the model and the lists that they name."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer
from platformdirs import user_cache_path, user_data_path

from openclap.cli.show import err, verbosity
from openclap.errors import DataError, UsageError

if TYPE_CHECKING:
    from openclap.clap import CLAP
    from openclap.store import SearchFilter

__all__ = [
    "FILTERS",
    "MACHINE",
    "OUTPUT",
    "TUNING",
    "ChangedBefore",
    "ChangedSince",
    "Detectors",
    "Device",
    "Hop",
    "Json",
    "KeywordWriter",
    "Labels",
    "LabelsFile",
    "LibraryPath",
    "MaxSeconds",
    "MinSeconds",
    "Model",
    "PathPattern",
    "Paths",
    "Precision",
    "ReportFile",
    "Resume",
    "ShowMissing",
    "Split",
    "Tagged",
    "TaughtSound",
    "Threads",
    "Track",
    "Translate",
    "Verbs",
    "Window",
    "add_verbs",
    "default_library",
    "load_model",
    "read_lines",
    "search_filter",
]

Verbs: TypeAlias = dict[
    Callable[..., None], tuple[str, ...]
]  # the functions of a module, each with examples for --help

# panels of --help, beside the first one
MACHINE, OUTPUT, FILTERS, TUNING = "Model and machine", "Output", "Filters", "Tuning"

Model = Annotated[
    str,
    typer.Option(
        "--model",
        envvar="OPENCLAP_MODEL",
        help="mini, a Hub id, a folder, a .safetensors or a LAION .pt file",
        rich_help_panel=MACHINE,
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N", rich_help_panel=MACHINE)]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads of the model", rich_help_panel=MACHINE)
]
Precision = Annotated[
    str,
    typer.Option("--precision", help="float32, or int8: faster, a little different", rich_help_panel=MACHINE),
]
Translate = Annotated[
    str,
    typer.Option(
        "--translate",
        envvar="OPENCLAP_TRANSLATE",
        help="Chinese words become English: auto, by the lexicon; off; or by this translation model",
        rich_help_panel=MACHINE,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout", rich_help_panel=OUTPUT)]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no hints on stderr", rich_help_panel=OUTPUT)
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show where an error came from, and log more", rich_help_panel=OUTPUT)
]
ReportFile = Annotated[
    Path | None,
    typer.Option("--report", help="Write the report, with every failure, as JSON", rich_help_panel=OUTPUT),
]


Track = Annotated[
    int | None,
    typer.Option(
        "--track",
        min=1,
        help="Of a file with several tracks of sound, which (default: the one marked as such, else the first)",
    ),
]
LibraryPath = Annotated[
    str | None,
    typer.Option(
        "--library",
        envvar="OPENCLAP_LIBRARY",
        help="Folder of the library, or s3://BUCKET/NAME.lance (default: in your data folder)",
    ),
]
Paths = Annotated[list[str] | None, typer.Argument(help="Look in these files and folders only")]
Labels = Annotated[str | None, typer.Option("--labels", help='Labels, separated by commas: "dog bark, rain"')]
LabelsFile = Annotated[
    Path | None,
    typer.Option(
        "--labels-file",
        help="A text file, one label a line; or a list that comes with openclap: audioset, audioset.zh, …",
    ),
]
TaughtSound = Annotated[
    str | None,
    typer.Option("--detector", help="Look for what was taught: a name, or a file; with words: for both"),
]
Detectors = Annotated[
    list[str] | None,
    typer.Option("--detector", help="Listen for what was taught, too: a name, or a file; may be repeated"),
]
Window = Annotated[float, typer.Option("--window", help="Seconds heard at once", rich_help_panel=TUNING)]
Hop = Annotated[float, typer.Option("--hop", help="Seconds between two windows", rich_help_panel=TUNING)]
KeywordWriter = Annotated[
    str | None,
    typer.Option("--k2c", help="A T5 that writes sentences from labels: a folder, or a Hub id that is here"),
]
Split = Annotated[str | None, typer.Option("--split", help="Only this split of the data")]
Resume = Annotated[bool, typer.Option("--resume/--restart", help="Go on with a stopped run")]

# which files of a library are looked at: what `search_filter` takes
PathPattern = Annotated[
    str | None, typer.Option("--path", help='A pattern for the path: "*/rain/*"', rich_help_panel=FILTERS)
]
MinSeconds = Annotated[
    float | None, typer.Option("--min-seconds", help="Files of this length or more", rich_help_panel=FILTERS)
]
MaxSeconds = Annotated[
    float | None, typer.Option("--max-seconds", help="Files of this length or less", rich_help_panel=FILTERS)
]
ChangedSince = Annotated[str | None, typer.Option("--after", help="Changed since: 2026-05-31", rich_help_panel=FILTERS)]
ChangedBefore = Annotated[
    str | None, typer.Option("--before", help="Changed before: 2026-06-01T12:00", rich_help_panel=FILTERS)
]
Tagged = Annotated[
    list[str] | None,
    typer.Option("--tag", help="Given when it was indexed; may be repeated", rich_help_panel=FILTERS),
]
ShowMissing = Annotated[
    bool, typer.Option("--missing", help="Show what cannot be reached now as well", rich_help_panel=FILTERS)
]

# what every verb has, without naming it
COMMON = tuple(
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
    for name, kind in (("quiet", Quiet), ("verbose", Verbose))
)

HINT = (
    "mini, the small model that comes with openclap, is at work; a larger one hears much better:  openclap pull"
    " laion/clap-htsat-fused  then  --model laion/clap-htsat-fused"
)


def add_verbs(group: typer.Typer, verbs: Verbs) -> None:
    """Put verbs into a group of commands, with `-q` and `-v`, and their examples at the end of --help.

    A verb may have the attributes `command`, its own class of command, and `hidden`.
    """
    for verb, examples in verbs.items():
        epilog = "\n\n".join(("Examples:", *examples))
        kind, hidden = getattr(verb, "command", None), getattr(verb, "hidden", False)
        group.command(cls=kind, epilog=epilog, hidden=hidden)(_with_common_options(verb))


def _with_common_options(verb: Callable[..., None]) -> Callable[..., None]:
    @wraps(verb)
    def run(*, quiet: bool, verbose: bool, **given: Any) -> None:
        verbosity.choose(quiet=quiet, verbose=verbose)
        verb(**given)

    own = inspect.signature(verb, eval_str=True)
    run.__signature__ = own.replace(parameters=[*own.parameters.values(), *COMMON])  # type: ignore[attr-defined]
    return run


def default_library() -> Path:
    """Where the library is unless --library names another place."""
    return user_data_path("openclap") / "library"


def search_filter(
    within: Sequence[str] | None,
    path: str | None,
    min_seconds: float | None,
    max_seconds: float | None,
    after: str | None,
    before: str | None,
    tags: Sequence[str] | None,
) -> SearchFilter:
    """Make the filter that the options of a verb ask for."""
    from openclap.store import SearchFilter

    return SearchFilter(
        within=tuple(within) if within else None,
        path=path,
        min_seconds=min_seconds,
        max_seconds=max_seconds,
        after=_parse_time(after, "--after"),
        before=_parse_time(before, "--before"),
        tags=tuple(tags or ()),
    )


def _parse_time(text: str | None, option: str) -> float | None:
    """Parse an ISO date or time into seconds since 1970; local time where it has no zone."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OSError, OverflowError):  # Windows knows no local time before 1970
        raise UsageError(f"{option} is {text!r}; give a date or a time: 2026-05-31, 2026-05-31T12:00") from None


def load_model(
    name: str,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "float32",
    translate: str = "auto",
) -> CLAP:
    """Load the model of a verb; print once on each machine that there are larger ones than mini."""
    from openclap.clap import CLAP

    clap = CLAP.from_pretrained(
        name,
        device=device,
        threads=threads,
        precision=precision,  # type: ignore[arg-type]
        translate=translate,
    )
    if name == "mini":
        _hint_once()
    return clap


def read_lines(path: Path, what: str) -> list[str]:
    """Read a file of labels, captions or alerts: one a line, in order, repeated ones too; of a .csv, one column.

    Raises
    ------
    UsageError
        No such file, no text, or nothing in it.
    """
    from openclap.textfiles import read_lines

    try:
        found = read_lines(Path(os.path.expanduser(path)), (what.removesuffix("s"), what))
    except DataError as error:
        raise UsageError(f"{error}: one of the {what} a line") from None
    if not found:
        raise UsageError(f"{path}: holds no {what}; write one a line")
    return found


def _hint_once() -> None:
    told = user_cache_path("openclap") / "told-about-larger-models"
    if verbosity.quiet or told.exists():
        return
    err.print(f"[dim]{HINT}[/dim]")
    try:
        told.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(told, os.O_CREAT, 0o644))
    except OSError:
        pass  # a read-only home: it is told again next time
