"""A student on the development sheet, beside its teacher, while it is trained: both asked by words alone.

usage: python runs/mini/judge.py RUN --sounds SOUNDS --teachers TEACHERS     adds a line to curve.jsonl beside RUN

A tagger knows classes and no words. A query's MiniLM vector gives a softmax over the classes' names; what a sound scores is the
expected log-probability of the classes. Words are the same for both, so what differs is hearing.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from gather import RATE, Wave
from hear import FRONT, Student
from sheet import DevSound, Scores, dev_sounds, figures, show
from teachers import QuickMN04
from texts import weights_of

from openclap.audio.clips import pad_wave
from openclap.audio.mel import apply_dynamic_range, log_mel
from openclap.config import PANNConfig

__all__ = ["Tagger", "load_student", "of_answers", "student_of", "teacher_of"]

CLIP = 10 * RATE
Array = npt.NDArray[np.float32]
Tagger = Callable[[Wave], Array]  # a wave of any length → logits (527,)


def teacher_of(teacher: QuickMN04) -> Tagger:
    """As it hears best: peak 1, what is short padded with silence, what is long ten seconds at a time."""

    def tag(wave: Wave) -> Array:
        peak = float(np.abs(wave).max()) + 1e-9
        clips = [wave[s : s + CLIP] / np.float32(peak) for s in range(0, max(len(wave) - RATE, 1), CLIP)]
        clips = [np.pad(c, (0, max(0, CLIP // 2 - len(c)))) for c in clips]
        return np.asarray(np.mean([teacher.logits(teacher.frames(c[None])[0].mean(0)) for c in clips], 0))

    return tag


def student_of(model: Student) -> Tagger:
    """As the project shows sounds to it: ten seconds, a shorter sound repeated."""
    model.eval()

    @torch.inference_mode()
    def tag(wave: Wave) -> Array:
        clips = [pad_wave(wave[s : s + CLIP], FRONT) for s in range(0, max(len(wave) - RATE, 1), CLIP)]
        whole, _ = model(
            torch.from_numpy(np.stack([apply_dynamic_range(log_mel(c, FRONT), FRONT) for c in clips]))[:, None]
        )
        found: Array = model.classes(whole).numpy().mean(0)
        return found

    return tag


def of_answers(sounds: Sequence[DevSound], answers: Array, weights: Callable[[Sequence[str]], Array]) -> Scores:
    """Of logits that are there: expected log-probabilities."""
    rows = dict(zip(map(id, sounds), -np.logaddexp(0, -answers), strict=True))

    def scores(some: Sequence[DevSound], texts: Sequence[str]) -> Array:
        return np.stack([rows[id(s)] for s in some]) @ weights(texts).T

    return scores


def load_student(run: Path) -> tuple[Student, dict[str, int]]:
    """The moving average of a run."""
    state = torch.load(run / "state.pt", weights_only=True)
    model = Student(PANNConfig(**state["config"]))
    model.load_state_dict(
        {k.removeprefix("module."): v for k, v in state["average"].items() if k.startswith("module.")}
    )
    return model.eval(), {"step": state["step"], "cpu": round(state["cpu"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--teachers", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    beside = args.run.parent
    sounds = dev_sounds(args.sounds)
    ask = _words(args.teachers / "audioset_labels.csv", beside / "questions.npz")
    kept = beside / "teacher_answers.npy"
    if not kept.exists() or len(np.load(kept)) != len(sounds):
        tag = teacher_of(QuickMN04(args.teachers / "mn04_as_mAP_432.pt"))
        np.save(kept, np.stack([tag(s.wave) for s in sounds]))
    theirs = np.load(kept)
    tables = {"teacher": figures(sounds, of_answers(sounds, theirs, ask))}
    if (args.run / "state.pt").exists():
        model, facts = load_student(args.run)
        tag = student_of(model)
        own = np.stack([tag(s.wave) for s in sounds])
        tables["student"] = figures(sounds, of_answers(sounds, own, ask))
        p, q = (1 / (1 + np.exp(-a)) for a in (own, theirs))
        agreement = float(((p * q).sum(1) / np.linalg.norm(p, axis=1) / np.linalg.norm(q, axis=1)).mean())
        line = {"run": args.run.name, **facts, "agreement": round(agreement, 4)}
        line |= {name.strip(): figure.value for name, figure in tables["student"].items()}
        with (beside / "curve.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps({k: v for k, v in line.items() if k in ("run", "step", "cpu", "agreement")}))
    show(tables)


def _words(classes: Path, kept: Path) -> Callable[[Sequence[str]], Array]:
    """Texts → their weights over the classes; MiniLM is loaded for texts that were not asked before."""
    with classes.open(encoding="utf-8", newline="") as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    known: dict[str, Array] = {}
    if kept.exists():
        stored = np.load(kept)
        known = dict(zip(stored["texts"].tolist(), stored["vectors"], strict=True))

    def weights(texts: Sequence[str]) -> Array:
        new = [t for t in dict.fromkeys([*names, *texts]) if t not in known]
        if new:
            from minilm import encode

            known.update(zip(new, encode(new), strict=True))
            np.savez(kept, texts=np.array(list(known)), vectors=np.stack(list(known.values())))
        return weights_of(np.stack([known[t] for t in texts]), np.stack([known[n] for n in names]))

    return weights


if __name__ == "__main__":
    main()
