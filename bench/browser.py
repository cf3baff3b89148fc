"""How near and how fast the page without a server is, beside openclap on the same sounds: `make web`, then this.

usage: python bench/browser.py [FOLDER] [--most 200]

A real Chromium listens to the sounds of FOLDER, or to synthesised ones. Of every window its vector is compared with that
of openclap, by format. Both take the files in turns, ROUND at a time; the ratio is the median of the rounds', with openclap on
one thread. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import numpy as np
from browser_for_tests import browser
from rich.console import Console
from rich.table import Table
from web_for_tests import RECORDINGS, hosted, opened, says, wait

from openclap import CLAP
from openclap.audio.clips import window_starts
from openclap.audio.levels import level_of
from openclap.audio.load import load
from openclap.errors import SoundError
from openclap.library.scan import is_sound
from openclap.normalization import Vectors
from openclap.silence import is_heard
from openclap.synth import write_library

ROUND = 30  # files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--most", type=int, default=200, help="files that are taken, evenly of all")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # channels that cancel each other out, damaged ends
    with tempfile.TemporaryDirectory() as place:
        files = chosen(args.folder, Path(place), args.most)
        clap = CLAP.from_pretrained("mini", threads=1)
        clap.encode_audio([(np.ones(10, np.float32), 32_000)])  # loaded before anything is timed
        own: dict[str, Vectors] = {}
        ratios = []
        with hosted() as url, browser() as running:
            tab = opened(running, url)
            says(tab, "model", "works without a network")
            for i in range(0, len(files), ROUND):
                seconds = by_openclap(clap, files[i : i + ROUND], own)
                ratios.append(by_browser(tab, files[i : i + ROUND]) / seconds)
            found = {path: np.array(row, np.float32).reshape(-1, 512) for path, _, _, row in tab.evaluate(RECORDINGS)}
    show(own, found, float(np.median(ratios)))


def chosen(folder: Path | None, place: Path, most: int) -> list[Path]:
    """Sounds under numbered names in a folder of their own."""
    if folder is None:
        write_library(place / "made", seed=1)
    every = sorted(path for path in (folder or place / "made").rglob("*") if is_sound(path.name))
    (place / "sounds").mkdir()
    step = max(1, len(every) // most)
    return [
        Path(shutil.copy(path, place / "sounds" / f"{i:04d}{path.suffix.lower()}"))
        for i, path in enumerate(every[::step][:most])
    ]


def by_openclap(clap: CLAP, files: list[Path], own: dict[str, Vectors]) -> float:
    """Put the vectors of the windows in which something is heard into `own`, by name → the seconds that it took."""
    begun = time.perf_counter()
    rate, size = clap.front_end.sampling_rate, clap.front_end.clip_samples
    for file in files:
        try:
            wave = load(file, rate)
        except SoundError:
            continue
        windows = [wave[start : start + size] for start in window_starts(len(wave), size, size / 2)]
        heard = [(one, rate) for one in windows if is_heard(level_of(one, rate))]
        own[file.name] = clap.encode_audio(heard)
    return time.perf_counter() - begun


def by_browser(tab: Any, files: list[Path]) -> float:
    """Let the browser listen to the files → the seconds that it took."""
    begun = time.perf_counter()
    tab.set_input_files("#files-input", files)
    wait(tab, "document.querySelector('#working').hidden", 3600)
    return time.perf_counter() - begun


def show(own: dict[str, Vectors], found: dict[str, Vectors], ratio: float) -> None:
    """Print the table, by format."""
    table = Table("format", "files", "windows", "difference", "worst cosine", "median", "< 0.999", "not alike")
    kinds: dict[str, list[str]] = defaultdict(list)
    for name in own:
        kinds[Path(name).suffix].append(name)
    results = {}
    for kind, names in sorted(kinds.items()):
        same = [name for name in names if name in found and len(found[name]) == len(own[name]) > 0]
        cosines = [float((found[name] * own[name]).sum(1).min()) for name in same]
        difference = max((float(np.abs(found[name] - own[name]).max()) for name in same), default=0.0)
        results[kind] = {"files": len(same), "difference": difference, "worst_cosine": min(cosines, default=1.0)}
        windows = sum(len(own[name]) for name in same)
        table.add_row(
            kind, str(len(same)), str(windows), f"{difference:.1e}", f"{min(cosines, default=1.0):.5f}",
            f"{np.median(cosines) if cosines else 1:.5f}", str(sum(one < 0.999 for one in cosines)), str(len(names) - len(same)),
        )  # fmt: skip
    Console().print(table)
    print(json.dumps({"time_ratio": round(ratio, 2), "formats": results}))


if __name__ == "__main__":
    main()
