"""A model that a package computes by itself: all that openclap must know of it. Imports neither torch nor the package.

waves (B, S) ─ embed_waves ─ (B, E) ┐
                                    ├─ openclap brings the rows to length 1, and does all the rest
texts  M     ─ embed_texts ─ (M, E) ┘
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from openclap.config.audio_encoders import AudioConfig
from openclap.config.checks import check_count, check_positive
from openclap.config.front_end import FrontEnd, Padding
from openclap.config.model import CLAPConfig
from openclap.config.text_encoders import AnyTextConfig, NoTextConfig
from openclap.errors import UsageError

__all__ = ["CustomModel"]

LOWEST_RATE, HIGHEST_RATE = 100, 10_000_000  # Hz, those that sounds are resampled to
LONGEST_CLIP = 3600.0  # seconds: an hour at 48 kHz is 0.7 GB


@dataclass(frozen=True, kw_only=True)
class CustomModel:
    """A model of one's own: how it embeds, and what openclap must know of it.

    Parameters
    ----------
    embed_waves
        Waves float32 (B, S) of a clip each, mono, at `sampling_rate`, shorter sounds filled up as `padding` says →
        (B, E), an array or a tensor; of any length, as openclap brings rows to length 1. A row must not depend on the
        others of its batch.
    embed_texts
        A list of M texts, none of them empty → (M, E). None: a model of sounds alone.
    embed_frames
        Waves as above → features of each step of time (B, T, D), the output "frames". None: there is none.
    sampling_rate, clip_seconds
        The rate in Hz that sounds are resampled to, and the length of a clip, S / rate. Longer recordings come as
        windows that overlap by half: of a clip, in a library of 10 s at most.
    embedding
        E, the numbers of an embedding.
    fingerprint
        Any text that is another one when the embeddings are: a version, or a hash of the weights. By it a library
        knows the model that made it.
    logit_scale
        The factor of cosines before the softmax of `classify`, as it was learnt, exp(parameter). By default that with
        which CLIP and CLAP begin to learn.
    licence
        Of the weights.
    padding
        What fills up a sound that is shorter than a clip: "repeatpad" whole copies of it, then silence; "repeat" copies;
        "pad" silence; "none" nothing: such a sound comes as it is, beside others of its length.
    reads_chinese
        Chinese texts are given as they are; else openclap translates them into English first.
    batch
        How many clips at once use the device well.
    device
        What it runs on, where that is shown.
    """

    embed_waves: Callable[[npt.NDArray[np.float32]], Any]
    embed_texts: Callable[[list[str]], Any] | None = None
    embed_frames: Callable[[npt.NDArray[np.float32]], Any] | None = None
    sampling_rate: int  # Hz
    clip_seconds: float
    embedding: int  # E
    fingerprint: str
    logit_scale: float = 1 / 0.07
    licence: str = "unknown"
    padding: Padding = "repeatpad"
    reads_chinese: bool = False
    batch: int = 1
    device: str = "cpu"

    def config(self, model: str) -> CLAPConfig:
        """The configuration of a model that is called `model`.

        Raises
        ------
        UsageError
            A value cannot be.
        """
        for name in ("sampling_rate", "embedding", "batch"):
            check_count(getattr(self, name), name)
        if not LOWEST_RATE <= self.sampling_rate <= HIGHEST_RATE:
            raise UsageError(f"sampling_rate is {self.sampling_rate}; {LOWEST_RATE} to {HIGHEST_RATE} Hz are possible")
        check_positive("the model", clip_seconds=self.clip_seconds, logit_scale=self.logit_scale)
        if self.clip_seconds > LONGEST_CLIP:
            raise UsageError(f"clip_seconds is {self.clip_seconds}; {LONGEST_CLIP} is the most")
        if not isinstance(self.fingerprint, str) or not self.fingerprint.strip():
            raise UsageError(f"fingerprint is {self.fingerprint!r}; give a text that changes with the weights")
        if self.padding not in get_args(Padding):
            raise UsageError(f"padding is {self.padding!r}; choose one of {', '.join(get_args(Padding))}")
        for what, function in (
            ("embed_waves", self.embed_waves),
            ("embed_texts", self.embed_texts),
            ("embed_frames", self.embed_frames),
        ):
            if not callable(function) and (what == "embed_waves" or function is not None):
                raise UsageError(f"{what} is {function!r}; give a function")
        return CLAPConfig(
            audio=CustomAudioConfig(output=self.embedding, fingerprint=self.fingerprint),
            text=NoTextConfig() if self.embed_texts is None else CustomTextConfig(self.embedding, self.reads_chinese),
            front_end=FrontEnd(  # of which only the first three lines are used: no mel is made
                sampling_rate=self.sampling_rate,
                clip_seconds=self.clip_seconds,
                padding=self.padding,
                f_min=0.0,
                f_max=self.sampling_rate / 2,
            ),
            embedding=self.embedding,
            name=model,
            licence=self.licence,
            max_logit_scale=None,
        )


@dataclass(frozen=True)
class CustomAudioConfig(AudioConfig):
    """The audio tower of a `CustomModel`, which takes waves. It is in no table: openclap cannot build it."""

    output: int
    fingerprint: str
    kind: Literal["custom"] = "custom"


@dataclass(frozen=True)
class CustomTextConfig(AnyTextConfig):
    """The text tower of a `CustomModel`, which takes texts: its tokens are their characters."""

    width: int
    reads_chinese: bool = False
    vocabulary: int = sys.maxunicode + 1
    max_tokens: int = sys.maxsize
    pad_id: int = 0
    kind: Literal["custom"] = "custom"

    reads_characters: ClassVar[bool] = True
