"""export: a model for programs that are not openclap."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openclap.cli.options import Json, Model, Verbs
from openclap.cli.show import emit, err, out, plain, table, verbosity
from openclap.errors import UsageError

__all__ = ["VERBS"]


def export(
    onnx: Annotated[
        Path | None, typer.Option("--onnx", help="Write ONNX files, a tokenizer and a manifest into this folder")
    ] = None,
    *,
    model: Model = "mini",
    int8: Annotated[bool, typer.Option("--int8/--no-int8", help="In int8, too: smaller, a little different")] = True,
    as_json: Json = False,
) -> None:
    """Write a model for other programs and runtimes, the front end included: waves in, vectors out."""
    from openclap.clap import CLAP

    if onnx is None:
        raise UsageError("nothing says what to export to; give --onnx and a folder")
    clap = CLAP.from_pretrained(model, device="cpu")
    made = clap.export_onnx(onnx, int8=int8, say=_say)
    if as_json:
        emit([made.to_dict()])
        return
    rows = [
        (
            one.file,
            one.precision,
            f"{one.bytes / 1e6:.1f}",
            f"{one.worst_cosine:.4f}" if one.precision == "int8" else "",
        )
        for one in made.files
    ]
    table(
        plain(f"{made.model} as ONNX"), ("file", "precision", "MB", "worst cosine"), rows, right=("MB", "worst cosine")
    )
    out.print(plain(f"written and checked: {made.folder}"))


def _say(what: str) -> None:
    if not verbosity.quiet:
        err.print(f"[dim]{what} …[/dim]")


VERBS: Verbs = {export: ("openclap export --onnx clap-onnx --model laion/clap-htsat-fused",)}
