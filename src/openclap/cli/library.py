"""index, duplicates: verbs that fill a library and look through it; the others are in `library_group`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from openclap.cli.options import (
    MACHINE,
    Json,
    LibraryPath,
    ModelOptions,
    Paths,
    Precision,
    ReportFile,
    Verbs,
    default_library,
)
from openclap.cli.show import (
    emit,
    err,
    exit_if_failed,
    file_name,
    plain,
    print_failures,
    print_missing,
    table,
    verbosity,
)
from openclap.errors import UsageError
from openclap.options import SearchFilter
from openclap.plurals import count_noun

if TYPE_CHECKING:
    from openclap.results import AddReport

__all__ = ["VERBS"]


def index(
    paths: Annotated[list[str] | None, typer.Argument(help="Sound files and folders")] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="A word to put on all of them; may be repeated")
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude", help='Leave out files and folders of this name or pattern; may be repeated: "*/drafts/*"'
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Drop what is missing, even where a disk may not be mounted")
    ] = False,
    reembed: Annotated[
        bool, typer.Option("--reembed", help="Embed a library anew that another model has made")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and keep the library up to date")] = False,
    every: Annotated[float, typer.Option("--every", min=0.2, help="Seconds between looks, with --watch")] = 5.0,
    precision: Precision = None,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast",
            help="As --precision fast: the fastest here that is near float32",
            rich_help_panel=MACHINE,
        ),
    ] = False,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option("--engine", help="local, or ray: the workers of a Ray cluster, into a library in LanceDB"),
    ] = "local",
    report: ReportFile = None,
    library: LibraryPath = None,
    *,
    loading: ModelOptions,
    as_json: Json = False,
) -> None:
    """Add files and folders to the library, or bring them up to date."""
    from openclap.library import Library

    if not paths and not reembed:
        raise UsageError("say what to index:  openclap index FOLDER")
    if watch and prune:
        raise UsageError(
            "--watch with --prune would drop a whole disk whenever it is away; prune once, without --watch"
        )
    if engine != "local" and (reembed or watch):
        raise UsageError("--engine ray indexes once; for another model, index into another --library")
    if fast and precision not in (None, "fast"):
        raise UsageError(f"--fast and --precision {precision} contradict each other; give one of them")
    place = library or default_library()
    clap = loading.load("fast" if fast else precision or Library.open(place).precision)
    show = verbosity.progress
    if reembed:
        done = Library.reembed(place, clap, progress=show, prune=prune)
        _show_report(done, as_json, report)
        if not paths:
            exit_if_failed(done.failed)
            return
        print_failures(done.failed)
    collection = Library.open(place, model=clap)
    if watch:
        for done in collection.watch(paths or [], every=every, tags=tag or (), exclude=exclude or ()):
            _show_report(done, as_json, report)
            print_failures(done.failed)
            print_missing(done.missing_folders)
        return
    done = collection.add(paths or [], tags=tag or (), exclude=exclude or (), prune=prune, progress=show, engine=engine)
    _tell_report(done, as_json, report)


def duplicates(
    paths: Paths = None,
    library: LibraryPath = None,
    as_json: Json = False,
) -> None:
    """Which files of the library hold the same recording, whatever their format, gain and start."""
    from openclap.cli.no_results import why_nothing
    from openclap.library import Library

    place = Library.open(library or default_library())
    found = place.duplicates(within=paths or None, progress=verbosity.progress)
    if as_json:
        emit(group.to_dict() for group in found.groups)
    elif not found.groups:
        print("0 groups")
    else:
        rows = [
            (str(number) if i == 0 else "", f"{copy.offset:+.2f} s", f"{copy.similarity:.2f}", file_name(copy.path))
            for number, group in enumerate(found.groups, 1)
            for i, copy in enumerate(group.files)
        ]
        table(
            plain(count_noun(len(found.groups), "group")),
            ("", "begins", "alike", "file"),
            rows,
            right=("begins", "alike"),
            below=(3,),
        )
    if paths and not found.groups and next(iter(place.paths(within=paths)), None) is None:
        err.print(plain(why_nothing(place, SearchFilter(within=tuple(paths)))))
    exit_if_failed(found.failed)


# -- inside ------------------------------------------------------------------------------------------


def _show_report(done: AddReport, as_json: bool, report: Path | None) -> None:
    if as_json:
        emit([done.to_dict()])
    else:
        print(
            f"{done.added} added, {done.updated} updated, {done.unchanged} unchanged, {done.removed} removed, "
            + f"{done.kept_missing} missing but kept, " * bool(done.kept_missing)
            + f"{len(done.failed)} failed",
            flush=True,
        )
    if report is not None:
        import json

        report.write_text(json.dumps(done.to_dict(), indent=1) + "\n", encoding="utf-8")


def _tell_report(done: AddReport, as_json: bool, report: Path | None) -> None:
    _show_report(done, as_json, report)
    print_missing(done.missing_folders)
    if not any(done.to_dict().values()):
        err.print("there are no sounds in what was given, or they are hidden or excluded")
    exit_if_failed(done.failed)
    if done.kept_missing:
        raise typer.Exit(1)


VERBS: Verbs = {
    index: ("openclap index ~/sounds --tag field", "openclap index ~/sounds --watch"),
    duplicates: ("openclap duplicates ~/sounds",),
}
