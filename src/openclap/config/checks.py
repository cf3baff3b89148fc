"""The one check that every part of a configuration makes of its numbers."""

from __future__ import annotations

from openclap.errors import UsageError

__all__ = ["check_positive"]


def check_positive(where: str, **numbers: float) -> None:
    """Refuse a number that is not above 0; `where` names the part of the model it belongs to."""
    for name, value in numbers.items():
        if not value > 0:
            raise UsageError(f"{name} of {where} is {value!r}; it must be above 0")
