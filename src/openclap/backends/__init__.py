"""Where the towers run: log-mels → unit vectors, token ids → unit vectors. Knows nothing of files or text.

A backend is chosen once, in `choose`, which also says why. To add one, write a class with the two calls of
`Backend` and name it there; the same test suite runs over every backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from openclap.errors import UsageError

if TYPE_CHECKING:
    from openclap.models.clap import CLAPModel

__all__ = ["Backend", "BackendName", "choose"]

BackendName = Literal["auto", "torch", "openvino"]


class Backend(Protocol):
    """What class CLAP needs of whatever computes the towers."""

    reason: str  # why this backend and device, for people

    def encode_audio(self, mel: npt.NDArray[np.float32], longer: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        """Mels (B, V, T, F) in dB with V 1 or 4, and which rows are longer than a clip (B,) → (B, E) unit rows."""
        ...

    def encode_text(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Token ids and their mask (B, L) → (B, E) unit rows."""
        ...


def choose(model: CLAPModel, *, backend: str = "auto", device: str = "auto", threads: int | None = None) -> Backend:
    """The backend that runs `model`.

    Parameters
    ----------
    backend : "auto" | "torch"
        "openvino" is reserved for the CPU engine of a later version and refused until then.
    device : "auto" | "cpu" | "cuda" | "cuda:N"
        "auto" takes CUDA where it is available.
    threads : int, optional
        CPU threads of the towers; the process's own choice when omitted.
    """
    if backend not in ("auto", "torch"):
        raise UsageError(f"'{backend}' is not a backend of this version; choose auto or torch")
    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads}; it must be 1 or more")
    from openclap.backends.torch_backend import TorchBackend

    return TorchBackend(model, device=device, threads=threads)
