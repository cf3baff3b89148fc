"""The towers in PyTorch, on CPU or CUDA. The only backend that runs every combination of towers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from openclap.errors import UsageError
from openclap.models.clap import CLAPModel

__all__ = ["TorchBackend"]


class TorchBackend:
    """A `CLAPModel` in eval mode, in float32, on one device."""

    def __init__(self, model: CLAPModel, *, device: str = "auto", threads: int | None = None) -> None:
        self.device, self.reason = _pick(device)
        self.model = model.to(self.device).eval().for_inference()
        self.model.audio.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # three times as fast for CNNs
        if threads is not None:
            torch.set_num_threads(threads)

    @torch.inference_mode()
    def encode_audio(self, mel: npt.NDArray[np.float32], longer: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        """Mels (B, V, T, F), longer (B,) → (B, E) unit rows."""
        rows: torch.Tensor = self.model.encode_audio(self._tensor(mel), self._tensor(longer))
        return _array(rows)

    @torch.inference_mode()
    def encode_text(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Token ids and mask (B, L) → (B, E) unit rows."""
        rows: torch.Tensor = self.model.encode_text(self._tensor(ids), self._tensor(mask))
        return _array(rows)

    def _tensor(self, array: npt.NDArray[np.generic]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


def _array(rows: torch.Tensor) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = rows.float().cpu().numpy()
    return array


def _pick(device: str) -> tuple[torch.device, str]:
    """A torch device and the reason for it, in one place."""
    cuda = torch.cuda.is_available()
    if device == "auto":
        return (
            (torch.device("cuda"), "torch on CUDA: a GPU is here")
            if cuda
            else (torch.device("cpu"), "torch on CPU: no GPU here")
        )
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = None
    if chosen is None or chosen.type not in ("cpu", "cuda"):
        raise UsageError(f"'{device}' is not a device; choose auto, cpu, cuda or cuda:N")
    if chosen.type == "cuda" and (not cuda or (chosen.index or 0) >= torch.cuda.device_count()):
        raise UsageError(
            f"device {device} was asked for, but this machine has {torch.cuda.device_count()} CUDA devices; choose cpu or auto"
        )
    return chosen, f"torch on {device}: asked for"
