"""Describe / 描述: what is heard in a sound, in words; of a long recording, from when to when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import numpy.typing as npt

from openclap.audio.decode_limits import LimitedSound
from openclap.audio.levels import FRAME_SECONDS, level_blocks
from openclap.audio.load import duration
from openclap.clock import clock
from openclap.confidence import UNLIKELY
from openclap.describe import Describer, timeline_of_windows
from openclap.describe.chinese import span_in_chinese
from openclap.describe.formats import FORMATS, write_timeline
from openclap.describe.spectrogram import FRONT, Pooling, assign_rows, label_seconds
from openclap.options import TimelineOptions
from openclap.page.classify import edges_of, labels_of
from openclap.page.desk import Desk
from openclap.page.examples import SINGLE
from openclap.page.jobs import Doing, Job
from openclap.page.parts import PLAYERS, Page
from openclap.page.pictures import Piece, bar, text, timeline
from openclap.page.strings import LANGUAGES, Language, Told, say
from openclap.page.wording import Visit
from openclap.results import Description, Span

__all__ = ["Described", "build", "compute", "draw"]

COLUMNS = 500  # of the picture, at least; twice as many at most
LISTED = 300  # spans in the table; the files hold all
SHARES = (0.1, 0.85)  # of the work: where the levels end, and what is heard; the rest is the picture
WRITTEN_HZ = (250, 1000, 4000)


@dataclass(frozen=True, eq=False)
class Described:
    """What was heard, in every language; of a timeline its spans with their tokens, the log-mel (T, F) and the files."""

    name: str
    seconds: float
    said: dict[Language, Description] = field(default_factory=dict)
    spans: dict[Language, list[Span]] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    mel: npt.NDArray[np.float32] | None = None
    files: dict[Language, dict[str, str]] = field(default_factory=dict)
    least: float = UNLIKELY  # confidence of a tag


def build(page: Page) -> None:
    """The tab's components and what its button does."""
    words = page.words
    page.about("describe.about")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320, scale=2):
            sound = page.sound(elem_id="describe-sound")
            labels = words.make(
                gr.Textbox,
                {"label": "describe.labels", "placeholder": "describe.placeholder"},
                lines=2,
                max_lines=8,
                elem_id="describe-labels",
            )
            spans = words.make(gr.Checkbox, {"label": "describe.timeline"}, value=False, elem_id="describe-timeline")
            with gr.Row():
                go, stop = page.button("describe.go", min_width=100, elem_id="describe-go"), page.stopper("describe")
            keys = ["example.minute", *SINGLE]

            def fill(number: int) -> tuple[str, str, bool]:
                examples = page.desk.examples
                return page.desk.example(examples.single(keys[number]) if number else examples.long()), "", not number

            page.examples(keys, fill, [sound, labels, spans], elem_id="describe-examples")
        with gr.Column(min_width=320, scale=3):
            result = gr.HTML(elem_id="describe-result", js_on_load=PLAYERS)
            with gr.Row():
                buttons = [
                    words.make(
                        gr.DownloadButton,
                        {"label": f"describe.{kind[1:]}"},
                        visible=False,
                        size="sm",
                        min_width=80,
                        elem_id=f"describe-{kind[1:]}",
                    )
                    for kind in FORMATS
                ]

    def asked(visit: Visit, sound: str | None, labels: str | None, spans: bool) -> Iterator[Doing | Described]:
        yield from page.desk.follow(visit.visitor, "describe", lambda job: compute(page, sound, labels, spans, job=job))

    state = page.computes([go.click, labels.submit], asked, [sound, labels, spans], result, draw, stop=stop)

    def offered(found: Described | None, language: Language) -> list[Any]:
        files = {} if found is None else found.files.get(language, {})
        return [gr.update(value=files.get(kind), visible=kind in files) for kind in FORMATS]

    gr.on(
        [state.change, page.language.change],
        offered,
        [state, page.language],
        buttons,
        show_progress="hidden",
        api_visibility="private",
    )


def compute(page: Page, sound: str | None, labels: str | None, spans: bool, *, job: Job | None = None) -> Described:
    """What is heard; `spans`, from when to when."""
    desk, job = page.desk, job or Job()
    given, own, most = desk.sound(sound, job), labels_of(labels or ""), desk.settings.texts
    if len(own) > most:
        raise Told("error.many", count=len(own), most=most)
    job.tell("describe.begun", 0.0)
    clap, seconds = desk.ears(job), duration(given)
    encode = partial(desk.labels.embed, encode=clap.encode_text, state=(clap.fingerprint, clap.backend.weights_state()))
    describer = Describer(clap, own or None, encode=encode)
    if spans:
        return _timeline(desk, describer, given, seconds, job)
    job.part(0.0, 1.0, seconds)
    clip = clap.front_end.clip_seconds
    windows = desk.heard.windows(clap, given, window=clip, hop=clip / 2)
    made = describer.describe_windows(given, windows)
    said: dict[Language, Description] = {"en": made, "zh": describer.in_chinese(made, windows)}
    return Described(given.source.name, seconds, said, least=describer.threshold)


def _timeline(desk: Desk, describer: Describer, sound: LimitedSound, seconds: float, job: Job) -> Described:
    """The spans in every language, their tokens and files."""
    begun, heard = SHARES
    path: Path = sound.source
    job.part(0.0, begun, seconds)

    def measure() -> npt.NDArray[np.float32]:
        levels = []
        for level in level_blocks(sound):
            levels.append(level)
            job.tell_seconds(FRAME_SECONDS * sum(map(len, levels)))
        return np.concatenate(levels)

    def pool() -> dict[str, npt.NDArray[np.float32]]:
        pooling = Pooling(COLUMNS)
        for read in pooling.read(sound):
            job.tell_seconds(read)
        return {"mel": pooling.rows()}

    level = desk.heard.levels(sound, measure)
    job.part(begun, heard, seconds)
    windows = desk.heard.windows(describer.clap, sound, window=TimelineOptions.window, hop=TimelineOptions.hop)
    job.part(heard, 1.0, seconds)
    mel = desk.heard.recall(sound, ("picture", COLUMNS), pool)["mel"]
    found = timeline_of_windows(describer, windows, level)
    told: dict[Language, list[Span]] = {"en": found, "zh": [span_in_chinese(one, own=describer.own) for one in found]}
    tokens = [desk.shelf.show(str(path), one.start, one.end) for one in found[:LISTED]]
    files = _written(desk, path, told)
    return Described(path.name, max(found[-1].end, 1e-3), {}, told, tokens, mel, files)


def _written(desk: Desk, sound: Path, told: dict[Language, list[Span]]) -> dict[Language, dict[str, str]]:
    """Every format in every language, with the recording's name and not where the server has it."""
    files: dict[Language, dict[str, str]] = {}
    for _, language in LANGUAGES:
        place = desk.exports.place()
        named = {kind: place / f"{sound.stem[:60] or 'timeline'}{kind}" for kind in FORMATS}
        for file in named.values():
            write_timeline(told[language], file, sound.name)
        files[language] = {kind: str(file) for kind, file in named.items()}
    return files


# -- what is shown ------------------------------------------------------------------------------------


def draw(found: Described, language: Language) -> str:
    """The sentence over its tags, or the timeline over its spans."""
    if not found.said:
        return _drawn_timeline(found, language)
    made = found.said[language]
    rows = "".join(
        f'<tr><th scope="row"><span>{text(tag.label)}</span></th><td class="oc-wide">{_sure(tag.confidence)}</td><td'
        f' class="oc-number">{100 * tag.confidence:.0f} %</td><td class="oc-soft'
        f' oc-also">{text(_listed(tag.alike, language))}</td></tr>'
        for tag in made.tags
    )
    table = (
        "<table"
        f' class="oc-table"><thead>{_head(("describe.tag", "describe.confidence", "", "describe.alike"), language)}</thead><tbody>{rows}</tbody></table>'
    )
    note = f'<p class="oc-note">{say("describe.means", language, least=f"{100 * found.least:.0f}")}</p>'
    return f'<div class="oc-card"><p class="oc-said">{text(made.sentence)}</p>{table if made.tags else ""}{note}</div>'


def _drawn_timeline(found: Described, language: Language) -> str:
    assert found.mel is not None
    spans = found.spans[language]
    others = say("describe.others", language)
    named = assign_rows(spans)
    lines: dict[str, list[Piece]] = {others if name == "others" else name: [] for name in named}
    for span, token in zip(spans, [*found.tokens, *[""] * len(spans)], strict=False):
        if span.label:
            line = span.label if span.label in named else others
            lines[line].append(Piece(span.start, span.end, span.score, token, span.label))
    alt = say("describe.picture", language, name=found.name, length=clock(found.seconds))
    picture = timeline(found.mel, found.seconds, edges_of(FRONT, WRITTEN_HZ), list(lines.items()), alt=alt)
    player = (
        f'<div class="oc-player"><b class="oc-playing">{say("describe.hint", language)}</b><audio class="oc-one"'
        f' controls preload="none" aria-label="{text(found.name)}"></audio></div>'
    )
    count = sum(span.label is not None for span in spans)
    title = say("describe.spans", language, count=count, name=text(found.name), length=clock(found.seconds))
    return (
        f'<div class="oc-card"><h3>{title}</h3>{picture}{player}</div><div class="oc-card'
        f' oc-scrolls">{_summary(spans, found.seconds, language)}</div><div class="oc-card'
        f' oc-scrolls">{_table(found, language)}</div>'
    )


def _summary(spans: Sequence[Span], seconds: float, language: Language) -> str:
    """How long everything was heard in all, the longest first."""
    rows = "".join(
        f'<tr><th scope="row"><span>{text(name)}</span></th><td'
        f' class="oc-wide">{bar(length / seconds, label=clock(length))}</td><td'
        f' class="oc-number">{clock(length)}</td></tr>'
        for name, length in sorted(label_seconds(spans).items(), key=lambda one: -one[1])
    )
    if not rows:
        return f"<p>{say('describe.nothing', language)}</p>"
    return (
        "<table"
        f' class="oc-table"><thead>{_head(("describe.tag", "describe.length", ""), language)}</thead><tbody>{rows}</tbody></table>'
    )


def _table(found: Described, language: Language) -> str:
    """A row a span, the named ones with a button that plays it."""
    rows = []
    for span, token in zip(found.spans[language], found.tokens, strict=False):
        when = f"{clock(span.start)}–{clock(span.end)}"
        also = _listed([tag.label for tag in span.tags[1:]], language)
        if span.label is None:
            rows.append(
                f'<tr class="oc-soft"><td class="oc-number oc-quiet">{when}</td><td>–</td><td'
                ' class="oc-wide"></td><td></td><td class="oc-also"></td></tr>'
            )
            continue
        said = text(f"{span.label} {when}")
        rows.append(
            f'<tr><td class="oc-number"><button type="button" class="oc-small" data-source="{token}" data-name="{said}"'
            f' aria-label="{say("describe.play", language, name=said)}">▶ {when}</button></td><th'
            f' scope="row"><span>{text(span.label)}</span></th><td class="oc-wide">{_sure(span.score)}</td><td'
            f' class="oc-number">{100 * span.score:.0f} %</td><td class="oc-soft oc-also">{text(also)}</td></tr>'
        )
    more = len(found.spans[language]) - len(found.tokens)
    note = f'<p class="oc-note">{say("describe.more", language, count=more)}</p>' if more > 0 else ""
    return (
        '<table class="oc-table'
        f' oc-spans"><thead>{_head(("describe.when", "describe.tag", "describe.confidence", "", "describe.also"), language)}</thead><tbody>{"".join(rows)}</tbody></table>{note}'
    )


def _head(keys: Sequence[str], language: Language) -> str:
    """Column titles by keys of the table, "" for one without."""
    cells = []
    for key in keys:
        also = ' class="oc-also"' if key in ("describe.alike", "describe.also") else ""
        cells.append(f'<th scope="col"{also}>{say(key, language)}</th>' if key else "<td></td>")
    return f"<tr>{''.join(cells)}</tr>"


def _sure(confidence: float) -> str:
    return bar(confidence, label=f"{100 * confidence:.0f} %")


def _listed(names: Sequence[str], language: Language) -> str:
    return (", " if language == "en" else "、").join(names[:4])
