"""recommend: recordings of the library to hear next, by what was liked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from openclap.cli.found import show_hits, write_hits
from openclap.cli.options import (
    OUTPUT,
    Json,
    LibraryPath,
    ShowMissing,
    TextModelOptions,
    Verbs,
)
from openclap.cli.play import Play
from openclap.cli.search import Count, WithinPaths, open_library, require_playlist, sound_or_words, title_of
from openclap.errors import UsageError
from openclap.options import SearchFilter

__all__ = ["VERBS"]


def recommend(
    like: Annotated[
        list[str] | None, typer.Option("--like", help="More like this: a sound file, or words; may be repeated")
    ] = None,
    unlike: Annotated[
        list[str] | None, typer.Option("--unlike", help="Less like this: a sound file, or words; may be repeated")
    ] = None,
    k: Count = 20,
    variety: Annotated[
        float, typer.Option("--variety", min=0.0, max=1.0, help="0: only what is nearest; 1: only what is different")
    ] = 0.3,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", "--m3u", help="Write them as a playlist, too: .m3u8", rich_help_panel=OUTPUT),
    ] = None,
    play: Play = None,
    within: WithinPaths = None,
    *,
    filter: SearchFilter,
    missing: ShowMissing = False,
    library: LibraryPath = None,
    loading: TextModelOptions,
    as_json: Json = False,
) -> None:
    """More like these, less like those: recordings of the library to hear next, with some variety."""
    if not like:
        raise UsageError('say what you like:  openclap recommend --like FILE  or  --like "birds in a forest"')
    if output is not None:
        require_playlist(output)
    filter = replace(filter, within=tuple(within) if within else None)
    collection, _ = open_library(library, loading, None)
    likes, unlikes = ([sound_or_words(part) for part in parts] for parts in (like, unlike or []))
    hits = collection.recommend(likes, unlikes, k, variety=variety, filter=filter, missing=missing)
    if output is not None:
        write_hits(hits, output, collection)
    show_hits(hits, f"like {title_of(likes)}", as_json, collection, filter, play)


VERBS: Verbs = {
    recommend: ('openclap recommend --like "birds in a forest" --unlike wind.wav -o next.m3u8',),
}
