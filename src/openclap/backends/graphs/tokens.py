"""From token ids to the input of a text graph, as graphs (in numpy: `openclap.backends.numpy_text`)."""

from __future__ import annotations

import numpy as np

from openclap.backends.graphs.engine import opset, ov
from openclap.backends.graphs.ops import Graph, Node
from openclap.config import CLAPConfig, TextConfig

__all__ = ["token_vectors", "words"]

TABLE = "text.tower.embeddings."


def token_vectors(g: Graph, text: TextConfig, ids: Node) -> Node:
    """Sums of word, position and type vectors: ids (B, L) → (B, L, D), for a BERT of any kind."""
    if text.kind == "roberta":  # padding is not counted, see numpy_text
        is_token = opset.convert(opset.not_equal(ids, g.index(text.pad_id)), "i64")
        place = opset.cum_sum(is_token, g.index(1)) * is_token + g.index(text.pad_id)
    else:
        place = opset.range(g.index(0), g.reshape(g.length(ids, 1)), g.index(1), "i64")
    kind = g.constant(f"{TABLE}token_type_embeddings.weight")
    vectors = g.rows(f"{TABLE}word_embeddings.weight", ids) + g.part(kind, 0, 1, 0)
    return vectors + g.rows(f"{TABLE}position_embeddings.weight", place)


def words(g: Graph, config: CLAPConfig) -> object:
    """The weighted mean of word vectors: ids and mask (B, L) → (B, E)."""
    ids, mask = (
        opset.parameter([-1, -1], dtype, name=name) for dtype, name in ((np.int64, "input_ids"), (np.float32, "mask"))
    )
    weight = opset.softplus(g.rows("text.gate.weight", ids)) * opset.unsqueeze(mask, g.index([2]))
    total = opset.reduce_sum(g.rows("text.table.weight", ids) * weight, g.index([1]), False)
    mean = total / opset.maximum(opset.reduce_sum(weight, g.index([1]), False), g.number(1e-6))
    return ov.Model([g.projection(mean, "text_projection", config)], [ids, mask], "text")
