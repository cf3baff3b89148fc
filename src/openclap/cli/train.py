"""train, distill: verbs that make a model from a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openclap.cli.options import Json, Resume, Verbs
from openclap.cli.show import emit, err, out, plain, table, verbosity
from openclap.errors import UsageError
from openclap.plurals import count_noun

if TYPE_CHECKING:
    from openclap.train.distillation.agreement import Agreement
    from openclap.train.task import Report

__all__ = ["VERBS"]


def train(
    config: Annotated[Path | None, typer.Argument(help="A training configuration (YAML)")] = None,
    init_config: Annotated[
        Path | None,
        typer.Option(
            "--init-config",
            metavar="FILE",
            help="Write a configuration with every setting and what it means; train nothing",
        ),
    ] = None,
    resume: Resume = True,
    as_json: Json = False,
) -> None:
    """Train a model from folders of described sounds."""
    if (config is None) == (init_config is None):
        raise UsageError("give a training configuration, or --init-config FILE to have one written, and not both")
    if init_config is not None:
        from openclap.train.explain import write_configuration

        write_configuration(init_config)
        err.print(plain(f"{init_config} is written: name your sounds in it, then  openclap train {init_config}"))
        return
    assert config is not None
    from openclap.train import train as run

    _tell(run(config, resume=resume, progress=verbosity.progress), as_json)


def distill(
    config: Annotated[Path, typer.Argument(help="A training configuration (YAML) with a teacher, or with taggers")],
    resume: Resume = True,
    as_json: Json = False,
) -> None:
    """Teach a small model what a large one says, by sounds and texts that need no labels."""
    from openclap.train import distill as run
    from openclap.train import learn_tags
    from openclap.train.configuration import read_yaml

    if "taggers" in read_yaml(config):
        tagged = learn_tags(config, resume=resume, progress=verbosity.progress)
        if tagged.understood is not None and tagged.understood.same is not None and not as_json:
            found = tagged.understood
            out.print(
                f"of {found.classes} classes the taggers' first one for {100 * tagged.understood.same:.0f} % of"
                f" {count_noun(found.recordings, 'held-out recording')}, among the first five for"
                f" {100 * (found.among_five or 0):.0f} %"
            )
        _tell(tagged, as_json)
        return
    report = run(config, resume=resume, progress=verbosity.progress)
    if report.agreement is not None and not as_json:
        _show(report.agreement)
    _tell(report, as_json)


def _tell(report: Report, as_json: bool) -> None:
    from openclap.train.distributed import is_first

    if not is_first():
        return
    if as_json:
        emit([report.to_dict()])
    else:
        out.print(
            plain(f"{count_noun(report.steps, 'step')} in {report.seconds:.0f} s, loss {report.loss:.3f}: {report.out}")
        )


def _show(found: Agreement) -> None:
    rows = [
        (
            what,
            plain(size.name),
            f"{size.weights / 1e6:.2f} M",
            f"{size.audio_weights / 1e6:.2f} M",
            f"{size.megabytes:.1f} MB",
            f"{size.clips_per_second:.1f}",
        )
        for what, size in (("teacher", found.teacher), ("student", found.student))
    ]
    columns = ("", "model", "weights", "for audio", "size", "clips/s")
    table("openclap distill", columns, rows, right=columns[2:])
    if found.cosine is not None:
        out.print(
            f"cosine with the teacher {found.cosine:.3f}, 5 % below {found.low:.3f}, on {_format_held_out(found)}; "
            f"{found.constant:.3f} for one that says the same of all"
        )
    if found.same_text is not None:
        out.print(
            f"the same of {count_noun(found.texts, 'text')} for {100 * found.same_text:.0f} % of"
            f" {_format_held_out(found)}"
        )


def _format_held_out(found: Agreement) -> str:
    return f"{count_noun(found.clips, 'clip')} of {count_noun(found.recordings, 'held-out recording')}"


VERBS: Verbs = {
    train: ("openclap train --init-config train.yaml", "openclap train train.yaml"),
    distill: ("openclap distill small.yaml",),
}
