"""The settings of a distillation beside those of every training: the teacher, and the parts of the loss."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from openclap.errors import TrainingError
from openclap.train.rules import check_weights, refuse_unused, require
from openclap.train.settings import Settings

__all__ = ["Distill", "DistillSettings", "check"]


@dataclass(frozen=True)
class Distill:
    """What is learnt of the teacher.

    The four parts of the loss are weights; each part of the loss is 0 where student and teacher agree.
    """

    texts: tuple[str, ...] = ()  # files with one text a line, or CSV with a column caption, phrase or text
    audio: float = 1.0  # 1 - cosine of the clip's two vectors
    text: float = 1.0  # 1 - cosine of a text's two vectors, where the student's text tower trains
    relations: float = 0.0  # KL of which texts a clip is near, and which clips a text: for any widths
    contrast: float = 0.0  # KL of which clips of the teacher a clip is near
    hop_seconds: float | None = None  # between two windows of the teacher; left out, half a crop
    held_out: float = 0.1  # share of the recordings that is not learnt from, to measure with
    copy_text: bool | None = None  # copy the text tower of the teacher; left out, if it has the student's shape
    cache: str | None = None  # folder of the teacher's embeddings; left out, `teacher` in `out`


@dataclass(frozen=True)
class DistillSettings(Settings):
    """One distillation. What `model` leaves out of text, embedding, front_end and fusion is the teacher's."""

    teacher: str = ""  # as CLAP.from_pretrained takes it
    distill: Distill = field(default_factory=Distill)  # what is learnt of the teacher

    def to_dict(self) -> dict[str, Any]:
        """The settings that decide the weights; the folder of the cache does not."""
        data = super().to_dict()
        return {**data, "distill": {k: v for k, v in data["distill"].items() if k != "cache"}}


def check(settings: DistillSettings) -> None:
    """Refuse values that no distillation can have.

    Raises
    ------
    TrainingError
        The message names the setting and what is allowed.
    """
    parts = settings.distill
    if not settings.teacher:
        raise TrainingError(
            "teacher is left out; name the model to learn from, such as laion/clap-htsat-fused or a folder"
        )
    check_weights(parts, ("audio", "text", "relations", "contrast"), "distill")
    rules = {
        "held_out": (0 <= parts.held_out < 1, "from 0 to below 1"),
        "hop_seconds": (parts.hop_seconds is None or parts.hop_seconds > 0, "more than 0, or left out"),
    }
    require(rules, parts, "distill.")
    refuse_unused(settings, ("loss", "families", "own_share"), "distill")
    for name in ("mix_share", "under_share"):
        if getattr(settings.augment, name):
            raise TrainingError(f"augment.{name} must be 0: the teacher has not heard two sounds at once")
