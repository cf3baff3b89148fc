"""Checks of numbers that a caller or a configuration gives."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from openclap.errors import UsageError

__all__ = ["check_count", "check_positive", "positive_number"]


def check_positive(where: str, **numbers: float) -> None:
    """Refuse a number of a configuration that is not above 0; `where` names the part of the model it belongs to."""
    for name, value in numbers.items():
        positive_number(value, f"{name} of {where}")


def positive_number(value: Any, what: str) -> float:
    """A positive number as a float; what is none is refused, called `what` in the message."""
    if getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value <= 0:
        raise UsageError(f"{what} is {value!r}; it must be a positive number")
    return float(value)


def check_count(value: Any, what: str) -> None:
    """Refuse a number that is no whole one from 1 on, called `what` in the message."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise UsageError(f"{what} is {value!r}; it must be a whole number, 1 or more")
