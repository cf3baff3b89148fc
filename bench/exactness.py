"""How far an embedding moves where LAION, transformers and mteb do something else: the sizes in docs/exactness.md.

usage: python bench/exactness.py FOLDER [--model FILE] [--short 24] [--long 8] [--seed 0]

FOLDER is searched for recordings: some of a clip or less, and some of 12.5 s or more. The model is a fused HTSAT in LAION's
`.pt` form; left out, HTSAT-tiny under the weights of tests/data/golden, which anyone can regenerate, stands in. Everything is
computed once as openclap does it and once in the other way, and rows are compared. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import transformers
from rich.console import Console
from rich.table import Table

from openclap.audio.clips import fusion_views, load_model_wave, make_clip, pad_wave
from openclap.audio.load import duration
from openclap.audio.mel import log_mel
from openclap.checkpoints.load import load_checkpoint
from openclap.library.scan import find_sounds
from openclap.models.clap import CLAPModel

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

Array = npt.NDArray[np.float32]
LONG = 1.25  # clips, so that starts can differ
SECONDS = 45.0  # of a long recording
DRAWS = 3


class Compared:
    """A fused model, its front end, and rows of mels."""

    def __init__(self, model: CLAPModel, seed: int) -> None:
        self.model, self.front = model, model.config.front_end
        self._rng = np.random.default_rng(seed)

    def rows(self, mels: Sequence[Array], *, longer: bool) -> Array:
        """Mels (V, T, F), V 1 or 4 → (N, E)."""
        found = []
        for mel in mels:
            views = torch.from_numpy(np.array(np.broadcast_to(mel, (4, *mel.shape[1:]))))[None]
            with torch.inference_mode():
                found.append(self.model.encode_audio(views, torch.tensor([longer])).numpy())
        return np.concatenate(found)

    def of_short(self, files: Sequence[Path]) -> dict[str, tuple[Array, Array]]:
        """What matters for recordings of a clip or less."""
        plain = replace(self.front, quantise=None)
        mels = [make_clip(file, self.front, long="head").mel for file in files]
        ours = self.rows(mels, longer=False)
        theirs = transformers.ClapFeatureExtractor(frequency_min=self.front.f_min, frequency_max=self.front.f_max)
        heads = [load_model_wave(file, self.front, seconds=self.front.clip_seconds) for file in files]
        double = [theirs._np_extract_fbank_features(pad_wave(w, self.front), theirs.mel_filters)[None] for w in heads]
        return {
            "not rounded to 16 bits": (
                ours,
                self.rows([make_clip(f, plain, long="head").mel for f in files], longer=False),
            ),
            "mel in float64": (ours, self.rows([mel.astype(np.float32) for mel in double], longer=False)),
            "short, marked longer": (ours, self.rows(mels, longer=True)),
        }

    def of_long(self, files: Sequence[Path]) -> dict[str, tuple[Array, Array]]:
        """What matters for longer ones."""
        waves = [load_model_wave(file, self.front, seconds=SECONDS) for file in files]
        mels = [log_mel(wave, self.front) for wave in waves]
        ours = self._fused(mels, self._middle)
        drawn = [self._fused(mels, self._random) for _ in range(DRAWS)]
        head = self.rows([log_mel(w[: self.front.clip_samples], self.front)[None] for w in waves], longer=False)
        crops = [self._crop(wave) for wave in waves]
        return {
            "random starts": (np.concatenate([ours] * DRAWS), np.concatenate(drawn)),
            "random starts, twice": (drawn[0], drawn[1]),
            "global view antialiased": (ours, self._fused(mels, self._smooth)),
            "first 10 s": (ours, head),
            "random 10 s, against the first": (head, self.rows(crops, longer=False)),
        }

    def _fused(self, mels: Sequence[Array], views: Callable[[Array], Array]) -> Array:
        return self.rows([views(mel) for mel in mels], longer=True)

    def _middle(self, mel: Array) -> Array:
        return fusion_views(mel, self.front.clip_frames)

    def _random(self, mel: Array) -> Array:
        frames = self.front.clip_frames
        starts = [int(self._rng.choice(third)) for third in np.array_split(np.arange(len(mel) - frames + 1), 3)]
        return np.stack([self._middle(mel)[0], *(mel[start : start + frames] for start in starts)])

    def _smooth(self, mel: Array) -> Array:
        size = (self.front.clip_frames, self.front.mel_bins)
        shrunk = torch.nn.functional.interpolate(
            torch.from_numpy(mel)[None, None], size=size, mode="bilinear", antialias=True
        )
        return np.stack([shrunk[0, 0].numpy(), *self._middle(mel)[1:]])

    def _crop(self, wave: Array) -> Array:
        start = int(self._rng.integers(len(wave) - self.front.clip_samples))
        return log_mel(wave[start : start + self.front.clip_samples], self.front)[None]


def model_of(file: str | None) -> CLAPModel:
    """A `.pt` of LAION's, or HTSAT-tiny with aff_2d under weights that anyone can regenerate."""
    if file is not None:
        checkpoint = load_checkpoint(file)
        return CLAPModel.from_arrays(checkpoint.config, checkpoint.weights)
    from test_golden import loaded

    return loaded("HTSAT-tiny+roberta+aff_2d", "audio")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--short", type=int, default=24)
    parser.add_argument("--long", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)  # beside other work, more threads wait for each other
    model = model_of(asked.model)
    files = find_sounds([asked.folder]).files
    clip = model.config.front_end.clip_seconds
    largest = sorted(files, key=lambda file: -file.stat().st_size)
    drawn = [files[i] for i in np.random.default_rng(asked.seed).permutation(len(files))]
    long = list(islice((file for file in largest if duration(file) >= LONG * clip), asked.long))
    short = list(islice((file for file in drawn if duration(file) <= clip), asked.short))
    compared = Compared(model, asked.seed)
    found = {**compared.of_short(short), **(compared.of_long(long) if long else {})}
    table = Table("what", "rows", "least cosine", "mean cosine", "largest number")
    numbers = {}
    for what, (ours, other) in found.items():
        cosine, apart = (ours * other).sum(1), float(np.abs(ours - other).max())
        numbers[what] = {"rows": len(ours), "least": float(cosine.min()), "mean": float(cosine.mean()), "apart": apart}
        table.add_row(what, str(len(ours)), f"{cosine.min():.4f}", f"{cosine.mean():.4f}", f"{apart:.1e}")
    Console(width=120).print(table)
    print(
        json.dumps(
            {"bench": "exactness", "model": model.config.name, "short": len(short), "long": len(long), **numbers}
        )
    )


if __name__ == "__main__":
    main()
