"""A library: folders of sounds, indexed once, then searched by words, by a sound, by a detector, or by all of them.

paths ─ indexing ─ store ─┐
                          ├─ nearest ─ Hit, Moment
words, sounds ─ query ────┘
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from openclap.confidence import ReferenceBank, confidence_curves, has_own_curves, reference_bank
from openclap.detector import Detector
from openclap.errors import LibraryError, LibraryMismatch, LibraryWarning, UsageError
from openclap.library import indexing, maintenance
from openclap.library.duplicates import find_duplicates
from openclap.library.filtering import FilterOptions, Paths, is_text, normalize_tag, resolve_filter
from openclap.library.indexing import absolute_path
from openclap.library.model_identity import claim_store, current_model_name, needs_reembedding, refuse_other_model
from openclap.library.moments import find_moments, judge_of
from openclap.library.query import Query, embed_query, has_words
from openclap.library.reachability import is_reachable, nearest_reachable
from openclap.library.recommend import recommend
from openclap.library.reembed import reembed
from openclap.library.served_files import FileVersion, ServedFiles
from openclap.library.watch_folder import watch_folder
from openclap.normalization import normalize_rows
from openclap.results import AddReport, Duplicates, Hit, Moment, Ranked, Verification
from openclap.store import open_store

if TYPE_CHECKING:
    from typing import Unpack  # Python 3.11

    from openclap.clap import CLAP
    from openclap.store import Recording, ScoredWindow, SearchFilter, Store

__all__ = ["Library", "Per"]

Per = Literal["file", "window"]


class Library:
    """A searchable collection of sounds. It remembers which model made it and refuses any other."""

    def __init__(self, store: Store, model: CLAP | None) -> None:
        self._store = store
        self._model = model
        self._usual: ReferenceBank | None = None
        self._told = False  # that it is searched as it is

    @classmethod
    def open(cls, path_or_uri: str | os.PathLike[str], model: CLAP | None = None) -> Library:
        """Open a library, which is made when the first sound is added.

        Parameters
        ----------
        path_or_uri
            A folder: one SQLite file and its cache. A folder whose name ends in .lance, or an address on object storage
            as s3://BUCKET/sounds.lance: LanceDB, which many machines may use at once.
        model
            The CLAP that embeds sounds and queries; without one a library can only tell what it holds.

        Raises
        ------
        LibraryMismatch
            The library was made by another model (both are named), or by another format version.
        """
        library = cls(open_store(path_or_uri), model)
        if model is not None:
            refuse_other_model(library._store, library._store.model_identity(), model)
        return library

    # -- adding --------------------------------------------------------------------------------------

    def add(
        self,
        paths: Paths,
        *,
        tags: Sequence[str] = (),
        exclude: Sequence[str] = (),
        keep: bool = False,
        prune: bool = False,
        progress: bool | indexing.Progress = False,
        engine: Literal["local", "ray"] = "local",
    ) -> AddReport:
        """Add files and folders, or bring them up to date.

        What has its size and time is not read again, unless this version reads it differently; what has moved, or is a
        copy, is recognised by its content and not embedded again. Files that have left an added folder leave the
        library, and so do those that are left out now. Where none is left in a folder that held some, or more than half
        of at least ten files are gone from it at once, they stay, as a disk may not be mounted: `kept_missing` in the
        report. The tags of what leaves are remembered, and given back to the same content. A file that cannot be used
        is reported and tried again next time. Finished work is committed every second: a stopped run is continued by
        the next, and several processes may add to one library. A library that was made with another front end of the
        same model is embedded anew, first.

        Parameters
        ----------
        tags
            Words to put on all these files, to search by.
        exclude
            What to leave out of folders: names, as "outtakes" or "*.tmp.wav", and patterns of paths, as "*/drafts/*";
            further ones may stand in `.openclapignore` files, as .gitignore has them.
        keep
            Nothing leaves, and what is there already is not read anew: what a search does with its paths.
        prune
            What is missing leaves, however much it is.
        progress
            Show it on stderr; or a function that is told how many files of how many are done, and stops the run by
            raising.
        engine
            "local", this process; "ray", the workers of a Ray cluster, that of the environment's RAY_ADDRESS or one on
            this machine, for a library in LanceDB. The paths must mean the same on all its machines.
        """
        if engine not in ("local", "ray"):
            raise UsageError(f"engine is {engine!r}; choose local or ray")
        if keep and prune:
            raise UsageError("keep lets nothing leave, prune everything that is missing; give one of them")
        clap = self._need_model()
        many = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        for tag in tags:
            if not isinstance(tag, str) or not tag.strip() or not is_text(tag):
                raise UsageError(f"a tag is {tag!r}; give words")
        spread = self._spread(clap, engine)
        stale = needs_reembedding(self._store.model_identity(), clap)
        if stale and keep:
            return AddReport()  # the search says so
        before = reembed(self._store, clap, progress=progress, prune=prune) if stale else None
        report = indexing.add(
            self._store,
            clap,
            many,
            claim=partial(claim_store, self._store, clap),
            tags=[normalize_tag(tag) for tag in tags],
            exclude=exclude,
            keep=keep,
            prune=prune,
            progress=progress,
            spread=spread,
        )
        if report.added or report.updated:
            self._background()  # takes seconds for a large model: now, not at the first search
        return report if before is None else _merge_reports(before, report)

    def watch(
        self, paths: Paths, *, every: float = 5.0, tags: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> Iterator[AddReport]:
        """Keep files and folders up to date for ever: a report at once, and whenever something has changed.

        Looks again every `every` seconds. A file that was written to in the last two seconds is left until the next
        look; one that cannot be used is reported once, until it changes.
        """
        many = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        clap = self._need_model()
        if needs_reembedding(self._store.model_identity(), clap):
            reembed(self._store, clap)
        yield from watch_folder(
            self._store, clap, many, every=every, tags=[normalize_tag(tag) for tag in tags], exclude=exclude
        )

    @classmethod
    def reembed(
        cls, path_or_uri: str | os.PathLike[str], model: CLAP, *, progress: bool = False, prune: bool = False
    ) -> AddReport:
        """Embed every file of a library anew with another model, in place.

        The new vectors are made beside the old ones, which stay in use until all is done; a stopped run is continued by
        the next. Tags are kept; files that are gone or cannot be used any more leave.

        Raises
        ------
        LibraryError
            None of its files can be used, or so many are missing that a disk may not be mounted (unless `prune`), so
            nothing was replaced.
        """
        return reembed(open_store(path_or_uri), model, progress=progress, prune=prune)

    # -- searching -----------------------------------------------------------------------------------

    def search(
        self,
        query: Query,
        k: int = 10,
        *,
        without: str | Sequence[str] = (),
        per: Per = "file",
        filter: SearchFilter | None = None,
        missing: bool = False,
        **options: Unpack[FilterOptions],
    ) -> Ranked[Hit]:
        """What fits a query, best first: the best window of each file, or all windows.

        Parameters
        ----------
        query
            A string is words: "rain + wind -thunder" wants both and not the third. A Path, bytes, (wave, rate) or dict
            is a sound, and so is a sound's embedding (E,). A `Detector` ranks as its probability does, which is the
            confidence of a hit, then. A list of words, sounds and detectors is all of them together.
        without
            Words for what should not be heard, as after a minus.
        per
            "file", one hit a file; "window", every window by itself.
        filter
            Which files may be found.
        missing
            Find files too that cannot be reached now; else they are left out, and `left_out` of what is returned counts
            them.
        **options
            The filter's fields one by one: `within`, files and folders; `glob`, a pattern for the path ("*.wav",
            "*/rain/*"; `*` is anything, slashes too); `shortest` and `longest`, seconds; `after` and `before`, seconds
            since 1970, as `os.path.getmtime`; `tags`, words that were put on the file, all of them.
        """
        if per not in ("file", "window"):
            raise UsageError(f"per is {per!r}; choose file or window")
        where = resolve_filter(filter, options)
        unwanted = [without] if isinstance(without, str) else list(without)
        vector = self._vector(query, unwanted, k)
        rows, left_out = self._nearest(vector, k, where, per == "file", missing)
        sure: Callable[[Any], float]
        calibrated = isinstance(query, Detector) or has_own_curves(self._need_model())
        words = has_words(query)
        least = confidence_curves(self._need_model().config).least(words=words)
        if isinstance(query, Detector):
            sure = lambda window: float(query.probability(window[None])[0])
        else:
            sure = partial(self._background().confidence, vector, words=words)
        hits = (
            Hit(row.path, row.start, row.end, row.score, likely, missing and not is_reachable(row.path), likely < least)
            for row in rows
            for likely in (sure(row.embedding),)
        )
        return Ranked(hits, left_out, calibrated=calibrated)

    @property
    def unlikely(self) -> float:
        """The confidence below which a hit is most likely not what was looked for in words: the model's own.

        Of a sound that is looked for it may be another; `Hit.unlikely` says of each hit whether it lies below.
        """
        return confidence_curves(self._need_model().config).unlikely

    def vectors(self, hits: Sequence[Hit]) -> npt.NDArray[np.float32]:
        """The embeddings of windows that a search has found → float32 (N, E), to teach a detector by.

        Raises
        ------
        LibraryError
            A hit is of another library, or its file has been changed since.
        """
        rows = []
        for hit in hits:
            recording = self._store.recording(hit.path)
            at = np.flatnonzero(recording.start == hit.start) if recording is not None else np.zeros(0, int)
            if recording is None or not len(at):
                raise LibraryError(
                    f"{self._store.place} holds no window of {hit.path} at {hit.start:g} s; search again"
                )
            rows.append(recording.embedding[at[0]])
        size = self._model.config.embedding if self._model is not None else 0
        return np.stack(rows) if rows else np.zeros((0, size), np.float32)

    def recommend(
        self,
        like: Sequence[Query],
        unlike: Sequence[Query] = (),
        k: int = 20,
        *,
        variety: float = 0.3,
        filter: SearchFilter | None = None,
        missing: bool = False,
        **options: Unpack[FilterOptions],
    ) -> Ranked[Hit]:
        """More like these, less like those: recordings to hear next, each with its best window, in the order of a playlist.

        Parameters
        ----------
        like, unlike
            Sounds, and words; a string is words, a Path is a sound. What is given is not recommended back, nor are its
            copies.
        variety
            0: what is nearest, however much alike; 1: what differs most from what comes before it.
        filter, missing, **options
            As in `search`. A hit's score and confidence are those against the nearest of what is liked.
        """
        self._check(k)
        where = resolve_filter(filter, options)
        likes, unlikes = ([part] if isinstance(part, str | os.PathLike) else list(part) for part in (like, unlike))
        return recommend(
            self._store,
            self._need_model(),
            self._background(),
            likes,
            unlikes,
            k,
            variety=variety,
            where=where,
            missing=missing,
        )

    def moments(
        self,
        query: Query,
        k: int = 10,
        *,
        fine: bool = True,
        filter: SearchFilter | None = None,
        missing: bool = False,
        served: ServedFiles | None = None,
    ) -> Ranked[Moment]:
        """Spans of recordings that fit a query, overlapping good windows merged, best first.

        With `fine`, the files of the best windows are looked into with windows of 1 s every quarter of a second, which
        finds short sounds and exact edges; without, the edges are those of the library's windows. `filter` and `missing`
        are as in `search`; those of a file that is not there have the edges of the library's windows, too. With `served` no other
        file is read than what it would hand out.
        """
        vector = self._vector(query, (), k)
        opened = None if served is None else partial(self._open_served, served)
        return find_moments(
            self._store,
            self._need_model(),
            vector,
            k,
            judge=judge_of(self._background(), query, vector),
            fine=fine,
            where=resolve_filter(filter, {}),
            missing=missing,
            opened=opened,
        )

    def duplicates(self, *, within: Paths | None = None, progress: bool = False) -> Duplicates:
        """Files that hold the same recording, whatever their format, gain and start; needs the files, not only their vectors.

        Only the first ten minutes of each are compared. `within`, files and folders to look at alone.
        """
        where = resolve_filter(None, {"within": within})
        return find_duplicates(self._store, where, progress=progress)

    def versions(self, paths: Iterable[str]) -> dict[str, FileVersion]:
        """Files as they were when they were indexed, by their paths; those that the library does not hold are left out."""
        return {path: FileVersion.from_index(file) for path, file in self._store.find_files(paths).items()}

    def paths(self, within: Paths | None = None) -> Iterator[str]:
        """The path of every file it holds, or of those in some files and folders."""
        where = resolve_filter(None, {"within": within})
        return (file.path for file in self._store.files(where))

    def recordings(self, most: int | None = None) -> Iterator[Recording]:
        """Files with their windows, by path: all, or at most so many, evenly from all of them."""
        if most is None:
            yield from self._store.scan()
            return
        count = self._store.stats()["files"]
        wanted = set(np.linspace(0, count - 1, min(most, count)).round().astype(int).tolist())
        for number, file in enumerate(self._store.files()):
            recording = self._store.recording(file.path) if number in wanted else None
            if recording is not None:
                yield recording

    def sample(self, count: int) -> npt.NDArray[np.float32]:
        """Embeddings of windows from all over the library, the same ones as long as it does not change: (at most `count`, E)."""
        return self._store.sample(count)

    def embedding(self, path: str | os.PathLike[str]) -> npt.NDArray[np.float32] | None:
        """The embedding (E,) of a file as it was indexed, the mean of its windows; None, it is not here or has been changed since."""
        recording = self._store.recording(absolute_path(path))
        if recording is None:
            return None
        try:
            now = Path(recording.file.path).stat()
        except OSError:
            return None
        if (now.st_size, now.st_mtime_ns) != (recording.file.size, recording.file.mtime_ns):
            return None
        return normalize_rows(recording.embedding.mean(0))

    def stats(self) -> dict[str, Any]:
        """What the library holds: files, windows, seconds, bytes, and the model that made it, by the name that it has today."""
        maker = self._store.model_identity()
        known = {**maker, "model": current_model_name(maker)} if maker else {"model": None, "fingerprint": None}
        return {"path": self._store.place, **self._store.stats(), **known}

    # -- keeping -------------------------------------------------------------------------------------

    def verify(self, *, hashes: bool = True) -> Verification:
        """Compare the library with itself and with the disk: every file's content, or its size and time alone."""
        self._need_sounds()
        return maintenance.verify(self._store, hashes=hashes)

    def repair(self) -> list[str]:
        """Mend what `verify` calls damaged → what was done, in words. Missing and changed files are for `add`."""
        self._need_sounds()
        return self._store.repair()

    def export(self, output: str | os.PathLike[str]) -> dict[str, Any]:
        """Write every window with its vector to one Parquet file → {"output", "files", "windows"}."""
        return maintenance.export_parquet(self._store, Path(output))

    def import_(self, source: str | os.PathLike[str]) -> dict[str, Any]:
        """Add what another library of the same model has exported → {"files", "windows"}."""
        return maintenance.import_parquet(self._store, Path(source))

    def close(self) -> None:
        """Let go of the library's files; it can be opened again."""
        self._store.close()

    # -- inside --------------------------------------------------------------------------------------

    def _open_served(self, served: ServedFiles, path: str) -> BinaryIO:
        return served.open(path, self.versions([path]).get(path))

    def _vector(self, query: Query, without: Sequence[str], k: int) -> Any:
        """The query's unit vector, once it is clear that there is something to search in."""
        return embed_query(self._check(k), query, without)

    def _check(self, k: int) -> CLAP:
        """The model, once it is clear that it can look for `k` sounds here."""
        if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
            raise UsageError(f"k is {k!r}; it must be a whole number, 1 or more")
        clap = self._need_model()
        maker = self._store.model_identity()
        refuse_other_model(self._store, maker, clap)
        if needs_reembedding(maker, clap) and not self._told:
            self._told = True
            warnings.warn(
                f"{self._store.place} was made with an earlier front end of {clap.name}, and is searched as it is;"
                " openclap index reads its files anew",
                LibraryWarning,
                stacklevel=4,
            )
        if not maker or next(self._store.files(), None) is None:
            raise LibraryError(f"{self._store.place} holds no sounds yet; fill it with  openclap index FOLDER")
        return clap

    def _need_sounds(self) -> None:
        """A mistyped path is no library that is whole."""
        try:
            nothing = not self._store.model_identity()
        except LibraryMismatch:
            raise
        except LibraryError:  # broken: that is what repair is for
            return
        if nothing:
            raise LibraryError(f"{self._store.place} holds no sounds; give another --library")

    def _background(self) -> ReferenceBank:
        if self._usual is None:
            self._usual = reference_bank(self._need_model())
        return self._usual

    def _nearest(
        self, vector: npt.NDArray[np.float32], k: int, where: SearchFilter | None, per_file: bool, missing: bool
    ) -> tuple[list[ScoredWindow], int]:
        """Rows, and how many better ones were left out since their files cannot be reached."""
        if missing:
            return self._store.nearest(vector, k, where=where, per_file=per_file), 0
        rows, left_out = nearest_reachable(self._store, vector, k, where=where, per_file=per_file)
        return rows, len(left_out)

    def _spread(self, clap: CLAP, engine: str) -> indexing.Spread | None:
        """Who embeds new files; None, this process."""
        if engine == "local":
            return None
        place = self._store.place
        if not self._store.shared:
            raise UsageError(
                f"{place} is a library on this machine, which a cluster cannot write to; give one in LanceDB, as"
                " --library sounds.lance or s3://BUCKET/sounds.lance"
            )
        clap.recipe()  # refused before anything is written
        from openclap.library.ray_cluster import spread_with_ray

        return lambda paths, known: spread_with_ray(place, clap, self._store.model_identity(), paths, known)

    def _need_model(self) -> CLAP:
        if self._model is None:
            raise UsageError("this library was opened without a model; give one: Library.open(path, model=clap)")
        return self._model


def _merge_reports(first: AddReport, then: AddReport) -> AddReport:
    """What was embedded anew, then brought up to date: what was unchanged by then is the same files."""
    told = {failure.path for failure in then.failed}
    failed = [failure for failure in first.failed if failure.path not in told]
    return replace(
        then,
        updated=first.updated + then.updated,
        unchanged=0,
        removed=first.removed + then.removed,
        failed=[*failed, *then.failed],
    )
