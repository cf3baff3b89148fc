"""Teach / 训练: mark what a search has found as right or wrong, and get a detector that goes on from there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from openclap.detector import Detector, place_of
from openclap.errors import UsageError
from openclap.library import Library
from openclap.library.query import parse
from openclap.page.parts import PLAYERS, Page
from openclap.page.pictures import bar, clock, cosine_bar, text
from openclap.page.search import WHERE, common, opened
from openclap.page.strings import Language, Told, say
from openclap.page.wording import Visit
from openclap.results import Hit
from openclap.teach import counter_examples, fit, suggest

__all__ = ["Lesson", "Shown", "build", "draw", "keep", "marked", "named", "searched", "trained"]

MARKS = (Path(__file__).parent / "marks.js").read_text(encoding="utf-8")
WITH_MARKS = "(language, marks, ...rest) => [language, JSON.stringify(window.openclapMarks || {}), ...rest]"
ANEW = "(...rest) => { for (const token of Object.keys(window.openclapMarks || {})) delete window.openclapMarks[token]; return rest; }"
WORDS: dict[Language, tuple[str, ...]] = {
    "en": ("something ringing", "water running", "a vehicle passing"),
    "zh": ("铃声", "流水声", "车辆经过"),
}
EXAMPLES = ("teach.ringing", "teach.water", "teach.vehicle")
NEXT = 5  # that should be marked next
KNOWN = 2000  # windows of a lesson; beyond, the oldest that are not marked are forgotten


@dataclass(frozen=True)
class Shown:
    """A window that was found: what a browser calls it, its name, and how well it fits (`likely`, once something was taught)."""

    token: str
    name: str
    hit: Hit
    likely: float | None = None


@dataclass(frozen=True, eq=False)
class Lesson:
    """What somebody teaches.

    Attributes
    ----------
    where, maker, words
        Which library, the fingerprint of the model, and the words that were searched with first.
    known
        Windows by token; `yes` and `no` are tokens of them.
    found, following
        What is shown: the ranking, and what should be marked next.
    """

    where: str = ""
    maker: str = ""
    words: str = ""
    known: dict[str, Shown] = field(default_factory=dict)
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()
    found: tuple[Shown, ...] = ()
    following: tuple[Shown, ...] = ()
    detector: Detector | None = None


@dataclass(frozen=True)
class _Asking:
    """What is searched and taught with."""

    where: Any
    query: Any
    k: Any
    go: Any
    train: Any


@dataclass(frozen=True)
class _Keeping:
    """Where the detector goes."""

    name: Any
    save: Any
    file: Any
    anew: Any
    saved: Any


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
    where, query, k, name = asking.where, asking.query, asking.k, keeping.name
    working: dict[str, Any] = {"js": WITH_MARKS, "show_progress_on": result}
    quiet: dict[str, Any] = {"show_progress": "hidden"}
    page.on([asking.go.click, query.submit], partial(_looked, page), [marks, state, where, query, k], shown, **working)
    page.on([asking.train.click], partial(_taught, page), [marks, state, k], shown, **working)
    page.on([state.change, name.blur], partial(_offered, page), [state, name], [keeping.save, keeping.file], **quiet)
    page.on([keeping.save.click], partial(_stored, page), [state, name], told, **quiet)
    page.on([keeping.anew.click], lambda _: (None, "", None, ""), [], [*shown, *told], js=ANEW, **quiet)


def _asking(page: Page) -> _Asking:
    words = page.words
    where = words.make(gr.Radio, {"label": "search.where", "choices": WHERE}, value="examples", elem_id="teach-where")
    query = words.make(
        gr.Textbox, {"label": "teach.words", "placeholder": "teach.placeholder"}, max_lines=1, elem_id="teach-words"
    )
    k = words.make(
        gr.Slider, {"label": "search.k"}, minimum=4, maximum=page.desk.settings.results, value=12, step=1, elem_id="teach-k"
    )  # fmt: skip
    with gr.Row():
        go = words.make(gr.Button, {"value": "teach.search"}, min_width=100, elem_id="teach-search")
        train = page.button("teach.go", min_width=100, elem_id="teach-go")
    page.examples(EXAMPLES, lambda i, language: ("examples", WORDS[language][i]), [where, query], spoken=True, elem_id="teach-examples")  # fmt: skip
    return _Asking(where, query, k, go, train)


def _keeping(page: Page) -> _Keeping:
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
    return _Keeping(name, save, file, anew, saved)


# -- what the buttons do ------------------------------------------------------------------------------


def _looked(
    page: Page, visit: Visit, marks: str, lesson: Lesson | None, where: str, words: str | None, k: float
) -> tuple[Lesson, str]:
    made = searched(page, visit, marked(lesson, marks), where, words, int(k))
    return made, draw(made, visit.language)


def _taught(page: Page, visit: Visit, marks: str, lesson: Lesson | None, k: float) -> tuple[Lesson, str]:
    made = trained(page, visit, marked(lesson, marks), int(k))
    return made, draw(made, visit.language)


def _offered(page: Page, visit: Visit, lesson: Lesson | None, name: str | None) -> list[Any]:
    if lesson is None or lesson.detector is None:
        return [gr.update(visible=False)] * 2
    detector = named(lesson, name)
    place = detector.save(page.desk.exports.place() / f"{detector.name}.safetensors")
    return [gr.update(visible=page.desk.settings.detectors), gr.update(value=str(place), visible=True)]


def _stored(page: Page, visit: Visit, lesson: Lesson | None, name: str | None) -> tuple[str, str]:
    called = keep(page, lesson, name)
    return called, _drawn_saved(called, visit.language)


# -- a lesson -----------------------------------------------------------------------------------------


def marked(lesson: Lesson | None, marks: str) -> Lesson:
    """A lesson with what the browser says is marked; what it does not know of is left out."""
    lesson = lesson or Lesson()
    try:
        said = json.loads(marks or "{}")
    except (ValueError, RecursionError):
        raise Told("error.input") from None
    if not isinstance(said, dict):
        raise Told("error.input")
    of = {
        mark: tuple(token for token in said if said[token] == mark and token in lesson.known) for mark in ("yes", "no")
    }
    return replace(lesson, yes=of["yes"], no=of["no"])


def searched(page: Page, visit: Visit, lesson: Lesson, where: str, words: str | None, k: int) -> Lesson:
    """What fits words; what is marked stays so, as long as library and model are the same."""
    wanted, unwanted = parse(words or "")
    if not wanted:
        raise Told("error.only_not" if unwanted else "error.no_query")

    def found() -> Lesson:
        maker = page.desk.clap.fingerprint
        with opened(page, where, visit.visitor) as library:
            hits = library.search(words or "", _count(page, k), per="file")
        before = lesson if (lesson.where, lesson.maker) == (where, maker) else Lesson()
        begun = replace(before, where=where, maker=maker, words=" and ".join(wanted), following=(), detector=None)
        return _showing(page, begun, hits, None)

    return page.desk.do(found)


def trained(page: Page, visit: Visit, lesson: Lesson, k: int) -> Lesson:
    """A detector by what is marked, its ranking, and what should be marked next."""
    if not lesson.yes:
        raise Told("error.no_marks")

    def found() -> Lesson:
        clap = page.desk.clap
        if lesson.maker != clap.fingerprint:
            raise Told("error.other_lesson")
        with opened(page, lesson.where, visit.visitor) as library:
            yes, no = (library.vectors([lesson.known[token].hit for token in some]) for some in (lesson.yes, lesson.no))
            drawn = counter_examples(library, yes)
            detector = fit(clap, lesson.words, yes, no, text=lesson.words, drawn=drawn)
            return _following(page, replace(lesson, detector=detector), library, _count(page, k))

    return page.desk.do(found)


def _following(page: Page, lesson: Lesson, library: Library, k: int) -> Lesson:
    """With the detector's ranking, and what it is least sure of."""
    detector = lesson.detector
    assert detector is not None
    paths = [lesson.known[token].hit.path for token in (*lesson.yes, *lesson.no)]
    following = suggest(library, detector, NEXT, marked=paths)
    ranked = _showing(page, lesson, library.search(detector, k, per="file"), True)
    both = _showing(page, ranked, following, True)
    return replace(both, found=ranked.found, following=both.found)


def _showing(page: Page, lesson: Lesson, hits: list[Hit], taught: bool | None) -> Lesson:
    """With hits as what is found; a window that was shown before keeps its token."""
    tokens = {(one.hit.path, one.hit.start): token for token, one in lesson.known.items()}
    root = common([hit.path for hit in hits])
    made = []
    for hit in hits:
        token = tokens.get((hit.path, hit.start)) or page.desk.shelf.show(hit.path, hit.start, hit.end)
        made.append(Shown(token, hit.path.removeprefix(root), hit, hit.confidence if taught else None))
    known = {**lesson.known, **{one.token: one for one in made}}
    held = {*lesson.yes, *lesson.no, *(one.token for one in made)}
    spare = [token for token in known if token not in held]
    for token in spare[: max(0, len(known) - KNOWN)]:
        del known[token]
    return replace(lesson, known=known, found=tuple(made))


def _count(page: Page, k: int) -> int:
    return max(1, min(k, page.desk.settings.results))


def named(lesson: Lesson, name: str | None) -> Detector:
    """The detector by the name that it is given, by default its words.

    Raises
    ------
    Told
        It cannot be a file's.
    """
    assert lesson.detector is not None
    called = " ".join((name or lesson.words).split())
    try:
        place_of(called)
    except UsageError:
        raise Told("error.name") from None
    return replace(lesson.detector, name=called)


def keep(page: Page, lesson: Lesson | None, name: str | None) -> str:
    """Put the detector among those of whoever runs this → its name.

    Raises
    ------
    Told
        There is none, it may not be kept here, or its name cannot be a file's.
    """
    if not page.desk.settings.detectors or lesson is None or lesson.detector is None:
        raise Told("error.not_taught")
    return named(lesson, name).save().stem


# -- what is shown ------------------------------------------------------------------------------------


def draw(lesson: Lesson, language: Language) -> str:
    """How well it does, what to mark next, and the ranking; everything can be heard and marked."""
    counts = text(say("teach.marked", language, yes="#yes", no="#no"))
    line = f'<p class="oc-note oc-marked" data-said="{counts}"></p>'
    if lesson.detector is None:
        title = say("teach.found", language, count=len(lesson.found))
        hint = f'<p class="oc-note">{say("teach.hint", language)}</p>'
        return f'<div class="oc-card"><h3>{title}</h3>{hint}{line}{_rows(lesson.found, lesson, language)}</div>'
    parts = [f'<div class="oc-card oc-ready">{_report(lesson.detector, language)}{line}</div>']
    if lesson.following:
        title, hint = say("teach.next", language), say("teach.next_hint", language)
        parts.append(
            f'<div class="oc-card"><h3>{title}</h3><p class="oc-note">{hint}</p>{_rows(lesson.following, lesson, language)}</div>'
        )
    parts.append(
        f'<div class="oc-card"><h3>{say("teach.ranked", language)}</h3>{_rows(lesson.found, lesson, language)}</div>'
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
        f'<tr><th scope="row"><span>{say(key, language)}</span></th><td class="oc-wide">{bar(report[name]["value"] or 0.0, label=_share(report[name]["value"]))}</td>'
        f'<td class="oc-number">{_share(report[name]["value"])}</td><td class="oc-soft">{_share(report[name]["low"])}–{_share(report[name]["high"])}</td>'
        f'<td class="oc-number oc-soft">{_share(text_alone.get(name))}</td></tr>'
        for name, key in (
            ("precision", "teach.precision"),
            ("recall", "teach.recall"),
            ("average_precision", "teach.average"),
        )
    )
    head = (
        f'<caption>{say("teach.measured", language)}</caption><thead><tr><td></td><td class="oc-wide"></td><td></td>'
        f'<th scope="col">{say("teach.range", language)}</th><th scope="col">{say("teach.alone", language)}</th></tr></thead>'
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
            f'<button type="button" class="oc-small oc-mark" data-mark="{mark}" data-token="{one.token}" aria-pressed="{str(one.token in tokens).lower()}">{say(key, language)}</button>'
            for mark, key, tokens in (("yes", "teach.yes", lesson.yes), ("no", "teach.no", lesson.no))
        )
        rows.append(
            f'<li class="oc-hit"><span class="oc-rank">{number}</span><div class="oc-what"><b>{text(one.name)}</b> <span class="oc-when">{when}</span>'
            f'<span class="oc-score">{fits}</span></div><audio controls preload="none" src="sounds/{one.token}" aria-label="{text(one.name)} {when}"></audio>'
            f'<span class="oc-actions">{buttons}</span></li>'
        )
    return f'<ol class="oc-hits">{"".join(rows)}</ol>'


def _drawn_saved(name: str, language: Language) -> str:
    return f'<div class="oc-card oc-ready"><p>{say("teach.saved", language, name=text(name))}</p></div>' if name else ""
