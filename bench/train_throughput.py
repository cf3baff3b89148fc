"""Training steps of HTSAT-tiny and RoBERTa at full size: openclap's loop beside a plain one around transformers' ClapModel.

usage: python bench/train_throughput.py [--batch 4] [--steps 5] [--threads 2] [--ways openclap transformers] [--freeze-text]

Both take the same synthesised 10-s clips at 48 kHz and the same captions, make mels, run forward and backward with the symmetric loss
(transformers' own counts one direction twice), and step AdamW. Each has a process of its own; steps alternate. Random weights; the last
line is JSON. "openclap bfloat16" is training's `precision: bfloat16`, which CPUs without AVX512-BF16 or AMX are slower in.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
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
from openclap.train.step import Step, autocast_dtype

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


@dataclass(frozen=True)
class How:
    """How steps are made; `ready`: mels are made once before, as bench/cuda.py compares the towers alone."""

    device: str = "cpu"
    precision: str = "float32"
    freeze_text: bool = False
    ready: bool = False
    tiny: bool = False


TINY_TEXT = {"width": 16, "layers": 2, "heads": 2, "intermediate": 32}
TINY_AUDIO = {"width": 8, "depths": (1, 2, 1), "heads": (2, 2, 4)}


def clap_config(how: How) -> CLAPConfig:
    audio = HTSATConfig(**TINY_AUDIO) if how.tiny else HTSATConfig()  # type: ignore[arg-type]
    text = TextConfig(**TINY_TEXT) if how.tiny else TextConfig()  # type: ignore[arg-type]
    return CLAPConfig(audio=audio, text=text, front_end=FrontEnd(), fusion=None)


def with_openclap(count: int, how: How = How()) -> Callable[[], float]:
    set_malloc(KEEP_FREED)  # as `train` does
    config = clap_config(how)
    torch.manual_seed(0)
    model = CLAPModel(config).to(how.device).train()
    if how.freeze_text:
        model.text.requires_grad_(False)
    optimiser = make_optimiser((p for p in model.parameters() if p.requires_grad), 1e-4, (0.9, 0.999))
    dtype = autocast_dtype(how.precision)
    step = Step(lambda some: tokens(len(some)), Augment(), autocast_dtype=dtype)
    sounds = waves(count)
    numbers = torch.arange(count)
    meaning = PairLabels(
        torch.stack([numbers, torch.full_like(numbers, -1)], 1), numbers, torch.zeros(count, dtype=torch.bool),
        torch.full((count, 2, 1), -1), torch.full((count, 1), -1),
    )  # fmt: skip

    def mels() -> torch.Tensor:
        return torch.from_numpy(np.stack([log_mel(wave, config.front_end) for wave in sounds]))[:, None]

    made = mels().to(how.device) if how.ready else None

    def one() -> float:
        mel = mels() if made is None else made
        batch = Batch(mel, torch.zeros(count, dtype=torch.bool), texts(count), meaning)
        optimiser.zero_grad(set_to_none=True)
        loss = step.gradients(model, batch, 1)
        optimiser.step()
        return loss

    return one


def with_transformers(count: int, how: How = How()) -> Callable[[], float]:
    import transformers

    audio: dict[str, Any] = {"enable_fusion": False}
    text: dict[str, Any] = {}
    if how.tiny:
        audio |= {
            "patch_embeds_hidden_size": 8,
            "depths": [1, 2, 1],
            "num_attention_heads": [2, 2, 4],
            "hidden_size": 32,
        }
        text = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.ClapConfig(audio_config=audio, text_config=text, projection_dim=512)
    torch.manual_seed(0)
    model: Any = transformers.ClapModel(config).to(how.device).train()
    if how.freeze_text:
        model.text_model.requires_grad_(False)
    extractor = transformers.ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad", frequency_min=50)
    optimiser = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-4)
    dtype = autocast_dtype(how.precision)
    sounds = waves(count)

    def mels() -> torch.Tensor:
        found = extractor(sounds, sampling_rate=48_000, return_tensors="pt")
        return found["input_features"].to(how.device)

    made = mels() if how.ready else None

    def one() -> float:
        mel = mels() if made is None else made
        ids, mask = (part.to(how.device) for part in tokens(count))
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(how.device.partition(":")[0], dtype, enabled=dtype is not None):
            found = model(input_ids=ids, attention_mask=mask, input_features=mel)
        logits = found.logits_per_audio.float()
        target = torch.arange(count, device=how.device)
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return float(loss.detach())

    return one


WAYS: dict[str, tuple[Callable[[int, How], Callable[[], float]], str]] = {
    "openclap": (with_openclap, "float32"),
    "openclap bfloat16": (with_openclap, "bfloat16"),
    "transformers": (with_transformers, "float32"),
    "transformers bfloat16": (with_transformers, "bfloat16"),
}


def serve(way: str, args: argparse.Namespace, line: Any) -> None:
    """A step and its seconds whenever asked."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(args.threads)
    make, precision = WAYS[way]
    one = make(args.batch, How(precision=precision, freeze_text=args.freeze_text))
    one()
    line.send(0.0)
    while line.recv():
        begun = time.perf_counter(), time.process_time()
        one()
        line.send((time.perf_counter() - begun[0], time.process_time() - begun[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=["openclap", "transformers"])
    parser.add_argument("--freeze-text", action="store_true")
    args = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    lines: dict[str, Any] = {}
    for way in args.ways:
        lines[way], other = context.Pipe()
        context.Process(target=serve, args=(way, args, other), daemon=True).start()
        lines[way].recv()
    seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in args.ways}
    for _ in range(args.steps):
        for way, line in lines.items():
            line.send(True)
            seconds[way].append(line.recv())
    for line in lines.values():
        line.send(False)
    last = np.array(seconds[args.ways[-1]])
    title = f"batch {args.batch}, {args.threads} threads; last column: processor time"
    table = Table("", "s a step", "clips/s", f"{args.ways[-1]} ÷ it", "", title=title)
    found: dict[str, Any] = {"bench": "train_throughput", "batch": args.batch, "freeze_text": args.freeze_text}
    for name, some in seconds.items():
        wall, cpu = np.median(np.array(some), axis=0)
        ratios = last / np.array(some)  # (steps, 2): by the clock, by the processor
        by_clock, by_processor = np.median(ratios, axis=0)
        span = f"{by_clock:.2f} ({ratios[:, 0].min():.2f} to {ratios[:, 0].max():.2f})"
        table.add_row(name, f"{wall:.2f}", f"{args.batch / wall:.2f}", span, f"{by_processor:.2f}")
        found[name] = {"seconds": round(float(wall), 3), "processor": round(float(cpu), 3),
                       "ratio": round(float(by_clock), 3), "ratio_processor": round(float(by_processor), 3)}  # fmt: skip
    Console(width=110).print(table)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
