"""Sixty sounds planted in three hours of real background: found, false alarms, latency, memory; a receiver that is down; a stream that is cut.

usage: python bench/watch.py DATA [--model mini] [--half report] [--hours 3] [--seed 0] [--only hours|webhook|stream]

DATA holds the folders esc10, effects and long, each with a metadata.csv. Background is loops of long recordings and of ESC-10's rain,
waves and fire, in scenes of 5 to 12 minutes that fade into each other; events come one after another at -6, 0, 6 and 12 dB against
the background where they lie, a quarter at each. Both are split in halves that share no recording: the constants of
`openclap/watch/alert_scorer.py` were fitted on "tune" alone, what is reported is "report". The last line is JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import soundfile as sf
from rich.console import Console
from rich.table import Table

from openclap import CLAP
from openclap.audio.load import load
from openclap.synth import synthesise
from openclap.watch import Event, RetryingSink, Rules, Webhook, watch
from openclap.watch.event import UNUSUAL

Wave = npt.NDArray[np.float32]

RATE = 32_000  # Hz
EVENTS = 60
SNRS = (-6, 0, 6, 12)  # dB
FADE = 4.0  # seconds from one scene to the next
LONGEST = 6.0  # seconds of an event
NEAR = 2.0  # seconds beside a planted event that an event may lie
QUIET = 240.0  # seconds before the first event: long enough for the warm-up and to see false alarms
TUNE_LONG = ("birds.ogg", "city.ogg", "rain.ogg", "boat.ogg")
REPORT_LONG = (
    "summer_night.ogg",
    "storm.ogg",
    "waves.ogg",
    "wind.ogg",
    "train.ogg",
    "coffee_shop.ogg",
    "fireplace.ogg",
)
AMBIENT = ("rain", "sea_waves", "fire_crackling")
CLASSES = {  # ESC-10 → words
    "dog_bark": "a dog barking",
    "baby_cry": "a baby crying",
    "rooster": "a rooster crowing",
    "person_sneeze": "a person sneezing",
    "chainsaw": "a chainsaw",
    "helicopter": "a helicopter",
}
EFFECTS = {  # words → the take to tune with, the take to report
    "glass breaking": ("node_dug_glass.1.ogg", "node_dug_glass.2.ogg"),
    "a gunshot": ("rifle_fire_01.ogg", "rifle_fire_02.ogg"),
    "an explosion": ("explosion_01.ogg", "explosion_02.ogg"),
    "knocking on a door": ("door_knock_01.ogg", "door_knock_02.ogg"),
    "a doorbell": ("doorbell_01.ogg", "doorbell_02.ogg"),
    "a car horn": ("vehicle_horn_01.ogg", "vehicle_horn_02.ogg"),
}
SIREN = "a siren"  # no recording of one is among them: synthesised
ALERTS = (*CLASSES.values(), *EFFECTS, SIREN)


@dataclass(frozen=True)
class Planted:
    """A sound put into the background: what it is called, from `start` to `end` seconds, dB against the background there."""

    alert: str
    start: float
    end: float
    snr: int


def folds(half: str) -> tuple[str, str]:
    return ("1", "2") if half == "tune" else ("3", "4")


def esc(data: Path, label: str, half: str) -> list[Path]:
    return sorted(p for p in (data / "esc10" / label).glob("*.ogg") if p.name[0] in folds(half))


def heard(wave: Wave) -> Wave:
    """The part of an event that is no silence, at most LONGEST."""
    step = RATE // 100
    level = np.abs(wave[: len(wave) // step * step]).reshape(-1, step).max(1)
    loud = np.flatnonzero(level > 0.02 * level.max())
    return wave[loud[0] * step : (loud[-1] + 1) * step][: round(LONGEST * RATE)]


def event(data: Path, alert: str, half: str, rng: np.random.Generator) -> Wave:
    labels = {words: label for label, words in CLASSES.items()}
    if alert in labels:
        files = esc(data, labels[alert], half)
        return heard(load(files[int(rng.integers(len(files)))], RATE))
    if alert == SIREN:
        return heard(
            synthesise(
                "siren", np.random.default_rng((half == "tune", int(rng.integers(1000)))), rate=RATE, seconds=5.0
            )[0]
        )
    return heard(load(data / "effects" / EFFECTS[alert][half != "tune"], RATE))


def looped(pieces: list[Wave], samples: int, rng: np.random.Generator) -> Wave:
    """Pieces one after another in random order, each fading into the next for a second."""
    fade = RATE
    ramp = np.sin(np.linspace(0, np.pi / 2, fade, dtype=np.float32))
    made = np.zeros(samples + fade, np.float32)
    at = 0
    while at < samples:
        piece = pieces[int(rng.integers(len(pieces)))].copy()
        piece = piece[: len(made) - at]
        if len(piece) > 2 * fade:
            if at:
                piece[:fade] *= ramp
            piece[-fade:] *= ramp[::-1]
        made[at : at + len(piece)] += piece
        at += max(len(piece) - fade, 1)
    return made[:samples]


def scenes(data: Path, half: str, seconds: float, rng: np.random.Generator) -> Iterator[Wave]:
    """Scenes in random order, each at its own loudness, FADE longer than it lasts: the rest lies under the next one."""
    long = TUNE_LONG if half == "tune" else REPORT_LONG
    names = [*long, *AMBIENT]
    left = round(seconds * RATE)
    order: list[str] = []
    while left > 0:
        order = order or [names[i] for i in rng.permutation(len(names))]
        name = order.pop()
        files = [data / "long" / name] if name in long else esc(data, name, half)
        samples = min(left, round(rng.uniform(300, 720) * RATE))
        wave = looped([load(file, RATE) for file in files], samples + round(FADE * RATE), rng)
        yield wave * np.float32(10 ** (rng.uniform(-38, -26) / 20) / max(float(np.sqrt(np.mean(wave**2))), 1e-6))
        left -= samples


def recording(path: Path, data: Path, half: str, seconds: float, seed: int) -> list[Planted]:
    """Write the background with its events to a 16-bit WAV; a scene is in memory at a time."""
    rng = np.random.default_rng((seed, half == "tune"))
    step = (seconds - QUIET) / EVENTS
    starts = QUIET + step * np.arange(EVENTS) + rng.uniform(0, step - LONGEST - 10, EVENTS)
    which = [(ALERTS[i % len(ALERTS)], SNRS[(i // len(ALERTS) + i % len(ALERTS)) % len(SNRS)]) for i in range(EVENTS)]
    todo = [(float(starts[k]), *which[i]) for k, i in enumerate(rng.permutation(EVENTS))]
    planted: list[Planted] = []
    fade = round(FADE * RATE)
    ramp = np.sin(np.linspace(0, np.pi / 2, fade, dtype=np.float32))
    tail = np.zeros(fade, np.float32)
    begun = 0
    with sf.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for whole in scenes(data, half, seconds, rng):
            whole[:fade] = whole[:fade] * (ramp if begun else 1) + tail
            tail = whole[-fade:] * ramp[::-1]
            scene = whole[:-fade]
            while todo and todo[0][0] * RATE < begun + len(scene):
                start, alert, snr = todo.pop(0)
                wave = event(data, alert, half, rng)
                at = min(max(round(start * RATE) - begun, 0), len(scene) - len(wave))
                under = scene[at : at + len(wave)]
                gain = 10 ** (snr / 20) * float(np.sqrt(np.mean(under**2)) / np.sqrt(np.mean(wave**2)))
                under += np.float32(gain) * wave
                planted.append(Planted(alert, (begun + at) / RATE, (begun + at + len(wave)) / RATE, snr))
            file.write(np.clip(scene, -1, 1))
            begun += len(scene)
    return planted


# -- three hours ----------------------------------------------------------------------------------------


def resident() -> float:
    """Resident memory, MiB."""
    return float(psutil.Process().memory_info().rss / 2**20)


def hours_of(data: Path, model: str, half: str, seconds: float, seed: int, rules: Rules) -> dict[str, Any]:
    """Watch a recording with planted events; memory is looked at every minute of sound."""
    with tempfile.TemporaryDirectory() as aside:
        path = Path(aside, "recording.wav")
        planted = recording(path, data, half, seconds, seed)
        clap = CLAP.from_pretrained(model, threads=1)
        listening = watch(path, ALERTS, model=clap, unusual=True, rules=rules, clips=Path(aside, "clips"))
        memory: list[tuple[float, float]] = []
        done = threading.Event()

        def look() -> None:
            while not done.wait(1.0):
                memory.append((listening.report().heard, resident()))

        threading.Thread(target=look, daemon=True).start()
        cpu, began = time.process_time(), time.perf_counter()
        events = list(listening)
        used = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - began}
        done.set()
        report = listening.report()
    named = judged([e for e in events if e.alert != UNUSUAL], planted, seconds)
    found = {"named": named, **used, "windows": report.windows, "memory": memory_by_hour(memory, seconds)}
    found["unusual"] = judged([e for e in events if e.alert == UNUSUAL], planted, seconds)
    return found


def judged(events: list[Event], planted: list[Planted], seconds: float) -> dict[str, Any]:
    """Found: an event of the same words (or "unusual") that overlaps, give or take NEAR. Any other is a false alarm, also on top of a planted one."""
    found: dict[int, float] = {}
    wrong = confused = 0
    for event in events:
        over = [i for i, p in enumerate(planted) if event.start < p.end + NEAR and event.end > p.start - NEAR]
        right = [i for i in over if event.alert in (planted[i].alert, UNUSUAL)]
        for i in right:
            found.setdefault(i, event.start + event.latency - planted[i].start)
        wrong += not right
        confused += bool(over) and not right
    rate = {snr: [i in found for i, p in enumerate(planted) if p.snr == snr] for snr in SNRS}
    latencies = sorted(found.values())
    return {
        "found": len(found), "of": len(planted), "by_snr": {snr: f"{sum(hit)}/{len(hit)}" for snr, hit in rate.items()},
        "false_alarms_an_hour": round(wrong / seconds * 3600, 2), "of_these_wrong_words_for_a_planted_event": round(confused / seconds * 3600, 2),
        "latency_median": round(statistics.median(latencies), 2) if latencies else None,
        "latency_90": round(latencies[int(0.9 * (len(latencies) - 1))], 2) if latencies else None,
    }  # fmt: skip


def memory_by_hour(memory: list[tuple[float, float]], seconds: float) -> list[float]:
    """Most that was resident in each sixth of the recording, MiB."""
    sixths: list[list[float]] = [[] for _ in range(6)]
    for heard_so_far, size in memory:
        sixths[min(5, int(6 * heard_so_far / seconds))].append(size)
    return [round(max(sizes), 1) if sizes else 0.0 for sizes in sixths]


# -- a receiver that is down ----------------------------------------------------------------------------


class Receiver:
    """A webhook on loopback that can really be down: its socket is closed."""

    def __init__(self, port: int = 0) -> None:
        got = self.got = []  # type: list[str]

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got.append(json.loads(body)["id"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = int(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def down(self) -> None:
        """Close the socket."""
        self.server.shutdown()
        self.server.server_close()


def receiver_down(seconds: float) -> dict[str, Any]:
    """An event a second; the receiver takes some, is gone for `seconds`, and comes back."""
    with tempfile.TemporaryDirectory() as aside:
        first = Receiver()
        messages: list[str] = []
        delivery = RetryingSink(Webhook(f"http://127.0.0.1:{first.port}/"), Path(aside), messages.append)
        sent = []

        def event(number: int) -> None:
            sent.append(f"e{number:04d}")
            delivery.put(Event("a siren", 0.0, 1.0, 0.5, 0.5, 0.9, 1.0, id=sent[-1]))

        for number in range(10):
            event(number)
            time.sleep(0.05)
        time.sleep(0.5)
        first.down()
        down = time.monotonic()
        number = 10
        while time.monotonic() - down < seconds:
            event(number)
            number += 1
            time.sleep(1.0)
        second = Receiver(first.port)
        back = time.monotonic()
        while len(set(first.got + second.got)) < len(sent) and time.monotonic() - back < 90:
            time.sleep(0.1)
        caught_up = time.monotonic() - back
        left = delivery.close(5.0)
        second.down()
    got = first.got + second.got
    return {"down_seconds": seconds, "sent": len(sent), "taken": len(set(got)), "in_order": got == sent, "twice": len(got) - len(set(got)), "caught_up_seconds": round(caught_up, 1), "left": left}  # fmt: skip


# -- a stream that is cut -------------------------------------------------------------------------------


def coded(wave: Wave, format: str) -> bytes:
    file = io.BytesIO()
    subtype = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III", "WAV": "PCM_16"}[format]
    sf.write(file, wave, RATE, format=format, subtype=subtype)
    return file.getvalue()


def stream_cut(format: str) -> dict[str, Any]:
    """A server sends half of a recording without an announced length, closes, refuses for two seconds, and sends the other half; a siren lies in each."""
    rng = np.random.default_rng(0)
    rain = synthesise("rain", rng, rate=RATE, seconds=120.0)[0]
    rain *= np.float32(0.03 / rain.std())
    siren = synthesise("siren", rng, rate=RATE, seconds=5.0)[0]
    for place in (45, 105):
        rain[place * RATE : place * RATE + len(siren)] += np.float32(0.15 / siren.std()) * siren
    halves = [coded(rain[: 60 * RATE], format), coded(rain[60 * RATE :], format)]
    served: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if len(served) >= 2 or (served and time.monotonic() - served[0] < 2.0):
                self.send_error(503)
                return
            body = halves[len(served)]
            served.append(time.monotonic())
            self.send_response(200)
            self.end_headers()  # no Content-Length: it ends when it is closed
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stop = threading.Event()
    messages: list[str] = []
    clap = CLAP.from_pretrained("mini", threads=1)
    listening = watch(
        f"http://127.0.0.1:{server.server_address[1]}/live", [SIREN], model=clap, stop=stop, tell=messages.append
    )
    threading.Timer(20.0, stop.set).start()
    events = []
    for event in listening:
        events.append(event)
        if len(events) == 2:
            stop.set()
    server.shutdown()
    server.server_close()
    report = listening.report()
    return {"format": format, "events": len(events), "of": 2, "cuts": report.cuts, "lost_seconds": round(report.lost, 1), "heard_seconds": round(report.heard, 1), "told": len(messages)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--half", choices=("tune", "report"), default="report")
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--on", type=float, default=Rules.on, help="confidence at which an event begins")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--down", type=float, default=60.0, help="seconds that the receiver is down")
    parser.add_argument("--only", choices=("hours", "webhook", "stream"))
    args = parser.parse_args()
    console = Console(width=120)
    made: dict[str, Any] = {}
    if args.only in (None, "hours"):
        made["hours"] = found = hours_of(
            args.data, args.model, args.half, 3600 * args.hours, args.seed, Rules(on=args.on)
        )
        table = Table("", "found", *(f"{snr:+d} dB" for snr in SNRS), "false alarms/h", "of these on a planted event", "latency, median", "90 %", title=f"{EVENTS} events in {args.hours:g} h, {len(ALERTS)} alerts, half “{args.half}”, on {args.on:g}, seed {args.seed}")  # fmt: skip
        for name in ("named", "unusual"):
            row = found[name]
            table.add_row(name, f"{row['found']} of {row['of']}", *row["by_snr"].values(), str(row["false_alarms_an_hour"]), str(row["of_these_wrong_words_for_a_planted_event"]), f"{row['latency_median']} s", f"{row['latency_90']} s")  # fmt: skip
        console.print(table)
        console.print(f"{found['windows']} windows, {found['cpu_seconds']:.0f} s of CPU, {found['wall_seconds']:.0f} s; resident MiB by sixths: {found['memory']}")  # fmt: skip
    if args.only in (None, "webhook"):
        made["webhook"] = receiver_down(args.down)
        console.print(made["webhook"])
    if args.only in (None, "stream"):
        made["stream"] = [stream_cut(format) for format in ("OGG", "MP3", "WAV")]
        console.print(made["stream"])
    print(json.dumps(made))


if __name__ == "__main__":
    main()
