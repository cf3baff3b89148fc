"""What a tower can give, and the error of one that does not give it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from openclap.errors import UsageError

__all__ = ["TowerOutput", "no_output"]

# unit rows; the projection before it is normalised; what the projection is made of; features of each step of time
TowerOutput: TypeAlias = Literal["unit", "projected", "pooled", "frames"]


def no_output(kind: str, what: str, output: str) -> UsageError:
    """The error of a tower that does not give what was asked for."""
    return UsageError(f"the {what} tower of this model ({kind}) gives no {output}; choose another output")
