"""Makes a small library of synthesised sounds and shows what openclap does with it; needs no network."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from openclap.clap import CLAP
from openclap.errors import UsageError
from openclap.library import Library
from openclap.plurals import count_noun
from openclap.progress import bar
from openclap.synth import KINDS, SynthFile, synthesise, write_library

__all__ = ["QUERIES", "run"]

MARK = ".openclap-demo"

# words that are no file names, with the kinds that answer them
QUERIES = (
    ("a puppy yapping", {"dog bark"}),
    ("someone knocks at the door", {"door knock", "doorbell"}),
    ("a heavy storm", {"thunder", "rain", "wind"}),
    ("an ambulance in a hurry", {"siren"}),
    ("strumming strings", {"guitar"}),
)
LABELS = ("a rooster", "a baby crying", "a helicopter", "church bells", "a telephone ringing")
TEXTS = ("waves at the beach", "the ocean", "a crackling fire", "a dog barking")


def run(clap: CLAP, folder: Path, console: Console) -> None:
    """Write sounds to FOLDER/sounds and a library to FOLDER/library, then show what openclap does with them."""
    _refuse_foreign(folder)
    sounds, place = folder / "sounds", folder / "library"
    shutil.rmtree(place, ignore_errors=True)  # an earlier demo may have used another model
    console.print(Panel.fit("[bold]openclap[/bold] finds, names and compares sounds by words"))
    began = time.perf_counter()
    console.print(f"[bold]1[/bold]  synthesising {len(KINDS)} sounds")
    files = write_library(sounds, seed=7)
    console.print(f"   {time.perf_counter() - began:.1f} s")
    library = Library.open(place, model=clap)
    began = time.perf_counter()
    console.print(f"[bold]2[/bold]  indexing [cyan]{sounds}[/cyan]")
    report = library.add(sounds, progress=True)
    each = (time.perf_counter() - began) / max(report.added, 1)
    console.print(f"   {count_noun(report.added, 'sound')}, {1000 * each:.0f} ms each")
    console.print(f"[bold]3[/bold]  searching it with {len(QUERIES)} queries")
    for query, right in QUERIES:
        _search(library, query, right, files, console)
    _classify(clap, sounds, files, console)
    _match(clap, console)
    console.print(
        "\n[bold]Your own sounds:[/bold]\n  openclap search 'a creaky wooden door' FOLDER\n  openclap moments"
        " RECORDING 'a dog barking'\n  openclap classify FILE --labels 'speech, music, rain'\n\nThe sounds are in"
        f" {sounds}: listen."
    )


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder that the demo has not made, so that it writes over nothing else."""
    mark = folder / MARK
    if folder.exists() and not mark.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} holds something else; give an empty or a new folder:  openclap demo FOLDER")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.write_text("made by `openclap demo`, which may write over what is beside this file\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written to ({error.strerror}); give another folder") from error


def _search(library: Library, query: str, right: set[str], files: list[SynthFile], console: Console) -> None:
    kinds = {str(file.path.resolve()): file.kind for file in files}
    began = time.perf_counter()
    hits = library.search(query, 4)
    took = 1000 * (time.perf_counter() - began)
    view = _plain_table(f"“{query}”  [dim]{took:.0f} ms[/dim]")
    for rank, hit in enumerate(hits, 1):
        kind = kinds.get(str(Path(hit.path).resolve()), "")
        sign = "[green]✓[/green]" if kind in right else " "
        view.add_row(f"  {rank}", bar(hit.score, 20), f"{hit.score:+.2f}", sign, Path(hit.path).name)
    console.print(view)


def _classify(clap: CLAP, sounds: Path, files: list[SynthFile], console: Console) -> None:
    chosen = next(file for file in files if file.kind == "rooster")
    view = _plain_table(f"[bold]4[/bold]  naming {chosen.path.name}")
    for label in clap.classify(chosen.path, LABELS):
        view.add_row("  ", bar(label.score, 20), f"{100 * label.score:.0f} %", label.label)
    console.print(view)


def _match(clap: CLAP, console: Console) -> None:
    import numpy as np

    wave, _ = synthesise("sea waves", np.random.default_rng(3), rate=44_100, seconds=12.0)
    view = _plain_table("[bold]5[/bold]  matching 12 s of sea waves with texts")
    for match in sorted(clap.match((wave, 44_100), TEXTS), key=lambda m: -m.score):
        view.add_row("  ", bar((match.score + 1) / 2, 20), f"{match.score:+.2f}", match.text)
    console.print(view)


def _plain_table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, show_header=False, padding=(0, 2, 0, 0))
