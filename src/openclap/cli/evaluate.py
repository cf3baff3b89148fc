"""eval retrieval, eval zeroshot, eval probe, eval paper, eval protocols: how well a model hears."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from openclap.atomic_write import write_text
from openclap.cli.options import (
    OUTPUT,
    TUNING,
    Json,
    ModelOptions,
    PreciseModelOptions,
    ReportFile,
    Resume,
    Verbs,
)
from openclap.cli.show import emit, err, exit_if_failed, out, plain, short, table, verbosity
from openclap.errors import UsageError
from openclap.plurals import count_noun
from openclap.results import Failure

if TYPE_CHECKING:
    from openclap.eval.datasets import Dataset
    from openclap.eval.metrics import Estimate
    from openclap.eval.paper_report import PaperReport
    from openclap.eval.report import EvalReport
    from openclap.eval.scoring import Scores

__all__ = ["VERBS", "show_report"]

CLASSES_SHOWN = 60  # the JSON has all

Folder = Annotated[
    Path,
    typer.Argument(
        help=(
            "A benchmark as its authors distribute it, or what training reads: a folder with metadata.csv, a table,"
            " tars …"
        )
    ),
]
ProtocolName = Annotated[str | None, typer.Option("--protocol", help="Which benchmark; see  openclap eval protocols")]
CardFile = Annotated[
    Path | None,
    typer.Option("--card", help="Put a section into this Markdown file, or renew it", rich_help_panel=OUTPUT),
]
Confusion = Annotated[
    Path | None,
    typer.Option("--confusion", help="Write the confusion matrix: a .png or .csv file", rich_help_panel=OUTPUT),
]
Draws = Annotated[
    int,
    typer.Option("--draws", min=0, help="Resamples for the 95 % intervals; 0 for none", rich_help_panel=TUNING),
]
Seed = Annotated[
    int,
    typer.Option("--seed", min=0, help="Of the resamples, drawn folds and training", rich_help_panel=TUNING),
]

Templates = Annotated[
    list[str] | None,
    typer.Option("--template", help="A prompt, {} is the label; several are an ensemble (default: the paper's)"),
]


def retrieval(
    folder: Folder,
    protocol: ProtocolName = None,
    definition: Annotated[
        Literal["standard", "laion"],
        typer.Option("--map", help="mAP@10 divided by min(captions, 10), or by the number of captions"),
    ] = "standard",
    report: ReportFile = None,
    card: CardFile = None,
    draws: Draws = 1000,
    seed: Seed = 0,
    *,
    loading: ModelOptions,
    as_json: Json = False,
) -> None:
    """Find sounds by their captions, and captions by their sounds: R@1/5/10, ranks, mAP@10."""
    from openclap.eval.protocols import add_published, read_dataset
    from openclap.eval.retrieval import retrieval as run

    data = read_dataset(folder, "retrieval", protocol)
    _check_places(report, card)
    clap = loading.load()
    found = run(clap, data, definition=definition, draws=draws, seed=seed, progress=verbosity.progress)
    _finish(add_published(found, protocol), report, card, as_json)


def zeroshot(
    folder: Folder,
    protocol: ProtocolName = None,
    templates: Templates = None,
    confusion: Confusion = None,
    report: ReportFile = None,
    card: CardFile = None,
    draws: Draws = 1000,
    seed: Seed = 0,
    *,
    loading: ModelOptions,
    as_json: Json = False,
) -> None:
    """Name sounds by the words of their labels: accuracy, or mAP where a sound has several."""
    from openclap.clap import DEFAULT_TEMPLATE
    from openclap.eval.protocols import add_published, read_dataset
    from openclap.eval.zeroshot import zeroshot as run

    data = read_dataset(folder, "zeroshot", protocol)
    _check_places(report, card, confusion, data)
    clap = loading.load()
    prompts = templates or [DEFAULT_TEMPLATE]
    found, judged = run(clap, data, templates=prompts, draws=draws, seed=seed, progress=verbosity.progress)
    _finish(add_published(found, protocol), report, card, as_json, judged, confusion)


def probe(
    folder: Folder,
    protocol: ProtocolName = None,
    kind: Annotated[Literal["linear", "mlp"], typer.Option("--kind", help="One layer, or a hidden one too")] = "linear",
    shots: Annotated[int | None, typer.Option("--shots", min=1, help="Learn from N examples a label")] = None,
    few_draws: Annotated[int, typer.Option("--few-draws", min=1, help="How often they are drawn, with --shots")] = 5,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write the head: FILE.safetensors, for  openclap classify --head")
    ] = None,
    confusion: Confusion = None,
    report: ReportFile = None,
    card: CardFile = None,
    draws: Draws = 1000,
    seed: Seed = 0,
    *,
    loading: ModelOptions,
    as_json: Json = False,
) -> None:
    """Train a small classifier on frozen embeddings, and judge it on sounds it has not seen."""
    from openclap.eval.probe import probe as run
    from openclap.eval.protocols import add_published, read_dataset

    data = read_dataset(folder, "probe", protocol)
    _check_places(report, card, confusion, data)
    if save is not None and (save.suffix != ".safetensors" or not save.parent.is_dir()):
        raise UsageError(f"--save {save}: give a name that ends in .safetensors, in a folder that exists")
    clap = loading.load()
    found, judged, head = run(
        clap, data, kind=kind, shots=shots, few_draws=few_draws, draws=draws, seed=seed, progress=verbosity.progress
    )
    if save is not None:
        head.save(save)
    _finish(add_published(found, protocol), report, card, as_json, judged, confusion)


def paper(
    data: Annotated[
        Path, typer.Argument(help="The folder with the benchmarks' folders: ESC-50, clotho, … as they were unpacked")
    ],
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Only this benchmark: audiocaps, vggsound, vggsound-probe, …; repeatable"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Folder that keeps what is done (default: the model's, in your data folder)"
        ),
    ] = None,
    resume: Resume = True,
    templates: Templates = None,
    long: Annotated[
        Literal["auto", "windows", "fusion", "head"] | None,
        typer.Option(
            "--long", help="How more than a clip is heard (default: as the paper does)", rich_help_panel=TUNING
        ),
    ] = None,
    report: ReportFile = None,
    card: CardFile = None,
    draws: Draws = 1000,
    seed: Seed = 0,
    *,
    loading: PreciseModelOptions,
    as_json: Json = False,
) -> None:
    """Every table of the CLAP paper (arXiv 2211.06687) on the benchmarks in a folder, beside the numbers it prints."""
    from openclap.clap import DEFAULT_TEMPLATE
    from openclap.eval.paper import PaperSettings, check_names, evaluate_paper
    from openclap.eval.paper_report import write_paper_card

    chosen = PaperSettings(
        tuple(only or ()), tuple(templates or [DEFAULT_TEMPLATE]), long, draws, seed, restart=not resume
    )
    check_names(chosen.only)
    _check_places(report, card)
    place = None if output is None else output.expanduser()
    found = evaluate_paper(
        loading.load(), data.expanduser(), chosen, place=place, progress=verbosity.progress, tell=_tell
    )
    if as_json:
        emit([found.to_dict()])
    else:
        _show_paper(found)
    if report is not None:
        write_text(report, json.dumps(found.to_dict(), indent=1, allow_nan=False) + "\n")
    if card is not None:
        write_paper_card(found, card)
    failed = [failure for one in found.reports.values() for failure in one.failed]
    exit_if_failed([*failed, *(Failure(one.name, one.reason) for one in found.broken)])


def protocols(as_json: Json = False) -> None:
    """The benchmarks that can be named with --protocol: tasks, where to get them, what their folder looks like."""
    from openclap.eval.protocols import PROTOCOLS

    if as_json:
        emit(protocol.to_dict() for protocol in PROTOCOLS)
        return
    rows = [(p.name, ", ".join(p.tasks), plain(p.layout), plain(p.source)) for p in PROTOCOLS]
    table("protocols", ("name", "for", "expected", "source"), rows)


# -- inside ------------------------------------------------------------------------------------------


def _tell(line: str) -> None:
    if not verbosity.quiet:
        err.print(plain(line))


def _show_paper(found: PaperReport) -> None:
    """Print our numbers beside the paper's, then on stderr what limits them and what is missing."""
    from openclap.eval.paper_report import metric_name

    rows = []
    for row in found.rows:
        interval = "" if row.low is None or row.high is None else f"{100 * row.low:.1f}–{100 * row.high:.1f}"
        beside = ("", "", "")
        if row.published is not None and row.difference is not None:
            beside = f"{100 * row.published:.1f}", f"{100 * row.difference:+.1f}", f"{row.table}, {row.row}"
        rows.append((row.benchmark, metric_name(row), f"{100 * row.value:.1f}", interval, *beside))
    columns = ("", "metric, %", "here", "95 %", "paper", "apart", "table, row")
    if rows:
        table(plain(f"the tables of arXiv 2211.06687, {found.model}"), columns, rows, right=columns[2:6])
    for name, one in found.reports.items():
        for note in one.notes:
            err.print(plain(f"{name}: {note}"))
    for skipped in found.missing:
        err.print(plain(f"{skipped.name}: not measured, {skipped.reason}"))
    if any(row.row == "fine-tuned" for row in found.rows):
        err.print("the paper fine-tunes its audio tower for table 4's supervised scores; a linear probe does not")
    err.print(plain(f"kept in {short(found.place)}"))


def _check_places(
    report: Path | None, card: Path | None, confusion: Path | None = None, data: Dataset | None = None
) -> None:
    """Refuse files that cannot be written, before hours of work and not after them."""
    for option, path in (("--report", report), ("--card", card), ("--confusion", confusion)):
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            why = "it is a folder" if path.is_dir() else "its folder does not exist"
            raise UsageError(f"{option} {path}: {why}; choose another place")
    if confusion is not None and data is not None:
        from openclap.eval.scoring import check_confusion

        check_confusion(confusion, multi_label=data.multi_label)


def _finish(
    found: EvalReport,
    report: Path | None,
    card: Path | None,
    as_json: bool,
    judged: Scores | None = None,
    confusion: Path | None = None,
) -> None:
    """Print a report, write the files that were asked for, and print what failed."""
    from openclap.eval.report import write_card, write_report
    from openclap.eval.scoring import write_confusion

    if as_json:
        emit([found.to_dict()])
    else:
        show_report(found)
    if report is not None:
        write_report(found, report)
    if card is not None:
        write_card(found, card)
    if confusion is not None and judged is not None:
        write_confusion(judged, confusion)
    exit_if_failed(found.failed)


def show_report(found: EvalReport) -> None:
    """Print metrics, labels from the worst on, and notes on stderr."""
    rows = [
        (name.replace("_", " "), _number(name, x.value), _interval(name, x), _number(name, found.published.get(name)))
        for name, x in found.metrics.items()
    ]
    title = (
        f"{found.task}, {found.protocol or short(found.dataset)}: {count_noun(found.examples, 'sound')}, {found.model}"
    )
    columns = ("metric", "value", "95 % interval", "paper" if found.published else "")
    table(plain(title), columns, rows, right=columns[1:])
    if found.classes:
        shown = sorted(found.classes, key=lambda c: (c.score is None, c.score))[:CLASSES_SHOWN]
        cells = [(plain(c.label), str(c.examples), _number("", c.score), plain(c.taken_for or "")) for c in shown]
        out.print()
        table("labels, the worst first", ("", "sounds", "score", "taken for"), cells, right=("sounds", "score"))
        if len(found.classes) > len(shown):
            out.print(f"and {len(found.classes) - len(shown)} more; --json or --report has all")
    for note in found.notes:
        err.print(plain(note))


def _interval(name: str, estimate: Estimate) -> str:
    return "" if estimate.low is None else f"{_number(name, estimate.low)} – {_number(name, estimate.high)}"


def _number(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if name.endswith("_rank") else f"{100 * value:.1f} %"


VERBS: Verbs = {
    retrieval: ("openclap eval retrieval ~/clotho --protocol clotho",),
    zeroshot: ("openclap eval zeroshot ~/ESC-50 --protocol esc50 --report esc50.json",),
    paper: (
        "openclap eval paper ~/benchmarks --model laion/clap-htsat-fused",
        "openclap eval paper ~/benchmarks --only esc50 --card MODEL.md",
    ),
    probe: ("openclap eval probe ~/ESC-50 --protocol esc50 --save head.safetensors",),
    protocols: ("openclap eval protocols",),
}
