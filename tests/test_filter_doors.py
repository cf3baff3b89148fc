"""A filter of search can be asked for at every door: Python, the command line and the service know the same ones."""

from __future__ import annotations

from dataclasses import fields

from openclap.cli.no_results import OPTIONS
from openclap.library.filtering import FIELDS, FilterOptions
from openclap.serve.schemas import SearchRequest
from openclap.store import SearchFilter

INNER = {"outside"}  # folders that are out of reach: what a library leaves out by itself


def test_every_door_knows_every_filter() -> None:
    wanted = {field.name for field in fields(SearchFilter)} - INNER
    in_python = {FIELDS.get(name, name) for name in FilterOptions.__annotations__}
    in_service = {FIELDS.get(name, name) for name in SearchRequest.model_fields} & wanted
    assert in_python == wanted
    assert in_service == wanted
    assert {FIELDS.get(name, name) for name in OPTIONS} | {"within"} == wanted
