"""WebDataset tars in LAION's layout → items. Knows nothing of decoding; nothing is ever extracted to disk.

    train/000000.tar ── 00000000.flac ─ 00000000.json ─ 00000001.flac ─ 00000001.json …
    train/sizes.json    {"000000.tar": 512, …}

    x.json: {"text": [..] or "..", "tag": [..], "text_augment_t5": ".." or null, "text_augment_all": [..]}

A tar is gone through by its headers; captions are read on the way, sounds when they are asked for.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openclap.data.items import Item, Manifest, seconds_of, texts_of
from openclap.errors import DataError, SoundNotFound, UnreadableSound

__all__ = ["SOUNDS", "Member", "Tars", "expand", "find_tars"]

SOUNDS = ("flac", "wav", "ogg", "opus", "mp3", "m4a", "aac", "aiff", "aif", "webm", "mp4")  # the first is taken
SPLITS = frozenset(("train", "valid", "validation", "val", "dev", "test", "eval", "evaluation"))
JSON_BYTES = 1 << 24  # of the captions of one sound: more is no caption
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}")


@dataclass(frozen=True)
class Member:
    """A file inside a tar, by place: `size` bytes from `offset` on."""

    tar: Path
    name: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Its bytes.

        Raises
        ------
        SoundNotFound, UnreadableSound
            The tar is gone, cannot be read, or ends before the member does.
        """
        name = f"{self.tar}:{self.name}"
        try:
            with self.tar.open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.size)
        except FileNotFoundError:
            raise SoundNotFound(name, "the tar is not there any more") from None
        except OSError as error:
            raise UnreadableSound(name, f"the tar cannot be read ({error.strerror})") from None
        if len(data) < self.size:
            raise UnreadableSound(name, f"the tar ends after {len(data)} of its {self.size} bytes")
        return data


class Tars(Manifest):
    """The items of tars, tar by tar, in the order of their first members.

    With at least as many tars as parts, a part is every `of`-th tar; with fewer, every `of`-th item of all of them.

    Parameters
    ----------
    name
        How messages call the source.
    tars
        Each with its split; their items are named `tar/key`, with the folder where tars of equal names are in two.
    """

    def __init__(self, name: str, tars: Sequence[tuple[Path, str | None]], *, split: str | None = None) -> None:
        super().__init__(name)
        if split is not None:
            splits = sorted({of or "none" for _, of in tars})
            tars = [(tar, of) for tar, of in tars if of == split]
            if not tars:
                raise DataError(f"{name}: no tar is of the split {split!r}; there are: {', '.join(splits)}")
        self.tars = list(tars)
        self._unique = len({tar.name for tar, _ in tars}) == len(tars)

    @property
    def count(self) -> int | None:
        """The sum of what the `sizes.json` beside the tars say; None where one does not know a tar."""
        sizes = {folder: self._sizes(folder) for folder in {tar.parent for tar, _ in self.tars}}
        counts = [sizes[tar.parent].get(tar.name) for tar, _ in self.tars]
        known = [n for n in counts if n is not None]
        return sum(known) if len(known) == len(counts) else None

    def _sizes(self, folder: Path) -> dict[str, int]:
        path = folder / "sizes.json"
        try:
            found = json.loads(path.read_bytes())
            return {str(tar): int(n) for tar, n in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            self._fail(str(path), f"is no JSON of tars and their sizes ({error})")
            return {}

    def _items(self, shard: int, of: int) -> Iterator[Item]:
        if len(self.tars) >= of:
            for tar, split in self.tars[shard::of]:
                yield from self._of_tar(tar, split)
            return
        number = 0
        for tar, split in self.tars:
            for item in self._of_tar(tar, split):
                if number % of == shard:
                    yield item
                number += 1

    def _of_tar(self, tar: Path, split: str | None) -> Iterator[Item]:
        prefix = tar.name if self._unique else f"{tar.parent.name}/{tar.name}"
        samples: dict[str, dict[str, Member]] = {}
        for member in self._members(tar):
            folder, slash, base = member.name.rpartition("/")
            stem, _, extension = base.partition(".")
            sample = samples.setdefault(folder + slash + stem, {})
            if extension.lower() in sample:
                self._fail(f"{tar}:{member.name}", "is in the tar twice; the first is taken")
            sample.setdefault(extension.lower(), member)
        for key, sample in samples.items():
            sound = next((sample[extension] for extension in SOUNDS if extension in sample), None)
            if sound is None:
                self._fail(
                    f"{tar}:{key}", f"has no sound, only .{', .'.join(sample)}; sounds are .{', .'.join(SOUNDS)}"
                )
                continue
            said = self._said(sample.get("json"), f"{tar}:{key}.json")
            if said is None:
                continue
            yield Item(
                f"{prefix}/{key}",
                sound,
                texts_of([*_texts(said, "text"), *_texts(said, "text_augment_t5"), *_texts(said, "text_augment_all")]),
                texts_of(said.get("tag")),
                split,
                seconds_of(said.get("seconds")),
            )

    def _members(self, tar: Path) -> Iterator[Member]:
        """The plain files in a tar, by its headers; a fault of the tar ends it and is noted."""
        try:
            size = tar.stat().st_size
            with tarfile.open(tar, "r:") as opened:
                for info in opened:
                    if info.isdir():
                        continue
                    if not info.isreg() or info.issparse():
                        self._fail(f"{tar}:{info.name}", "is a link or no plain file; pack the file itself")
                    elif not 0 <= info.size <= size - info.offset_data:
                        self._fail(f"{tar}:{info.name}", "the tar is cut short within it")
                        return
                    else:
                        yield Member(tar, info.name, info.offset_data, info.size)
        except FileNotFoundError:
            self._fail(str(tar), "no such file; check the path")
        except (tarfile.TarError, ValueError, OverflowError, MemoryError) as error:  # the others: of absurd sizes
            self._fail(str(tar), f"is no plain tar, or broken ({error}); compressed ones must be unpacked with gunzip")
        except OSError as error:
            self._fail(str(tar), f"cannot be read ({error.strerror})")

    def _said(self, member: Member | None, name: str) -> dict[str, Any] | None:
        """What the .json of a sound holds; None where it is no use, which is noted."""
        if member is None:
            self._fail(name, "is not in the tar; each sound needs one")
            return None
        if member.size > JSON_BYTES:
            self._fail(name, f"has {member.size} bytes; captions have at most {JSON_BYTES}")
            return None
        try:
            said = json.loads(member.read())
        except UnreadableSound as error:
            self._fail(name, error.cause)
            return None
        except (ValueError, RecursionError) as error:
            self._fail(name, f"is not JSON ({error})")
            return None
        if not isinstance(said, dict):
            self._fail(name, f"is a JSON {type(said).__name__}; an object with `text` is expected")
            return None
        return said


def _texts(said: dict[str, Any], name: str) -> tuple[str, ...]:
    return texts_of(said.get(name))


def find_tars(folder: Path) -> list[tuple[Path, str | None]]:
    """The tars in a folder and below, by folder and number, each with its split: the name of the folder it lies in.

    Tars right in `folder` are of no split, unless its own name is one: train, test, ….
    """
    found = sorted(folder.rglob("*.tar"), key=lambda p: (_natural(str(p.parent)), _natural(p.name)))
    return [
        (tar, split_of(tar) if tar.parent == folder else tar.parent.name)
        for tar in found
        if tar.is_file() and not tar.name.startswith(".")
    ]


def split_of(tar: Path) -> str | None:
    """The name of the folder a tar lies in, where that is the usual name of a split."""
    return tar.absolute().parent.name if tar.absolute().parent.name in SPLITS else None


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """2.tar before 10.tar."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", text)]


def expand(pattern: str) -> list[str]:
    """`a/{000..012}.tar`, `{train,test}/0.tar` → every path it stands for; without braces, itself.

    Raises
    ------
    DataError
        A range that runs backwards.
    """
    found = RANGE.search(pattern)
    if found is None:
        return [pattern]
    first, last, words = found.groups()
    if words is None and int(first) > int(last):
        raise DataError(f"{pattern}: {found.group()} runs backwards; write the smaller number first")
    parts = words.split(",") if words is not None else [f"{n:0{len(first)}d}" for n in range(int(first), int(last) + 1)]
    return [rest for part in parts for rest in expand(pattern[: found.start()] + part + pattern[found.end() :])]
