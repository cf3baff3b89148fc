"""The files of a library as arrays, which are filtered, sorted and counted in milliseconds, a million of them as well.

    files ─ Listing ─ filter: a mask (N,) ─┬─ order of a column (N,) ─ the rows of a page
                                           └─ counts of folders, formats, tags, collections

It is as the library was when it was made; `LibraryContents.state` tells when to make another.
"""

from __future__ import annotations

import os
import re
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.library.filtering import split_tags
from openclap.library.served_files import FileVersion
from openclap.library.word_beginnings import WordBeginnings, typed_words
from openclap.store import File

__all__ = ["Facets", "ListFilter", "ListedFile", "Listing", "Sort", "shown_name"]

Sort: TypeAlias = Literal["name", "seconds", "modified", "folder"]
Rows: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Counts: TypeAlias = list[tuple[str, int]]

KEPT = 16  # selections that are remembered
DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class ListFilter:
    """Which files are listed: those that all of this allows.

    Attributes
    ----------
    text
        Words, each of which begins a word of the name, the folders or the tags.
    folder
        The files in it and below.
    formats
        One of these endings of the name, in small letters.
    tags, collections
        All of these.
    min_seconds, max_seconds
        Of their length.
    """

    text: str = ""
    folder: str = ""
    formats: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    min_seconds: float | None = None
    max_seconds: float | None = None


@dataclass(frozen=True)
class ListedFile:
    """A file as it is listed: `place` is its absolute path, `path`, `name` and `folder` are below the common folder.

    `modified` is in seconds since 1970; `format` is the ending of the name.
    """

    place: str
    path: str
    name: str
    folder: str
    seconds: float
    format: str
    tags: tuple[str, ...]
    collections: tuple[str, ...]
    modified: float
    version: FileVersion


@dataclass(frozen=True)
class Facets:
    """How many files have each folder (or lie below it), format, tag and collection."""

    folders: Counts
    formats: Counts
    tags: Counts
    collections: Counts


class _Groups:
    """The group of each file, by number: its folder, its format, all of its tags."""

    def __init__(self) -> None:
        self.keys: list[tuple[str, ...]] = []
        self._number: dict[tuple[str, ...], int] = {}

    def number_of(self, *key: str) -> int:
        number = self._number.setdefault(key, len(self.keys))
        if number == len(self.keys):
            self.keys.append(key)
        return number


class Listing:
    """The files of a library.

    Parameters
    ----------
    files
        By path.
    root
        The folder that all of them lie in, with a separator at its end.
    """

    def __init__(self, files: Iterable[File], root: str) -> None:
        self.root = root
        self.places: list[str] = []  # absolute
        self._folders, self._formats, self._tags = _Groups(), _Groups(), _Groups()
        numbers: list[tuple[int, int, int, float, int, int]] = []
        last, number = "", 0  # the folder of the file before
        for file in files:
            folder, name = os.path.split(file.path)
            if folder != last or not numbers:
                inside = shown_name(folder.rstrip(os.sep) + os.sep, root).removesuffix(os.sep)
                last, number = folder, self._folders.number_of(inside)
            ending = name.rpartition(".")
            form = self._formats.number_of(ending[2].lower() if ending[0] else "")
            self.places.append(file.path)
            numbers.append((number, form, self._tags.number_of(*file.tags), file.seconds, file.mtime_ns, file.size))
        columns = list(zip(*numbers, strict=True)) or [()] * 6
        self._folder, self._format, self._tag = (np.array(column, np.int32) for column in columns[:3])
        self._seconds = np.array(columns[3], np.float64)
        self._mtime_ns, self._size = (np.array(column, np.int64) for column in columns[4:])
        self._orders: dict[Sort, Rows] = {}
        self._found: OrderedDict[Hashable, Rows] = OrderedDict()
        self._tag_words: WordBeginnings | None = None

    def __len__(self) -> int:
        """How many files there are."""
        return len(self.places)

    # -- asking ----------------------------------------------------------------------------------------

    def select(self, where: ListFilter, sort: Sort = "name", *, descending: bool = False) -> Rows:
        """The numbers of the files that a filter allows, in order."""
        key = (where, sort, descending)
        if key in self._found:
            self._found.move_to_end(key)
            return self._found[key]
        order = self._order(sort)
        rows = order if where == ListFilter() else order[self._mask(where)[order]]
        rows = rows[::-1] if descending else rows
        self._found[key] = rows
        while len(self._found) > KEPT:
            self._found.popitem(last=False)
        return rows

    def files(self, rows: Iterable[int]) -> list[ListedFile]:
        """The files of these numbers."""
        return [self._file(int(row)) for row in rows]

    def row_of(self, path: str) -> int | None:
        """The number of a file that is called so below the common folder; None where there is none."""
        found = self._row_of_place.get(self.root + path)
        return self._row_of_escaped.get(path) if found is None else found

    def tags_of(self, row: int) -> frozenset[str]:
        """The tags of a file as they are stored, its collections among them."""
        return frozenset(self._tags.keys[self._tag[row]])

    def facets(self, where: ListFilter) -> Facets:
        """Counts of what a filter allows; those of folders, formats and collections as if it named none of its kind.

        So another one can be chosen. The most frequent come first, folders by name.
        """
        folders = self._count(self._folder, self._folders, replace(where, folder=""))
        formats = self._count(self._format, self._formats, replace(where, formats=()))
        tags, _ = self._count_tags(where)
        _, collections = self._count_tags(replace(where, collections=()))
        inside: Counter[str] = Counter()
        for (folder,), count in folders:
            while folder:
                inside[folder] += count
                folder = folder.rpartition(os.sep)[0]  # noqa: PLW2901
        return Facets(sorted(inside.items()), _frequent_first((one[0], n) for one, n in formats), tags, collections)

    def retag(self, rows: Sequence[int], add: Sequence[str], remove: Sequence[str]) -> None:
        """Note other tags of files, as they are in the library now."""
        for row in rows:
            tags = {*self._tags.keys[self._tag[row]], *add} - set(remove)
            self._tag[row] = self._tags.number_of(*sorted(tags))
        self._found.clear()
        self._tag_words = None

    # -- inside ----------------------------------------------------------------------------------------

    def _file(self, row: int) -> ListedFile:
        place = self.places[row]
        folder = self._folders.keys[self._folder[row]][0]
        path = shown_name(place, self.root)
        tags, collections = split_tags(self._tags.keys[self._tag[row]])
        size, mtime_ns = int(self._size[row]), int(self._mtime_ns[row])
        return ListedFile(
            place,
            path,
            path[len(folder) + 1 :] if folder else path,
            folder,
            float(self._seconds[row]),
            self._formats.keys[self._format[row]][0],
            tags,
            collections,
            mtime_ns / 1e9,
            FileVersion(size, mtime_ns),
        )

    @cached_property
    def _row_of_place(self) -> dict[str, int]:
        return {place: row for row, place in enumerate(self.places)}

    @cached_property
    def _row_of_escaped(self) -> dict[str, int]:
        """Files whose names are no UTF-8, by the name that is shown."""
        odd = ((row, place) for row, place in enumerate(self.places) if not place.isascii())
        shown = ((row, place, shown_name(place, self.root)) for row, place in odd)
        return {name: row for row, place, name in shown if name != place[len(self.root) :]}

    @cached_property
    def _names(self) -> WordBeginnings:
        return WordBeginnings([os.path.basename(place) for place in self.places])  # noqa: PTH119 -- for a million

    @cached_property
    def _folder_words(self) -> WordBeginnings:
        return WordBeginnings([folder for (folder,) in self._folders.keys])

    @cached_property
    def _by_name(self) -> Rows:
        names = [_natural(os.path.basename(place)) for place in self.places]  # noqa: PTH119
        return np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)

    def _order(self, sort: Sort) -> Rows:
        if sort == "name":
            return self._by_name
        if sort not in self._orders:
            rank = np.empty(len(self), np.int64)
            rank[self._by_name] = np.arange(len(self))
            if sort == "folder":
                keys = [_natural(folder) for (folder,) in self._folders.keys]
                place = np.empty(len(keys), np.int64)
                place[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
                self._orders[sort] = np.lexsort((rank, place[self._folder]))
            else:
                self._orders[sort] = np.lexsort((rank, self._seconds if sort == "seconds" else self._mtime_ns))
        return self._orders[sort]

    def _mask(self, where: ListFilter) -> Mask:
        """Which files a filter allows (N,)."""
        allowed = np.ones(len(self), np.bool_)
        if where.folder:
            inside = where.folder.rstrip(os.sep) + os.sep
            allowed &= _each(f"{folder}{os.sep}".startswith(inside) for (folder,) in self._folders.keys)[self._folder]
        if where.formats:
            allowed &= _each(one[0] in where.formats for one in self._formats.keys)[self._format]
        if where.tags or where.collections:
            wanted = {(0, tag) for tag in where.tags} | {(1, name) for name in where.collections}
            allowed &= _each(wanted <= _kinds(tags) for tags in self._tags.keys)[self._tag]
        if where.min_seconds is not None:
            allowed &= self._seconds >= where.min_seconds
        if where.max_seconds is not None:
            allowed &= self._seconds <= where.max_seconds
        for word in typed_words(where.text):
            allowed &= self._having(word)
        return allowed

    def _having(self, word: str) -> Mask:
        if self._tag_words is None:
            self._tag_words = WordBeginnings([" ".join(name for _, name in _kinds(tags)) for tags in self._tags.keys])
        of_folder, of_tags = self._folder_words.having(word), self._tag_words.having(word)
        return self._names.having(word) | of_folder[self._folder] | of_tags[self._tag]

    def _count(
        self, column: npt.NDArray[np.int32], groups: _Groups, where: ListFilter
    ) -> list[tuple[tuple[str, ...], int]]:
        """The groups that a filter allows, with their numbers of files."""
        counts = np.bincount(column[self.select(where)], minlength=len(groups.keys)).tolist()
        return [(key, count) for key, count in zip(groups.keys, counts, strict=True) if count]

    def _count_tags(self, where: ListFilter) -> tuple[Counts, Counts]:
        counts: Counter[tuple[int, str]] = Counter()
        for group, count in self._count(self._tag, self._tags, where):
            for one in _kinds(group):
                counts[one] += count
        tags, collections = ([(name, n) for (kind, name), n in counts.items() if kind == wanted] for wanted in (0, 1))
        return _frequent_first(tags), _frequent_first(collections)


def shown_name(path: str, root: str) -> str:
    """The name of a path below the common folder; what is no UTF-8 in it is escaped."""
    name = path.removeprefix(root)
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def _kinds(tags: tuple[str, ...]) -> set[tuple[int, str]]:
    """Tags as (0, tag) and collections as (1, name)."""
    plain, collections = split_tags(tags)
    return {(0, tag) for tag in plain} | {(1, name) for name in collections}


def _each(answers: Iterable[bool]) -> Mask:
    return np.fromiter(answers, np.bool_)


def _frequent_first(counts: Iterable[tuple[str, int]]) -> Counts:
    return sorted(counts, key=lambda one: (-one[1], one[0]))


def _natural(name: str) -> tuple[str, str]:
    """By what a name is sorted: Kick 2 before kick 10."""
    folded = name.casefold()
    return DIGITS.sub(lambda digits: digits[0].lstrip("0").zfill(9), folded), name
