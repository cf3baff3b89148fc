"""A model that a package computes by itself (`config.CustomModel`), as a backend: its rows are checked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.audio.levels import level_of
from openclap.backends.outputs import TowerOutput, no_output
from openclap.config import CustomModel, FrontEnd
from openclap.config.entry_points import unusable
from openclap.errors import ModelError, OpenClapError, UsageError
from openclap.normalization import normalize_rows
from openclap.results import BackendInfo
from openclap.silence import is_heard

__all__ = ["CustomBackend"]

Rows = npt.NDArray[np.float32]


class CustomBackend:
    """Calls the functions of a `CustomModel`, one call at a time.

    Parameters
    ----------
    name, package
        What it is called, and the package that brings it: both stand in errors.
    """

    takes_waves = True

    def __init__(self, model: CustomModel, *, name: str, package: str) -> None:
        self.info = BackendInfo(package, model.device, "float32", "computed by that package")
        self.batch = model.batch
        self._model = model
        self._what, self._package = f"the model {name!r}", package
        self._lock = threading.Lock()  # its functions need not be made for several threads

    def set_fingerprint(self, fingerprint: str) -> None:
        """Do nothing: this backend stores nothing on disk."""

    def weights_state(self) -> object:
        """A value that stays equal: the package says by its fingerprint when its weights are others."""
        return self._model.fingerprint

    def encode_audio(
        self, mel: npt.NDArray[np.float32], longer: npt.NDArray[np.bool_], output: TowerOutput = "unit"
    ) -> Rows:
        """Nothing makes mels for a model that takes waves."""
        raise AssertionError((mel.shape, "a custom model takes waves"))

    def encode_waves(self, waves: Rows, front_end: FrontEnd, output: TowerOutput = "unit") -> Rows:
        """Padded waves (B, S) of a clip each → unit rows (B, E), as the package gives them ("projected"), or (B, T, D)."""
        if output == "frames" and self._model.embed_frames is not None:
            return self._call_package(self._model.embed_frames, np.ascontiguousarray(waves))
        rows = self._call("audio", self._model.embed_waves, np.ascontiguousarray(waves), output)
        if output == "unit":
            for i in np.flatnonzero(~_have_direction(rows)):
                if not is_heard(level_of(waves[i], front_end.sampling_rate)):
                    rows[i] = rows.shape[1] ** -0.5  # nothing is heard, so nobody asks for its direction
        return rows

    def encode_text(
        self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64], output: TowerOutput = "unit"
    ) -> Rows:
        """The characters of texts and their mask (B, L) → as `encode_waves`.

        Raises
        ------
        ModelError
            A row is not finite.
        UsageError
            A row is zeros: the text means nothing to the model.
        """
        texts = ["".join(map(chr, row[:size])) for row, size in zip(ids.tolist(), mask.sum(axis=1), strict=True)]
        assert self._model.embed_texts is not None, "a model of sounds alone has no tokenizer"
        rows = self._call("text", self._model.embed_texts, texts, output)
        for text, row in zip(texts, rows, strict=True):
            if not np.isfinite(row).all():
                raise ModelError(
                    f"{self._what} of {self._package} gives NaN or infinite numbers for the text {text!r}; update that"
                    " package, or fetch its weights again"
                )
            if not row.any():
                raise UsageError(
                    f"the text {text!r} means nothing to {self._what} of {self._package}, which gives zeros for it; say"
                    " it in other words"
                )
        return rows

    def _call(self, tower: str, embed: Callable[[Any], Any], given: Any, output: TowerOutput) -> Rows:
        if output not in ("unit", "projected"):
            raise no_output("custom", tower, output)
        rows = self._call_package(embed, given)
        expected = (len(given), self._model.embedding)
        if rows.shape != expected:
            raise ModelError(
                f"{self._what} of {self._package} gives rows of shape {rows.shape}, not {expected}; update that package"
            )
        return normalize_rows(rows) if output == "unit" else rows

    def _call_package(self, embed: Callable[[Any], Any], given: Any) -> Rows:
        try:
            with self._lock:
                return _to_numpy(embed(given))
        except OpenClapError:
            raise
        except Exception as error:  # code of others can raise anything
            raise unusable(self._what, self._package, error) from error


def _have_direction(rows: Rows) -> npt.NDArray[np.bool_]:
    """Whether each of rows (B, E) is finite and not zeros."""
    return np.asarray(np.isfinite(rows).all(axis=1) & rows.any(axis=1))


def _to_numpy(rows: Any) -> Rows:
    """An array, a list of rows or a tensor of torch on any device → float32."""
    if hasattr(rows, "detach"):
        rows = rows.detach()
        rows = (rows if rows.is_complex() else rows.float()).cpu().numpy()
    if np.iscomplexobj(rows):  # numpy would drop the imaginary half
        raise TypeError("complex numbers; real ones are expected")
    return np.array(rows, np.float32)
