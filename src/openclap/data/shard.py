"""Write items as one tar of FLAC and JSON in LAION's layout; the same items give the same bytes.

item ─ decode ─ 48 kHz mono ─ 16 bit ─ 00000000.flac
  └─ captions, labels, seconds, key ── 00000000.json
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from openclap.atomic_write import atomic_write
from openclap.audio.load import Sound, stream
from openclap.data.items import WORKERS, Item, decode_ahead, make_captions
from openclap.data.keyword_to_caption import KeywordToCaption
from openclap.errors import SoundError

__all__ = ["VERSION", "Shard", "caption_fields", "shard_digest", "write_shard"]

RATE = 48_000  # Hz
FULL_SCALE = 32768  # of 16 bits, so that sounds of 16 bits at 48 kHz keep every bit
VERSION = 1  # of the layout


@dataclass
class Shard:
    """The record of one tar in `pack.json`."""

    of: str  # the digest of its input, see `shard_digest`
    bytes: int = 0
    sounds: int = 0
    seconds: float = 0.0
    short: int = 0
    failed: list[list[str]] = field(default_factory=list)  # key, cause


def caption_fields(items: Sequence[Item], k2c: KeywordToCaption | None) -> list[dict[str, Any]]:
    """The captions in the .json of every item; `k2c` writes a sentence from the labels."""
    tagged = [i for i, item in enumerate(items) if item.labels]
    sentences: dict[int, str] = {}
    if k2c is not None:
        sentences = dict(zip(tagged, k2c([items[i].labels for i in tagged]), strict=True))
    captions = []
    for i, item in enumerate(items):
        text = list(make_captions(item))
        sentence = sentences.get(i)
        all_texts = list(dict.fromkeys([*text, *([sentence] if sentence else [])]))
        captions.append(
            {"text": text, "tag": list(item.labels), "text_augment_t5": sentence, "text_augment_all": all_texts}
        )
    return captions


def shard_digest(items: Sequence[Item], captions: Sequence[dict[str, Any]], start: int, min_seconds: float) -> str:
    """A digest of all that decides the bytes of a tar, with size and time of the files of its sounds."""
    digest = hashlib.blake2b(json.dumps([VERSION, start, min_seconds]).encode(), digest_size=16)
    for item, texts in zip(items, captions, strict=True):
        digest.update(json.dumps([item.key, item.split, texts, _sound_state(item)]).encode())
    return digest.hexdigest()


def _sound_state(item: Item) -> list[Any]:
    sound = item.sound
    if isinstance(sound, bytes):
        return [hashlib.blake2b(sound, digest_size=16).hexdigest()]
    dataset = getattr(sound, "dataset", None)
    place = [getattr(sound, "offset", None), getattr(sound, "row", None), getattr(dataset, "_fingerprint", None)]
    return [*place, *item.file_facts]


@dataclass(frozen=True)
class _EncodedItem:
    """One sound as FLAC, or the reason why there is none."""

    item: Item
    flac: bytes = b""
    seconds: float = 0.0
    error: str | None = None


def write_shard(
    path: Path,
    items: Sequence[Item],
    captions: Sequence[dict[str, Any]],
    start: int,
    of: str,
    *,
    min_seconds: float,
    threads: int = WORKERS,
) -> Shard:
    """Write a tar under another name, sync it, and rename it.

    Parameters
    ----------
    captions
        The result of `caption_fields` for the items.
    start
        The number of the first item.
    of
        The result of `shard_digest` for the items.
    min_seconds
        Shorter sounds are left out.
    threads
        How many sounds are decoded at a time.
    """
    shard = Shard(of)
    with atomic_write(path, own=True, sync=True) as part:
        with part.open("wb") as file:
            _write_tar(file, decode_ahead(_encode_item, items, threads=threads), captions, start, shard, min_seconds)
        shard.bytes = part.stat().st_size
    return shard


def _write_tar(
    file: io.BufferedWriter,
    packed: Iterator[_EncodedItem],
    captions: Sequence[dict[str, Any]],
    start: int,
    shard: Shard,
    min_seconds: float,
) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for i, (one, texts) in enumerate(zip(packed, captions, strict=True)):
            if one.error is not None:
                shard.failed.append([one.item.key, one.error])
            elif one.seconds < min_seconds:
                shard.short += 1
            else:
                about = {**texts, "seconds": round(one.seconds, 3), "key": one.item.key}
                _add(tar, f"{start + i:08d}.flac", one.flac)
                _add(tar, f"{start + i:08d}.json", json.dumps(about, ensure_ascii=True).encode())
                shard.sounds += 1
                shard.seconds += one.seconds


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)  # no time, no owner: the same input gives the same bytes
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _encode_item(item: Item) -> _EncodedItem:
    try:
        return _EncodedItem(item, *_flac(item))
    except SoundError as error:
        return _EncodedItem(item, error=error.cause)


def _flac(item: Item) -> tuple[bytes, float]:
    """Encode a sound as FLAC of 16 bits at 48 kHz → bytes and seconds; only the encoded sound is in memory."""
    samples = 0
    coded = io.BytesIO()
    with sf.SoundFile(coded, "w", RATE, 1, format="FLAC", subtype="PCM_16") as file:
        for wave in stream(_as_named_file(item), RATE):
            file.write(np.clip(np.rint(wave * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16))
            samples += len(wave)
    return coded.getvalue(), samples / RATE


def _as_named_file(item: Item) -> Sound:
    """The sound of an item; bytes become a file with the name of the item, for errors and warnings."""
    sound = item.read()
    if not isinstance(sound, bytes):
        return sound
    file = _NamedBytes(sound)
    file.name = item.key
    return file


class _NamedBytes(io.BytesIO):
    name = ""
