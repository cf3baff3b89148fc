"""describe: tags and a sentence for sounds, and the timeline of a recording."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from platformdirs import user_cache_path

from openclap.cli.classify import labels_given
from openclap.cli.options import (
    OUTPUT,
    Json,
    KeywordWriter,
    Labels,
    LabelsFile,
    TextModelOptions,
    Track,
    Verbs,
    read_lines,
)
from openclap.cli.show import (
    bar,
    each_sound,
    emit,
    exit_if_failed,
    out,
    plain,
    print_uncalibrated,
    short,
    span,
    table,
    verbosity,
)
from openclap.errors import UsageError
from openclap.options import DescribeOptions, TimelineOptions

if TYPE_CHECKING:
    from openclap.catalogue import DescribeReport
    from openclap.clap import CLAP
    from openclap.describe import Describer, Writer
    from openclap.results import Description, Span

__all__ = ["VERBS"]


def describe(
    sounds: Annotated[list[str], typer.Argument(help="Sound files and folders")],
    labels: Labels = None,
    labels_file: LabelsFile = None,
    captions: Annotated[
        Path | None, typer.Option("--captions", help="A text file, one caption a line: the nearest are told too")
    ] = None,
    *,
    options: DescribeOptions,
    k2c: KeywordWriter = None,
    as_timeline: Annotated[
        bool, typer.Option("--timeline", help="Span by span: what is heard from when to when")
    ] = False,
    spans: TimelineOptions,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help=(
                "A .json, .jsonl or .csv of all descriptions. With --timeline: .md, .csv, .json, .srt, .vtt or .png,"
                " several if you like; or a folder, for everything of every sound"
            ),
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    track: Track = None,
    loading: TextModelOptions,
    as_json: Json = False,
) -> None:
    """What is heard in sounds, in words: tags, a sentence, the timeline of a recording.

    Tags are AudioSet's 527 labels, or those of --labels. --window, --hop and --change are of --timeline.
    """
    from openclap.confidence import has_own_curves
    from openclap.describe import Describer

    names = None if labels is None and labels_file is None else labels_given(labels, labels_file)
    sentences = read_lines(captions, "captions") if captions is not None else []
    _check_outputs(sounds, output or [], as_timeline)
    clap = loading.load()
    if not has_own_curves(clap):
        print_uncalibrated()
    asked = replace(options, labels=names, captions=sentences)
    describer = Describer(clap, **vars(asked), writer=_writer(k2c, loading.device), track=track)
    if as_timeline:
        _timelines(describer, sounds, output or [], spans, as_json)
    elif output:
        _show_report(_to_file(clap, describer, sounds, output[0]), as_json)
    else:
        _each(describer, sounds, as_json)


def _each(describer: Describer, sounds: list[str], as_json: bool) -> None:
    from openclap.library.scan import find_sounds, require_sounds

    found = find_sounds(sounds)
    require_sounds(found)
    for path, made in each_sound(found.files, describer, found.unreadable):
        if as_json:
            emit([{"sound": str(path), **made.to_dict()}])
        else:
            _show(str(path), made)


def _show(path: str, made: Description) -> None:
    rows = [
        (f"{tag.confidence:.0%}", bar(tag.confidence), plain(tag.label), plain(", ".join(tag.alike[:4])))
        for tag in made.tags
    ]
    out.print(plain(short(path)), style="bold")
    out.print(plain(made.sentence))
    if rows:
        table("", ("confidence", "", "tag", "also called"), rows, right=("confidence",))
    for caption in made.captions:
        out.print(plain(f"{caption.score:+.3f}  {caption.text}"))
    out.print()


def _timelines(
    describer: Describer, sounds: list[str], output: list[Path], options: TimelineOptions, as_json: bool
) -> None:
    from openclap.audio.decode_limits import limit
    from openclap.catalogue import timelines_to_folder
    from openclap.describe import timeline
    from openclap.describe.formats import write_timeline
    from openclap.describe.picture import check_picture, draw_timeline
    from openclap.library.scan import find_sounds, require_sounds

    if output and not output[0].suffix:
        report = timelines_to_folder(describer, sounds, output[0], **vars(options), progress=verbosity.progress)
        _show_report(report, as_json)
        return
    if any(file.suffix.lower() == ".png" for file in output):
        check_picture()
    found = find_sounds(sounds)
    require_sounds(found)

    def write(path: Path) -> list[Span]:
        spans = timeline(describer, path, **vars(options))
        for file in output:
            if file.suffix.lower() == ".png":
                draw_timeline(limit(path, track=describer.track), spans, file, title=path.name)
            else:
                write_timeline(spans, file, str(path))
        return spans

    for path, spans in each_sound(found.files, write, found.unreadable):
        _show_timeline(str(path), spans, describer, as_json)


def _show_timeline(path: str, spans: list[Span], describer: Describer, as_json: bool) -> None:
    if as_json:
        emit(
            {"sound": path, **one.to_dict(), "sentence": sentence}
            for one, sentence in zip(spans, describer.describe_spans(spans), strict=True)
        )
        return
    rows = [
        (
            span(one.start, one.end),
            plain(one.label or "–"),
            f"{one.score:.0%}" if one.label else "",
            bar(one.score) if one.label else "",
            plain(", ".join(tag.label for tag in one.tags[1:])),
        )
        for one in spans
    ]
    table(plain(short(path)), ("when", "heard", "confidence", "", "also"), rows, right=("confidence",))


def _to_file(clap: CLAP, describer: Describer, sounds: list[str], output: Path) -> DescribeReport:
    from openclap.catalogue import describe_to_file

    return describe_to_file(clap, describer, sounds, output, progress=verbosity.progress)


def _show_report(report: DescribeReport, as_json: bool) -> None:
    if as_json:
        emit([report.to_dict()])
    else:
        print(
            f"{report.described} described, {report.unchanged} unchanged, {len(report.failed)} failed: {report.output}"
        )
    exit_if_failed(report.failed)


def _check_outputs(sounds: list[str], output: list[Path], as_timeline: bool) -> None:
    """Refuse an output that cannot be written, before the work and not after it."""
    from openclap.describe.formats import FORMATS

    if not as_timeline:
        if len(output) > 1:
            raise UsageError("descriptions go into one file; give one -o, or add --timeline")
        return
    folders = [file for file in output if not file.suffix or file.is_dir()]
    if folders and (len(output) > 1 or folders[0].suffix):
        raise UsageError(f"-o {folders[0]}: a folder stands alone, and its name has no ending")
    for file in output:
        if not folders and file.suffix.lower() not in (*FORMATS, ".png"):
            raise UsageError(f"-o {file}: a timeline is written as {', '.join(FORMATS)} or .png, or into a folder")
    if output and not folders and (len(sounds) > 1 or Path(os.path.expanduser(sounds[0])).is_dir()):
        raise UsageError("several sounds have several timelines; give -o a folder")


def _writer(k2c: str | None, device: str) -> Writer | None:
    if k2c is None:
        return None
    from openclap.data import KeywordToCaption

    return KeywordToCaption(k2c, cache=user_cache_path("openclap") / "captions.sqlite", device=device)


VERBS: Verbs = {
    describe: ("openclap describe street.wav", "openclap describe night.flac --timeline -o night.srt -o night.png"),
}
