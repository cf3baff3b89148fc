"""Classify / 分类: which of some labels fits a sound best, whether what was taught is in it, and what of it was heard."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import numpy as np
import numpy.typing as npt

from openclap.audio.clips import load_model_wave
from openclap.audio.decode_limits import LimitedSound
from openclap.audio.load import duration
from openclap.audio.mel import log_mel, mel_bank
from openclap.config import FrontEnd
from openclap.detector import Detection, Detector, apply_detectors
from openclap.page import taught
from openclap.page.desk import Desk
from openclap.page.examples import SINGLE, words_for
from openclap.page.jobs import Doing, Job
from openclap.page.parts import Page
from openclap.page.pictures import bar, spectrogram, text
from openclap.page.strings import Language, Told, say
from openclap.page.wording import Visit
from openclap.results import Label

__all__ = ["Classified", "build", "compute", "draw", "edges_of", "labels_of"]

BETWEEN = re.compile(r"[,，、;；\n]+")
WRITTEN_HZ = (250, 1000, 2000, 4000, 8000, 12000)


@dataclass(frozen=True, eq=False)
class Classified:
    """Labels best first, what detectors say, and the log-mel (T, F) of the first `shown` of `seconds` seconds, with its (Hz, row)."""

    labels: list[Label]
    mel: npt.NDArray[np.float32]
    shown: float
    seconds: float
    edges: list[tuple[float, float]]
    heard: list[Detection] = field(default_factory=list)


def build(page: Page) -> None:
    """The tab's components and what its button does."""
    page.about("classify.about", "common.english")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            sound = page.sound(elem_id="classify-sound")
            labels = page.words.make(
                gr.Textbox,
                {"label": "classify.labels", "placeholder": "classify.placeholder"},
                lines=2,
                max_lines=8,
                elem_id="classify-labels",
            )
            detectors = taught.chooser(page, elem_id="classify-detectors")
            with gr.Row():
                go, stop = page.button("classify.go", min_width=100, elem_id="classify-go"), page.stopper("classify")
            keys = list(SINGLE)
            page.examples(
                keys,
                lambda i, language: (
                    page.desk.example(page.desk.examples.single(keys[i])),
                    words_for(keys[i], language)[1],
                ),
                [sound, labels],
                spoken=True,
                elem_id="classify-examples",
            )
        with gr.Column(min_width=320):
            result = gr.HTML(elem_id="classify-result")

    def asked(visit: Visit, *given: Any) -> Iterator[Doing | Classified]:
        yield from page.desk.follow(visit.visitor, "classify", lambda job: compute(page, *given, job=job))

    page.computes([go.click], asked, [sound, labels, detectors], result, draw, stop=stop)


def labels_of(written: str) -> list[str]:
    """Labels with commas of any width between: "dog, rain，bells、wind"."""
    return list(dict.fromkeys(label.strip() for label in BETWEEN.split(written) if label.strip()))


def compute(
    page: Page, sound: str | None, labels: str | None, detectors: Sequence[str] | None = None, *, job: Job | None = None
) -> Classified:
    """Labels, best first, what detectors say, and the mel that was heard."""
    job = job or Job()
    given, wanted, most = page.desk.sound(sound, job), labels_of(labels or ""), page.desk.settings.texts
    learnt = taught.chosen(page.desk, detectors)
    if not wanted and not learnt:
        raise Told("error.no_labels")
    if len(wanted) + len(learnt) > most:
        raise Told("error.many", count=len(wanted) + len(learnt), most=most)
    return _classified(page.desk, job, given, wanted, learnt)


def _classified(desk: Desk, job: Job, sound: LimitedSound, labels: list[str], detectors: list[Detector]) -> Classified:
    clap = desk.ears(job)
    for one in detectors:
        one.check(clap)
    front_end, seconds = clap.front_end, duration(sound)
    parts = [bool(labels), bool(detectors)]
    job.part(0.0, 1 / sum(parts), seconds)
    wave = load_model_wave(sound, front_end, seconds=front_end.clip_seconds)
    mel = np.asarray(log_mel(wave, front_end), np.float32)
    found = clap.classify(sound, labels) if labels else []
    job.part(1 - 1 / sum(parts), 1.0, seconds)
    windows = clap.encode_windows(sound) if detectors else None
    heard = [] if windows is None else apply_detectors(windows.embedding, detectors, windows.heard)
    return Classified(found, mel, len(wave) / front_end.sampling_rate, seconds, edges_of(front_end), heard)


def edges_of(front_end: FrontEnd, written: Sequence[float] = WRITTEN_HZ) -> list[tuple[float, float]]:
    """Where round frequencies lie among the bands: each is where the band's centre of weight is."""
    weights = mel_bank(front_end)  # (bins of the spectrum, bands)
    hz = np.linspace(0, front_end.sampling_rate / 2, len(weights))
    centres = (weights * hz[:, None]).sum(0) / np.maximum(weights.sum(0), 1e-12)
    rows = np.arange(front_end.mel_bins) + 0.5
    return [(at, float(np.interp(at, centres, rows))) for at in written if centres[0] < at < centres[-1]]


def draw(found: Classified, language: Language) -> Any:
    """A row a label, then the spectrogram."""
    head = "".join(
        f'<th scope="col"{wide}>{say(key, language)}</th>'
        for key, wide in (("classify.label", ""), ("classify.score", ' colspan="2"'), ("classify.cosine", ""))
    )
    rows = "".join(
        f'<tr><th scope="row"><span>{text(one.label)}</span></th><td'
        f' class="oc-wide">{bar(one.score, label=f"{100 * one.score:.1f} %")}</td><td'
        f' class="oc-number">{100 * one.score:.1f} %</td><td class="oc-number oc-soft">{one.similarity:+.3f}</td></tr>'
        for one in found.labels
    )
    picture = spectrogram(
        found.mel,
        found.shown,
        found.edges,
        time=say("chart.time", language),
        frequency=say("chart.frequency", language),
        alt=say("classify.heard", language),
    )
    part = ""
    if found.seconds > found.shown + 0.1:
        part = f'<p class="oc-note">{say("classify.heard_part", language, seconds=f"{found.shown:g}", all=f"{found.seconds:.0f}")}</p>'
    table = (
        f'<table class="oc-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><p'
        f' class="oc-note">{say("classify.means", language)}</p>'
    )
    return (
        f'<div class="oc-card">{table if found.labels else ""}{_drawn_heard(found.heard, language)}</div>'
        f'<div class="oc-card"><h3>{say("classify.heard", language)}</h3>{picture}{part}</div>'
    )


def _drawn_heard(heard: Sequence[Detection], language: Language) -> str:
    """A row a detector; nothing where none was asked."""
    if not heard:
        return ""
    rows = "".join(
        f'<tr><th scope="row"><span>{text(one.detector)}</span></th><td'
        f' class="oc-wide">{bar(one.probability, label=f"{100 * one.probability:.0f} %")}</td><td'
        f' class="oc-number">{100 * one.probability:.0f}'
        f" %</td><td>{say('classify.is_heard' if one.heard else 'classify.is_not', language)}</td></tr>"
        for one in heard
    )
    head = "".join(
        f'<th scope="col"{wide}>{say(key, language)}</th>'
        for key, wide in (("classify.detector", ""), ("describe.confidence", ' colspan="2"'))
    )
    return f'<table class="oc-table"><thead><tr>{head}<td></td></tr></thead><tbody>{rows}</tbody></table>'
