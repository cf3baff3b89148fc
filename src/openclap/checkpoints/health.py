"""Is this checkpoint sound? What a broken copy shows before anybody searches with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from openclap.checkpoints.presets import KNOWN_BAD
from openclap.models.clap import CLAPModel

__all__ = ["Finding", "examine_model"]

UNRELATED = (
    "a dog barking",
    "heavy rain",
    "a violin solo",
    "an engine starting",
    "people laughing",
    "glass breaking",
)
COLLAPSED = 0.99  # cosine; the broken copy of larger_clap_music has 0.9993 between unrelated texts


@dataclass(frozen=True)
class Finding:
    """Something wrong with a checkpoint, and what to do about it."""

    what: str
    advice: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def examine_model(model: CLAPModel, names: set[str], encode: Callable[[Sequence[str]], Tensor] | None) -> list[Finding]:
    """All that is wrong, the worst first; nothing for a sound model."""
    broken = [
        key
        for key, value in model.state_dict().items()
        if value.is_floating_point() and not bool(torch.isfinite(value).all())
    ]
    if broken:
        what = f"{len(broken)} weights hold NaN or infinite values ({', '.join(broken[:3])}{', …' if len(broken) > 3 else ''})"
        return [Finding(what, "download it again or use another checkpoint")]
    findings = [
        Finding("this copy is known to be broken", f"use {KNOWN_BAD[name]} instead")
        for name in sorted(names & set(KNOWN_BAD))
    ]
    if encode is not None and not findings:
        vectors = encode(UNRELATED)
        cosines = (vectors @ vectors.T)[~torch.eye(len(UNRELATED), dtype=torch.bool)]
        if float(cosines.min()) > COLLAPSED:
            what = f"unrelated texts get nearly the same vector (cosine {float(cosines.min()):.4f})"
            findings.append(Finding(what, "its text tower is broken or untrained: use another copy of the model"))
    return findings
