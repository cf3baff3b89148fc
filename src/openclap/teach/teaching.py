"""Makes a detector from a few examples: embeddings (`fit`), files and folders (`teach`), or stored examples (`refit`).

files ─ embeddings ─┐
                    ├─ fit ─ Detector, with the report of a cross-validation
words ─ prior ──────┤
library ─ drawn ────┘
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap import example_store
from openclap.blas_threads import one_blas_thread
from openclap.clap import CLAP
from openclap.detector import Detector, detector_path
from openclap.errors import DetectorError, Hint, LibraryError, SoundError, UsageError
from openclap.example_store import RATE, ExampleSource
from openclap.library import Library
from openclap.library.scan import find_sounds
from openclap.normalization import Vectors, normalize_rows
from openclap.progress import with_progress
from openclap.results import Failure, Hit
from openclap.teach.evaluation import cross_validate
from openclap.teach.fitting import FitProblem, TrainingSet, make_prior
from openclap.teach.suggestions import counter_examples, suggest, synthetic_negatives

__all__ = ["Taught", "embed_kept_examples", "fit", "refit", "refuse_copies", "teach"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

AT_ONCE = 16  # stored examples that are in memory at once
COPY = 0.999  # the least cosine of a stored example and the file it was cut from


@dataclass(frozen=True)
class Taught:
    """A detector that was taught, with what belongs to it.

    Attributes
    ----------
    detector
    suggestions
        What should be marked next.
    failed
        Files that could not be used, and examples that could not be stored.
    examples
        The examples it was taught by, or the key of the detector for which they are stored already.
    """

    detector: Detector
    suggestions: list[Hit] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    examples: Sequence[ExampleSource] | str = ()

    def save(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the detector as `Detector.save` does, and store its examples in the user's data folder.

        `failed` then also names the examples that could not be stored. The examples of a detector that is replaced are
        deleted. `Detector.save` alone stores none.

        Raises
        ------
        UsageError
            As `Detector.save`.
        """
        detector = self.detector
        before = _key_at(detector_path(detector.name) if path is None else Path(os.path.expanduser(path)))
        if isinstance(self.examples, str):
            lost = example_store.copy_examples(self.examples, detector.key)
        else:
            lost = example_store.save_examples(detector.key, detector.name, self.examples) if self.examples else []
        try:
            place = detector.save(path)
        except UsageError:
            if before != detector.key != self.examples:
                example_store.delete_examples(detector.key)
            raise
        self.failed.extend(lost)
        if before is not None and before != detector.key:
            try:
                example_store.delete_examples(before)
            except DetectorError as error:  # the detector itself is saved
                self.failed.append(Failure(str(place), f"the examples of the one before are still there: {error}"))
        return place

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, ready for `json.dumps`."""
        return {
            **self.detector.to_dict(),
            "suggestions": [hit.to_dict() for hit in self.suggestions],
            "failed": [failure.to_dict() for failure in self.failed],
        }


def fit(
    clap: CLAP,
    name: str,
    yes: npt.ArrayLike,
    no: npt.ArrayLike = (),
    *,
    text: str | None = None,
    drawn: npt.ArrayLike = (),
    judged: bool = True,
    seed: int = 0,
) -> Detector:
    """Make a detector from embeddings; no files are needed, and the same embeddings give the same detector.

    Parameters
    ----------
    clap
        The model that made the embeddings.
    name
        The name of the detector.
    yes, no : float32 (N, E) and (M, E)
        Unit rows of `encode_audio(…, long="windows")`, or windows of a library (`Library.vectors`). Copies count once.
    text
        Words for the sound, from which the fit starts; None takes the name, "" takes no words.
    drawn : float32 (K, E)
        Counter-examples that nobody has marked, as `counter_examples` gives; they weigh little. Without these and
        without a no, the synthesised sounds of `openclap.confidence` that do not resemble a yes are taken.
    judged
        Whether to cross-validate it, which takes some tenths of a second.
    seed
        Decides how examples are dealt into folds.

    Raises
    ------
    UsageError
        There is no yes, or embeddings have another size or are not finite.
    """
    words = name if text is None else text
    prior = make_prior(clap, words if words.strip() else None)
    with one_blas_thread():
        examples = TrainingSet.of(yes, no, drawn, clap.config.embedding)
        alone = bool(examples.is_yes.all())
        if alone:
            examples = TrainingSet.of(yes, no, synthetic_negatives(prior, examples.rows), clap.config.embedding)
        problem = FitProblem(prior, examples, alone=alone)
        weight, bias = problem.as_linear(problem.solve())
        report = cross_validate(problem, words=bool(words.strip()), seed=seed) if judged else {}
    marked_no = int((~examples.is_yes & ~examples.drawn).sum())
    counts = {"yes": int(examples.is_yes.sum()), "no": marked_no, "drawn": int(examples.drawn.sum())}
    return Detector(
        name,
        words if words.strip() else None,
        weight,
        bias,
        clap.name,
        clap.fingerprint,
        examples=counts,
        report=report,
    )


def teach(
    clap: CLAP,
    name: str,
    *,
    yes: Paths,
    no: Paths = (),
    text: str | None = None,
    library: Library | None = None,
    suggestions: int = 5,
    seed: int = 0,
    progress: bool = False,
) -> Taught:
    """Make a detector from sound files and folders.

    A recording counts as the mean of its windows that are heard, so cut an example to where the sound is. A file that
    cannot be used is left out and reported. A file that the library holds unchanged is not embedded again, so teaching
    by a folder that was indexed takes no time.

    Parameters
    ----------
    yes, no
        Files and folders that hold the sound, and that do not.
    text
        Words for the sound; None takes the name, "" takes no words.
    library
        The library from which counter-examples are drawn, and suggestions of what to mark next.
    suggestions
        How many suggestions; without a library there are none.
    progress
        Whether to show progress on stderr.

    Raises
    ------
    UsageError
        There is no usable yes, or a sound is both a yes and a no.
    LibraryError
        The library is empty.

    Examples
    --------
    >>> taught = teach(clap, "door creak", yes=["creak1.wav", "creak2.wav"], no=["hinge.wav"], library=library)
    >>> taught.save()
    """
    if library is not None and not library.stats()["files"]:
        raise LibraryError(f"{library.stats()['path']} holds no sounds yet", Hint("fill"))
    found = [find_sounds([some] if isinstance(some, str | os.PathLike) else some) for some in (yes, no)]
    failed = [failure for part in found for failure in part.unreadable]
    for part in found:
        empty = (folder for folder in part.folders if not any(file.is_relative_to(folder) for file in part.files))
        failed += [Failure(str(folder), "no sounds are in it") for folder in empty]
    both = sorted(set(found[0].files) & set(found[1].files))
    if both:
        raise UsageError(f"{both[0]} is among the yes and among the no; say which it is")
    rows = list(_embed_files(clap, [*found[0].files, *found[1].files], library, progress))
    kept: list[tuple[list[Path], Vectors]] = []
    for files, some in ((found[0].files, rows[: len(found[0].files)]), (found[1].files, rows[len(found[0].files) :])):
        pairs = [(file, row) for file, row in zip(files, some, strict=True) if not isinstance(row, SoundError)]
        failed += [
            Failure(str(file), row.cause) for file, row in zip(files, some, strict=True) if isinstance(row, SoundError)
        ]
        kept.append(
            ([file for file, _ in pairs], np.array([row for _, row in pairs]).reshape(-1, clap.config.embedding))
        )
    if not kept[0][0]:
        why = f": {failed[0].path}: {failed[0].error}" if failed else ""
        raise UsageError(f"no example of {name!r} can be used{why}", "give sound files")
    refuse_copies(*kept)
    drawn: npt.ArrayLike = () if library is None else counter_examples(library, kept[0][1])
    detector = fit(clap, name, kept[0][1], kept[1][1], text=text, drawn=drawn, seed=seed)
    marked = [*kept[0][0], *kept[1][0]]
    next_ = suggest(library, detector, suggestions, marked=marked) if library is not None and suggestions else []
    examples = [
        ExampleSource(file, heard) for heard, (files, _) in zip((True, False), kept, strict=True) for file in files
    ]
    return Taught(detector, next_, failed, examples)


def refit(
    clap: CLAP,
    detector: Detector,
    *,
    library: Library | None = None,
    suggestions: int = 5,
    seed: int = 0,
    progress: bool = False,
) -> Taught:
    """Teach a detector anew for another model, by its stored examples; its name, words and threshold stay.

    The files that it was taught by are not needed. Counter-examples that nobody has marked are not stored, so they are
    drawn anew.

    Parameters
    ----------
    library, suggestions, seed, progress
        As in `teach`.

    Raises
    ------
    DetectorError
        None of its examples are stored, or they are damaged.

    Examples
    --------
    >>> refit(clap, Detector.load("door creak"), library=library).save()
    """
    yes, no = embed_kept_examples(clap, detector, progress=progress)
    drawn: npt.ArrayLike = () if library is None else counter_examples(library, yes)
    made = fit(clap, detector.name, yes, no, text=detector.text or "", drawn=drawn, seed=seed)
    again = replace(made, threshold=detector.threshold)
    next_ = [] if library is None else _suggest_unmarked(library, again, suggestions, np.concatenate([yes, no]))
    return Taught(again, next_, examples=detector.key)


def embed_kept_examples(clap: CLAP, detector: Detector, *, progress: bool = False) -> tuple[Vectors, Vectors]:
    """The embeddings of the stored examples of a detector → yes (N, E) and no (M, E).

    Raises
    ------
    DetectorError
        As `refit`.
    """
    if not example_store.count_examples(detector.key):
        raise DetectorError(
            f"no examples of the detector {detector.name!r} were kept, so it cannot be taught anew by them",
            Hint("teach"),
        )
    rows: dict[bool, list[Vectors]] = {True: [], False: []}
    for heard, row in with_progress(
        _embed_stored_examples(clap, detector), "listening", example_store.count_examples(detector.key), show=progress
    ):
        rows[heard].append(row)
    yes, no = (np.array(rows[heard], np.float32).reshape(-1, clap.config.embedding) for heard in (True, False))
    return yes, no


def _suggest_unmarked(library: Library, detector: Detector, count: int, examples: Vectors) -> list[Hit]:
    """What to mark next, where of the marked files only the embeddings (N, E) are known."""
    found = suggest(library, detector, count + len(examples)) if count else []
    if not found:
        return []
    near = (library.vectors(found) @ examples.T).max(1)
    return [hit for hit, alike in zip(found, near, strict=True) if alike < COPY][:count]


def _embed_stored_examples(clap: CLAP, detector: Detector) -> Iterator[tuple[bool, Vectors]]:
    """For each stored example, whether it is a yes, and its embedding (E,): the mean of its windows that are heard."""
    seconds = clap.front_end.clip_seconds
    examples = example_store.load_examples(detector.key)
    while some := list(islice(examples, AT_ONCE)):
        waves = [(wave, RATE) for example in some for wave in example.waves]
        spans = clap.encode_each(waves, window=seconds, hop=seconds / 2)
        for example in some:
            means = []
            for _ in example.waves:
                span = next(spans)
                if isinstance(span, SoundError):
                    raise DetectorError(
                        f"an example that was kept of the detector {detector.name!r} cannot be used ({span.cause});"
                        " teach it again"
                    )
                means.append(span.track)
            yield example.heard, normalize_rows(np.mean(means, axis=0))


def _key_at(place: Path) -> str | None:
    """The key of the detector in a file, or None where none can be read."""
    try:
        return Detector.load(place).key
    except DetectorError:
        return None


def _embed_files(
    clap: CLAP, files: Sequence[Path], library: Library | None, progress: bool
) -> Iterator[Vectors | SoundError]:
    """The embedding (E,) of each file in order, or the error where there is none."""
    known = {} if library is None else {file: row for file in files if (row := library.embedding(file)) is not None}
    new = [file for file in files if file not in known]
    seconds = clap.front_end.clip_seconds
    fresh = with_progress(
        clap.encode_each(new, window=seconds, hop=seconds / 2), "listening", len(new), show=progress and bool(new)
    )
    for file in files:
        if file in known:
            yield known[file]
            continue
        spans = next(fresh)
        if isinstance(spans, SoundError):
            yield spans
        else:
            yield spans.track


def refuse_copies(yes: tuple[Sequence[object], Vectors], no: tuple[Sequence[object], Vectors]) -> None:
    """Refuse the same sound, under two names, as a yes and as a no; names (N,) with their embeddings (N, E).

    Raises
    ------
    UsageError
        There is one.
    """
    for name, row in zip(*no, strict=True):
        same = np.flatnonzero(yes[1] @ row >= 0.99999)
        if len(same):
            raise UsageError(
                f"{yes[0][same[0]]} among the yes and {name} among the no are the same sound; say which it is"
            )
