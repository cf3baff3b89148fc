"""The settings of a distillation from taggers beside those of every training: taggers, mixtures and the loss."""

from __future__ import annotations

from dataclasses import dataclass, field

from openclap.errors import TrainingError
from openclap.train.rules import check_weights, refuse_unused, require
from openclap.train.settings import Settings

__all__ = ["MixSettings", "TagSettings", "TaggerSettings", "Tags", "check"]


@dataclass(frozen=True)
class TaggerSettings:
    """One teacher: a file that OpenVINO reads, or a function of a Python file."""

    file: str | None = None  # .xml, .onnx, .tflite: waves (S,) or (B, S) → one number a class
    python: str | None = None  # FILE.py:NAME; NAME() gives an object with the members of taggers.Tagger
    classes: str | None = None  # for `file`: a CSV with a column display_name, name or class, in output order
    rate: int = 16_000  # Hz, of `file`
    window_seconds: float | None = None  # for `file` that takes only this length: answers are the mean over windows
    output: int = 0  # which of the outputs of `file`
    logits: bool = False  # whether the output is logits; else probabilities


@dataclass(frozen=True)
class MixSettings:
    """How sounds are varied and mixed, for teachers and student alike.

    A sound may be changed beyond recognition, since the teachers name what they hear in the mixture.
    """

    shares: tuple[float, ...] = (0.5, 0.37, 0.13)  # shares of mixtures with one, two, … sounds
    level_db: tuple[float, float] = (-14.0, 4.0)  # loudness of a further sound beside the first
    speed: float = 0.35  # standard deviation of the octaves by which half of the sounds are faster or slower
    reverse_share: float = 0.06  # share of the sounds played backwards
    again_share: float = 0.5  # share of the sounds much shorter than a crop that are repeated
    filter_share: float = 0.35  # share that is filtered as by another microphone, half of these as in a room, too
    filter_db: float = 4.0  # standard deviation of that filter
    noise_share: float = 0.15  # share to which noise is added
    noise_db: tuple[float, float] = (3.0, 30.0)  # how far the noise is below the sound


@dataclass(frozen=True)
class Tags:
    """What is learnt; weights of the loss, 0 leaves a part out."""

    words: tuple[str, ...] = ()  # CSV files text,class or text,class,weight; classes' own names when empty
    text_count: int = 256  # texts in a step
    temperature: float = 0.7  # softens which texts belong to a clip, in units of log-probability
    text: float = 1.0  # which texts a clip is near, and which clips a text
    classes: float = 4.0  # probabilities of the classes, by a head that is thrown away
    logits: float = 1.0  # all logits, in units of their deviation, by the same head
    embedding: float = 1.0  # the teachers' embeddings, where they have any, by another head
    held_out: float = 0.1  # share of the recordings that is not learnt from, to measure with


@dataclass(frozen=True)
class TagSettings(Settings):
    """One distillation from taggers."""

    taggers: tuple[TaggerSettings, ...] = ()  # the teachers
    play: MixSettings = field(default_factory=MixSettings)  # how sounds are played
    tags: Tags = field(default_factory=Tags)  # what is learnt


def check(settings: TagSettings) -> None:
    """Refuse values that no distillation from taggers can have.

    Raises
    ------
    TrainingError
        The message names the setting and what is allowed.
    """
    if not settings.taggers:
        raise TrainingError("taggers is left out; name one or more, each with a file or a python function")
    for tagger in settings.taggers:
        if (tagger.file is None) == (tagger.python is None):
            raise TrainingError("a tagger has either a file that OpenVINO reads, or python, as FILE.py:NAME")
        if tagger.file is not None and tagger.classes is None:
            raise TrainingError(f"the tagger {tagger.file} needs classes: a CSV that names its output in order")
        if tagger.rate <= 0 or not (tagger.window_seconds is None or tagger.window_seconds > 0):
            raise TrainingError("rate and window_seconds of a tagger are more than 0")
    play, tags = settings.play, settings.tags
    if not play.shares or min(play.shares) < 0 or not sum(play.shares) > 0:
        raise TrainingError(
            f"play.shares is {list(play.shares)}; give shares of 0 or more for one, two, … sounds at once"
        )
    shares = ("reverse_share", "again_share", "filter_share", "noise_share")
    require({name: (0 <= getattr(play, name) <= 1, "from 0 to 1") for name in shares}, play, "play.")
    check_weights(tags, ("text", "classes", "logits", "embedding"), "tags")
    if not tags.temperature > 0 or tags.text_count < 2 or not 0 <= tags.held_out < 1:
        raise TrainingError("tags has a temperature above 0, a text_count of 2 or more and held_out from 0 to below 1")
    refuse_unused(settings, ("loss", "families", "own_share", "phrases", "extra_texts"), "a distillation from taggers")
    if settings.pieces is not None:
        raise TrainingError("pieces must be left out: what a tagger says of each clip is learnt clip by clip")
