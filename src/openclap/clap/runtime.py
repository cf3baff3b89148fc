"""Runs a model: with its backend as loaded, or with the torch module once one of its weights was changed.

checkpoint ─┬─ backend ──────────────────────┬─ mels, token ids → unit rows without NaN
            └─ model (torch, at first use) ──┘  current weights, logit scale, health
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from openclap import backends
from openclap.checkpoints.health import Encode, Health, examine_checkpoint
from openclap.checkpoints.load import Checkpoint
from openclap.checkpoints.weights import Weights, entries_from_arrays
from openclap.errors import BadCheckpoint, UsageError
from openclap.normalization import Vectors

if TYPE_CHECKING:
    from openclap.backends import Backend
    from openclap.backends.outputs import TowerOutput
    from openclap.backends.torch_backend import TorchBackend
    from openclap.models.clap import CLAPModel

__all__ = ["Runtime"]


class Runtime:
    """The two towers of a checkpoint, ready to compute.

    Parameters
    ----------
    checkpoint
        The loaded checkpoint.
    backend
        What computes embeddings.
    model
        The torch module, where one exists already.
    """

    def __init__(self, checkpoint: Checkpoint, backend: Backend, model: CLAPModel | None = None) -> None:
        self.checkpoint = checkpoint
        self.config = checkpoint.config
        self.threads: int | None = None  # of a torch module that is built later
        self._backend = backend
        self._model = model
        self._own: TorchBackend | None = None  # the backend of `model`, as long as another one computes
        self._unchanged: object = None
        self._loaded = backend.weights_state()
        self._examined: tuple[object, Health] | None = None

    # -- computing -----------------------------------------------------------------------------------

    def encode_audio(self, mel: Vectors, longer: npt.NDArray[np.bool_], output: TowerOutput = "unit") -> Vectors:
        """A batch of mels (B, V, T, F), or of waves (B, 1, S) where the device makes the mels → unit rows (B, E).

        Rows of a package's model are as it gives them: `fault_of` says what is wrong with one, whose sound is named then.

        Raises
        ------
        UsageError
            The model is a text tower alone.
        """
        if self.config.audio.is_missing:
            raise UsageError(str(self.config.missing_tower()))
        if mel.ndim == 3:
            rows = self.backend.encode_waves(mel[:, 0], self.config.front_end, output)
            return rows if self.checkpoint.package is not None else self._check_finite(rows)
        return self._check_finite(self.backend.encode_audio(mel, longer, output))

    def encode_text(
        self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64], output: TowerOutput = "unit"
    ) -> Vectors:
        """Token ids and their mask (B, L) → unit rows (B, E)."""
        return self._check_finite(self.backend.encode_text(ids, mask, output))

    def fault_of(self, row: Vectors) -> str | None:
        """Why a row of a package's model cannot be used; None where it can, and for models of openclap."""
        package = self.checkpoint.package
        if package is None:
            return None
        who = f"{self.config.name} of {package}"
        if not np.isfinite(row).all():
            return f"{who} gives NaN or infinite numbers for it; update that package, or fetch its weights again"
        return None if row.any() else f"{who} gives zeros for it, so it is like nothing; update that package"

    def _check_finite(self, rows: Vectors) -> Vectors:
        """Refuse rows with NaN or infinite numbers, which must never get into a search."""
        if not np.isfinite(rows).all():
            name = self.config.name
            if self.backend.info.dtype == "float16":
                raise BadCheckpoint(f"{name} gives NaN in float16, whose numbers end at 65504; use bfloat16")
            raise BadCheckpoint(
                f"{name} from {self.checkpoint.source} gives NaN: its weights are broken; download it again"
            )
        return rows

    # -- what they are -------------------------------------------------------------------------------

    @property
    def model(self) -> CLAPModel:
        """The torch module in eval mode: that of the torch backend, else built from the checkpoint at first use."""
        if self._model is None:
            self._require_weights()
            backends.require_torch("`model` is a torch module")
            from openclap.backends.torch_backend import TorchBackend
            from openclap.models.clap import CLAPModel

            if isinstance(self.backend, TorchBackend):
                self._model = self.backend.model
            else:  # OpenVINO still computes as long as no weight of the module is changed
                self._model = CLAPModel.from_arrays(self.config, self.checkpoint.weights).eval()
                self._own = TorchBackend(self._model, device="cpu", threads=self.threads)
                self._unchanged = self._own.weights_state()
        return self._model

    @property
    def backend(self) -> Backend:
        """What computes embeddings: the backend as loaded, or `model` itself once one of its weights was changed."""
        if self._own is not None and self._own.weights_state() != self._unchanged:
            self._backend, self._own = self._own, None
            self._backend.info = replace(self._backend.info, why="a weight of `model` was changed")
        return self._backend

    @property
    def state(self) -> object:
        """A value that stays equal as long as no weight changes."""
        return self.backend.weights_state()

    @property
    def is_unchanged(self) -> bool:
        """Whether no weight was changed since the model was loaded."""
        return self.state == self._loaded

    @property
    def weights(self) -> Weights:
        """The current weights: those of the torch module where there is one, else those of the checkpoint."""
        self._require_weights()
        if self._model is None:
            return self.checkpoint.weights
        return Weights(entries_from_arrays(self._model.arrays()))

    def _require_weights(self) -> None:
        if self.checkpoint.package is not None:
            raise UsageError(
                f"{self.config.name} is computed by {self.checkpoint.package}, so there are no weights here to train,"
                " save or export; do that with the package"
            )

    @property
    def logit_scale(self) -> float:
        """The factor of cosines before a softmax, bounded as the model was in training."""
        if self._model is not None:
            scale = float(self._model.logit_scale.detach().exp())
        else:
            scale = float(np.exp(self.checkpoint.weights["logit_scale"]))
        most = self.config.max_logit_scale
        return scale if most is None else min(scale, most)

    def health(self, encode: Encode, *, requested: str = "", fresh: bool = False) -> Health:
        """Fingerprint and faults, see `openclap.checkpoints.health.examine_checkpoint`; `encode` embeds texts."""
        state = self.state
        if self._examined is None or self._examined[0] != state or requested or fresh:
            checkpoint = self.checkpoint
            if state != self._loaded:  # trained since: the cached result for the files does not apply
                checkpoint = replace(checkpoint, weights=self.weights, folder=None)
            can_read = checkpoint.reads_texts
            self._examined = (
                state,
                examine_checkpoint(checkpoint, encode if can_read else None, requested=requested, fresh=fresh),
            )
        return self._examined[1]
