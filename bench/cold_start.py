"""Cold starts: a whole process from nothing to its answer, ours against what peers need only to import.

usage: python bench/cold_start.py [FOLDER] [--rounds 7]

Indexes FOLDER (synthesised sounds without one) with mini and with a full-size RoBERTa text tower of random weights, then
starts each process again and again, interleaved; files are in the page cache. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from child_processes import exit_on_sigterm
from rich.console import Console
from rich.table import Table

from openclap.synth import write_library

PEER = "import torch; from transformers import ClapModel"


def run(*command: str, env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *command], env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - began


def with_tokenizer(folder: Path) -> None:
    """A byte-level tokenizer of RoBERTa's size over words of no language, since the real one cannot be made here."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [(a, b) for a in letters for b in letters][:49_900]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *letters, *dict.fromkeys(a + b for a, b in merges)]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside:
        place = Path(aside)
        if args.folder is None:
            write_library(place / "sounds", seed=1)
        sounds = str(args.folder or place / "sounds")
        weights = place / "weights"
        subprocess.run([sys.executable, str(Path(__file__).with_name("end_to_end.py")), "--save", "--weights", str(weights)], check=True)  # fmt: skip
        with_tokenizer(weights)
        env = {**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "HF_HUB_OFFLINE": "1"}
        one = next(p for p in sorted(Path(sounds).rglob("*")) if p.suffix in (".wav", ".ogg", ".flac"))
        small = ("-m", "openclap", "search", "a dog barking", "--library", str(place / "mini"))
        large = (
            "-m",
            "openclap",
            "search",
            "a dog barking",
            "--library",
            str(place / "large"),
            "--model",
            str(weights),
        )
        hear = ("-m", "openclap", "classify", str(one), "--labels", "dog, rain")
        subprocess.run([sys.executable, "-m", "openclap", "index", sounds, "--library", str(place / "mini")], env=env, check=False)  # fmt: skip
        subprocess.run([sys.executable, "-m", "openclap", "index", str(one), "--library", str(place / "large"), "--model", str(weights)], env=env, check=False)  # fmt: skip
        commands = {
            "openclap search, mini": small,
            "openclap search, RoBERTa": large,
            "openclap classify, mini": hear,
            "openclap classify, HTSAT + RoBERTa": (*hear, "--model", str(weights)),
            f"python -c '{PEER}'": ("-c", PEER),
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for command in commands.values():
            run(*command, env=env)
        for _ in range(args.rounds):
            for name, command in commands.items():
                times[name].append(run(*command, env=env))
    table = Table(title=f"whole processes, median of {args.rounds}")
    for column in ("what", "seconds", "spread", "share of the peers' imports"):
        table.add_column(column, justify="left" if column == "what" else "right")
    base = list(times)[-1]
    shares = {name: statistics.median(a / b for a, b in zip(times[name], times[base], strict=True)) for name in times}
    for name, values in times.items():
        table.add_row(name, f"{statistics.median(values):.2f}", f"{min(values):.2f}-{max(values):.2f}", f"{shares[name]:.2f}")  # fmt: skip
    Console(width=120).print(table)
    print(json.dumps({name: {"seconds": round(statistics.median(v), 3), "share": round(shares[name], 3)} for name, v in times.items()}))  # fmt: skip


if __name__ == "__main__":
    exit_on_sigterm()
    main()
