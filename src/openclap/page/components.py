"""What the tabs share: a sound, examples, a button with its Stop, and how a question reaches its answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import gradio as gr

from openclap.clap import CLAP
from openclap.errors import OpenClapError
from openclap.page.demo_sounds import DemoSounds
from openclap.page.drawing import card, escape, note
from openclap.page.error_messages import error_message
from openclap.page.limits import VisitorLimits
from openclap.page.models import SharedModels, describe_model
from openclap.page.strings import Language, say

__all__ = ["LIGHT", "Page", "answer_in", "draw_status"]

log = logging.getLogger("openclap.page")
# what waits for no question of others
LIGHT: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class Page:
    """What every tab of the page in one language is given.

    Attributes
    ----------
    folder
        Of indexes, and in `uploads` of what browsers send and may be given.
    model, status
        The component that holds the name of a visitor's model, and the one that says whether it is ready.
    """

    language: Language
    folder: Path
    limits: VisitorLimits
    models: SharedModels
    demo: DemoSounds
    model: Any
    status: Any

    def say(self, key: str, **values: Any) -> str:
        """A string of the page in its language."""
        return say(key, self.language, **values)

    def about(self, key: str) -> None:
        """The line at the head of a tab."""
        gr.HTML(f'<p class="oc-about">{escape(self.say(key))}</p>')

    def sound(self, name: str) -> Any:
        """Where a sound is uploaded or recorded."""
        sources: list[Any] = ["upload", "microphone"]
        label = self.say("sound.label")
        return gr.Audio(label=label, sources=sources, type="filepath", editable=False, buttons=[], elem_id=name)

    def text(self, key: str, name: str, placeholder: str, **options: Any) -> Any:
        """Where words are written."""
        return gr.Textbox(label=self.say(key), placeholder=self.say(placeholder), elem_id=name, **options)

    def buttons(self, key: str, name: str) -> tuple[Any, Any]:
        """What starts something, and what stops it, seen as long as it runs."""
        with gr.Row():
            start = gr.Button(self.say(key), variant="primary", min_width=120, elem_id=f"{name}-button")
            stop = gr.Button(
                self.say("common.stop"), variant="stop", visible=False, min_width=80, elem_id=f"{name}-stop"
            )
        return start, stop

    def result(self, name: str) -> Any:
        """Where the answer is drawn."""
        return gr.HTML(self.blank(), elem_id=name)

    def notes(self, clap: CLAP, texts: Sequence[str], *, silent: bool) -> str:
        """What has to be known beside an answer: words that the model does not know, and a sound that is silent."""
        unknown = ", ".join(map(str, clap.unknown_words(texts)))
        words = note(self.say("common.unknown", words=unknown)) if unknown else ""
        return words + note(self.say("common.silent") if silent else "")

    def blank(self) -> str:
        """What stands where no answer is yet."""
        return card(note(self.say("common.empty")))

    def examples(self, labels: Sequence[str], fill: Callable[[int], Any], outputs: Sequence[Any], name: str) -> None:
        """Buttons, of which number i sets `outputs` to `fill(i)`; not `gr.Examples`, for which all sounds had to be made first."""
        shown = gr.Dataset(
            components=[gr.Textbox(visible=False)],
            samples=[[label] for label in labels],
            sample_labels=list(labels),
            label=self.say("common.examples"),
            type="index",
            elem_id=name,
        )

        def take(number: int) -> Iterator[Any]:
            yield fill(number)

        shown.click(
            answer_in(self.language, take), shown, list(outputs), show_progress="hidden", api_visibility="private"
        )

    def connect(
        self,
        triggers: Sequence[Any],
        call: Callable[..., Iterator[Any]],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        stop: Any,
    ) -> None:
        """On a trigger, show what `call(model name, *inputs)` gives, one after another, in `outputs`, the first of which is a result.

        The queue is gradio's: so many are answered at once, others see their place in it. Stop, or leaving the page,
        ends it at its next step.
        """
        unchanged, hidden = [gr.skip()] * len(outputs), gr.update(visible=False)

        def answer(model: str, *given: Any) -> Iterator[list[Any]]:
            for shown in call(model, *given):
                yield [*(shown if isinstance(shown, tuple) else [shown]), gr.update(visible=True)]
            yield [*unchanged, hidden]

        asked = gr.on(
            list(triggers),
            answer_in(self.language, answer, [self.blank(), *unchanged[1:], hidden]),
            [self.model, *inputs],
            [*outputs, stop],
            concurrency_id="model",
            concurrency_limit=self.limits.at_once,
            show_progress_on=outputs[0],
            trigger_mode="once",
            api_visibility="private",
        )
        asked.then(self.draw_status, self.model, self.status, **LIGHT)  # the question may have loaded it
        stop.click(lambda: (self.blank(), hidden), None, [outputs[0], stop], cancels=[asked], **LIGHT)

    def draw_status(self, name: str) -> str:
        """Whether a model is ready."""
        return draw_status(self.models, name, self.language)


def draw_status(models: SharedModels, name: str, language: Language) -> str:
    """Whether a model is ready, and what it is."""
    clap = models.loaded(name)
    if clap is None:
        return f'<p class="oc-status">{escape(say("model.none", language))}</p>'
    millions, device = describe_model(clap)
    facts = f"{name}, {device}"
    if millions is not None:
        facts = say("model.facts", language, name=name, millions=f"{millions:.1f}", device=device)
    ready = escape(say("model.ready", language))
    return f'<p class="oc-status oc-ready" role="status"><b>✓ {ready}</b> {escape(facts)}</p>'


def answer_in(language: Language, call: Callable[..., Iterator[Any]], blank: Any = None) -> Callable[..., Any]:
    """`call` as gradio calls it: what goes wrong is told as one sentence, after `blank` has been shown, if there is one."""

    @wraps(call)
    def answer(*given: Any) -> Iterator[Any]:
        try:
            yield from call(*given)
        except Exception as error:
            if not isinstance(error, OpenClapError):
                log.error("a handler of the page failed", exc_info=error)
            if blank is not None:
                yield blank
            raise gr.Error(error_message(error, language), duration=12, print_exception=False) from None

    return answer
