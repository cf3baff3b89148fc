"""A model that hears ten seconds learns to hear a long recording at once: a fusion is added to it, all else stays as it is.

usage: python runs/mini/fuse.py CHECKPOINT OUT --sounds SOUNDS [--steps N] [--recordings N]
  CHECKPOINT  an unfused model of convolution blocks: what speak.py wrote
  OUT         a folder that CLAP.from_pretrained loads; OUT.run beside it keeps recordings and state: a stopped run goes on from there
  SOUNDS      what gather.py made

    long recording ─┬─ windows ─ CHECKPOINT ─ mean of their embeddings ──────────────────┐
                    └─ global and three local views ─ block 1, fusion ─ blocks 2 … ──────┴─ cosine → 1

Only the fusion and the convolution of local views learn. A recording of a clip or less never meets them, so its embedding is what it
was. Takes some eight minutes on one core; judge_long.py says what came of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gather import RATE, Sounds, Wave
from hear import open_sources
from torch import Tensor, nn

from openclap import CLAP
from openclap.audio.clips import make_clip
from openclap.checkpoints.load import Checkpoint, load_checkpoint
from openclap.checkpoints.native import is_compact, save_pretrained
from openclap.checkpoints.weights import Weights, entries_from_arrays
from openclap.models.clap import CLAPModel
from openclap.models.pann import FusedPANN

__all__ = ["Fusing", "LongSounds", "Piece", "begin", "fused"]

LEAN = 1.0  # of the attention's sigmoid at first: 0.73 of the global view, 0.27 of the local ones
SHORTEST, LONGEST = 10.2, 60.0  # seconds of a recording
PIECE = 250  # recordings that are made and kept at once; the last piece is not trained on
BATCH = 16
WARM = 30  # steps
EVERY = 100  # steps between states
LEARNT = ("audio.local_project.", "audio.fusion.")
Array = npt.NDArray[np.float32]
Source = tuple[Sounds, list[int], float]


class LongSounds:
    """Recordings of 10 to 60 s: one sound played again and again, several after each other, some over a quiet one."""

    def __init__(self, sources: list[Source]) -> None:
        self._sources = [source for source in sources if source[1]]
        shares = np.array([share for _, _, share in self._sources])
        self._shares = shares / shares.sum()

    def draw(self, rng: np.random.Generator) -> Wave:
        """Samples at RATE, peak 1."""
        size = int(rng.uniform(SHORTEST, LONGEST if rng.random() < 0.5 else LONGEST / 2) * RATE)
        kind = rng.random()
        if kind < 0.5:
            wave = np.resize(self._sound(rng, size), size)
        elif kind < 0.9:
            wave = np.concatenate(list(self._row(rng, size)))[:size]
        else:
            wave = self._scene(rng, size)
        return np.asarray(wave / np.float32(np.abs(wave).max()), np.float32)

    def _sound(self, rng: np.random.Generator, most: int) -> Wave:
        """A part of at most `most` samples, peak 1."""
        while True:
            sounds, numbers, _ = self._sources[int(rng.choice(len(self._sources), p=self._shares))]
            number = numbers[int(rng.integers(len(numbers)))]
            left = sounds.rows[number].samples - most
            wave = sounds.wave(number, int(rng.integers(left)) if left > 0 else 0, most)
            peak = float(np.abs(wave).max())
            if peak > 1e-4:  # not a silent part
                return wave / np.float32(peak)

    def _row(self, rng: np.random.Generator, size: int) -> Iterator[Wave]:
        made = 0
        while made < size:
            wave = self._sound(rng, int(rng.uniform(2, 20) * RATE))
            wave = np.resize(wave, max(len(wave), int(rng.uniform(1, 8) * RATE)))
            gap = int(rng.uniform(0, 1.5) * RATE) if rng.random() < 0.4 else 0
            yield np.pad(wave * np.float32(10 ** (-rng.uniform(0, 20) / 20)), (0, gap))
            made += len(wave) + gap

    def _scene(self, rng: np.random.Generator, size: int) -> Wave:
        wave = np.resize(self._sound(rng, size), size) * np.float32(10 ** (-rng.uniform(5, 25) / 20))
        for _ in range(int(rng.integers(1, 4))):
            event = self._sound(rng, 5 * RATE)
            start = int(rng.integers(size - len(event) + 1))
            wave[start : start + len(event)] += event
        return wave


@dataclass(frozen=True)
class Piece:
    """Long recordings: views (N, 4, T, F) as bytes of 80 / 255 dB, what is to be heard (N, E), what the middle clip gives (N, E)."""

    views: npt.NDArray[np.uint8]
    wanted: Array
    middle: Array

    def mels(self, rows: npt.NDArray[np.intp] | slice) -> Tensor:
        """(B, 4, T, F) in dB."""
        return torch.from_numpy(self.views[rows]).float() * (80 / 255) - 80


def piece_of(clap: CLAP, sounds: LongSounds, number: int, count: int) -> Piece:
    """Recordings, as the unfused model hears them window by window."""
    rng = np.random.default_rng((6, number))
    front = clap.config.front_end
    views: list[npt.NDArray[np.uint8]] = []
    wanted: list[Array] = []
    middle: list[Array] = []
    while len(views) < count:
        wave = sounds.draw(rng)
        clip = make_clip((wave, RATE), front, long="fusion")
        if not clip.longer:
            continue
        views.append(np.asarray(np.round((clip.mel + 80) * (255 / 80)), np.uint8))
        mean = clap.encode_windows((wave, RATE)).embedding.mean(0)
        wanted.append(mean / np.linalg.norm(mean))
        length = round(front.clip_seconds * RATE)
        start = (len(wave) - length) // 2
        middle.append(clap.encode_audio([(wave[start : start + length], RATE)])[0])
    return Piece(np.stack(views), np.stack(wanted), np.stack(middle))


def fused(given: Checkpoint) -> CLAPModel:
    """The same model with a fusion that has not learnt yet, all else at rest."""
    if given.config.fusion is not None or given.config.audio.kind != "pann":
        sys.exit(f"{given.source}: an unfused model of kind pann is needed, not {given.config.audio.kind}, fusion {given.config.fusion}")  # fmt: skip
    torch.manual_seed(0)
    model = CLAPModel(replace(given.config, fusion="iaff_2d"))
    weights = {name: torch.from_numpy(np.array(given.weights[name])) for name in given.weights}
    fit = model.load_state_dict(weights, strict=False)
    missing = [n for n in fit.missing_keys if not n.endswith("num_batches_tracked") and not n.startswith(LEARNT)]
    assert not [*missing, *fit.unexpected_keys], (missing, fit.unexpected_keys)
    begin(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(LEARNT))
    return model.eval()


@torch.no_grad()
def begin(model: CLAPModel) -> None:
    """Local views through block 1's own convolution, a third of its frames; of both, the global one more."""
    assert isinstance(model.audio, FusedPANN), type(model.audio)
    tower: Any = model.audio
    convs = tower.blocks[0].convs
    assert len(convs) == 1, "a block of two convolutions has no equal of one"
    (own, norm), (local, local_norm) = convs[0], tower.local_project[:2]
    margin = (local.kernel_size[0] - own.kernel_size[0]) // 2
    local.weight.copy_(nn.functional.pad(own.weight, (margin,) * 4))
    local.bias.zero_()
    local_norm.load_state_dict(norm.state_dict())
    for name, attention in tower.fusion.named_children():
        attention[-1].weight.fill_(0.1)
        attention[-1].bias.fill_(0.0 if name.startswith("global") else LEAN)


class Fusing:
    """The training; everything of a step is decided by its number."""

    def __init__(self, model: CLAPModel, steps: int, rate: float, *, every: int = EVERY) -> None:
        self.model, self.steps, self.rate, self.every, self.step = model, steps, rate, every, 0
        model.audio.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._learnt = [p for p in model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(self._learnt, lr=rate, betas=(0.9, 0.98))

    def train(self, pieces: list[Piece], state: Path | None = None) -> None:
        """All steps, from the state on where there is one."""
        if state is not None and state.exists():
            self._load(state)
        began, losses = time.process_time(), list[float]()
        count = sum(len(piece.wanted) for piece in pieces)
        while self.step < self.steps:
            losses.append(self._step(pieces, count))
            self.step += 1
            if self.step % self.every == 0 or self.step == self.steps:
                line = {
                    "step": self.step,
                    "loss": round(float(np.mean(losses)), 4),
                    "cpu": round(time.process_time() - began),
                }
                print(json.dumps(line), flush=True)
                losses.clear()
                if state is not None:
                    self._save(state)
        self.model.eval()

    def _step(self, pieces: list[Piece], count: int) -> float:
        rng = np.random.default_rng((7, self.step))
        rate = float(self.rate * min(1, (self.step + 1) / WARM) * 0.5 * (1 + np.cos(np.pi * self.step / self.steps)))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        piece = pieces[int(rng.choice(len(pieces), p=[len(p.wanted) / count for p in pieces]))]
        rows = rng.integers(len(piece.wanted), size=BATCH)
        for part in (self.model.audio.local_project, self.model.audio.fusion):  # the tower's batch norms stay at rest
            assert isinstance(part, nn.Module)
            part.train()
        with torch.autocast("cpu", torch.bfloat16):
            heard = self.model.encode_audio(piece.mels(rows), torch.ones(BATCH, dtype=torch.bool)).float()
        loss = 1 - (heard * torch.from_numpy(piece.wanted[rows])).sum(1).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return float(loss.detach())

    def _save(self, file: Path) -> None:
        aside = file.with_suffix(".part")
        model = {k: v for k, v in self.model.state_dict().items() if k.startswith(LEARNT)}
        torch.save({"model": model, "optimiser": self.optimiser.state_dict(), "step": self.step}, aside)
        aside.rename(file)

    def _load(self, file: Path) -> None:
        state = torch.load(file, weights_only=True)
        self.model.load_state_dict(state["model"], strict=False)
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
        print(f"goes on at step {self.step}", flush=True)


@torch.inference_mode()
def nearness(model: CLAPModel, piece: Piece) -> float:
    """Mean cosine of what the fusion hears with what is to be heard."""
    model.eval()
    rows = []
    for start in range(0, len(piece.wanted), BATCH):
        mels = piece.mels(slice(start, start + BATCH))
        rows.append(model.encode_audio(mels, torch.ones(len(mels), dtype=torch.bool)).numpy())
    return round(float((np.concatenate(rows) * piece.wanted).sum(1).mean()), 4)


def made(clap: CLAP, sounds: LongSounds, count: int, folder: Path) -> list[Piece]:
    """All pieces, those that are kept in the folder and new ones."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = []
    for number, start in enumerate(range(0, count, PIECE)):
        file = folder / f"long_{number:02d}.npz"
        if not file.exists():
            aside = file.with_suffix(".part.npz")
            np.savez(aside, allow_pickle=False, **vars(piece_of(clap, sounds, number, min(PIECE, count - start))))
            aside.rename(file)
            print(f"recordings: {min(start + PIECE, count)} of {count}", flush=True)
        pieces.append(Piece(**np.load(file)))
    return pieces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--recordings", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument(
        "--everything", action="store_true", help="with what development.csv keeps aside: as in hear.py"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    given = load_checkpoint(args.checkpoint)
    clap = CLAP.from_pretrained(args.checkpoint, threads=1)
    model = fused(given)
    asked = f"{clap.fingerprint}_{args.recordings}_{args.steps}_{args.rate:g}{'_all' if args.everything else ''}"
    run = args.out.with_name(args.out.name + ".run") / asked  # another model, or other options, begin anew
    *pieces, last = made(clap, LongSounds(open_sources(args.sounds, args.everything)), args.recordings, run)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    found = {"middle clip": round(float((last.middle * last.wanted).sum(1).mean()), 4), "before": nearness(model, last)}
    Fusing(model, args.steps, args.rate).train(pieces or [last], run / "state.pt")
    found["after"] = nearness(model, last)
    if found["after"] <= found["before"]:
        print("what was learnt is no better: the fusion stays as it began", flush=True)
        model.load_state_dict(before)
    weights = Weights(entries_from_arrays(model.arrays()))
    save_pretrained(model.config, weights, given.tokenizer_file, args.out, compact=is_compact(args.checkpoint))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
