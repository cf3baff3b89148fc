"""A filter of search goes by one name at every door: Python, the command line, the service and what says why nothing was found."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openclap import SearchFilter
from openclap.cli.no_results import why_nothing
from openclap.cli.options import flag_of
from openclap.errors import UsageError
from openclap.library.filtering import resolve_filter
from openclap.options import OLD_FILTER_NAMES, option_fields
from openclap.serve.inputs import _check_fields
from openclap.serve.schemas import SearchRequest

VALUES: dict[str, Any] = {
    "within": (os.path.abspath("a"),),
    "path": "*.wav",
    "min_seconds": 1.0,
    "max_seconds": 2.0,
    "after": 3.0,
    "before": 4.0,
    "tags": ("wet",),
    "collections": ("trailer",),
}
# folders that are out of reach, which a library leaves out by itself; words, which no door asks for yet
INNER = {"outside", "formats", "words", "facts"}


class Held:
    """A library that holds one file."""

    def paths(self, within: Any = None) -> list[str]:
        return ["a.wav"]

    def stats(self) -> dict[str, int]:
        return {"files": 1}


@pytest.mark.parametrize("name", VALUES)
def test_every_door_takes_a_filter_by_its_name(name: str) -> None:
    wanted = replace(SearchFilter(), **{name: VALUES[name]})
    given: Any = {name: VALUES[name]}
    assert resolve_filter(None, given) is not None
    assert resolve_filter(wanted, {}) == resolve_filter(None, given)
    asked = SearchRequest.model_validate({"query": "rain", **given}).take(SearchFilter)
    assert resolve_filter(asked, {}) == resolve_filter(wanted, {})
    if name != "within":  # paths on the command line
        said = why_nothing(Held(), wanted)  # type: ignore[arg-type]
        assert flag_of(name, option_fields(SearchFilter)[name][1]) in said


@pytest.mark.parametrize(("old", "name"), OLD_FILTER_NAMES.items())
def test_old_names_are_still_taken(old: str, name: str) -> None:
    assert resolve_filter(None, {old: VALUES[name]}) == resolve_filter(None, {name: VALUES[name]})  # type: ignore[misc]
    assert _check_fields({"query": "rain", old: VALUES[name]}, SearchRequest) == {"query": "rain", name: VALUES[name]}


def test_a_filter_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="'shape' is no option here; there are within, path, min_seconds"):
        resolve_filter(None, {"shape": 1})  # type: ignore[typeddict-unknown-key]


@pytest.mark.parametrize(
    ("name", "value"), [("after", "yesterday"), ("min_seconds", "x"), ("max_seconds", float("nan"))]
)
def test_a_filter_that_is_no_number_is_a_fault(name: str, value: Any) -> None:
    """A date as words was a TypeError of the store, and "x" or NaN seconds found nothing without a word."""
    with pytest.raises(UsageError, match=f"^{name} is {value!r}; it must be a number of seconds$"):
        resolve_filter(None, {name: value})  # type: ignore[misc]


def test_no_name_of_a_filter_is_new() -> None:
    assert set(VALUES) | INNER == set(vars(SearchFilter()))
    assert Path(VALUES["within"][0]).is_absolute()
