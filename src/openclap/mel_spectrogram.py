"""The log-mel of a model as a torch module, for training and for models of one's own. It computes nothing by itself.

waves (B, S) ─ filled up? ─ 16 bits? ─ audio.mel.log_mel ─ dynamic range ─ (B, T, F) in dB
"""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np

from openclap.audio.clips import pad_wave
from openclap.audio.mel import apply_dynamic_range, log_mel, quantise_wave
from openclap.checkpoints.load import load_checkpoint
from openclap.config import CLAPConfig, FrontEnd
from openclap.errors import MissingExtra, UsageError

try:
    import torch
    from torch import nn
except ImportError:
    raise MissingExtra(
        "MelSpectrogram is a module of torch; install openclap's extra 'torch' (docs/install.md)"
    ) from None

__all__ = ["MelSpectrogram"]


class MelSpectrogram(nn.Module):
    """Waves → log-mels in dB, as a model is given them; on the device of its input, with gradients.

    It has no weights. Whatever autocast is at work, the mels are computed in float32, as -100 dB is no number in float16.

    Parameters
    ----------
    front_end
        The settings of the mels: `clap.front_end`.
    fill
        Fill up waves that are shorter than a clip, as the model's front end does. Longer ones stay as they are.

    Examples
    --------
    >>> mel = MelSpectrogram.from_pretrained("mini")
    >>> mel(torch.zeros(8, mel.front_end.clip_samples)).shape
    torch.Size([8, 313, 64])
    """

    def __init__(self, front_end: FrontEnd, *, fill: bool = False) -> None:
        super().__init__()
        front_end.check()
        self.front_end, self.fill = front_end, fill

    @classmethod
    def from_config(cls, config: CLAPConfig, *, fill: bool = False) -> MelSpectrogram:
        """That of a configuration: `clap.config`."""
        return cls(config.front_end, fill=fill)

    @classmethod
    def from_pretrained(cls, name_or_path: str | os.PathLike[str] = "mini", *, fill: bool = False) -> MelSpectrogram:
        """That of a model, which is not loaded: only its configuration is read.

        Raises
        ------
        UnknownModel, ModelNotHere, BadCheckpoint
            As `CLAP.from_pretrained`.
        UsageError
            A package computes the model, from waves.
        """
        return cls.from_config(load_checkpoint(name_or_path).config, fill=fill)

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        """Waves (..., S), mono, in [-1, 1] at `front_end.sampling_rate` → float32 (..., T, F), T = S // hop + 1.

        Raises
        ------
        UsageError
            They are no tensor of floating-point samples, or hold none.
        """
        if not isinstance(waves, torch.Tensor) or not waves.is_floating_point():
            what = f"a tensor of {waves.dtype}" if isinstance(waves, torch.Tensor) else type(waves).__name__
            raise UsageError(f"waves are {what}; give a tensor of floating-point samples in [-1, 1]")
        if waves.ndim == 0 or waves.numel() == 0:
            raise UsageError(
                f"waves have the shape {tuple(waves.shape)}; give (..., S) with one wave and one sample or more"
            )
        with torch.autocast(waves.device.type, enabled=False):
            filled = self._fill_up(waves.float()) if self.fill else waves.float()
            if self.front_end.quantise is not None:  # rounding has no gradient: it is that of the samples as they were
                filled = quantise_wave(filled.detach(), self.front_end) + (filled - filled.detach())
            return apply_dynamic_range(log_mel(filled, self.front_end), self.front_end)

    def extra_repr(self) -> str:
        """What `print` shows of it."""
        front = self.front_end
        return (
            f"{front.sampling_rate} Hz, {front.mel_bins} mels of {front.f_min:g}-{front.f_max:g} Hz, fill={self.fill}"
        )

    def _fill_up(self, waves: torch.Tensor) -> torch.Tensor:
        """Waves (..., S) → (..., clip_samples), where S is less."""
        samples = waves.shape[-1]
        if samples >= self.front_end.clip_samples:
            return waves
        silence = waves.new_zeros((*waves.shape[:-1], 1))
        places = torch.from_numpy(_filled_places(samples, self.front_end)).to(waves.device)
        return torch.cat([silence, waves], -1)[..., places]


@lru_cache(maxsize=4)
def _filled_places(samples: int, front_end: FrontEnd) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The sample that stands at each place of a clip, counted from 1; 0 is silence."""
    assert front_end.clip_samples < 2**24, "float32 counts no further"
    return pad_wave(np.arange(1, samples + 1, dtype=np.float32), front_end).astype(np.int64)
