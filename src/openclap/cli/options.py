"""Options that several verbs share, each declared once, and the model and the lists that they name.

A verb may have a parameter that is a class of options, of `openclap.options` or of this module: it stands for a flag
for each field, and the verb gets an object of the class.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from datetime import datetime
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_args, get_origin, get_type_hints

import typer
from platformdirs import user_cache_path, user_data_path

from openclap.cli.command import VerbCommand
from openclap.cli.show import err, verbosity
from openclap.errors import DataError, UsageError
from openclap.options import FILTERS, TUNING, Option

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = [
    "FILTERS",
    "LIBRARY_ENV",
    "MACHINE",
    "OUTPUT",
    "TUNING",
    "Detectors",
    "Device",
    "Hop",
    "Json",
    "KeywordWriter",
    "Labels",
    "LabelsFile",
    "LibraryPath",
    "LibraryPaths",
    "Model",
    "ModelOptions",
    "Paths",
    "PreciseModelOptions",
    "Precision",
    "ReportFile",
    "Resume",
    "ShowMissing",
    "Split",
    "TaughtSound",
    "TextModelOptions",
    "Threads",
    "Track",
    "Translate",
    "Verbs",
    "Window",
    "add_verbs",
    "default_library",
    "flag_of",
    "parse_time",
    "read_lines",
]

# the functions of a module, each with examples for --help
Verbs: TypeAlias = dict[Callable[..., None], tuple[str, ...]]

# panels of --help, beside the first one
MACHINE, OUTPUT = "Model and machine", "Output"
DATES = ": 2026-05-31, 2026-05-31T12:00"

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
    str | None,
    typer.Option(
        "--precision",
        help="float32; bfloat16, float16, int8 or fast: faster, a little different",
        rich_help_panel=MACHINE,
    ),
]
Translate = Annotated[
    str,
    typer.Option(
        "--translate",
        envvar="OPENCLAP_TRANSLATE",
        help="Other languages become English: auto, by lexicons; off; or Chinese by this translation model",
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
LIBRARY_ENV = "OPENCLAP_LIBRARY"
LibraryPath = Annotated[
    str | None,
    typer.Option(
        "--library",
        envvar=LIBRARY_ENV,
        help="Folder of the library, or s3://BUCKET/NAME.lance (default: in your data folder)",
    ),
]
LibraryPaths = Annotated[
    list[str] | None,
    typer.Option(
        "--library",
        help="Folder of the library, or s3://BUCKET/NAME.lance; may be repeated, then the best of all"
        " (default: OPENCLAP_LIBRARY, else in your data folder)",
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

ShowMissing = Annotated[
    bool, typer.Option("--missing", help="Show what cannot be reached now as well", rich_help_panel=FILTERS)
]

# what every verb has, without naming it
COMMON = tuple(
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
    for name, kind in (("quiet", Quiet), ("verbose", Verbose))
)

LARGER_MODELS = (
    "mini, the small model that comes with openclap, is at work; a larger one hears much better:  openclap pull"
    " laion/clap-htsat-fused  then  --model laion/clap-htsat-fused"
)


def add_verbs(group: typer.Typer, verbs: Verbs) -> None:
    """Put verbs into a group of commands, with `-q` and `-v`, and their examples at the end of --help.

    A verb may have the attributes `called`, its name where that cannot be one of a function, `command`, its own class
    of command, and `hidden`.
    """
    for verb, examples in verbs.items():
        epilog = "\n\n".join(("Examples:", *examples))
        called, kind, hidden = (getattr(verb, name, None) for name in ("called", "command", "hidden"))
        group.command(called, cls=kind or VerbCommand, epilog=epilog, hidden=bool(hidden))(_with_common_options(verb))


def _with_common_options(verb: Callable[..., None]) -> Callable[..., None]:
    own = inspect.signature(verb, eval_str=True).parameters.values()
    groups = {one.name: one.annotation for one in own if is_dataclass(one.annotation)}

    @wraps(verb)
    def run(*, quiet: bool, verbose: bool, **given: Any) -> None:
        verbosity.choose(quiet=quiet, verbose=verbose)
        made = {name: _take_options(kind, given) for name, kind in groups.items()}
        verb(**given, **made)

    spread = [new for one in own for new in (_flags_of(one.annotation) if one.name in groups else [one])]
    named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in spread]
    run.__signature__ = inspect.Signature([*named, *COMMON])  # type: ignore[attr-defined]
    return run


def _flags_of(kind: Any) -> Iterator[inspect.Parameter]:
    """The parameters that a class of options stands for: one for each field that the command line can ask for."""
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if is_dataclass(hint):
            yield from _flags_of(hint)
        elif get_origin(hint) is Annotated:
            many = get_origin(get_args(hint)[0]) is tuple
            default = None if many else getattr(kind, name)
            yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=_flag(name, hint))


def flag_of(name: str, option: Option) -> str:
    """What an option is called on the command line."""
    return f"--{option.flag or name.replace('_', '-')}"


def _flag(name: str, hint: Any) -> Any:
    """The annotation of a parameter as typer takes it."""
    kind, option = get_args(hint)
    if not isinstance(option, Option):
        return hint
    flag = flag_of(name, option)
    time: dict[str, Any] = {"parser": partial(parse_time, option=flag), "metavar": "DATE"} if option.time else {}
    shown = option.help + DATES * option.time
    kind = list[str] | None if get_origin(kind) is tuple else kind
    made = typer.Option(flag, help=shown, min=option.min, max=option.max, rich_help_panel=option.panel or None, **time)
    return Annotated[kind, made]


def _take_options(kind: Any, given: dict[str, Any]) -> Any:
    """Make a class of options of what was given, which is then taken out of `given`."""
    hints = get_type_hints(kind, include_extras=True)
    inner = {name: _take_options(hint, given) for name, hint in hints.items() if is_dataclass(hint)}
    flags = [name for name, hint in hints.items() if get_origin(hint) is Annotated]
    own = {name: value for name in flags if (value := given.pop(name)) is not None}
    return kind(**inner, **{name: tuple(value) if isinstance(value, list) else value for name, value in own.items()})


@dataclass(frozen=True)
class ModelOptions:
    """Which model a verb uses, and what computes it: keywords of `CLAP.from_pretrained`."""

    model: Model = "mini"
    device: Device = "auto"
    threads: Threads = None

    def load(self, precision: str | None = None) -> CLAP:
        """Load the model; print once on each machine that there are larger ones than mini."""
        from openclap.clap import CLAP

        given = {**vars(self), "precision": precision or getattr(self, "precision", None) or "float32"}
        clap = CLAP.from_pretrained(given.pop("model"), **given)
        if self.model == "mini":
            _hint_once()
        return clap


@dataclass(frozen=True)
class TextModelOptions(ModelOptions):
    """The same for a verb that takes words."""

    translate: Translate = "auto"


@dataclass(frozen=True)
class PreciseModelOptions(ModelOptions):
    """The same for a verb that measures."""

    precision: Precision = None


def default_library() -> Path:
    """Where the library is unless --library names another place."""
    return user_data_path("openclap") / "library"


def parse_time(text: str, option: str) -> float:
    """Parse an ISO date or time into seconds since 1970; local time where it has no zone."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OSError, OverflowError):  # Windows knows no local time before 1970
        raise UsageError(f"{option} is {text!r}; give a date or a time: 2026-05-31, 2026-05-31T12:00") from None


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
    err.print(f"[dim]{LARGER_MODELS}[/dim]")
    try:
        told.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(told, os.O_CREAT, 0o644))
    except OSError:
        pass  # a read-only home: it is told again next time
