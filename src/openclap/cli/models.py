"""models, pull, doctor, bench, demo: verbs about models and this installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from openclap.cli.options import Json, Model, ModelOptions, PreciseModelOptions, Verbs
from openclap.cli.show import emit, err, out, plain, table
from openclap.plurals import count_noun

__all__ = ["VERBS"]

Engine: TypeAlias = Literal["onnxruntime"]


def models(
    purpose: Annotated[
        str | None, typer.Option("--for", help="Which to take for effects, music, speech or birds, the best first")
    ] = None,
    as_json: Json = False,
) -> None:
    """The models one can name: what they are, their size, licence and published score, and whether they are here.

    Those that installed packages bring come last; nothing of these packages is run.
    """
    from openclap.checkpoints.locate import is_available
    from openclap.checkpoints.plugged_models import plugged_models
    from openclap.checkpoints.presets import PRESETS, advise

    presets, why = (PRESETS, "") if purpose is None else advise(purpose)
    rows = [{**preset.to_dict(), "here": is_available(preset), "package": None} for preset in presets]
    if purpose is None:  # what a package's model is for, only its package knows
        rows += [{**dict.fromkeys(rows[0]), **model.to_dict(), "here": not model.note} for model in plugged_models()]
    if as_json:
        emit(rows)
        return
    cells = [
        (
            plain(r["name"]),
            "✓" if r["here"] else "",
            f"{r['megabytes']} MB" if r["megabytes"] else "installed" if r["package"] else "packaged",
            f"{r['parameters']:.0f} M" if r["parameters"] else "",
            f"{r['rate'] / 1000:g} kHz" if r["rate"] else "",
            r["licence"] or "",
            f"{r['esc50']:.1f} %" if r["esc50"] else "",
            plain(", ".join(filter(None, (r["package"] and f"of {r['package']}", r["note"] or r["what"])))),
        )
        for r in rows
    ]
    table(
        "models" if purpose is None else f"models for {purpose}",
        ("name", "here", "download", "size", "hears at", "licence", "ESC-50", "what"),
        cells,
        right=("download", "size", "hears at", "ESC-50"),
        below=(0,),
    )
    if why:
        out.print(plain(why))


def pull(
    model: Annotated[str, typer.Argument(help="A name from `openclap models`, or a Hub id")],
    as_json: Json = False,
) -> None:
    """Download a model, check it, keep it for use without a network."""
    from openclap.checkpoints.locate import pull as fetch
    from openclap.clap import CLAP

    path = fetch(model)
    clap = CLAP.from_pretrained(model, strict=True)
    if as_json:
        emit([{"name": model, "path": str(path), "embedding": clap.config.embedding}])
    else:
        out.print(plain(f"{model} is here and sound: {path}"))


def doctor(model: Model = "mini", as_json: Json = False) -> None:
    """Check this installation and a model, and say what is wrong."""
    from openclap.doctor import examine_installation

    report = examine_installation(model)
    if as_json:
        emit([report])
    else:
        table(
            "openclap doctor",
            ("", "value"),
            [(name, plain(value)) for name, value in report["installation"].items()],
        )
        for finding in report["findings"]:
            err.print("[yellow]warning:[/yellow]", plain(f"{finding['what']}; {finding['advice']}"))
        out.print("all is well" if not report["findings"] else count_noun(len(report["findings"]), "finding"))
    if report["findings"]:
        raise typer.Exit(1)


def bench(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Sounds to measure with; synthesised ones when omitted")
    ] = None,
    *,
    loading: PreciseModelOptions,
    engine: Annotated[
        Engine | None,
        typer.Option("--engine", help="Compare with this engine, by the graphs of `openclap export --onnx`"),
    ] = None,
    as_json: Json = False,
) -> None:
    """How fast a model is on this machine: every stage, and all of them as a pipeline; or beside another engine."""
    from openclap.bench import compare_with_onnx, measure

    clap = loading.load()
    if engine is not None:
        _show_comparison(compare_with_onnx(clap, paths or [], threads=loading.threads), as_json)
        return
    report = measure(clap, paths or [])
    if as_json:
        emit([report])
        return
    rows = [(row["stage"], f"{row['ms']:.2f}", _speed(row["times_real_time"])) for row in report["stages"]]
    line = report["pipeline"]
    rows.append(
        (
            f"all, {count_noun(line['sounds'], 'sound')} in one call",
            f"{line['ms_each']:.2f}",
            _speed(line["times_real_time"]),
        )
    )
    table(
        plain(f"{report['model']}, {report['runs_on']}"), ("stage", "ms", "real time"), rows, right=("ms", "real time")
    )
    print(
        f"{line['audio_hours_per_hour']:,.0f} hours of audio an hour; {report['peak_mb'] or '?'} MB of memory at the"
        " peak"
    )


def _show_comparison(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit([report])
        return
    rows = [
        (row["stage"], f"{row['ms']:.2f}", f"{row['onnxruntime_ms']:.2f}", f"{row['ratio']:.2f} ×")
        for row in report["stages"]
    ]
    table(
        plain(f"{report['model']}, {report['runs_on']}, beside ONNX Runtime"),
        ("stage", "ms", "ONNX Runtime ms", "it takes"),
        rows,
        right=("ms", "ONNX Runtime ms", "it takes"),
    )


def _speed(times: float | None) -> str:
    return "" if times is None else f"{times:,.0f} ×"


def demo(
    folder: Annotated[Path, typer.Argument(help="Where to put the sounds and the library")] = Path("demo"),
    *,
    loading: ModelOptions,
) -> None:
    """Synthesise a small library of sounds, index it, search it, name and match."""
    from openclap.demo import run

    run(loading.load(), folder, out)


VERBS: Verbs = {
    models: ("openclap models", "openclap models --for music"),
    pull: ("openclap pull laion/clap-htsat-fused",),
    doctor: ("openclap doctor --model laion/clap-htsat-fused",),
    bench: ("openclap bench --precision int8", "openclap bench --engine onnxruntime --threads 1"),
    demo: ("openclap demo ~/openclap-demo",),
}
