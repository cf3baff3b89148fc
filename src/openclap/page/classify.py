"""Classify / 分类: which of some labels fits a sound best."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from openclap.clap import CLAP
from openclap.page.components import Page
from openclap.page.demo_sounds import EXAMPLES, example_words
from openclap.page.drawing import bar, bar_table, card, note
from openclap.page.limits import VisitorLimits, split_labels
from openclap.page.strings import InputError
from openclap.results import Label, Scores

__all__ = ["build", "classify"]


def build(page: Page) -> None:
    """The tab's components, and what its button does."""
    page.about("classify.about")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            sound = page.sound("classify-sound")
            labels = page.text("classify.labels", "classify-labels", "classify.placeholder", lines=2, max_lines=8)
            start, stop = page.buttons("classify.button", "classify")
            keys = list(EXAMPLES)
            page.examples(
                [page.say(key) for key in keys],
                lambda i: (str(page.demo.sound(EXAMPLES[keys[i]][0])), example_words(keys[i], page.language)[1]),
                [sound, labels],
                "classify-examples",
            )
        with gr.Column(min_width=320):
            result = page.result("classify-result")

    def answer(model: str, sound: str | None, labels: str | None) -> Iterator[str]:
        clap = page.models.get(model)
        found = classify(clap, sound, labels, page.limits)
        yield card(draw(page, found), page.notes(clap, [one.label for one in found], silent=found.silent))

    page.connect([start.click], answer, [sound, labels], [result], stop)


def classify(clap: CLAP, sound: str | None, labels: str | None, limits: VisitorLimits) -> Scores[Label]:
    """Labels, which commas of any width separate, best first.

    Raises
    ------
    InputError
        There is no sound, or no label, or too many.
    SoundError
        It cannot be used.
    """
    given, wanted = limits.sound(sound), limits.check_texts(split_labels(labels))
    if not wanted:
        raise InputError("error.no_labels")
    return clap.classify(given, wanted)


def draw(page: Page, found: Scores[Label]) -> str:
    """A row for each label."""
    rows = [(one.label, bar(one.score), [f"{100 * one.score:.1f} %", f"{one.similarity:+.3f}"]) for one in found]
    titles = [page.say("common.label"), page.say("common.confidence"), page.say("common.cosine")]
    return bar_table(titles, rows) + note(page.say("classify.means"))
