"""Moments / 定位: where in a long recording something is heard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import numpy.typing as npt

from openclap.audio.levels import cut_frames
from openclap.audio.load import Sound, duration, stream
from openclap.clock import clock
from openclap.library import moments_in, write_moments
from openclap.library.query import parse_query
from openclap.page.examples import LONG_TRIED
from openclap.page.jobs import Doing, Job
from openclap.page.parts import PLAYERS, Page, Player, player_rows
from openclap.page.pictures import waveform
from openclap.page.search import draw_unknown
from openclap.page.strings import Language, Told, say
from openclap.page.wording import Visit
from openclap.results import Moment, UnknownWord

__all__ = ["Found", "build", "compute", "draw", "peaks_of"]

PEAK_RATE = 8000  # Hz, enough for a picture
PEAKS = 700
HEARD = 0.6  # of the work: the first look; the rest, the closer one
MOST = 50


@dataclass(frozen=True, eq=False)
class Found:
    """Moments best first, the recording's peaks (P, 2), and the files that tell of them."""

    name: str
    seconds: float
    peaks: npt.NDArray[np.float32]
    players: list[Player]
    csv: str
    labels: str
    unknown: list[UnknownWord]


def build(page: Page) -> None:
    """The tab's components and what its button does."""
    words = page.words
    page.about("moments.about", "common.english")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320, scale=2):
            sound = page.sound(
                waveform_options={"show_recording_waveform": False}, elem_id="moments-sound"
            )  # the result draws it
            query = words.make(
                gr.Textbox,
                {"label": "moments.words", "placeholder": "moments.placeholder"},
                max_lines=1,
                elem_id="moments-words",
            )
            k = words.make(
                gr.Slider, {"label": "moments.k"}, minimum=1, maximum=MOST, value=3, step=1, elem_id="moments-k"
            )
            with gr.Row():
                go, stop = page.button("moments.go", min_width=100, elem_id="moments-go"), page.stopper("moments")

            def fill(number: int, language: Language) -> tuple[str, str]:
                return page.desk.example(page.desk.examples.long()), say(LONG_TRIED[number], language)

            page.examples(LONG_TRIED, fill, [sound, query], spoken=True, elem_id="moments-examples")
        with gr.Column(min_width=320, scale=3):
            result = gr.HTML(elem_id="moments-result", js_on_load=PLAYERS)
            with gr.Row():
                files = [
                    words.make(
                        gr.DownloadButton,
                        {"label": f"moments.{kind}"},
                        visible=False,
                        size="sm",
                        elem_id=f"moments-{kind}",
                    )
                    for kind in ("csv", "audacity")
                ]

    def asked(visit: Visit, sound: str | None, words: str | None, k: float) -> Iterator[Doing | Found]:
        yield from page.desk.follow(visit.visitor, "moments", lambda job: compute(page, sound, words, int(k), job=job))

    state = page.computes([go.click, query.submit], asked, [sound, query, k], result, draw, stop=stop)

    def offered(found: Found | None) -> list[Any]:
        if found is None:
            return [gr.update(visible=False)] * 2
        return [gr.update(value=found.csv, visible=True), gr.update(value=found.labels, visible=True)]

    state.change(offered, state, files, show_progress="hidden", api_visibility="private")


def compute(page: Page, sound: str | None, words: str | None, k: int, *, job: Job | None = None) -> Found:
    """Where words fit, best first."""
    job = job or Job()
    given = page.desk.sound(sound, job)
    words = words or ""
    wanted, unwanted = parse_query(words)
    if not wanted:
        raise Told("error.only_not" if unwanted else "error.no_query")
    job.part(0.0, HEARD, duration(given))
    moments = moments_in(page.desk.ears(job), given, words, max(1, min(k, MOST)), cache=page.desk.heard)
    shape = page.desk.heard.recall(given, ("peaks", PEAK_RATE, PEAKS), lambda: _shape_of(given))
    seconds, peaks = float(shape["seconds"]), shape["peaks"]
    path: Path = given.source
    shelf = page.desk.shelf
    players = [
        Player(
            shelf.show(str(path), m.start, m.end),
            path.name,
            m.start,
            min(m.end, seconds),
            m.score,
            m.unlikely,
        )
        for m in moments
    ]
    csv, labels = _written(page, path, moments, words)
    return Found(path.name, seconds, peaks, players, csv, labels, moments.unknown)


def _written(page: Page, sound: Path, moments: list[Moment], words: str) -> tuple[str, str]:
    """The moments as CSV and as Audacity's labels, with the recording's name and not where the server has it."""
    folder = page.desk.exports.place()
    named = [replace(moment, path=sound.name) for moment in moments]
    stem = sound.stem[:60] or "moments"
    files = (folder / f"{stem}.csv", folder / f"{stem}.txt")
    for file in files:
        write_moments(named, file, words)
    return str(files[0]), str(files[1])


def _shape_of(sound: Sound) -> dict[str, npt.NDArray[Any]]:
    """What `peaks_of` gives, as arrays."""
    seconds, peaks = peaks_of(sound)
    return {"seconds": np.array(seconds), "peaks": peaks}


def peaks_of(sound: Sound) -> tuple[float, npt.NDArray[np.float32]]:
    """Seconds, and the least and greatest sample of some hundred equal parts (P, 2); in memory that hardly grows."""
    step = PEAK_RATE // 50
    parts: list[npt.NDArray[np.float32]] = []
    total = 0
    with closing(stream(sound, PEAK_RATE)) as blocks:
        for frames in cut_frames(blocks, step):
            total += frames.size
            parts.append(np.stack([frames.min(1), frames.max(1)], axis=1))
    fine = np.concatenate(parts)
    edges = np.linspace(0, len(fine), min(PEAKS, len(fine)) + 1).astype(int)[:-1]
    peaks = np.stack([np.minimum.reduceat(fine[:, 0], edges), np.maximum.reduceat(fine[:, 1], edges)], axis=1)
    return total / PEAK_RATE, peaks.astype(np.float32)


def draw(found: Found, language: Language) -> str:
    """The waveform with its spans, then a player each."""
    spans = [
        (one.start, one.end, say("moments.play", language, rank=number, span=f"{clock(one.start)}–{clock(one.end)}"))
        for number, one in enumerate(found.players, 1)
    ]
    alt = say("moments.wave", language, name=found.name, length=clock(found.seconds))
    picture = waveform(found.peaks, found.seconds, spans, alt=alt)
    hint = f'<p class="oc-note">{say("moments.hint", language)}</p>'
    nothing = (
        f'<p class="oc-said">{say("moments.nothing", language)}</p>' if all(p.unlikely for p in found.players) else ""
    )
    unknown = draw_unknown(found.unknown, language)
    return f'<div class="oc-card">{nothing}{unknown}{picture}{hint}{player_rows(found.players, language, actions=False)}</div>'
