"""What can be asked of describing, timelines, watching and searching: a class each, which every door takes them from.

    DescribeOptions ─┐          ┌─ Python        keywords: `clap.describe(sound, top=3)` makes `DescribeOptions(top=3)`
    TimelineOptions ─┤ `Option` ├─ command line  a flag for each field (cli/options.py)
    WatchOptions    ─┤          └─ service       a field of a request for each (serve/schemas.py)
    SearchFilter    ─┘

A field's name, type, default, range, choices and help stand here and nowhere else. A field without an `Option` is asked
for by each door in its own way: labels are a list in Python, words with commas or a file on the command line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Annotated, Any, Literal, TypedDict, TypeVar, get_args, get_origin, get_type_hints

from openclap.errors import UsageError

__all__ = [
    "OLD_FILTER_NAMES",
    "DescribeKeywords",
    "DescribeOptions",
    "Option",
    "Rules",
    "SearchFilter",
    "TimelineKeywords",
    "TimelineOptions",
    "WatchKeywords",
    "WatchOptions",
    "make_options",
    "option_fields",
]

T = TypeVar("T")
TUNING, FILTERS = "Tuning", "Filters"  # panels of --help, beside the first one


@dataclass(frozen=True)
class Option:
    """What the doors need to know of a field, beside its name, type and default.

    `min` and `max` are the ends of its range, which belong to it. On the command line it is called `flag` where that
    is not the field's name, and stands in a `panel` of --help. A `time` is in seconds since 1970.
    """

    help: str
    min: float | None = None
    max: float | None = None
    flag: str = ""
    panel: str = ""
    time: bool = False


def option_fields(kind: type) -> dict[str, tuple[Any, Option]]:
    """The fields of a class that are options: their types and what is declared of them, by name."""
    hints = get_type_hints(kind, include_extras=True)
    noted = {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Annotated}
    return {name: (parts[0], parts[1]) for name, parts in noted.items() if isinstance(parts[1], Option)}


def make_options(kind: type[T], given: Mapping[str, object]) -> T:
    """Make options of keywords.

    Raises
    ------
    UsageError
        There is no such option, or a value is out of its range.
    """
    known = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            raise UsageError(f"{name!r} is no option here; there are {', '.join(known)}")
    return kind(**given)


class _Checked:
    """Options whose values are in their range, and among their choices."""

    def __post_init__(self) -> None:
        for name, (kind, option) in option_fields(type(self)).items():
            value = getattr(self, name)
            choices = get_args(kind) if get_origin(kind) is Literal else ()
            if choices and value not in choices:
                *first, last = choices
                raise UsageError(f"{name} is {value!r}; choose {', '.join(first)} or {last}")
            low, high = option.min, math.inf if option.max is None else option.max
            if low is not None and value is not None and not (low <= value <= high and value < math.inf):
                wanted = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
                raise UsageError(f"{name} is {value!r}; give a number, {wanted}")


@dataclass(frozen=True)
class DescribeOptions(_Checked):
    """How a sound is described.

    `labels` are what may be heard, any number of them; None: AudioSet's 527. `captions` are sentences of which the
    nearest are told too. The other fields say themselves what they are.
    """

    labels: Sequence[str] | None = None
    threshold: Annotated[float | None, Option("Least confidence of a tag; left out, the model's own", min=0, max=1)] = (
        None
    )
    top: Annotated[int, Option("Tags at most", min=1)] = 5
    alike: Annotated[float, Option("Cosine from which two labels are one family; above 1 keeps all", panel=TUNING)] = (
        0.5
    )
    captions: Sequence[str] = ()
    nearest: Annotated[int, Option("How many of the captions", min=1)] = 3
    language: Annotated[
        Literal["en", "zh"], Option("Of the sentences, and of AudioSet's labels; your own stay as they are")
    ] = "en"


@dataclass(frozen=True)
class TimelineOptions(_Checked):
    """How a recording is described span by span."""

    window: Annotated[float, Option("Seconds heard at once, of a timeline", panel=TUNING)] = 2.0
    hop: Annotated[float, Option("Seconds between two windows, of a timeline", panel=TUNING)] = 0.5
    # in nats: how much more likely another label must be before a new span begins
    change: Annotated[float, Option("What a new span costs: more, fewer spans", min=0, panel=TUNING)] = 4.0


@dataclass(frozen=True)
class Rules(_Checked):
    """When an event begins and ends: confidences `on` and `off` in [0, 1]; seconds."""

    on: Annotated[float, Option("An event begins at this confidence", panel=TUNING)] = 0.7
    off: Annotated[float, Option("and ends below this one", panel=TUNING)] = 0.2
    least: Annotated[float, Option("Seconds that it must be heard for", min=0, flag="min-duration", panel=TUNING)] = 0.0
    cooldown: Annotated[float, Option("Seconds before the same alert is told again", min=0, panel=TUNING)] = 5.0
    longest: Annotated[float, Option("Seconds after which what goes on is told, and anew", min=0, panel=TUNING)] = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.on <= 1 or not 0 <= self.off <= self.on:
            raise UsageError(
                f"on is {self.on!r} and off {self.off!r}; they are confidences, 0 <= off <= on <= 1, and on is above 0"
            )
        super().__post_init__()
        if self.longest <= self.least:
            raise UsageError(
                f"longest is {self.longest:g} s and the least duration {self.least:g} s; an event must be able to last"
            )


@dataclass(frozen=True)
class WatchOptions(_Checked):
    """How a source is watched. A recording that ends within the warm-up is judged by what there is of it."""

    rules: Rules = field(default_factory=Rules)
    window: Annotated[float, Option("Seconds heard at once", panel=TUNING)] = 2.0
    hop: Annotated[float, Option("Seconds between two windows", panel=TUNING)] = 1.0
    warmup: Annotated[float, Option("Seconds that are only learnt from", min=0, max=86_400, panel=TUNING)] = 30.0
    unusual: Annotated[bool, Option("Tell of anything unusual here, too, without words")] = False
    when: Annotated[
        Literal["ended", "began", "both"],
        Option("Tell an event when it ended (all is known), began (at once), or both", flag="tell"),
    ] = "ended"


@dataclass(frozen=True)
class SearchFilter:
    """Which files of a library a search may find; a field that is None or empty allows all.

    `within` are files, and folders that the files must lie in; absolute paths where a store is asked. `outside` are
    files and folders that are left out. In a pattern `*` is anything, `?` one character, `[…]` one of these; see
    `openclap.store.path_patterns`. Paths, patterns and tags also fit other spellings of the same text: é as one sign,
    or as e with an accent.

    Files must have all `tags` and be in all `collections`; stores know tags alone.

    `formats` are endings of names in small letters, such as wav, of which a file must have one.

    All `words` must be in the texts of the file; several words in one string must stand together. All `facts` must fit:
    names of `openclap.file_facts.ASKED` with a word or several that stand together, or for `bpm` a number or a range,
    as "120-128". Case and accents of both do not matter; a file whose texts were never read has none.
    """

    within: tuple[str, ...] | None = None
    path: Annotated[str | None, Option('A pattern for the path: "*.wav", "*/rain/*"', panel=FILTERS)] = None
    min_seconds: Annotated[float | None, Option("Files of this length or more, seconds", panel=FILTERS)] = None
    max_seconds: Annotated[float | None, Option("Files of this length or less, seconds", panel=FILTERS)] = None
    after: Annotated[float | None, Option("Files last changed since", panel=FILTERS, time=True)] = None
    before: Annotated[float | None, Option("Files last changed before", panel=FILTERS, time=True)] = None
    tags: Annotated[
        tuple[str, ...],
        Option("A word that was put on it; may be repeated, then all of them", flag="tag", panel=FILTERS),
    ] = ()
    collections: Annotated[
        tuple[str, ...], Option("In the collection of this name; may be repeated", flag="collection", panel=FILTERS)
    ] = ()
    formats: Annotated[
        tuple[str, ...],
        Option("Ending of the name, as wav; may be repeated, then one of them", flag="format", panel=FILTERS),
    ] = ()
    outside: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name in ("min_seconds", "max_seconds", "after", "before"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, Real) or math.isnan(value)):  # NaN would let no file pass
                raise UsageError(f"{name} is {value!r}; it must be a number of seconds")
            if value is not None and value < 0 and name.endswith("_seconds"):
                raise UsageError(f"{name} is {value:g}; give 0 or more")


# names that fields of a filter had as keywords and in requests, and still go by
OLD_FILTER_NAMES = {"glob": "path", "shortest": "min_seconds", "longest": "max_seconds"}


# the same names as keywords, for type checkers: these cannot take them from a class of options


class DescribeKeywords(TypedDict, total=False):
    """Fields of `DescribeOptions` but `labels`."""

    threshold: float | None
    top: int
    alike: float
    captions: Sequence[str]
    nearest: int
    language: str


class TimelineKeywords(TypedDict, total=False):
    """Fields of `TimelineOptions`."""

    window: float
    hop: float
    change: float


class WatchKeywords(TypedDict, total=False):
    """Fields of `WatchOptions`."""

    rules: Rules | None
    window: float
    hop: float
    warmup: float
    unusual: bool
    when: Literal["ended", "began", "both"]
