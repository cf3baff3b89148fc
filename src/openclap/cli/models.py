"""models, pull, doctor, train, demo: verbs about models and this installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from openclap.cli.options import Device, Json, Model, Threads, load_model
from openclap.cli.show import emit, err, out, table

__all__ = ["VERBS"]


def models(as_json: Json = False) -> None:
    """The models one can name, their size, licence and published score, and whether they are here."""
    from openclap.checkpoints.locate import here
    from openclap.checkpoints.presets import PRESETS

    rows = [{**preset.to_dict(), "here": here(preset)} for preset in PRESETS]
    if as_json:
        emit(rows)
        return
    cells = [
        (escape(r["name"]), "✓" if r["here"] else "", f"{r['megabytes']} MB" if r["megabytes"] else "packaged",
         r["licence"], f"{r['esc50']:.1f} %" if r["esc50"] else "", escape(r["note"] or r["what"]))
        for r in rows
    ]  # fmt: skip
    table(
        "models",
        ("name", "here", "download", "licence", "ESC-50", "what"),
        cells,
        right=("download", "ESC-50"),
    )


def pull(
    model: Annotated[str, typer.Argument(help="A name from `openclap models`, or a Hub id")],
    as_json: Json = False,
) -> None:
    """Download a model, check it, keep it for use without a network."""
    from openclap.checkpoints.load import load_checkpoint
    from openclap.checkpoints.locate import pull as fetch

    path = fetch(model)
    checkpoint = load_checkpoint(model)
    if as_json:
        emit([{"name": model, "path": str(path), "embedding": checkpoint.config.embedding}])
    else:
        out.print(f"{escape(model)} is here and sound: {escape(str(path))}")


def doctor(model: Model = "mini", as_json: Json = False) -> None:
    """Is this model and this installation sound."""
    from openclap.checkpoints.doctor import examine_installation

    report = examine_installation(model)
    if as_json:
        emit([report])
    else:
        table(
            "openclap doctor",
            ("", "value"),
            [(name, escape(str(value))) for name, value in report["installation"].items()],
        )
        for finding in report["findings"]:
            err.print(f"[yellow]warning:[/yellow] {escape(finding['what'])}; {escape(finding['advice'])}")
        out.print("all is well" if not report["findings"] else f"{len(report['findings'])} findings")
    if report["findings"]:
        raise typer.Exit(1)


def train(
    config: Annotated[Path, typer.Argument(help="A training configuration (YAML)")],
    resume: Annotated[bool, typer.Option("--resume/--restart", help="Go on with a stopped run")] = True,
    as_json: Json = False,
) -> None:
    """Train a model from folders of described sounds."""
    from openclap.train import train as run

    report = run(config, resume=resume, progress=err.is_terminal)
    if as_json:
        emit([report.to_dict()])
    else:
        out.print(f"{report.steps} steps in {report.seconds:.0f} s, loss {report.loss:.3f}: {escape(report.out)}")


def demo(
    folder: Annotated[Path, typer.Argument(help="Where to put the sounds and the library")] = Path("demo"),
    model: Model = "mini",
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Synthesise a small library of sounds, index it, search it, name and match."""
    from openclap.demo import run

    run(load_model(model, device, threads), folder, out)


VERBS = (models, pull, doctor, train, demo)
