"""Sounds and texts to calibrate pruning with, and others to judge the pruned model by.

Given sounds are split in two parts. Synthesised sounds of every kind are also used to calibrate, and to judge where no
sounds are given.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from openclap.audio.clips import Clip, make_clip
from openclap.audio.load import Sound
from openclap.checkpoints.tokenizer import Tokenizer
from openclap.config import FrontEnd
from openclap.data import Item
from openclap.errors import SoundError, UsageError
from openclap.plurals import count_noun
from openclap.results import Failure
from openclap.synth import KINDS, synthesise
from openclap.train.examples import read_items
from openclap.train.held_out import split_alternately, spread_evenly
from openclap.train.pruning.importance import Batch

__all__ = ["Sounds", "choose_sounds", "clip_batches", "make_clips", "text_batches"]

CALIBRATED, JUDGED = 128, 1000  # how many of the given sounds are used, at most
BATCH = 8
RATE, SECONDS, LONG = 32_000, 5.0, 14.0  # of synthesised sounds; some are longer than a clip, for the fusion
SEEDS = {"calibrated": (11, 12), "judged": (13,)}


@dataclass(frozen=True)
class Sounds:
    """Sounds and texts to calibrate with, others to judge by, and the labels for zero-shot."""

    calibrated: list[Item | Sound]
    judged: list[Item | Sound]
    texts: list[str]
    judged_texts: list[str]
    labels: tuple[str, ...]
    what: str  # describes the judged sounds, for reports

    @property
    def labelled(self) -> bool:
        """Whether a judged sound has a label, so that there is an accuracy."""
        return any(isinstance(sound, Item) and sound.labels for sound in self.judged)


def choose_sounds(data: str | os.PathLike[str] | None) -> Sounds:
    """Choose sounds and texts to calibrate with and to judge by.

    Raises
    ------
    UsageError
        `data` holds no sound.
    DataError
        `data` cannot be read.
    """
    synthetic: list[Item | Sound] = [take for seed in SEEDS["calibrated"] for take in _synthesise_kinds(seed)]
    texts = _texts_of_kinds()
    if data is None:
        labels = tuple(KINDS)
        judged: list[Item | Sound] = [take for seed in SEEDS["judged"] for take in _synthesise_kinds(seed)]
        return Sounds(synthetic, judged, texts[1::2], texts[::2], labels, f"{len(judged)} synthesised sounds")
    items, _ = read_items(os.fspath(data), plain_sounds=True)
    if not items:
        raise UsageError(f"{os.fspath(data)} holds no sound; give a manifest or a folder with sounds")
    items = spread_evenly(items, CALIBRATED + JUDGED)
    shown, held = split_alternately(items, CALIBRATED)
    labels = tuple(sorted({label for item in held for label in item.labels}))
    said = sorted({text for item in items for text in (*item.captions, *item.labels)})
    what = f"{count_noun(len(held), 'sound')} of {os.fspath(data)}"
    return Sounds(
        [*shown, *synthetic],
        [*held],
        [*texts[1::2], *spread_evenly(said[1::2], CALIBRATED)],
        spread_evenly(said[::2], CALIBRATED) or texts[::2],
        labels or tuple(KINDS),
        what if len(held) != len(items) else f"{what}, which it was calibrated with",
    )


def _synthesise_kinds(seed: int) -> Iterator[Sound]:
    """Synthesise one sound of every kind; every eighth is longer than a clip."""
    for number, kind in enumerate(KINDS):
        rng = np.random.default_rng((seed, number))
        yield synthesise(kind, rng, rate=RATE, seconds=LONG if (number + seed) % 8 == 0 else SECONDS)[0], RATE


def _texts_of_kinds() -> list[str]:
    """The captions of all kinds, the prompts of their labels, and pairs of captions."""
    captions = [caption for kind in KINDS.values() for caption in kind.captions]
    prompts = [f"This is a sound of {kind}." for kind in KINDS]
    both = [f"{a} and {b}" for a, b in zip(captions[::2], captions[1::2], strict=False)]
    return sorted({*captions, *prompts, *both})


def make_clips(sounds: Sequence[Item | Sound], front_end: FrontEnd, *, fused: bool) -> tuple[list[Clip], list[Failure]]:
    """Make a clip of each sound that can be used, and list those that cannot."""
    clips, failed = [], []
    for sound in sounds:
        try:
            given = sound.read() if isinstance(sound, Item) else sound
            clips.append(make_clip(given, front_end, long="fusion" if fused else "head"))
        except SoundError as error:
            failed.append(Failure(error.name, error.cause))
    return clips, failed


def clip_batches(clips: Sequence[Clip], device: torch.device) -> list[Batch]:
    """Batches of mels (B, V, T, F) and which are longer (B,); longer clips come together, so a fusion sees several."""
    batches = []
    for longer in (True, False):
        some = [clip for clip in clips if bool(clip.longer) is longer]
        for at in range(0, len(some), BATCH):
            mel = torch.from_numpy(np.stack([clip.mel for clip in some[at : at + BATCH]]))
            batches.append((mel.to(device), torch.full((len(mel),), longer, device=device)))
    return batches


def text_batches(texts: Sequence[str], tokenizer: Tokenizer, device: torch.device) -> list[Batch]:
    """Batches of ids and mask (B, L); texts of a batch have one length, so that no padding enters the statistics."""
    by_length: dict[int, list[str]] = {}
    for text in texts:
        by_length.setdefault(int(tokenizer([text])[1].sum()), []).append(text)
    batches = []
    for _, some in sorted(by_length.items()):
        for at in range(0, len(some), 4 * BATCH):
            ids, mask = tokenizer(some[at : at + 4 * BATCH])
            batches.append((torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)))
    return batches
