"""Every door of describing, watching and searching has the options that `openclap.options` declares, and no word of its own.

Each door had its own numbers and its own sentences, and `CLAP.describe` had neither `alike` nor `language`.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import typer.main
from typer.testing import CliRunner

import openclap
from openclap import CLAP, SearchFilter
from openclap.catalogue import timelines_to_folder
from openclap.cli.app import app
from openclap.cli.options import add_verbs, flag_of
from openclap.describe import Describer, timeline
from openclap.errors import UsageError
from openclap.library.filtering import FilterKeywords
from openclap.options import (
    OLD_FILTER_NAMES,
    DescribeKeywords,
    DescribeOptions,
    Rules,
    TimelineKeywords,
    TimelineOptions,
    WatchKeywords,
    WatchOptions,
    make_options,
    option_fields,
)
from openclap.serve.schemas import DescribeRequest, SearchRequest, WatchRequest
from openclap.watch import watch

KINDS = {
    "describe": (DescribeOptions, TimelineOptions),
    "watch": (Rules, WatchOptions),
    "search": (SearchFilter,),
    "moments": (SearchFilter,),
    "recommend": (SearchFilter,),
    "journey": (SearchFilter,),
}
REQUESTS = {DescribeRequest: "describe", WatchRequest: "watch", SearchRequest: "search"}
# asked for by each door in its own way, or by none yet: words and facts
ELSEWHERE = {"labels", "captions", "within", "outside", "rules", "words", "facts"}
SOUND = (np.zeros(32_000, np.float32), 32_000)


def declared(kinds: tuple[type, ...]) -> list[tuple[str, Any, Any]]:
    """Name, what is declared of it, and default of every option of some classes."""
    found = [(name, option, getattr(kind, name)) for kind in kinds for name, (_, option) in option_fields(kind).items()]
    assert len(found) >= 3
    assert {one.name for kind in kinds for one in fields(kind)} - {name for name, *_ in found} <= ELSEWHERE
    return found


@pytest.mark.parametrize("verb", KINDS)
def test_the_command_line_has_every_option(verb: str) -> None:
    there = {one.name: one for one in typer.main.get_command(app).commands[verb].params}  # type: ignore[attr-defined]
    for name, option, default in declared(KINDS[verb]):
        assert flag_of(name, option) in there[name].opts
        assert there[name].help.startswith(option.help)
        assert there[name].rich_help_panel == (option.panel or None)
        assert (there[name].default or None) == (default or None)


@pytest.mark.parametrize("request_model", REQUESTS)
def test_the_service_has_every_option(request_model: Any) -> None:
    """Where the service limits one further, it says so in `serve.schemas`."""
    for name, option, default in declared(KINDS[REQUESTS[request_model]]):
        there = request_model.model_fields[name]
        assert (there.default or None) == (default or None)
        if name not in ("tags", "collections"):
            assert there.description.startswith(option.help)
        schema = request_model.model_json_schema()["properties"][name]
        (number,) = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
        assert option.min is None or number["minimum"] >= option.min
        assert option.max is None or number["maximum"] <= option.max


@pytest.mark.parametrize(
    ("keywords", "kind", "apart"),
    [
        (DescribeKeywords, DescribeOptions, {"labels"}),  # the second argument of `CLAP.describe`
        (TimelineKeywords, TimelineOptions, set()),
        (WatchKeywords, WatchOptions, set()),
        (FilterKeywords, SearchFilter, {"outside", "words", "facts"}),  # that no door asks for
    ],
)
def test_type_checkers_know_every_keyword(keywords: Any, kind: type, apart: set[str]) -> None:
    names = set(keywords.__annotations__)
    assert {OLD_FILTER_NAMES.get(name, name) for name in names} == {one.name for one in fields(kind)} - apart
    assert names >= {one.name for one in fields(kind)} - apart
    if kind is not SearchFilter:  # there one path may stand for a list of them
        given, wanted = get_type_hints(keywords), get_type_hints(kind)
        wider = {"language": str, "rules": Rules | None}
        assert given == {name: wider.get(name, wanted[name]) for name in given}


@pytest.mark.parametrize("door", [CLAP.describe, Describer, timeline, timelines_to_folder, watch])
def test_python_repeats_no_option(door: Any) -> None:
    parameters = inspect.signature(door).parameters.values()
    assert [one.name for one in parameters if one.kind is one.VAR_KEYWORD] == ["options"]
    every = {name for kinds in KINDS.values() for name, *_ in declared(kinds)}
    assert not {one.name for one in parameters} & every


def test_an_option_that_is_not_there_is_named(tmp_path: Path) -> None:
    """It was a TypeError of whichever function lay deepest."""
    clap = CLAP.from_pretrained("mini")
    for ask in (
        lambda: clap.describe(SOUND, topp=3),  # type: ignore[call-arg]
        lambda: Describer(clap, ["rain"], topp=3),  # type: ignore[call-arg]
        lambda: timeline(Describer(clap, ["rain"]), SOUND, topp=3),  # type: ignore[call-arg]
        lambda: watch(tmp_path, ["rain"], model=clap, topp=3),  # type: ignore[call-arg]
        lambda: make_options(SearchFilter, {"topp": 3}),
    ):
        with pytest.raises(UsageError, match=r"^'topp' is no option here; there are \w+(, \w+)+$"):
            ask()


@pytest.mark.parametrize(
    ("kind", "wrong", "said"),
    [
        (DescribeOptions, {"threshold": 1.5}, "threshold is 1.5; give a number, 0 to 1"),
        (DescribeOptions, {"top": 0}, "top is 0; give a number, 1 or more"),
        (DescribeOptions, {"language": "fr"}, "language is 'fr'; choose en or zh"),
        (TimelineOptions, {"change": float("nan")}, "change is nan; give a number, 0 or more"),
        (TimelineOptions, {"change": float("inf")}, "change is inf; give a number, 0 or more"),
        (WatchOptions, {"warmup": 1e6}, "warmup is 1000000.0; give a number, 0 to 86400"),
        (WatchOptions, {"when": "never"}, "when is 'never'; choose ended, began or both"),
        (Rules, {"cooldown": -1.0}, "cooldown is -1.0; give a number, 0 or more"),
    ],
)
def test_a_value_out_of_range_is_named(kind: Any, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        kind(**wrong)
    assert str(refused.value) == said


def test_no_verb_writes_an_option_again() -> None:
    """In cli/ there is no flag of a name that is declared in `openclap.options` for that verb."""
    folder = Path(openclap.__file__).parent / "cli"
    for verb, kinds in KINDS.items():
        file = folder / f"{'search' if verb == 'moments' else verb}.py"
        (function,) = (
            node for node in ast.parse(file.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef) and node.name == verb
        )  # fmt: skip
        own = {one.arg for one in (*function.args.args, *function.args.kwonlyargs)}
        assert not own & ({name for name, *_ in declared(kinds)} - {"window", "hop"})


def test_a_parameter_of_a_verb_is_not_taken_for_an_option_of_the_same_name() -> None:
    """--in of `recommend` and --labels of `describe` went into the options, where fields have these names, and were lost."""
    asked: dict[str, Any] = {}

    def verb(within: list[str] | None = None, *, filter: SearchFilter) -> None:
        asked.update(within=within, filter=filter)

    group = typer.Typer()
    add_verbs(group, {verb: ("openclap verb",)})
    done = CliRunner().invoke(group, ["--within", "a", "--tag", "b", "--after", "2026-05-31T00:00+00:00"])
    assert done.exit_code == 0, done.output
    assert asked == {"within": ["a"], "filter": SearchFilter(tags=("b",), after=1780185600.0)}
