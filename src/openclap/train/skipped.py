"""What could not be used: named, counted, and an error where it is more than may be. Knows nothing of how it was read.

Whoever reads keeps a `Failure` for each of these; reports show them, runs tell them in one sentence here.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection

from openclap.errors import SoundWarning, TrainingError
from openclap.results import Failure

__all__ = ["NAMED", "refuse_too_many_skipped", "refuse_too_many_unreadable", "warn_of_skipped"]

NAMED, MANY = 5, 20  # of those that an error names, and a warning


def refuse_too_many_skipped(
    left_out: Collection[Failure], count: int, most: float, said: str, do: str = "leave them out"
) -> None:
    """More than the share `most` of `count` is an error.

    Parameters
    ----------
    said
        The sentence up to the names.
    do
        What helps, beside raising `most_broken`.
    """
    if len(left_out) > most * count:
        raise TrainingError(
            f"{said}: {_name_skipped(list(left_out)[:NAMED])}; {do}, or raise most_broken in a configuration (YAML)"
        )


def refuse_too_many_unreadable(left_out: Collection[Failure], count: int, most: float, what: str = "sounds") -> None:
    """More than the share `most` of `count` sounds that cannot be read is an error."""
    refuse_too_many_skipped(left_out, count, most, f"{len(left_out)} of {count} {what} cannot be read")


def warn_of_skipped(left_out: Collection[Failure], what: str = "files") -> None:
    """Name them, where there are any; of very many the first."""
    if left_out:
        more = len(left_out) - MANY
        named = _name_skipped(list(left_out)[:MANY]) + (f"; and {more} more" if more > 0 else "")
        said = f"1 {_singular(what)} is" if len(left_out) == 1 else f"{len(left_out)} {what} are"
        warnings.warn(f"{said} left out: {named}", SoundWarning, stacklevel=3)


def _singular(what: str) -> str:
    """`sounds that are not there or have neither` → sound that is not there or has neither."""
    one = {"sounds": "sound", "files": "file", "entries": "entry", "are": "is", "have": "has"}
    return " ".join(one.get(word, word) for word in what.split())


def _name_skipped(left_out: Collection[Failure]) -> str:
    return "; ".join(f"{failure.path}: {failure.error}" for failure in left_out)
