"""library …: what a library holds, and the verbs that keep it: forget, relocate, tags, collections, verify."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from openclap.cli.options import FILTERS, OUTPUT, Json, LibraryPath, Paths, Verbs, default_library
from openclap.cli.show import Cell, emit, err, file_name, plain, print_error, short, table, verbosity
from openclap.clock import clock
from openclap.errors import Hint, LibraryError, UsageError
from openclap.options import SearchFilter
from openclap.plurals import count_noun

if TYPE_CHECKING:
    from openclap.library import Library
    from openclap.library.library_results import Collection, LibraryChange, Relocation

__all__ = ["GROUP", "VERBS"]

UNSHOWN = ("front_end", "embedding", "window", "hop")  # in the table; the JSON has them
SHOWN = 20  # paths of each kind, on a terminal; the JSON has all

Name = Annotated[str, typer.Argument(help="Name of the collection")]
Chosen = Annotated[list[str] | None, typer.Argument(help="Files and folders; with filters, what passes them there")]
Everything = Annotated[bool, typer.Option("--all", help="The whole library")]
Parquet = Annotated[Path, typer.Argument(help="A .parquet file")]


class LibraryGroup(TyperGroup):
    """The verbs of a library. Without one it is `stats`; options may also stand before it: library --library DIR verify."""

    default_verb = "stats"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb first."""
        after = dict(enumerate(["", *args]))  # the word before each
        place = next((i for i, word in enumerate(args) if word in self.commands and after[i] != "--library"), None)
        if place is not None:
            args = [args[place], *args[:place], *args[place + 1 :]]
        elif not args or (args[0].startswith("-") and not {"-h", "--help"} & {*args}):
            args = [self.default_verb, *args]
        return super().parse_args(ctx, args)


def stats(library: LibraryPath = None, as_json: Json = False) -> None:
    """How much the library holds, and which model made it; without a verb, too."""
    _show_facts(_open(library).stats(), as_json)


def list_files(
    paths: Paths = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only what cannot be reached now", rich_help_panel=FILTERS)
    ] = False,
    folders: Annotated[bool, typer.Option("--folders", help="Folders, with how much lies in each")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write the files too: .csv, .txt (paths), .m3u8 (a playlist)", rich_help_panel=OUTPUT
        ),
    ] = None,
    *,
    filter: SearchFilter,
    library: LibraryPath = None,
    as_json: Json = False,
) -> None:
    """The files of the library: lengths, windows, tags and collections."""
    from openclap.cli.no_results import why_nothing
    from openclap.library.contents import count_folders
    from openclap.library.file_lists import write_list

    if folders and output is not None:
        raise UsageError("-o writes files; leave --folders out")
    place = _open(library)
    filter = replace(filter, within=tuple(paths) if paths else None)
    found = list(place.files(missing=missing, filter=filter))
    if output is not None:
        write_list(found, output)
    if as_json:
        emit(one.to_dict() for one in (count_folders(found) if folders else found))
    elif not found:
        if not place.stats()["files"]:
            raise LibraryError(f"{place.stats()['path']} holds no sounds yet", Hint("fill"))
        here = missing and next(place.files(filter=filter), None) is not None
        err.print("nothing is missing" if here else plain(why_nothing(place, filter)))
    elif folders:
        rows = [(str(f.files), clock(f.seconds), str(f.windows), plain(short(f.path))) for f in count_folders(found)]
        columns = ("files", "length", "windows", "folder")
        table("library", columns, rows, right=columns[:3], below=(3,))
    else:
        words = {name: any(getattr(file, name) for file in found) for name in ("tags", "collections")}
        table(
            plain(count_noun(len(found), "file")),
            ("length", "windows", *(name for name, some in words.items() if some), "file"),
            [
                (
                    clock(file.seconds),
                    str(file.windows),
                    *(plain(", ".join(getattr(file, name))) for name, some in words.items() if some),
                    file_name(file.path),
                )
                for file in found
            ],
            right=("length", "windows"),
            below=(2 + sum(words.values()),),
        )


def forget(
    paths: Annotated[list[str] | None, typer.Argument(help="Files and folders, also such that are not there")] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Of these, or of all, what cannot be reached now", rich_help_panel=FILTERS)
    ] = False,
    *,
    filter: SearchFilter,
    library: LibraryPath = None,
    as_json: Json = False,
) -> None:
    """Remove files from the library, not from the disk; their tags are remembered, in case they come back."""
    done = _open(library).forget(paths or None, missing=missing, filter=filter)
    _show_change(done, "forgotten", as_json)
    if done.files and not as_json and not verbosity.quiet:
        err.print("[dim]no file was touched; to have them back, with their tags:  openclap index PATH[/dim]")


def relocate(
    old: Annotated[str, typer.Argument(help="The file, folder or disk as the library knows it")],
    new: Annotated[str, typer.Argument(help="Where it is now")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare, and change nothing")] = False,
    library: LibraryPath = None,
    as_json: Json = False,
) -> None:
    """Tell the library that a file, a folder or a disk has another path now; nothing is embedded anew."""
    done = _open(library).relocate(old, new, dry_run=dry_run, progress=verbosity.progress)
    if as_json:
        emit([done.to_dict()])
    else:
        print(plain(f"{count_noun(done.moved, 'file')} {'would be' if dry_run else 'now'} at {short(new)}"))
        _show_unmoved(done)
    if done.missing or done.changed:
        raise typer.Exit(1)


def tag(
    word: Annotated[str, typer.Argument(help="The tag, a word or several")],
    paths: Chosen = None,
    everything: Everything = False,
    *,
    filter: SearchFilter,
    library: LibraryPath = None,
    as_json: Json = False,
) -> None:
    """Put a tag on files, on folders, or on what filters let pass."""
    _require_choice(paths, everything, filter)
    done = _open(library).tag(word, paths or None, everything=everything, filter=filter)
    _show_change(done, f"tagged {word}", as_json)


def untag(
    word: Annotated[str, typer.Argument(help="The tag")],
    paths: Chosen = None,
    everything: Everything = False,
    *,
    filter: SearchFilter,
    library: LibraryPath = None,
    as_json: Json = False,
) -> None:
    """Take a tag off files, on the disk or not; off what is remembered of them, too."""
    _require_choice(paths, everything, filter)
    done = _open(library).untag(word, paths or None, everything=everything, filter=filter)
    _show_change(done, f"no longer tagged {word}", as_json)


def tags(library: LibraryPath = None, as_json: Json = False) -> None:
    """The tags of the library, and how many files have each."""
    _show_names(_open(library).tags(), "tag", as_json)


def collections(library: LibraryPath = None, as_json: Json = False) -> None:
    """The collections of the library, and how many files are in each."""
    _show_names(_open(library).collections(), "collection", as_json)


def collect(
    name: Name,
    paths: Chosen = None,
    everything: Everything = False,
    *,
    filter: SearchFilter,
    library: LibraryPath = None,
    as_json: Json = False,
) -> None:
    """Put files into a collection, which is made where it is missing."""
    _require_choice(paths, everything, filter)
    done = _open(library).collect(name, paths or None, everything=everything, filter=filter)
    _show_change(done, f"put into the collection {name}", as_json)


def uncollect(
    name: Name,
    paths: Chosen = None,
    everything: Annotated[bool, typer.Option("--all", help="All of it: the collection is gone")] = False,
    *,
    filter: SearchFilter,
    library: LibraryPath = None,
    as_json: Json = False,
) -> None:
    """Take files out of a collection; nothing else happens to them."""
    _require_choice(paths, everything, filter)
    done = _open(library).uncollect(name, paths or None, everything=everything, filter=filter)
    _show_change(done, f"taken out of the collection {name}", as_json)


def verify(
    quick: Annotated[bool, typer.Option("--quick", help="By size and time, without reading the files")] = False,
    library: LibraryPath = None,
    as_json: Json = False,
) -> None:
    """Whether the library is whole, and what on the disk is missing or has changed."""
    found = _open(library).verify(hashes=not quick)
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


def repair(library: LibraryPath = None, as_json: Json = False) -> None:
    """Mend what verify calls damaged."""
    done = _open(library).repair()
    if as_json:
        emit([{"repaired": done}])
    else:
        table("library", ("", ""), [("", plain(line)) for line in done or ["nothing to mend"]])


def export(file: Parquet, library: LibraryPath = None, as_json: Json = False) -> None:
    """Write all files, windows and vectors to a Parquet file."""
    _show_facts(_open(library).export(file), as_json)


def import_(file: Parquet, library: LibraryPath = None, as_json: Json = False) -> None:
    """Add what another library of the same model has exported."""
    _show_facts(_open(library).import_(file), as_json)


# -- inside ------------------------------------------------------------------------------------------


def _open(library: str | None) -> Library:
    from openclap.library import Library

    return Library.open(library or default_library())


def _require_choice(paths: list[str] | None, everything: bool, filter: SearchFilter) -> None:
    """Refuse to change tags or collections of files that nobody has named."""
    if not paths and not everything and filter == SearchFilter():
        raise UsageError("say which files: give paths or a filter, or --all")


def _show_facts(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit([found])
    else:
        table("library", ("", ""), [(name, plain(value)) for name, value in found.items() if name not in UNSHOWN])


def _show_names(found: list[Collection], what: str, as_json: bool) -> None:
    if as_json:
        emit(one.to_dict() for one in found)
    elif found:
        table("library", (what, "files"), [(plain(one.name), str(one.files)) for one in found], right=("files",))
    else:
        err.print(f"the library has no {what}s yet")


def _show_change(done: LibraryChange, what: str, as_json: bool) -> None:
    """Print how many files were changed; paths of which the library holds nothing are an error, exit code 1."""
    if as_json:
        emit([done.to_dict()])
    else:
        print(plain(f"{count_noun(done.files, 'file')} {what}"))
    if done.unknown:
        print_error(f"the library holds nothing at {', '.join(map(short, done.unknown))}")
        raise typer.Exit(1)


def _show_unmoved(done: Relocation) -> None:
    rows: list[tuple[Cell, ...]] = []
    for what, paths in (("missing", done.missing), ("another content", done.changed)):
        rows += [(what, plain(short(path))) for path in paths[:SHOWN]]
        rows += [(what, f"and {len(paths) - SHOWN} more")] * (len(paths) > SHOWN)
    if rows:
        table("these stay as they were", ("", "file"), rows)


GROUP = LibraryGroup
list_files.called = "list"  # type: ignore[attr-defined]
import_.called = "import"  # type: ignore[attr-defined]
VERBS: Verbs = {
    stats: ("openclap library stats --library sounds.lance",),
    list_files: (
        "openclap library list ~/sounds --tag field --max-seconds 5",
        "openclap library list --collection trailer -o trailer.csv",
    ),
    forget: ("openclap library forget /media/old-disk", "openclap library forget --missing"),
    relocate: ("openclap library relocate /media/old-disk /media/new-disk --dry-run",),
    tag: ("openclap library tag wet ~/sounds/rain", "openclap library tag short --max-seconds 2"),
    untag: ("openclap library untag wet ~/sounds/rain", "openclap library untag wet --all"),
    tags: ("openclap library tags",),
    collections: ("openclap library collections",),
    collect: ("openclap library collect trailer boom.wav whoosh.wav",),
    uncollect: ("openclap library uncollect trailer boom.wav", "openclap library uncollect trailer --all"),
    verify: ("openclap library verify --quick",),
    repair: ("openclap library repair",),
    export: ("openclap library export sounds.parquet",),
    import_: ("openclap library import sounds.parquet",),
}
