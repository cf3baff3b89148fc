"""How well words of other languages find what English ones find, through the lexicons of openclap.language.

usage: python runs/languages.py DATA [CODE …]     DATA/esc10 with its metadata.csv; codes are de es fr ja zh, by default all

1. ESC-10, English labels against translated ones, by mini as it ships, which was trained on these clips. The folds by
   models that never heard them are measured for Chinese alone (runs/chinese.py).
2. The shipped label lists: how many names are nearest to the English label of the same line, by mini's text vectors. A
   name counts where the nearest label is its own, or one with the very same vector.
3. Everyday phrases (languages.csv; of Chinese, chinese.csv), written after the lexicons and without them (Spanish was
   made larger later, by somebody who had read them): how many are
   nearest to one of the AudioSet labels that would be right; the same for English sentences of the same meaning.
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
from openclap.labels import LANGUAGES, labels

HERE = Path(__file__).parent
ESC10 = {
    "en": ["baby cry", "chainsaw", "clock tick", "dog bark", "fire crackling", "helicopter", "person sneeze", "rain", "rooster", "sea waves"],
    "de": ["Babygeschrei", "Kettensäge", "Uhrticken", "Hundegebell", "knisterndes Feuer", "Hubschrauber", "Niesen", "Regen", "Hahnenschrei", "Meereswellen"],
    "es": ["llanto de bebé", "motosierra", "tictac de reloj", "ladrido de perro", "fuego crepitando", "helicóptero", "estornudo", "lluvia", "canto de gallo", "olas del mar"],
    "fr": ["pleurs de bébé", "tronçonneuse", "tic-tac d'horloge", "aboiement de chien", "crépitement du feu", "hélicoptère", "éternuement", "pluie", "chant du coq", "vagues de la mer"],
    "ja": ["赤ちゃんの泣き声", "チェーンソー", "時計の針の音", "犬の鳴き声", "火がパチパチ燃える音", "ヘリコプター", "くしゃみ", "雨の音", "雄鶏の鳴き声", "海の波の音"],
    "zh": ["婴儿啼哭", "电锯", "时钟滴答声", "狗叫", "火焰噼啪声", "直升机", "打喷嚏", "雨声", "公鸡打鸣", "海浪"],
}  # fmt: skip


def esc10(clap: CLAP, codes: list[str], data: Path) -> dict[str, float]:
    """Zero-shot accuracy with the names of each language; the first is English."""
    folder = data / "esc10"
    with (folder / "metadata.csv").open(encoding="utf-8") as file:
        clips = list(csv.DictReader(file))
    truth = np.array([ESC10["en"].index(clip["label"]) for clip in clips])
    audio = clap.encode_audio([folder / clip["file"] for clip in clips])
    return {
        code: float(((audio @ class_vectors(clap, ESC10[code]).T).argmax(1) == truth).mean()) for code in ("en", *codes)
    }


def names(clap: CLAP, code: str) -> dict[str, float]:
    """Of each list, the share of names that are nearest to the English label of the same line."""
    agree = {}
    for name in LANGUAGES[code]:
        own = clap.encode_text(labels(name))
        near = (clap.encode_text(labels(f"{name}.{code}")) @ own.T).argmax(1)
        agree[name] = float(np.mean((own * own[near]).sum(1) > 0.99999))
    return agree


def phrases(clap: CLAP, code: str) -> dict[str, float]:
    """The share of phrases that are nearest to a right label of AudioSet, and how many have a word left out."""
    with (HERE / ("chinese.csv" if code == "zh" else "languages.csv")).open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("set", "fresh") == "fresh"]
    known = labels("audioset")
    vectors = clap.encode_text(known)
    right: dict[str, list[bool]] = {code: [], "en": []}
    left_out = 0
    for row in rows:
        wanted = set(row["labels"].split("|"))
        assert wanted <= set(known), wanted - set(known)
        for language, found in right.items():
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                try:
                    best = known[int((clap.encode_text(row[language]) @ vectors.T)[0].argmax())]
                except UsageError:
                    best = ""
            left_out += any(issubclass(warning.category, LanguageWarning) for warning in told)
            found.append(best in wanted)
            if os.environ.get("OPENCLAP_VERBOSE") and language == code and not found[-1]:
                print(row[code], "→", clap.in_english(row[code]), "→", best, "instead of", row["labels"])
    return {"phrases": len(rows), "left out": left_out, **{name: float(np.mean(some)) for name, some in right.items()}}


def main(data: Path, codes: list[str]) -> None:
    warnings.simplefilter("ignore", LanguageWarning)
    clap = CLAP.from_pretrained("mini", threads=1)
    report: dict[str, Any] = {
        "ESC-10": esc10(clap, codes, data),
        "names": {code: names(clap, code) for code in codes},
        "phrases": {code: phrases(clap, code) for code in codes},
    }
    for title, rows in report.items():
        print(title)
        for name, value in rows.items():
            shown = {k: round(v, 3) for k, v in value.items()} if isinstance(value, dict) else round(value, 3)
            print(f"  {name:4}", shown)
    print(json.dumps(report))


if __name__ == "__main__":
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= set(LANGUAGES):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:] or sorted(LANGUAGES))
