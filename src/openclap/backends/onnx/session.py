"""ONNX graphs in ONNX Runtime, on the CPU: as another program would run an exported model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.backends.onnx.translate import require
from openclap.errors import BadCheckpoint

__all__ = ["OnnxSession"]

Vectors: TypeAlias = npt.NDArray[np.float32]
ERRORS_ONLY = 3  # of ONNX Runtime's five levels of logging


class OnnxSession:
    """A graph that is ready to run.

    Parameters
    ----------
    graph
        A file, or what would stand in one.
    threads
        CPU threads, by default all cores.

    Raises
    ------
    MissingExtra
        onnxruntime is not installed.
    BadCheckpoint
        ONNX Runtime cannot load it.
    """

    def __init__(self, graph: Path | bytes, *, threads: int | None = None) -> None:
        runtime: Any = require("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = ERRORS_ONLY
        try:
            content = str(graph) if isinstance(graph, Path) else graph
            self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # a dozen classes without a root of their own
            what = str(graph) if isinstance(graph, Path) else "the graph"
            why = " ".join(str(error).split())[:200]
            raise BadCheckpoint(f"{what} cannot be loaded by ONNX Runtime ({why}); export it again") from error
        self._inputs = [one.name for one in self._session.get_inputs()]

    def __call__(self, *inputs: npt.NDArray[Any]) -> Vectors:
        """The rows (B, E) for the inputs, in the order of the graph: a wave, or ids and mask."""
        rows: Vectors = self._session.run(None, dict(zip(self._inputs, inputs, strict=True)))[0]
        return rows
