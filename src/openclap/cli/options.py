"""Options that verbs share, and the model and the lists that they name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from platformdirs import user_cache_path, user_data_path

from openclap.cli.show import err
from openclap.errors import DataError, UsageError

if TYPE_CHECKING:
    from openclap.clap import CLAP
    from openclap.store import SearchFilter

__all__ = [
    "ChangedBefore",
    "ChangedSince",
    "Device",
    "Json",
    "LibraryPath",
    "MaxSeconds",
    "MinSeconds",
    "Model",
    "PathPattern",
    "Precision",
    "ReportFile",
    "Resume",
    "ShowMissing",
    "Tagged",
    "Threads",
    "Track",
    "Translate",
    "default_library",
    "load_model",
    "read_lines",
    "search_filter",
]

Model = Annotated[
    str,
    typer.Option(
        "--model",
        envvar="OPENCLAP_MODEL",
        help="mini, a Hub id, a folder, a .safetensors or a LAION .pt file",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads of the model")]
Precision = Annotated[str, typer.Option("--precision", help="float32, or int8: faster, a little different")]
Translate = Annotated[
    str,
    typer.Option(
        "--translate",
        envvar="OPENCLAP_TRANSLATE",
        help="Chinese words become English: auto, by the lexicon; off; or by this translation model",
    ),
]


def _choose_track(number: int | None) -> int | None:
    from openclap.audio.load import track_wanted

    track_wanted.set(number)  # for all that this run reads
    return number


Track = Annotated[
    int | None,
    typer.Option(
        "--track",
        min=1,
        callback=_choose_track,
        help="Of a file with several tracks of sound, which [default: the one marked as such, else the first]",
    ),
]
LibraryPath = Annotated[
    str | None,
    typer.Option(
        "--library",
        envvar="OPENCLAP_LIBRARY",
        help="Folder of the library, or s3://BUCKET/NAME.lance [default: in your data folder]",
    ),
]
ReportFile = Annotated[Path | None, typer.Option("--report", help="Write the report, with every failure, as JSON")]
Resume = Annotated[bool, typer.Option("--resume/--restart", help="Go on with a stopped run")]

# which files of a library are looked at: what `search_filter` takes
PathPattern = Annotated[str | None, typer.Option("--path", help='A pattern for the path: "*/rain/*"')]
MinSeconds = Annotated[float | None, typer.Option("--min-seconds", help="Length of the file")]
MaxSeconds = Annotated[float | None, typer.Option("--max-seconds", help="Length of the file")]
ChangedSince = Annotated[str | None, typer.Option("--after", help="Changed since: 2026-05-31")]
ChangedBefore = Annotated[str | None, typer.Option("--before", help="Changed before: 2026-06-01T12:00")]
Tagged = Annotated[list[str] | None, typer.Option("--tag", help="Given when it was indexed; may be repeated")]

ShowMissing = Annotated[bool, typer.Option("--missing", help="Show what cannot be reached now as well")]

HINT = (
    "mini, the small model that comes with openclap, is at work; a larger one hears much better:  openclap pull"
    " laion/clap-htsat-fused  then  --model laion/clap-htsat-fused"
)


def default_library() -> Path:
    """Where the library is when nothing is said."""
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
    """The filter that the options of a verb ask for."""
    from openclap.store import SearchFilter

    return SearchFilter(
        tuple(within) if within else None,
        path,
        min_seconds,
        max_seconds,
        _moment(after, "--after"),
        _moment(before, "--before"),
        tuple(tags or ()),
    )


def _moment(text: str | None, option: str) -> float | None:
    """An ISO date or time, local where it says no zone, as seconds since 1970."""
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
    """The model of a verb; says once a machine that there are larger ones than mini."""
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
    """What a file of labels, captions or alerts holds, one a line, in order and as often as it stands there; of a .csv, its column of these.

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
    if told.exists():
        return
    err.print(f"[dim]{HINT}[/dim]")
    try:
        told.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(told, os.O_CREAT, 0o644))
    except OSError:
        pass  # a read-only home: it is told again next time
