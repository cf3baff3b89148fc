"""How long a search takes in one tab of the page while an hour is listened to in another.

usage: python bench/page.py [FOLDER] [--model mini] [--minutes 60] [--rounds 20]

`openclap serve` runs with a library of a few hundred sounds, which are those of FOLDER or synthesised. An hour of them is uploaded, and
in each round looked at and asked about as Recording does it: waveform and spectrogram, a timeline, moments; ten searches in words that
were not asked before follow one another meanwhile, then whoever asked hangs up, and ten searches come with nothing beside them. What counts
is the ratio of the medians, as other work on the machine makes both slower. The last line is JSON; exit code 1 where a ratio is above 1.5.
"""

from __future__ import annotations

import argparse
import http.client
import io
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import numpy as np
import soundfile as sf
from child_processes import exit_on_sigterm, running
from rich.console import Console
from rich.table import Table

from openclap.audio.load import load
from openclap.library.scan import is_sound
from openclap.synth import write_library

RATE = 16_000
ALLOWED = 1.5
FILES = 300
AT_ONCE = 10  # searches beside a job, and without one
DRAWINGS = 5  # rounds in which pictures are drawn
BEGUN = 0.3  # seconds until a job is at work, or has ended
JOBS: dict[str, tuple[str, str, dict[str, object] | None]] = {
    "timeline": ("POST", "/v1/describe", {"timeline": True}),
    "moments": ("POST", "/v1/moments", {"queries": ["a dog barking", "rain"], "k": 5}),
    "waveform": ("GET", "/v1/recordings/{id}/peaks?count=2000", None),
    "spectrogram": ("GET", "/v1/recordings/{id}/spectrogram?width=1200&height=96", None),
}
DRAWN = ("waveform", "spectrogram")
ADJECTIVES = [
    "quiet",
    "loud",
    "distant",
    "close",
    "wet",
    "dry",
    "short",
    "long",
    "heavy",
    "soft",
    "slow",
    "fast",
    "metallic",
    "wooden",
    "bright",
    "dark",
    "old",
    "small",
    "large",
    "hollow",
]
NOUNS = [
    "dog",
    "rain",
    "door",
    "engine",
    "bell",
    "bird",
    "wind",
    "train",
    "crowd",
    "piano",
    "drum",
    "footstep",
    "hammer",
    "river",
    "siren",
    "cat",
    "horn",
    "clock",
    "fire",
    "glass",
]


@contextmanager
def served(model: str, library: Path, root: Path) -> Iterator[int]:
    """`openclap serve`, page and all, with a library → its port."""
    command = [sys.executable, "-m", "openclap", "serve", "--port", "0", "--json", "--model", model, "--library", str(library), "--root", str(root)]  # fmt: skip
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield int(json.loads(process.stdout.readline())["url"].rpartition(":")[2])


def a_recording(folder: Path, minutes: float) -> np.ndarray:
    """The sounds of a folder, one after the other, for so long."""
    waves = [load(path, RATE) for path in sorted(folder.rglob("*")) if path.is_file() and is_sound(path.name)][:FILES]
    some = np.concatenate(waves)
    return np.resize(some / np.abs(some).max(), round(minutes * 60 * RATE)).astype(np.float32)


def as_file(recording: np.ndarray, number: int) -> bytes:
    """It as FLAC; each number begins elsewhere, so that nothing of it was heard before."""
    made = io.BytesIO()
    sf.write(made, np.roll(recording, number * 7 * RATE + 331), RATE, format="FLAC")
    return made.getvalue()


class Tab:
    """One connection, as a tab of a browser has it."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)

    def begin(self, method: str, path: str, wish: object = None) -> None:
        """Ask, and wait for nothing."""
        body = wish if isinstance(wish, bytes) or wish is None else json.dumps(wish).encode()
        kind = "application/octet-stream" if isinstance(wish, bytes) else "application/json"
        self.connection.request(method, path, body, {"Content-Type": kind, "Accept": "application/x-ndjson, */*"})

    def ask(self, method: str, path: str, wish: object = None) -> bytes:
        """Ask one thing → what was answered."""
        self.begin(method, path, wish)
        answer = self.connection.getresponse()
        data = answer.read()
        assert answer.status == 200, (answer.status, data[:300])
        return data

    def hang_up(self) -> None:
        """Go away; the server gives up what was asked."""
        self.connection.close()


class Searches:
    """Searches in words that were not asked before, one after the other."""

    def __init__(self, port: int) -> None:
        self._tab, self._words = Tab(port), map(" ".join, itertools.product(ADJECTIVES, ADJECTIVES, NOUNS))

    def timed(self, count: int) -> list[float]:
        """How long each of some took."""
        taken = []
        for words in itertools.islice(self._words, count):
            begun = time.perf_counter()
            self._tab.ask("POST", "/v1/search", {"query": words, "k": 50})
            taken.append(time.perf_counter() - begun)
            time.sleep(0.02)  # nobody types faster
        return taken


def uploaded(port: int, recording: np.ndarray, number: int) -> str:
    """A recording at the server → its id."""
    made = json.loads(Tab(port).ask("POST", "/v1/recordings?name=hour.flac", as_file(recording, number)))
    return quote(made["id"])


def measured(port: int, recording: np.ndarray, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds that searches took beside each job, and without any."""
    searches = Searches(port)
    found: dict[str, dict[str, list[float]]] = {name: {"idle": [], "busy": []} for name in JOBS}
    searches.timed(20)
    id = uploaded(port, recording, 0)
    for number in range(1, rounds + 1):
        for name, (method, path, wish) in JOBS.items():
            if name in DRAWN:  # once of each recording, so it needs a new one
                if number > DRAWINGS:
                    continue
                new = uploaded(port, recording, number * len(JOBS) + list(JOBS).index(name))
            found[name]["idle"] += searches.timed(AT_ONCE)
            tab = Tab(port)
            tab.begin(method, path.format(id=new if name in DRAWN else id), wish and {"recording": id, **wish})
            time.sleep(BEGUN)
            found[name]["busy"] += searches.timed(AT_ONCE)
            tab.hang_up()
            time.sleep(BEGUN)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        sounds = args.folder or place / "sounds"
        if args.folder is None:
            write_library(sounds, seed=7)
        index = [
            sys.executable,
            "-m",
            "openclap",
            "index",
            str(sounds),
            "--library",
            str(place / "library"),
            "--model",
            args.model,
        ]
        subprocess.run(index, check=False, capture_output=True)
        with served(args.model, place / "library", sounds) as port:
            found = measured(port, a_recording(sounds, args.minutes), args.rounds)
    table = Table(
        "beside", "searches", "idle ms", "busy ms", "ratio", "slowest ms", title="a search while an hour is listened to"
    )
    report: dict[str, dict[str, float]] = {}
    for name, seen in found.items():
        idle, busy = (float(np.median(seen[one])) for one in ("idle", "busy"))
        report[name] = {
            "searches": len(seen["busy"]), "idle_ms": round(1000 * idle, 1), "busy_ms": round(1000 * busy, 1),
            "ratio": round(busy / idle, 2), "slowest_ms": round(1000 * max(seen["busy"]), 1),
        }  # fmt: skip
        table.add_row(name, *map(str, report[name].values()))
    Console(width=120).print(table)
    print(json.dumps(report))
    sys.exit(any(one["ratio"] > ALLOWED for one in report.values()))


if __name__ == "__main__":
    exit_on_sigterm()
    main()
