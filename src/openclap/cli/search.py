"""search and moments: verbs that look for sounds; similar, an older name for `search --sound`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from openclap.cli.options import (
    OUTPUT,
    Hop,
    Json,
    LibraryPath,
    ModelOptions,
    Paths,
    ShowMissing,
    TaughtSound,
    TextModelOptions,
    Track,
    Verbs,
    Window,
    default_library,
)
from openclap.cli.show import (
    Cell,
    bar,
    emit,
    err,
    plain,
    print_failures,
    print_left_out,
    print_uncalibrated,
    print_unknown,
    short,
    span,
    table,
    verbosity,
)
from openclap.errors import UsageError
from openclap.options import SearchFilter

if TYPE_CHECKING:
    from rich.text import Text

    from openclap.detector import Detector
    from openclap.library import Library
    from openclap.library.query import Query
    from openclap.library.search import Per
    from openclap.results import Hit, Moment, Ranked

__all__ = ["VERBS", "open_library", "show_hits", "sound_or_words", "title_of"]

Count = Annotated[int, typer.Option("-k", help="How many results")]
LikeSound = Annotated[
    Path | None, typer.Option("--sound", help="Look for what sounds like this file; with words: for both")
]


def search(
    query: Annotated[str | None, typer.Argument(help='What to look for, in words: "rain + wind -thunder"')] = None,
    paths: Annotated[
        list[str] | None, typer.Argument(help="Look in these files and folders only, indexed first where new")
    ] = None,
    sound: LikeSound = None,
    detector: TaughtSound = None,
    without: Annotated[list[str] | None, typer.Option("--not", help="What should not be heard")] = None,
    k: Count = 10,
    by: Annotated[
        Literal["both", "sound", "names"], typer.Option("--by", help="Sound and names together, or one of them alone")
    ] = "both",
    windows: Annotated[bool, typer.Option("--windows", help="Every window by itself, not one hit a file")] = False,
    exact: Annotated[bool, typer.Option("--moments", hidden=True, help="As  openclap moments QUERY")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", hidden=True, help="With --moments")] = None,
    *,
    filter: SearchFilter,
    missing: ShowMissing = False,
    library: LibraryPath = None,
    loading: TextModelOptions,
    as_json: Json = False,
) -> None:
    """Find sounds by words, by a sound, by a detector, or by all of them."""
    named = sound is not None or detector is not None
    if named and query is not None and Path(query).expanduser().exists():  # a path, then
        paths, query = [query, *(paths or [])], None
    if exact and (without or windows):
        raise UsageError("moments are spans that the words fit; leave --not and --windows out")
    if output is not None and not exact:
        raise UsageError("-o writes moments:  openclap moments QUERY -o FILE")
    wanted, title = _what_to_find(query, sound, detector, "search")
    filter = replace(filter, within=tuple(paths) if paths else None)
    collection, failed = open_library(library, loading, k, paths)
    if exact:
        _show_library_moments(collection, [(wanted, title)], k, filter, missing, output, as_json)
    else:
        per: Per = "window" if windows else "file"
        hits = collection.search(wanted, k, without=without or (), per=per, by=by, filter=filter, missing=missing)
        show_hits(hits, title, as_json, collection, filter)
    if failed:
        raise typer.Exit(1)


def similar(
    sound: Annotated[Path, typer.Argument(help="A sound file")],
    paths: Paths = None,
    k: Count = 10,
    missing: ShowMissing = False,
    library: LibraryPath = None,
    *,
    loading: ModelOptions,
    as_json: Json = False,
) -> None:
    """What in the library sounds like a file, the file itself left out."""
    collection, failed = open_library(library, loading, k, paths)
    filter = SearchFilter(within=tuple(paths) if paths else None)
    found = collection.search(sound, k + 1, filter=filter, missing=missing)
    found[:] = [hit for hit in found if hit.path != os.path.abspath(sound.expanduser())][:k]
    show_hits(found, f"like {short(str(sound))}", as_json, collection, filter)
    if failed:
        raise typer.Exit(1)


def moments(
    context: typer.Context,
    recording: Annotated[
        str | None, typer.Argument(help="A recording to look into; left out, the library is looked through")
    ] = None,
    queries: Annotated[
        list[str] | None,
        typer.Argument(metavar="[QUERY]...", help="What to look for, in words; several are asked apart"),
    ] = None,
    sound: LikeSound = None,
    detector: TaughtSound = None,
    k: Count = 5,
    window: Window = 1.0,
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
    *,
    filter: SearchFilter,
    missing: ShowMissing = False,
    library: LibraryPath = None,
    loading: TextModelOptions,
    as_json: Json = False,
) -> None:
    """Where something is heard: in a long recording, or in all recordings of the library.

    A recording is listened to once, for all questions, and its windows are kept for the next ones.
    --window, --hop and --track are of a recording, filters and --missing of the library.
    """
    source = context.get_parameter_source("library")
    in_library = source is not None and source.name == "COMMANDLINE"
    asked: list[str | None] = [*(queries or [])]
    is_words = recording is not None and isinstance(sound_or_words(recording), str)
    if recording is not None and ((not asked and in_library) or (is_words and (in_library or not asked))):
        recording, asked = None, [recording, *asked]
    if recording is not None and in_library:
        raise UsageError(f"look into {recording}, or through --library; leave one of them out")
    wanted = [_what_to_find(query, sound, detector, "moments RECORDING") for query in asked or [None]]
    if recording is None:
        collection, _ = open_library(library, loading, k, None)
        _show_library_moments(collection, wanted, k, filter, missing, output, as_json)
        return
    from openclap.confidence import confidence_curves, has_own_curves
    from openclap.library import moments_of_each
    from openclap.library.query import texts_of
    from openclap.results import Ranked

    clap = loading.load()
    found = moments_of_each(clap, recording, [query for query, _ in wanted], k, window=window, hop=hop, track=track)
    ranked = [
        (title, Ranked(some, calibrated=has_own_curves(clap), unknown=clap.unknown_words(texts_of(query))))
        for (query, title), some in zip(wanted, found, strict=True)
    ]
    _show_moments(ranked, output, as_json, confidence_curves(clap.config).unlikely, f" in {short(recording)}")


# -- inside ------------------------------------------------------------------------------------------


def sound_or_words(part: str) -> str | Path:
    """A sound where a file of this name is there, or the name ends like one; words otherwise, a folder's name too."""
    from openclap.library.scan import EXTENSIONS

    path = Path(os.path.expanduser(part))
    try:
        return path if path.is_file() or path.suffix[1:].lower() in EXTENSIONS else part
    except OSError:  # too long for a path
        return part


def title_of(parts: Sequence[str | Path | Detector]) -> str:
    """What is looked for, as the title of a table."""
    return " + ".join(p if isinstance(p, str) else short(str(p)) if isinstance(p, Path) else p.name for p in parts)


def _what_to_find(query: str | None, sound: Path | None, detector: str | None, verb: str) -> tuple[Query, str]:
    """What a verb is asked to look for, and its title."""
    from openclap.detector import Detector

    taught = None if detector is None else Detector.load(detector)
    parts = [part for part in (query, sound, taught) if part is not None]
    if not parts:
        raise UsageError(
            f'say what to look for:  openclap {verb} "a dog barking"  or  openclap {verb} --sound FILE,  or  --detector'
            " NAME"
        )
    return parts if len(parts) > 1 else parts[0], title_of(parts)


def open_library(library: str | None, loading: ModelOptions, k: int, paths: list[str] | None) -> tuple[Library, bool]:
    """Open the library and add the paths → the library, and whether some of the paths failed or are missing."""
    from openclap.library import Library
    from openclap.library.scan import find_sounds, require_sounds

    if k < 1:
        raise UsageError(f"-k is {k}; it must be 1 or more")
    collection = Library.open(library or default_library(), model=loading.load())
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

    print_unknown(hits.unknown)
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
    by_names = any(hit.relevance is not None for hit in hits)
    shown = [(hit.relevance if by_names else hit.confidence) or 0.0 for hit in hits]
    if all(hit.unlikely for hit in hits):
        _print_unlikely(shown, "relevance" if by_names else "confidence")
    rows: list[tuple[Cell, ...]] = []
    for rank, (hit, share) in enumerate(zip(hits, shown, strict=True), 1):
        number = f"{share:.0%}" if by_names else f"{hit.score:+.3f}"
        why = [plain(f"named {', '.join(hit.named)}" if hit.named else "")] if by_names else []
        rows.append((str(rank), number, bar(share), hit.verdict, _name(hit), span(hit.start, hit.end), *why))
    columns = ("", "relevance" if by_names else "cosine", "", "", "sound", "where", *([""] if by_names else []))
    likely = sum(not hit.unlikely for hit in hits)
    if by_names and 0 < likely < len(hits):
        rows.insert(likely, (*[""] * 4, "[dim]probably not:[/dim]", "", ""))
    table(plain(title), columns, rows, right=("", columns[1]))


def _name(found: Hit | Moment) -> Text:
    name = plain(short(found.path))
    return name.append(" (missing)", "yellow") if found.missing else name


def _show_library_moments(
    library: Library,
    wanted: Sequence[tuple[Query, str]],
    k: int,
    filter: SearchFilter,
    missing: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    found = [(title, library.moments(query, k, filter=filter, missing=missing)) for query, title in wanted]
    if not any(some or some.left_out for _, some in found):
        from openclap.cli.no_results import why_nothing

        err.print(plain(why_nothing(library, filter)))
    _show_moments(found, output, as_json, library.unlikely)
    print_left_out(max(some.left_out for _, some in found), "recording")


def _show_moments(
    asked: Sequence[tuple[str, Ranked[Moment]]], output: Path | None, as_json: bool, unlikely: float, where: str = ""
) -> None:
    """Write and print the moments of each query; `where` names the recording, else every row names its own."""
    from openclap.library import write_moments_of_each

    if output is not None:
        write_moments_of_each(asked, output)
    for title, found in asked:
        print_unknown(found.unknown)
        if as_json:
            named = {"query": title} if len(asked) > 1 else {}
            emit({**named, **moment.to_dict()} for moment in found)
        elif found:
            _show_table(found, title + where, unlikely, named=not where)
    if any(found and not found.calibrated for _, found in asked):
        print_uncalibrated()


def _show_table(found: Ranked[Moment], title: str, unlikely: float, *, named: bool) -> None:
    sure = [moment.confidence or 0.0 for moment in found]
    if max(sure) < unlikely:
        _print_unlikely(sure)
    rows: list[tuple[Cell, ...]] = [
        (span(m.start, m.end), f"{m.score:+.3f}", f"{share:.0%}", bar(share), *([_name(m)] if named else []))
        for m, share in zip(found, sure, strict=True)
    ]
    columns = ("when", "cosine", "confidence", "", *(["sound"] if named else []))
    table(plain(title), columns, rows, right=("cosine", "confidence"))


def _print_unlikely(sure: Sequence[float], what: str = "confidence") -> None:
    err.print(f"[yellow]nothing here sounds like that[/yellow] ({what} {max(sure):.0%}); the nearest:")


similar.hidden = True  # type: ignore[attr-defined]
VERBS: Verbs = {
    search: (
        'openclap search "a creaky wooden door" ~/sounds',
        "openclap search --sound door.wav -k 3",
    ),
    similar: ("openclap similar door.wav -k 3",),
    moments: (
        'openclap moments night.flac "an owl" -k 3',
        'openclap moments night.flac "an owl" "rain" "a train"',
        'openclap moments "a dog barking" -o dogs.csv',
    ),
}
