"""Why a search found nothing, in one sentence: where it looked, what is there, and what to do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from openclap.cli.options import flag_of
from openclap.cli.show import short
from openclap.library import Library
from openclap.library.scan import absolute_path
from openclap.library.several import SeveralLibraries
from openclap.options import SearchFilter, option_fields
from openclap.plurals import count_noun

__all__ = ["why_nothing"]


def why_nothing(library: Library | SeveralLibraries, filter: SearchFilter, *, by: str = "sound") -> str:
    """Say why a search found nothing in a library that holds some sounds; `filter` with what its query filters by."""
    given = list(dict.fromkeys(map(absolute_path, filter.within or ())))
    others = [
        flag_of(name, option)
        for name, (_, option) in option_fields(SearchFilter).items()
        if getattr(filter, name) not in (None, ())
    ]
    here = sum(1 for _ in library.paths(within=given)) if given else library.stats()["files"]
    others += [f'"{words}"' for words in filter.words] + [f"{name}:{value}" for name, value in filter.facts]
    where = " or ".join(short(path) for path in given)
    if not here:
        return f"the library holds no sound in {where}{_around(library, given)}; {_advice(given)}{_in_quotes(filter)}"
    held = f"{count_noun(here, 'sound')} in {where}" if given else f"{count_noun(here, 'sound')} of the library"
    if others:
        subject = f"the {held} does not pass" if here == 1 else f"none of the {held} passes"
        return f"{subject} {' and '.join(others)}; ask for less, or leave {'it' if len(others) == 1 else 'one'} out"
    if by == "names":
        return f"no word of it is in the name of any of the {held}; search by what is heard, without --by names"
    if not any(recording.heard.any() for recording in library.recordings(within=given or None)):
        return (
            f"nothing is heard in the {held}, so they are found by their names alone; add more:  openclap index FOLDER"
        )
    return f"there is no other sound than what was given among the {held}; add more:  openclap index FOLDER"


def _around(library: Library | SeveralLibraries, given: Sequence[str]) -> str:
    """For a single path: how many sounds its nearest parent folder with some holds, and whether it exists."""
    if len(given) != 1:
        return ""
    gone = "" if os.path.lexists(given[0]) else ", which is not there"
    for folder in Path(given[0]).parents[:-1]:
        count = sum(1 for _ in library.paths(within=folder))
        if count:
            return f"{gone}, but {count_noun(count, 'sound')} in {short(str(folder))}"
    return gone


def _in_quotes(filter: SearchFilter) -> str:
    """What else may have been meant by paths that are words alone: `search creaky door`."""
    words = [path for path in filter.within or () if path.isalpha() and not os.path.lexists(path)]
    return "; several words to look for stand in quotes" if words else ""


def _advice(given: Sequence[str]) -> str:
    if all(map(os.path.lexists, given)):
        return "give a folder that holds some, or add them:  openclap index FOLDER"
    return "check the path, or leave it out to search the whole library"
