"""Pack any data set as 48 kHz mono FLAC in WebDataset tars, in LAION's layout.

    items of a split ─ thousands ─ 000000.tar ─ 000001.tar …     each made by `shard`, here or by a Ray cluster
                                                  then sizes.json, and pack.json at last

The order of the items alone decides which tar holds which items: a broken sound makes its tar shorter and moves no
other item. `pack.json` remembers what went into each tar, so a finished tar is made again only if its input changes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from filelock import FileLock, Timeout

from openclap.atomic_write import ENDING, write_json
from openclap.cluster import connected, count_workers, map_parts
from openclap.data.items import Item, Manifest
from openclap.data.keyword_to_caption import KeywordToCaption
from openclap.data.shard import VERSION, Shard, caption_fields, shard_digest, write_shard
from openclap.data.tars import TarMember
from openclap.errors import DataError, UsageError
from openclap.regular_files import read_regular
from openclap.results import Failure, Result

__all__ = ["PackReport", "pack"]

FORMAT = "openclap pack"
SIGN = ".cluster"  # a file by which a machine of the cluster knows the folder
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
    engine: Literal["local", "ray"] = "local",
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
    engine
        "local" packs in this process; "ray" on a Ray cluster, the one at RAY_ADDRESS or a new one on this machine, a tar at
        a time on each core. The folder and the sounds must be there under the same paths on all machines. Captions are
        written by `k2c` in this process.

    Returns
    -------
    The report. The same input gives the same bytes on one machine. Items without captions get the template of their
    labels.

    Raises
    ------
    UsageError
        `shard_size`, `min_seconds` or `engine` is impossible; there is no cluster.
    MissingExtra
        Ray is not installed.
    DataError
        A machine of the cluster sees another folder or other sounds. The folder holds other tars, is used by another process, or was packed by another version; or the disk is full:
        finished tars are kept, and a later call goes on.
    """
    if shard_size < 1 or not min_seconds >= 0:
        raise UsageError(f"shard_size {shard_size}, min_seconds {min_seconds}: at least 1 item a tar, 0 s or more")
    if engine not in ("local", "ray"):
        raise UsageError(f"engine is {engine!r}; choose local or ray")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=0):
            write = _write_here if engine == "local" else _write_on_cluster
            return _Packing(folder, shard_size, min_seconds, k2c).run(manifest, progress, write)
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

    def run(self, manifest: Manifest, progress: bool, write: Write) -> PackReport:
        from rich.console import Console
        from rich.progress import Progress

        names: list[str] = []
        with Progress(console=Console(stderr=True), disable=not progress) as bar:
            task = bar.add_task("packing", total=manifest.count)

            def to_make() -> Iterator[TarTask]:
                for name, items, start in _shards(manifest, self._shard_size):
                    names.append(name)
                    tar = self._task(name, items, start)
                    if tar is None:
                        bar.advance(task, len(items))
                    else:
                        yield tar

            for tar, shard in write(self._folder, to_make()):
                self._packed[tar.name] = shard
                self._made += 1
                self._remember({**self._earlier, **self._packed})
                bar.advance(task, len(tar.items))
        self._packed = {name: self._packed[name] for name in names}  # a cluster makes them in any order
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

    def _task(self, name: str, items: Sequence[Item], start: int) -> TarTask | None:
        """What makes a tar; None where it is there already and was made of the same input."""
        if any(self._folder.absolute() in tar.absolute().parents for tar in _tars_of(items)):
            raise DataError(f"{self._folder}: holds tars of the data set itself; choose another folder")
        captions = caption_fields(items, self._k2c)
        self._sentences += sum(texts["text_augment_t5"] is not None for texts in captions)
        of = shard_digest(items, captions, start, self._min_seconds)
        path = self._folder / name
        known = self._earlier.get(name)
        if known is not None and known.of == of and path.is_file() and path.stat().st_size == known.bytes:
            self._packed[name] = known
            return None
        return TarTask(name, items, captions, start, of, self._min_seconds)

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


# -- who writes --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TarTask:
    """All that decides one tar; `of` is the digest of the rest."""

    name: str
    items: Sequence[Item]
    captions: Sequence[dict[str, Any]]
    start: int
    of: str
    min_seconds: float

    def __str__(self) -> str:
        return self.name

    def write(self, folder: Path, **how: Any) -> Shard:
        path = folder / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_shard(path, self.items, self.captions, self.start, self.of, min_seconds=self.min_seconds, **how)


Write: TypeAlias = Callable[[Path, Iterable[TarTask]], Iterator[tuple[TarTask, Shard]]]


def _write_here(folder: Path, tasks: Iterable[TarTask]) -> Iterator[tuple[TarTask, Shard]]:
    for task in tasks:
        yield task, task.write(folder)


def _write_on_cluster(folder: Path, tasks: Iterable[TarTask]) -> Iterator[tuple[TarTask, Shard]]:
    """Write tars by the workers of a Ray cluster. Doing one twice does no harm: it is the same, and renamed at the end."""
    sign = folder.absolute() / SIGN
    with connected() as ray:
        workers = count_workers(ray)
        token = os.urandom(8).hex()
        sign.write_text(token, encoding="ascii")
        try:
            work = _ClusterWork(folder.absolute(), token)
            yield from map_parts(ray, work, map(_with_absolute_paths, tasks), workers=workers, gave_up=DataError)
        finally:
            sign.unlink(missing_ok=True)


@dataclass(frozen=True)
class _ClusterWork:
    """Writes a tar on a machine of the cluster, if that sees the same folder and the same sounds."""

    folder: Path
    token: str

    def __call__(self, task: TarTask) -> Shard:
        sign = self.folder / SIGN
        if not sign.is_file() or sign.read_text(encoding="ascii", errors="replace") != self.token:
            raise DataError(
                f"a machine of the cluster does not see {self.folder}; give a folder that all of them share, under the"
                " same path"
            )
        if shard_digest(task.items, task.captions, task.start, task.min_seconds) != task.of:
            raise DataError(
                f"a machine of the cluster sees other sounds for {task.name}, or they have just changed; all machines"
                " must share them under the same paths: run it again"
            )
        return task.write(self.folder, threads=1)  # each core has a tar of its own


def _with_absolute_paths(task: TarTask) -> TarTask:
    """The same for a process that runs in another folder."""

    def moved(item: Item) -> Item:
        sound = item.sound
        if isinstance(sound, Path):
            return replace(item, sound=sound.absolute())
        if isinstance(sound, TarMember):
            return replace(item, sound=replace(sound, tar=sound.tar.absolute()))
        return item

    return replace(task, items=[moved(item) for item in task.items])


# -- which items -------------------------------------------------------------------------------------


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
        record = json.loads(read_regular(path))
        if (record["format"], record["version"]) != (FORMAT, VERSION):
            raise DataError(
                f"{path}: is {record['format']} {record['version']}, this is {FORMAT} {VERSION}; choose another folder"
            )
        shards = {str(name): Shard(**shard) for name, shard in record["shards"].items()}
        foreign = [name for name in shards if not TAR.fullmatch(name)]
        if foreign:
            raise ValueError(f"{foreign[0]} is no tar of ours")
        return shards
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: is broken ({error}); delete it and the tars beside it, or choose another folder"
        ) from None
