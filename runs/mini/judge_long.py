"""How well long recordings are heard at once, as they are window by window, and of their middle alone.

usage: python runs/mini/judge_long.py SOUNDS MODEL [MODEL …]

    looped   clips of the ESC-10 fold that is kept aside, played again and again to 23 s, named among the ten; as they are: 5 s
    long     recordings of 12 s and more that development.csv keeps aside, and long field recordings and music, found by their captions
    near     mean cosine of a long recording's embedding with the mean of its windows'

A model without a fusion has the last two ways only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from development import read_rules
from gather import RATE, Sounds, Wave
from sheet import TEMPLATE

from openclap import CLAP

__all__ = ["figures", "long_recordings", "looped", "ways"]

LOOPED = 23  # seconds
LONG, MOST = 12, 60  # seconds
FOLDERS = ("long", "berklee", "things", "music")
Array = npt.NDArray[np.float32]
Asked = list[tuple[str, Wave]]  # captions and recordings
Embed = Callable[[list[Wave]], Array]


def looped(sounds: Path) -> Asked:
    """The clips of the fold with their labels, as they are."""
    rules = [rule for rule in read_rules() if rule.set == "fold"]
    store = Sounds(sounds, "esc10")
    chosen = [i for i, row in enumerate(store.rows) if any(r.matches("esc10", row.name, row.caption) for r in rules)]
    return [(store.rows[i].label, store.wave(i)) for i in chosen]


def long_recordings(sounds: Path) -> Asked:
    """What is kept aside and long, and all of the folder of field recordings, which the fusion may have heard parts of."""
    rules, found = read_rules(), []
    for folder in FOLDERS:
        if not (sounds / f"{folder}.csv").is_file():
            continue
        store = Sounds(sounds, folder)
        for i, row in enumerate(store.rows):
            aside = folder == "long" or any(rule.matches(folder, row.name, row.caption) for rule in rules)
            if aside and row.samples > LONG * RATE:
                found.append((row.caption, store.wave(i, 0, MOST * RATE)))
    return found


def ways(clap: CLAP) -> dict[str, Embed]:
    """Recordings → embeddings, in every way that the model has."""
    length = round(clap.config.front_end.clip_seconds * RATE)

    def middle(wave: Wave) -> Wave:
        start = max(0, len(wave) - length) // 2
        return wave[start : start + length]

    found: dict[str, Embed] = {
        "windows": lambda waves: clap.encode_audio([(w, RATE) for w in waves], long="windows"),
        "middle": lambda waves: clap.encode_audio([(middle(w), RATE) for w in waves]),
    }
    if clap.config.fusion is not None:
        found["fusion"] = lambda waves: clap.encode_audio([(w, RATE) for w in waves], long="fusion")
    return found


def figures(clap: CLAP, clips: Asked, recordings: Asked) -> dict[str, dict[str, float]]:
    """Every way's numbers, each a share or a cosine."""
    labels, captions = sorted({label for label, _ in clips}), sorted({caption for caption, _ in recordings})
    names = clap.encode_text([TEMPLATE.format(label) for label in labels])
    texts = clap.encode_text(captions)
    wanted = np.array([labels.index(label) for label, _ in clips])
    own = np.array([captions.index(caption) for caption, _ in recordings])
    repeated = [np.resize(wave, LOOPED * RATE) for _, wave in clips]
    long = [wave for _, wave in recordings]
    found, short = {}, clap.encode_audio([(wave, RATE) for _, wave in clips])
    windows = ways(clap)["windows"](long)
    for name, embed in ways(clap).items():
        again, heard = embed(repeated), embed(long)
        best = np.argsort(-(heard @ texts.T), axis=1, kind="stable")
        found[name] = {
            "5 s named": _share((short @ names.T).argmax(1) == wanted),
            "looped named": _share((again @ names.T).argmax(1) == wanted),
            "looped near 5 s": _share((again * short).sum(1)),
            "long found": _share(best[:, 0] == own),
            "long among five": _share((best[:, :5] == own[:, None]).any(1)),
            "long near windows": _share((heard * windows).sum(1)),
        }
    return found


def _share(values: npt.ArrayLike) -> float:
    return round(float(np.asarray(values, float).mean()), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", type=Path)
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()
    clips, recordings = looped(args.sounds), long_recordings(args.sounds)
    for name in args.models:
        for way, numbers in figures(CLAP.from_pretrained(name, threads=1), clips, recordings).items():
            print(json.dumps({"model": name, "way": way, **numbers}), flush=True)


if __name__ == "__main__":
    main()
