"""The graphs of a model as ONNX: whole ones, as they are exported, and the audio tower alone, for comparing engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from openclap.backends.onnx.translate import translate
from openclap.config import AUDIO, CLAPConfig

if TYPE_CHECKING:
    import onnx

__all__ = ["onnx_graph"]


def onnx_graph(
    config: CLAPConfig,
    weights: Mapping[str, npt.NDArray[Any]],
    tower: str,
    facts: Mapping[str, str] | None = None,
    *,
    int8_rows: bool = False,
) -> onnx.ModelProto:
    """A graph of a model.

    Parameters
    ----------
    tower
        "audio", waves (B, S) → vectors; "text", ids and mask (B, L) → vectors; "mels", what a backend's `encode_audio`
        takes → vectors, for models with a fusion with mels of four views.
    facts
        Metadata of the file.
    int8_rows
        Whether the tables of the text tower are rounded to int8.
    """
    from openclap.backends.graphs.ops import Graph
    from openclap.backends.graphs.whole import audio_graph, text_graph

    build = {"audio": audio_graph, "text": text_graph, "mels": AUDIO[config.audio.kind].load("graph")}[tower]
    return translate(build(Graph(weights, int8_rows=int8_rows), config), dict(facts or {}))
