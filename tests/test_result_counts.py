"""Every door gives as many results where nobody says how many; the page has sliders, with numbers of their own."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest
from typer.main import get_command

from openclap.cli.app import app
from openclap.library import Library, moments_in
from openclap.serve.schemas import MomentsRequest, Request, SearchRequest


@pytest.mark.parametrize(
    ("verb", "function", "body"),
    [
        ("search", Library.search, SearchRequest),
        ("recommend", Library.recommend, None),
        ("moments", moments_in, MomentsRequest),
    ],
)
def test_every_door_gives_as_many(verb: str, function: Callable[..., Any], body: type[Request] | None) -> None:
    commands: Any = get_command(app)
    (k,) = (parameter.default for parameter in commands.commands[verb].params if parameter.name == "k")
    assert k == signature(function).parameters["k"].default
    assert body is None or k == body.model_fields["k"].default
