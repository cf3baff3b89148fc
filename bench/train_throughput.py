"""Training steps of HTSAT-tiny and RoBERTa at full size: openclap's loop beside a plain one around transformers' ClapModel.

usage: python bench/train_throughput.py [--batch 4] [--steps 3] [--threads 2]

Both take the same synthesised 10-s clips at 48 kHz and the same captions, make mels, run forward and backward with the symmetric loss
(transformers' own counts one direction twice), and step AdamW. Each has a process of its own; steps alternate. Random weights; the last
line is JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table

from openclap.audio.mel import log_mel
from openclap.config import CLAPConfig, FrontEnd, HTSATConfig, TextConfig
from openclap.malloc import KEEP_FREED, set_malloc
from openclap.models.clap import CLAPModel
from openclap.train.batch import Batch, PairLabels
from openclap.train.optimizer import make_optimiser
from openclap.train.settings import Augment
from openclap.train.step import Step

CAPTIONS = [
    "a dog barks in the distance",
    "heavy rain on a tin roof",
    "an old car starts and drives away",
    "people are laughing",
]


def waves(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(0.1 * rng.standard_normal(480_000)).astype(np.float32) for _ in range(count)]


def texts(count: int) -> list[str]:
    return [CAPTIONS[i % len(CAPTIONS)] for i in range(count)]


def tokens(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """As RoBERTa's tokenizer would: about nine a caption; both sides get the same."""
    ids = torch.from_numpy(np.random.default_rng(1).integers(5, 50_000, (count, 9)))
    ids[:, 0], ids[:, -1] = 0, 2
    return ids, torch.ones_like(ids)


def with_openclap(count: int) -> Callable[[], float]:
    set_malloc(KEEP_FREED)  # as `train` does
    config = CLAPConfig(audio=HTSATConfig(), text=TextConfig(), front_end=FrontEnd(), fusion=None)
    torch.manual_seed(0)
    model = CLAPModel(config).train()
    optimiser = make_optimiser(model.parameters(), 1e-4, (0.9, 0.999))
    step = Step(lambda some: tokens(len(some)), Augment())
    sounds = waves(count)
    numbers = torch.arange(count)
    meaning = PairLabels(
        torch.stack([numbers, torch.full_like(numbers, -1)], 1), numbers, torch.zeros(count, dtype=torch.bool),
        torch.full((count, 2, 1), -1), torch.full((count, 1), -1),
    )  # fmt: skip

    def one() -> float:
        mel = torch.from_numpy(np.stack([log_mel(wave, config.front_end) for wave in sounds]))[:, None]
        batch = Batch(mel, torch.zeros(count, dtype=torch.bool), texts(count), meaning)
        optimiser.zero_grad(set_to_none=True)
        loss = step.gradients(model, batch, 1)
        optimiser.step()
        return loss

    return one


def with_transformers(count: int) -> Callable[[], float]:
    import transformers

    config = transformers.ClapConfig(audio_config={"enable_fusion": False}, projection_dim=512)
    torch.manual_seed(0)
    model: Any = transformers.ClapModel(config).train()
    extractor = transformers.ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad", frequency_min=50)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    sounds = waves(count)

    def one() -> float:
        features = extractor(sounds, sampling_rate=48_000, return_tensors="pt")
        ids, mask = tokens(count)
        optimiser.zero_grad(set_to_none=True)
        found = model(input_ids=ids, attention_mask=mask, input_features=features["input_features"])
        logits = found.logits_per_audio
        target = torch.arange(count)
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return float(loss.detach())

    return one


WAYS = {"openclap": with_openclap, "transformers": with_transformers}


def serve(way: str, batch: int, threads: int, line: Any) -> None:
    """A step and its seconds whenever asked."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    one = WAYS[way](batch)
    one()
    line.send(0.0)
    while line.recv():
        begun = time.perf_counter()
        one()
        line.send(time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    lines: dict[str, Any] = {}
    for way in WAYS:
        lines[way], other = context.Pipe()
        context.Process(target=serve, args=(way, args.batch, args.threads, other), daemon=True).start()
        lines[way].recv()
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(args.steps):
        for way, line in lines.items():
            line.send(True)
            seconds[way].append(line.recv())
    for line in lines.values():
        line.send(False)
    median = {name: float(np.median(some)) for name, some in seconds.items()}
    ratios = np.array(seconds["transformers"]) / np.array(seconds["openclap"])
    title = f"batch {args.batch}, {args.threads} threads: openclap {np.median(ratios):.2f} times as fast ({ratios.min():.2f} to {ratios.max():.2f})"
    table = Table("", "s a step", "clips/s", title=title)
    for name, some in median.items():
        table.add_row(name, f"{some:.2f}", f"{args.batch / some:.2f}")
    Console(width=100).print(table)
    print(
        json.dumps(
            {**{name: round(some, 3) for name, some in median.items()}, "ratio": round(float(np.median(ratios)), 3)}
        )
    )


if __name__ == "__main__":
    main()
