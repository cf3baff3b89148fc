"""Values of JSON or YAML → values of the types of a dataclass's fields, or an error that names the field."""

from __future__ import annotations

import math
import types
from dataclasses import is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["coerce_fields"]

TYPE_NAMES = {int: "whole number", float: "number", str: "text", dict: "table of names and values"}


def coerce_fields(cls: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Convert values to the types of the fields of a dataclass: lists to tuples, whole numbers to int.

    Numbers may be given as strings, as YAML reads 1e-4, and a single value may stand for a tuple of one.

    Raises
    ------
    ValueError
        A value does not fit; the message names the field, the value and what it must be.
    """
    kinds = get_type_hints(cls)
    return {name: _coerce(value, kinds[name], name) for name, value in values.items()}


def _coerce(value: Any, kind: Any, name: str) -> Any:
    """Convert the value of the field `name` to the type `kind`."""
    options = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    if (value is None and type(None) in options) or is_dataclass(value):
        return value
    wanted = next(option for option in options if option is not type(None))
    if get_origin(wanted) is Literal:
        if value not in get_args(wanted):
            raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(str, get_args(wanted)))}")
        return value
    if get_origin(wanted) is tuple:
        many = value if isinstance(value, list | tuple) else [value]
        return tuple(_coerce(item, get_args(wanted)[0], name) for item in many)
    if wanted is Any or is_dataclass(wanted):
        return value
    if wanted in (int, float) and not isinstance(value, bool):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = float("nan")
        if math.isfinite(number) and (wanted is float or number == int(number)):
            return wanted(value if isinstance(value, int) else number)
    plain = get_origin(wanted) or wanted
    if isinstance(value, plain) and plain not in (int, float):
        return value
    raise ValueError(f"{name} is {value!r}; it must be a {TYPE_NAMES.get(plain, plain.__name__)}")
