"""data check, data pack: verbs about data sets to train on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from platformdirs import user_cache_path

from openclap.cli.options import Device, Json, KeywordWriter, Split, Verbs
from openclap.cli.show import bar, emit, exit_if_failed, out, plain, print_error, table, verbosity
from openclap.plurals import count_noun

if TYPE_CHECKING:
    from openclap.data import CheckReport, Manifest

__all__ = ["VERBS"]

SHOWN = 10  # of each kind of finding, on a terminal; the JSON has all

Source = Annotated[
    list[str],
    typer.Argument(
        help="A folder with metadata.csv; a .csv, .jsonl or .parquet; tars, or a folder of them; a saved data set"
    ),
]


def check(
    source: Source,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="All labels there may be: a file, one a line, or esc50, audioset, …"),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Find the same recording in other formats, cut or shifted")
    ] = False,
    split: Split = None,
    as_json: Json = False,
) -> None:
    """Counts, lengths, broken sounds, missing captions, unknown labels, copies, leaks; exit 1 if something is wrong."""
    from openclap.data.check import check as look
    from openclap.data.check import read_labels

    known = read_labels(labels) if labels is not None else None
    report = look(_open(source, split), labels=known, deep=deep, progress=verbosity.progress)
    if as_json:
        emit([report.to_dict()])
    else:
        _show(report, deep)
    if not report.sound:
        raise typer.Exit(1)


def pack(
    source: Source,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the tars")],
    k2c: KeywordWriter = None,
    shard_size: Annotated[int, typer.Option("--shard-size", min=1, help="Sounds a tar")] = 1000,
    min_seconds: Annotated[
        float, typer.Option("--min-seconds", min=0.0, help="Leave out shorter sounds; the paper: 2")
    ] = 0.0,
    split: Split = None,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            "--engine", help="local, or ray: the workers of a Ray cluster, which share the folder and the sounds"
        ),
    ] = "local",
    as_json: Json = False,
    device: Device = "auto",
) -> None:
    """Pack a data set as 48 kHz mono FLAC in WebDataset tars; run it again to go on after a stop."""
    from openclap.data import KeywordToCaption
    from openclap.data.pack import pack as run

    manifest = _open(source, split)
    cache = user_cache_path("openclap") / "captions.sqlite"
    writer = KeywordToCaption(k2c, cache=cache, device=device) if k2c is not None else None
    report = run(
        manifest,
        output.expanduser(),
        shard_size=shard_size,
        min_seconds=min_seconds,
        k2c=writer,
        progress=verbosity.progress,
        engine=engine,
    )
    if as_json:
        emit([report.to_dict()])
    else:
        out.print(
            plain(
                f"{count_noun(report.sounds, 'sound')}, {report.hours:.2f} h, in {count_noun(report.shards, 'tar')},"
                f" {report.made} of them made now; {report.short} too short, {len(report.failed)} broken:"
                f" {report.folder}"
            )
        )
        if k2c is not None:
            out.print(
                plain(
                    f"{count_noun(report.sentences, 'sentence')} from labels by {k2c};"
                    f" {count_noun(report.templates, 'of them is', 'of them are')} the template instead, as it wrote"
                    " nothing of use or is not here"
                )
            )
    exit_if_failed(report.failed)


def _open(source: list[str], split: str | None) -> Manifest:
    from openclap.data import open_manifest

    return open_manifest(source[0] if len(source) == 1 else source, split=split)


def _summary(report: CheckReport, deep: bool) -> list[tuple[str, str]]:
    """The first table of a report: what was counted, and the counts."""
    splits = ", ".join(f"{name} {n}" for name, n in report.splits.items())
    return [
        ("items", f"{report.items} ({splits})"),
        ("hours", f"{report.hours:.2f}"),
        ("rates", ", ".join(f"{rate} Hz: {n}" for rate, n in report.rates.items())),
        (
            "captions",
            (
                f"{report.captions}; {count_noun(len(report.without_captions), 'item has', 'items have')} neither"
                " captions nor labels"
            ),
        ),
        (
            "labels",
            str(report.labels) + (f", {len(report.unknown_labels)} of them unknown" if report.unknown_labels else ""),
        ),
        ("broken", f"{len(report.broken)}; {len(report.damaged)} damaged"),
        (
            "copies",
            count_noun(len(report.duplicates), "group") + (f"; {len(report.near_duplicates)} near" if deep else ""),
        ),
        (
            "leaks",
            (
                f"{count_noun(len(report.sound_leaks), 'sound')} and {count_noun(len(report.caption_leaks), 'set')} of"
                " captions in several splits"
            ),
        ),
    ]


def _show(report: CheckReport, deep: bool) -> None:
    table(plain(report.source), ("", "value"), [(name, plain(value)) for name, value in _summary(report, deep)])
    if report.lengths is not None:
        lengths = report.lengths
        most = max(b.count for b in lengths.histogram)
        title = f"seconds: {lengths.min:.2f} to {lengths.max:.2f}, half below {lengths.median:.2f}"
        bins = [(f"{b.start:g}-{b.end:g}" if b.end else f"{b.start:g}-", b.count) for b in lengths.histogram]
        table(title, ("length", "sounds", ""), [(name, str(n), bar(n / most)) for name, n in bins], right=("sounds",))
    for what, groups in (("copies", report.duplicates), ("near", report.near_duplicates), ("leak", report.sound_leaks)):
        _some(what, [" = ".join(f"{m.key} ({m.split})" if m.split else m.key for m in g) for g in groups])
    _some("captions in several splits", [f"{'; '.join(leak.captions)} {leak.splits}" for leak in report.caption_leaks])
    _some("unknown label", [f"{label}: {n}" for label, n in report.unknown_labels.items()])
    _some("no captions", report.without_captions)
    for failure in [*report.broken, *report.damaged]:
        print_error(f"{failure.path}: {failure.error}")


def _some(what: str, findings: list[str]) -> None:
    for finding in findings[:SHOWN]:
        out.print(plain(f"{what}: {finding}"))
    if len(findings) > SHOWN:
        out.print(plain(f"{what}: {len(findings) - SHOWN} more, all in --json"))


VERBS: Verbs = {
    check: ("openclap data check ~/clotho --deep",),
    pack: ("openclap data pack ~/clotho -o ~/clotho-tars --split train",),
}
