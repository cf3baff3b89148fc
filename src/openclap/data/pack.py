"""Pack any data set as 48 kHz mono FLAC in WebDataset tars, in LAION's layout.

    items of a split ─ thousands ─ 000000.tar ─ 000001.tar …     each made by `shard`
                                                  then sizes.json, and pack.json at last

The order of the items alone decides which tar holds which items: a broken sound makes its tar shorter and moves no
other item. `pack.json` remembers what went into each tar, so a finished tar is made again only if its input changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from openclap.atomic_write import ENDING, write_json
from openclap.data.items import Item, Manifest
from openclap.data.keyword_to_caption import KeywordToCaption
from openclap.data.shard import VERSION, Shard, caption_fields, shard_digest, write_shard
from openclap.data.tars import TarMember
from openclap.errors import DataError, UsageError
from openclap.results import Failure, Result

__all__ = ["PackReport", "pack"]

FORMAT = "openclap pack"
TAR = re.compile(r"(?:[^/.][^/]*/)?\d{6,}\.tar")


@dataclass(frozen=True)
class PackReport(Result):
    """What `pack` did.

    Attributes
    ----------
    shards, made
        How many tars this data set has, and how many this call has made; the others were finished before.
    sounds, hours
        The content of all tars.
    short
        Sounds left out because they are shorter than `min_seconds`.
    failed
        Sounds left out because they cannot be read, and what could not become an item.
    sentences, templates
        With `k2c`: how many items got a sentence, and how many of these are the template of their labels, because the
        model is missing or wrote nothing of use.
    """

    folder: str
    shards: int = 0
    made: int = 0
    sounds: int = 0
    hours: float = 0.0
    short: int = 0
    failed: list[Failure] = field(default_factory=list)
    sentences: int = 0
    templates: int = 0


def pack(
    manifest: Manifest,
    folder: Path,
    *,
    shard_size: int = 1000,
    min_seconds: float = 0.0,
    k2c: KeywordToCaption | None = None,
    progress: bool = False,
) -> PackReport:
    """Write a data set as tars that openclap, LAION's CLAP and WebDataset read; go on where a stopped call was.

    Parameters
    ----------
    manifest
        What `open_manifest` gives.
    folder
        Where the tars go; items of a split go into a folder of its name there. It is made where it is missing.
    shard_size
        Items in a tar.
    min_seconds
        Shorter sounds are left out; the paper leaves out those under 2 s.
    k2c
        Writes `text_augment_t5` from the labels.
    progress
        Show a bar on stderr.

    Returns
    -------
    The report. The same input gives the same bytes on one machine. Items without captions get the template of their
    labels.

    Raises
    ------
    UsageError
        `shard_size` or `min_seconds` is impossible.
    DataError
        The folder holds other tars, is used by another process, or was packed by another version; or the disk is full:
        finished tars are kept, and a later call goes on.
    """
    if shard_size < 1 or not min_seconds >= 0:
        raise UsageError(f"shard_size {shard_size}, min_seconds {min_seconds}: at least 1 item a tar, 0 s or more")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=0):
            return _Packing(folder, shard_size, min_seconds, k2c).run(manifest, progress)
    except Timeout:
        raise DataError(f"{folder}: another process packs into it; wait for it, or choose another folder") from None
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror or error}); finished tars are kept: make room, and run it"
            " again"
        ) from None


class _Packing:
    """One call of `pack`."""

    def __init__(self, folder: Path, shard_size: int, min_seconds: float, k2c: KeywordToCaption | None) -> None:
        self._folder, self._shard_size, self._min_seconds, self._k2c = folder, shard_size, min_seconds, k2c
        self._earlier = _read_record(folder)
        self._packed: dict[str, Shard] = {}
        self._made = self._sentences = 0
        self._templates = k2c.templates if k2c is not None else 0  # before this call
        for left in folder.rglob(f"*{ENDING}"):  # left by a killed call
            left.unlink()

    def run(self, manifest: Manifest, progress: bool) -> PackReport:
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), disable=not progress) as bar:
            task = bar.add_task("packing", total=manifest.count)
            for name, items, start in _shards(manifest, self._shard_size):
                self._shard(name, items, start)
                bar.advance(task, len(items))
        packed = {Path(name).parent for name in self._packed}
        kept = {name: shard for name, shard in self._earlier.items() if Path(name).parent not in packed}  # other splits
        for name in self._earlier.keys() - kept.keys() - self._packed.keys():  # the data set was longer before
            (self._folder / name).unlink(missing_ok=True)
        self._remember({**kept, **self._packed})
        done = self._packed.values()
        return PackReport(
            str(self._folder),
            shards=len(self._packed),
            made=self._made,
            sounds=sum(s.sounds for s in done),
            hours=sum(s.seconds for s in done) / 3600,
            short=sum(s.short for s in done),
            failed=[*manifest.failed, *(Failure(key, cause) for s in done for key, cause in s.failed)],
            sentences=self._sentences,
            templates=self._k2c.templates - self._templates if self._k2c is not None else 0,
        )

    def _shard(self, name: str, items: Sequence[Item], start: int) -> None:
        """Make a tar, unless it is there already and was made of the same input."""
        if any(self._folder.absolute() in tar.absolute().parents for tar in _tars_of(items)):
            raise DataError(f"{self._folder}: holds tars of the data set itself; choose another folder")
        captions = caption_fields(items, self._k2c)
        self._sentences += sum(texts["text_augment_t5"] is not None for texts in captions)
        of = shard_digest(items, captions, start, self._min_seconds)
        path = self._folder / name
        known = self._earlier.get(name)
        if known is not None and known.of == of and path.is_file() and path.stat().st_size == known.bytes:
            self._packed[name] = known
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._packed[name] = write_shard(path, items, captions, start, of, min_seconds=self._min_seconds)
        self._made += 1
        self._remember({**self._earlier, **self._packed})

    def _remember(self, shards: dict[str, Shard]) -> None:
        """Write sizes.json beside the tars, then pack.json."""
        sizes: dict[Path, dict[str, int]] = {}
        for name in sorted(shards):
            path = self._folder / name
            sizes.setdefault(path.parent, {})[path.name] = shards[name].sounds
        for parent, counts in sizes.items():
            write_json(parent / "sizes.json", counts, own=True, sync=True)
        record = {"format": FORMAT, "version": VERSION, "shards": {n: asdict(shards[n]) for n in sorted(shards)}}
        write_json(self._folder / "pack.json", record, own=True, sync=True)


def _shards(manifest: Manifest, size: int) -> Iterator[tuple[str, list[Item], int]]:
    """Group items into tars: name, items, and number of the first item, in the order of the manifest."""
    waiting: dict[str, list[Item]] = {}
    given: dict[str, int] = {}

    def take_full(prefix: str) -> tuple[str, list[Item], int]:
        items, start = waiting.pop(prefix), given.get(prefix, 0)
        given[prefix] = start + len(items)
        return f"{prefix}{start // size:06d}.tar", items, start

    for item in manifest:
        prefix = f"{_folder_name(item.split)}/" if item.split else ""
        waiting.setdefault(prefix, []).append(item)
        if len(waiting[prefix]) == size:
            yield take_full(prefix)
    for prefix in list(waiting):
        yield take_full(prefix)


def _tars_of(items: Sequence[Item]) -> set[Path]:
    """The tars that items lie in."""
    return {item.sound.tar for item in items if isinstance(item.sound, TarMember)}


def _folder_name(split: str) -> str:
    """Use a split as the name of a folder; since it comes from the data, unsafe names are refused."""
    if (
        split in (".", "..")
        or split.startswith(".")
        or any(c in split for c in '/\\:\0*?"<>|')
        or not split.isprintable()
    ):
        raise DataError(f"the split {split!r} cannot be the name of a folder; rename it: train, valid, test")
    return split


def _read_record(folder: Path) -> dict[str, Shard]:
    """Read what earlier calls have finished in a folder.

    Raises
    ------
    DataError
        The record is broken or of another version, or the folder holds other tars.
    """
    path = folder / "pack.json"
    if not path.exists():
        other = next(folder.rglob("*.tar"), None)
        if other is not None:
            raise DataError(f"{other} was not packed here by openclap; choose an empty folder")
        return {}
    try:
        record = json.loads(path.read_bytes())
        if (record["format"], record["version"]) != (FORMAT, VERSION):
            raise DataError(
                f"{path}: is {record['format']} {record['version']}, this is {FORMAT} {VERSION}; choose another folder"
            )
        shards = {str(name): Shard(**shard) for name, shard in record["shards"].items()}
        foreign = [name for name in shards if not TAR.fullmatch(name)]
        if foreign:
            raise ValueError(f"{foreign[0]} is no tar of ours")
        return shards
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: is broken ({error}); delete it and the tars beside it, or choose another folder"
        ) from None
