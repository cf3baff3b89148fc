"""RoBERTa, BERT and Sentence-BERT as graphs over embedded tokens (see `transformers.BertModel`).

The table of word vectors is not part of the graph; it stays mapped.
"""

from __future__ import annotations

import numpy as np

from openclap.backends.graphs.engine import opset, ov
from openclap.backends.graphs.ops import Graph, Node
from openclap.config import CLAPConfig, TextConfig

__all__ = ["bert", "sbert"]


def bert(g: Graph, config: CLAPConfig) -> object:
    """RoBERTa and BERT: sums of word, position and type vectors (B, L, D), mask (B, L) of 0 or 1 → (B, E)."""
    inputs, states = _states(g, config)
    first = opset.gather(states, opset.constant(np.int64(0)), opset.constant(np.int64(1)))
    assert isinstance(config.text, TextConfig)
    pooled = opset.tanh(g.linear(first, "text.tower.pooler.dense")) if config.text.pooler else first
    return ov.Model([g.projection(pooled, "text_projection", config)], inputs, "text")


def sbert(g: Graph, config: CLAPConfig) -> object:
    """Sentence-BERT, with the same inputs; instead of a pooler it takes the mean of the states where the mask is 1."""
    inputs, states = _states(g, config)
    weight = opset.unsqueeze(inputs[1], g.index([2]))
    total = opset.reduce_sum(states * weight, g.index([1]), False)
    mean = total / opset.reduce_sum(weight, g.index([1]), False)
    return ov.Model([g.projection(mean, "text_projection", config)], inputs, "text")


def _states(g: Graph, config: CLAPConfig) -> tuple[list[Node], Node]:
    """The inputs of the graph, and the states (B, L, D) after all layers."""
    text = config.text
    assert isinstance(text, TextConfig)
    eps = text.layer_norm_eps
    vectors = opset.parameter([-1, -1, text.width], np.float32, "vectors")
    mask = opset.parameter([-1, -1], np.float32, "mask")
    bias = opset.unsqueeze((mask - g.number(1)) * g.number(1e9), g.index([1, 2]))
    x = g.layer_norm(vectors, "text.tower.embeddings.LayerNorm", eps)
    for layer in range(text.layers):
        name = f"text.tower.encoder.layer.{layer}"
        attended = g.linear(_attention(g, x, f"{name}.attention.self", text, bias), f"{name}.attention.output.dense")
        x = g.layer_norm(x + attended, f"{name}.attention.output.LayerNorm", eps)
        hidden = g.activation(g.linear(x, f"{name}.intermediate.dense"), text.activation)
        x = g.layer_norm(x + g.linear(hidden, f"{name}.output.dense"), f"{name}.output.LayerNorm", eps)
    g.marked["frames"] = x
    return [vectors, mask], x


def _attention(g: Graph, x: Node, name: str, text: TextConfig, bias: Node) -> Node:
    size = text.head_size

    def heads(which: str) -> Node:
        y = g.reshape(g.linear(x, f"{name}.{which}"), 0, 0, text.heads, size)
        return g.transpose(y, 0, 2, 1, 3)  # (B, H, L, D / H)

    scores = opset.matmul(heads("query") * g.number(size**-0.5), heads("key"), False, True) + bias
    mixed = opset.matmul(opset.softmax(scores, -1), heads("value"), False, False)
    return g.reshape(g.transpose(mixed, 0, 2, 1, 3), 0, 0, text.heads * size)
