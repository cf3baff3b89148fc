"""What the tabs are made of: components they share, and how a button reaches a handler. Knows no tab."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from openclap.audio.decode_limits import DecodingStopped
from openclap.clock import clock
from openclap.errors import SoundError
from openclap.page.desk import AT_ONCE, EVERY, Desk
from openclap.page.jobs import Doing
from openclap.page.pictures import bar, cosine_bar, text
from openclap.page.strings import Language, say
from openclap.page.wording import Visit, Wording, handled, handled_event, handled_steps, sentence

__all__ = ["BESIDE", "LIGHT", "STOPPING", "Doing", "Page", "Player", "draw_doing", "player_rows"]

PLAYERS = (Path(__file__).parent / "players.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Page:
    """What every tab is given: the desk, the words, and the component that holds the language."""

    desk: Desk
    words: Wording
    language: Any

    def about(self, key: str, *more: str) -> Any:
        """A line or two at the head of a tab."""

        def said(language: Language) -> str:
            return "".join(f'<p class="oc-about">{say(one, language)}</p>' for one in (key, *more))

        return self.words.make(gr.HTML, {"value": said})

    def sound(self, key: str = "common.sound", **props: Any) -> Any:
        """Where a sound is uploaded or recorded."""
        return self.words.make(
            gr.Audio,
            {"label": key},
            sources=["upload", "microphone"],
            type="filepath",
            editable=False,
            buttons=[],
            **props,
        )

    def button(self, key: str, **props: Any) -> Any:
        """What starts something."""
        return self.words.make(gr.Button, {"value": key}, variant="primary", **props)

    def examples(
        self,
        keys: Sequence[str],
        fill: Callable[..., Any],
        outputs: Sequence[Any],
        *,
        spoken: bool = False,
        **props: Any,
    ) -> Any:
        """Examples by keys of the table (or as they are); a click on number i sets `outputs` to `fill(i)`; `spoken`, `fill(i, language)`."""

        def said(language: Language) -> list[str]:
            from openclap.page.strings import TABLE

            return [say(key, language) if key in TABLE else key for key in keys]

        shown = self.words.make(
            gr.Dataset,
            {"label": "common.examples", "sample_labels": said},
            components=[gr.Textbox(visible=False)],
            samples=[[key] for key in keys],
            type="index",
            **props,
        )

        def chosen(visit: Visit, number: int) -> Any:
            return fill(number, visit.language) if spoken else fill(number)

        how = {
            **WAITING,
            "trigger_mode": "multiple",
        }  # "once" loses a click where gradio takes an answered one for pending
        return shown.click(handled(chosen), [self.language, shown], list(outputs), show_progress="hidden", **how)

    def computes(
        self,
        triggers: Sequence[Any],
        compute: Callable[..., Any],
        inputs: Sequence[Any],
        part: Any,
        draw: Callable[[Any, Language], Any],
        *,
        stop: Any = None,
    ) -> Any:
        """On a trigger, `part` shows `draw(compute(visit, *inputs), language)`, and again in another language.

        Where `compute` is a generator, what it gives is `Doing`, shown meanwhile, and at last the result; meanwhile
        there is a button `stop`, of `stopper`.
        """
        result = gr.State()
        self.words.shows(result, part, draw)
        if inspect.isgeneratorfunction(compute):
            self.follows(triggers, compute, inputs, (result, part), draw, stop=stop)
            return result

        def run(visit: Visit, *given: Any) -> Any:
            found = compute(visit, *given)
            return found, draw(found, visit.language)

        gr.on(list(triggers), handled(run), [self.language, *inputs], [result, part], show_progress_on=part, **WAITING)
        return result

    def follows(
        self,
        triggers: Sequence[Any],
        compute: Callable[..., Any],
        inputs: Sequence[Any],
        shown: tuple[Any, Any],
        draw: Callable[[Any, Language], Any],
        *,
        stop: Any,
        kept: int | None = None,
        **how: Any,
    ) -> None:
        """On a trigger, a state and a part show how far it is, and then the result of a `compute` that gives both.

        `kept`, which of the inputs is the state as it was: that is shown again where nothing came of it, and else
        nothing is.
        """

        def run(visit: Visit, *given: Any) -> Iterator[Any]:
            before = None if kept is None else given[kept]
            old = "" if before is None else draw(before, visit.language)
            told = 0.0
            try:
                for step in compute(visit, *given):
                    if not isinstance(step, Doing):
                        yield step, draw(step, visit.language), gr.update(visible=False)
                    elif time.monotonic() - told > EVERY:
                        told = time.monotonic()
                        drawn = draw_doing(step, visit.language)
                        yield (None if kept is None else gr.skip()), drawn, gr.update(visible=True)
            except DecodingStopped:
                stopped = f'<div class="oc-card"><p>{say("common.stopped", visit.language)}</p></div>'
                yield before, old or stopped, gr.update(visible=False)
            except Exception:
                if told:  # else what is there stays
                    yield before, old, gr.update(visible=False)
                raise

        event = gr.on(
            list(triggers),
            handled_steps(run),
            [self.language, *inputs],
            [*shown, stop],
            show_progress="hidden",
            **{**WAITING, **how},
        )
        event.then(lambda: gr.update(visible=False), [], [stop], **LIGHT)  # also where it failed

    def stopper(self, name: str) -> Any:
        """A button that stops what `Desk` has at work for this visitor under a name, seen as long as there is something."""
        button = self.words.make(
            gr.Button, {"value": "common.stop"}, variant="stop", visible=False, min_width=80, elem_id=f"{name}-stop"
        )

        def stopped(visit: Visit) -> None:
            self.desk.jobs.stop(visit.visitor, name)

        self.on([button.click], stopped, [], [], **STOPPING)
        return button

    def on(
        self,
        triggers: Sequence[Any],
        call: Callable[..., Any],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        **how: Any,
    ) -> Any:
        """On a trigger, set `outputs` to what `call(visit, *inputs)` gives, or gives one after another."""
        wrap = handled_steps if inspect.isgeneratorfunction(call) else handled
        return gr.on(list(triggers), wrap(call), [self.language, *inputs], list(outputs), **{**WAITING, **how})

    def after(self, trigger: Any, call: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """When another handler is through, well or not, set `outputs` to what `call(visit, *inputs)` gives."""
        return trigger.then(handled(call), [self.language, *inputs], list(outputs), show_progress="hidden", **WAITING)

    def on_event(
        self, trigger: Any, call: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any], **how: Any
    ) -> Any:
        """The same for `call(visit, facts of the event, *inputs)`."""
        return gr.on([trigger], handled_event(call), [self.language, *inputs], list(outputs), **{**WAITING, **how})


WAITING: dict[str, Any] = {
    "concurrency_id": "desk",
    "concurrency_limit": AT_ONCE,
    "api_visibility": "private",
    "trigger_mode": "once",
}
LIGHT: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
STOPPING: dict[str, Any] = {
    "show_progress": "hidden",
    "concurrency_id": "stop",
    "concurrency_limit": 4,
}  # waits for nobody
# What leaving a field does, which is the same movement as the click on a button. Not in gradio's queue: its browser
# part
# loses the answer of an event sent while the stream of the event before is being closed. The last state of a field
# counts.
BESIDE: dict[str, Any] = {"queue": False, "trigger_mode": "always_last"}


def draw_doing(doing: Doing, language: Language) -> str:
    """A line and a bar."""
    said = say(doing.key, language, **doing.values)
    return f'<div class="oc-card"><p>{said}</p>{bar(doing.share, label=f"{100 * doing.share:.0f} %")}</div>'


@dataclass(frozen=True)
class Player:
    """A sound that can be heard: its token, what it is called, where in the file, how well it fits."""

    token: str
    name: str
    start: float
    end: float
    score: float | None = None
    unlikely: bool = False
    whole: str = ""  # token of the file it is from
    withheld: SoundError | None = None  # why it cannot be heard
    relevance: float | None = None
    named: Sequence[str] = ()


def player_rows(players: Sequence[Player], language: Language, *, actions: bool) -> str:
    """Ranked players as HTML; with `actions`, more like this and download."""
    rows = []
    for number, one in enumerate(players):
        span = f"{clock(one.start)}–{clock(one.end)}"
        score = ""
        if one.score is not None:
            drawn, said = cosine_bar(one.score), say("search.score", language, score=f"{one.score:+.3f}")
            if one.relevance is not None:
                share = say("search.relevance", language, share=f"{one.relevance:.0%}")
                drawn, said = bar(one.relevance, label=share), share
            if one.named:
                said += f" · {text(say('search.named', language, words=', '.join(one.named)))}"
            doubt = f'<em class="oc-doubt">{say("search.unlikely", language)}</em>' if one.unlikely else ""
            score = f'<span class="oc-score">{drawn} {said} {doubt}</span>'
        if one.withheld is not None:
            rows.append(
                f'<li class="oc-hit"><span class="oc-rank">{number + 1}</span><div'
                f' class="oc-what"><b>{text(one.name)}</b> <span class="oc-when">{span}</span>{score}</div><em'
                f' class="oc-doubt">{text(sentence(one.withheld, language))}</em></li>'
            )
            continue
        more = ""
        if actions:
            more = (
                '<span class="oc-actions"><button type="button" class="oc-small"'
                f' data-more="{one.token}">{say("search.more", language)}</button><a class="oc-small"'
                f' href="originals/{one.whole}" download>{say("search.download", language)}</a></span>'
            )
        rows.append(
            f'<li class="oc-hit"><span class="oc-rank">{number + 1}</span><div class="oc-what"><b>{text(one.name)}</b>'
            f' <span class="oc-when">{span}</span>{score}</div><audio controls preload="none" data-n="{number}"'
            f' src="sounds/{one.token}" aria-label="{text(one.name)} {span}"></audio>{more}</li>'
        )
    return f'<ol class="oc-hits">{"".join(rows)}</ol>'
