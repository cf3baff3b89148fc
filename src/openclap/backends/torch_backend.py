"""The towers in PyTorch, on CPU or CUDA. The only backend that runs every combination of towers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch

from openclap.audio.mel import apply_dynamic_range, log_mel
from openclap.config import FrontEnd
from openclap.errors import UsageError
from openclap.models.clap import CLAPModel
from openclap.results import BackendInfo

__all__ = ["TorchBackend"]


class TorchBackend:
    """A `CLAPModel` in eval mode, in float32, on one device.

    What runs is always the model as it is now: weights that were trained or replaced since the last call are noticed.
    """

    def __init__(
        self, model: CLAPModel, *, device: str = "auto", threads: int | None = None, half: str | None = None
    ) -> None:
        self.device, why = _choose_device(device)
        self.info = BackendInfo("torch", str(self.device), half or "float32", why)
        self.takes_waves = self.device.type == "cuda"
        self.batch = _largest_batch(self.device)
        self._half = None if half is None else getattr(torch, half)
        self.model = model.to(self.device).eval()
        self.model.audio.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # three times as fast for CNNs
        self._threads = threads
        self._fast: CLAPModel | None = None
        self._made_from: object = None

    def set_fingerprint(self, fingerprint: str) -> None:
        """Nothing is kept on disk."""

    def weights_state(self) -> object:
        """Equal as long as no weight has changed."""
        return tuple((id(t), t._version) for t in (*self.model.parameters(), *self.model.buffers()))

    def encode_audio(self, mel: npt.NDArray[np.float32], longer: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        """Mels (B, V, T, F), longer (B,) → (B, E) unit rows."""
        with self._running() as model:
            return _in_halves(lambda m, f: _array(model.encode_audio(self._tensor(m), self._tensor(f))), mel, longer)

    def encode_text(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Token ids and mask (B, L) → (B, E) unit rows."""
        with self._running() as model:
            return _array(model.encode_text(self._tensor(ids), self._tensor(mask)))

    def encode_waves(self, waves: npt.NDArray[np.float32], front_end: FrontEnd) -> npt.NDArray[np.float32]:
        """Padded waves (B, S) → (B, E) unit rows; the mels are made on the device, in float32."""

        def encode(some: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            with torch.inference_mode():
                mel = apply_dynamic_range(log_mel(self._tensor(some), front_end), front_end)[:, None]
            with self._running() as model:
                return _array(model.encode_audio(mel, torch.zeros(len(mel), dtype=torch.bool, device=self.device)))

        return _in_halves(encode, waves)

    @contextmanager
    def _running(self) -> Iterator[CLAPModel]:
        """The model made ready for inference, with this backend's threads and without gradients."""
        state = self.weights_state()
        if self._fast is None or state != self._made_from:
            self._fast, self._made_from = self.model.eval().for_inference(), state
        before = torch.get_num_threads()
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode(), torch.autocast(self.device.type, self._half, enabled=self._half is not None):
                yield self._fast
        finally:
            if self._threads is not None:
                torch.set_num_threads(before)

    def _tensor(self, array: npt.NDArray[np.generic]) -> torch.Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self.device.type == "cuda":  # the host does not wait for the copy
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)


CLIP_BYTES = 96 * 2**20  # that the activations of one clip take in HTSAT-tiny, generously
LARGEST_BATCH = 128


def _largest_batch(device: torch.device) -> int:
    """How many clips at once: a quarter of what is free on a GPU; 1 on a CPU, where a batch gains nothing."""
    if device.type != "cuda":
        return 1
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, min(LARGEST_BATCH, free // 4 // CLIP_BYTES))


def _in_halves(
    encode: Callable[..., npt.NDArray[np.float32]], *batch: npt.NDArray[np.generic]
) -> npt.NDArray[np.float32]:
    """All at once, or in halves where the GPU's memory does not hold that much."""
    try:
        return encode(*batch)
    except torch.cuda.OutOfMemoryError:
        size = len(batch[0])
        if size == 1:
            raise
    torch.cuda.empty_cache()
    parts = ([part[: size // 2] for part in batch], [part[size // 2 :] for part in batch])
    return np.concatenate([_in_halves(encode, *part) for part in parts])


def _array(rows: torch.Tensor) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = rows.float().cpu().numpy()
    return array


def _choose_device(device: str) -> tuple[torch.device, str]:
    """A torch device and the reason for it, in one place."""
    cuda = torch.cuda.is_available()
    if device == "auto":
        return (torch.device("cuda"), "a GPU is here") if cuda else (torch.device("cpu"), "no GPU here")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = None
    if chosen is None or chosen.type not in ("cpu", "cuda"):
        raise UsageError(f"'{device}' is not a device; choose auto, cpu, cuda or cuda:N")
    if chosen.type == "cuda" and (not cuda or (chosen.index or 0) >= torch.cuda.device_count()):
        raise UsageError(
            f"device {device} was asked for, but this machine has {torch.cuda.device_count()} CUDA devices; choose cpu"
            " or auto"
        )
    return chosen, "asked for"
