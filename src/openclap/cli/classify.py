"""match, classify, embed: verbs about sounds given on the command line."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openclap.cli.options import (
    Detectors,
    Json,
    Labels,
    LabelsFile,
    ModelOptions,
    TextModelOptions,
    Track,
    Verbs,
    read_lines,
)
from openclap.cli.show import bar, each_sound, emit, exit_if_failed, plain, print_silent, short, table, verbosity
from openclap.errors import UsageError
from openclap.labels import LANGUAGES, LISTS
from openclap.labels import labels as packaged
from openclap.plurals import count_noun
from openclap.results import Failure, Scores

if TYPE_CHECKING:
    from openclap.clap import CLAP
    from openclap.detector import Detection
    from openclap.results import Label

__all__ = ["VERBS", "labels_given"]

PACKAGED = (*LISTS, *(f"{name}.{language}" for language, names in LANGUAGES.items() for name in names))


def match(
    sound: Annotated[str, typer.Argument(help="A sound file")],
    texts: Annotated[list[str], typer.Argument(help="Descriptions to compare it with")],
    track: Track = None,
    *,
    loading: TextModelOptions,
    as_json: Json = False,
) -> None:
    """How well each text fits a sound: cosines from -1 to 1."""
    if not all(text.strip() for text in texts):
        raise UsageError("a text is empty; describe a sound in words")
    found = loading.load().match(sound, texts, track=track)
    if as_json:
        emit({"sound": sound, **row.to_dict(), **found.note()} for row in found)
        return
    if found.silent:
        print_silent(sound)
    rows = [(f"{m.score:+.3f}", bar((m.score + 1) / 2), plain(m.text)) for m in sorted(found, key=lambda m: -m.score)]
    table(plain(short(sound)), ("cosine", "-1 … 1", "text"), rows, right=("cosine",))


def classify(
    context: typer.Context,
    sounds: Annotated[list[str], typer.Argument(help="Sound files")],
    labels: Labels = None,
    labels_file: LabelsFile = None,
    template: Annotated[str, typer.Option("--template", help="The prompt; {} is the label")] = "This is a sound of {}.",
    top: Annotated[int | None, typer.Option("--top", min=1, help="Show the best N labels only")] = None,
    head: Annotated[
        Path | None,
        typer.Option(
            "--head",
            help=(
                "A classifier instead of labels: made by  openclap eval probe --save, or the folder of  openclap"
                " finetune"
            ),
        ),
    ] = None,
    detector: Detectors = None,
    track: Track = None,
    *,
    loading: TextModelOptions,
    as_json: Json = False,
) -> None:
    """Which label fits each sound best: zero-shot, or by a trained head; and which detectors hear their sound."""
    if head is not None and detector:
        raise UsageError("a head and detectors are asked one by one; leave --head or --detector out")
    if head is not None:
        if labels is not None or labels_file is not None:
            raise UsageError("a head has its own labels; leave --labels and --labels-file out, or --head")
        if head.is_dir():  # what `openclap finetune` writes: a head in the folder of its model
            given = context.get_parameter_source("model")
            if given is None or given.name != "COMMANDLINE":
                loading = replace(loading, model=str(head))
            head = head / "head.safetensors"
        _classify_with_head(sounds, head, top, loading.load(), track, as_json=as_json)
        return
    from openclap import detector as detectors

    names = labels_given(labels, labels_file) if labels is not None or labels_file is not None or not detector else []
    taught = [detectors.Detector.load(name) for name in detector or []]
    clap = loading.load()
    for one in taught:
        one.check(clap)

    def listen(sound: str) -> tuple[Scores[Label], list[Detection]]:
        found: Scores[Label] = Scores()
        if names:
            found = clap.classify(sound, names, template=template, track=track).best(top)
        if not taught:
            return found, []
        windows = clap.encode_windows(sound, track=track)
        heard = detectors.apply_detectors(windows.embedding, taught, windows.heard)
        return Scores(found, silent=windows.is_silent), heard

    for sound, (found, heard) in each_sound(sounds, listen):
        _show_labels(sound, found, heard, as_json=as_json)


def _classify_with_head(
    sounds: list[str], file: Path, top: int | None, clap: CLAP, track: int | None, *, as_json: bool
) -> None:
    from openclap.audio.decode_limits import limit
    from openclap.eval.head import classify_with_head, load_head

    head = load_head(file)
    head.check(clap)
    listen = lambda sound: classify_with_head(clap, limit(sound, track=track), head).best(top)
    for sound, found in each_sound(sounds, listen):
        if as_json:
            emit([{"sound": sound, "labels": [guess.to_dict() for guess in found], **found.note()}])
        else:
            if found.silent:
                print_silent(sound)
            rows = [(f"{100 * x.probability:.1f} %", bar(x.probability), plain(x.label)) for x in found]
            table(plain(short(sound)), ("probability", "", "label"), rows, right=("probability",))


def _show_labels(sound: str, found: Scores[Label], heard: list[Detection], *, as_json: bool) -> None:
    if as_json:
        told = {"detectors": [one.to_dict() for one in heard]} if heard else {}
        emit([{"sound": sound, "labels": [label.to_dict() for label in found], **found.note(), **told}])
        return
    if found.silent:
        print_silent(sound)
    if found:
        rows = [(f"{100 * x.score:.1f} %", bar(x.score), f"{x.similarity:+.3f}", plain(x.label)) for x in found]
        table(plain(short(sound)), ("score", "", "cosine", "label"), rows, right=("score", "cosine"))
    if heard:
        said = [
            (
                f"{100 * x.probability:.1f} %",
                bar(x.probability),
                "[green]heard[/green]" if x.heard else "–",
                plain(x.detector),
            )
            for x in heard
        ]
        table(plain(short(sound)), ("probability", "", "", "detector"), said, right=("probability",))


def labels_given(given: str | None, file: Path | None) -> list[str]:
    """Read the labels of --labels or --labels-file, each once."""
    if (given is None) == (file is None):
        raise UsageError('give the labels with --labels "dog bark, rain" or with --labels-file FILE, one of the two')
    if file is not None and str(file) in PACKAGED and not file.exists():
        names = packaged(str(file))
    elif file is not None:
        names = read_lines(file, "labels")
    else:
        names = re.split("[,，、\n]", given or "")
    # each once, as a label that is given twice would halve its score
    names = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    if not names:
        raise UsageError('no label given; for example  --labels "dog bark, rain"')
    return names


def embed(
    paths: Annotated[list[str], typer.Argument(help="Sound files and folders")],
    output: Annotated[Path, typer.Option("-o", "--output", help="FILE.npz or FILE.parquet")],
    windows: Annotated[bool, typer.Option("--windows", help="A vector for every 10-s window, not one a file")] = False,
    track: Track = None,
    *,
    loading: ModelOptions,
    as_json: Json = False,
) -> None:
    """Write the vectors of sounds to a file."""
    from openclap.library.embed_file import embed_to_file

    clap = loading.load()
    report = embed_to_file(clap, paths, output, windows=windows, track=track, progress=verbosity.progress)
    if as_json:
        emit([report])
    else:
        print(
            f"{count_noun(report['embeddings'], 'vector')} of {count_noun(report['files'], 'sound')}, {report['size']}"
            f" numbers each, in {report['output']}"
        )
    exit_if_failed([Failure(**failure) for failure in report["failed"]])


VERBS: Verbs = {
    match: ('openclap match dog.wav "a dog barking" "heavy rain"',),
    classify: (
        'openclap classify *.wav --labels "dog bark, rain, siren"',
        "openclap classify *.wav --labels-file audioset --top 5",
    ),
    embed: ("openclap embed ~/sounds -o sounds.npz",),
}
