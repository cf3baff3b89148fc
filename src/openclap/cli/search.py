"""index, search, similar, duplicates, moments, library: verbs about collections."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from openclap.cli.options import Device, Json, LibraryPath, Model, Threads, Translate, default_library, load_model
from openclap.cli.show import bar, emit, err, exit_told, plain, short, span, table, tell_failed
from openclap.errors import UsageError

if TYPE_CHECKING:
    from openclap.library import Library
    from openclap.results import AddReport, Hit, Moment

__all__ = ["VERBS", "moment_of", "opened", "show_hits"]

UNSHOWN = ("front_end", "embedding", "window", "hop")  # in the table; the JSON has them
Count = Annotated[int, typer.Option("-k", help="How many results")]


def index(
    paths: Annotated[list[str] | None, typer.Argument(help="Sound files and folders")] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="A word to put on all of them; may be repeated")
    ] = None,
    reembed: Annotated[
        bool, typer.Option("--reembed", help="Embed a library anew that another model has made")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and keep the library up to date")] = False,
    every: Annotated[float, typer.Option("--every", min=0.2, help="Seconds between looks, with --watch")] = 5.0,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option("--engine", help="local, or ray: the workers of a Ray cluster, into a library in LanceDB"),
    ] = "local",
    report: Annotated[
        Path | None, typer.Option("--report", help="Write the report, with every failure, as JSON")
    ] = None,
    library: LibraryPath = None,
    model: Model = "mini",
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Add files and folders to the library, or bring them up to date."""
    from openclap.library import Library

    if not paths and not reembed:
        raise UsageError("say what to index:  openclap index FOLDER")
    if engine != "local" and (reembed or watch):
        raise UsageError("--engine ray indexes once; for another model, index into another --library")
    clap = load_model(model, device, threads)
    place = library or default_library()
    show = err.is_terminal
    if reembed:
        done = Library.reembed(place, clap, progress=show)
        _show_report(done, as_json, report)
        if not paths:
            exit_told(done.failed)
            return
        tell_failed(done.failed)
    collection = Library.open(place, model=clap)
    if watch:
        for done in collection.watch(paths or [], every=every, tags=tag or ()):
            _show_report(done, as_json, report)
            tell_failed(done.failed)
        return
    _tell_report(collection.add(paths or [], tags=tag or (), progress=show, engine=engine), as_json, report)


def search(
    query: Annotated[str | None, typer.Argument(help='What to look for, in words: "rain + wind -thunder"')] = None,
    paths: Annotated[
        list[str] | None, typer.Argument(help="Look in these files and folders only, indexed first where new")
    ] = None,
    sound: Annotated[
        Path | None, typer.Option("--sound", help="Look for what sounds like this file; with words: for both")
    ] = None,
    detector: Annotated[
        str | None, typer.Option("--detector", help="Look for what was taught: a name, or a file; with words: for both")
    ] = None,
    without: Annotated[list[str] | None, typer.Option("--not", help="What should not be heard")] = None,
    k: Count = 10,
    windows: Annotated[bool, typer.Option("--windows", help="Every window by itself, not one hit a file")] = False,
    exact: Annotated[bool, typer.Option("--moments", help="Exact spans: the files are looked into once more")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="With --moments: a .csv, .json or .m3u file")
    ] = None,
    glob: Annotated[str | None, typer.Option("--path", help='A pattern for the path: "*/rain/*"')] = None,
    shortest: Annotated[float | None, typer.Option("--min-seconds", help="Length of the file")] = None,
    longest: Annotated[float | None, typer.Option("--max-seconds", help="Length of the file")] = None,
    after: Annotated[str | None, typer.Option("--after", help="Changed since: 2026-05-31")] = None,
    before: Annotated[str | None, typer.Option("--before", help="Changed before: 2026-06-01T12:00")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Given when it was indexed; may be repeated")] = None,
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
    since, until = moment_of(after, "--after"), moment_of(before, "--before")
    taught = None if detector is None else Detector.load(detector)
    collection, failed = opened(library, model, device, threads, k, paths, translate)
    wanted = [part for part in (query, sound, taught) if part is not None]
    title = " + ".join([*([query] if query else []), *([short(str(sound))] if sound else []), *([taught.name] if taught else [])])  # fmt: skip
    if exact:
        _show_moments(collection.moments(wanted if len(wanted) > 1 else wanted[0], k), title, output, as_json)
        return
    hits = collection.search(
        wanted if len(wanted) > 1 else wanted[0], k, without=without or (), per="window" if windows else "file",
        within=paths or None, glob=glob, shortest=shortest, longest=longest, after=since, before=until, tags=tag or (),
    )  # fmt: skip
    show_hits(hits, title, as_json)
    if failed:
        raise typer.Exit(1)


def similar(
    sound: Annotated[Path, typer.Argument(help="A sound file")],
    paths: Annotated[list[str] | None, typer.Argument(help="Look in these files and folders only")] = None,
    k: Count = 10,
    library: LibraryPath = None,
    model: Model = "mini",
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """What in the library sounds like a file, the file itself left out."""
    collection, failed = opened(library, model, device, threads, k, paths)
    own = os.path.abspath(sound.expanduser())
    hits = [hit for hit in collection.search(sound, k + 1, within=paths or None) if hit.path != own][:k]
    show_hits(hits, f"like {short(str(sound))}", as_json)
    if failed:
        raise typer.Exit(1)


def duplicates(
    paths: Annotated[list[str] | None, typer.Argument(help="Look at these files and folders only")] = None,
    library: LibraryPath = None,
    as_json: Json = False,
) -> None:
    """Which files of the library hold the same recording, whatever their format, gain and start."""
    from openclap.library import Library

    place = Library.open(library or default_library())
    found = place.duplicates(within=paths or None, progress=err.is_terminal)
    if as_json:
        emit(group.to_dict() for group in found.groups)
    else:
        rows = [
            (str(number) if i == 0 else "", f"{copy.offset:+.2f} s", f"{copy.similarity:.2f}", plain(short(copy.path)))
            for number, group in enumerate(found.groups, 1)
            for i, copy in enumerate(group.files)
        ]
        table(plain(f"{len(found.groups)} groups"), ("", "begins", "alike", "file"), rows, right=("begins", "alike"))
    exit_told(found.failed)


def moments(
    sound: Annotated[str, typer.Argument(help="A recording")],
    query: Annotated[str | None, typer.Argument(help="What to look for in it, in words")] = None,
    detector: Annotated[
        str | None, typer.Option("--detector", help="Look for what was taught: a name, or a file")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many moments")] = 5,
    window: Annotated[float, typer.Option("--window", help="Seconds heard at once, at the first look")] = 2.0,
    hop: Annotated[float, typer.Option("--hop", help="Seconds between windows, at the first look")] = 1.0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write them too: .csv, .json, .txt (Audacity labels), .m3u")
    ] = None,
    model: Model = "mini",
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
    translate: Translate = "auto",
) -> None:
    """Where in a long recording something is heard."""
    from openclap.detector import Detector
    from openclap.library import moments_in, write_moments

    taught = None if detector is None else Detector.load(detector)
    wanted = [part for part in (query, taught) if part is not None]
    if not wanted:
        raise UsageError('say what to look for:  openclap moments SOUND "a dog barking"  or  --detector NAME')
    title = " + ".join([*([query] if query else []), *([taught.name] if taught else [])])
    clap = load_model(model, device, threads, translate=translate)
    found = moments_in(clap, sound, wanted if len(wanted) > 1 else wanted[0], k, window=window, hop=hop)
    if output is not None:
        write_moments(found, output, title)
    if as_json:
        emit(moment.to_dict() for moment in found)
    else:
        rows = [(span(m.start, m.end), f"{m.score:+.3f}", bar(m.score)) for m in found]
        table(plain(f"{title} in {short(sound)}"), ("when", "cosine", ""), rows, right=("cosine",))


def library(
    action: Annotated[
        Literal["stats", "verify", "repair", "export", "import"],
        typer.Argument(help="What to do; stats tells what it holds"),
    ] = "stats",
    file: Annotated[Path | None, typer.Argument(help="A .parquet file, for export and import")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="verify by size and time, without reading the files")] = False,
    library: LibraryPath = None,
    as_json: Json = False,
) -> None:
    """What a library holds; is it whole, mend it, take it elsewhere."""
    from openclap.library import Library

    place = Library.open(library or default_library())
    if (file is not None) != (action in ("export", "import")):
        raise UsageError(f"openclap library {action} takes {'no' if file else 'a .parquet'} file")
    if action == "verify":
        _verify(place, quick, as_json)
        return
    found: dict[str, Any]
    if action == "repair":
        done = place.repair()
        found = {"repaired": done}
        lines = [("", plain(line)) for line in done or ["nothing to mend"]]
    else:
        found = place.stats() if file is None else place.export(file) if action == "export" else place.import_(file)
        lines = [(name, plain(value)) for name, value in found.items() if name not in UNSHOWN]
    if as_json:
        emit([found])
    else:
        table("library", ("", ""), lines)


# -- inside ------------------------------------------------------------------------------------------


def opened(
    library: str | None,
    model: str,
    device: str,
    threads: int | None,
    k: int,
    paths: list[str] | None,
    translate: str = "auto",
) -> tuple[Library, bool]:
    """The library with its model, and whether something of the paths could not be added."""
    from openclap.library import Library

    if k < 1:
        raise UsageError(f"-k is {k}; it must be 1 or more")
    collection = Library.open(
        library or default_library(), model=load_model(model, device, threads, translate=translate)
    )
    failed = collection.add(paths, progress=err.is_terminal).failed if paths else []
    tell_failed(failed)
    return collection, bool(failed)


def show_hits(hits: list[Hit], title: str, as_json: bool) -> None:
    """Hits as a table or as JSON lines; says so where none is likely."""
    from openclap.library import UNLIKELY

    if as_json:
        emit({"rank": rank, **hit.to_dict()} for rank, hit in enumerate(hits, 1))
        return
    if not hits:
        err.print("nothing in the library passes these filters")
        return
    sure = [hit.confidence or 0.0 for hit in hits]
    if max(sure) < UNLIKELY:
        err.print(f"[yellow]nothing here sounds like that[/yellow] (confidence {max(sure):.0%}); the nearest:")
    rows = [
        (str(rank), f"{h.score:+.3f}", f"{share:.0%}", bar(share), plain(short(h.path)), span(h.start, h.end))
        for rank, (h, share) in enumerate(zip(hits, sure, strict=True), 1)
    ]
    columns = ("", "cosine", "confidence", "", "sound", "where")
    table(plain(title), columns, rows, right=("", "cosine", "confidence"))


def _show_moments(found: list[Moment], title: str, output: Path | None, as_json: bool) -> None:
    from openclap.library import write_moments

    if output is not None:
        write_moments(found, output, title)
    if as_json:
        emit(moment.to_dict() for moment in found)
    else:
        rows = [(span(m.start, m.end), f"{m.score:+.3f}", bar(m.score), plain(short(m.path))) for m in found]
        table(plain(title), ("when", "cosine", "", "sound"), rows, right=("cosine",))


def _verify(place: Library, quick: bool, as_json: bool) -> None:
    found = place.verify(hashes=not quick)
    if as_json:
        emit([found.to_dict()])
    else:
        rows = [
            *(("[red]damaged[/red]", plain(what)) for what in found.damaged),
            *(("missing", plain(short(path))) for path in found.missing),
            *(("changed", plain(short(path))) for path in found.changed),
        ]
        table("library", ("", ""), rows or [("[green]whole[/green]", "nothing is missing, changed or damaged")])
    if not found.whole:
        raise typer.Exit(1)


def _show_report(done: AddReport, as_json: bool, report: Path | None) -> None:
    if as_json:
        emit([done.to_dict()])
    else:
        print(
            f"{done.added} added, {done.updated} updated, {done.unchanged} unchanged, {done.removed} removed, {len(done.failed)} failed",
            flush=True,
        )
    if report is not None:
        import json

        report.write_text(json.dumps(done.to_dict(), indent=1) + "\n", encoding="utf-8")


def _tell_report(done: AddReport, as_json: bool, report: Path | None) -> None:
    _show_report(done, as_json, report)
    exit_told(done.failed)


def moment_of(text: str | None, option: str) -> float | None:
    """An ISO date or time, local where it says no zone, as seconds since 1970."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise UsageError(f"{option} is {text!r}; give a date or a time: 2026-05-31, 2026-05-31T12:00") from None


VERBS = (index, search, similar, duplicates, moments, library)
