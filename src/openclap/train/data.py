"""Batches: examples → mels and captions, drawn anew at every epoch. Knows nothing of the model's towers.

A recording is decoded once where its power mel fits in memory (13 KB a second of sound at 50 frames/s). What a
batch holds is decided by (seed, epoch, step) alone, so a resumed run sees the batches of an uninterrupted one.
"""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from openclap.audio.load import load
from openclap.audio.mel import log_mel
from openclap.config import CLAPConfig, FrontEnd
from openclap.errors import SoundError, SoundWarning
from openclap.results import Failure
from openclap.train import augment as vary
from openclap.train.captions import Captions
from openclap.train.examples import Example
from openclap.train.left_out import refuse_many, warn_of
from openclap.train.ranks import Ranks
from openclap.train.settings import Settings

__all__ = ["Batch", "Batches", "Meaning", "Mels", "positives_of"]

SILENCE = -99.9  # dB: nothing above the front end's floor
TRIES, ENOUGH = (
    6,
    0.4,
)  # a crop should hold this share of the recording's mean power; so often another is drawn


@dataclass(frozen=True)
class Batch:
    """What one step trains on."""

    mel: Tensor  # (B, V, T, F) in dB, V 1 or 4
    longer: Tensor  # (B,) bool: rows that go through the fusion
    texts: list[str]  # M >= B: one a clip, then other concepts
    meaning: Meaning

    @property
    def positives(self) -> Tensor:
        """(B, M): how much text m describes clip b."""
        return positives_of(self.meaning)[0]

    @property
    def ignored(self) -> Tensor:
        """Bool (B, M): pairs that are neither right nor wrong."""
        return positives_of(self.meaning)[1]


@dataclass(frozen=True)
class Meaning:
    """What clips and texts are about, as numbers of concepts and of families, so that ranks can tell each other."""

    heard: Tensor  # (B, 2) concepts of a clip: the second is that of what plays with it, or -1
    said: Tensor  # (M,) the concept of a text
    joined: Tensor  # (M,) bool: it tells of both that play together, and describes its own clip alone
    heard_families: Tensor  # (B, 2, K), -1 where there is none
    said_families: Tensor  # (M, K)

    def to(self, device: torch.device) -> Meaning:
        """The same, where ranks can tell it each other: NCCL knows no other memory than the GPU's."""
        return Meaning(*(part.to(device) for part in vars(self).values()))


def positives_of(meaning: Meaning, ranks: Ranks | None = None) -> tuple[Tensor, Tensor]:
    """How much each text describes each clip (B, M), and bool (B, M) of pairs that are neither right nor wrong; of all ranks' together."""
    ranks = ranks or Ranks()
    clips, texts, device = len(meaning.heard), len(meaning.said), meaning.heard.device
    own = torch.full((texts,), -1, device=device)
    own[:clips] = torch.arange(clips, device=device)
    counts = ranks.gather(torch.tensor([clips], device=device))
    own = torch.where(own >= 0, own + int(counts[: ranks.rank].sum()), own)
    heard, said, joined, own = (ranks.gather(x) for x in (meaning.heard, meaning.said, meaning.joined.long(), own))
    heard_families, said_families = ranks.gather(meaning.heard_families), ranks.gather(meaning.said_families)
    match = (heard[:, :, None] == said[None, None]).any(1).float()  # (B, M)
    positives = match / (heard >= 0).sum(1, keepdim=True) * (joined == 0)
    its = own[None] == torch.arange(len(heard), device=device)[:, None]
    positives = torch.where(its, 1.0, positives)
    shared = (heard_families[:, :, None, :, None] == said_families[None, None, :, None]) & (said_families >= 0)[
        None, None, :, None
    ]
    kin = shared.any(-1).any(-1) & (heard[:, :, None] != said[None, None])  # (B, 2, M)
    return positives, kin.any(1) & (positives == 0)


class Mels:
    """The power mel (T, F) of every recording: as many as fit in memory are decoded once, others at every visit.

    Parameters
    ----------
    most_broken
        The share of them that may be unreadable, with a warning that names them.
    memory : int
        Bytes, of this process.
    """

    def __init__(
        self, examples: Sequence[Example], front_end: FrontEnd, *, most_broken: float = 0.0, memory: int = 4 << 30
    ) -> None:
        self._items = {example.key: example.item for example in examples}
        self._front_end = replace(front_end, dynamic_range=None)
        self._room = memory
        self._kept: dict[str, Tensor] = {}
        self._most_broken = most_broken
        self._lock = threading.Lock()
        self._decoded = False
        self.left_out: dict[str, Failure] = {}  # by key

    def decode(self, *, progress: bool = False) -> None:
        """Fill the memory.

        Raises
        ------
        TrainingError
            More than may be cannot be read; some are named.
        """
        for key in track(sorted(self._items), "reading sounds", console=Console(stderr=True), disable=not progress):
            self.get(key)
            if self._room <= 0:
                break
        self._decoded = True
        warn_of(self.left_out.values())

    def get(self, key: str) -> Tensor | None:
        """The mel of a recording, or None for one that cannot be read."""
        if key in self._kept or key in self.left_out:
            return self._kept.get(key)
        try:
            wave = load(self._items[key].read(), self._front_end.sampling_rate)
        except SoundError as error:
            with self._lock:
                self.left_out[key] = Failure(error.name, error.cause)
            if self._decoded:
                warnings.warn(f"a sound is left out: {error}", SoundWarning, stacklevel=2)
            self._not_too_many()
            return None
        power = torch.from_numpy(np.power(10, np.asarray(log_mel(wave, self._front_end)) / 10).astype(np.float32))
        with self._lock:
            if self._room > 0 and key not in self._kept:
                self._kept[key] = power
                self._room -= power.numel() * 4
        return power

    def _not_too_many(self) -> None:
        with self._lock:
            lost = list(self.left_out.values())
        refuse_many(
            lost, len(self._items), self._most_broken, f"{len(lost)} of {len(self._items)} sounds cannot be read"
        )


class Batches:
    """An endless supply of batches; `epoch(n)` are those of epoch n."""

    def __init__(
        self,
        examples: Sequence[Example],
        mels: Mels,
        settings: Settings,
        config: CLAPConfig,
        ranks: Ranks | None = None,
    ) -> None:
        self.examples = list(examples)
        self.captions = Captions(examples, settings)
        self.settings = settings
        self.fused = config.fusion is not None
        self._rank, self._world = (ranks.rank, ranks.world) if ranks is not None else (0, 1)
        self._mels = mels
        front_end = config.front_end
        self.frames = round(settings.crop_seconds * front_end.sampling_rate) // front_end.hop + 1
        self._frames_per_second = front_end.sampling_rate / front_end.hop
        self._dynamic_range = front_end.dynamic_range

    @property
    def steps(self) -> int:
        """Batches an epoch; a last one that is not full is left out, other examples each time."""
        return len(self.examples) // self.settings.batch_size

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from step `start`, in an order of its own: of each, the part of this rank.

        Some are made ahead, by threads.
        """
        size = self.settings.batch_size // self._world
        order = np.random.default_rng((self.settings.seed, number)).permutation(len(self.examples))
        first = self._rank * size

        def batch(step: int) -> Batch:
            place = step * self.settings.batch_size + first
            rng = np.random.default_rng((self.settings.seed, number, step + 1, *([self._rank] if self._rank else [])))
            return self._batch([self._readable(int(i)) for i in order[place : place + size]], rng)

        with ThreadPoolExecutor(self.settings.workers, "openclap-batches") as pool:
            ahead: deque[Future[Batch]] = deque()
            steps = iter(range(start, self.steps))
            try:
                ahead.extend(pool.submit(batch, step) for step in islice(steps, self.settings.workers + 1))
                while ahead:
                    made = ahead.popleft().result()
                    ahead.extend(pool.submit(batch, step) for step in islice(steps, 1))
                    yield made
            finally:
                for waiting in ahead:
                    waiting.cancel()

    def _readable(self, number: int) -> Example:
        """An example, or the next one that can be read."""
        while self._mels.get(self.examples[number].key) is None:
            number = (number + 1) % len(self.examples)
        return self.examples[number]

    def _batch(self, chosen: list[Example], rng: np.random.Generator) -> Batch:
        power, longer = self._stacked([self._views(example, rng) for example in chosen], rng)
        concepts, texts = self._texts(chosen, rng)
        power, texts, partner = self._mix(power, texts, rng)
        return Batch(self._varied(power, rng), longer, texts, self._meaning(concepts, partner))

    def _varied(self, power: Tensor, rng: np.random.Generator) -> Tensor:
        """(B, V, T, F) as another microphone in another place would have it, in dB."""
        augment = self.settings.augment
        if augment.room_share:
            power = vary.in_a_room(power, augment, self._frames_per_second, rng)
        if augment.equaliser_db:
            power = vary.equalise(power, augment.equaliser_db, rng)
        if augment.noise_share:
            power = vary.with_noise(power, augment, rng)
        if augment.gain_db:
            power = vary.louder(power, augment.gain_db, rng)
        return self._level(vary.to_decibel(power))

    def _stacked(self, shown: list[Tensor], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Views of each row (1 or 4, T, F) → (B, V, T, F), and which rows go through the fusion (B,)."""
        longer = torch.tensor([len(views) > 1 for views in shown])
        if self.fused and not longer.any():  # the fusion's weights must get a gradient from every batch
            longer[int(rng.integers(len(longer)))] = True
        if longer.any():
            shown = [views if len(views) > 1 else views.expand(4, -1, -1) for views in shown]
        return torch.stack(shown), longer

    def _views(self, example: Example, rng: np.random.Generator) -> Tensor:
        """(1, T, F), or (4, T, F) for a long recording that is shown whole: global, front, middle, back."""
        power = self._mels.get(example.key)
        assert power is not None
        augment = self.settings.augment
        speed = float(np.exp(rng.uniform(-augment.stretch, augment.stretch)))
        shift = float(rng.uniform(-augment.pitch_bins, augment.pitch_bins))
        whole = self.fused and rng.random() < self.settings.longer_share
        if whole and self.settings.lengthen is not None:
            power = self._lengthened(power, rng)
        if not (whole and len(power) > self.settings.longer_from * self.frames):
            return vary.crop(power, self.frames, self._start(power, rng), speed, shift)[None]
        return self._four(power, shift, rng)

    def _four(self, power: Tensor, shift: float, rng: np.random.Generator) -> Tensor:
        """A long recording (T, F) as the fusion takes it: (4, frames, F)."""
        spare = len(power) - self.frames
        thirds = np.array_split(np.arange(spare + 1), 3)
        starts = [float(rng.choice(third)) if len(third) else 0.0 for third in thirds]
        overall = vary.crop(power, self.frames, 0.0, (len(power) - 1) / max(self.frames - 1, 1), shift)
        return torch.stack([overall, *(vary.crop(power, self.frames, s, 1.0, shift) for s in starts)])

    def _lengthened(self, power: Tensor, rng: np.random.Generator) -> Tensor:
        """Repeat a recording to a random number of crops, from a random frame on; long ones stay."""
        settings = self.settings
        assert settings.lengthen is not None
        frames = round(float(rng.uniform(settings.longer_from, settings.lengthen)) * self.frames) + 1
        if len(power) >= frames:
            return power
        return vary.tile(power.roll(-int(rng.integers(len(power))), 0), frames)[:frames]

    def _start(self, power: Tensor, rng: np.random.Generator) -> float:
        """Where a crop begins: anywhere, but where something is heard.

        Recordings are often padded with silence; a crop of nothing but silence, levelled, looks like the
        loudest noise and taught an early mini that rain is a sneeze.
        """
        spare = len(power) - self.frames
        if spare <= 0:
            return float(rng.uniform(0, len(power)))
        return self._heard(power, rng.uniform(0, spare, TRIES))

    def _heard(self, power: Tensor, starts: npt.NDArray[np.float64]) -> float:
        """The first of some starts from which something is heard, else that of the loudest crop."""
        loudness = power.mean(1)
        enough = ENOUGH * float(loudness.mean())
        heard = [float(loudness[int(s) : int(s) + self.frames].mean()) for s in starts]
        return float(
            next(
                (s for s, level in zip(starts, heard, strict=True) if level > enough),
                starts[int(np.argmax(heard))],
            )
        )

    def _texts(self, chosen: list[Example], rng: np.random.Generator) -> tuple[list[str], list[str]]:
        """One caption a clip and some of other concepts: the concepts, and the captions."""
        concepts = [example.concept for example in chosen]
        others = sorted(set(self.captions.concepts) - set(concepts))
        extra = min(self.settings.extra_texts, len(others))
        concepts += [str(c) for c in rng.choice(others, extra, replace=False)] if extra else []
        return concepts, [self.captions.draw(concept, rng) for concept in concepts]

    def _mix(
        self, power: Tensor, texts: list[str], rng: np.random.Generator
    ) -> tuple[Tensor, list[str], dict[int, int]]:
        """Some rows play together with another row; their captions are joined. Which row plays with which is told too."""
        rows = len(power)
        share = self.settings.augment.mix_share if rows > 1 else 0.0
        mixed = np.flatnonzero(rng.random(rows) < share)
        others = (mixed + rng.integers(1, rows, len(mixed))) % rows
        gains = 10 ** (rng.uniform(*self.settings.augment.mix_gain_db, len(mixed)) / 10)
        loudness = power.mean((1, 2, 3)).clamp(min=1e-12)
        sounds, said = power.clone(), list(texts)
        for row, other, gain in zip(mixed, others, gains, strict=True):
            sounds[row] = power[row] + float(gain) * (loudness[row] / loudness[other]) * power[other]
            said[row] = f"{texts[row]} and {texts[other]}"
        return sounds, said, dict(zip(mixed.tolist(), others.tolist(), strict=True))

    def _meaning(self, concepts: list[str], partner: dict[int, int]) -> Meaning:
        clips = self.settings.batch_size // self._world
        said = torch.tensor([self.captions.number_of(concept) for concept in concepts])
        heard = torch.full((clips, 2), -1)
        heard[:, 0] = said[:clips]
        for row, other in partner.items():
            heard[row, 1] = said[other] if said[other] != said[row] else -1
        joined = torch.zeros(len(said), dtype=torch.bool)
        joined[list(partner)] = True
        families = self.captions.families
        none = torch.full((families.shape[1],), -1)
        return Meaning(heard, said, joined, torch.where((heard >= 0)[..., None], families[heard], none), families[said])

    def _level(self, decibel: Tensor) -> Tensor:
        if self._dynamic_range is None:
            return decibel
        loudest = decibel.amax((1, 2, 3), keepdim=True)
        levelled = (decibel - loudest).clamp(min=-self._dynamic_range)
        return torch.where(loudest > SILENCE, levelled, -self._dynamic_range)
