"""prune: a smaller and faster checkpoint of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from openclap.cli.options import TUNING, Device, Json, Threads, Verbs
from openclap.cli.show import emit, err, exit_if_failed, out, plain, short, table, verbosity

if TYPE_CHECKING:
    from openclap.train.pruning import PruneReport

__all__ = ["VERBS"]

SHARE = "above 0, up to 1 (default: as --keep)"


def prune(
    model: Annotated[str, typer.Argument(help="mini, a Hub id, a folder, a .safetensors or a LAION .pt file")],
    target: Annotated[Path, typer.Option("-o", "--output", help="The folder of the pruned checkpoint")],
    keep: Annotated[float, typer.Option("--keep", help="Share of heads, MLP rows and channels that stays")] = 0.5,
    keep_heads: Annotated[
        float | None, typer.Option("--keep-heads", help=f"Of attention heads, {SHARE}", rich_help_panel=TUNING)
    ] = None,
    keep_mlp: Annotated[
        float | None, typer.Option("--keep-mlp", help=f"Of MLP rows, {SHARE}", rich_help_panel=TUNING)
    ] = None,
    keep_channels: Annotated[
        float | None,
        typer.Option("--keep-channels", help=f"Of the channels of convolutions, {SHARE}", rich_help_panel=TUNING),
    ] = None,
    audio: Annotated[bool, typer.Option("--audio/--no-audio", help="Prune the audio tower")] = True,
    text: Annotated[bool, typer.Option("--text/--no-text", help="Prune the text tower, if it is a transformer")] = True,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", help="Sounds to calibrate with and to judge by: a folder, a table, tars (default: synthesised)"
        ),
    ] = None,
    tune: Annotated[
        Path | None, typer.Option("--tune", help="Train the pruned model by this configuration (YAML) afterwards")
    ] = None,
    importance: Annotated[
        Literal["taylor", "norm"],
        typer.Option(
            "--importance",
            help="By what the embeddings lose on sounds, or by the norms of weights, without any",
            rich_help_panel=TUNING,
        ),
    ] = "taylor",
    force: Annotated[bool, typer.Option("--force", help="Replace a checkpoint that is in the folder")] = False,
    seed: Annotated[
        int,
        typer.Option("--seed", min=0, help="Of the directions that importance is measured in", rich_help_panel=TUNING),
    ] = 0,
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Cut the least important heads, MLP rows and channels out of a model, and say what it costs."""
    from openclap.train.pruning import Keep
    from openclap.train.pruning import prune as run

    shares = {"heads": keep_heads, "mlp": keep_mlp, "channels": keep_channels}
    found = run(
        model,
        target,
        keep=Keep(**{k: keep if v is None else v for k, v in shares.items()}, audio=audio, text=text),
        data=data,
        tune=tune,
        importance=importance,
        force=force,
        device=device,
        threads=threads,
        seed=seed,
        progress=verbosity.progress,
    )
    if as_json:
        emit([found.to_dict()])
    else:
        _show(found)
    for note in found.notes:
        err.print(plain(note))
    exit_if_failed(found.failed)


def _show(found: PruneReport) -> None:
    before, after = found.before, found.after
    rows = [
        ("parameters", f"{before.parameters:,}", f"{after.parameters:,}", _share(after.parameters, before.parameters)),
        ("MB", f"{before.bytes / 1e6:.1f}", f"{after.bytes / 1e6:.1f}", _share(after.bytes, before.bytes)),
        ("clips a second", f"{before.clips_per_second:.1f}", f"{after.clips_per_second:.1f}", f"{found.speed:.2f} ×"),
    ]
    if found.text_speed is not None:
        rows.append(
            (
                "texts a second",
                f"{before.texts_per_second:.0f}",
                f"{after.texts_per_second:.0f}",
                f"{found.text_speed:.2f} ×",
            )
        )
    if before.accuracy is not None:
        rows.append(("zero-shot accuracy", _percent(before.accuracy), _percent(after.accuracy), ""))
    rows.append(("cosine of sounds, before with after", "", f"{found.cosine:.4f}", ""))
    if found.text_cosine is not None:
        rows.append(("cosine of texts, before with after", "", f"{found.text_cosine:.4f}", ""))
        rows.append(("same label first", "", _percent(found.agreement), ""))
    table(
        plain(f"{before.name} → {short(found.out)}, judged on {found.judged_on}"),
        ("", "before", "after", "ratio"),
        rows,
        right=("before", "after", "ratio"),
    )
    out.print(plain(f"speed by {found.runs_on}, measured in turns"))


def _share(after: float, before: float) -> str:
    return f"{100 * after / before:.0f} %"


def _percent(value: Any) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


VERBS: Verbs = {prune: ("openclap prune laion/clap-htsat-fused -o small --keep 0.5 --data ~/sounds",)}
