"""Components whose words follow the language, and errors as one sentence in it. Knows no tab.

A tab makes what has words through `Wording`, which remembers the key of each word; switching the language sets all of
them again, and draws again what is shown from what was found.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from openclap.errors import (
    BadCheckpoint,
    DetectorMismatch,
    EmptySound,
    LibraryError,
    LibraryMismatch,
    MissingExtra,
    ModelNotHere,
    OpenClapError,
    SoundError,
    SoundNotFound,
    UnknownModel,
    UsageError,
    WithheldSound,
)
from openclap.library.served_files import CHANGED
from openclap.page.causes import cause_of
from openclap.page.strings import Language, Told, say

__all__ = ["Visit", "Wording", "handled", "handled_event", "handled_steps", "sentence", "visitor_of"]

Words = str | tuple[tuple[str, Any], ...] | Callable[[Language], Any]  # a key; keys with their values; or what it is
log = logging.getLogger("openclap.page")
SENTENCES: tuple[tuple[type[Exception], str], ...] = (  # the first that an error is one of
    (EmptySound, "error.empty_sound"),
    (WithheldSound, "error.withheld"),
    (SoundNotFound, "error.gone"),  # an upload is kept for an hour
    (SoundError, "error.sound"),
    (UnknownModel, "error.unknown_model"),
    (ModelNotHere, "error.model_not_here"),
    (BadCheckpoint, "error.bad_model"),
    (MissingExtra, "error.missing"),
    (LibraryMismatch, "error.mismatch"),
    (LibraryError, "error.library"),
    (DetectorMismatch, "error.other_detector"),
    (UsageError, "error.input"),
)


class Wording:
    """What has words, and how to say them."""

    def __init__(self) -> None:
        self._parts: list[tuple[Any, dict[str, Words]]] = []
        self._results: list[tuple[Any, Any, Callable[[Any, Language], Any]]] = []

    def make(self, kind: Any, words: dict[str, Words], **props: Any) -> Any:
        """A component whose props `words` follow the language."""
        part = kind(**{name: _said(what, "en") for name, what in words.items()}, **props)
        self._parts.append((part, words))
        return part

    def shows(self, result: Any, part: Any, draw: Callable[[Any, Language], Any]) -> None:
        """`part` shows what the state `result` holds, as `draw` draws it in a language."""
        self._results.append((result, part, draw))

    @property
    def states(self) -> list[Any]:
        """What `switch` takes beside the language."""
        return [result for result, _, _ in self._results]

    @property
    def parts(self) -> list[Any]:
        """What `switch` sets."""
        return [part for part, _ in self._parts] + [part for _, part, _ in self._results]

    def switch(self, language: Language, *states: Any) -> list[Any]:
        """Every word and every result in a language."""
        changed = [
            gr.update(**{name: _said(what, language) for name, what in words.items()}) for _, words in self._parts
        ]
        drawn = [
            gr.skip() if state is None else draw(state, language)
            for state, (_, _, draw) in zip(states, self._results, strict=True)
        ]
        return changed + drawn


def _said(what: Words, language: Language) -> Any:
    if callable(what):
        return what(language)
    if isinstance(what, tuple):
        return [(say(key, language), value) for key, value in what]
    return say(what, language)


@dataclass(frozen=True)
class Visit:
    """Who asks, and in which language they are answered."""

    language: Language
    visitor: str = ""


def handled(call: Callable[..., Any]) -> Callable[..., Any]:
    """`call(visit, *inputs)` as gradio calls it, its first input the language; errors become one sentence in it."""

    def answer(request: gr.Request, language: Language, *inputs: Any) -> Any:
        with _telling(language):
            return call(Visit(language, visitor_of(request)), *inputs)

    return answer


def handled_steps(call: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """The same for what answers several times."""

    def answer(request: gr.Request, language: Language, *inputs: Any) -> Iterator[Any]:
        with _telling(language):
            yield from call(Visit(language, visitor_of(request)), *inputs)

    return answer


def handled_event(call: Callable[..., Any]) -> Callable[..., Any]:
    """The same for `call(visit, facts of the event, *inputs)`."""

    def answer(request: gr.Request, event: gr.EventData, language: Language, *inputs: Any) -> Any:
        with _telling(language):
            facts = event._data if isinstance(event._data, dict) else {}
            return call(Visit(language, visitor_of(request)), facts, *inputs)

    return answer


def visitor_of(request: gr.Request | None) -> str:
    """What gradio calls this tab of a browser; what it is called by is the browser's, so nothing but letters and digits is taken."""
    return (
        "".join(sign for sign in str(getattr(request, "session_hash", None) or "") if sign.isascii() and sign.isalnum())
        or "nobody"
    )


@contextmanager
def _telling(language: Language) -> Iterator[None]:
    """What goes wrong within is told in a language; what should not have, to the log."""
    try:
        yield
    except gr.Error:
        raise
    except Exception as error:
        if not isinstance(error, OpenClapError):
            log.error("a handler of the page failed", exc_info=error)
        elif not isinstance(error, Told):
            log.warning("%s", " ".join(str(error).split()))
        raise gr.Error(sentence(error, language), duration=12, print_exception=False) from None


def sentence(error: Exception, language: Language) -> str:
    """An error as one sentence; it names no path of the server."""
    key, values = _told(error)
    if (why := values.get("why")) is not None:
        values = {**values, "why": say(why, language)}
    what = say(key, language, **values)
    steps = [say(f"hint.{hint.key}", language, **hint.facts) for hint in getattr(error, "hints", ())]
    return say("error.steps", language, what=what, steps=say("error.or", language).join(steps)) if steps else what


def _told(error: Exception) -> tuple[str, dict[str, Any]]:
    if isinstance(error, Told):
        return error.key, error.values
    key = next((key for kind, key in SENTENCES if isinstance(error, kind)), "error.inside")
    if isinstance(error, WithheldSound) and error.cause == CHANGED:
        key = "error.changed"
    if isinstance(error, LibraryMismatch) and error.maker is None:  # of another version of the format
        key = "error.library"
    facts = {name: getattr(error, name, None) or "" for name in ("asked", "detector", "name", "maker", "cause")}
    return key, {
        "name": facts["asked"] or facts["detector"] or Path(facts["name"]).name,
        "what": facts["name"] or "a package",
        "maker": facts["maker"],
        "why": cause_of(facts["cause"]),
    }
