"""Pictures of the page without a server, which `make web` builds: `python runs/web_screenshots.py [FOLDER] [--sounds FOLDER]`.

On a screen in English, on a dark one in 中文, and on a phone. Without `--sounds` the sounds are those that openclap makes itself.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from browser_for_tests import browser
from screenshots import LOOKS, WORDS, take
from web_for_tests import hosted, opened, says, wait

from openclap.synth import write_library


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent.parent / "docs" / "pictures")
    parser.add_argument("--sounds", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, hosted() as url, browser() as running:
        sounds = args.sounds or Path(place) / "sounds"
        if args.sounds is None:
            write_library(sounds, seed=7)
        for name, look in LOOKS.items():
            tab = opened(running, url, **look)
            says(tab, "model", "mini")
            tab.set_input_files("#folder-input", str(sounds))
            wait(tab, "document.querySelector('#working').hidden", 120)
            tab.fill("#query", WORDS[name])
            tab.press("#query", "Enter")
            tab.wait_for_selector("#results li")
            tab.click("#results li .play")
            take(tab, "browser", name, args.folder)


if __name__ == "__main__":
    main()
