"""Text towers as graphs that begin with token ids (in numpy: `openclap.backends.numpy_text`): ids, mask → (B, E)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openclap.backends.graphs import bert as graphs
from openclap.backends.graphs import causal_text
from openclap.backends.graphs.engine import opset
from openclap.backends.graphs.ops import Graph, Node, join
from openclap.backends.numpy_causal_text import CLIP_NAMES, GPT2_NAMES, Names
from openclap.config import CLAPConfig, TextConfig

__all__ = ["bert", "clip", "gpt2", "roberta", "sbert", "words"]

TABLE = "text.tower.embeddings."


def words(g: Graph, config: CLAPConfig, ids: Node, mask: Node) -> Node:
    """The weighted mean of word vectors."""
    weight = opset.softplus(g.rows("text.gate.weight", ids)) * opset.unsqueeze(mask, g.index([2]))
    total = opset.reduce_sum(g.rows("text.table.weight", ids) * weight, g.index([1]), False)
    mean = total / opset.maximum(opset.reduce_sum(weight, g.index([1]), False), g.number(1e-6))
    return g.projection(mean, "text_projection", config)


def roberta(g: Graph, config: CLAPConfig, ids: Node, mask: Node) -> Node:
    """RoBERTa, whose padding is not counted (see `numpy_text.embed_roberta_tokens`)."""
    assert isinstance(config.text, TextConfig)
    pad = g.index(config.text.pad_id)
    is_token = opset.convert(opset.not_equal(ids, pad), "i64")
    return _transformer(g, config, graphs.bert, ids, opset.cum_sum(is_token, g.index(1)) * is_token + pad, mask)


def bert(g: Graph, config: CLAPConfig, ids: Node, mask: Node) -> Node:
    """BERT."""
    return _transformer(g, config, graphs.bert, ids, _places(g, ids), mask)


def sbert(g: Graph, config: CLAPConfig, ids: Node, mask: Node) -> Node:
    """Sentence-BERT."""
    return _transformer(g, config, graphs.sbert, ids, _places(g, ids), mask)


def clip(g: Graph, config: CLAPConfig, ids: Node, mask: Node) -> Node:
    """CLIP, which gives the state of the end-of-text token: the first of the largest ids."""
    is_largest = opset.convert(opset.equal(ids, opset.reduce_max(ids, g.index([1]), True)), "i64")
    is_end = opset.equal(opset.cum_sum(is_largest, g.index(1)) * is_largest, g.index(1))
    return join(causal_text.clip(g, config), [_causal(g, CLIP_NAMES, ids), opset.convert(is_end, "f32")])


def gpt2(g: Graph, config: CLAPConfig, ids: Node, mask: Node) -> Node:
    """GPT-2, which gives the state at the place told by the number of tokens that are not the pad token."""
    is_token = opset.convert(opset.not_equal(ids, g.index(config.text.pad_id)), "i64")
    end = opset.reduce_sum(is_token, g.index([1]), True) - g.index(1)
    is_end = opset.convert(opset.equal(_places(g, ids), end), "f32")
    return join(causal_text.gpt2(g, config), [_causal(g, GPT2_NAMES, ids), is_end])


def _causal(g: Graph, names: Names, ids: Node) -> Node:
    """Sums of word and position vectors (B, L, D)."""
    return g.rows(names.tokens, ids) + g.rows(names.positions, _places(g, ids))


def _places(g: Graph, ids: Node) -> Node:
    """0, 1, 2, …: (L,)."""
    return opset.range(g.index(0), g.reshape(g.length(ids, 1)), g.index(1), "i64")


def _transformer(
    g: Graph, config: CLAPConfig, build: Callable[[Graph, CLAPConfig], Any], ids: Node, place: Node, mask: Node
) -> Node:
    """The graph of a tower over sums of word, position and type vectors (B, L, D)."""
    kind = g.constant(f"{TABLE}token_type_embeddings.weight")
    vectors = g.rows(f"{TABLE}word_embeddings.weight", ids) + g.part(kind, 0, 1, 0)
    return join(build(g, config), [vectors + g.rows(f"{TABLE}position_embeddings.weight", place), mask])
