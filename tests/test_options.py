"""Every door of describing and watching has the same options with the same defaults.

`CLAP.describe` had neither `alike` nor `language`, and each door its own numbers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any

import pytest

from openclap import CLAP
from openclap.catalogue import timelines_to_folder
from openclap.cli import describe as describe_verb
from openclap.cli import watch as watch_verb
from openclap.describe import Describer, timeline
from openclap.options import DescribeOptions, Rules, TimelineOptions, WatchOptions
from openclap.serve.schemas import DescribeRequest, WatchRequest
from openclap.watch import watch


def defaults(*options: Any) -> dict[str, Any]:
    """Fields of dataclasses and their defaults."""
    given = [one for kind in options for one in fields(kind)]
    return {one.name: one.default if one.default is not MISSING else None for one in given if one.name != "rules"}


def arguments(function: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of a function and their defaults."""
    return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}


def members(schema: Any) -> dict[str, Any]:
    """The fields of a request and their defaults."""
    return {name: member.default for name, member in schema.model_fields.items()}


@pytest.mark.parametrize(
    ("door", "wanted"),
    [
        (arguments(CLAP.describe), defaults(DescribeOptions)),
        (arguments(Describer), defaults(DescribeOptions)),
        (arguments(timeline), defaults(TimelineOptions)),
        (arguments(describe_verb.describe), defaults(DescribeOptions, TimelineOptions)),
        (members(DescribeRequest), defaults(DescribeOptions, TimelineOptions)),
        (arguments(watch), defaults(WatchOptions)),
        (arguments(watch_verb.watch), defaults(WatchOptions, Rules)),
        (members(WatchRequest), defaults(WatchOptions, Rules)),
    ],
)
def test_a_door_has_every_option(door: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert len(wanted) >= 3
    assert {name: door.get(name, "missing") or None for name in wanted} == {
        name: value or None for name, value in wanted.items()
    }


def test_a_folder_of_timelines_takes_what_a_timeline_takes() -> None:
    assert set(defaults(TimelineOptions)) <= set(arguments(timelines_to_folder))
