"""Match / 匹配: the cosines of one sound with texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from openclap.audio.load import duration
from openclap.page.examples import SINGLE, words_for
from openclap.page.jobs import Doing, Job
from openclap.page.parts import Page
from openclap.page.pictures import cosine_bar, text
from openclap.page.strings import Language, Told, say
from openclap.page.wording import Visit
from openclap.results import Match

__all__ = ["build", "compute", "draw"]


def build(page: Page) -> None:
    """The tab's components and what its button does."""
    page.about("match.about", "common.english")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            sound = page.sound(elem_id="match-sound")
            texts = page.words.make(
                gr.Textbox,
                {"label": "match.texts", "placeholder": "match.placeholder"},
                lines=4,
                max_lines=12,
                elem_id="match-texts",
            )
            with gr.Row():
                go, stop = page.button("match.go", min_width=100, elem_id="match-go"), page.stopper("match")
            keys = list(SINGLE)
            page.examples(
                keys,
                lambda i, language: (
                    page.desk.example(page.desk.examples.single(keys[i])),
                    words_for(keys[i], language)[0],
                ),
                [sound, texts],
                spoken=True,
                elem_id="match-examples",
            )
        with gr.Column(min_width=320):
            result = gr.HTML(elem_id="match-result")

    def asked(visit: Visit, *given: Any) -> Iterator[Doing | list[Match]]:
        yield from page.desk.follow(visit.visitor, "match", lambda job: compute(page, *given, job=job))

    page.computes([go.click], asked, [sound, texts], result, draw, stop=stop)


def compute(page: Page, sound: str | None, texts: str | None, *, job: Job | None = None) -> list[Match]:
    """One text a line → their cosines, best first."""
    wanted = list(dict.fromkeys(line.strip() for line in (texts or "").splitlines() if line.strip()))
    most = page.desk.settings.texts
    job = job or Job()
    given = page.desk.sound(sound, job)
    if not wanted:
        raise Told("error.no_texts")
    if len(wanted) > most:
        raise Told("error.many", count=len(wanted), most=most)
    job.part(0.0, 1.0, duration(given))
    return sorted(page.desk.ears(job).match(given, wanted), key=lambda match: -match.score)


def draw(found: list[Match], language: Language) -> Any:
    """A bar a text."""
    rows = "".join(
        f'<tr><th scope="row"><span>{text(match.text)}</span></th><td class="oc-wide">{cosine_bar(match.score)}</td><td'
        f' class="oc-number">{match.score:+.3f}</td></tr>'
        for match in found
    )
    scale = '<tr class="oc-scale"><td></td><td><span>−1</span><span>0</span><span>1</span></td><td></td></tr>'
    return (
        f'<div class="oc-card"><h3>{say("match.result", language)}</h3><table'
        f' class="oc-table"><tbody>{rows}{scale}</tbody></table><p'
        f' class="oc-note">{say("match.means", language)}</p></div>'
    )
