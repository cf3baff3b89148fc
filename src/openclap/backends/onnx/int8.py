"""ONNX graphs in int8, by ONNX Runtime's own quantiser: smaller files, faster on most processors.

Convolutions are quantised with ranges that were calibrated (QDQ); products of a transformer with ranges that are found
as the graph runs, which calibration cannot better. The front end and the first convolution stay float32, as eight bits
are too few for a mel with quiet and loud parts. Weights have seven bits: on processors without VNNI two products of eight
are added in sixteen bits, which do not hold their sum.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from openclap.backends.graphs.whole import FRONT_END
from openclap.backends.onnx.translate import require

if TYPE_CHECKING:
    import onnx

__all__ = ["quantise"]


def quantise(model: onnx.ModelProto, calibration: Sequence[npt.NDArray[np.float32]] = ()) -> bytes:
    """A graph in int8, as the content of a file; `calibration` are waves (1, S) for graphs with convolutions."""
    require("onnxruntime")
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    kept = [node.name for node in model.graph.node if node.name.startswith(FRONT_END)] + convolutions[:1]
    shared: dict[str, Any] = {
        "per_channel": True,
        "weight_type": QuantType.QInt8,
        "reduce_range": True,
        "nodes_to_exclude": kept,
    }
    with tempfile.TemporaryDirectory() as folder, _silence():
        file = Path(folder, "int8.onnx")
        if convolutions:
            shared |= {"quant_format": QuantFormat.QDQ, "op_types_to_quantize": ["Conv", "MatMul"]}
            quantize_static(model, file, _Calibration(calibration), activation_type=QuantType.QUInt8, **shared)
        else:
            quantize_dynamic(model, file, op_types_to_quantize=["MatMul"], **shared)
        return file.read_bytes()


class _Calibration:
    """What ONNX Runtime calls a CalibrationDataReader."""

    def __init__(self, waves: Sequence[npt.NDArray[np.float32]]) -> None:
        self._left = iter(waves)

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        """The inputs of the next run."""
        wave = next(self._left, None)
        return None if wave is None else {"wave": wave}


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Without what the quantiser prints and logs."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.root.setLevel(level)
