"""journey: recordings of the library that lead from one sound to another."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from openclap.cli.found import show_steps, write_hits
from openclap.cli.options import Json, LibraryPath, ShowMissing, TextModelOptions, Verbs
from openclap.cli.play import Play
from openclap.cli.search import (
    PlaylistFile,
    WithinPaths,
    open_library,
    require_playlist,
    sound_or_words,
    title_of,
)
from openclap.options import SearchFilter

__all__ = ["VERBS"]


def journey(
    start: Annotated[str, typer.Argument(help="Where it begins: a sound file, or words", metavar="FROM")],
    end: Annotated[str, typer.Argument(help="Where it ends: a sound file, or words", metavar="TO")],
    n: Annotated[int, typer.Option("-n", min=2, max=200, help="How many recordings")] = 12,
    output: PlaylistFile = None,
    play: Play = None,
    within: WithinPaths = None,
    *,
    filter: SearchFilter,
    missing: ShowMissing = False,
    library: LibraryPath = None,
    loading: TextModelOptions,
    as_json: Json = False,
) -> None:
    """From one sound to another by equal steps, through recordings of the library."""
    if output is not None:
        require_playlist(output)
    filter = replace(filter, within=tuple(within) if within else None)
    collection, _ = open_library(library, loading, None)
    a, b = sound_or_words(start), sound_or_words(end)
    steps = collection.journey(a, b, n, filter=filter, missing=missing)
    if output is not None:
        write_hits(steps, output, collection)
    show_steps(steps, f"from {title_of([a])} to {title_of([b])}", as_json, collection, filter, play)


VERBS: Verbs = {
    journey: ('openclap journey rain.wav "a crowd clapping" -n 8 -o way.m3u8',),
}
