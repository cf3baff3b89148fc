"""How well Chinese words find what English ones find, through the lexicon of openclap.language.

usage: python runs/chinese.py DATA     DATA/esc10 with its metadata.csv; OPENCLAP_MINI names the folder of runs/mini.sh

1. ESC-10, English labels against Chinese ones: each fold by the model that never heard it (OPENCLAP_MINI/fold1 … fold4) where
   they are, and mini as it ships, which was trained on these clips.
2. The shipped label lists: how many Chinese names are nearest to the English label of the same line, by mini's text vectors.
   A name counts where the nearest label is its own, or one with the very same vector.
3. Everyday phrases (chinese.csv), written after the lexicon and without it: how many are nearest to one of the AudioSet labels
   that would be right; the same for English sentences of the same meaning, which is what the model itself can do. What went
   wrong with every other one of the set `first` was looked at when the lexicon was mended; `fresh` came after that, and nothing
   was mended for it.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from openclap import CLAP
from openclap.errors import LanguageWarning, UsageError
from openclap.eval.zeroshot import class_vectors
from openclap.labels import labels

HERE = Path(__file__).parent
ESC10 = {
    "baby cry": "婴儿啼哭", "chainsaw": "电锯", "clock tick": "时钟滴答声", "dog bark": "狗叫", "fire crackling": "火焰噼啪声",
    "helicopter": "直升机", "person sneeze": "打喷嚏", "rain": "雨声", "rooster": "公鸡打鸣", "sea waves": "海浪",
}  # fmt: skip
PLAIN = [
    "婴儿哭",
    "油锯",
    "钟表滴答",
    "犬吠",
    "篝火",
    "直升飞机",
    "喷嚏",
    "下雨",
    "公鸡",
    "浪涛声",
]  # other words, same order


def esc10(model: str | Path, clips: list[dict[str, str]], folder: Path) -> dict[str, float]:
    """Zero-shot accuracy with each list of names."""
    clap, plain = (CLAP.from_pretrained(model, threads=1, translate=way) for way in ("auto", "off"))
    truth = np.array([list(ESC10).index(clip["label"]) for clip in clips])
    audio = clap.encode_audio([folder / clip["file"] for clip in clips])
    names = {"English": list(ESC10), "Chinese": list(ESC10.values()), "other Chinese words": PLAIN}
    prompts = {name: class_vectors(clap, list(given)) for name, given in names.items()}
    prompts["Chinese without the bridge"] = class_vectors(plain, list(ESC10.values()))
    return {name: float(((audio @ vectors.T).argmax(1) == truth).mean()) for name, vectors in prompts.items()}


def folds(data: Path) -> dict[str, dict[str, float]]:
    folder = data / "esc10"
    with (folder / "metadata.csv").open(encoding="utf-8") as file:
        clips = list(csv.DictReader(file))
    found = {}
    for fold in (1, 2, 3, 4):
        model = Path(os.environ.get("OPENCLAP_MINI", "")) / f"fold{fold}"
        if (model / "config.json").exists():
            held = [clip for clip in clips if Path(clip["file"]).name.startswith(f"{fold}-")]
            found[f"fold {fold}"] = esc10(model, held, folder)
    if found:
        found["mean of folds"] = {
            name: float(np.mean([fold[name] for fold in found.values()])) for name in found["fold 1"]
        }
    found["mini"] = esc10("mini", clips, folder)
    return found


def names(clap: CLAP) -> dict[str, float]:
    agree = {}
    for name in ("audioset", "esc50", "fsd50k", "urbansound8k", "vggsound", "gtzan"):
        own = clap.encode_text(labels(name))
        near = (clap.encode_text(labels(f"{name}.zh")) @ own.T).argmax(1)
        agree[name] = float(np.mean((own * own[near]).sum(1) > 0.99999))
    return agree


def phrases(clap: CLAP, chosen: str = "first") -> dict[str, float]:
    known = labels("audioset")
    vectors = clap.encode_text(known)
    with (HERE / "chinese.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["set"] == chosen]
    right: dict[str, list[bool]] = {"Chinese": [], "English": [], "Chinese, 5 best": [], "English, 5 best": []}
    left_out = unknown = 0
    for row in rows:
        wanted = set(row["labels"].split("|"))
        assert wanted <= set(known), wanted - set(known)
        for language, text in (("Chinese", row["zh"]), ("English", row["en"])):
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                try:
                    best = np.argsort(-(clap.encode_text(text) @ vectors.T)[0], kind="stable")[:5]
                except UsageError:
                    unknown, best = unknown + 1, np.zeros(0, np.int64)
            left_out += any(issubclass(warning.category, LanguageWarning) for warning in told)
            found = [known[i] for i in best]
            right[language].append(bool(wanted & set(found[:1])))
            right[f"{language}, 5 best"].append(bool(wanted & set(found)))
            if os.environ.get("OPENCLAP_VERBOSE") and language == "Chinese" and not right["Chinese"][-1]:
                print(row["zh"], "→", clap.in_english(text)[0], "→", found[:1], "instead of", row["labels"])
    shares = {name: float(np.mean(found)) for name, found in right.items()}
    return {"phrases": len(rows), **shares, "with a word left out": left_out, "of which nothing is known": unknown}


def main(data: Path) -> None:
    warnings.simplefilter("ignore", LanguageWarning)
    clap = CLAP.from_pretrained("mini", threads=1)
    report: dict[str, dict[str, Any]] = {
        "lists": names(clap),
        "phrases": phrases(clap),
        "fresh phrases": phrases(clap, "fresh"),
        "ESC-10": folds(data),
    }
    for title, rows in report.items():
        print(title)
        for name, value in rows.items():
            print(f"  {name:28}", value if not isinstance(value, dict) else {k: round(v, 4) for k, v in value.items()})
    print(json.dumps(report, ensure_ascii=False))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
