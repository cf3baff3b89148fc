"""hear.py for whoever has a GPU: millions of views in eight minutes. Processors mix, the GPU hears, answers and learns.

usage: python runs/mini/gpu.py RUN --sounds SOUNDS --teachers TEACHERS [--minutes 8] [--widths …] [--workers N]

Views stay on the GPU, mels as bytes and answers as half floats; each is seen as often as time allows. The rate falls to nothing over the
minutes given, and what is written is what hear.py writes: judge.py and speak.py go on from there, as would hear.py.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from hear import FRAMES, FRONT, TEACHER_FRAMES, Lessons, Scale, Student, open_sources
from mixing import SAMPLES, Mixing
from start import moving_average, plain_config
from teachers import MN04, QuickMN04
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from openclap.audio.mel import apply_dynamic_range, log_mel


class Views(IterableDataset[tuple[Tensor, Tensor, Tensor]]):
    """Waves for the teacher, for the student, and whether each moment of both is the same; as int16, endlessly."""

    def __init__(self, sounds: Path, everything: bool, count: int, seed: int) -> None:
        self._sounds, self._everything, self._count, self._seed = sounds, everything, count, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        worker = get_worker_info()
        rng = np.random.default_rng((self._seed, 0 if worker is None else worker.id))
        mixing = Mixing(open_sources(self._sounds, self._everything))
        while True:
            waves = np.zeros((2, self._count, SAMPLES), np.int16)
            same = np.ones(self._count, np.uint8)
            for i in range(self._count):
                view = mixing.draw(rng)
                shown = view.wave if view.shown is None else view.shown
                same[i] = view.aligned
                waves[0, i], waves[1, i] = np.round(view.wave * 32767), np.round(shown * 32767)
            yield torch.from_numpy(waves[0]), torch.from_numpy(waves[1]), torch.from_numpy(same)


class Store:
    """Views on the GPU."""

    def __init__(self, size: int, device: str) -> None:
        self.mel = torch.zeros(size, FRAMES, FRONT.mel_bins, dtype=torch.uint8, device=device)
        self.answer = torch.zeros(size, TEACHER_FRAMES, 384, dtype=torch.float16, device=device)
        self.aligned = torch.zeros(size, dtype=torch.uint8, device=device)
        self.size, self.made = size, 0

    def put(self, mel: Tensor, answer: Tensor, aligned: Tensor) -> None:
        """Over the oldest."""
        at = (torch.arange(len(mel), device=mel.device) + self.made) % self.size
        self.mel[at], self.answer[at], self.aligned[at] = mel, answer.half(), aligned
        self.made += len(mel)

    def draw(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Any of them: mels in dB (B, T, F), answers, aligned."""
        at = torch.randint(min(self.made, self.size), (count,), device=self.mel.device)
        return self.mel[at].float() * (80 / 255) - 80, self.answer[at].float(), self.aligned[at].float()


@torch.inference_mode()
def answered(waves: Tensor, shown: Tensor, same: Tensor, teacher: MN04) -> tuple[Tensor, Tensor, Tensor]:
    """Int16 waves (B, S) → the student's mels as bytes, the teacher's embeddings (B, T', 384), aligned (B,)."""
    frames = teacher.frames(waves.float() / 32767)
    frames = torch.where(same[:, None, None] > 0, frames, frames.mean(1, keepdim=True))
    mel = apply_dynamic_range(log_mel(shown.float() / 32767, FRONT), FRONT)
    return ((mel + 80) * (255 / 80)).round().to(torch.uint8), frames, same


def varied(mel: Tensor) -> Tensor:
    """(B, T, F) in dB through smooth random responses of a few dB."""
    knots = 1.5 * torch.randn(len(mel), 1, 5, device=mel.device)
    curve = nn.functional.interpolate(knots, size=mel.shape[2], mode="linear", align_corners=True)  # (B, 1, F)
    moved = mel + curve * (mel > -79.5)
    return (moved - moved.amax((1, 2), keepdim=True)).clamp(min=-80.0)


def usual(store: Store, teacher: MN04) -> Scale:
    """Of the first views."""
    heard = store.answer[: min(store.made, 4096)].float().mean(1)
    logits = teacher.logits(heard).clone()
    return Scale(heard.mean(0), heard.std(0) + 1e-3, logits.mean(0), logits.std(0) + 1e-2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--teachers", type=Path, required=True)
    parser.add_argument("--widths", type=int, nargs="+", default=[24, 64, 128, 256, 384, 512])
    parser.add_argument("--output", type=int, default=512)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--store", type=int, default=1_500_000)
    parser.add_argument("--fill", type=int, default=8192)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--everything", action="store_true")
    args = parser.parse_args()
    args.run.mkdir(parents=True, exist_ok=True)
    device: str = args.device
    weights = args.teachers / "mn04_as_mAP_432.pt"
    teacher = MN04(weights).to(device)
    torch.manual_seed(args.seed)
    config = plain_config(args.widths, args.output)
    student = Student(config).to(device)
    averaging = moving_average(0.999)
    average = torch.optim.swa_utils.AveragedModel(student, multi_avg_fn=averaging, use_buffers=True)
    optimiser = torch.optim.AdamW(student.parameters(), lr=args.rate, weight_decay=0.02)
    store = Store(args.store, device)
    views = Views(args.sounds, args.everything, 32, args.seed)
    made = iter(DataLoader(views, batch_size=None, num_workers=args.workers, pin_memory=device != "cpu"))
    began = time.monotonic()

    def renew() -> None:
        waves, shown, same = (part.to(device, non_blocking=True) for part in next(made))
        store.put(*answered(waves, shown, same, teacher))

    while store.made < args.fill:
        renew()
    scale = usual(store, teacher)
    lessons = Lessons(QuickMN04(weights), scale, device)
    step, spent, fresh = 0, 0.0, 0.0
    end = began + 60 * args.minutes
    while (now := time.monotonic()) < end:
        # as many new views as the processors have ready, at most one part a step
        fresh += 0.5 if spent < 0.02 else 0.1
        if fresh >= 1:
            before = time.monotonic()
            renew()
            spent, fresh = time.monotonic() - before, fresh - 1
        share = max(0.0, (end - now) / (end - began))
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1.0, (step + 1) / 300, 3 * share)
        mel, answer, aligned = store.draw(args.batch)
        student.train()
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            whole, parts = student(varied(mel)[:, None])
            terms = lessons.loss(student, whole, parts, answer, aligned)
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimiser.step()
        average.update_parameters(student)
        step += 1
        if step % 500 == 0:
            line = {"step": step, "views": step * args.batch, "made": store.made, "seconds": round(now - began)}
            print(json.dumps({**line, **{k: round(float(v.detach()), 4) for k, v in terms.items()}}), flush=True)
    state = {
        "student": student.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict(),
        "step": step * args.batch // 64, "scale": vars(scale), "config": asdict(config), "cpu": 0.0,
    }  # fmt: skip
    torch.save(_on_cpu(state), args.run / "state.pt")
    print(json.dumps({"steps": step, "views": step * args.batch, "made": store.made}))


def _on_cpu(tree: object) -> object:
    if isinstance(tree, Tensor):
        return tree.cpu()
    if isinstance(tree, dict):
        return {k: _on_cpu(v) for k, v in tree.items()}
    return [_on_cpu(v) for v in tree] if isinstance(tree, list) else tree


if __name__ == "__main__":
    main()
