"""Warn of sounds that could not be used, and refuse to go on where there are too many of them.

Whoever reads sounds keeps a `Failure` for each of these; reports list them, and runs name them in one sentence.
"""

from __future__ import annotations

from collections.abc import Collection

from openclap.errors import SoundWarning, TrainingError
from openclap.results import Failure
from openclap.warn_caller import warn_caller

__all__ = ["NAMED", "refuse_too_many_skipped", "refuse_too_many_unreadable", "warn_of_skipped"]

NAMED, MANY = 5, 20  # how many an error names at most, and a warning


def refuse_too_many_skipped(
    skipped: Collection[Failure], count: int, most: float, sentence: str, advice: str = "leave them out"
) -> None:
    """Raise an error where more than the share `most` of `count` was left out.

    Parameters
    ----------
    sentence
        The sentence of the error up to the names.
    advice
        What helps, apart from raising `most_broken`.
    """
    if len(skipped) > most * count:
        raise TrainingError(
            f"{sentence}: {_name_skipped(list(skipped)[:NAMED])}; {advice}, or raise most_broken in a configuration"
            " (YAML)"
        )


def refuse_too_many_unreadable(skipped: Collection[Failure], count: int, most: float, what: str = "sounds") -> None:
    """Raise an error where more than the share `most` of `count` sounds cannot be read."""
    refuse_too_many_skipped(skipped, count, most, f"{len(skipped)} of {count} {what} cannot be read")


def warn_of_skipped(skipped: Collection[Failure], what: str = "files") -> None:
    """Warn of what was left out, if anything was, and name the first of them."""
    if skipped:
        more = len(skipped) - MANY
        named = _name_skipped(list(skipped)[:MANY]) + (f"; and {more} more" if more > 0 else "")
        sentence = f"1 {_singular(what)} is" if len(skipped) == 1 else f"{len(skipped)} {what} are"
        warn_caller(f"{sentence} left out: {named}", SoundWarning)


def _singular(what: str) -> str:
    """Turn a plural into a singular: `sounds that are not there` → `sound that is not there`."""
    one = {"sounds": "sound", "files": "file", "entries": "entry", "are": "is", "have": "has"}
    return " ".join(one.get(word, word) for word in what.split())


def _name_skipped(skipped: Collection[Failure]) -> str:
    return "; ".join(f"{failure.path}: {failure.error}" for failure in skipped)
