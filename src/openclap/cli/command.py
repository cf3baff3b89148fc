"""How a verb of the command line is read and shown: types in --help as words, and plain sentences for wrong values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

__all__ = ["VerbCommand"]

METAVARS = {bool: "", str: "TEXT", Path: "PATH", int: "N", float: "NUMBER"}
# what pydantic calls an error → the sentence; {0} is the value, others are pydantic's own facts
SENTENCES = {
    "greater_than_equal": "{0} is too small; give {ge} or more",
    "greater_than": "{0} is too small; give more than {gt}",
    "less_than_equal": "{0} is too large; give {le} or less",
    "less_than": "{0} is too large; give less than {lt}",
    "int_parsing": "{0!r} is no whole number",
    "int_from_float": "{0!r} is no whole number",
    "float_parsing": "{0!r} is no number",
    "finite_number": "{0!r} is no number",
    "literal_error": "{0!r} is none of {expected}",
}


class VerbCommand(TyperCommand):
    """A verb."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for parameter in self.params:
            if isinstance(parameter, TyperOption) and parameter.metavar is None:
                parameter.metavar = _metavar(parameter)
            elif isinstance(parameter, TyperArgument):  # its metavar would be its name; what it is, its help says
                parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign]

    def get_help_option(self, ctx: Any) -> Any:
        """`--help`, which takes no value."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.metavar = ""
        return option

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of the verb."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            found = getattr(error.__cause__, "errors", None)  # pydantic's, which is not imported for this
            if found is not None:
                error.message = _sentence(found()[0])
            raise


def _metavar(option: TyperOption) -> str | None:
    """What stands for an option's value in --help; None where typer shows the choices."""
    kind = option.type_descriptor
    return None if kind.is_choice else METAVARS.get(get_args(kind.annotation)[0] if kind.is_list else kind.annotation)


def _sentence(error: Mapping[str, Any]) -> str:
    known = SENTENCES.get(error["type"])
    if known is None:
        return str(error["msg"]).removeprefix("Value error, ")
    facts = {name: _number(value) for name, value in error.get("ctx", {}).items()}
    return known.format(_number(error["input"]), **facts)


def _number(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value
