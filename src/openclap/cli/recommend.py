"""recommend: recordings of the library to hear next, by what was liked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from openclap.cli.options import (
    OUTPUT,
    Json,
    LibraryPath,
    ShowMissing,
    TextModelOptions,
    Verbs,
)
from openclap.cli.search import open_library, show_hits, sound_or_words, title_of
from openclap.errors import UsageError
from openclap.options import FILTERS, SearchFilter

__all__ = ["VERBS"]


def recommend(
    like: Annotated[
        list[str] | None, typer.Option("--like", help="More like this: a sound file, or words; may be repeated")
    ] = None,
    unlike: Annotated[
        list[str] | None, typer.Option("--unlike", help="Less like this: a sound file, or words; may be repeated")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many recordings")] = 20,
    variety: Annotated[
        float, typer.Option("--variety", min=0.0, max=1.0, help="0: only what is nearest; 1: only what is different")
    ] = 0.3,
    m3u: Annotated[
        Path | None, typer.Option("--m3u", help="Write them as a playlist, too", rich_help_panel=OUTPUT)
    ] = None,
    within: Annotated[
        list[str] | None,
        typer.Option("--in", help="From these files and folders only; may be repeated", rich_help_panel=FILTERS),
    ] = None,
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
    if m3u is not None and m3u.suffix.lower() not in (".m3u", ".m3u8"):
        raise UsageError(f"--m3u {m3u}: a playlist's name must end in .m3u or .m3u8")
    filter = replace(filter, within=tuple(within) if within else None)
    collection, _ = open_library(library, loading, k, None)
    likes, unlikes = ([sound_or_words(part) for part in parts] for parts in (like, unlike or []))
    hits = collection.recommend(likes, unlikes, k, variety=variety, filter=filter, missing=missing)
    if m3u is not None:
        from openclap.library import write_playlist

        write_playlist(hits, m3u)
    show_hits(hits, f"like {title_of(likes)}", as_json, collection, filter)


VERBS: Verbs = {
    recommend: ('openclap recommend --like "birds in a forest" --unlike wind.wav --m3u next.m3u',),
}
