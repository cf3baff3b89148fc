"""search and moments: verbs that look for sounds; similar, an older name for `search --sound`."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from openclap.cli.command import VerbCommand
from openclap.cli.found import show_hits, show_moments, write_hits
from openclap.cli.options import (
    LIBRARY_ENV,
    OUTPUT,
    Hop,
    Json,
    LibraryPath,
    LibraryPaths,
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
from openclap.cli.play import Play
from openclap.cli.show import err, plain, print_failures, print_left_out, short, verbosity
from openclap.errors import UsageError
from openclap.options import FILTERS, SearchFilter
from openclap.plurals import count_noun

if TYPE_CHECKING:
    from openclap.detector import Detector
    from openclap.library import Library
    from openclap.library.query import Query
    from openclap.library.search import Per
    from openclap.library.several import SeveralLibraries

__all__ = [
    "VERBS",
    "Count",
    "PlaylistFile",
    "WithinPaths",
    "open_library",
    "require_playlist",
    "sound_or_words",
    "title_of",
    "what_passes",
]

WRONG_USE: Any = typer.BadParameter.__base__  # click's error for a command line that it cannot read
Count = Annotated[int, typer.Option("-k", min=1, help="How many results")]
PlaylistFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Write them as a playlist, too: .m3u8", rich_help_panel=OUTPUT),
]
WithinPaths = Annotated[
    list[str] | None,
    typer.Option("--in", help="From these files and folders only; may be repeated", rich_help_panel=FILTERS),
]
LikeSound = Annotated[
    Path | None, typer.Option("--sound", help="Look for what sounds like this file; with words: for both")
]


MINUS = re.compile(r"-[^\W\d_]{2}")  # a minus and a word: options of one letter stand alone, or before a number


class WordsCommand(VerbCommand):
    """A verb that takes words: told that "-thunder" is no option, it says how to ask for what should not be heard."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of the verb."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except WRONG_USE:
            word = next((one for one in given if MINUS.match(one)), None)
            if word is None:
                raise
            raise UsageError(
                f"{shlex.quote(word)} begins with a minus, as options do; say first what should be heard:"
                f'  openclap {ctx.info_name} "rain {word}"'
            ) from None


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
    collect: Annotated[
        str | None, typer.Option("--collect", help="Put what is found into this collection", rich_help_panel=OUTPUT)
    ] = None,
    exact: Annotated[bool, typer.Option("--moments", hidden=True, help="As  openclap moments QUERY")] = False,
    output: PlaylistFile = None,
    play: Play = None,
    *,
    filter: SearchFilter,
    missing: ShowMissing = False,
    library: LibraryPaths = None,
    loading: TextModelOptions,
    as_json: Json = False,
) -> None:
    """Find sounds by words, by a sound, by a detector, or by all of them."""
    named = sound is not None or detector is not None
    if named and query is not None and Path(query).expanduser().exists():  # a path, then
        paths, query = [query, *(paths or [])], None
    if exact and (without or windows):
        raise UsageError("moments are spans that the words fit; leave --not and --windows out")
    if exact and collect is not None:
        raise UsageError("a collection holds files; search without --moments")
    if output is not None and not exact:
        require_playlist(output, "other files are for moments:  openclap moments QUERY -o FILE")
    wanted, title = _what_to_find(query, sound, detector, "search")
    filter = replace(filter, within=tuple(paths) if paths else None)
    if collect is not None and len(set(library or ())) > 1:
        raise UsageError("a collection is of one library; name one --library, or leave --collect out")
    collection, failed = open_libraries(library, loading, paths)
    if exact:
        _show_library_moments(collection, [(wanted, title)], k, filter, missing, output, as_json, play)
    else:
        per: Per = "window" if windows else "file"
        hits = collection.search(wanted, k, without=without or (), per=per, by=by, filter=filter, missing=missing)
        if output is not None:
            write_hits(hits, output, collection, windows=windows)
        if hits and by == "names" and hits.by == "sound":
            err.print("no word of this query can be part of a name, so these are by sound")
        if hits and collect is not None:
            from openclap.library import Library

            assert isinstance(collection, Library)
            done = collection.collect(collect, [hit.path for hit in hits])
            err.print(plain(f"{count_noun(done.files, 'file')} put into the collection {collect}"))
        show_hits(hits, title, as_json, collection, what_passes(wanted, filter), play, by)
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
    collection, failed = open_library(library, loading, paths)
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
            help="Write them too: .csv, .json, .txt (Audacity labels), .m3u8 (a playlist)",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    play: Play = None,
    track: Track = None,
    *,
    filter: SearchFilter,
    missing: ShowMissing = False,
    library: LibraryPaths = None,
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
    if is_words and recording is not None and not os.path.lexists(os.path.expanduser(recording)):
        raise UsageError(
            f"{recording} is no file; give a recording first, or name the --library that is to be looked through"
        )
    if recording is not None and in_library:
        raise UsageError(f"look into {recording}, or through --library; leave one of them out")
    wanted = [_what_to_find(query, sound, detector, "moments RECORDING") for query in asked or [None]]
    if recording is None:
        collection, _ = open_libraries(library, loading, None)
        _show_library_moments(collection, wanted, k, filter, missing, output, as_json, play)
        return
    from openclap.library import moments_of_each

    asked_for = [query for query, _ in wanted]
    found = moments_of_each(loading.load(), recording, asked_for, k, window=window, hop=hop, track=track)
    named = [(title, some) for (_, title), some in zip(wanted, found, strict=True)]
    show_moments(named, output, as_json, f" in {short(recording)}", play)
    if not any(found):
        err.print(plain(f"nothing is heard in {short(recording)}"))


# -- inside ------------------------------------------------------------------------------------------


def sound_or_words(part: str) -> str | Path:
    """A sound where a file of this name is there, or the name ends like one; words otherwise, a folder's name too."""
    from openclap.library.scan import EXTENSIONS

    path = Path(os.path.expanduser(part))
    try:
        return path if path.is_file() or path.suffix[1:].lower() in EXTENSIONS else part
    except OSError:  # too long for a path
        return part


def require_playlist(output: Path, otherwise: str = "") -> None:
    """Refuse a name of a playlist that has another ending, before anything is searched."""
    from openclap.library.playlist import ENDINGS

    if output.suffix.lower() not in ENDINGS:
        more = f"; {otherwise}" if otherwise else ""
        raise UsageError(f"-o {output}: a playlist's name must end in {' or '.join(ENDINGS)}{more}")


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


def what_passes(query: Query, filter: SearchFilter) -> SearchFilter:
    """A filter with what a query also asks of names and tags."""
    from openclap.library.query import read_question

    return read_question(query, where=filter).filter


def open_libraries(
    places: list[str] | None, loading: ModelOptions, paths: list[str] | None
) -> tuple[Library | SeveralLibraries, bool]:
    """As `open_library`, of several libraries that are asked as one."""
    named = list(dict.fromkeys(places or ()))
    if len(named) < 2:
        return open_library(named[0] if named else os.environ.get(LIBRARY_ENV) or None, loading, paths)
    if paths:
        raise UsageError(
            "paths are indexed into one library; name one --library, or look in a part of several with --path"
        )
    from openclap.library.several import SeveralLibraries

    return SeveralLibraries.open(named, loading.load()), False


def open_library(library: str | None, loading: ModelOptions, paths: list[str] | None) -> tuple[Library, bool]:
    """Open the library and add the paths → the library, and whether some of the paths failed or are missing."""
    from openclap.library import Library
    from openclap.library.scan import find_sounds, require_sounds

    place = library or default_library()
    # what is only searched may have been made in a precision that this machine has not
    collection = Library.open(place, model=loading.load(Library.open(place).precision if paths else None))
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


def _show_library_moments(
    library: Library | SeveralLibraries,
    wanted: Sequence[tuple[Query, str]],
    k: int,
    filter: SearchFilter,
    missing: bool,
    output: Path | None,
    as_json: bool,
    play: str | None,
) -> None:
    found = [(title, library.moments(query, k, filter=filter, missing=missing)) for query, title in wanted]
    if not any(some or some.left_out for _, some in found):
        from openclap.cli.no_results import why_nothing

        err.print(plain(why_nothing(library, what_passes(wanted[0][0], filter))))
    show_moments(found, output, as_json, play=play)
    print_left_out(max(some.left_out for _, some in found), "recording")


similar.hidden = True  # type: ignore[attr-defined]
search.command = moments.command = WordsCommand  # type: ignore[attr-defined]
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
