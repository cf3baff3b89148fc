"""Options that verbs share, and the model they name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from platformdirs import user_cache_path, user_data_path

from openclap.cli.show import err

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = [
    "Device",
    "Json",
    "LibraryPath",
    "Model",
    "Precision",
    "Threads",
    "Translate",
    "default_library",
    "load_model",
]

Model = Annotated[
    str,
    typer.Option(
        "--model",
        envvar="OPENCLAP_MODEL",
        help="mini, a Hub id, a folder, a .safetensors or a LAION .pt file",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads of the model")]
Precision = Annotated[str, typer.Option("--precision", help="float32, or int8: faster, a little different")]
Translate = Annotated[
    str,
    typer.Option(
        "--translate",
        envvar="OPENCLAP_TRANSLATE",
        help="Chinese words become English: auto, by the lexicon; off; or by this translation model",
    ),
]
LibraryPath = Annotated[
    str | None,
    typer.Option(
        "--library",
        envvar="OPENCLAP_LIBRARY",
        help="Folder of the library, or s3://BUCKET/NAME.lance [default: in your data folder]",
    ),
]

HINT = "mini, the small model that comes with openclap, is at work; a larger one hears much better:  openclap pull laion/clap-htsat-fused  then  --model laion/clap-htsat-fused"


def default_library() -> Path:
    """Where the library is when nothing is said."""
    return user_data_path("openclap") / "library"


def load_model(
    name: str,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "float32",
    translate: str = "auto",
) -> CLAP:
    """The model of a verb; says once a machine that there are larger ones than mini."""
    from openclap.clap import CLAP

    clap = CLAP.from_pretrained(
        name,
        device=device,
        threads=threads,
        precision=precision,  # type: ignore[arg-type]
        translate=translate,
    )
    if name == "mini":
        _hint_once()
    return clap


def _hint_once() -> None:
    told = user_cache_path("openclap") / "told-about-larger-models"
    if told.exists():
        return
    err.print(f"[dim]{HINT}[/dim]")
    try:
        told.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(told, os.O_CREAT, 0o644))
    except OSError:
        pass  # a read-only home: it is told again next time
