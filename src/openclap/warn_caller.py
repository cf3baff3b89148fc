"""A message → a warning at the code that called openclap, from however deep inside."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn_caller"]


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the nearest line outside openclap, the one that a user can change.

    A fixed `stacklevel` names another line as soon as one more function lies between.
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("openclap."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
