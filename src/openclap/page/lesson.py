"""A lesson: what a search has found, what of it was marked, and the detector that was made of that. Knows no component.

search ─ found ─ marks of the browser ─ detector ─┬─ found: its ranking
└─ following: what should be marked next
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import partial

from openclap.detector import Detector, detector_path
from openclap.errors import SoundError, UsageError
from openclap.example_store import ExampleSource
from openclap.library import Library
from openclap.library.query import parse_query
from openclap.page.jobs import Job
from openclap.page.parts import Page
from openclap.page.search import opened
from openclap.page.strings import Told
from openclap.page.wording import Visit
from openclap.results import Hit
from openclap.teach import Taught, counter_examples, fit, suggest

__all__ = ["Lesson", "Shown", "keep", "marked", "named", "searched", "trained"]

NEXT = 5  # that should be marked next
KNOWN = 2000  # windows of a lesson; beyond, the oldest that are not marked are forgotten


@dataclass(frozen=True)
class Shown:
    """A window that was found: what a browser calls it, its name, and how well it fits (`likely`, once something was taught)."""

    token: str
    name: str
    hit: Hit
    likely: float | None = None
    withheld: SoundError | None = None  # why it cannot be heard


@dataclass(frozen=True, eq=False)
class Lesson:
    """What somebody teaches.

    Attributes
    ----------
    where, maker, words
        Which library, the fingerprint of the model, and the words that were searched with first.
    known
        Windows by token; `yes` and `no` are tokens of them.
    found, following
        What is shown: the ranking, and what should be marked next.
    left_out
        How many of the ranking are not shown since their files cannot be reached now.
    """

    where: str = ""
    maker: str = ""
    words: str = ""
    known: dict[str, Shown] = field(default_factory=dict)
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()
    found: tuple[Shown, ...] = ()
    following: tuple[Shown, ...] = ()
    left_out: int = 0
    detector: Detector | None = None


def marked(lesson: Lesson | None, marks: str) -> Lesson:
    """A lesson with what the browser says is marked; what it does not know of is left out."""
    lesson = lesson or Lesson()
    try:
        said = json.loads(marks or "{}")
    except (ValueError, RecursionError):
        raise Told("error.input") from None
    if not isinstance(said, dict):
        raise Told("error.input")
    of = {
        mark: tuple(token for token in said if said[token] == mark and token in lesson.known) for mark in ("yes", "no")
    }
    return replace(lesson, yes=of["yes"], no=of["no"])


def searched(
    page: Page, visit: Visit, lesson: Lesson, where: str, words: str | None, k: int, *, job: Job | None = None
) -> Lesson:
    """What fits words; what is marked stays so, as long as library and model are the same."""
    wanted, unwanted = parse_query(words or "")
    if not wanted:
        raise Told("error.only_not" if unwanted else "error.no_query")
    maker = page.desk.clap.fingerprint
    before = lesson if (lesson.where, lesson.maker) == (where, maker) else Lesson()
    begun = replace(before, where=where, maker=maker, words=" and ".join(wanted), following=(), detector=None)
    with opened(page, where, visit.visitor, job) as library:
        hits = library.search(words or "", _count(page, k), per="file")
        return replace(_showing(page, begun, library, hits, None), left_out=hits.left_out)


def trained(page: Page, visit: Visit, lesson: Lesson, k: int, *, job: Job | None = None) -> Lesson:
    """A detector by what is marked, its ranking, and what should be marked next."""
    if not lesson.yes:
        raise Told("error.no_marks")
    job = job or Job()
    clap = page.desk.ears(job)
    job.tell("teach.doing", 0.0)
    if lesson.maker != clap.fingerprint:
        raise Told("error.other_lesson")
    with opened(page, lesson.where, visit.visitor, job) as library:
        yes, no = (library.vectors([lesson.known[token].hit for token in some]) for some in (lesson.yes, lesson.no))
        drawn = counter_examples(library, yes)
        job.check()
        detector = fit(clap, lesson.words, yes, no, text=lesson.words, drawn=drawn)
        job.tell("teach.ranking", 0.7)
        job.check()
        return _following(page, replace(lesson, detector=detector), library, _count(page, k))


def _following(page: Page, lesson: Lesson, library: Library, k: int) -> Lesson:
    """With the detector's ranking, and what it is least sure of."""
    detector = lesson.detector
    assert detector is not None
    paths = [lesson.known[token].hit.path for token in (*lesson.yes, *lesson.no)]
    following = suggest(library, detector, NEXT, marked=paths)
    hits = library.search(detector, k, per="file")
    ranked = replace(_showing(page, lesson, library, hits, True), left_out=hits.left_out)
    both = _showing(page, ranked, library, following, True)
    return replace(both, found=ranked.found, following=both.found)


def _showing(page: Page, lesson: Lesson, library: Library, hits: list[Hit], taught: bool | None) -> Lesson:
    """With hits as what is found; a window that was shown before keeps its token."""
    tokens = {(one.hit.path, one.hit.start): token for token, one in lesson.known.items()}
    versions = library.versions({hit.path for hit in hits})
    shelf, served = page.desk.shelf, page.desk.served
    made = []
    for hit in hits:
        version = versions.get(hit.path)
        token = tokens.get((hit.path, hit.start)) or shelf.show_indexed(hit.path, version, hit.start, hit.end)
        sure = hit.confidence if taught else None
        made.append(Shown(token, served.name_of(hit.path), hit, sure, served.withhold_reason(hit.path, version)))
    known = {**lesson.known, **{one.token: one for one in made}}
    held = {*lesson.yes, *lesson.no, *(one.token for one in made)}
    spare = [token for token in known if token not in held]
    for token in spare[: max(0, len(known) - KNOWN)]:
        del known[token]
    return replace(lesson, known=known, found=tuple(made))


def _count(page: Page, k: int) -> int:
    return max(1, min(k, page.desk.settings.results))


def named(lesson: Lesson, name: str | None) -> Detector:
    """The detector by the name that it is given, by default its words.

    Raises
    ------
    Told
        It cannot be a file's.
    """
    assert lesson.detector is not None
    called = " ".join((name or lesson.words).split())
    try:
        detector_path(called)
    except UsageError:
        raise Told("error.name") from None
    return replace(lesson.detector, name=called)


def keep(page: Page, lesson: Lesson | None, name: str | None) -> tuple[str, int]:
    """Put the detector among those of whoever runs this, its examples beside it → its name, how many examples could not be kept.

    Raises
    ------
    Told
        There is none, it may not be kept here, or its name cannot be a file's.
    """
    if not page.desk.settings.detectors or lesson is None or lesson.detector is None:
        raise Told("error.not_taught")
    sources = [
        ExampleSource(
            partial(page.desk.shelf.open, token), heard, lesson.known[token].hit.start, lesson.known[token].hit.end
        )
        for heard, tokens in ((True, lesson.yes), (False, lesson.no))
        for token in tokens
    ]
    taught = Taught(named(lesson, name), examples=sources)
    return taught.save().stem, len(taught.failed)
