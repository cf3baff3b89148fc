"""Match / 匹配: the cosines of one sound with texts, best first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import gradio as gr

from openclap.clap import CLAP
from openclap.page.components import Page
from openclap.page.demo_sounds import EXAMPLES, example_words
from openclap.page.drawing import bar_table, card, cosine_bar, note
from openclap.page.limits import VisitorLimits
from openclap.page.strings import InputError
from openclap.results import Match, Scores

__all__ = ["build", "match"]


def build(page: Page) -> None:
    """The tab's components, and what its button does."""
    page.about("match.about")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            sound = page.sound("match-sound")
            texts = page.text("match.texts", "match-texts", "match.placeholder", lines=4, max_lines=12)
            start, stop = page.buttons("match.button", "match")
            keys = list(EXAMPLES)
            page.examples(
                [page.say(key) for key in keys],
                lambda i: (str(page.demo.sound(EXAMPLES[keys[i]][0])), example_words(keys[i], page.language)[0]),
                [sound, texts],
                "match-examples",
            )
        with gr.Column(min_width=320):
            result = page.result("match-result")

    def answer(model: str, sound: str | None, texts: str | None) -> Iterator[str]:
        clap = page.models.get(model)
        found = match(clap, sound, (texts or "").splitlines(), page.limits)
        yield card(draw(page, found), page.notes(clap, [one.text for one in found], silent=found.silent))

    page.connect([start.click], answer, [sound, texts], [result], stop)


def match(clap: CLAP, sound: str | None, texts: Sequence[str], limits: VisitorLimits) -> Scores[Match]:
    """The cosines of a sound with texts, best first.

    Raises
    ------
    InputError
        There is no sound, or no text, or too much of it.
    SoundError
        It cannot be used.
    """
    given, wanted = limits.sound(sound), limits.check_texts(texts)
    if not wanted:
        raise InputError("error.no_texts")
    found = clap.match(given, wanted)
    return Scores(sorted(found, key=lambda match: -match.score), silent=found.silent)


def draw(page: Page, found: Scores[Match]) -> str:
    """A row for each text."""
    rows = [(one.text, cosine_bar(one.score), [f"{one.score:+.3f}"]) for one in found]
    table = bar_table([page.say("match.text"), page.say("common.cosine")], rows)
    return table + note(page.say("match.means"))
