"""What all sounds have in common, and what all names have, is subtracted from a model's vectors: biases move, nothing is learnt.

usage: python runs/mini/centre.py MODEL OUT --sounds SOUNDS --teachers TEACHERS
  MODEL    what speak.py made, or a landed model by name or folder
  OUT      a folder that CLAP.from_pretrained loads

Vectors of sounds lie in a narrow cone, vectors of texts in another. What is usual of a name differs from name to name there, and
names that are usual win. The means are taken over sounds that may be trained on, and over the names of the teacher's classes. The
temperature keeps the spread of what a softmax is taken of.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from hear import FRONT, open_sources
from sheet import TEMPLATE
from teachers import read_classes
from torch import Tensor, nn

from openclap.audio.clips import pad_wave
from openclap.audio.mel import apply_dynamic_range, log_mel
from openclap.checkpoints.load import load_checkpoint
from openclap.checkpoints.native import save_pretrained
from openclap.checkpoints.tokenizer import Tokenizer
from openclap.checkpoints.weights import Weights, entries_from_arrays
from openclap.models.clap import CLAPModel

__all__ = ["centred", "heard", "read"]

EACH = 60  # sounds of a source
AT_ONCE = 16


@torch.inference_mode()
def heard(model: CLAPModel, sounds: Path) -> Tensor:
    """What the projection says of sounds of every source, before it is brought to length 1 (N, E)."""
    rng = np.random.default_rng(0)
    mels = []
    for store, numbers, _ in open_sources(sounds, everything=False):
        for number in rng.choice(numbers, min(len(numbers), EACH), replace=False).tolist():
            wave = pad_wave(store.wave(number, 0, FRONT.clip_samples), FRONT)
            mels.append(torch.from_numpy(apply_dynamic_range(log_mel(wave, FRONT), FRONT)))
    parts = [torch.stack(mels[at : at + AT_ONCE])[:, None] for at in range(0, len(mels), AT_ONCE)]
    return torch.cat([model.audio_projection(model.audio(x, torch.zeros(len(x), dtype=torch.bool))) for x in parts])


@torch.inference_mode()
def read(model: CLAPModel, tokenizer: Tokenizer, texts: list[str]) -> Tensor:
    """The same of texts (M, E)."""
    ids, mask = tokenizer(texts)
    return model.text_projection(model.text(torch.from_numpy(ids), torch.from_numpy(mask)))


@torch.no_grad()
def centred(model: CLAPModel, sounds: Tensor, texts: Tensor) -> None:
    """Subtract the means of sounds (N, E) and texts (M, E) by the last biases; the spread of logits stays."""

    def spread(a: Tensor, b: Tensor) -> float:
        cosines = torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(b, dim=1).T
        return float(cosines.std(1).mean())  # of the names, for one sound

    before, after = spread(sounds, texts), spread(sounds - sounds.mean(0), texts - texts.mean(0))
    for projection, vectors in ((model.audio_projection, sounds), (model.text_projection, texts)):
        last = projection[-1]  # type: ignore[index]
        assert isinstance(last, nn.Linear)
        last.bias.sub_(vectors.mean(0))
    model.logit_scale.add_(math.log(before / after))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--teachers", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    given = load_checkpoint(args.model)
    assert given.tokenizer_file is not None
    config = replace(given.config, front_end=replace(given.config.front_end, padding=FRONT.padding))
    model = CLAPModel.from_arrays(config, given.weights).eval()
    names = [TEMPLATE.format(name) for _, name in read_classes(args.teachers / "audioset_labels.csv")]
    texts = read(model, Tokenizer(given.tokenizer_file, config.text), names)
    was = float(model.logit_scale.detach().exp())
    centred(model, heard(model, args.sounds), texts)
    print(f"scale of the logits {was:.2f} → {float(model.logit_scale.detach().exp()):.2f}")
    weights = Weights(entries_from_arrays(model.arrays()))
    save_pretrained(config, weights, given.tokenizer_file, args.out, compact=True)


if __name__ == "__main__":
    main()
