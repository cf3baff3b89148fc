"""Backends, which run the towers: log-mels and token ids in, unit vectors out.

`choose_backend` chooses one and says why. To add one, write a class with the members of `Backend` and name it there;
the same test suite runs over every backend.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from openclap.backends import numpy_text
from openclap.backends.outputs import TowerOutput
from openclap.config import AUDIO
from openclap.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from openclap.checkpoints.load import Checkpoint
    from openclap.config import CLAPConfig, FrontEnd
    from openclap.results import BackendInfo

__all__ = [
    "MOST_THREADS",
    "Backend",
    "choose_backend",
    "native_halves",
    "require_torch",
    "why_no_graph",
]

BackendName = Literal["auto", "torch", "openvino"]
MOST_THREADS = 1024  # torch creates as many as it is told to: 10 000 take seconds, 100 000 crash it
DEVICES = re.compile(r"auto|cpu|cuda(:\d+)?")
HALVES = {"BF16": "bfloat16", "FP16": "float16"}  # what OpenVINO calls them
INSTALL = {"torch": "install openclap's extra 'torch' (docs/install.md)", "openvino": "pip install openvino"}


class Backend(Protocol):
    """What class CLAP needs of the object that computes its towers."""

    info: BackendInfo
    takes_waves: bool  # whether it makes the mels of short clips on its device, in `encode_waves`
    batch: int  # how many clips at once use the device well; 1 where batches gain nothing

    def encode_waves(
        self, waves: npt.NDArray[np.float32], front_end: FrontEnd, output: TowerOutput = "unit"
    ) -> npt.NDArray[np.float32]:
        """Padded waves (B, S) of a clip each → as `encode_audio`."""
        ...

    def encode_audio(
        self, mel: npt.NDArray[np.float32], longer: npt.NDArray[np.bool_], output: TowerOutput = "unit"
    ) -> npt.NDArray[np.float32]:
        """Mels (B, V, T, F) in dB with V 1 or 4, and which rows are longer than a clip (B,) → (B, E) unit rows.

        "projected" are these before they are normalised, "pooled" (B, D), "frames" (B, T', D).
        """
        ...

    def encode_text(
        self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64], output: TowerOutput = "unit"
    ) -> npt.NDArray[np.float32]:
        """Token ids and their mask (B, L) → (B, E) unit rows, or as of `encode_audio`; "frames" are states (B, L, D)."""
        ...

    def set_fingerprint(self, fingerprint: str) -> None:
        """Take the fingerprint of the checkpoint, as the name under which compiled models may be stored on disk."""
        ...

    def weights_state(self) -> object:
        """A value that stays equal as long as no weight changes."""
        ...


def choose_backend(
    checkpoint: Checkpoint,
    *,
    backend: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    half: str | None = None,
) -> Backend:
    """Choose the backend that runs a checkpoint.

    Parameters
    ----------
    backend : "auto" | "torch" | "openvino"
        "auto": torch where there is CUDA; else OpenVINO; else, for towers without a graph or without OpenVINO, torch.
    device : "auto" | "cpu" | "cuda" | "cuda:N"
        "auto" takes CUDA where it and torch are available.
    threads : int, optional
        CPU threads of the towers, by default all cores. A few texts are embedded by numpy, which has its own threads.
    half : "bfloat16" | "float16" | "fast", optional
        The data type that the model will be asked to compute in: torch does by autocast; OpenVINO is chosen where the
        CPU is made for it (`native_halves`), and computes in float32 until its `use_half` is called. "fast": the better
        of the two on a GPU, float32 on a CPU.

    Raises
    ------
    UsageError
        The backend or device does not exist or cannot run this model.
    MissingExtra
        The package that would run it is not installed; the message says how to install it.
    """
    if backend not in get_args(BackendName):
        raise UsageError(f"'{backend}' is not a backend; choose {', '.join(get_args(BackendName))}")
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise UsageError(f"threads is {threads!r}; it must be a whole number, 1 or more")
    if threads is not None and threads > MOST_THREADS:
        raise UsageError(f"threads is {threads}; at most {MOST_THREADS} make sense")
    if not isinstance(device, str) or not DEVICES.fullmatch(device):
        raise UsageError(f"{device!r} is not a device; choose auto, cpu, cuda or cuda:N")
    why_not = why_no_graph(checkpoint.config)
    if why_not is None and half in HALVES.values() and half not in native_halves():
        why_not = f"this CPU does not compute in {half}"
    if backend == "openvino":
        if why_not:
            raise UsageError(f"openvino cannot run {checkpoint.config.name}: {why_not}; choose backend torch")
        if device not in ("auto", "cpu"):
            raise UsageError(f"openvino runs on the CPU, not on {device}; choose backend torch")
        return _openvino(checkpoint, threads, "asked for")
    on_cpu = device == "cpu" or (device == "auto" and not (_is_installed("torch") and _has_cuda()))
    if backend == "auto" and on_cpu and not why_not and _is_installed("openvino"):
        return _openvino(checkpoint, threads, "the fastest here")
    if why_not or backend == "torch" or not on_cpu:
        require_torch(
            f"{checkpoint.config.name}:"
            f" {why_not or ('device ' + device if not on_cpu else 'backend torch was asked for')}; only torch runs it"
        )
    require_torch(f"{checkpoint.config.name}: neither openvino nor torch is installed to run it")
    from openclap.backends.torch_backend import TorchBackend
    from openclap.models.clap import CLAPModel

    return TorchBackend(
        CLAPModel.from_arrays(checkpoint.config, checkpoint.weights), device=device, threads=threads, half=half
    )


def require_torch(why: str) -> None:
    """Raise MissingExtra with `why` and the install line where torch is not installed."""
    if not _is_installed("torch"):
        raise MissingExtra(f"{why}; {INSTALL['torch']}")


def why_no_graph(config: CLAPConfig) -> str | None:
    """The reason why only torch runs this model; None where OpenVINO runs it too."""
    if AUDIO[config.audio.kind].graph is None and not config.audio.is_missing:
        return f"its {config.audio.kind} audio tower has no graph"
    return numpy_text.why_unsupported(config.text)


def native_halves() -> tuple[str, ...]:
    """The data types of two bytes in which this CPU multiplies faster than in float32, as OpenVINO sees it."""
    if not _is_installed("openvino"):
        return ()
    from openclap.backends.graphs.engine import ov

    able = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return tuple(dtype for capability, dtype in HALVES.items() if capability in able)


def _openvino(checkpoint: Checkpoint, threads: int | None, why: str) -> Backend:
    if not _is_installed("openvino"):
        raise MissingExtra(f"openvino is not installed: {INSTALL['openvino']}")
    from openclap.backends.openvino_backend import OpenVINOBackend

    return OpenVINOBackend(checkpoint.config, checkpoint.weights, threads=threads, why=why)


def _is_installed(package: str) -> bool:
    """Whether a package is installed, without importing it."""
    try:
        return package in sys.modules or importlib.util.find_spec(package) is not None
    except ImportError:
        return False


def _has_cuda() -> bool:
    """Whether the NVIDIA driver sees a GPU; to ask torch would take seconds, for its import."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except OSError:
        return False
