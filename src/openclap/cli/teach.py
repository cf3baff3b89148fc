"""teach, detectors: teach a sound by a few examples, and list what was taught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openclap.cli.command import VerbCommand
from openclap.cli.options import (
    TUNING,
    Json,
    LibraryPath,
    TextModelOptions,
    Verbs,
    default_library,
)
from openclap.cli.show import Cell, emit, err, exit_if_failed, out, plain, short, table, verbosity
from openclap.errors import LibraryError, UsageError
from openclap.plurals import count_noun

if TYPE_CHECKING:
    from openclap.clap import CLAP
    from openclap.detector import Detector
    from openclap.library import Library
    from openclap.results import Hit

__all__ = ["VERBS"]

SEVERAL = ("--yes", "--no")


class ManyFiles(VerbCommand):
    """A command whose `--yes` and `--no` take several files, up to the next option, as a shell's pattern gives them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse `--yes a b --no c` as `--yes a --yes b --no c`."""
        spread: list[str] = []
        option = ""  # that the next word belongs to
        taken = False
        for i, word in enumerate(args):
            if word == "--":
                spread += args[i:]
                break
            if word.startswith("-") and word != "-":
                option, taken = (word if word in SEVERAL else ""), False
            elif option and taken:
                spread.append(option)
            else:
                taken = True
            spread.append(word)
        return list(super().parse_args(ctx, spread))


def teach(
    name: Annotated[
        str,
        typer.Argument(
            help="What to call the sound; also the words that the detector begins from. With --refit its name or file"
        ),
    ],
    yes: Annotated[
        list[str] | None, typer.Option("--yes", help="Files and folders that are the sound: --yes a.wav b.wav")
    ] = None,
    no: Annotated[
        list[str] | None, typer.Option("--no", help="Files and folders that are not, best those mistaken for it")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help='Words for the sound (default: its name); "" for none')
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file (default: by its name, in your data folder)")
    ] = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="Teach it anew for this model, by the examples that were kept of it")
    ] = False,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep-examples/--no-keep-examples", help="Keep what it is taught by in your data folder, for --refit"
        ),
    ] = True,
    suggestions: Annotated[
        int, typer.Option("--suggest", min=0, help="How many sounds of the library to suggest for marking next")
    ] = 5,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="How examples are dealt into folds", rich_help_panel=TUNING)
    ] = 0,
    library: LibraryPath = None,
    *,
    loading: TextModelOptions,
    as_json: Json = False,
) -> None:
    """Teach a detector by a few examples, and say how well it does on examples left out."""
    from openclap.detector import Detector, detector_path
    from openclap.example_store import count_examples, delete_examples
    from openclap.teach import refit as run_again
    from openclap.teach import teach as run

    if refit and (yes or no or text is not None):
        raise UsageError("--refit takes the examples and words that were kept; give it without --yes, --no and --text")
    if not refit and not yes:
        raise UsageError("say what the sound is:  openclap teach NAME --yes FILE…")
    before = Detector.load(name) if refit else None
    if output is None and before is None:
        detector_path(name)  # a name that cannot be a file's is refused before anything is heard
    clap = loading.load()
    collection = _library(library, clap)
    given: dict[str, Any] = {
        "library": collection,
        "suggestions": suggestions,
        "seed": seed,
        "progress": verbosity.progress,
    }
    if before is None:
        taught = run(clap, name, yes=yes or (), no=no or (), text=text, **given)
        taught = taught if keep else replace(taught, examples=())
    else:
        taught = run_again(clap, before, **given)
    place = taught.save(output or (before.place if before is not None else None))
    if not keep and before is None:
        delete_examples(taught.detector.key)  # of the same teaching before
    kept = count_examples(taught.detector.key)
    if as_json:
        was = {"before": before.to_dict()} if before is not None else {}
        emit([{**taught.to_dict(), "kept": kept, **was, "output": str(place)}])
    else:
        _show(taught.detector, taught.suggestions, place, before)
        if kept:
            out.print(
                plain(f"kept in your data folder: {count_noun(kept, 'example')}, to teach it anew for another model")
            )
    exit_if_failed(taught.failed)


def detectors(
    forget: Annotated[list[str] | None, typer.Option("--forget", help="Remove this one; may be repeated")] = None,
    as_json: Json = False,
) -> None:
    """What was taught: your detectors, how well they did, and how many examples were kept of each."""
    from openclap.checkpoints.presets import maker_display_name
    from openclap.detector import delete_detector as remove
    from openclap.detector import list_detectors
    from openclap.example_store import count_examples

    for name in forget or []:
        place = remove(name)
        err.print(plain(f"removed {short(str(place))}"))
    if forget:
        return
    found, failed = list_detectors()
    if as_json:
        emit({**detector.to_dict(), "kept": count_examples(detector.key)} for detector in found)
    elif not found and not failed:
        err.print("no detector has been taught yet; teach one:  openclap teach NAME --yes FILE…")
    else:
        rows = [
            (
                plain(x.name),
                plain(x.text or "–"),
                str(x.examples.get("yes", 0)),
                str(x.examples.get("no", 0)),
                *_shares(x.report),
                str(count_examples(x.key)),
                plain(maker_display_name(x.model, x.fingerprint)),
            )
            for x in found
        ]
        columns = ("name", "words", "yes", "no", "precision", "recall", "average precision", "kept", "model")
        table("detectors", columns, rows, right=columns[2:8])
    exit_if_failed(failed)


def _library(place: str | None, clap: CLAP) -> Library | None:
    """Open the library that was named; else the user's default one, where it is of this model and holds sounds."""
    from openclap.library import Library

    if place is not None:
        return Library.open(place, model=clap)
    if not default_library().exists():
        return None
    try:
        own = Library.open(default_library(), model=clap)
        return own if own.stats()["files"] else None
    except LibraryError as error:
        err.print("without counter-examples of your library:", plain(error))
        return None


def _show(detector: Detector, suggestions: list[Hit], place: Path, before: Detector | None) -> None:
    report, counts = detector.report, detector.examples
    drawn = f", {count_noun(counts['drawn'], 'counter-example')} that nobody has marked" if counts["drawn"] else ""
    out.print(plain(f"{detector.name}: {counts['yes']} yes, {counts['no']} no{drawn} → {short(str(place))}"))
    if not report.get("judged"):
        out.print(plain(f"not judged: {report.get('why')}"))
    else:
        _show_report(report, before.report if before is not None else {})
    if suggestions:
        rows = [(f"{hit.confidence:.0%}", plain(short(hit.path))) for hit in suggestions]
        table("mark these next: it is least sure of them", ("probability", "sound"), rows, right=("probability",))


def _show_report(report: Any, before: Any) -> None:
    """Print how well it does, beside the words alone and the detector that it replaces."""
    words, was = report["text"], before.get("judged")
    rows: list[tuple[Cell, ...]] = []
    for name in ("precision", "recall", "average_precision"):
        share = report[name]
        between = f"{share['low']:.2f} to {share['high']:.2f}"
        more = [_share(words[name])] if words else []
        more += [_share(before[name]["value"])] if was else []
        rows.append((name.replace("_", " "), _share(share["value"]), between, *more))
    columns = ("", "detector", "95 % interval", *["words alone"] * bool(words), *["before"] * bool(was))
    against = "drawn, unmarked" if report["unmarked"] else "marked"
    table(f"on examples left out: {report['yes']} yes, {report['no']} no ({against})", columns, rows, right=columns[1:])
    if words:
        out.print(plain(VERDICTS[report["verdict"]]))


VERDICTS = {
    "better": "It ranks better than the words alone.",
    "even": "These examples cannot tell that it ranks better than the words alone; more of them could.",
    "worse": "It ranks worse than the words alone: look for a wrong mark among the examples, or search by the words.",
}


def _shares(report: Any) -> tuple[str, str, str]:
    if not report.get("judged"):
        return "–", "–", "–"
    precision, recall, average = (_share(report[of]["value"]) for of in ("precision", "recall", "average_precision"))
    return precision, recall, average


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


teach.command = ManyFiles  # type: ignore[attr-defined]
VERBS: Verbs = {
    teach: ('openclap teach "our doorbell" --yes bell*.wav --no street.wav',),
    detectors: ("openclap detectors", 'openclap detectors --forget "our doorbell"'),
}
