"""Search / 检索: the sounds of a library that fit words, a sound, what was taught, or all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from openclap.audio.decode_limits import limit
from openclap.audio.load import cut, duration
from openclap.library import Library
from openclap.library.query import parse_query
from openclap.library.search import By
from openclap.library.served_files import FileVersion
from openclap.page import taught
from openclap.page.classify import labels_of
from openclap.page.examples import TRIED
from openclap.page.jobs import Doing, Job
from openclap.page.parts import PLAYERS, Page, Player, player_rows
from openclap.page.pictures import text
from openclap.page.strings import Language, Told, say
from openclap.page.wording import Visit
from openclap.results import Hit, UnknownWord
from openclap.store import SearchFilter

__all__ = ["Filters", "Results", "build", "compute", "draw", "draw_left_out", "like", "opened"]

BY = (("search.by_both", "both"), ("search.by_sound", "sound"), ("search.by_names", "names"))
WHERE = (("search.examples", "examples"), ("search.own", "own"))


@dataclass(frozen=True)
class Filters:
    """What the fields of the tab say."""

    without: str | None = ""  # None: a field that nobody has touched
    tags: str | None = ""
    folder: str | None = ""
    pattern: str | None = ""
    shortest: float | None = None  # an empty field is 0 in some browsers: no limit
    longest: float | None = None
    each_once: bool = True
    by: By = "both"


@dataclass(frozen=True)
class Results:
    """Players, best first; `like` is the name of the sound that was searched with by its button; the others as of `Ranked`.

    `no_names`: names alone were asked for, but no word can be part of one.
    """

    players: list[Player]
    like: str = ""
    left_out: int = 0
    unknown: Sequence[UnknownWord] = ()
    no_names: bool = False


def build(page: Page) -> None:
    """The tab's components and what its buttons do."""
    words = page.words
    page.about("search.about", "common.english")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320, scale=2):
            where = words.make(
                gr.Radio, {"label": "search.where", "choices": WHERE}, value="examples", elem_id="search-where"
            )
            query = words.make(
                gr.Textbox,
                {"label": "search.words", "placeholder": "search.placeholder"},
                max_lines=1,
                elem_id="search-words",
            )
            with words.make(gr.Accordion, {"label": "search.sound"}, open=False, elem_id="search-sound-part"):
                sound = page.sound(elem_id="search-sound")
            detectors = taught.chooser(page, elem_id="search-detectors")
            k = words.make(
                gr.Slider,
                {"label": "search.k"},
                minimum=1,
                maximum=page.desk.settings.results,
                value=8,
                step=1,
                elem_id="search-k",
            )
            with words.make(gr.Accordion, {"label": "search.filters"}, open=False, elem_id="search-filters"):
                filters = _filters(page)
            with gr.Row():
                go, stop = page.button("search.go", min_width=100, elem_id="search-go"), page.stopper("search")
            page.examples(
                TRIED,
                lambda i, language: ("examples", say(TRIED[i], language)),
                [where, query],
                spoken=True,
                elem_id="search-examples",
            )
        with gr.Column(min_width=320, scale=3):
            result = gr.HTML(elem_id="search-result", js_on_load=PLAYERS)

    def asked(
        visit: Visit,
        where: str,
        words: str | None,
        sound: str | None,
        detectors: list[str] | None,
        k: float,
        *given: Any,
    ) -> Iterator[Doing | Results]:
        def found(job: Job) -> Results:
            return compute(page, visit, where, words, sound, int(k), Filters(*given), detectors, job=job)

        yield from page.desk.follow(visit.visitor, "search", found)

    inputs = [where, query, sound, detectors, k, *filters]
    state = page.computes([go.click, query.submit], asked, inputs, result, draw, stop=stop)

    def more(visit: Visit, facts: dict[str, Any], where: str, k: float, *given: Any) -> tuple[Results, str]:
        found = like(page, visit, where, str(facts.get("token", "")), int(k), Filters(*given))
        return found, draw(found, visit.language)

    page.on_event(result.select, more, [where, k, *filters], [state, result], show_progress_on=result)


def _filters(page: Page) -> list[Any]:
    make = page.words.make
    with gr.Row():
        without = make(gr.Textbox, {"label": "search.without"}, max_lines=1, min_width=140, elem_id="search-without")
        tags = make(gr.Textbox, {"label": "search.tags"}, max_lines=1, min_width=140, elem_id="search-tags")
    with gr.Row():
        folder = make(gr.Textbox, {"label": "search.folder"}, max_lines=1, min_width=140, elem_id="search-folder")
        pattern = make(gr.Textbox, {"label": "search.pattern"}, max_lines=1, min_width=140, elem_id="search-pattern")
    with gr.Row():
        shortest = make(
            gr.Number, {"label": "search.shortest"}, value=None, minimum=0, min_width=140, elem_id="search-shortest"
        )
        longest = make(
            gr.Number, {"label": "search.longest"}, value=None, minimum=0, min_width=140, elem_id="search-longest"
        )
    each_once = make(gr.Checkbox, {"label": "search.per"}, value=True, elem_id="search-per")
    by = make(gr.Radio, {"label": "search.by", "choices": BY}, value="both", elem_id="search-by")
    return [without, tags, folder, pattern, shortest, longest, each_once, by]


def compute(
    page: Page,
    visit: Visit,
    where: str,
    words: str | None,
    sound: str | None,
    k: int,
    filters: Filters,
    detectors: Sequence[str] | None = None,
    *,
    job: Job | None = None,
) -> Results:
    """What fits words, a sound, detectors, or all of them."""
    words = words or ""
    wanted, unwanted = parse_query(words)
    learnt = taught.chosen(page.desk, detectors)
    if not wanted and sound is None and not learnt:
        raise Told("error.only_not" if unwanted else "error.no_query")
    parts: list[Any] = [words] if words.strip() else []
    job = job or Job()
    if sound is not None:
        given = page.desk.sound(sound, job)
        job.part(0.0, 1.0, duration(given))
        # as the library hears its sounds
        parts.append(page.desk.ears(job).encode_audio([given], long="windows")[0])
    return _search(page, visit, where, [*parts, *learnt], k, filters, "", job)


def like(page: Page, visit: Visit, where: str, token: str, k: int, filters: Filters) -> Results:
    """What sounds like something that was found."""
    shown, desk = page.desk.shelf.of(token), page.desk
    rate = desk.clap.front_end.sampling_rate
    with desk.jobs.at_work(Job(visit.visitor, "search")) as job:
        with desk.shelf.open(token) as file:
            (wave,) = cut(limit(file, stop=job.stop), rate, [(shown.start, shown.end or shown.start + 10.0)])
        return _search(page, visit, where, [(wave, rate)], k, filters, shown.name, job)


def _search(
    page: Page, visit: Visit, where: str, parts: list[Any], k: int, filters: Filters, name: str, job: Job
) -> Results:
    shortest, longest = filters.shortest or None, filters.longest or None
    if shortest is not None and longest is not None and shortest > longest:
        raise Told("error.seconds")
    allowed = SearchFilter(
        path=_glob(filters), min_seconds=shortest, max_seconds=longest, tags=tuple(labels_of(filters.tags or ""))
    )
    most = page.desk.settings.results

    with opened(page, where, visit.visitor, job) as library:
        hits = library.search(
            parts if len(parts) > 1 else parts[0],
            max(1, min(k, most)),
            without=[part.strip() for part in (filters.without or "").split(",") if part.strip()],
            per="file" if filters.each_once else "window",
            by=filters.by,
            filter=allowed,
        )
        versions = library.versions({hit.path for hit in hits})
    players = [_player(page, hit, versions.get(hit.path)) for hit in hits]
    no_names = filters.by == "names" and hits.by == "sound" and not name
    return Results(players, name, hits.left_out, hits.unknown, no_names)


def _player(page: Page, hit: Hit, version: FileVersion | None) -> Player:
    shelf, served = page.desk.shelf, page.desk.served
    return Player(
        shelf.show_indexed(hit.path, version, hit.start, hit.end),
        served.name_of(hit.path),
        hit.start,
        hit.end,
        hit.score,
        hit.unlikely,
        shelf.show_indexed(hit.path, version),
        served.withhold_reason(hit.path, version),
        hit.relevance,
        hit.named,
    )


@contextlib.contextmanager
def opened(page: Page, where: str, visitor: str, job: Job | None = None) -> Iterator[Library]:
    """A library that holds something, for the thread of a job."""
    library = page.desk.opened(where, visitor, job)
    try:
        if not library.stats()["files"]:
            raise Told("error.empty_library")
        yield library
    finally:
        library.close()


def _glob(filters: Filters) -> str | None:
    """Folder and file name as one pattern of the path; a word without a star is looked for anywhere in the name."""
    folder, name = (filters.folder or "").strip().strip("/"), (filters.pattern or "").strip()
    if not folder and not name:
        return None
    if name and "*" not in name and "?" not in name:
        name = f"*{name}*"
    return f"*/{folder}/{name if name.startswith('*') else '*' + name}" if folder else f"*/{name}"


def draw_left_out(count: int, language: Language) -> str:
    """How many better hits are not shown since their files cannot be reached now; nothing where there are none."""
    return f'<p class="oc-note">{say("search.left_out", language, count=count)}</p>' if count else ""


def draw_unknown(words: Sequence[UnknownWord], language: Language) -> str:
    """Which words of a query the model was never taught; nothing where it knows them all."""
    named = "，".join(map(str, words)) if language == "zh" else ", ".join(map(str, words))
    return f'<p class="oc-note">{text(say("search.unknown", language, words=named))}</p>' if words else ""


def draw(found: Results, language: Language) -> str:
    """Players, best first."""
    notes = draw_unknown(found.unknown, language) + draw_left_out(found.left_out, language)
    if found.no_names:
        notes = f'<p class="oc-note">{say("search.no_names", language)}</p>{notes}'
    if found.players and all(one.unlikely for one in found.players):
        notes = f'<p class="oc-said">{say("moments.nothing", language)}</p>{notes}'
    if not found.players:
        return f'<div class="oc-card"><p>{"" if found.left_out else say("search.nothing", language)}</p>{notes}</div>'
    title = say("search.found", language, count=len(found.players))
    of = f" · {say('search.like', language, name=text(found.like))}" if found.like else ""
    return f'<div class="oc-card"><h3>{title}{of}</h3>{notes}{player_rows(found.players, language, actions=True)}</div>'
