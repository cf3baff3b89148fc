"""A trained tower learns to be asked by words: its projection and a text tower of static word vectors, or of sentences → a checkpoint.

usage: python runs/mini/speak.py RUN OUT --sounds SOUNDS --teachers TEACHERS --texts TEXTS.npz [--words MODEL]
  RUN     what hear.py trained; its tower is taken as it is (the moving average)
  OUT     a folder that CLAP.from_pretrained loads
  TEXTS   what texts.py made: texts with their weights over the teacher's classes
  MODEL   whose text tower and tokenizer are taken (mini-3; or what sentences.py made)

    sound ─ tower (at rest) ─ projection ─┐            teacher: log-probabilities, less what is usual ─┐
    text ─ text tower ─── projection ─────┴─ cosine  ≈ weights of the text over the classes ───────────┴─ product

What is usual of each class is subtracted, so that a cosine says how much more than any sound this one is meant. Captions that people
wrote of recordings are learnt beside it, each against the others.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from development import HERE
from gather import RATE, Sounds, Wave
from hear import FRONT, Ring, Student, as_bytes, open_sources
from judge import load_student
from mixing import SAMPLES, _elsewhere, _placed
from teachers import QuickMN04
from torch import Tensor, nn

from openclap import CLAP
from openclap.audio.clips import pad_wave
from openclap.checkpoints.load import load_checkpoint
from openclap.checkpoints.native import save_pretrained
from openclap.checkpoints.tokenizer import Tokenizer
from openclap.checkpoints.weights import Weights, entries_from_arrays
from openclap.config import CLAPConfig
from openclap.models.clap import CLAPModel

CAPTIONED = ("esc10", "effects", "music", "long", "berklee", "things", "synth")
BY_LABEL = ("esc10", "synth")  # whose labels have phrases in captions.csv
EMBEDDING = 512
CLIP = 10 * RATE
AUDIO, TEXTS = 384, 1024  # rows of a step
WARM = 100
LONGEST = 24  # tokens of a text
AT_ONCE = 128  # texts that are read
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Bank:
    """Sounds as student and teacher hear them."""

    features: Tensor  # (N, D)
    answers: Tensor  # (N, 527) logits
    caption: Tensor  # (N,) number of the caption, -1 without
    captions: list[str]


def bank_of(student: Student, teacher: QuickMN04, args: argparse.Namespace) -> Bank:
    """Views of every captioned recording, and of the ring."""
    kept = args.out.parent / f"captioned{'_all' if args.everything else ''}.npz"
    if not kept.exists():
        np.savez(kept, allow_pickle=False, **_captioned(teacher, args))  # the same for every student
    stored = np.load(kept)
    features = [
        heard(student, _decibel(mel)) for mel in np.array_split(stored["mel"], max(len(stored["mel"]) // 32, 1))
    ]
    answers = [stored["answers"].astype(np.float32)]
    ring = Ring(args.run, args.ring_size)
    chosen = np.sort(np.random.default_rng(3).permutation(len(ring))[: args.views])
    for some in np.array_split(chosen, max(len(chosen) // 64, 1)):
        features.append(heard(student, _decibel(ring.mel[some])))
        answers.append(teacher.logits(np.asarray(ring.answer[some], np.float32).mean(1)))
    caption = torch.from_numpy(np.concatenate([stored["caption"], np.full(len(chosen), -1)]))
    rows = [torch.from_numpy(np.concatenate(part)).float() for part in (features, answers)]
    return Bank(rows[0], rows[1], caption, stored["captions"].tolist())


def _captioned(teacher: QuickMN04, args: argparse.Namespace) -> dict[str, npt.NDArray[Any]]:
    """Mels (N, T, F) of ten seconds as bytes, the teacher's logits (N, 527), numbers of captions (N,), and captions."""
    rng = np.random.default_rng(3)
    known: dict[str, int] = {}
    mels: list[Array] = []
    answers: list[Array] = []
    caption: list[int] = []
    for sounds, numbers, _ in open_sources(args.sounds, args.everything):
        if sounds.source not in CAPTIONED:
            continue
        for number in numbers:
            row = sounds.rows[number]
            number_of = known.setdefault(row.label if sounds.source in BY_LABEL else row.caption, len(known))
            views = [view(sounds, number, take, rng) for take in range(args.takes)]
            answers.append(teacher.logits(teacher.frames(np.stack([asked for asked, _ in views])).mean(1)))
            mels += [as_bytes(shown) for _, shown in views]
            caption += [number_of] * len(views)
    return {
        "mel": np.stack(mels), "answers": np.concatenate(answers).astype(np.float16), "caption": np.array(caption),
        "captions": np.array(list(known)),
    }  # fmt: skip


def _decibel(mel: npt.NDArray[np.uint8]) -> Array:
    return mel.astype(np.float32) * np.float32(80 / 255) - 80


def view(sounds: Sounds, number: int, take: int, rng: np.random.Generator) -> tuple[Wave, Wave]:
    """A recording for the teacher (5 s, padded) and for the student: the first take as it will be shown, 10 s, others varied."""
    samples = sounds.rows[number].samples
    begin = int(rng.integers(samples - SAMPLES)) if samples > SAMPLES and take else 0
    wave = sounds.wave(number, begin, CLIP if take == 0 else SAMPLES)
    if take and rng.random() < 0.5:
        wave = _elsewhere(_placed(wave, rng), rng)
    wave = wave / np.float32(max(float(np.abs(wave).max()), 1e-6))
    asked = np.pad(wave, (0, max(0, SAMPLES - len(wave))))[:SAMPLES]
    return asked, pad_wave(wave, FRONT)


@torch.inference_mode()
def heard(student: Student, mel: Array) -> Array:
    """Features (B, D) of mels (B, T, F)."""
    whole, _ = student(torch.from_numpy(mel)[:, None])
    found: Array = whole.numpy()
    return found


def phrases() -> dict[str, list[str]]:
    """What is said of each label of mini's own captions."""
    found: dict[str, list[str]] = {}
    for file in ("captions.csv", "more_captions.csv"):
        with (HERE / file).open(encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows):
                found.setdefault(row["label"], []).append(row["phrase"])
    return found


class Texts:
    """Texts as token ids, once: rows of a padded table; and as what a text tower at rest says of them, once."""

    def __init__(self, model: CLAPModel, tokenizer: Tokenizer, texts: list[str]) -> None:
        ids, mask = tokenizer(texts)
        self.ids, self.mask = torch.from_numpy(ids[:, :LONGEST]), torch.from_numpy(mask[:, :LONGEST])
        rests = not any(p.requires_grad for p in model.text.parameters())
        self._said = self._read_all(model.text) if rests else None

    def of(self, model: CLAPModel, rows: Tensor) -> Tensor:
        """(M, E) unit rows."""
        said = self._read(model.text, rows) if self._said is None else self._said[rows]
        return F.normalize(model.text_projection(said), dim=1)

    def _read(self, tower: nn.Module, rows: Tensor) -> Tensor:
        mask = self.mask[rows]
        longest = int(mask.sum(1).max())
        found: Tensor = tower(self.ids[rows, :longest], mask[:, :longest])
        return found

    @torch.no_grad()
    def _read_all(self, tower: nn.Module) -> Tensor:
        """(N, D), texts of about one length at a time."""
        order = self.mask.sum(1).argsort()
        parts = [order[i : i + AT_ONCE] for i in range(0, len(order), AT_ONCE)]
        said = torch.cat([self._read(tower.eval(), rows) for rows in parts])
        return said[order.argsort()]


def teach(model: CLAPModel, bank: Bank, tokenizer: Tokenizer, args: argparse.Namespace) -> None:
    """Projections learn, and the gates of a table of words; tower, word vectors and transformers stay."""
    kept = np.load(args.texts)
    weights = torch.from_numpy(kept["weights"].astype(np.float32))
    texts = Texts(model, tokenizer, [str(t) for t in kept["texts"]])
    log_probability = F.logsigmoid(bank.answers)
    log_probability = log_probability - log_probability.mean(0)
    said = phrases()
    own = [said.get(caption, [caption]) for caption in bank.captions]
    flat = [t for some in own for t in dict.fromkeys(some)]
    begins = np.cumsum([0, *(len(dict.fromkeys(some)) for some in own)])
    spoken = Texts(model, tokenizer, flat)
    captioned = torch.nonzero(bank.caption >= 0).squeeze(1)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=args.rate, weight_decay=0.05)
    rng = np.random.default_rng(4)
    shares = torch.ones(len(bank.features))
    shares[captioned] = 1.0
    sums, began = np.zeros(3), time.monotonic()
    for step in range(args.steps):
        rate = args.rate * min(1, (step + 1) / WARM) * 0.5 * (1 + np.cos(np.pi * step / args.steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        rows = torch.from_numpy(rng.integers(len(bank.features), size=AUDIO))
        asked = torch.from_numpy(rng.integers(len(weights), size=TEXTS))
        noise = 1 + 0.1 * torch.randn(AUDIO, 1)
        audio = F.normalize(model.audio_projection(F.dropout(bank.features[rows], 0.1) * noise), dim=1)
        text = texts.of(model, asked)
        scale = model.logit_scale.exp().clamp(max=100)
        meant = log_probability[rows] @ weights[asked].T / args.temperature
        near = scale * audio @ text.T
        learnt = (_divergence(near, meant) + _divergence(near.T, meant.T)) / 2
        mine = captioned[torch.from_numpy(rng.integers(len(captioned), size=AUDIO // 2))]
        audio = F.normalize(model.audio_projection(F.dropout(bank.features[mine], 0.1)), dim=1)
        concepts = bank.caption[mine].numpy()
        drawn = begins[concepts] + rng.integers(begins[concepts + 1] - begins[concepts])
        near = scale * audio @ spoken.of(model, torch.from_numpy(drawn)).T
        same = torch.from_numpy(concepts[:, None] == concepts[None]).float()
        right = same / same.sum(1, keepdim=True)
        told = -((near.log_softmax(1) * right).sum(1).mean() + (near.T.log_softmax(1) * right).sum(1).mean()) / 2
        loss = learnt + args.captions * told
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        sums += [float(learnt.detach()), float(told.detach()), float(scale.detach())]
        if (step + 1) % 200 == 0:
            print(step + 1, (sums / 200).round(4).tolist(), round(time.monotonic() - began), flush=True)
            sums[:] = 0


def _divergence(own: Tensor, its: Tensor) -> Tensor:
    """KL of the softmax of each row of `own` from that of `its`."""
    return F.kl_div(own.log_softmax(1), its.log_softmax(1), reduction="batchmean", log_target=True)


def assemble(student: Student, words: Path | str, name: str) -> tuple[CLAPModel, Path]:
    """The tower, new projections, and the text tower of another model."""
    given = load_checkpoint(str(words))
    text = given.config.text
    torch.manual_seed(0)
    config = CLAPConfig(student.config, text, FRONT, None, EMBEDDING, name, "Apache-2.0")
    model = CLAPModel(config)
    model.audio.load_state_dict(student.tower.state_dict())
    model.text.load_state_dict(
        {
            n.removeprefix("text."): torch.from_numpy(np.array(given.weights[n]))
            for n in given.weights
            if n.startswith("text.")
        }
    )
    model.requires_grad_(False)
    for part in (model.audio_projection, model.text_projection):
        part.requires_grad_(True)
    for name, parameter in model.text.named_parameters():
        parameter.requires_grad_(name == "gate.weight")
    model.logit_scale.requires_grad_(True)
    assert given.tokenizer_file is not None
    return model, given.tokenizer_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--teachers", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--words", default="mini-3")
    parser.add_argument("--name", default="mini")
    parser.add_argument("--takes", type=int, default=3)
    parser.add_argument("--views", type=int, default=20_000)
    parser.add_argument("--ring-size", type=int, default=120_000)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--captions", type=float, default=0.3)
    parser.add_argument("--half", action="store_true", help="matrices and convolutions as float16")
    parser.add_argument("--everything", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    student, facts = load_student(args.run)
    teacher = QuickMN04(args.teachers / "mn04_as_mAP_432.pt")
    bank = bank_of(student, teacher, args)
    print(json.dumps({**facts, "rows": len(bank.features), "captions": len(bank.captions)}), flush=True)
    model, tokenizer_file = assemble(student, args.words, args.name)
    teach(model, bank, Tokenizer(tokenizer_file, model.config.text), args)
    save_pretrained(
        model.config,
        Weights(entries_from_arrays(model.eval().arrays())),
        tokenizer_file,
        args.out,
        compact=True,
        half=args.half,
    )
    print(CLAP.from_pretrained(args.out))


if __name__ == "__main__":
    main()
