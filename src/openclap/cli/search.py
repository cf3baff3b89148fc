"""search and moments: verbs that look for sounds; similar, an older name for `search --sound`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openclap.cli.options import (
    OUTPUT,
    ChangedBefore,
    ChangedSince,
    Device,
    Hop,
    Json,
    LibraryPath,
    MaxSeconds,
    MinSeconds,
    Model,
    PathPattern,
    Paths,
    ShowMissing,
    Tagged,
    TaughtSound,
    Threads,
    Track,
    Translate,
    Verbs,
    Window,
    default_library,
    load_model,
    search_filter,
)
from openclap.cli.show import (
    bar,
    emit,
    err,
    plain,
    print_failures,
    print_left_out,
    print_uncalibrated,
    short,
    span,
    table,
    verbosity,
)
from openclap.errors import UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from openclap.library import Library
    from openclap.results import Hit, Moment, Ranked
    from openclap.store import SearchFilter

__all__ = ["VERBS", "open_library", "show_hits"]

WHEN = ("when", "cosine", "confidence", "")  # columns of moments

Count = Annotated[int, typer.Option("-k", help="How many results")]


def search(
    query: Annotated[str | None, typer.Argument(help='What to look for, in words: "rain + wind -thunder"')] = None,
    paths: Annotated[
        list[str] | None, typer.Argument(help="Look in these files and folders only, indexed first where new")
    ] = None,
    sound: Annotated[
        Path | None, typer.Option("--sound", help="Look for what sounds like this file; with words: for both")
    ] = None,
    detector: TaughtSound = None,
    without: Annotated[list[str] | None, typer.Option("--not", help="What should not be heard")] = None,
    k: Count = 10,
    windows: Annotated[bool, typer.Option("--windows", help="Every window by itself, not one hit a file")] = False,
    exact: Annotated[bool, typer.Option("--moments", help="Exact spans: the files are looked into once more")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="With --moments: a .csv, .json or .m3u file", rich_help_panel=OUTPUT),
    ] = None,
    glob: PathPattern = None,
    shortest: MinSeconds = None,
    longest: MaxSeconds = None,
    after: ChangedSince = None,
    before: ChangedBefore = None,
    tag: Tagged = None,
    missing: ShowMissing = False,
    library: LibraryPath = None,
    model: Model = "mini",
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
    translate: Translate = "auto",
) -> None:
    """Find sounds by words, by a sound, by a detector, or by all of them."""
    from openclap.detector import Detector

    named = sound is not None or detector is not None
    if named and query is not None and Path(query).expanduser().exists():  # a path, then
        paths, query = [query, *(paths or [])], None
    filtered = (
        any(x is not None for x in (glob, shortest, longest, after, before)) or without or tag or paths or windows
    )
    if exact and filtered:
        raise UsageError("--moments looks through the whole library; leave paths, filters and --windows out")
    if output is not None and not exact:
        raise UsageError("-o writes moments; add --moments")
    if not named and query is None:
        raise UsageError('say what to look for:  openclap search "a dog barking"  or  openclap search --sound FILE')
    filter = search_filter(paths, glob, shortest, longest, after, before, tag)
    taught = None if detector is None else Detector.load(detector)
    collection, failed = open_library(library, model, device, threads, k, paths, translate)
    wanted = [part for part in (query, sound, taught) if part is not None]
    title = " + ".join(
        [*([query] if query else []), *([short(str(sound))] if sound else []), *([taught.name] if taught else [])]
    )
    if exact:
        found = collection.moments(wanted if len(wanted) > 1 else wanted[0], k, missing=missing)
        _show_moments(found, title, output, as_json, collection.unlikely)
        return
    hits = collection.search(
        wanted if len(wanted) > 1 else wanted[0],
        k,
        without=without or (),
        per="window" if windows else "file",
        filter=filter,
        missing=missing,
    )
    show_hits(hits, title, as_json, collection, filter)
    if failed:
        raise typer.Exit(1)


def similar(
    sound: Annotated[Path, typer.Argument(help="A sound file")],
    paths: Paths = None,
    k: Count = 10,
    missing: ShowMissing = False,
    library: LibraryPath = None,
    model: Model = "mini",
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """What in the library sounds like a file, the file itself left out."""
    from openclap.results import Ranked
    from openclap.store import SearchFilter

    collection, failed = open_library(library, model, device, threads, k, paths)
    own = os.path.abspath(sound.expanduser())
    filter = SearchFilter(within=tuple(paths) if paths else None)
    found = collection.search(sound, k + 1, filter=filter, missing=missing)
    hits = Ranked([hit for hit in found if hit.path != own][:k], found.left_out, calibrated=found.calibrated)
    show_hits(hits, f"like {short(str(sound))}", as_json, collection, filter)
    if failed:
        raise typer.Exit(1)


def moments(
    sound: Annotated[str, typer.Argument(help="A recording")],
    query: Annotated[str | None, typer.Argument(help="What to look for in it, in words")] = None,
    detector: TaughtSound = None,
    k: Count = 5,
    window: Window = 2.0,
    hop: Hop = 1.0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write them too: .csv, .json, .txt (Audacity labels), .m3u",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    track: Track = None,
    model: Model = "mini",
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
    translate: Translate = "auto",
) -> None:
    """Where in a long recording something is heard."""
    from openclap.confidence import confidence_curves, has_own_curves
    from openclap.detector import Detector
    from openclap.library import moments_in, write_moments

    taught = None if detector is None else Detector.load(detector)
    wanted = [part for part in (query, taught) if part is not None]
    if not wanted:
        raise UsageError('say what to look for:  openclap moments SOUND "a dog barking"  or  --detector NAME')
    title = " + ".join([*([query] if query else []), *([taught.name] if taught else [])])
    clap = load_model(model, device, threads, translate=translate)
    query_parts = wanted if len(wanted) > 1 else wanted[0]
    found = moments_in(clap, sound, query_parts, k, window=window, hop=hop, track=track)
    if output is not None:
        write_moments(found, output, title)
    if as_json:
        emit(moment.to_dict() for moment in found)
    else:
        _print_unlikely(found, confidence_curves(clap.config).unlikely)
        table(plain(f"{title} in {short(sound)}"), WHEN, [_moment_cells(m) for m in found], right=WHEN[1:3])
    if not has_own_curves(clap):
        print_uncalibrated()


# -- inside ------------------------------------------------------------------------------------------


def open_library(
    library: str | None,
    model: str,
    device: str,
    threads: int | None,
    k: int,
    paths: list[str] | None,
    translate: str = "auto",
) -> tuple[Library, bool]:
    """Open the library and add the paths → the library, and whether some of the paths failed or are missing."""
    from openclap.library import Library
    from openclap.library.scan import find_sounds, require_sounds

    if k < 1:
        raise UsageError(f"-k is {k}; it must be 1 or more")
    collection = Library.open(
        library or default_library(), model=load_model(model, device, threads, translate=translate)
    )
    if not paths:
        return collection, False
    report = collection.add(paths, keep=True, progress=verbosity.progress)
    known = report.added or report.unchanged or report.updated or report.kept_missing
    empty = not known and next(collection.paths(within=paths), None) is None
    if empty and not report.failed:
        require_sounds(find_sounds(paths))
    elsewhere = empty and collection.stats()["files"] > 0  # then `why_nothing` names the missing paths
    print_failures([failure for failure in report.failed if not elsewhere or os.path.lexists(failure.path)])
    return collection, bool(report.failed or report.kept_missing)


def show_hits(hits: Ranked[Hit], title: str, as_json: bool, library: Library, filter: SearchFilter) -> None:
    """Print hits as a table or JSON lines, and remarks: none, all unlikely, uncalibrated, left out."""
    from openclap.cli.no_results import why_nothing

    if not hits and not hits.left_out:
        err.print(plain(why_nothing(library, filter)))
    elif as_json:
        emit({"rank": rank, **hit.to_dict()} for rank, hit in enumerate(hits, 1))
    elif hits:
        _show_hits(hits, title)
    if hits and not hits.calibrated:
        print_uncalibrated()
    print_left_out(hits.left_out, "hit")


def _show_hits(hits: Ranked[Hit], title: str) -> None:
    sure = [hit.confidence or 0.0 for hit in hits]
    if all(hit.unlikely for hit in hits):
        err.print(f"[yellow]nothing here sounds like that[/yellow] (confidence {max(sure):.0%}); the nearest:")
    rows = [
        (str(rank), f"{h.score:+.3f}", f"{share:.0%}", bar(share), _name(h), span(h.start, h.end))
        for rank, (h, share) in enumerate(zip(hits, sure, strict=True), 1)
    ]
    columns = ("", "cosine", "confidence", "", "sound", "where")
    table(plain(title), columns, rows, right=("", "cosine", "confidence"))


def _print_unlikely(found: Sequence[Moment], unlikely: float) -> None:
    """Print a remark where none of the moments is likely."""
    sure = max((one.confidence or 0.0 for one in found), default=1.0)
    if sure < unlikely:
        err.print(f"[yellow]nothing here sounds like that[/yellow] (confidence {sure:.0%}); the nearest:")


def _moment_cells(moment: Moment) -> tuple[str, str, str, str]:
    """The cells of a moment for the columns `WHEN`."""
    sure = moment.confidence or 0.0
    return span(moment.start, moment.end), f"{moment.score:+.3f}", f"{sure:.0%}", bar(sure)


def _name(found: Hit | Moment) -> Text:
    name = plain(short(found.path))
    return name.append(" (missing)", "yellow") if found.missing else name


def _show_moments(found: Ranked[Moment], title: str, output: Path | None, as_json: bool, unlikely: float) -> None:
    from openclap.library import write_moments

    if output is not None:
        write_moments(found, output, title)
    if as_json:
        emit(moment.to_dict() for moment in found)
    else:
        _print_unlikely(found, unlikely)
        table(plain(title), (*WHEN, "sound"), [(*_moment_cells(m), _name(m)) for m in found], right=WHEN[1:3])
    if found and not found.calibrated:
        print_uncalibrated()
    print_left_out(found.left_out, "recording")


similar.hidden = True  # type: ignore[attr-defined]
VERBS: Verbs = {
    search: (
        'openclap search "a creaky wooden door" ~/sounds',
        "openclap search --sound door.wav -k 3",
    ),
    similar: ("openclap similar door.wav -k 3",),
    moments: ('openclap moments night.flac "an owl" -k 3', "openclap moments night.flac --detector owl -o owls.txt"),
}
