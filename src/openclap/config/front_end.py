"""How a wave becomes a log-mel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from openclap.config.checks import check_positive
from openclap.errors import UsageError

__all__ = ["FrontEnd", "Padding"]

Padding: TypeAlias = Literal["repeatpad", "repeat", "pad", "spaced", "none"]
WINDOW_SECONDS = 10.0


@dataclass(frozen=True)
class FrontEnd:
    """Settings of the log-mel (reference: arXiv 2211.06687 §3, and the released feature extractors).

    The released checkpoints differ in `mel_scale` and `mel_norm` alone: unfused ones use Slaney/Slaney,
    fused ones HTK/None. The two banks are 15-28 dB apart, so they travel with the checkpoint.
    """

    sampling_rate: int = 48_000  # Hz
    clip_seconds: float = 10.0
    n_fft: int = 1024  # samples, also the length of the periodic Hann window
    hop: int = 480  # samples
    mel_bins: int = 64  # F
    f_min: float = 50.0  # Hz
    f_max: float = 14_000.0  # Hz
    mel_scale: Literal["htk", "slaney"] = "htk"
    mel_norm: Literal["slaney"] | None = None
    padding: Padding = "repeatpad"  # what fills a clip after a shorter sound: see audio/clips.py
    dynamic_range: float | None = None  # dB; None: absolute dB, else dB below the clip's loudest bin, clamped
    quantise: Literal["int16"] | None = None  # samples are rounded to 16 bits as LAION does (audio/mel.py)
    # Hz: the rate that the mel bank is made for where it is not `sampling_rate`. Microsoft's CLAP of 2023 hears 44.1 kHz
    # through the bank of 32 kHz, so that all its bands lie 1.38 times as high as `f_min` and `f_max` say.
    mel_rate: int | None = None

    @property
    def window_seconds(self) -> float:
        """The length of the windows of a library, and of all others that nobody chose: 10 s, or a shorter clip."""
        return min(WINDOW_SECONDS, self.clip_seconds)

    @property
    def bank_rate(self) -> int:
        """The rate that the mel bank is made for."""
        return self.sampling_rate if self.mel_rate is None else self.mel_rate

    @property
    def clip_samples(self) -> int:
        """Samples of one clip: 480_000 at 48 kHz."""
        return round(self.clip_seconds * self.sampling_rate)

    @property
    def clip_frames(self) -> int:
        """Frames of one clip, T: 1001 at 48 kHz and hop 480 (centred: one more than clip_samples // hop)."""
        return self.clip_samples // self.hop + 1

    def check(self) -> None:
        """Raise UsageError where no log-mel can be made with these values."""
        if self.quantise not in (None, "int16"):
            raise UsageError(f"quantise of the front end is {self.quantise!r}; 'int16' or None is known")
        numbers = ("sampling_rate", "clip_seconds", "n_fft", "hop", "mel_bins", "f_max")
        check_positive("the front end", **{name: getattr(self, name) for name in numbers})
        if self.mel_rate is not None:
            check_positive("the front end", mel_rate=self.mel_rate)
        if not 0 <= self.f_min < self.f_max <= self.bank_rate / 2:
            raise UsageError(
                f"the mel bank goes from {self.f_min:g} to {self.f_max:g} Hz at a rate of {self.bank_rate} Hz; "
                "0 <= f_min < f_max <= half the rate must hold"
            )
