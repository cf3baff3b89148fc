"""Teach / 训练: mark what a search has found as right or wrong, and get a detector that goes on from there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import gradio as gr

from openclap.clock import clock
from openclap.detector import Detector
from openclap.page.jobs import Doing
from openclap.page.lesson import Lesson, Shown, keep, marked, named, searched, trained
from openclap.page.parts import BESIDE, PLAYERS, Page
from openclap.page.pictures import bar, cosine_bar, text
from openclap.page.search import WHERE, draw_left_out
from openclap.page.strings import Language, say
from openclap.page.wording import Visit, sentence

__all__ = ["build", "draw"]

MARKS = (Path(__file__).parent / "marks.js").read_text(encoding="utf-8")
WITH_MARKS = "(language, marks, ...rest) => [language, JSON.stringify(window.openclapMarks || {}), ...rest]"
ANEW = (
    "(...rest) => { for (const token of Object.keys(window.openclapMarks || {})) delete window.openclapMarks[token];"
    " return rest; }"
)
Steps: TypeAlias = Iterator[Doing | Lesson]
WORDS: dict[Language, tuple[str, ...]] = {
    "en": ("something ringing", "water running", "a vehicle passing"),
    "zh": ("铃声", "流水声", "车辆经过"),
}
EXAMPLES = ("teach.ringing", "teach.water", "teach.vehicle")


def build(page: Page) -> None:
    """The tab's components and what its buttons do."""
    page.about("teach.about", "common.english")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320, scale=2):
            asking, keeping = _asking(page), _keeping(page)
        with gr.Column(min_width=320, scale=3):
            result = gr.HTML(elem_id="teach-result", js_on_load=PLAYERS + MARKS)
    marks, state, kept = gr.Textbox(visible=False), gr.State(), gr.State()
    page.words.shows(state, result, draw)
    page.words.shows(kept, keeping.saved, _drawn_saved)
    shown, told = [state, result], [kept, keeping.saved]
    where, query, k, name, stop = asking.where, asking.query, asking.k, keeping.name, asking.stop
    quiet: dict[str, Any] = {"show_progress": "hidden"}

    def looked(visit: Visit, marks: str, lesson: Lesson | None, where: str, words: str | None, k: float) -> Steps:
        before = marked(lesson, marks)
        yield from page.desk.follow(
            visit.visitor, "teach", lambda job: searched(page, visit, before, where, words, int(k), job=job)
        )

    def taught(visit: Visit, marks: str, lesson: Lesson | None, k: float) -> Steps:
        before = marked(lesson, marks)
        yield from page.desk.follow(visit.visitor, "teach", lambda job: trained(page, visit, before, int(k), job=job))

    for triggers, call, inputs in (
        ([asking.go.click, query.submit], looked, [marks, state, where, query, k]),
        ([asking.train.click], taught, [marks, state, k]),
    ):
        page.follows(triggers, call, inputs, (state, result), draw, stop=stop, kept=1, js=WITH_MARKS)
    offered = [keeping.save, keeping.file]
    page.on([state.change, name.blur], partial(_offered, page), [state, name], offered, **quiet, **BESIDE)
    page.on([keeping.save.click], partial(_stored, page), [state, name], told, **quiet)
    page.on([keeping.anew.click], lambda _: (None, "", None, ""), [], [*shown, *told], js=ANEW, **quiet)


def _asking(page: Page) -> SimpleNamespace:
    """What is searched and taught with."""
    words = page.words
    where = words.make(gr.Radio, {"label": "search.where", "choices": WHERE}, value="examples", elem_id="teach-where")
    query = words.make(
        gr.Textbox, {"label": "teach.words", "placeholder": "teach.placeholder"}, max_lines=1, elem_id="teach-words"
    )
    k = words.make(
        gr.Slider,
        {"label": "search.k"},
        minimum=4,
        maximum=page.desk.settings.results,
        value=12,
        step=1,
        elem_id="teach-k",
    )
    with gr.Row():
        go = words.make(gr.Button, {"value": "teach.search"}, min_width=100, elem_id="teach-search")
        train = page.button("teach.go", min_width=100, elem_id="teach-go")
        stop = page.stopper("teach")
    page.examples(
        EXAMPLES,
        lambda i, language: ("examples", WORDS[language][i]),
        [where, query],
        spoken=True,
        elem_id="teach-examples",
    )
    return SimpleNamespace(where=where, query=query, k=k, go=go, train=train, stop=stop)


def _keeping(page: Page) -> SimpleNamespace:
    """Where the detector goes."""
    words = page.words
    name = words.make(
        gr.Textbox, {"label": "teach.name", "placeholder": "teach.name_placeholder"}, max_lines=1, elem_id="teach-name"
    )
    with gr.Row():
        hidden: dict[str, Any] = {"size": "sm", "min_width": 80, "visible": False}
        save = words.make(gr.Button, {"value": "teach.save"}, **hidden, elem_id="teach-save")
        file = words.make(gr.DownloadButton, {"label": "teach.download"}, **hidden, elem_id="teach-download")
    anew = words.make(gr.Button, {"value": "teach.anew"}, size="sm", elem_id="teach-anew")
    saved = gr.HTML(elem_id="teach-saved")
    return SimpleNamespace(name=name, save=save, file=file, anew=anew, saved=saved)


# -- what the buttons do ------------------------------------------------------------------------------


def _offered(page: Page, visit: Visit, lesson: Lesson | None, name: str | None) -> list[Any]:
    if lesson is None or lesson.detector is None:
        return [gr.update(visible=False)] * 2
    detector = named(lesson, name)
    place = detector.save(page.desk.exports.place() / f"{detector.name}.safetensors")
    return [gr.update(visible=page.desk.settings.detectors), gr.update(value=str(place), visible=True)]


def _stored(page: Page, visit: Visit, lesson: Lesson | None, name: str | None) -> tuple[tuple[str, int], str]:
    kept = keep(page, lesson, name)
    return kept, _drawn_saved(kept, visit.language)


# -- what is shown ------------------------------------------------------------------------------------


def draw(lesson: Lesson, language: Language) -> str:
    """How well it does, what to mark next, and the ranking; everything can be heard and marked."""
    counts = text(say("teach.marked", language, yes="#yes", no="#no"))
    line = f'<p class="oc-note oc-marked" data-said="{counts}"></p>'
    away = draw_left_out(lesson.left_out, language)
    if lesson.detector is None:
        title = say("teach.found", language, count=len(lesson.found))
        hint = f'<p class="oc-note">{say("teach.hint", language)}</p>'
        return f'<div class="oc-card"><h3>{title}</h3>{hint}{away}{line}{_rows(lesson.found, lesson, language)}</div>'
    parts = [f'<div class="oc-card oc-ready">{_report(lesson.detector, language)}{line}</div>']
    if lesson.following:
        title, hint = say("teach.next", language), say("teach.next_hint", language)
        parts.append(
            f'<div class="oc-card"><h3>{title}</h3><p'
            f' class="oc-note">{hint}</p>{_rows(lesson.following, lesson, language)}</div>'
        )
    parts.append(
        "<div"
        f' class="oc-card"><h3>{say("teach.ranked", language)}</h3>{away}{_rows(lesson.found, lesson, language)}</div>'
    )
    return "".join(parts)


def _report(detector: Detector, language: Language) -> str:
    """What cross-validation says, and the words alone beside it."""
    counts = say("teach.taught", language, **{name: detector.examples.get(name, 0) for name in ("yes", "no", "drawn")})
    report = detector.report
    if not report.get("judged"):
        return f'<h3>{counts}</h3><p class="oc-note">{say("teach.too_few", language)}</p>'
    text_alone = report.get("text") or {}
    rows = "".join(
        f'<tr><th scope="row"><span>{say(key, language)}</span></th><td'
        f' class="oc-wide">{bar(report[name]["value"] or 0.0, label=_share(report[name]["value"]))}</td><td'
        f' class="oc-number">{_share(report[name]["value"])}</td><td'
        f' class="oc-soft">{_share(report[name]["low"])}–{_share(report[name]["high"])}</td><td class="oc-number'
        f' oc-soft">{_share(text_alone.get(name))}</td></tr>'
        for name, key in (
            ("precision", "teach.precision"),
            ("recall", "teach.recall"),
            ("average_precision", "teach.average"),
        )
    )
    head = (
        f'<caption>{say("teach.measured", language)}</caption><thead><tr><td></td><td class="oc-wide"></td><td></td><th'
        f' scope="col">{say("teach.range", language)}</th><th'
        f' scope="col">{say("teach.alone", language)}</th></tr></thead>'
    )
    verdicts = {"better": "teach.better", "worse": "teach.worse", "even": "teach.even"}
    verdict = verdicts.get(str(report.get("verdict")))
    said = f"<p>{say(verdict, language)}</p>" if verdict else ""
    means = say(
        "teach.unmarked" if report.get("unmarked") else "teach.means", language, yes=report["yes"], no=report["no"]
    )
    return (
        f'<h3>{counts}</h3>{said}<table class="oc-table oc-report">{head}<tbody>{rows}</tbody></table>'
        f'<p class="oc-note">{means}</p>'
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _rows(shown: tuple[Shown, ...], lesson: Lesson, language: Language) -> str:
    rows = []
    for number, one in enumerate(shown, 1):
        when = f"{clock(one.hit.start)}–{clock(one.hit.end)}"
        if one.likely is None:
            fits = f"{cosine_bar(one.hit.score)} {say('search.score', language, score=f'{one.hit.score:+.3f}')}"
        else:
            fits = f"{bar(one.likely, label=_share(one.likely))} {_share(one.likely)}"
        buttons = "".join(
            f'<button type="button" class="oc-small oc-mark" data-mark="{mark}" data-token="{one.token}"'
            f' aria-pressed="{str(one.token in tokens).lower()}">{say(key, language)}</button>'
            for mark, key, tokens in (("yes", "teach.yes", lesson.yes), ("no", "teach.no", lesson.no))
        )
        player = (
            f'<audio controls preload="none" src="sounds/{one.token}" aria-label="{text(one.name)} {when}"></audio>'
        )
        if one.withheld is not None:
            player = f'<em class="oc-doubt">{text(sentence(one.withheld, language))}</em>'
        rows.append(
            f'<li class="oc-hit"><span class="oc-rank">{number}</span><div class="oc-what"><b>{text(one.name)}</b>'
            f' <span class="oc-when">{when}</span><span class="oc-score">{fits}</span></div>{player}<span'
            f' class="oc-actions">{buttons}</span></li>'
        )
    return f'<ol class="oc-hits">{"".join(rows)}</ol>'


def _drawn_saved(kept: tuple[str, int], language: Language) -> str:
    name, lost = kept
    without = f'<p class="oc-note">{say("teach.saved_without", language, count=lost)}</p>' if lost else ""
    return f'<div class="oc-card oc-ready"><p>{say("teach.saved", language, name=text(name))}</p>{without}</div>'
