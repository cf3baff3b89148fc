"""A library: folders of sounds that are indexed once, then searched by words, by sounds and by detectors.

paths ─ indexing ─ store ─┐
                          ├─ nearest ─ Hit, Moment
words, sounds ─ query ────┘
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from openclap.confidence import ReferenceBank, confidence_curves, reference_bank
from openclap.config.checks import check_count
from openclap.errors import UsageError
from openclap.library import indexing, model_identity
from openclap.library.contents import LibraryContents
from openclap.library.duplicates import find_duplicates
from openclap.library.filtering import FilterKeywords, Paths, check_tags, list_paths, normalize_tag, resolve_filter
from openclap.library.index_progress import Progress
from openclap.library.journey import NEXT_BEST, End, check_steps, end_by_words, end_of, find_journey
from openclap.library.moments import find_moments, judge_of
from openclap.library.query import Query, Vector, embed_query, has_words, read_question, refuse_silent, texts_of
from openclap.library.ray_cluster import cluster_spread
from openclap.library.recommend import recommend
from openclap.library.reembed import merge_reports, reembed
from openclap.library.search import By, Per, find_hits
from openclap.library.served_files import FileVersion, ServedFiles
from openclap.library.stored_vectors import embedding_of_file, spread_recordings, vectors_of_hits
from openclap.library.watch_folder import watch_folder
from openclap.options import SearchFilter
from openclap.results import AddReport, Duplicates, Hit, Moment, Ranked, Step
from openclap.store import open_store

if TYPE_CHECKING:
    from typing import Unpack  # Python 3.11

    from openclap.clap import CLAP
    from openclap.store import Recording, SearchFilter, Store

__all__ = ["Library"]


class Library(LibraryContents):
    """A searchable collection of sounds, which remembers the model that made it and refuses any other."""

    def __init__(self, store: Store, model: CLAP | None) -> None:
        super().__init__(store)
        self._model = model
        self._warned = False  # that it was made with an earlier front end

    @classmethod
    def open(cls, path_or_uri: str | os.PathLike[str], model: CLAP | str | os.PathLike[str] | None = None) -> Library:
        """Open a library, which is made when the first sound is added.

        Parameters
        ----------
        path_or_uri
            A folder holds one SQLite file and its cache. A folder whose name ends in .lance, or an address on object
            storage such as s3://BUCKET/sounds.lance, holds a LanceDB, which many machines may use at once.
        model
            The CLAP that embeds sounds and queries, or what `CLAP.from_pretrained` takes. Without one, only what the
            library holds can be asked for.

        Raises
        ------
        LibraryMismatch
            The library was made by another model (both are named), or is of an unknown format version.
        ModelError
            There is no such model.
        """
        if isinstance(model, str | os.PathLike):
            from openclap.clap import CLAP

            model = CLAP.from_pretrained(model)
        library = cls(open_store(path_or_uri), model)
        if model is not None:
            model_identity.refuse_other_model(library._store, library._store.model_identity(), model)
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
        progress: bool | Progress = False,
        engine: Literal["local", "ray"] = "local",
    ) -> AddReport:
        """Add files and folders, or bring them up to date.

        - A file whose size and time are unchanged is not read again, unless this version decodes it differently.
        - A file that has moved, or is a copy, is recognised by its content and not embedded again.
        - Files that were deleted from an added folder, or are excluded now, leave the library. But where a folder
          yields nothing any more, or has lost more than half of at least ten files at once, its disk may not be
          mounted: these files stay, and the report counts them as `kept_missing`.
        - Tags of files that leave are remembered, and given back when the same content returns.
        - A file that cannot be used is reported, and tried again next time.
        - Finished work is committed every second: the next run continues a stopped one, and several processes may add
          to one library.
        - A library that was made with another front end of the same model is embedded anew first.

        Parameters
        ----------
        tags
            Words to put on all these files; `search` can ask for them.
        exclude
            What to leave out of folders: names, such as "outtakes" or "*.tmp.wav", and patterns of paths, such as
            "*/drafts/*". Files called `.openclapignore` may hold further patterns, as in .gitignore.
        keep
            Only add what is new: nothing leaves, and known files are not read again. A search does this with its paths.
        prune
            Remove all files that are missing, however many.
        progress
            True shows progress on stderr. A function is called with the number of files that are done and the number
            of all; what it raises stops the run.
        engine
            "local" embeds in this process; "ray" on a Ray cluster, the one at RAY_ADDRESS or a new one on this machine.
            The library must be in LanceDB, and the paths must mean the same on all machines.
        """
        if engine not in ("local", "ray"):
            raise UsageError(f"engine is {engine!r}; choose local or ray")
        if keep and prune:
            raise UsageError("keep lets nothing leave, prune everything that is missing; give one of them")
        clap = self._need_model()
        check_tags(tags)
        spread = None if engine == "local" else cluster_spread(self._store, clap)
        stale = model_identity.needs_reembedding(self._store.model_identity(), clap)
        if stale and keep:
            return AddReport()  # `_check` warns of it
        before = reembed(self._store, clap, progress=progress, prune=prune) if stale else None
        report = indexing.add(
            self._store,
            clap,
            list_paths(paths),
            claim=partial(model_identity.claim_store, self._store, clap),
            tags=[normalize_tag(tag) for tag in tags],
            exclude=exclude,
            keep=keep,
            prune=prune,
            progress=progress,
            spread=spread,
        )
        if report.added or report.updated:
            self._bank()  # made now: it takes seconds for a large model, and would delay the first search
        return report if before is None else merge_reports(before, report)

    def watch(
        self, paths: Paths, *, every: float = 5.0, tags: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> Iterator[AddReport]:
        """Keep files and folders up to date for ever; yields a report at once, and after every change.

        They are looked at every `every` seconds. A file that was written to in the last two seconds waits for the next
        look; one that cannot be used is reported once, and again when it changes.
        """
        clap = self._need_model()
        if model_identity.needs_reembedding(self._store.model_identity(), clap):
            reembed(self._store, clap)
        normal = [normalize_tag(tag) for tag in tags]
        yield from watch_folder(self._store, clap, list_paths(paths), every=every, tags=normal, exclude=exclude)

    @classmethod
    def reembed(
        cls, path_or_uri: str | os.PathLike[str], model: CLAP, *, progress: bool = False, prune: bool = False
    ) -> AddReport:
        """Embed every file of a library anew with another model, in place.

        The new vectors are made beside the old ones, which stay in use until all is done; the next run continues a
        stopped one. Tags are kept; files that are gone or cannot be used any more leave.

        Raises
        ------
        LibraryError
            None of the files can be used, or so many are missing that a disk may not be mounted (unless `prune`);
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
        by: By = "both",
        filter: SearchFilter | None = None,
        missing: bool = False,
        **options: Unpack[FilterKeywords],
    ) -> Ranked[Hit]:
        """Find what fits a query by its sound and by what files are called, best first.

        Parameters
        ----------
        query
            A string is words: "rain + wind -thunder" wants the first two and not the third. Words in quotes must stand
            in the file's name, folders or tags; `artist:`, `album:`, `title:`, `genre:`, `folder:`, `ucs:`, `bpm:`
            (also 120-128) and `key:` must fit them, and `in:` names a collection that it must be in. A Path, bytes,
            (wave, rate) or dict is a sound, and so is a sound's embedding (E,). With a `Detector`, its probability is
            the confidence of a hit. A list of words, sounds and detectors asks for all of them together.
        without
            Words for what should not be heard, as after a minus.
        per
            "file" gives one hit, its best window, a file; "window" every window by itself. With a sound alone, "file"
            compares whole recordings, too, so that a long one is found again in another format or with another start:
            `Hit.score` is the better cosine, of the recording as a whole or of its best window, whose times it has.
        by
            "both": by `Hit.relevance`, of sound and names together; "sound": by `Hit.score`, the cosine; "names": only
            files that the words name. Queries without words are by sound, as `by` of the result then says.
        filter
            Which files may be found.
        missing
            Also find files that cannot be reached now. Otherwise they are left out, and counted in `left_out` of the
            result.
        **options
            Fields of the filter by themselves: `within` (files and folders), `path` (a pattern for it, "*.wav" or
            "*/rain/*", where `*` also fits slashes), `min_seconds` and `max_seconds`, `after` and `before` (seconds
            since 1970, as `os.path.getmtime` gives them), `tags` and `collections` (a file must have all of these, and be
            in all of those), `formats` (endings of names, as "wav", of which it must have one).
        """
        if per not in ("file", "window"):
            raise UsageError(f"per is {per!r}; choose file or window")
        if by not in ("sound", "names", "both"):
            raise UsageError(f"by is {by!r}; choose sound, names or both")
        unwanted = [without] if isinstance(without, str) else without
        asked = read_question(query, unwanted, self._where(filter, options))
        asked = replace(asked, filter=self._where(asked.filter, {}) or SearchFilter())
        vector = self._vector(asked.query, unwanted, k)
        clap = self._need_model()
        found = find_hits(self._store, clap, self._bank, asked, vector, k, per=per, by=by, missing=missing)
        texts = texts_of(asked.query, unwanted)
        found.unknown, found.understood = clap.unknown_words(texts), clap.understood(texts)
        return found

    @property
    def unlikely(self) -> float:
        """The model's confidence below which a hit is most likely not what the words describe.

        For sounds the threshold may differ; `Hit.unlikely` says for each hit whether it lies below its own.
        """
        return confidence_curves(self._need_model().config).unlikely

    def vectors(self, hits: Sequence[Hit]) -> npt.NDArray[np.float32]:
        """The embeddings of hits → float32 (N, E), for instance to teach a detector.

        Raises
        ------
        LibraryError
            A hit is of another library, or its file has been changed since.
        """
        size = self._model.config.embedding if self._model is not None else 0
        return vectors_of_hits(self._store, hits, size)

    def recommend(
        self,
        like: Sequence[Query],
        unlike: Sequence[Query] = (),
        k: int = 20,
        *,
        variety: float = 0.3,
        filter: SearchFilter | None = None,
        missing: bool = False,
        **options: Unpack[FilterKeywords],
    ) -> Ranked[Hit]:
        """Choose recordings to hear next, more like these and less like those, in the order of a playlist.

        Words are compared with the best window of each recording, sounds with the recording as a whole. A hit has the
        times of that window; its score and confidence are for the nearest part of `like`. Silent recordings are none.

        Parameters
        ----------
        like, unlike
            Words (a string) and sounds (a Path and what else `search` takes). Given sounds and their copies are not
            recommended. Words in quotes and `artist:` and the others of `search` in `like` say which files may be.
        variety
            0 chooses what is nearest, however much alike; 1 what differs most from the recordings before it.
        filter, missing, **options
            As in `search`.
        """
        self._check(k)
        likes, unlikes = ([part] if isinstance(part, str | os.PathLike) else list(part) for part in (like, unlike))
        wanted: Any = likes
        asked = read_question(wanted, (), filter)
        wanted, where = asked.query, self._where(asked.filter, options)
        clap, bank = self._need_model(), self._bank()
        found = recommend(self._store, clap, bank, wanted, unlikes, k, variety=variety, where=where, missing=missing)
        texts = [text for part in (*wanted, *unlikes) for text in texts_of(part)]
        found.unknown, found.understood = clap.unknown_words(texts), clap.understood(texts)
        return found

    def journey(
        self,
        a: Query | End,
        b: Query | End,
        n: int = 12,
        *,
        filter: SearchFilter | None = None,
        missing: bool = False,
        **options: Unpack[FilterKeywords],
    ) -> Ranked[Step]:
        """Walk from one recording to another by equal steps: `n` recordings, each further on the way than the last.

        Whole recordings are compared. No content comes twice; where the library holds too few that lie between, there
        are fewer.

        Parameters
        ----------
        a, b
            Where it begins and ends: a Path and what else `search` takes. Words stand for the recording that fits them
            best; a sound of the library is the first, or the last, step itself. An `end` is one without being read.
        n
            2 to 200.
        filter, missing, **options
            As in `search`, for what lies between.

        Raises
        ------
        UsageError
            Both ends sound the same.
        EmptySound
            Nothing is heard in a sound.
        """
        check_steps(n)
        clap = self._check(n)
        ends: list[End] = []
        for sound in (a, b):
            if isinstance(sound, End):
                ends.append(sound)
                continue
            if not has_words(sound):
                ends.append(end_of(self._store, clap, sound))
                continue
            hits = self.search(sound, NEXT_BEST, filter=filter, missing=missing, **options)
            named = end_by_words(self._store, hits, ends)
            if named is None:
                return Ranked((), hits.left_out, unknown=hits.unknown, understood=hits.understood)
            ends.append(named)
        where = self._where(filter, options)
        asked = [text for part in (a, b) if not isinstance(part, End) for text in texts_of(part)]
        steps, left_out = find_journey(self._store, ends[0], ends[1], n, where=where, missing=missing)
        return Ranked(steps, left_out, unknown=clap.unknown_words(asked), understood=clap.understood(asked))

    def end(self, path: str) -> End | None:
        """A recording of the library, by its absolute path, as an end of `journey`; None where it is not there.

        The file itself is not read.

        Raises
        ------
        EmptySound
            Nothing is heard in it.
        """
        recording = self._store.recording(path)
        if recording is None:
            return None
        refuse_silent(os.path.basename(path), recording.heard)  # noqa: PTH119 -- as the path is written
        return End(recording.track, recording.file)

    def moments(
        self,
        query: Query,
        k: int = 10,
        *,
        fine: bool = True,
        filter: SearchFilter | None = None,
        missing: bool = False,
        served: ServedFiles | None = None,
        stop: threading.Event | None = None,
    ) -> Ranked[Moment]:
        """Find spans of recordings that fit a query, best first; good windows that overlap are one span.

        `filter` and `missing` are as in `search`. With `served`, only files are read that it would hand out.
        Decoding ends with `DecodingStopped` once `stop` is set.

        Parameters
        ----------
        fine
            Read the files of the best windows again, in windows of 1 s every quarter of a second, which finds short
            sounds and exact edges. Otherwise, and for files that cannot be read, edges are those of the library's
            windows.
        """
        asked = read_question(query, (), filter)
        vector = self._vector(asked.query, (), k)
        opened = None if served is None else lambda path: served.open(path, self.versions([path]).get(path))
        clap = self._need_model()
        return find_moments(
            self._store,
            clap,
            asked.query,
            vector,
            k,
            judge=judge_of(self._bank(), asked.query, vector),
            fine=fine,
            where=self._where(asked.filter, {}),
            missing=missing,
            opened=opened,
            stop=stop,
        )

    def duplicates(self, *, within: Paths | None = None, progress: bool = False) -> Duplicates:
        """Find files that hold the same recording, whatever their format, gain and start.

        The first ten minutes of each file are read and compared. `within` names the files and folders to look at.
        """
        return find_duplicates(self._store, resolve_filter(None, {"within": within}), progress=progress)

    def versions(self, paths: Iterable[str]) -> dict[str, FileVersion]:
        """Files as they were when they were indexed, by path; files that the library does not hold are left out."""
        return {path: FileVersion.from_index(file) for path, file in self._store.find_files(paths).items()}

    def lengths(self, paths: Iterable[str]) -> dict[str, float]:
        """The seconds of files, by path; files that the library does not hold are left out."""
        return {path: file.seconds for path, file in self._store.find_files(paths).items()}

    def paths(self, within: Paths | None = None) -> Iterator[str]:
        """The paths of all files, or of those in some files and folders."""
        return (file.path for file in self._store.files(resolve_filter(None, {"within": within})))

    def recordings(self, most: int | None = None, *, within: Paths | None = None) -> Iterator[Recording]:
        """Files with their windows, by path: those in some files and folders, or all; or `most`, evenly spread over all."""
        return spread_recordings(self._store, most, resolve_filter(None, {"within": within}))

    def sample(self, count: int) -> npt.NDArray[np.float32]:
        """Embeddings of windows from all over the library (at most `count`, E); the same ones until it changes."""
        return self._store.sample(count)

    def embedding(
        self, path: str | os.PathLike[str], *, window: tuple[float, float] | None = None
    ) -> npt.NDArray[np.float32] | None:
        """The vector (E,) of a whole file: the mean of the windows in which something is heard, at length 1.

        With `window` that of the one from a start to an end, in seconds, as hits have them. None where the file is not
        here or has changed since, or has no such window.
        """
        return embedding_of_file(self._store, path, window)

    def stats(self) -> dict[str, Any]:
        """What the library holds: files, windows, seconds, bytes, and the present name of the model that made it."""
        maker = model_identity.describe_maker(self._store.model_identity())
        return {"path": self._store.place, **self._store.stats(), **maker}

    # -- inside --------------------------------------------------------------------------------------

    def _vector(self, query: Query, without: Sequence[str], k: int) -> Vector:
        """The query's unit vector (E,), after `_check`."""
        return embed_query(self._check(k), query, without)

    def _check(self, k: int) -> CLAP:
        """The model, if it can look for `k` sounds in this library.

        Raises
        ------
        UsageError, LibraryError, LibraryMismatch
            `k` is not a positive number, there is no model or another one made the library, or it holds no sounds.
        """
        check_count(k, "k")
        clap = self._need_model()
        self._warned = model_identity.check_maker(self._store, clap, warned=self._warned)
        return clap

    def _bank(self) -> ReferenceBank:
        return reference_bank(self._need_model())

    def _need_model(self) -> CLAP:
        if self._model is None:
            raise UsageError("this library was opened without a model; give one: Library.open(path, model=clap)")
        return self._model
