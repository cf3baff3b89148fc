"""Check a data set: decode every sound, look at every caption, and find copies and leaks between splits.

every item ─ decode ─ length, rate, hash of the samples ─ equal in two items: a copy; in two splits: a leak
              └ deep: fingerprint ─ keys ─ files that share some ─ overlap ─ above 0.75: the same recording
"""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from openclap.audio import decode
from openclap.audio.decode_pass import DecodePass
from openclap.audio.files import open_binary
from openclap.audio.fingerprint import Fingerprint, fingerprint, overlap
from openclap.audio.fingerprint_index import SAME_RECORDING, FingerprintIndex, connected_groups
from openclap.audio.load import Sound, stream
from openclap.data.items import Item, Manifest, decode_ahead
from openclap.errors import DataError, NotFiniteSound, SoundError, SoundWarning
from openclap.labels import LISTS
from openclap.labels import labels as packaged
from openclap.progress import with_progress
from openclap.results import Failure
from openclap.textfiles import read_lines

__all__ = ["EDGES", "Bin", "CaptionLeak", "CheckReport", "Lengths", "Member", "check", "read_labels"]

EDGES = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0, float("inf"))  # seconds, of the histogram
BLOCK_SECONDS = 30.0


@dataclass(frozen=True)
class Bin:
    """How many sounds are from `start` (included) to `end` seconds long; without an end where `end` is None."""

    start: float
    end: float | None
    count: int


@dataclass(frozen=True)
class Lengths:
    """How long the sounds are, in seconds."""

    min: float
    median: float
    max: float
    histogram: list[Bin]


@dataclass(frozen=True)
class Member:
    """One of several items that hold the same sound."""

    key: str
    split: str | None


@dataclass(frozen=True)
class CaptionLeak:
    """The same captions in several splits: how many items of each have them."""

    captions: list[str]
    splits: dict[str, int]


@dataclass(frozen=True)
class CheckReport:
    """What `check` found.

    Attributes
    ----------
    items, hours
        The number of all items, and the hours of those that can be read.
    splits
        How many items each split has; "none" stands for items without a split.
    lengths
        None where no sound can be read.
    rates
        How many sounds have each sampling rate, in Hz.
    broken
        Sounds that cannot be read, and what could not become an item.
    damaged
        Sounds that are cut short, so that only a part can be read.
    without_captions
        Items with neither captions nor labels.
    unknown_labels
        Labels that are not in the list given, and how many items have each.
    duplicates
        Groups of items with the same samples.
    near_duplicates
        Groups of items with the same recording in another form; empty without `deep`.
    sound_leaks
        Groups of either kind whose items lie in several splits.
    caption_leaks
        Equal sets of captions in several splits: normal for templates, a leak for captions written by people.
    """

    source: str
    items: int
    hours: float
    splits: dict[str, int]
    lengths: Lengths | None
    rates: dict[int, int]
    captions: int
    labels: int
    broken: list[Failure] = field(default_factory=list)
    damaged: list[Failure] = field(default_factory=list)
    without_captions: list[str] = field(default_factory=list)
    unknown_labels: dict[str, int] = field(default_factory=dict)
    duplicates: list[list[Member]] = field(default_factory=list)
    near_duplicates: list[list[Member]] = field(default_factory=list)
    sound_leaks: list[list[Member]] = field(default_factory=list)
    caption_leaks: list[CaptionLeak] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether no error was found that spoils training or its test.

        Such errors are broken or damaged sounds, unknown labels, and sounds in several splits.
        """
        return not (self.broken or self.damaged or self.unknown_labels or self.sound_leaks)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, ready for `json.dumps`."""
        return {**asdict(self), "rates": {str(rate): n for rate, n in self.rates.items()}, "sound": self.sound}


@dataclass(frozen=True)
class _DecodedItem:
    """What was found out by decoding one item."""

    item: Item
    seconds: float = 0.0
    rate: int = 0  # Hz
    hash: bytes = b""
    fingerprint: Fingerprint | None = None
    error: str | None = None
    warning: str | None = None


def check(
    manifest: Manifest, *, labels: Collection[str] | None = None, deep: bool = False, progress: bool = False
) -> CheckReport:
    """Check every item of a data set.

    Parameters
    ----------
    manifest
        What `open_manifest` gives. Two sounds are the same if their decoded samples are, whatever the file format.
    labels
        All labels there may be; other labels are reported.
    deep
        Also compare fingerprints of the first ten minutes, which finds a recording as MP3, softer, cut or shifted.
    progress
        Show a bar on stderr.
    """
    heard: list[_DecodedItem] = []
    with FingerprintIndex() as index, _collect_warnings() as noted:
        seen: dict[bytes, int] = {}  # one of each content is fingerprinted
        found = decode_ahead(lambda item: _decode_item(item, deep, noted), manifest)
        for i, one in enumerate(with_progress(found, "listening", manifest.count, show=progress)):
            if one.fingerprint is not None and seen.setdefault(one.hash, i) == i:
                index.add(i, one.fingerprint)
            heard.append(_DecodedItem(one.item, one.seconds, one.rate, one.hash, None, one.error, one.warning))
        near = _find_near_copies(index)
    return _report(manifest, heard, near, labels)


def _decode_item(item: Item, deep: bool, noted: threading.local) -> _DecodedItem:
    noted.texts = []
    try:
        sound = item.read()
        seconds, rate, digest = _decode(sound, item.key)
        print_ = fingerprint(sound) if deep else None
    except SoundError as error:
        return _DecodedItem(item, error=error.cause)
    warning = noted.texts[0].removeprefix(f"{item.key}: ") if noted.texts else None
    return _DecodedItem(item, seconds, rate, digest, print_, warning=warning)


def _decode(sound: Sound, name: str) -> tuple[float, int, bytes]:
    """Decode a sound → length in seconds, rate in Hz, and hash of the samples."""
    digest = hashlib.blake2b(digest_size=16)
    seconds, first = 0.0, 0.0
    for rate, wave in _blocks(sound, name):
        first = first or rate
        if not np.isfinite(wave).all():
            raise NotFiniteSound(name, "holds NaN or infinite samples; repair it, or replace them by zeros")
        seconds += len(wave) / rate
        digest.update(wave.tobytes())
    digest.update(str(first).encode())
    return seconds, round(first), digest.digest()


def _blocks(sound: Sound, name: str) -> Iterator[tuple[float, decode.Wave]]:
    """Decode a sound in mono blocks at its own rate → rate and samples of each."""
    if isinstance(sound, dict):  # an array, of Hugging Face's data sets
        for wave in stream(sound, sound["sampling_rate"]):
            yield sound["sampling_rate"], wave
        return
    with open_binary(sound, name) as file:
        yield from decode.decode_blocks(file, DecodePass(name, block_seconds=BLOCK_SECONDS))


@contextmanager
def _collect_warnings() -> Iterator[threading.local]:
    """Collect sound warnings in `texts` of the thread that gave them, instead of showing them."""
    noted = threading.local()
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, SoundWarning) and hasattr(noted, "texts"):
                noted.texts.append(str(message))
            else:
                show(message, category, *rest, **more)

        warnings.simplefilter("always", SoundWarning)
        warnings.showwarning = note
        yield noted


def _find_near_copies(index: FingerprintIndex) -> list[tuple[int, int]]:
    """Find pairs of items that are the same recording."""
    pairs = sorted(index.candidate_pairs())
    return [(a, b) for a, b in pairs if overlap(index[a], index[b]).correlation >= SAME_RECORDING]


def _report(
    manifest: Manifest, heard: Sequence[_DecodedItem], near: list[tuple[int, int]], labels: Collection[str] | None
) -> CheckReport:
    items = [one.item for one in heard]
    read = [one for one in heard if one.error is None]
    copies = _find_copies(heard)
    exact = [[Member(items[i].key, items[i].split) for i in group] for group in copies]
    joined = connected_groups([*((g[0], i) for g in copies for i in g[1:]), *near])
    found = {i for pair in near for i in pair}
    alike = [[Member(items[i].key, items[i].split) for i in group] for group in joined if found & set(group)]
    all_same = [[Member(items[i].key, items[i].split) for i in group] for group in joined]
    return CheckReport(
        source=manifest.name,
        items=len(items),
        hours=sum(one.seconds for one in read) / 3600,
        splits=dict(sorted(Counter(item.split or "none" for item in items).items())),
        lengths=_lengths([one.seconds for one in read]),
        rates=dict(sorted(Counter(one.rate for one in read).items())),
        captions=sum(len(item.captions) for item in items),
        labels=len({label for item in items for label in item.labels}),
        broken=[*manifest.failed, *(Failure(one.item.key, one.error) for one in heard if one.error is not None)],
        damaged=[Failure(one.item.key, one.warning) for one in heard if one.warning is not None],
        without_captions=[item.key for item in items if not item.captions and not item.labels],
        unknown_labels={} if labels is None else _count_unknown(items, set(labels)),
        duplicates=exact,
        near_duplicates=alike,
        sound_leaks=[group for group in all_same if len({m.split for m in group}) > 1],
        caption_leaks=_caption_leaks(items),
    )


def _find_copies(heard: Sequence[_DecodedItem]) -> list[list[int]]:
    groups: dict[bytes, list[int]] = defaultdict(list)
    for i, one in enumerate(heard):
        if one.error is None:
            groups[one.hash].append(i)
    return [group for group in groups.values() if len(group) > 1]


def _count_unknown(items: Sequence[Item], known: set[str]) -> dict[str, int]:
    counts = Counter(label for item in items for label in item.labels if label not in known)
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _caption_leaks(items: Sequence[Item]) -> list[CaptionLeak]:
    groups: dict[frozenset[str], Counter[str]] = defaultdict(Counter)
    for item in items:
        if item.captions:
            groups[frozenset(text.casefold() for text in item.captions)][item.split or "none"] += 1
    leaks = [
        CaptionLeak(sorted(texts), dict(sorted(splits.items()))) for texts, splits in groups.items() if len(splits) > 1
    ]
    return sorted(leaks, key=lambda leak: (-sum(leak.splits.values()), leak.captions))


def _lengths(seconds: Sequence[float]) -> Lengths | None:
    if not seconds:
        return None
    counts = np.histogram(seconds, EDGES)[0].tolist()
    bins = [
        Bin(start, None if end == EDGES[-1] else end, n)
        for (start, end), n in zip(pairwise(EDGES), counts, strict=True)
    ]
    return Lengths(min(seconds), float(np.median(seconds)), max(seconds), bins)


def read_labels(path: Path) -> list[str]:
    """Read labels from a file with one in each line, or from the column `label` of a .csv.

    The name of a packaged list (`audioset`, `esc50`, …) stands for that list.

    Raises
    ------
    DataError
        The file is missing, is no text, or holds no labels.
    """
    if str(path) in LISTS and not path.exists():
        return packaged(str(path))
    labels = read_lines(path.expanduser(), ("label", "labels"))
    if not labels:
        raise DataError(f"{path}: holds no labels; write one a line")
    return labels
