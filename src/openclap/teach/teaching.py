"""A few examples → a detector: from embeddings (`fit`), from files and folders (`teach`), or from what was kept of those (`refit`).

files ─ embeddings ─┐
                    ├─ fit ─ Detector, with what cross-validation says of it
words ─ ground ─────┤
library ─ drawn ────┘
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from openclap import example_store
from openclap.detector import Detector, detector_path
from openclap.errors import DetectorError, LibraryError, SoundError, UsageError
from openclap.example_store import RATE, ExampleSource
from openclap.library.scan import find_sounds
from openclap.normalization import normalize_rows
from openclap.progress import with_progress
from openclap.results import Failure
from openclap.teach.evaluation import cross_validate
from openclap.teach.fitting import FitProblem, TrainingSet, make_prior
from openclap.teach.suggestions import counter_examples, suggest, synthetic_negatives

if TYPE_CHECKING:
    from openclap.clap import CLAP
    from openclap.library import Library
    from openclap.results import Hit

__all__ = ["Taught", "fit", "refit", "teach"]

Vectors = npt.NDArray[np.float32]
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

AT_ONCE = 16  # kept examples in memory
COPY = 0.999  # cosine of a kept example and the file it was cut from, at least


@dataclass(frozen=True)
class Taught:
    """A detector, what should be marked next, what could not be used or kept; `examples`: what it was taught by, or the key of a detector whose they are."""

    detector: Detector
    suggestions: list[Hit] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    examples: Sequence[ExampleSource] | str = ()

    def save(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the detector, as `Detector.save`, and keep its examples in the user's data folder; `failed` then also tells what could not be kept.

        The examples of a detector that it replaces there go. `Detector.save` alone keeps none.

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
            except DetectorError as error:  # what was asked for is done
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
    """A detector from embeddings; deterministic, and needs no files.

    Parameters
    ----------
    clap
        The model that has made the embeddings.
    name
        What it will be called.
    yes, no : float32 (N, E) and (M, E)
        Unit rows of `encode_audio(…, long="windows")`, or windows of a library (`Library.vectors`). Copies count once.
    text
        Words for the sound, from which it begins; None, the name; "", no words.
    drawn : float32 (K, E)
        Counter-examples that nobody has marked, as `counter_examples` gives; they weigh little. Where there are neither
        these nor a no, the synthesised sounds of `openclap.confidence` that are not like a yes stand in.
    judged
        Cross-validate it: some tenths of a second.
    seed
        How examples are dealt into folds.

    Raises
    ------
    UsageError
        No yes; embeddings of another size or not finite.
    """
    words = name if text is None else text
    ground = make_prior(clap, words if words.strip() else None)
    examples = TrainingSet.of(yes, no, drawn, clap.config.embedding)
    alone = bool(examples.heard.all())
    if alone:
        examples = TrainingSet.of(yes, no, synthetic_negatives(ground, examples.rows), clap.config.embedding)
    problem = FitProblem(ground, examples, alone=alone)
    weight, bias = problem.as_linear(problem.solve())
    report = cross_validate(problem, words=bool(words.strip()), seed=seed) if judged else {}
    marked_no = int((~examples.heard & ~examples.drawn).sum())
    counts = {"yes": int(examples.heard.sum()), "no": marked_no, "drawn": int(examples.drawn.sum())}
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
    """A detector from sound files and folders.

    A recording counts as the mean of its windows, so cut an example to where the sound is. A file that cannot be used
    is reported and stops nothing; one that is in the library as it is now is not embedded again, so a folder that was
    indexed first is taught by at once.

    Parameters
    ----------
    yes, no
        Files and folders that hold the sound, and that do not.
    text
        Words for the sound; None, the name; "", no words.
    library
        Where counter-examples are drawn from, and where what to mark next is looked for.
    suggestions
        How many to suggest; needs a library.
    progress
        Show it on stderr.

    Raises
    ------
    UsageError
        Not one usable yes; a sound that is both a yes and a no.
    LibraryError
        The library is empty.

    Examples
    --------
    >>> taught = teach(clap, "door creak", yes=["creak1.wav", "creak2.wav"], no=["hinge.wav"], library=library)
    >>> taught.save()
    """
    if library is not None and not library.stats()["files"]:
        raise LibraryError(f"{library.stats()['path']} holds no sounds yet; fill it with  openclap index FOLDER")
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
        raise UsageError(f"no example of {name!r} can be used{why}; give sound files with --yes")
    _refuse_copies(*kept)
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
    """A detector taught anew for a model, by the examples that were kept of it: its name, words and threshold stay.

    The files that it was taught by are not needed. Counter-examples that nobody has marked were not kept: they are
    drawn anew.

    Parameters
    ----------
    library, suggestions, seed, progress
        As `teach`.

    Raises
    ------
    DetectorError
        None of its examples were kept, or they are damaged.

    Examples
    --------
    >>> refit(clap, Detector.load("door creak"), library=library).save()
    """
    if not example_store.count_examples(detector.key):
        raise DetectorError(
            f"no examples of the detector {detector.name!r} were kept, so it cannot be taught anew by them; teach it"
            " again with  openclap teach NAME --yes FILE…"
        )
    rows: dict[bool, list[Vectors]] = {True: [], False: []}
    for heard, row in with_progress(
        _embed_stored_examples(clap, detector), "listening", example_store.count_examples(detector.key), show=progress
    ):
        rows[heard].append(row)
    yes, no = (np.array(rows[heard], np.float32).reshape(-1, clap.config.embedding) for heard in (True, False))
    drawn: npt.ArrayLike = () if library is None else counter_examples(library, yes)
    made = fit(clap, detector.name, yes, no, text=detector.text or "", drawn=drawn, seed=seed)
    again = replace(made, threshold=detector.threshold)
    next_ = [] if library is None else _suggest_unmarked(library, again, suggestions, np.concatenate([yes, no]))
    return Taught(again, next_, examples=detector.key)


def _suggest_unmarked(library: Library, detector: Detector, count: int, examples: Vectors) -> list[Hit]:
    """What to mark next, where only the embeddings (N, E) of what was marked are known, and not which files they were."""
    found = suggest(library, detector, count + len(examples)) if count else []
    if not found:
        return []
    near = (library.vectors(found) @ examples.T).max(1)
    return [hit for hit, alike in zip(found, near, strict=True) if alike < COPY][:count]


def _embed_stored_examples(clap: CLAP, detector: Detector) -> Iterator[tuple[bool, Vectors]]:
    """Of each example that was kept whether it is the sound, and its embedding (E,): the mean of its windows."""
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
                means.append(span.embedding.mean(0))
            yield example.heard, normalize_rows(np.mean(means, axis=0))


def _key_at(place: Path) -> str | None:
    """The key of the detector that lies there; None, there is none that can be read."""
    try:
        return Detector.load(place).key
    except DetectorError:
        return None


def _embed_files(
    clap: CLAP, files: Sequence[Path], library: Library | None, progress: bool
) -> Iterator[Vectors | SoundError]:
    """The embedding (E,) of each file, or why it has none, in order."""
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
            yield normalize_rows(spans.embedding.mean(0))


def _refuse_copies(yes: tuple[list[Path], Vectors], no: tuple[list[Path], Vectors]) -> None:
    """One sound under two names is no example of both."""
    for file, row in zip(*no, strict=True):
        same = np.flatnonzero(yes[1] @ row >= 0.99999)
        if len(same):
            raise UsageError(
                f"{yes[0][same[0]]} among the yes and {file} among the no are the same sound; say which it is"
            )
