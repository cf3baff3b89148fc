"""Describe / 描述: what is heard in a sound, in words, and from when to when."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import numpy.typing as npt

from openclap.audio.clips import make_windows
from openclap.audio.levels import levels
from openclap.audio.load import duration
from openclap.batches import batches
from openclap.clap import CLAP
from openclap.clock import clock
from openclap.describe import Describer, timeline_of_windows
from openclap.describe.spectrogram import assign_rows, spectrogram
from openclap.options import TimelineOptions
from openclap.page.components import Page
from openclap.page.demo_sounds import EXAMPLES
from openclap.page.drawing import Piece, bar, bar_table, card, escape, note, progress, timeline
from openclap.page.limits import VisitorLimits, split_labels
from openclap.page.strings import Language
from openclap.results import Description, Span, Windows

__all__ = ["Described", "build", "describe"]

CLIPS = 8  # heard between two looks at who still waits
COLUMNS = 500  # of the picture, at least


@dataclass(frozen=True, eq=False)
class Described:
    """What was heard, the spans of its timeline, the log-mel (T, F) in dB, and the least confidence of a tag."""

    description: Description
    spans: list[Span]
    mel: npt.NDArray[np.float32]
    least: float


def build(page: Page) -> None:
    """The tab's components, and what its button does."""
    page.about("describe.about")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320, scale=2):
            sound = page.sound("describe-sound")
            labels = page.text("describe.labels", "describe-labels", "classify.placeholder", lines=1, max_lines=8)
            start, stop = page.buttons("describe.button", "describe")
            keys = ["example.outdoors", *EXAMPLES]

            def fill(number: int) -> tuple[str, str]:
                made = page.demo.sound(EXAMPLES[keys[number]][0]) if number else page.demo.outdoors()
                return str(made), ""

            page.examples([page.say(key) for key in keys], fill, [sound, labels], "describe-examples")
        with gr.Column(min_width=320, scale=3):
            result = page.result("describe-result")

    def answer(model: str, sound: str | None, labels: str | None) -> Iterator[str]:
        yield progress(page.say("describe.reading"))
        for step in describe(page.models.get(model), sound, labels, page.limits, page.language):
            if isinstance(step, Described):
                yield draw(page, Path(sound or "").name, step)
            else:
                done, total = step
                words = page.say("common.doing", done=clock(done, 0), total=clock(total, 0))
                yield progress(words, done / total)

    page.connect([start.click, labels.submit], answer, [sound, labels], [result], stop)


def describe(
    clap: CLAP, sound: str | None, labels: str | None, limits: VisitorLimits, language: Language
) -> Iterator[tuple[float, float] | Described]:
    """Describe a sound: how many seconds of how many were heard, again and again, and at last what.

    Raises
    ------
    InputError
        There is no sound, or there are too many labels.
    SoundError
        It cannot be used.
    """
    given, own = limits.sound(sound), limits.check_texts(split_labels(labels))
    describer = make_describer(clap, tuple(own), language)
    seconds = max(duration(given), 0.1)
    clip = clap.front_end.clip_seconds
    # it is heard twice: in whole clips for its tags, and closely for its timeline
    windows = yield from encode_in_steps(clap, given, clip, clip / 2, lambda end: (end / 2, seconds))
    close = yield from encode_in_steps(
        clap, given, TimelineOptions.window, TimelineOptions.hop, lambda end: ((seconds + end) / 2, seconds)
    )
    spans = timeline_of_windows(describer, close, levels(given))
    mel, _ = spectrogram(given, columns=COLUMNS)
    yield Described(describer.describe_windows(given, windows), spans, mel, describer.threshold)


@lru_cache(maxsize=16)
def make_describer(clap: CLAP, labels: tuple[str, ...], language: Language) -> Describer:
    """A describer; its labels are embedded once."""
    return Describer(clap, list(labels) or None, language=language)


def encode_in_steps(
    clap: CLAP, sound: Any, window: float, hop: float, step: Callable[[float], tuple[float, float]]
) -> Generator[tuple[float, float], None, Windows]:
    """As `CLAP.encode_windows`; after every few windows, give `step` of the seconds that were heard."""
    start, end, level, rows = [], [], [], []
    clips = make_windows(sound, clap.front_end, window=window, hop=hop, as_waves=clap.backend.takes_waves)
    for some in batches(clips, CLIPS):
        rows.append(clap.encode_clips(some))
        start += [clip.start for clip in some]
        end += [clip.end for clip in some]
        level += [clip.level for clip in some]
        yield step(end[-1])
    return Windows(np.array(start), np.array(end), np.concatenate(rows), np.array(level, np.float32))


# -- what is shown ------------------------------------------------------------------------------------


def draw(page: Page, name: str, found: Described) -> str:
    """The sentence over its tags, then the timeline."""
    sentence = f'<p class="oc-sentence">{escape(found.description.sentence)}</p>'
    rows = [(tag.label, bar(tag.confidence), [f"{100 * tag.confidence:.0f} %"]) for tag in found.description.tags]
    table = bar_table([page.say("describe.tag"), page.say("common.confidence")], rows) if rows else ""
    means = note(page.say("describe.means", least=f"{100 * found.least:.0f}"))
    heading = f"<h3>{escape(page.say('describe.timeline'))}</h3>"
    return card(sentence, table, means) + card(heading, draw_timeline(page, name, found.spans, found.mel))


def draw_timeline(page: Page, name: str, spans: Sequence[Span], mel: npt.NDArray[np.float32]) -> str:
    """The spectrogram over a line for each label."""
    seconds = max(spans[-1].end, 1e-3)
    others = page.say("describe.others")
    lines: dict[str, list[Piece]] = {others if label == "others" else label: [] for label in assign_rows(spans)}
    for span in spans:
        if span.label:
            lines.get(span.label, lines.get(others, [])).append(Piece(span.start, span.end, span.score))
    title = page.say("describe.picture", name=name, length=clock(seconds))
    return timeline(mel, seconds, list(lines.items()), title=title)
