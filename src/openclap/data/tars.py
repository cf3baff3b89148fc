"""Read WebDataset tars in LAION's layout as items, without extracting them to disk.

    train/000000.tar ── 00000000.flac ─ 00000000.json ─ 00000001.flac ─ 00000001.json …
    train/sizes.json    {"000000.tar": 512, …}

    x.json: {"text": [..] or "..", "tag": [..], "text_augment_t5": ".." or null, "text_augment_all": [..]}

A tar is read by its headers; captions are read at once, sounds when they are needed. Compressed tars (.tar.gz, .tgz,
.tar.bz2, .tar.xz, .tar.zst) are unpacked to a temporary file by `decompress`.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openclap.data.decompress import open_decompressed
from openclap.data.items import SPLITS, Item, Manifest, parse_seconds, parse_texts
from openclap.errors import DataError, SoundNotFound, UnreadableSound
from openclap.plurals import count_noun
from openclap.regular_files import read_regular

__all__ = ["SOUNDS", "TARS", "TarMember", "Tars", "expand", "find_tars", "is_tar", "split_of"]

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
OTHER_ARCHIVES = (".zip", ".7z", ".rar", ".tar.lz4", ".tar.br", ".tar.lz", ".tar.lzo", ".tar.z")

SOUNDS = (
    "flac",
    "wav",
    "ogg",
    "opus",
    "mp3",
    "m4a",
    "aac",
    "aiff",
    "aif",
    "webm",
    "mp4",
)  # of several, the first is taken
JSON_BYTES = 1 << 24  # a larger file does not hold the captions of one sound
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}")


@dataclass(frozen=True)
class TarMember:
    """A file inside a tar: `size` bytes from `offset` on."""

    tar: Path
    name: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Read the bytes of the file.

        Raises
        ------
        SoundNotFound, UnreadableSound
            The tar is gone, cannot be read, or ends before the member does.
        """
        name = f"{self.tar}:{self.name}"
        try:
            with open_decompressed(self.tar) as file:
                file.seek(self.offset)
                data = file.read(self.size)
        except FileNotFoundError:
            raise SoundNotFound(name, "the tar is not there any more") from None
        except (OSError, DataError) as error:
            raise UnreadableSound(
                name, f"the tar cannot be read ({getattr(error, 'strerror', None) or error})"
            ) from None
        if len(data) < self.size:
            raise UnreadableSound(name, f"the tar ends after {len(data)} of its {self.size} bytes")
        return data


class Tars(Manifest):
    """The items of tars, tar by tar, in the order of their first members.

    Parameters
    ----------
    name
        The name of the source in messages.
    tars
        Each tar with its split. Items are named `tar/key`, with the folder before it where two tars have one name.
    passed
        Files among the tars that are not read, with the reasons; they are added to `failed`.
    """

    def __init__(
        self,
        name: str,
        tars: Sequence[tuple[Path, str | None]],
        *,
        split: str | None = None,
        passed: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(name)
        self._sizes: dict[Path, dict[str, int]] = {}
        if split is not None:
            splits = sorted({of or "none" for _, of in tars})
            tars = [(tar, of) for tar, of in tars if of == split]
            if not tars:
                raise DataError(f"{name}: no tar is of the split {split!r}; there are: {', '.join(splits)}")
        self.tars = list(tars)
        self._unique = len({tar.name for tar, _ in tars}) == len(tars)
        for place, why in passed:
            self._note_failure(place, why)

    @property
    def count(self) -> int | None:
        """The sum of the sizes in the `sizes.json` files beside the tars; None where a tar is not in them."""
        counts = [self._size(tar) for tar, _ in self.tars]
        known = [n for n in counts if n is not None]
        return sum(known) if len(known) == len(counts) else None

    def _size(self, tar: Path) -> int | None:
        """How many sounds a tar has, as the `sizes.json` beside it says."""
        if tar.parent not in self._sizes:
            self._sizes[tar.parent] = self._read_sizes(tar.parent)
        return self._sizes[tar.parent].get(tar.name)

    def _read_sizes(self, folder: Path) -> dict[str, int]:
        path = folder / "sizes.json"
        try:
            found = json.loads(read_regular(path))
            return {str(tar): int(n) for tar, n in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            self._note_failure(str(path), f"is no JSON of tars and their sizes ({error})")
            return {}

    def __iter__(self) -> Iterator[Item]:
        for tar, split in self.tars:
            yield from self._of_tar(tar, split)

    def _of_tar(self, tar: Path, split: str | None) -> Iterator[Item]:
        prefix = tar.name if self._unique else f"{tar.parent.name}/{tar.name}"
        samples: dict[str, dict[str, TarMember]] = {}
        for member in self._members(tar):
            folder, slash, base = member.name.rpartition("/")
            stem, _, extension = base.partition(".")
            sample = samples.setdefault(folder + slash + stem, {})
            if extension.lower() in sample:
                self._note_failure(f"{tar}:{member.name}", "is in the tar twice; the first is taken")
            sample.setdefault(extension.lower(), member)
        self._compare(tar, samples)
        for key, sample in samples.items():
            sound = next((sample[extension] for extension in SOUNDS if extension in sample), None)
            if sound is None:
                self._note_failure(
                    f"{tar}:{key}", f"has no sound, only .{', .'.join(sample)}; sounds are .{', .'.join(SOUNDS)}"
                )
                continue
            said = self._read_json(sample.get("json"), f"{tar}:{key}.json")
            if said is None:
                continue
            yield Item(
                f"{prefix}/{key}",
                sound,
                parse_texts(
                    [*_texts(said, "text"), *_texts(said, "text_augment_t5"), *_texts(said, "text_augment_all")]
                ),
                parse_texts(said.get("tag")),
                split,
                parse_seconds(said.get("seconds")),
            )

    def _compare(self, tar: Path, samples: dict[str, dict[str, TarMember]]) -> None:
        """Note a tar that has another number of sounds than `sizes.json` says, since it may be cut."""
        told = self._size(tar)
        sounds = sum(any(extension in sample for extension in SOUNDS) for sample in samples.values())
        if told is not None and not sounds <= told <= len(samples):
            place = f"{tar.parent / 'sizes.json'}: {tar.name}"
            self._note_failure(
                place,
                f"should hold {count_noun(told, 'sound')}, and holds {sounds}; fetch the tar again, or make sizes.json"
                " anew",
            )

    def _members(self, tar: Path) -> Iterator[TarMember]:
        """The plain files in a tar, by its headers; an error in the tar is noted and ends it."""
        try:
            size = _size_of(tar)
            with open_decompressed(tar) as file, tarfile.open(fileobj=file, mode="r:") as opened:
                for info in opened:
                    if info.isdir():
                        continue
                    if not info.isreg() or info.issparse():
                        self._note_failure(f"{tar}:{info.name}", "is a link or no plain file; pack the file itself")
                    elif not 0 <= info.size <= size - info.offset_data:
                        self._note_failure(f"{tar}:{info.name}", "the tar is cut short within it")
                        return
                    else:
                        yield TarMember(tar, info.name, info.offset_data, info.size)
        except FileNotFoundError:
            self._note_failure(str(tar), "no such file; check the path")
        except (
            tarfile.TarError,
            ValueError,
            OverflowError,
            MemoryError,
        ) as error:  # absurd sizes raise the other errors
            self._note_failure(str(tar), f"is no tar, or broken ({error}); pack it anew")
        except (OSError, DataError) as error:
            self._note_failure(str(tar), f"cannot be read ({getattr(error, 'strerror', None) or error})")

    def _read_json(self, member: TarMember | None, name: str) -> dict[str, Any] | None:
        """Read the .json of a sound; None where it cannot be used, which is noted."""
        if member is None:
            self._note_failure(name, "is not in the tar; each sound needs one")
            return None
        if member.size > JSON_BYTES:
            self._note_failure(name, f"has {member.size} bytes; captions have at most {JSON_BYTES}")
            return None
        try:
            said = json.loads(member.read())
        except UnreadableSound as error:
            self._note_failure(name, error.cause)
            return None
        except (ValueError, RecursionError) as error:
            self._note_failure(name, f"is not JSON ({error})")
            return None
        if not isinstance(said, dict):
            self._note_failure(name, f"is a JSON {type(said).__name__}; an object with `text` is expected")
            return None
        return said


def _texts(said: dict[str, Any], name: str) -> tuple[str, ...]:
    return parse_texts(said.get(name))


def _size_of(tar: Path) -> int:
    """The size of an unpacked tar, in bytes."""
    with open_decompressed(tar) as file:
        return file.seek(0, 2)


def is_tar(name: str) -> bool:
    """Whether a file is a tar by its name, compressed ones too."""
    return name.lower().endswith(TARS)


def find_tars(folder: Path) -> tuple[list[tuple[Path, str | None]], list[tuple[str, str]]]:
    """Find the tars in a folder and below, sorted by folder and number, each with its split.

    The split is the name of the folder that a tar lies in. Tars directly in `folder` have no split, unless its own name
    is one: train, test, ….

    Returns
    -------
    The tars, and what looks like a tar but is not read, with the reason.
    """
    tars: list[tuple[Path, str | None]] = []
    passed: list[tuple[str, str]] = []
    names: set[Path] = set()
    archives = [
        p
        for p in folder.rglob("*.*")
        if not p.name.startswith(".") and p.name.lower().endswith((*TARS, *OTHER_ARCHIVES))
    ]
    for path in sorted(archives, key=lambda p: (_natural_key(str(p.parent)), len(p.name), _natural_key(p.name))):
        if not is_tar(path.name):
            passed.append((str(path), "is an archive of a kind that is not read; unpack it, and make it a tar"))
            continue
        stem = path.parent / path.name[: path.name.lower().rindex(".t")]
        if not path.is_file():
            passed.append((str(path), "is a folder with the name of a tar; rename it, and pack what is in it"))
        elif stem in names:
            passed.append((str(path), "lies beside a tar of the same name, which is read; remove one of them"))
        else:
            names.add(stem)
            tars.append((path, split_of(path) if path.parent == folder else path.parent.name))
    tars.sort(key=lambda pair: (_natural_key(str(pair[0].parent)), _natural_key(pair[0].name)))
    return tars, [*passed, *_find_missing_tars(tars)]


def _find_missing_tars(tars: Sequence[tuple[Path, str | None]]) -> Iterator[tuple[str, str]]:
    """The tars that a `sizes.json` beside these tars names and that are missing."""
    for folder in dict.fromkeys(tar.parent for tar, _ in tars):
        with suppress(OSError, ValueError, TypeError, RecursionError):  # reported when the sizes are read
            for name in json.loads(read_regular(folder / "sizes.json")):
                if not (folder / str(name)).exists():
                    yield str(folder / str(name)), "is named in sizes.json and is not there; fetch it, or take it out"


def split_of(tar: Path) -> str | None:
    """The name of the folder a tar lies in, if that is a usual name of a split; else None."""
    return tar.absolute().parent.name if tar.absolute().parent.name in SPLITS else None


def _natural_key(text: str) -> list[tuple[bool, int, str]]:
    """A key that sorts 2.tar before 10.tar."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", text)]


def expand(pattern: str) -> list[str]:
    """Expand a pattern such as `a/{000..012}.tar` or `{train,test}/0.tar` into all its paths.

    Raises
    ------
    DataError
        A range runs backwards.
    """
    found = RANGE.search(pattern)
    if found is None:
        return [pattern]
    first, last, words = found.groups()
    if words is None and int(first) > int(last):
        raise DataError(f"{pattern}: {found.group()} runs backwards; write the smaller number first")
    parts = words.split(",") if words is not None else [f"{n:0{len(first)}d}" for n in range(int(first), int(last) + 1)]
    return [rest for part in parts for rest in expand(pattern[: found.start()] + part + pattern[found.end() :])]
