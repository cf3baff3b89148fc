"""Library / 音库: filling a library, what it holds, and a map of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import numpy.typing as npt

from openclap.errors import LibraryMismatch, OpenClapError
from openclap.library.scan import EXTENSIONS
from openclap.library.served_files import FileVersion
from openclap.page.causes import cause_of
from openclap.page.classify import labels_of
from openclap.page.filling import Filling, fill, titles_in
from openclap.page.jobs import Doing, Job
from openclap.page.map import has_umap, places_of
from openclap.page.parts import BESIDE, PLAYERS, STOPPING, Page
from openclap.page.pictures import bar, map_of, text
from openclap.page.search import WHERE, opened
from openclap.page.strings import Language, Told, say
from openclap.page.wording import Visit, sentence
from openclap.results import Failure

__all__ = ["Held", "Mapped", "build", "draw_filling", "draw_held", "draw_map", "held_in", "mapped"]

FAILURES = 50  # that are shown
POINTS = 2000
EXAMPLES = "library.example"


@dataclass(frozen=True)
class Held:
    """What a library holds; where it cannot be used now, the error that says why."""

    files: int = 0
    windows: int = 0
    seconds: float = 0.0
    size: int = 0
    maker: str = ""
    trouble: OpenClapError | None = None


@dataclass(frozen=True, eq=False)
class Mapped:
    """Points of a map (N, 2) with their names and tokens, and how many files there are."""

    places: npt.NDArray[np.float32]
    names: list[str]
    tokens: list[str]
    files: int


def build(page: Page) -> None:
    """The tab's components and what its buttons do."""
    page.about("library.about")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320, scale=2):
            filler = _filler(page)
        with gr.Column(min_width=320, scale=3):
            viewer = _viewer(page)
    result, runs = gr.State(), _Runs(page)
    page.words.shows(result, filler.report, draw_filling)
    outputs, folder = [result, filler.report, filler.stop], filler.folder
    filled = [
        page.on([filler.go.click], runs.begun, [folder, filler.files, filler.tags], outputs, show_progress="hidden"),
        page.on([filler.example.click], runs.with_examples, [], outputs, show_progress="hidden"),
    ]
    page.on([filler.stop.click], runs.stopped, [], [], **STOPPING)
    browsed = lambda visit, chosen: gr.update(choices=titles_in(page.desk, chosen))
    page.on([folder.input], browsed, [folder], [folder], show_progress="hidden", **BESIDE)
    where, holds = viewer.where, viewer.holds
    held = page.computes([where.change], partial(held_in, page), [where], holds, draw_held)
    for each in filled:
        page.after(each, partial(_looked, page), [], [held, holds, where, filler.stop])

    def asked(visit: Visit, where: str, how: str) -> Iterator[Doing | Mapped]:
        yield from page.desk.follow(visit.visitor, "library-map", lambda job: mapped(page, visit, where, how, job=job))

    page.computes([viewer.draw_it.click], asked, [where, viewer.how], viewer.plan, draw_map, stop=viewer.stop)


def _filler(page: Page) -> SimpleNamespace:
    """What a library is filled with."""
    words = page.words
    roots = ", ".join(page.desk.served.titles)
    folder = words.make(
        gr.Dropdown,
        {
            "label": "library.folder",
            "info": (
                (lambda language: say("library.folder_info", language, roots=roots)) if roots else "library.no_roots"
            ),
        },
        choices=titles_in(page.desk, None),
        value=None,
        allow_custom_value=True,
        interactive=bool(roots),
        elem_id="library-folder",
    )
    files = words.make(
        gr.File,
        {"label": "library.upload"},
        file_count="multiple",
        file_types=[f".{name}" for name in sorted(EXTENSIONS)],
        height=150,
        elem_id="library-files",
    )
    tags = words.make(gr.Textbox, {"label": "library.tags"}, max_lines=1, elem_id="library-tags")
    with gr.Row():
        go = page.button("library.go", min_width=100, elem_id="library-go")
        stop = words.make(
            gr.Button, {"value": "library.stop"}, variant="stop", visible=False, min_width=80, elem_id="library-stop"
        )
    example = words.make(gr.Button, {"value": EXAMPLES}, size="sm", elem_id="library-example")
    report = gr.HTML(elem_id="library-report")
    return SimpleNamespace(folder=folder, files=files, tags=tags, go=go, stop=stop, example=example, report=report)


def _viewer(page: Page) -> SimpleNamespace:
    """What a library is looked at with."""
    words = page.words
    with gr.Row(equal_height=True):
        where = words.make(
            gr.Radio, {"label": "library.which", "choices": WHERE}, value="own", min_width=200, elem_id="library-where"
        )
        hows = (("library.pca", "pca"), ("library.umap", "umap")) if has_umap() else (("library.pca", "pca"),)
        how = words.make(
            gr.Radio,
            {"label": "library.map_how", "choices": hows},
            value="pca",
            min_width=120,
            visible=has_umap(),
            elem_id="library-how",
        )
    holds = gr.HTML(elem_id="library-holds")
    with gr.Row():
        draw_it = words.make(gr.Button, {"value": "library.map_go"}, size="sm", elem_id="library-map-go")
        stop = page.stopper("library-map")
    plan = gr.HTML(elem_id="library-map", js_on_load=PLAYERS)
    return SimpleNamespace(where=where, how=how, holds=holds, draw_it=draw_it, stop=stop, plan=plan)


# -- what they do -------------------------------------------------------------------------------------


class _Runs:
    """Fills libraries, and knows which visitor's is being filled."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._of: dict[str, Filling] = {}  # of visitors
        self._lock = threading.Lock()

    def begun(self, visit: Visit, chosen: str | None, uploads: list[str] | None, marks: str) -> Iterator[Any]:
        """Fill from a folder or uploads, and show how far it is."""
        run = Filling()
        with self._lock:
            self._of[visit.visitor] = run
        for step in fill(self._page.desk, chosen, uploads or [], labels_of(marks or ""), visit.visitor, run):
            over = step.report is not None or step.stopped
            yield (
                None if not over else _result(step),
                draw_filling(_result(step), visit.language),
                gr.update(visible=not over),
            )

    def with_examples(self, visit: Visit) -> Iterator[Any]:
        """The same with the examples."""
        there = self._page.desk.examples.library().iterdir()
        yield from self.begun(visit, None, sorted(str(file) for file in there if file.suffix[1:] in EXTENSIONS), "")

    def stopped(self, visit: Visit) -> None:
        """The visitor wants no more."""
        run = self._of.get(visit.visitor)
        if run is not None:
            run.stop.set()


def _looked(page: Page, visit: Visit) -> Any:
    found = held_in(page, visit, "own")
    return found, draw_held(found, visit.language), "own", gr.update(visible=False)


def _result(run: Filling) -> dict[str, Any]:
    """A run as it is shown, ready to be remembered by gradio."""
    report = None if run.report is None else run.report.to_dict()
    return {"done": run.done, "total": run.total, "seconds": run.seconds, "report": report, "stopped": run.stopped}


def draw_filling(run: dict[str, Any], language: Language) -> str:
    """How far it is, or what was done and which files failed."""
    seconds = f"{run['seconds']:.0f}"
    if run["stopped"]:
        return f'<div class="oc-card"><p>{say("library.stopped", language)}</p></div>'
    if run["report"] is None:
        if not run["total"]:
            return (
                f'<div class="oc-card"><p>{say("library.begun", language, seconds=seconds)}</p><span class="oc-bar'
                ' oc-running"><i></i></span></div>'
            )
        said = say("library.indexing", language, done=run["done"], total=run["total"], seconds=seconds)
        return f'<div class="oc-card"><p>{said}</p>{bar(run["done"] / run["total"])}</div>'
    report = run["report"]
    failed = [Failure(**one) for one in report["failed"]]
    counts = {name: report[name] for name in ("added", "unchanged", "updated", "removed")}
    said = say("library.done", language, seconds=f"{run['seconds']:.1f}", failed=len(failed), **counts)
    kept = report.get("kept_missing", 0)
    away = f'<p class="oc-note">{say("library.kept_missing", language, count=kept)}</p>' if kept else ""
    colour = "waiting" if failed or kept else "ready"
    return f'<div class="oc-card oc-{colour}"><p>{said}</p>{away}{_failures(failed, language)}</div>'


def _failures(failed: list[Failure], language: Language) -> str:
    if not failed:
        return ""
    rows = "".join(
        f"<li><b>{text(Path(one.path).name)}</b>{': ' if language == 'en' else '：'}{say(cause_of(one.error), language)}</li>"
        for one in failed[:FAILURES]
    )
    more = (
        ""
        if len(failed) <= FAILURES
        else f"<li>{say('library.failed_more', language, count=len(failed) - FAILURES)}</li>"
    )
    return f"<details open><summary>{say('library.failed', language)}</summary><ul>{rows}{more}</ul></details>"


def held_in(page: Page, visit: Visit, where: str) -> Held:
    """What a library holds."""
    try:
        with opened(page, where, visit.visitor) as library:
            stats = library.stats()
    except (Told, LibraryMismatch) as error:
        return Held(trouble=None if getattr(error, "key", "") == "error.empty_library" else error)
    return Held(stats["files"], stats["windows"], stats["seconds"], stats["bytes"], str(stats["model"]))


def draw_held(held: Held, language: Language) -> str:
    """A line a fact."""
    if not held.files:
        said = text(sentence(held.trouble, language)) if held.trouble else say("library.empty", language)
        return f'<div class="oc-card oc-waiting"><p>{said}</p></div>'
    minutes, seconds = divmod(round(held.seconds), 60)
    length = f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
    facts = {
        "library.files": f"{held.files:,}",
        "library.windows": f"{held.windows:,}",
        "library.length": length,
        "library.size": f"{held.size / 1e6:.1f} MB",
        "library.maker": text(held.maker),
    }
    rows = "".join(f"<dt>{say(key, language)}</dt><dd>{value}</dd>" for key, value in facts.items())
    return f'<div class="oc-card"><h3>{say("library.holds", language)}</h3><dl class="oc-facts">{rows}</dl></div>'


def mapped(page: Page, visit: Visit, where: str, how: str, *, job: Job | None = None) -> Mapped:
    """The files of a library on a plane, each by its vector as a whole."""
    job = job or Job()
    tracks: list[npt.NDArray[np.float32]] = []
    names: list[str] = []
    tokens: list[str] = []
    with opened(page, where, visit.visitor, job) as library:
        files = library.stats()["files"]
        for recording in library.recordings(POINTS):
            file = recording.file
            tracks.append(recording.track)
            names.append(Path(file.path).name)
            span = float(recording.start[0]), float(recording.end[0])
            tokens.append(page.desk.shelf.show_indexed(file.path, FileVersion.from_index(file), *span))
            job.tell("library.map_doing", len(names) / min(files, POINTS), done=len(names), all=min(files, POINTS))
            job.check()
    return Mapped(places_of(np.stack(tracks), how), names, tokens, files)


def draw_map(found: Mapped, language: Language) -> str:
    """The points, and one player for whichever is clicked."""
    picture = map_of(
        found.places, found.names, found.tokens, alt=say("library.map_alt", language, count=len(found.names))
    )
    some = ""
    if len(found.names) < found.files:
        some = " " + say("library.map_some", language, shown=len(found.names), all=found.files)
    return (
        f'<div class="oc-card"><h3>{say("library.map", language)}</h3>{picture}<p'
        f' class="oc-note">{say("library.map_hint", language)}{some}</p><div class="oc-player"><b'
        f' class="oc-playing">{say("library.map_none", language)}</b><audio class="oc-one" controls preload="none"'
        f' aria-label="{say("library.map", language)}"></audio></div></div>'
    )
