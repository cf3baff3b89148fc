"""An audio tower that hears as its teacher does: it learns only what the teacher answers, from random weights or a landed tower.

usage: python runs/mini/hear.py RUN --sounds SOUNDS --teachers TEACHERS [--start MODEL | --widths …] [--minutes M]
  RUN        state, views, curve.jsonl; a stopped run goes on from there, whatever --start says
  MODEL      whose audio tower it begins from: mini, or the folder of a checkpoint (start.py); without it, random weights
  SOUNDS     what gather.py made
  TEACHERS   mn04_as_mAP_432.pt, audioset_labels.csv

    mixing ─ wave ─┬─ teacher ─ an embedding every 0.32 s ─┐
                   └─ mel of the student ──────────────────┴─ ring of views on disk ─ steps

Every view gets the teacher's own answer, to the very mixture: through this project's graph that costs no more than mixing it.
A step takes some new views and some of the ring, so that the teacher is asked once for a few visits.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from development import held, held_made
from gather import Sounds
from mixing import Mixing
from start import landed_tower, least_squares, moving_average, plain_config
from teachers import QuickMN04
from torch import Tensor, nn

from openclap.audio.mel import apply_dynamic_range, log_mel
from openclap.config import FrontEnd, PANNConfig
from openclap.models.pann import PANN

FRONT = FrontEnd(sampling_rate=32_000, n_fft=2048, hop=1024, mel_bins=64, dynamic_range=80.0, padding="spaced")
FRAMES, TEACHER_FRAMES = 157, 16  # of five seconds
FEATURES, CLASSES = 384, 527
SHARES = {
    "esc10": 0.09, "effects": 0.10, "music": 0.05, "long": 0.05, "berklee": 0.22, "things": 0.12, "instruments": 0.12,
    "drums": 0.03, "pieces": 0.06, "voices": 0.07, "synth": 0.04, "debian": 0.05, "prompts": 0.05,
}  # fmt: skip
BATCH = 64
EVERY = 600.0  # seconds between states


class Ring:
    """Views on disk: mel in steps of 80 / 255 dB, the teacher's embeddings, and whether time is the same in both."""

    def __init__(self, folder: Path, size: int) -> None:
        def mapped(name: str, kind: str, *shape: int, rows: int = size) -> np.memmap:
            file = folder / f"{name}.bin"
            mode = "r+" if file.exists() else "w+"
            found: np.memmap = np.memmap(file, kind, mode, shape=(rows, *shape))  # type: ignore[call-overload]
            return found

        folder.mkdir(parents=True, exist_ok=True)
        self.size = size
        self._made = mapped("made", "i8", rows=1)
        self.mel = mapped("mel", "u1", FRAMES, FRONT.mel_bins)
        self.answer = mapped("answer", "f2", TEACHER_FRAMES, FEATURES)
        self.aligned = mapped("aligned", "u1")

    @property
    def made(self) -> int:
        """Views ever made; the last `size` of them are here."""
        return int(self._made[0])

    def put(self, mel: np.ndarray, answer: np.ndarray, aligned: np.ndarray) -> np.ndarray:
        """Add views over the oldest ones → where they lie."""
        at = (self.made + np.arange(len(mel))) % self.size
        self.mel[at], self.answer[at], self.aligned[at] = mel, answer, aligned
        self._made[0] += len(mel)
        return at

    def __len__(self) -> int:
        return min(self.made, self.size)


class Supply:
    """New views, with the teacher's answers."""

    def __init__(self, mixing: Mixing, teacher: QuickMN04) -> None:
        self._mixing, self.teacher = mixing, teacher

    def make(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mels (B, T, F) of the student as bytes, the teacher's embeddings (B, T', 384), aligned (B,)."""
        views = [self._mixing.draw(rng) for _ in range(count)]
        frames = self.teacher.frames(np.stack([v.wave for v in views]))
        for view, answer in zip(views, frames, strict=True):
            if not view.aligned:  # all of it is what the teacher heard in the one sound
                answer[:] = answer.mean(0)
        mels = np.stack([as_bytes(v.wave if v.shown is None else v.shown) for v in views])
        return mels, frames, np.array([v.aligned for v in views], np.uint8)


def as_bytes(wave: np.ndarray) -> np.ndarray:
    """The student's mel of a wave, levelled, (T, F)."""
    mel = apply_dynamic_range(log_mel(wave, FRONT), FRONT)
    return np.asarray(np.round((mel + 80) * (255 / 80)), np.uint8)


class Student(nn.Module):
    """The tower and two heads that read it, of a whole view and of parts of it."""

    def __init__(self, config: PANNConfig) -> None:
        super().__init__()
        self.config = config
        self.tower = PANN(config, FRONT)
        self.embedding = nn.Linear(config.output, FEATURES)
        self.classes = nn.Linear(config.output, CLASSES)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, T, F) in dB → features (B, D), and those of parts (B, t, D)."""
        tower = self.tower
        x = tower.batch_norm(mel.transpose(1, 3)).transpose(1, 3)
        for block in tower.blocks:
            x = block(x)
        x = x.mean(3)  # (B, C, t)
        whole = F.relu(tower.hidden(x.amax(2) + x.mean(2)))
        return whole, F.relu(tower.hidden(2 * x.transpose(1, 2)))  # of one part, maximum and mean are the same


@dataclass
class Scale:
    """What is usual of the teacher's numbers: differences count in these units."""

    mean: Tensor
    deviation: Tensor
    logit_mean: Tensor
    logit_deviation: Tensor


class Lessons:
    """The loss: whole views by probabilities, embedding and logits, parts by embedding and logits."""

    def __init__(self, teacher: QuickMN04, scale: Scale, device: str = "cpu") -> None:
        self._hidden = [torch.from_numpy(a).to(device) for a in teacher.hidden]
        self._classes = [torch.from_numpy(a).to(device) for a in teacher.classes]
        self._scale = Scale(**{name: values.to(device) for name, values in vars(scale).items()})

    def logits(self, embedding: Tensor) -> Tensor:
        """The teacher's, of its own embeddings, in full precision."""
        with torch.autocast(embedding.device.type, enabled=False):
            return F.linear(F.hardswish(F.linear(embedding, *self._hidden)), *self._classes)

    def loss(
        self, student: Student, whole: Tensor, parts: Tensor, answer: Tensor, aligned: Tensor
    ) -> dict[str, Tensor]:
        """Its terms, weighted; their sum is what is to shrink."""
        scale = self._scale
        heard = answer.mean(1)
        wanted = self.logits(heard)
        said, described = student.classes(whole).float(), student.embedding(whole).float()
        probability = wanted.sigmoid()
        entropy = F.binary_cross_entropy_with_logits(wanted, probability, reduction="none")
        found = F.binary_cross_entropy_with_logits(said, probability, reduction="none") - entropy
        terms = {
            "classes": 4 * found.sum(1).mean(),
            "logits": F.smooth_l1_loss(said / scale.logit_deviation, wanted / scale.logit_deviation),
            "embedding": F.smooth_l1_loss(described, (heard - scale.mean) / scale.deviation),
        }
        places = parts.shape[1]
        there = F.interpolate(answer.transpose(1, 2), size=places, mode="linear", align_corners=False).transpose(1, 2)
        there_logits = self.logits(there)
        weight = aligned[:, None, None]
        apart = F.smooth_l1_loss(
            student.embedding(parts).float(), (there - scale.mean) / scale.deviation, reduction="none"
        )
        named = F.smooth_l1_loss(
            student.classes(parts).float() / scale.logit_deviation,
            there_logits / scale.logit_deviation,
            reduction="none",
        )
        terms["part embedding"] = 0.5 * (apart * weight).mean()
        terms["part logits"] = 0.5 * (named * weight).mean()
        return terms


def usual(ring: Ring, teacher: QuickMN04) -> Scale:
    """Of the first views."""
    heard = np.asarray(ring.answer[: min(len(ring), 4096)], np.float32).mean(1)
    logits = teacher.logits(heard)
    values = (heard.mean(0), heard.std(0) + 1e-3, logits.mean(0), logits.std(0) + 1e-2)
    return Scale(*(torch.from_numpy(v.astype(np.float32)) for v in values))


def open_sources(folder: Path, everything: bool) -> list[tuple[Sounds, list[int], float]]:
    """All that was gathered, without what development.csv keeps aside."""
    rule_of = held()
    found = []
    for name, share in SHARES.items():
        if not (folder / f"{name}.csv").is_file():
            continue
        sounds = Sounds(folder, name)
        kept = [
            i
            for i, row in enumerate(sounds.rows)
            if row.samples > 320
            and (everything or not (rule_of(name, row.name, row.caption) or held_made(name, row.label)))
        ]
        found.append((sounds, kept, share))
    return found


class Run:
    """A training that can be stopped at any time: state.pt holds everything but the ring's views."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.out: Path = args.run
        self.out.mkdir(parents=True, exist_ok=True)
        self.teacher = QuickMN04(args.teachers / "mn04_as_mAP_432.pt")
        self.supply = Supply(Mixing(open_sources(args.sounds, args.everything)), self.teacher)
        self.ring = Ring(args.ring or self.out, args.ring_size)
        begins = args.start is not None and not (self.out / "state.pt").exists()
        torch.manual_seed(args.seed)
        self.student = self._student(args)
        self.config = self.student.config
        self.student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        averaging = moving_average(args.average)
        self.average = torch.optim.swa_utils.AveragedModel(self.student, multi_avg_fn=averaging, use_buffers=True)
        decayed = [p for p in self.student.parameters() if p.ndim > 1]
        plain = [p for p in self.student.parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}], lr=args.rate
        )
        self.step, self.seed, self.rate, self.new = 0, args.seed, args.rate, args.new
        self.cpu = 0.0
        if (self.out / "state.pt").exists():
            self._load()
        self._fill(args.fill)
        self.lessons = Lessons(self.teacher, self.scale)
        if begins:
            self._fit_heads()
            self.average.module.load_state_dict(self.student.state_dict())
            self.average.n_averaged.fill_(round(10 / (1 - args.average)))  # nothing random is in it to be forgotten

    def _student(self, args: argparse.Namespace) -> Student:
        """As a saved state has it, or as the landed tower that is to be trained on, or random."""
        if (self.out / "state.pt").exists():
            return Student(PANNConfig(**torch.load(self.out / "state.pt", weights_only=True)["config"]))
        if args.start is not None:
            config, tower = landed_tower(args.start, FRONT)
            student = Student(config)
            student.tower.load_state_dict(tower)
            return student
        return Student(plain_config(args.widths, args.output))

    @torch.inference_mode()
    def _fit_heads(self) -> None:
        """By the first views, of the tower as it is."""
        count = min(len(self.ring), 8192)
        mels = (torch.from_numpy(self.ring.mel[at : at + 64]) for at in range(0, count, 64))
        self.student.eval()
        whole = torch.cat([self.student(mel[:, None].float() * (80 / 255) - 80)[0] for mel in mels])
        heard = torch.from_numpy(np.asarray(self.ring.answer[:count], np.float32)).mean(1)
        wanted = ((heard - self.scale.mean) / self.scale.deviation, self.lessons.logits(heard))
        for head, values in zip((self.student.embedding, self.student.classes), wanted, strict=True):
            for own, found in zip((head.weight, head.bias), least_squares(whole[:count], values), strict=True):
                own.copy_(found)

    def _fill(self, count: int) -> None:
        if len(self.ring) < count:
            print(f"views before the first step: {len(self.ring)} of {count}", flush=True)
        while len(self.ring) < count:
            self._renew(64)
        if not hasattr(self, "scale"):
            self.scale = usual(self.ring, self.teacher)

    def _renew(self, count: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, 1, self.ring.made))
        return self.ring.put(*self.supply.make(count, rng))

    def _load(self) -> None:
        state = torch.load(self.out / "state.pt", weights_only=True)
        self.student.load_state_dict(state["student"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.scale, self.cpu = state["step"], Scale(**state["scale"]), state["cpu"]
        print(f"goes on at step {self.step}, {self.ring.made} views made", flush=True)

    def save(self) -> None:
        """Whole or not at all."""
        aside = self.out / "state.pt.part"
        state = {
            "student": self.student.state_dict(), "average": self.average.state_dict(), "step": self.step,
            "optimiser": self.optimiser.state_dict(), "scale": vars(self.scale), "config": asdict(self.config),
            "cpu": self.cpu,
        }  # fmt: skip
        torch.save(state, aside)
        aside.rename(self.out / "state.pt")

    def train(self, minutes: float, decay: int = 0) -> None:
        """Steps, until the time is over; with `decay`, so many more whose rate falls to nothing."""
        end = time.monotonic() + 60 * minutes
        stopped: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))  # a state is kept first
        saved, began, cpu = time.monotonic(), time.monotonic(), time.process_time()
        sums: dict[str, float] = {}
        counted, first = 0, self.step
        left = decay
        while not stopped and ((left > 0) if decay else (time.monotonic() < end)):
            rate = self.rate * min(1.0, (self.step + 1) / 300) * (left / decay if decay else 1.0)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            for name, value in self._step().items():
                sums[name] = sums.get(name, 0.0) + value
            counted += 1
            self.step += 1
            left -= 1
            if self.step % 100 == 0:
                spent = time.process_time() - cpu
                line = {
                    "step": self.step, "views": self.step * BATCH, "made": self.ring.made, "cpu": round(self.cpu + spent),
                    "seconds": round(time.monotonic() - began), "views a cpu second": round((self.step - first) * BATCH / spent),
                    **{k: round(v / counted, 4) for k, v in sums.items()},
                }  # fmt: skip
                print(json.dumps(line), flush=True)
                with (self.out / "loss.jsonl").open("a") as file:
                    file.write(json.dumps(line) + "\n")
                sums, counted = {}, 0
            if time.monotonic() - saved > EVERY:
                self.cpu += time.process_time() - cpu
                cpu, first = time.process_time(), self.step
                self.save()
                saved = time.monotonic()
        self.cpu += time.process_time() - cpu
        self.save()

    def _step(self) -> dict[str, float]:
        at = self._renew(self.new) if self.new else np.zeros(0, int)
        rng = np.random.default_rng((self.seed, 2, self.step))
        at = np.concatenate([at, rng.integers(len(self.ring), size=BATCH - len(at))])
        mel = torch.from_numpy(self.ring.mel[at]).float() * (80 / 255) - 80
        mel = varied(mel, rng)[:, None].contiguous(memory_format=torch.channels_last)
        answer = torch.from_numpy(np.asarray(self.ring.answer[at], np.float32))
        aligned = torch.from_numpy(self.ring.aligned[at]).float()
        self.student.train()
        with torch.autocast("cpu", torch.bfloat16):
            whole, parts = self.student(mel)
            terms = self.lessons.loss(self.student, whole, parts, answer, aligned)
        total = torch.stack(list(terms.values())).sum()
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.student.parameters(), 5.0)
        self.optimiser.step()
        self.average.update_parameters(self.student)
        return {name: float(value.detach()) for name, value in terms.items()}


def varied(mel: Tensor, rng: np.random.Generator) -> Tensor:
    """(B, T, F) in dB through smooth random responses of a few dB, that a view is not seen twice the same."""
    rows, _, bins = mel.shape
    at = np.linspace(0, 4, bins)
    curves = np.stack([np.interp(at, np.arange(5), row) for row in rng.normal(0, 1.5, (rows, 5))])
    moved = mel + torch.from_numpy(curves.astype(np.float32))[:, None, :] * (mel > -79.5)
    return (moved - moved.amax((1, 2), keepdim=True)).clamp(min=-80.0)


def parser() -> argparse.ArgumentParser:
    """What a run is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--teachers", type=Path, required=True)
    parser.add_argument("--start", help="a landed model, by name or folder, whose audio tower is trained on")
    parser.add_argument("--widths", type=int, nargs="+", default=[24, 64, 128, 256, 384, 512])
    parser.add_argument("--output", type=int, default=512)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--average", type=float, default=0.999)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--new", type=int, default=16, help="new views a step")
    parser.add_argument("--fill", type=int, default=6400, help="views before the first step")
    parser.add_argument("--ring", type=Path, help="folder of the views, where runs share them one after another")
    parser.add_argument("--ring-size", type=int, default=120_000)
    parser.add_argument("--decay", type=int, default=0, help="steps at a falling rate, instead of --minutes")
    parser.add_argument("--everything", action="store_true", help="with the development set: for the model that ships")
    return parser


def main() -> None:
    args = parser().parse_args()
    torch.set_num_threads(1)
    run = Run(args)
    run.train(args.minutes, args.decay)


if __name__ == "__main__":
    main()
