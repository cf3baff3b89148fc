"""CLAP: an audio tower and a text tower, each projected to the same unit sphere (arXiv 2211.06687 fig. 1)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from openclap.config import AUDIO, TEXT, CLAPConfig
from openclap.errors import UsageError

__all__ = ["CLAPModel"]

INITIAL_LOGIT_SCALE = math.log(1 / 0.07)


class CLAPModel(nn.Module):
    """Two towers and their projections.

    Parameters are named `audio.*`, `text.*`, `audio_projection.*`, `text_projection.*` and `logit_scale`, the
    logarithm of what multiplies cosines in the loss.
    """

    def __init__(self, config: CLAPConfig) -> None:
        super().__init__()
        self.config = config
        self.audio: nn.Module = AUDIO[config.audio.kind].load("module")(config.audio, config.front_end, config.fusion)
        self.text: nn.Module = TEXT[config.text.kind].load("module")(config.text)
        self.audio_projection = _projection(config, config.audio.output)
        self.text_projection = _projection(config, config.text.output)
        self.logit_scale = nn.Parameter(torch.tensor(INITIAL_LOGIT_SCALE))

    @classmethod
    def from_arrays(cls, config: CLAPConfig, arrays: Mapping[str, npt.NDArray[Any]]) -> CLAPModel:
        """Build a model of these weights, in eval mode. Writable arrays are shared, not copied."""
        with _NoInitialisation():
            model = cls(config)
        counters = {k: v for k, v in model.state_dict().items() if k.endswith("num_batches_tracked")}
        given = {name: _tensor(array) for name, array in arrays.items()}
        model.load_state_dict({**counters, **given}, assign=True)
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        return model.eval()

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All weights by name as numpy arrays, without the counters of batches, which inference never reads."""
        state = self.state_dict().items()
        return {k: v.detach().cpu().numpy() for k, v in state if not k.endswith("num_batches_tracked")}

    @torch.no_grad()
    def clamp_logit_scale(self) -> None:
        """Set the logit scale to its maximum where it is larger: to be called before the first step and after each.

        A clamp within the loss would have no gradient above the maximum, so that the scale could never fall again.
        """
        if self.config.max_logit_scale is not None:
            self.logit_scale.clamp_(max=math.log(self.config.max_logit_scale))

    def for_inference(self) -> CLAPModel:
        """The same model with a faster audio tower where there is one; all other weights are shared."""
        fold = getattr(self.audio, "fold_batch_norms", None)
        if fold is None:
            return self
        fast = copy.copy(self)
        fast._modules = {**self._modules, "audio": fold()}
        return fast

    def encode_audio(self, mel: Tensor, longer: Tensor, *, augment: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Log-mels → unit rows; in eval mode a row does not depend on the rest of the batch.

        Parameters
        ----------
        mel
            (B, V, T, F) in dB. V = 1: all are short. V = 4: global, front, middle, back; short ones are repeated.
        longer
            (B,) bool: which rows go through the fusion. Models without fusion use the first view alone.
        augment
            (B, V, T, F) → the same shape, applied after the batch norm; used in training alone.

        Returns
        -------
        (B, E)
        """
        return F.normalize(self.audio_projection(self.audio(mel, longer, augment)), dim=-1)

    def encode_text(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids and mask (B, L) → (B, E) unit rows."""
        return F.normalize(self.text_projection(self.text(ids, mask)), dim=-1)

    def give(self, what: Literal["audio", "text"], output: str, *inputs: Tensor) -> Tensor | None:
        """What one tower gives of its inputs beside unit rows, or None where it gives no such output.

        "projected": the rows (B, E) before they are normalised; "pooled": what they are projected from (B, D);
        "frames": features of each step of time, or of each token (B, T', D).
        """
        tower = getattr(self, what)
        if output == "frames":
            frames = getattr(tower, "frames", None)
            return None if frames is None else frames(*inputs)
        pooled: Tensor = tower(*inputs)
        return pooled if output == "pooled" else getattr(self, f"{what}_projection")(pooled)


def _projection(config: CLAPConfig, width: int) -> nn.Module:
    """The projection of a tower of this width to E; that of a missing tower does nothing."""
    if not width:
        return nn.Identity()
    if config.projection == "residual":
        return ResidualProjection(width, config.embedding)
    return nn.Sequential(nn.Linear(width, config.embedding), nn.ReLU(), nn.Linear(config.embedding, config.embedding))


class NoTower(nn.Module):
    """The tower that a model of one tower does not have."""

    def __init__(self, *_: object) -> None:
        super().__init__()

    def forward(self, *_: object) -> Tensor:
        """Raise UsageError."""
        raise UsageError("this model has one tower alone; load the whole model to embed both sounds and texts")


class ResidualProjection(nn.Sequential):
    """The projection of Microsoft's CLAP: y = linear(x), then the layer norm of y + linear(GELU(y))."""

    def __init__(self, width: int, embedding: int) -> None:
        first, second = nn.Linear(width, embedding, bias=False), nn.Linear(embedding, embedding, bias=False)
        super().__init__(first, nn.GELU(), second, nn.Dropout(0.5), nn.LayerNorm(embedding))

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) → (B, E)."""
        first, *rest, norm = self
        y = x = first(x)
        for layer in rest:
            y = layer(y)
        normal: Tensor = norm(x + y)
        return normal


def _tensor(array: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.require(array, requirements=["C", "A", "W"]))


class _NoInitialisation(TorchFunctionMode):
    """Skips random initialisation of weights that are replaced anyway: it takes seconds for a RoBERTa."""

    RANDOM = frozenset({torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.erfinv_})

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self.RANDOM:
            return args[0]
        return func(*args, **(kwargs or {}))
