"""Whole models as graphs, with nothing outside: waves → unit vectors, token ids → unit vectors.

They are joined from the graphs of the towers and those of what comes before a tower. `openclap.backends.onnx` writes
them to files.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from openclap.backends.graphs.engine import opset, ov
from openclap.backends.graphs.front_end import clip_views, window_mels
from openclap.backends.graphs.ops import Graph, Node, join
from openclap.config import AUDIO, TEXT, AnyTextConfig, CLAPConfig
from openclap.errors import ModelError

__all__ = ["FRONT_END", "audio_graph", "text_graph", "why_no_token_graph"]

FRONT_END = "front_end"  # how the names of its operators begin


def audio_graph(g: Graph, config: CLAPConfig) -> Any:
    """The graph: `wave` (B, S) at the model's rate, S >= 1 → `embedding` (B, E), as `CLAP.encode_audio` makes it."""
    wave = opset.parameter([-1, -1], np.float32, name="wave")
    windows: Node = None
    if config.fusion is None:
        mel, windows = window_mels(g, wave, config.front_end)
        made = [mel]
    else:
        made = list(clip_views(g, wave, config.front_end))
    for i, op in enumerate(ov.Model(made, [wave], "front end").get_ordered_ops()):
        if op.get_type_name() != "Parameter":
            op.set_friendly_name(f"{FRONT_END} {i}")
    rows = join(AUDIO[config.audio.kind].load("graph")(g, config), made)
    if windows is not None:  # the mean of the windows of a recording
        shape = opset.concat([g.index([-1]), windows, g.index([config.embedding])], 0)
        rows = g.unit(g.mean(opset.reshape(rows, shape, True), 1))
    return _named(rows, [wave])


def text_graph(g: Graph, config: CLAPConfig) -> Any:
    """The graph: `input_ids` and `attention_mask` (B, L) → `embedding` (B, E)."""
    why_not = why_no_token_graph(config.text)
    if why_not is not None:
        raise ModelError(f"{config.name}: {why_not}")
    ids, mask = (opset.parameter([-1, -1], np.int64, name=name) for name in ("input_ids", "attention_mask"))
    rows = TEXT[config.text.kind].load("token_graph")(g, config, ids, opset.convert(mask, "f32"))
    return _named(rows, [ids, mask])


def why_no_token_graph(text: AnyTextConfig) -> str | None:
    """The reason why no graph of this text tower reads token ids; None where there is one."""
    if TEXT[text.kind].token_graph is None:
        return f"its {text.kind} text tower has no graph that reads token ids"
    return None


def _named(rows: Node, inputs: list[Node]) -> Any:
    for one in inputs:
        one.output(0).get_tensor().set_names({one.get_friendly_name()})
    rows.output(0).get_tensor().set_names({"embedding"})
    return ov.Model([rows], inputs, "openclap")
