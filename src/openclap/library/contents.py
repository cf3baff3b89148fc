"""What a library holds, listed and kept without a model: files forgotten, relocated, tagged, put into collections."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openclap.batches import batches
from openclap.errors import UsageError
from openclap.library import maintenance
from openclap.library.filtering import (
    FilterKeywords,
    Paths,
    check_tags,
    collection_to_tag,
    list_paths,
    list_words,
    normalize_tag,
    resolve_filter,
    split_tags,
)
from openclap.library.library_results import Collection, LibraryChange, LibraryFile, LibraryFolder, Relocation
from openclap.library.listing import Listing
from openclap.library.model_identity import precision_of
from openclap.library.reachability import is_reachable
from openclap.library.relocation import relocate
from openclap.library.scan import absolute_path
from openclap.normalization import Vectors
from openclap.options import SearchFilter
from openclap.results import Verification
from openclap.store import File, Store, StoreState
from openclap.store.path_patterns import folder_matcher, one_spelling, spellings

if TYPE_CHECKING:
    from typing import Unpack  # Python 3.11

__all__ = ["LibraryContents", "count_folders"]

FILES_AT_ONCE = 1_000  # whose windows are counted together
SHOWN = 10  # names of collections in an error


class LibraryContents:
    """What a library can be asked and told without the model that made it.

    Which files are meant is said by `paths`, files and folders, and by a filter, its fields also as keywords, as in
    `Library.search`: those that both allow.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def precision(self) -> str | None:
        """The data type that the vectors were computed in, "float32", "bfloat16", …; None where nothing was added."""
        return precision_of(self._store.model_identity())

    # -- files -----------------------------------------------------------------------------------------

    def files(
        self,
        paths: Paths | None = None,
        *,
        missing: bool = False,
        filter: SearchFilter | None = None,
        **options: Unpack[FilterKeywords],
    ) -> Iterator[LibraryFile]:
        """The files of the library, by path, with lengths, windows, tags and collections.

        With `missing`, only those that cannot be reached now.
        """
        found = self._store.files(self._where(filter, _within(paths, options)))
        wanted = (file for file in found if not missing or not is_reachable(file.path))
        for some in batches(wanted, FILES_AT_ONCE):
            windows = self._store.window_counts(file.path for file in some)
            for file in some:
                yield LibraryFile(
                    file.path, file.seconds, windows.get(file.path, 0), *split_tags(file.tags), missing=missing
                )

    def forget(
        self,
        paths: Paths | None = None,
        *,
        missing: bool = False,
        filter: SearchFilter | None = None,
        **options: Unpack[FilterKeywords],
    ) -> LibraryChange:
        """Remove files from the library; nothing on the disk is touched, and the files need not be there.

        Their tags and collections are remembered and come back with the same content; to have the files back, add them
        again: they are embedded anew. With `missing`, only those that cannot be reached now are removed; then `paths`
        may be left out, for the whole library.
        """
        files, unknown = self._choose(self._where(filter, _within(paths, options)), everything=missing)
        gone = [file.path for file in files if not missing or not is_reachable(file.path)]
        count = self._store.delete(gone) if gone else 0
        if count:
            self._store.optimize()
        return LibraryChange(count, unknown)

    def relocate(
        self,
        old: str | os.PathLike[str],
        new: str | os.PathLike[str],
        *,
        dry_run: bool = False,
        progress: bool = False,
    ) -> Relocation:
        """Tell the library that a file, a folder or a disk has another path now; nothing is embedded anew.

        Each file is moved, with windows, tags and words, to the same place below `new` if it is there with the size and
        the time that it had; where the time differs its content is compared, and of the others that of a few. Files
        that are not there, or are others, stay as they are and are told. In SQLite all are moved in one
        step; in LanceDB some thousand at a time, and a run that was stopped goes on when it is started again.

        Raises
        ------
        UsageError
            The library holds nothing at `old`, or none of it is at `new`.
        """
        _refuse_empty_paths([old, new])
        return relocate(self._store, absolute_path(old), absolute_path(new), dry_run=dry_run, progress=progress)

    def state(self) -> StoreState:
        """What is another one once anything in the library has changed, whoever did it; for one thread to compare."""
        return self._store.state()

    def common_folder(self) -> str | None:
        """The folder that all files lie in; None in an empty library."""
        paths = self._store.path_bounds()  # what lies between two names begins as both do
        return os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else None  # noqa: PTH120

    def listing(self) -> Listing:
        """The files as they are now, to be filtered, sorted and counted."""
        return Listing(self._store.files(), (self.common_folder() or "").rstrip(os.sep) + os.sep)

    def find_files(self, paths: Iterable[str]) -> dict[str, File]:
        """Files as they were indexed, by their absolute paths; what the library does not hold is left out."""
        return self._store.find_files(paths)

    def tracks(self, paths: Iterable[str]) -> dict[str, Vectors]:
        """The vectors (E,) of whole files, by their absolute paths; of those that the library holds."""
        return self._store.tracks(paths)

    # -- tags and collections --------------------------------------------------------------------------

    def tags(self) -> list[Collection]:
        """The tags of the library, each with the number of its files, in the order of the alphabet."""
        return [Collection(tag, count) for tag, count in self._store.tag_counts().items() if split_tags([tag])[0]]

    def tag(
        self,
        words: str | Sequence[str],
        paths: Paths | None = None,
        *,
        everything: bool = False,
        filter: SearchFilter | None = None,
        **options: Unpack[FilterKeywords],
    ) -> LibraryChange:
        """Put tags, a word or several, on files.

        `everything` is for the whole library, where neither paths nor a filter are given.
        """
        several = list_words(words)
        check_tags(several)
        where = self._where(filter, _within(paths, options))
        return self._put(list(map(normalize_tag, several)), self._choose(where, everything=everything))

    def untag(
        self,
        words: str | Sequence[str],
        paths: Paths | None = None,
        *,
        everything: bool = False,
        filter: SearchFilter | None = None,
        **options: Unpack[FilterKeywords],
    ) -> LibraryChange:
        """Take tags off files, also off what is remembered of them, as `tag` puts them on.

        Files that had none of the tags are not counted.
        """
        several = list_words(words)
        check_tags(several)
        where = self._where(filter, _within(paths, options))
        return self._take([way for word in several for way in spellings(word)], where, everything=everything)

    def collections(self) -> list[Collection]:
        """The collections of the library, each with the number of its files, in the order of the alphabet."""
        counts = self._store.tag_counts().items()
        return [Collection(name, count) for tag, count in counts for name in split_tags([tag])[1]]

    def collect(
        self,
        name: str,
        paths: Paths | None = None,
        *,
        everything: bool = False,
        filter: SearchFilter | None = None,
        **options: Unpack[FilterKeywords],
    ) -> LibraryChange:
        """Put files into a collection, a named set that is made by this; files may be in several.

        The collection of a file is kept as its tags are: when it moves, and when it leaves and returns.
        """
        where = self._where(filter, _within(paths, options))
        return self._put([collection_to_tag(name)], self._choose(where, everything=everything))

    def uncollect(
        self,
        name: str,
        paths: Paths | None = None,
        *,
        everything: bool = False,
        filter: SearchFilter | None = None,
        **options: Unpack[FilterKeywords],
    ) -> LibraryChange:
        """Take files out of a collection; with `everything` the collection is gone."""
        self._require_collections(name)
        where = self._where(filter, _within(paths, options))
        return self._take([collection_to_tag(name)], where, everything=everything)

    # -- maintenance -----------------------------------------------------------------------------------

    def verify(self, *, hashes: bool = True) -> Verification:
        """Compare the library with itself and with the disk: every file's content, or only its size and time."""
        maintenance.refuse_empty(self._store)
        return maintenance.verify(self._store, hashes=hashes)

    def repair(self) -> list[str]:
        """Mend what `verify` calls damaged → what was done, in words; missing and changed files are for `add`."""
        maintenance.refuse_empty(self._store)
        return self._store.repair()

    def export(self, output: str | os.PathLike[str]) -> dict[str, Any]:
        """Write every window with its vector to one Parquet file → {"output", "files", "windows"}."""
        return maintenance.export_parquet(self._store, Path(output))

    def import_(self, source: str | os.PathLike[str]) -> dict[str, Any]:
        """Add what another library of the same model has exported → {"files", "windows"}."""
        return maintenance.import_parquet(self._store, Path(source))

    def close(self) -> None:
        """Close the library's files; the next call opens them again."""
        self._store.close()

    # -- inside ----------------------------------------------------------------------------------------

    def _where(self, filter: SearchFilter | None, options: FilterKeywords) -> SearchFilter | None:
        """A filter as stores take it.

        Raises
        ------
        UsageError
            It asks for a collection that is not there; or see `resolve_filter`.
        """
        self._require_collections(options.get("collections", filter.collections if filter is not None else ()))
        return resolve_filter(filter, options)

    def _require_collections(self, names: str | Sequence[str]) -> None:
        for name in list_words(names):
            if next(self._store.files(SearchFilter(tags=(collection_to_tag(name),))), None) is None:
                there = [repr(one.name) for one in self.collections()]
                known = ", ".join(there[:SHOWN]) + ", …" * (len(there) > SHOWN) if there else "none yet"
                raise UsageError(f"there is no collection {name!r} in this library; it has {known}")

    def _choose(self, where: SearchFilter | None, *, everything: bool = False) -> tuple[list[File], list[str]]:
        """The files that a filter allows, and those of its paths of which the library holds nothing."""
        if where is None and not everything:
            raise UsageError("say which files: give paths or a filter")
        files = list(self._store.files(where))
        given = list(dict.fromkeys((where.within if where is not None else None) or ()))
        held = _with_parents(files) if given else set()
        others = [path for path in given if _comparable(path) not in held]
        if where is not None and not _is_paths_alone(where):  # another condition may have left out what a path holds
            others = [path for path in others if next(self._store.files(SearchFilter(within=(path,))), None) is None]
        return files, others

    def _put(self, tags: Sequence[str], chosen: tuple[list[File], list[str]]) -> LibraryChange:
        files, unknown = chosen
        new = [file.path for file in files if not set(tags) <= set(file.tags)]
        if new:
            self._store.tag(new, tags)
        return LibraryChange(len(files), unknown)

    def _take(self, tags: Sequence[str], where: SearchFilter | None, *, everything: bool) -> LibraryChange:
        files, unknown = self._choose(where, everything=everything)
        having = [file.path for file in files if not set(tags).isdisjoint(file.tags)]
        if where is None or _is_paths_alone(where):  # also what has left, of which only its tags are remembered
            lies_inside = folder_matcher((where.within if where is not None else None) or ())
            known = {file.path for file in files}
            gone = (one for one in self._store.remembered_tags() if not set(tags).isdisjoint(one.tags))
            having += {one.path for one in gone if where is None or lies_inside(one.path)} - known
        if having:
            self._store.untag(having, tags)
        return LibraryChange(sum(not set(tags).isdisjoint(file.tags) for file in files), unknown)


def count_folders(files: Iterable[LibraryFile]) -> list[LibraryFolder]:
    """The folders that files lie in, by path."""
    found: dict[str, list[LibraryFile]] = {}
    for file in files:
        found.setdefault(os.path.dirname(file.path), []).append(file)  # noqa: PTH120 -- for a hundred thousand files
    return [
        LibraryFolder(path, len(some), sum(file.seconds for file in some), sum(file.windows for file in some))
        for path, some in sorted(found.items())
    ]


def _within(paths: Paths | None, options: FilterKeywords) -> FilterKeywords:
    """The keywords of a filter with its paths among them."""
    if paths is None:
        return options
    within = list_paths(paths)
    _refuse_empty_paths(within)
    return {**options, "within": within}


def _refuse_empty_paths(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Refuse an empty path, as of a variable of a shell that was never set: it would be the present folder."""
    if any(os.fspath(path) == "" for path in paths):
        raise UsageError("a path is empty; give a file or a folder, as . for the present one")


def _is_paths_alone(where: SearchFilter) -> bool:
    return where == SearchFilter(within=where.within)


def _comparable(path: str) -> str:
    return one_spelling(path).rstrip(os.sep)


def _with_parents(files: Iterable[File]) -> set[str]:
    """The paths of files and of all folders around them, so that they can be compared."""
    found: set[str] = set()
    for file in files:
        path = file.path
        while (known := _comparable(path)) not in found:
            found.add(known)
            path = os.path.dirname(path)  # noqa: PTH120 -- for a hundred thousand files
    return found
