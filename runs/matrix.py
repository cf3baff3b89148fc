"""Every kind of audio tower × text tower × fusion, small and from random weights: does it learn, and does it hear what it has not heard.

usage: python runs/matrix.py ESC10_FOLDER OUT [--epochs 40] [--only htsat-roberta-aff_2d …]

Trains on folds 1 to 3 of ESC-10 and names the clips of fold 4 (chance is 0.10). Prints a table in Markdown; the last line is JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.console import Console
from rich.progress import track
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from openclap import CLAP
from openclap.train import train

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
PROMPT = "the sound of {}"
FRONT = {"sampling_rate": 16_000, "n_fft": 1024, "hop": 640, "mel_bins": 64, "f_min": 50.0, "f_max": 7900.0, "dynamic_range": 80.0, "padding": "repeat"}  # fmt: skip
AUDIO = {
    "htsat": {"kind": "htsat", "width": 24, "depths": [1, 1, 2], "heads": [2, 4, 8], "image": 128, "drop_path": 0.0},
    "pann": {"kind": "pann", "widths": [16, 32, 64, 128], "convs": 1, "pools": [[2, 2], [2, 2], [2, 2], [2, 2]], "output": 128, "dropout": 0.1, "head_dropout": 0.1, "output_dropout": 0.0},
}  # fmt: skip
FUSIONS: dict[str, tuple[str | None, ...]] = {"htsat": (None, "aff_2d"), "pann": (None, "aff_2d")}


def tokenizer_of(words: set[str], file: Path) -> int:
    """A word-level tokenizer.json → its size, with one more id that ends CLIP's texts as the largest of all."""
    vocabulary = {word: i for i, word in enumerate((*SPECIALS, *sorted(words)))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(file))
    return len(vocabulary) + 1


def text_of(kind: str, size: int) -> dict[str, Any]:
    small = {
        "kind": kind,
        "vocabulary": size,
        "width": 64,
        "layers": 2,
        "heads": 4,
        "intermediate": 128,
        "positions": 80,
        "dropout": 0.0,
    }
    end = size - 1 if kind == "clip" else 2
    types = {"roberta": 1, "bert": 2, "clip": 0}[kind]
    activation = "quick_gelu" if kind == "clip" else "gelu"
    return {**small, "begin_id": 0, "end_id": end, "pad_id": 1, "token_types": types, "activation": activation}


def judge(folder: Path, model: Path, labels: list[str], rows: list[dict[str, str]]) -> float:
    """The share of clips whose own label is nearest."""
    clap = CLAP.from_pretrained(model, device="cpu")
    text = clap.encode_text([PROMPT.format(label) for label in labels])
    audio = clap.encode_audio([folder / row["file"] for row in rows])
    return float(np.mean([labels[i] == row["label"] for i, row in zip((audio @ text.T).argmax(1), rows, strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--only", nargs="*")
    args = parser.parse_args()
    with (args.folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = sorted({row["label"] for row in rows})
    held = [row for row in rows if Path(row["file"]).name.startswith("4-")]
    args.out.mkdir(parents=True, exist_ok=True)
    words = {word for row in rows for word in row["caption"].lower().split()} | set(PROMPT.format("").split())
    size = tokenizer_of(words, args.out / "tokenizer.json")
    runs = [(a, t, f) for a in AUDIO for t in ("roberta", "bert", "clip") for f in FUSIONS[a]]
    found: dict[str, Any] = {}
    print(
        "| audio | text | fusion | loss, first and last epoch | accuracy on fold 4 | seconds |\n|---|---|---|---|---|---|"
    )
    for audio, text, fusion in track(runs, "runs", console=Console(stderr=True)):
        name = f"{audio}-{text}-{fusion or 'none'}"
        if args.only and name not in args.only:
            continue
        settings = {
            "out": name, "tokenizer": "tokenizer.json",
            "model": {"name": name, "embedding": 64, "fusion": fusion, "front_end": FRONT, "audio": AUDIO[audio], "text": text_of(text, size)},
            "sources": [{"folder": str(args.folder.resolve()), "include": ["[123]-*"]}],
            "templates": [PROMPT], "template_share": 0.0, "epochs": args.epochs, "batch_size": 40, "crop_seconds": 10.0,
            "learning_rate": 0.001, "warmup_share": 0.1, "clip_gradient": 5.0, "weight_decay": 0.05, "lengthen": 4.0, "longer_share": 0.5, "threads": 1,
            "augment": {"stretch": 0.15, "pitch_bins": 2.0, "equaliser_db": 3.0, "noise_share": 0.3, "time_masks": 1, "time_mask_frames": 24, "mel_masks": 1, "mel_mask_bins": 6},
        }  # fmt: skip
        config = args.out / f"{name}.yaml"
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        begun = time.monotonic()
        train(config, resume=False, progress=False)
        seconds = time.monotonic() - begun
        with (args.out / name / "log.csv").open(encoding="utf-8", newline="") as file:
            losses = [float(row["loss"]) for row in csv.DictReader(file)]
        accuracy = judge(args.folder, args.out / name, labels, held)
        found[name] = {
            "first": losses[0],
            "last": losses[-1],
            "accuracy": round(accuracy, 3),
            "seconds": round(seconds),
        }
        print(
            f"| {audio} | {text} | {fusion or 'none'} | {losses[0]:.2f} → {losses[-1]:.2f} | {accuracy:.3f} | {seconds:.0f} |",
            flush=True,
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
