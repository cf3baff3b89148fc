"""How long a short question waits while somebody else has an hour in Moments, a timeline, a long sound or a library at work on the page.

usage: python bench/fairness.py [--model mini | laion] [--minutes 60] [--questions 20]

One desk, as behind the page, with one model. Each long job is begun, and stopped when the questions are answered; a question is a sound
of 3 s and five labels on the tab Classify, or a search by words. `laion` is the full-size HTSAT and RoBERTa with random weights, which is as slow as a trained one.
The last line is JSON; exit code 1 where an answer took more than a second.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile as sf
from rich.console import Console
from rich.table import Table

from openclap import CLAP, CLAPConfig
from openclap.audio.decode_limits import DecodingStopped
from openclap.page import classify, describe, moments, search
from openclap.page.desk import Desk
from openclap.page.filling import Filling, fill
from openclap.page.jobs import Job
from openclap.page.parts import Page
from openclap.page.settings import PageSettings
from openclap.page.wording import Visit, Wording

RATE = 16_000
ALLOWED = 1.0  # seconds


def model_of(name: str, folder: Path) -> CLAP:
    if name != "laion":
        return CLAP.from_pretrained(name)
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from conftest import write_tokenizer

    made = CLAP.from_config(
        CLAPConfig(name="full-size", fusion="aff_2d"), tokenizer=write_tokenizer(folder / "words.json")
    )
    made.save_pretrained(folder / "model")
    return CLAP.from_pretrained(folder / "model", precision="float32")


def sounds(folder: Path, minutes: float) -> tuple[Path, Path, Path]:
    """A long recording, a short sound, and a folder of many."""
    rng = np.random.default_rng(0)
    long, short, many = folder / "long.wav", folder / "short.wav", folder / "many"
    with sf.SoundFile(long, "w", RATE, 1) as file:
        for _ in range(round(minutes)):
            file.write(0.1 * rng.standard_normal(60 * RATE))
    sf.write(short, 0.1 * rng.standard_normal(3 * RATE), RATE)
    many.mkdir()
    for number in range(round(10 * minutes)):
        sf.write(many / f"{number}.wav", 0.1 * rng.standard_normal(10 * RATE), RATE)
    return long, short, many


def measured(ask: Callable[[], object], count: int) -> list[float]:
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - begun)
    return sorted(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--questions", type=int, default=20)
    args = parser.parse_args()
    visit = Visit("en", "long")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        long, short, many = sounds(folder, args.minutes)
        desk = Desk(PageSettings(roots=(folder,), library=str(folder / "library")), model_of(args.model, folder))
        page = Page(desk, Wording(), None)

        def filled(job: Job) -> None:
            run = Filling(stop=job.stop)
            for _ in fill(desk, str(many), [], [], "long", run):
                pass

        jobs: dict[str, Callable[[Job], object]] = {
            "nothing": lambda job: job.stop.wait(),
            "moments": lambda job: moments.compute(page, str(long), "rain", 3, job=job),
            "timeline": lambda job: describe.compute(page, str(long), "", True, job=job),
            "classify": lambda job: classify.compute(page, str(long), "rain, wind", job=job),
            "search by it": lambda job: search.compute(
                page, visit, "examples", "", str(long), 3, search.Filters(), job=job
            ),
            "index": filled,
        }
        questions: dict[str, Callable[[], object]] = {
            "classify": lambda: classify.compute(page, str(short), "rain, wind, dog, siren, bells"),
            "search": lambda: search.compute(
                page, Visit("en", "short"), "examples", "a dog barking", None, 5, search.Filters()
            ),
        }
        for ask in questions.values():
            ask()  # towers, banks, the examples' library
        table = Table("at work", *(f"{what}, {which}" for what in questions for which in ("median", "slowest")))
        found: dict[str, dict[str, float]] = {}
        for work, call in jobs.items():
            job = Job("long", work)
            thread = threading.Thread(target=_until_stopped, args=(call, job))
            thread.start()
            time.sleep(1.0)  # well under way
            row = {}
            for what, ask in questions.items():
                taken = measured(ask, args.questions)
                row[f"{what} median"], row[f"{what} slowest"] = round(taken[len(taken) // 2], 3), round(taken[-1], 3)
            still = thread.is_alive()
            job.stop.set()
            begun = time.perf_counter()
            thread.join()
            row["stopped after"] = round(time.perf_counter() - begun, 3)
            table.add_row(
                work if still else f"{work} (over before)", *(f"{one:.3f} s" for one in list(row.values())[:-1])
            )
            found[work] = row
        desk.close()
    Console().print(table)
    slowest = max(value for row in found.values() for name, value in row.items() if name.endswith("slowest"))
    print(json.dumps({"model": args.model, "minutes": args.minutes, "slowest": slowest, "jobs": found}))
    raise SystemExit(slowest > ALLOWED)


def _until_stopped(call: Callable[[Job], object], job: Job) -> None:
    try:
        call(job)
    except DecodingStopped:
        return


if __name__ == "__main__":
    main()
