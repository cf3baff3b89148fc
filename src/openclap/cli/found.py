"""How hits, moments and the steps of a journey look at the command line, and what is said before them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from openclap.cli.play import play_results
from openclap.cli.show import (
    Cell,
    bar,
    emit,
    err,
    file_name,
    plain,
    print_left_out,
    print_uncalibrated,
    print_understood,
    print_unknown,
    span,
    table,
    verbosity,
)
from openclap.clock import clock

if TYPE_CHECKING:
    from rich.text import Text

    from openclap.library import Library
    from openclap.library.several import SeveralLibraries
    from openclap.options import SearchFilter
    from openclap.results import Hit, Moment, Ranked, Step

__all__ = ["show_hits", "show_moments", "show_steps", "write_hits"]


def show_hits(
    hits: Ranked[Hit],
    title: str,
    as_json: bool,
    library: Library | SeveralLibraries,
    filter: SearchFilter,
    play: str | None = None,
    by: str = "sound",
) -> None:
    """Print hits as a table or JSON lines, and remarks: none, all unlikely, uncalibrated, left out; then `play` some."""
    from openclap.cli.no_results import why_nothing

    print_unknown(hits.unknown)
    print_understood(hits.understood)
    if not hits and not hits.left_out:
        err.print(plain(why_nothing(library, filter, by=by)))
    by_names = any(hit.relevance is not None for hit in hits)
    shown = [(hit.relevance if by_names else hit.confidence) or 0.0 for hit in hits]
    _print_unlikely(hits, shown, "relevance" if by_names else "confidence", as_json)
    if as_json:
        emit({"rank": rank, **hit.to_dict()} for rank, hit in enumerate(hits, 1))
    elif hits:
        _table_of_hits(hits, title, shown, by_names)
    if hits and not hits.calibrated:
        print_uncalibrated()
    print_left_out(hits.left_out, "hit")
    play_results(hits, play)


def _table_of_hits(hits: Ranked[Hit], title: str, shown: Sequence[float], by_names: bool) -> None:
    rows: list[tuple[Cell, ...]] = []
    for rank, (hit, share) in enumerate(zip(hits, shown, strict=True), 1):
        number = f"{share:.0%}" if by_names else f"{hit.score:+.3f}"
        why = [plain(f"named {', '.join(hit.named)}" if hit.named else "")] if by_names else []
        rows.append((str(rank), number, bar(share), hit.verdict, _name(hit), span(hit.start, hit.end), *why))
    columns = ("", "relevance" if by_names else "cosine", "", "", "sound", "where", *([""] if by_names else []))
    likely = sum(not hit.unlikely for hit in hits)
    if by_names and 0 < likely < len(hits):
        rows.insert(likely, (*[""] * 4, "[dim]probably not:[/dim]", "", ""))
    table(plain(title), columns, rows, right=(0, 1, 3), below=(4, *([6] if by_names else [])), wide=(2,))


def show_moments(
    asked: Sequence[tuple[str, Ranked[Moment]]],
    output: Path | None,
    as_json: bool,
    where: str = "",
    play: str | None = None,
) -> None:
    """Write and print the moments of each query; `where` names the recording, else every row names its own."""
    from openclap.library import write_moments_of_each

    if output is not None:
        write_moments_of_each(asked, output)
    for title, found in asked:
        print_unknown(found.unknown)
        print_understood(found.understood)
        sure = [moment.confidence or 0.0 for moment in found]
        _print_unlikely(found, sure, "confidence", as_json)
        if as_json:
            named = {"query": title} if len(asked) > 1 else {}
            emit({**named, **moment.to_dict()} for moment in found)
        elif found:
            _table_of_moments(found, title + where, sure, named=not where)
    if any(found and not found.calibrated for _, found in asked):
        print_uncalibrated()
    play_results([moment for _, found in asked for moment in found], play)


def _table_of_moments(found: Ranked[Moment], title: str, sure: Sequence[float], *, named: bool) -> None:
    rows: list[tuple[Cell, ...]] = [
        (span(m.start, m.end), f"{m.score:+.3f}", f"{share:.0%}", bar(share), *([_name(m)] if named else []))
        for m, share in zip(found, sure, strict=True)
    ]
    columns = ("when", "cosine", "confidence", "", *(["sound"] if named else []))
    table(plain(title), columns, rows, right=("cosine", "confidence"), below=(4,) if named else (), wide=(3,))


def show_steps(
    steps: Ranked[Step], title: str, as_json: bool, library: Library, filter: SearchFilter, play: str | None = None
) -> None:
    """Print the recordings of a journey, and which of its ends was not found by its words."""
    from openclap.cli.no_results import why_nothing

    print_unknown(steps.unknown)
    print_understood(steps.understood)
    if not steps and not steps.left_out:
        err.print(plain(why_nothing(library, filter)))
    for where, one in {"begins": steps[0], "ends": steps[-1]}.items() if steps else ():
        if one.unlikely and not (as_json and verbosity.quiet):
            err.print(f"[yellow]nothing here sounds like where it {where}[/yellow]; the nearest was taken")
    if as_json:
        emit({"rank": rank, **step.to_dict()} for rank, step in enumerate(steps, 1))
    elif steps:
        rows: list[tuple[Cell, ...]] = [
            (str(rank), bar(step.position), _likeness(step), _name(step), clock(step.end))
            for rank, step in enumerate(steps, 1)
        ]
        columns = ("", "on the way", "like the last", "sound", "length")
        table(plain(title), columns, rows, right=("", columns[2], "length"), below=(3,))
    print_left_out(steps.left_out, "recording")
    play_results(steps, play)


def _likeness(step: Step) -> str:
    return "" if step.similarity is None else f"{step.similarity:+.3f}"


def write_hits(
    hits: Sequence[Hit], output: Path, library: Library | SeveralLibraries, *, windows: bool = False
) -> None:
    """Write hits as a playlist: whole recordings, or their windows by themselves."""
    from openclap.library.playlist import hit_entries, save_playlist

    save_playlist(hit_entries(hits, library.lengths(hit.path for hit in hits), windows=windows), output)


def _name(found: Hit | Moment) -> Text:
    name = file_name(found.path)
    for note in ("missing", "silent"):
        if getattr(found, note, False):
            name.append(f" ({note})", "yellow")
    return name


def _print_unlikely(found: Ranked[Hit] | Ranked[Moment], shown: Sequence[float], what: str, as_json: bool) -> None:
    """Say first that nothing is likely, where that is so; to a program in few words, as its lines say the rest."""
    if found and found.nothing_likely and not (as_json and verbosity.quiet):
        err.print(f"[yellow]nothing here sounds like that[/yellow] ({what} {max(shown):.0%}); the nearest:")
