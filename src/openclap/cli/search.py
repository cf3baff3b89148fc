"""index, search, moments, library: verbs about collections."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openclap.cli.options import Device, Json, LibraryPath, Model, Threads, default_library, load_model
from openclap.cli.show import bar, emit, err, exit_told, plain, short, span, table, tell_failed
from openclap.errors import UsageError

__all__ = ["VERBS"]


def index(
    paths: Annotated[list[str], typer.Argument(help="Sound files and folders")],
    library: LibraryPath = None,
    model: Model = "mini",
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Add files and folders to the library, or bring them up to date."""
    from openclap.library import Library

    clap = load_model(model, device, threads)
    report = Library.open(library or default_library(), model=clap).add(paths, progress=err.is_terminal)
    if as_json:
        emit([report.to_dict()])
    else:
        print(
            f"{report.added} added, {report.updated} updated, {report.unchanged} unchanged, {report.removed} removed, {len(report.failed)} failed"
        )
    exit_told(report.failed)


def search(
    query: Annotated[str | None, typer.Argument(help="What to look for, in words (or use --sound)")] = None,
    paths: Annotated[
        list[str] | None, typer.Argument(help="Look in these files and folders only, indexed first where new")
    ] = None,
    sound: Annotated[Path | None, typer.Option("--sound", help="Look for what sounds like this file")] = None,
    k: Annotated[int, typer.Option("-k", help="How many results")] = 10,
    library: LibraryPath = None,
    model: Model = "mini",
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Find sounds by words, or by a sound."""
    from openclap.library import Library

    if sound is not None and query is not None:  # the first argument is then a path
        paths, query = [query, *(paths or [])], None
    if sound is None and query is None:
        raise UsageError('say what to look for:  openclap search "a dog barking"  or  openclap search --sound FILE')
    if k < 1:
        raise UsageError(f"-k is {k}; it must be 1 or more")
    clap = load_model(model, device, threads)
    collection = Library.open(library or default_library(), model=clap)
    failed = collection.add(paths, progress=err.is_terminal).failed if paths else []
    tell_failed(failed)
    hits = collection.search(sound if sound is not None else str(query), k, within=paths or None)
    if as_json:
        emit({"rank": rank, **hit.to_dict()} for rank, hit in enumerate(hits, 1))
    else:
        rows = [
            (str(rank), f"{h.score:+.3f}", bar(h.score), plain(short(h.path)), span(h.start, h.end))
            for rank, h in enumerate(hits, 1)
        ]
        table(plain(query or sound), ("", "cosine", "", "sound", "where"), rows, right=("", "cosine"))
    if failed:
        raise typer.Exit(1)


def moments(
    sound: Annotated[str, typer.Argument(help="A recording")],
    query: Annotated[str, typer.Argument(help="What to look for in it, in words")],
    k: Annotated[int, typer.Option("-k", help="How many moments")] = 5,
    window: Annotated[float, typer.Option("--window", help="Seconds heard at once")] = 4.0,
    hop: Annotated[float, typer.Option("--hop", help="Seconds between windows: how exact a moment is")] = 2.0,
    model: Model = "mini",
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Where in a long recording something is heard."""
    from openclap.library import moments_in

    found = moments_in(load_model(model, device, threads), sound, query, k, window=window, hop=hop)
    if as_json:
        emit(moment.to_dict() for moment in found)
    else:
        rows = [(span(m.start, m.end), f"{m.score:+.3f}", bar(m.score)) for m in found]
        table(plain(f"{query} in {short(sound)}"), ("when", "cosine", ""), rows, right=("cosine",))


def library(library: LibraryPath = None, as_json: Json = False) -> None:
    """What a library holds."""
    from openclap.library import Library

    stats = Library.open(library or default_library()).stats()
    if as_json:
        emit([stats])
    else:
        names = ("path", "files", "windows", "seconds", "bytes", "model", "fingerprint")
        table("library", ("", "value"), [(name, plain(stats[name])) for name in names])


VERBS = (index, search, moments, library)
