"""finetune: a model and a classifier of labels, from a folder of labelled sounds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from openclap.cli.evaluate import show_report
from openclap.cli.options import TUNING, Device, Json, Resume, Split, Threads, Verbs
from openclap.cli.show import emit, exit_if_failed, out, plain, short, verbosity
from openclap.errors import UsageError
from openclap.plurals import count_noun

if TYPE_CHECKING:
    from openclap.train import FinetuneReport

__all__ = ["VERBS"]

JUDGING = "What it is judged by"  # a panel of --help


def finetune(
    data: Annotated[
        str | None, typer.Argument(help="Labelled sounds: a folder with metadata.csv (file,label), a table, tars, …")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the model and its head")] = None,
    model: Annotated[str | None, typer.Option("--model", help="What to start from (default: mini)")] = None,
    split: Split = None,
    test_split: Annotated[
        str | None, typer.Option("--test-split", help="Judge by this split", rich_help_panel=JUDGING)
    ] = None,
    test_fold: Annotated[
        list[str] | None, typer.Option("--test-fold", help="Judge by this fold; repeatable", rich_help_panel=JUDGING)
    ] = None,
    test_files: Annotated[
        list[str] | None,
        typer.Option("--test-files", help='Judge by files of this pattern: "5-*"; repeatable', rich_help_panel=JUDGING),
    ] = None,
    test: Annotated[
        float | None,
        typer.Option(
            "--test", min=0, max=0.9, help="Judge by this share of every label; 0: by nothing", rich_help_panel=JUDGING
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Times through the sounds (default: 15)")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=2, help="Sounds of a step (default: 16)", rich_help_panel=TUNING)
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            help="Of the model; the head's is ten times it (default: 1e-4)",
            rich_help_panel=TUNING,
        ),
    ] = None,
    head: Annotated[
        Literal["linear", "mlp"] | None,
        typer.Option("--head", help="One layer, or a hidden one too (default: linear)", rich_help_panel=TUNING),
    ] = None,
    start: Annotated[
        Literal["probe", "zeroshot", "random"] | None,
        typer.Option("--start", help="How the head starts (default: probe)", rich_help_panel=TUNING),
    ] = None,
    lora: Annotated[
        int | None,
        typer.Option("--lora", min=1, help="Low-rank adapters of this rank instead", rich_help_panel=TUNING),
    ] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(
            "--freeze", help="Also keep weights that begin so: audio.blocks.0; repeatable", rich_help_panel=TUNING
        ),
    ] = None,
    multi_label: Annotated[
        bool | None, typer.Option("--multi-label/--single-label", help="Labels a sound (default: as the data has it)")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of what is drawn", rich_help_panel=TUNING)] = None,
    config: Annotated[Path | None, typer.Option("--config", help="A YAML file for everything else")] = None,
    resume: Resume = True,
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Train a model on labelled sounds; classify with  openclap classify SOUND --head FOLDER."""
    supervised = {
        "multi_label": multi_label,
        "head": head,
        "start": start,
        "test_split": test_split,
        "test_folds": test_fold,
        "test_files": test_files,
        "test_share": test,
    }
    changes = {
        "out": None if output is None else os.path.abspath(output),
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
        "threads": threads,
        "init": _model(model, config),
        "sources": None if data is None else [{"folder": _place(data), "split": split}],
        "lora": None if lora is None else {"rank": lora, "parts": ["audio."]},
        "supervised": _given_options(supervised),
        "device": None if device == "auto" else device,
        "freeze": ["text", "logit_scale", *freeze] if freeze else None,
    }
    if config is None and (data is None or output is None):
        raise UsageError("say what to learn from and where the model goes:  openclap finetune FOLDER -o MODEL")
    if data is None and split is not None:
        raise UsageError("--split is of DATA; give DATA, or write split into the sources of --config")
    from openclap.train import finetune as run

    done = run({} if config is None else config, resume=resume, progress=verbosity.progress, **_given_options(changes))
    _tell(done, as_json)


def _given_options(options: dict[str, Any]) -> dict[str, Any]:
    """Keep the options that were given; the others are defaults of training, or of a configuration."""
    return {name: value for name, value in options.items() if value is not None and value not in ([], {})}


def _place(name: str) -> str:
    """Make a path absolute, as those of a configuration are relative to its folder."""
    return os.path.abspath(os.path.expanduser(name))


def _model(name: str | None, config: Path | None) -> str | None:
    if name is None:
        return os.environ.get("OPENCLAP_MODEL") if config is None else None
    return _place(name) if Path(name).expanduser().exists() else name


def _tell(done: FinetuneReport, as_json: bool) -> None:
    from openclap.train.distributed import is_first

    if not is_first():
        return
    if as_json:
        emit([done.to_dict()])
    else:
        if done.verdict is not None:
            show_report(done.verdict)
        where = short(done.run.out)
        out.print(plain(f"{count_noun(done.run.steps, 'step')} in {done.run.seconds:.0f} s: {where}"))
        out.print(plain(f"openclap classify SOUND --head {where}"))
    exit_if_failed(done.verdict.failed if done.verdict is not None else [])


VERBS: Verbs = {
    finetune: (
        "openclap finetune ~/birds -o birds-model",
        "openclap finetune ESC-50 -o esc50 --test-fold 5 --epochs 20",
    ),
}
