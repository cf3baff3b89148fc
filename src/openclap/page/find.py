"""Find / 检索: which of some sounds fits words best, best first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from openclap.batches import batches
from openclap.clap import CLAP
from openclap.clock import clock
from openclap.library import Library
from openclap.library.query import parse_query
from openclap.page.components import Page
from openclap.page.demo_sounds import KINDS, QUERIES
from openclap.page.drawing import card, cosine_bar, escape, note, progress
from openclap.page.error_messages import cause_of
from openclap.page.strings import InputError
from openclap.page.uploads import Uploads
from openclap.results import Hit

__all__ = ["Found", "build", "search"]

FILES = 8  # heard between two looks at who still waits
KEPT_SECONDS = 3600  # that a visitor's index is kept after the last search


@dataclass(frozen=True)
class Found:
    """Hits best first, of so many sounds; what files are called; words that the model does not know; files that failed, and why."""

    hits: list[Hit]
    total: int
    names: dict[Path, str]
    unknown: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


def build(page: Page) -> None:
    """The tab's components, and what its button does."""
    limits = page.limits
    page.about("find.about")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320, scale=2):
            places = [(page.say("find.demo", count=len(KINDS)), "demo"), (page.say("find.own"), "own")]
            where = gr.Radio(places, value="demo", label=page.say("find.where"), elem_id="find-where")
            label = page.say("find.upload", count=limits.sounds, minutes=limits.minutes)
            files = gr.File(label=label, file_count="multiple", height=170, elem_id="find-files")
            words = page.text("find.words", "find-words", "find.placeholder", max_lines=1)
            count = gr.Slider(1, limits.results, 10, step=1, label=page.say("find.results"), elem_id="find-count")
            start, stop = page.buttons("find.button", "find")
            queries = [english if page.language == "en" else chinese for english, chinese in QUERIES]
            page.examples(queries, lambda i: ("demo", queries[i]), [where, words], "find-examples")
        with gr.Column(min_width=320, scale=3):
            result = page.result("find-result")
    own = gr.State(None, time_to_live=KEPT_SECONDS, delete_callback=lambda uploads: uploads and uploads.remove())
    files.upload(lambda: "own", None, where, queue=False, show_progress="hidden", api_visibility="private")

    def answer(
        model: str, where: str, given: list[str] | None, words: str | None, count: float, uploads: Uploads | None
    ) -> Iterator[tuple[str, Any]]:
        clap = page.models.get(model)
        limits.check_texts([words or ""])
        if where == "demo":
            names: dict[Path, str] = {}
            for number, (kind, chinese) in enumerate(KINDS.items()):
                yield progress(page.say("find.preparing"), number / len(KINDS)), gr.skip()
                names[page.demo.sound(kind)] = kind if page.language == "en" else chinese
            failed: list[tuple[str, str]] = []
            place = page.folder / "indexes" / f"demo-{clap.fingerprint}"
        else:
            uploads = uploads or Uploads(page.folder)
            names, failed = uploads.take(given or [], limits)
            yield progress(page.say("common.doing", done=0, total=len(names)), 0.0), uploads
            place = uploads.index / clap.fingerprint
            if failed and not names:
                yield draw(page, Found([], 0, {}, failed=failed)), gr.skip()
                return
        for step in search(clap, place, names, words or "", int(count)):
            if isinstance(step, Found):
                step.failed.extend(failed)
                yield draw(page, step), gr.skip()
            else:
                yield progress(page.say("common.doing", done=step, total=len(names)), step / len(names)), gr.skip()

    inputs = [where, files, words, count, own]
    page.connect([start.click, words.submit], answer, inputs, [result, own], stop)


def search(clap: CLAP, place: Path, names: dict[Path, str], words: str, count: int) -> Iterator[int | Found]:
    """Search among files: how many were heard, again and again, and at last what was found. What is known is not heard again.

    Parameters
    ----------
    place
        Of the library that remembers what was heard.
    names
        What the files are called.

    Raises
    ------
    InputError
        There is nothing to look for, or nothing to look in.
    """
    wanted, unwanted = parse_query(words)
    if not wanted:
        raise InputError("error.only_not" if unwanted else "error.no_query")
    if not names:
        raise InputError("error.no_sounds")
    library, failed = Library.open(place, model=clap), []
    try:
        for number, some in enumerate(batches(names, FILES)):
            yield number * FILES
            failed += [(names[Path(one.path)], one.error) for one in library.add(some).failed]
        yield len(names)
        hits = library.search(words, count, by="sound", within=list(names))
        yield Found(list(hits), len(names) - len(failed), names, [str(word) for word in hits.unknown], failed)
    finally:
        library.close()


# -- what is shown ------------------------------------------------------------------------------------


def draw(page: Page, found: Found) -> str:
    """A player for each hit, then what could not be used."""
    heading = f"<h3>{escape(page.say('find.heading', count=len(found.hits), total=found.total))}</h3>"
    none = note(page.say("find.none")) if found.hits and all(hit.unlikely for hit in found.hits) else ""
    unknown = note(page.say("common.unknown", words=", ".join(found.unknown)) if found.unknown else "")
    rows = "".join(draw_hit(page, number, hit, found.names[Path(hit.path)]) for number, hit in enumerate(found.hits, 1))
    shown = card(heading, none, unknown, f'<ol class="oc-hits">{rows}</ol>', note(page.say("find.means")))
    return shown + draw_failed(page, found.failed)


def draw_hit(page: Page, number: int, hit: Hit, name: str) -> str:
    """Rank, name, cosine, and a player that begins where it fits best."""
    doubt = f'<em class="oc-doubt">{escape(page.say("find.unlikely"))}</em>' if hit.unlikely else ""
    place = f"gradio_api/file={quote(hit.path)}"
    when = f' <span class="oc-soft">{clock(hit.start, 0)}–{clock(hit.end, 0)}</span>' if hit.start else ""
    return (
        f'<li class="oc-hit"><span class="oc-soft">{number}</span><div><b>{escape(name)}</b>{when}'
        f'<span class="oc-score">{cosine_bar(hit.score)} <span class="oc-number">{hit.score:+.3f}</span> {doubt}</span></div>'
        f'<audio controls preload="none" src="{place}#t={hit.start:.2f}" aria-label="{escape(name)}"></audio>'
        f'<a href="{place}" download="{escape(Path(name).name)}" aria-label="{escape(page.say("find.download"))} {escape(name)}">⤓</a></li>'
    )


def draw_failed(page: Page, failed: list[tuple[str, str]]) -> str:
    """Names and causes; nothing where there are none."""
    if not failed:
        return ""
    rows = "".join(
        f"<li>{escape(page.say('error.sound', name=name, why=page.say(cause_of(why))) if why else page.say('error.zip', name=name))}</li>"
        for name, why in failed
    )
    return card(f"<h3>{escape(page.say('find.failed'))}</h3>", f'<ul class="oc-failed">{rows}</ul>')
