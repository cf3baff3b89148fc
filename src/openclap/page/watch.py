"""Watch / 监听: tell when something that was named, or anything unusual, is heard, by a microphone or in a recording."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np

from openclap.audio.decode_limits import DecodingStopped, LimitedSound
from openclap.audio.load import duration
from openclap.clock import clock
from openclap.detector import Detector
from openclap.page import taught
from openclap.page.desk import Desk
from openclap.page.jobs import Job
from openclap.page.parts import PLAYERS, STOPPING, Page
from openclap.page.pictures import Track, bar, text, tracks
from openclap.page.sessions import Asked, Seen, Session
from openclap.page.strings import Language, Told, say
from openclap.page.wording import Visit
from openclap.watch import Event, Rules
from openclap.watch.event import UNUSUAL

__all__ = ["build", "compute", "draw"]

MICROPHONE, RECORDING = "microphone", "recording"
SOURCES = (("watch.microphone", MICROPHONE), ("watch.recording", RECORDING))
ALERTS: dict[Language, tuple[str, ...]] = {
    "en": (
        "a dog barking\na siren\nchurch bells\na rooster crowing",
        "glass breaking\na baby crying\na smoke alarm\nsomeone screaming",
        "birds singing\nthunder\nwind\nrain falling",
    ),
    "zh": ("狗叫\n警笛\n教堂钟声\n公鸡打鸣", "玻璃破碎\n婴儿哭声\n烟雾报警器\n尖叫", "鸟鸣\n雷声\n风声\n雨声"),
}
EXAMPLES = ("example.minute", "watch.home", "watch.nature")
EVERY, PATIENCE = 1.0, 0.25  # seconds between two pictures, and that are waited for sound
SHOWN = 120.0  # seconds of a microphone
LINES = 12  # names with a line of their own: those that were heard best
LISTED = 100  # events in the table; the file holds all
AT_ONCE = 32
LONGEST = 500  # characters of a name, which is written into every picture and every event
LISTEN = (
    "async (language, source, token, ...rest) => [language, source, source === 'microphone' ? await"
    " window.openclapMicrophone.start() : '', ...rest]"
)
HUSH = "(...rest) => { window.openclapMicrophone.stop(); return rest; }"


def build(page: Page) -> None:
    """The tab's components and what its buttons do."""
    page.about("watch.about", "common.english")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320, scale=2):
            fields = _fields(page)
            page.examples(
                EXAMPLES,
                partial(_filled, page),
                [fields.source, fields.sound, fields.alerts],
                spoken=True,
                elem_id="watch-examples",
            )
        with gr.Column(min_width=320, scale=3):
            result = gr.HTML(elem_id="watch-result", js_on_load=PLAYERS)
    token, seen = gr.Textbox(visible=False), gr.State()
    page.words.shows(seen, result, draw)
    page.on(
        [fields.go.click],
        partial(_begun, page),
        [fields.source, token, fields.sound, fields.alerts, fields.unusual, fields.on, fields.warmup, fields.detectors],
        [seen, result, fields.go, fields.stop],
        js=LISTEN,
        show_progress="hidden",
        concurrency_id="watch",
        concurrency_limit=AT_ONCE,
    )
    page.on(
        [fields.stop.click],
        partial(_stopped, page),
        [],
        [],
        js=HUSH,
        **STOPPING,
    )
    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_id": "browse"}
    turned_to = lambda visit, source: gr.update(visible=source == RECORDING)
    page.on([fields.source.change], turned_to, [fields.source], [fields.sound], **quiet)
    page.on([page.language.change], partial(_turned, page), [fields.alerts], [fields.alerts], **quiet)


def _fields(page: Page) -> SimpleNamespace:
    """What the visitor fills in and presses."""
    words = page.words
    source = words.make(
        gr.Radio, {"label": "watch.source", "choices": SOURCES}, value=MICROPHONE, elem_id="watch-source"
    )
    sound = words.make(
        gr.Audio,
        {"label": "watch.sound"},
        sources=["upload"],
        type="filepath",
        editable=False,
        buttons=[],
        visible=False,
        elem_id="watch-sound",
    )
    alerts = words.make(
        gr.Textbox, {"label": "watch.alerts"}, value=ALERTS["en"][0], lines=4, max_lines=12, elem_id="watch-words"
    )
    detectors = taught.chooser(page, elem_id="watch-detectors")
    unusual = words.make(gr.Checkbox, {"label": "watch.anything"}, value=False, elem_id="watch-unusual")
    on = words.make(
        gr.Slider,
        {"label": "watch.on", "info": "watch.on_info"},
        minimum=0.2,
        maximum=0.95,
        value=Rules.on,
        step=0.05,
        elem_id="watch-on",
    )
    warmup = words.make(
        gr.Slider,
        {"label": "watch.warmup", "info": "watch.warmup_info"},
        minimum=0,
        maximum=60,
        value=5,
        step=1,
        elem_id="watch-warmup",
    )
    with gr.Row():
        go = page.button("watch.go", min_width=100, elem_id="watch-go")
        stop = words.make(
            gr.Button, {"value": "watch.stop"}, variant="stop", visible=False, min_width=80, elem_id="watch-stop"
        )
    return SimpleNamespace(
        source=source,
        sound=sound,
        alerts=alerts,
        detectors=detectors,
        unusual=unusual,
        on=on,
        warmup=warmup,
        go=go,
        stop=stop,
    )


# -- what they do -------------------------------------------------------------------------------------


def _filled(page: Page, number: int, language: Language) -> tuple[Any, ...]:
    wanted = ALERTS[language][number]
    if number:
        return gr.skip(), gr.skip(), wanted
    return RECORDING, gr.update(value=page.desk.example(page.desk.examples.long()), visible=True), wanted


def _begun(page: Page, visit: Visit, source: str, token: str, *given: Any) -> Iterator[Any]:
    for found, language in compute(page, visit, source, token, *given):
        over = found.over is not None
        yield found, draw(found, language), gr.update(visible=over), gr.update(visible=not over)


def _stopped(page: Page, visit: Visit) -> None:
    session = page.desk.watches.of_visitor(visit.visitor)
    if session is not None:
        session.end("watch.stopped")


def _turned(page: Page, visit: Visit, written: str) -> Any:
    """What is shown while it is heard follows the language, and so do the first words, unless they were changed."""
    session = page.desk.watches.of_visitor(visit.visitor)
    if session is not None:
        session.language = visit.language
    for examples in ALERTS.values():
        if written in examples:
            return ALERTS[visit.language][examples.index(written)]
    return gr.skip()


def compute(
    page: Page,
    visit: Visit,
    source: str,
    token: str,
    sound: str | None,
    alerts: str | None,
    unusual: bool,
    on: float,
    warmup: float,
    detectors: Sequence[str] | None = None,
) -> Iterator[tuple[Seen, Language]]:
    """How it goes, again and again, until it is over; each with the language that it is to be shown in.

    Raises
    ------
    Told
        There is nothing to listen for or to listen to, too much, or too many listen.
    """
    desk = page.desk
    asked = _asked(desk, alerts, taught.chosen(desk, detectors), unusual, on, warmup)
    job = Job(visit.visitor, "watch")
    if source == RECORDING:
        given = desk.sound(sound, job)
        session = desk.watches.open(visit.visitor, asked, visit.language)
        steps = _heard_recording(desk, session, given, job)
    else:
        if not token or token.startswith("!"):
            raise Told(
                {"!denied": "error.microphone_denied", "!insecure": "error.microphone_insecure"}.get(
                    token, "error.microphone"
                )
            )
        session = desk.watches.open(visit.visitor, asked, visit.language, token)
        steps = _heard_browser(desk, session, job)
    try:
        with desk.jobs.at_work(job):
            for found in steps:
                yield found, session.language
            if desk.closing.is_set():  # nobody is there to be told
                return
            session.finish()
        last = session.look()
        if source == RECORDING:
            shown = {one.id: desk.shelf.show(str(given.source), one.start, one.end) for one in last.events[:LISTED]}
            last = replace(last, sounds=shown)
        yield last, session.language
    except DecodingStopped:  # they have left, or the server ends
        return
    finally:  # also where they have left
        session.end("watch.stopped")


def _asked(
    desk: Desk, alerts: str | None, detectors: Sequence[Detector], unusual: bool, on: float, warmup: float
) -> Asked:
    called = {one.name for one in detectors}  # words that a detector is called by are its own
    lines = (" ".join(line.split()) for line in (alerts or "").splitlines())
    wanted = dict.fromkeys(line for line in lines if line and line not in called and not (unusual and line == UNUSUAL))
    most = desk.settings.texts
    if not wanted and not detectors and not unusual:
        raise Told("error.no_alerts")
    if len(wanted) + len(detectors) > most:
        raise Told("error.many", count=len(wanted) + len(detectors), most=most)
    if (length := max(map(len, wanted), default=0)) > LONGEST:
        raise Told("error.words", count=length, most=LONGEST)
    return Asked((*wanted, *detectors), unusual, min(1.0, max(0.05, float(on))), min(600.0, max(0.0, float(warmup))))


def _heard_browser(desk: Desk, session: Session, job: Job) -> Iterator[Seen]:
    """A picture every second, and at once where something begins or ends."""
    yield session.last
    session.begin(desk.ears(job), MICROPHONE)
    drawn = 0.0
    while not session.stop.is_set() and not desk.closing.is_set():
        some = session.take(PATIENCE)
        news = session.hear(some) if some else 0
        if news or time.monotonic() - drawn >= EVERY:
            drawn = time.monotonic()
            yield session.look()
    session.end("watch.stopped")


def _heard_recording(desk: Desk, session: Session, sound: LimitedSound, job: Job) -> Iterator[Seen]:
    """The same for a recording, as fast as it can be heard."""
    yield session.last
    session.begin(desk.ears(job), sound.source.name)
    seconds, drawn = duration(sound), 0.0
    with closing(session.recording(sound, seconds)) as steps:
        for news in steps:
            if news or time.monotonic() - drawn >= EVERY:
                drawn = time.monotonic()
                yield session.look()
    session.end("watch.heard")


# -- what is shown ------------------------------------------------------------------------------------


def draw(found: Seen, language: Language) -> str:
    """How it goes, the confidences over time, and the events, newest first."""
    return (
        '<div class="oc-card'
        f' oc-{"ready" if found.over is None else "over"}">{_status(found, language)}{_tracks(found, language)}</div><div'
        f' class="oc-card oc-scrolls">{_events(found, language)}</div>'
    )


def _status(found: Seen, language: Language) -> str:
    heard, count = clock(found.heard)[:-2], len(found.events) + found.older
    if found.over is not None:
        said = say(found.over, language, heard=heard, count=count)
    elif not found.names:
        said = say("watch.begun", language)
    elif found.learning > 0:
        said = say("watch.learning", language, seconds=f"{np.ceil(found.learning):.0f}")
    elif found.live:
        said = say("watch.listening", language, heard=heard, count=count)
    else:
        said = say("watch.hearing", language, heard=heard, all=clock(found.length)[:-2], count=count)
    lost = f'<p class="oc-note">{say("watch.lost", language, seconds=f"{found.lost:.1f}")}</p>' if found.lost else ""
    progress = "" if found.live or found.over or not found.length else bar(found.heard / found.length)
    return f"<h3>{said}</h3>{progress}{lost}"


def _tracks(found: Seen, language: Language) -> str:
    if not len(found.times):
        return ""
    end = max(found.heard, 30.0) if found.live else found.length or found.heard
    begin = max(0.0, end - SHOWN) if found.live else 0.0
    best = np.argsort(-found.levels.max(0), kind="stable")[:LINES]
    rows = []
    for which in sorted(int(one) for one in best):
        name = found.names[which]
        spans = [(one.start, one.end) for one in found.events if one.alert == name and one.end >= begin]
        levels = found.levels[:, which]
        shown = float(levels[-1] if found.live and found.over is None else levels.max())  # now, or at best
        rows.append(Track(_named(name, found, language), levels, shown, spans))
    picture = tracks(found.times, rows, begin, end, found.asked.on, alt=say("watch.picture", language))
    return f'{picture}<p class="oc-note">{say("watch.means", language, on=f"{100 * found.asked.on:.0f}")}</p>'


def _events(found: Seen, language: Language) -> str:
    if not found.events:
        return f"<p>{say('watch.none' if found.over else 'watch.none_yet', language)}</p>"
    rows = "".join(_row(event, found, language) for event in found.events[:LISTED])
    titles = "".join(
        f'<th scope="col">{say(key, language)}</th>' for key in ("watch.when", "watch.alert", "watch.confidence")
    )
    more = found.older + max(0, len(found.events) - LISTED)
    note = f'<p class="oc-note">{say("watch.more", language, count=more)}</p>' if more else ""
    files = "".join(
        f'<a class="oc-small" href="watched/{found.token}.{kind}" download="events.{kind}">{say(key, language)}</a>'
        for kind, key in (("csv", "watch.csv"), ("jsonl", "watch.lines"))
    )
    player = ""
    if found.sounds:
        player = (
            f'<div class="oc-player"><b class="oc-playing">{say("watch.hint", language)}</b><audio class="oc-one"'
            f' controls preload="none" aria-label="{say("watch.tab", language)}"></audio></div>'
        )
    return (
        f'{player}<table class="oc-table'
        f' oc-events"><thead><tr>{titles}<td></td></tr></thead><tbody>{rows}</tbody></table>{note}<p'
        f' class="oc-actions">{files}</p>'
    )


def _row(event: Event, found: Seen, language: Language) -> str:
    name = text(_named(event.alert, found, language))
    still = event.state == "began" and found.over is None
    when = f"{clock(event.start)}–{say('watch.still', language) if still else clock(event.end)}"
    shown = f'<td class="oc-number">{when}</td>'
    if (sound := found.sounds.get(event.id)) is not None:
        said = text(f"{event.alert} {when}")
        shown = (
            f'<td class="oc-number"><button type="button" class="oc-small" data-source="{sound}" data-name="{said}"'
            f' aria-label="{say("describe.play", language, name=said)}">▶ {when}</button></td>'
        )
    return (
        f'<tr{" class=oc-still" if still else ""}>{shown}<th scope="row"><span>{name}</span></th><td'
        f' class="oc-wide">{bar(event.confidence, label=f"{100 * event.confidence:.0f} %")}</td><td'
        f' class="oc-number">{100 * event.confidence:.0f} %</td></tr>'
    )


def _named(name: str, found: Seen, language: Language) -> str:
    """A name as it was written; what has no words is called by ours."""
    return say("watch.unusual", language) if name == UNUSUAL and found.asked.unusual else name
