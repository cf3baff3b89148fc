"""The towers in PyTorch, on CPU or CUDA: the only backend that runs every combination of towers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch

from openclap.audio.mel import apply_dynamic_range, log_mel
from openclap.backends.outputs import TowerOutput, no_output
from openclap.config import FrontEnd
from openclap.errors import UsageError
from openclap.models.clap import CLAPModel
from openclap.results import BackendInfo

__all__ = ["TorchBackend", "choose_device"]


class TorchBackend:
    """Runs a `CLAPModel` in eval mode on one device.

    Each call uses the current weights: it notices where they were trained or replaced since the last call.
    """

    def __init__(
        self, model: CLAPModel, *, device: str = "auto", threads: int | None = None, half: str | None = None
    ) -> None:
        self.device, why = choose_device(device)
        half = _fast_half(self.device) if half == "fast" else half
        self.info = BackendInfo("torch", str(self.device), half or "float32", why)
        self.takes_waves = self.device.type == "cuda"
        self.batch = _largest_batch(self.device)
        self._half = None if half is None else getattr(torch, half)
        self.model = model.to(self.device).eval()
        # three times as fast for CNNs
        self.model.audio.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._threads = threads
        self._inference_model: CLAPModel | None = None
        self._inference_state: object = None

    def set_fingerprint(self, fingerprint: str) -> None:
        """Do nothing: this backend stores nothing on disk."""

    def weights_state(self) -> object:
        """A value that stays equal as long as no weight changes."""
        return tuple((id(t), t._version) for t in (*self.model.parameters(), *self.model.buffers()))

    def encode_audio(
        self, mel: npt.NDArray[np.float32], longer: npt.NDArray[np.bool_], output: TowerOutput = "unit"
    ) -> npt.NDArray[np.float32]:
        """Mels (B, V, T, F), longer (B,) → (B, E) unit rows, or what `Backend.encode_audio` says."""
        with self._ready_model() as model:
            return _run_in_halves(
                lambda mel, longer: self._heard(model, self._tensor(mel), self._tensor(longer), output), mel, longer
            )

    def encode_text(
        self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64], output: TowerOutput = "unit"
    ) -> npt.NDArray[np.float32]:
        """Token ids and mask (B, L) → (B, E) unit rows, or what `Backend.encode_text` says."""
        with self._ready_model() as model:
            inputs = self._tensor(ids), self._tensor(mask)
            rows = model.encode_text(*inputs) if output == "unit" else model.give("text", output, *inputs)
            return _to_numpy(rows, self.model.config.text.kind, "text", output)

    def encode_waves(
        self, waves: npt.NDArray[np.float32], front_end: FrontEnd, output: TowerOutput = "unit"
    ) -> npt.NDArray[np.float32]:
        """Padded waves (B, S) → as `encode_audio`; the mels are made on the device, in float32."""

        def encode(part: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            with torch.inference_mode():
                mel = apply_dynamic_range(log_mel(self._tensor(part), front_end), front_end)[:, None]
            with self._ready_model() as model:
                return self._heard(model, mel, torch.zeros(len(mel), dtype=torch.bool, device=self.device), output)

        return _run_in_halves(encode, waves)

    def _heard(
        self, model: CLAPModel, mel: torch.Tensor, longer: torch.Tensor, output: TowerOutput
    ) -> npt.NDArray[np.float32]:
        rows = model.encode_audio(mel, longer) if output == "unit" else model.give("audio", output, mel, longer)
        return _to_numpy(rows, self.model.config.audio.kind, "audio", output)

    @contextmanager
    def _ready_model(self) -> Iterator[CLAPModel]:
        """A context with the model ready for inference, with this backend's threads and without gradients."""
        state = self.weights_state()
        if self._inference_model is None or state != self._inference_state:
            self._inference_model, self._inference_state = self.model.eval().for_inference(), state
        threads_before = torch.get_num_threads()
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode(), torch.autocast(self.device.type, self._half, enabled=self._half is not None):
                yield self._inference_model
        finally:
            if self._threads is not None:
                torch.set_num_threads(threads_before)

    def _tensor(self, array: npt.NDArray[np.generic]) -> torch.Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self.device.type == "cuda":  # the host does not wait for the copy
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)


def _fast_half(device: torch.device) -> str | None:
    """The data type of two bytes that a GPU is fast in; None, which is float32, on a CPU."""
    if device.type != "cuda":
        return None
    return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"


CLIP_BYTES = 96 * 2**20  # generous for the activations of one clip in HTSAT-tiny
LARGEST_BATCH = 128


def _largest_batch(device: torch.device) -> int:
    """How many clips fit into a quarter of a GPU's free memory; 1 on a CPU, where a batch gains nothing."""
    if device.type != "cuda":
        return 1
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, min(LARGEST_BATCH, free // 4 // CLIP_BYTES))


def _run_in_halves(
    encode: Callable[..., npt.NDArray[np.float32]], *batch: npt.NDArray[np.generic]
) -> npt.NDArray[np.float32]:
    """Encode a batch at once, or in halves where the GPU's memory is too small."""
    try:
        return encode(*batch)
    except torch.cuda.OutOfMemoryError:
        size = len(batch[0])
        if size == 1:
            raise
    torch.cuda.empty_cache()
    parts = ([part[: size // 2] for part in batch], [part[size // 2 :] for part in batch])
    return np.concatenate([_run_in_halves(encode, *part) for part in parts])


def _to_numpy(rows: torch.Tensor | None, kind: str, what: str, output: str) -> npt.NDArray[np.float32]:
    if rows is None:
        raise no_output(kind, what, output)
    return rows.float().cpu().numpy()


def choose_device(device: str) -> tuple[torch.device, str]:
    """The torch device for a name, and the reason for it."""
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
