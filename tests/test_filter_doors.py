"""Python, the command line and the service know the same filters of search, and give as many results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from inspect import signature
from typing import Any

from typer.main import get_command

from openclap.cli.app import app
from openclap.cli.no_results import OPTIONS
from openclap.library import Library, moments_in
from openclap.library.filtering import FIELDS, FilterOptions
from openclap.serve.schemas import MomentsRequest, SearchRequest
from openclap.store import SearchFilter

INNER = {"outside"}  # folders that are out of reach: what a library leaves out by itself
DOORS: dict[str, Callable[..., Any]] = {
    "search": Library.search,
    "recommend": Library.recommend,
    "moments": moments_in,
}  # verb: function


def test_every_door_knows_every_filter() -> None:
    wanted = {field.name for field in fields(SearchFilter)} - INNER
    in_python = {FIELDS.get(name, name) for name in FilterOptions.__annotations__}
    in_service = {FIELDS.get(name, name) for name in SearchRequest.model_fields} & wanted
    assert in_python == wanted
    assert in_service == wanted
    assert {FIELDS.get(name, name) for name in OPTIONS} | {"within"} == wanted


def test_every_door_gives_as_many_results_where_nobody_says_how_many() -> None:
    """The page has sliders, with numbers of their own."""
    verbs: Any = get_command(app)
    asked = {
        name: {p.name: p.default for p in verb.params}["k"] for name, verb in verbs.commands.items() if name in DOORS
    }
    assert asked == {name: signature(function).parameters["k"].default for name, function in DOORS.items()}
    assert SearchRequest.model_fields["k"].default == asked["search"]
    assert MomentsRequest.model_fields["k"].default == asked["moments"]
