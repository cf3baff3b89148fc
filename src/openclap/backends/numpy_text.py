"""The text towers in numpy, on the mapped weights of a checkpoint: nothing to import and nothing to compile.

For one query this is faster than any engine that must be loaded first: a RoBERTa takes about 0.12 s on one core, mostly
to read its weights. `openclap.models.text` is the same in torch; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from openclap.checkpoints.weights import Weights
from openclap.config import ACTIVATIONS, TEXT, AnyTextConfig, CLAPConfig, TextConfig, WordsConfig
from openclap.normalization import normalize_rows
from openclap.scores import logistic, softmax

if TYPE_CHECKING:
    from openclap.backends.outputs import TowerOutput

__all__ = ["ACTIVATION_FUNCTIONS", "MASKED", "Ids", "Vectors", "encode", "layer_norm", "linear", "why_unsupported"]

Vectors = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
PREFIX = "text.tower."
ROW_MULTIPLE = 8  # matrix products are slower where their rows are no multiple of this
MASKED = np.float32(-1e9)
PROJECTION_EPS = 1e-5


def why_unsupported(text: AnyTextConfig) -> str | None:
    """The reason why only torch runs this tower; None where numpy runs it too."""
    if TEXT[text.kind].numpy is None and not text.is_missing:
        return f"its {text.kind} text tower has no graph"
    unknown = [name for name in text.activations if name not in ACTIVATIONS]
    return f"its text tower's {unknown[0]} has no graph" if unknown else None


def encode(config: CLAPConfig, weights: Weights, ids: Ids, mask: Ids, output: TowerOutput = "unit") -> Vectors:
    """Token ids and mask (B, L) → (B, E) unit rows, "projected" or "pooled"; states are for the graph."""
    x: Vectors = TEXT[config.text.kind].load("numpy")(config.text, weights, ids, mask)
    if output == "pooled":
        return x
    projected = _project(config, weights, x)
    return projected if output == "projected" else normalize_rows(projected)


def _project(config: CLAPConfig, weights: Weights, x: Vectors) -> Vectors:
    """The projection (B, D) → (B, E)."""
    first = linear(weights, x, "text_projection.0")
    if config.projection == "residual":
        first = first + linear(weights, _gelu(first), "text_projection.2")
        return layer_norm(weights, first, "text_projection.4", PROJECTION_EPS)
    return linear(weights, np.maximum(first, 0), "text_projection.2")


def embed_roberta_tokens(text: TextConfig, weights: Weights, ids: Ids) -> Vectors:
    """Token vectors of RoBERTa: padding, also within a text, has the pad token's position and is not counted."""
    is_token = ids != text.pad_id
    return _embed_tokens(weights, ids, np.cumsum(is_token, 1) * is_token + text.pad_id)


def embed_bert_tokens(text: TextConfig, weights: Weights, ids: Ids) -> Vectors:
    return _embed_tokens(weights, ids, np.arange(ids.shape[1]))


def _embed_tokens(weights: Weights, ids: Ids, position: Ids) -> Vectors:
    """Sums of word, position and type vectors (B, L, D), the input of a transformer."""
    table = f"{PREFIX}embeddings."
    kind = weights.rows(f"{table}token_type_embeddings.weight", np.zeros(1, np.int64))
    words = weights.rows(f"{table}word_embeddings.weight", ids)
    return words + kind + weights.rows(f"{table}position_embeddings.weight", position)


def words(text: WordsConfig, weights: Weights, ids: Ids, mask: Ids) -> Vectors:
    """The weighted mean of word vectors (B, D)."""
    gate = weights.rows("text.gate.weight", ids)
    weight = np.logaddexp(gate, np.float32(0)) * mask[..., None].astype(np.float32)  # softplus
    total = (weights.rows("text.table.weight", ids) * weight).sum(1)
    mean: Vectors = total / np.maximum(weight.sum(1), np.float32(1e-6))
    return mean


def roberta(text: TextConfig, weights: Weights, ids: Ids, mask: Ids) -> Vectors:
    return _pool(text, weights, _states(text, weights, embed_roberta_tokens(text, weights, ids), mask))


def bert(text: TextConfig, weights: Weights, ids: Ids, mask: Ids) -> Vectors:
    return _pool(text, weights, _states(text, weights, embed_bert_tokens(text, weights, ids), mask))


def sbert(text: TextConfig, weights: Weights, ids: Ids, mask: Ids) -> Vectors:
    states = _states(text, weights, embed_bert_tokens(text, weights, ids), mask)
    weight = mask[..., None].astype(np.float32)
    mean: Vectors = (states * weight).sum(1) / weight.sum(1)
    return mean


def _pool(text: TextConfig, weights: Weights, states: Vectors) -> Vectors:
    """The pooler's output, or the state of the first token (B, D)."""
    if not text.pooler:
        return states[:, 0]
    pooled: Vectors = np.tanh(linear(weights, states[:, 0], f"{PREFIX}pooler.dense"))
    return pooled


def _states(text: TextConfig, weights: Weights, x: Vectors, mask: Ids) -> Vectors:
    """Run the layers of a BERT over token vectors (B, L, D) → states (B, L, D)."""
    eps, activate = text.layer_norm_eps, ACTIVATION_FUNCTIONS[ACTIVATIONS[text.activation]]
    bias = np.where(mask > 0, np.float32(0), MASKED)[:, None, None]
    x = layer_norm(weights, x, f"{PREFIX}embeddings.LayerNorm", eps)
    for layer in range(text.layers):
        name = f"{PREFIX}encoder.layer.{layer}"
        attended = _attention(text, weights, x, f"{name}.attention.self", bias)
        attended = linear(weights, attended, f"{name}.attention.output.dense")
        x = layer_norm(weights, x + attended, f"{name}.attention.output.LayerNorm", eps)
        hidden = activate(linear(weights, x, f"{name}.intermediate.dense"))
        hidden = linear(weights, hidden, f"{name}.output.dense")
        x = layer_norm(weights, x + hidden, f"{name}.output.LayerNorm", eps)
    return x


def _attention(text: TextConfig, weights: Weights, x: Vectors, name: str, bias: npt.NDArray[Any]) -> Vectors:
    batch, length, _ = x.shape

    def heads(which: str) -> Vectors:
        y = linear(weights, x, f"{name}.{which}").reshape(batch, length, text.heads, -1)
        return y.transpose(0, 2, 1, 3)  # (B, H, L, D / H)

    scores = heads("query") @ heads("key").swapaxes(-1, -2) * np.float32(text.head_size**-0.5) + bias
    mixed: Vectors = (softmax(scores) @ heads("value")).transpose(0, 2, 1, 3).reshape(batch, length, -1)
    return mixed


def linear(weights: Weights, x: Vectors, name: str) -> Vectors:
    """A linear layer (…, D) → (…, D'). The weight, read once, is the left factor; rows are padded for speed."""
    rows = x.reshape(-1, x.shape[-1])
    padded = np.pad(rows, ((0, -len(rows) % ROW_MULTIPLE), (0, 0)))
    product = (weights[f"{name}.weight"] @ padded.T).T[: len(rows)]
    if f"{name}.bias" in weights:
        product = product + weights[f"{name}.bias"]
    shaped: Vectors = product.reshape(*x.shape[:-1], -1)
    return shaped


def layer_norm(weights: Weights, x: Vectors, name: str, eps: float) -> Vectors:
    """A layer norm over the last axis."""
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(eps))
    normal: Vectors = x * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return normal


def _gelu(x: Vectors) -> Vectors:
    return x * (1 + _erf(x * np.float32(0.5**0.5))) * np.float32(0.5)


def _gelu_tanh(x: Vectors) -> Vectors:
    inner: Vectors = np.float32((2 / np.pi) ** 0.5) * (x + np.float32(0.044715) * x**3)
    y: Vectors = x * (1 + np.tanh(inner)) * np.float32(0.5)
    return y


ACTIVATION_FUNCTIONS: dict[str, Callable[[Vectors], Vectors]] = {
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "quick_gelu": lambda x: x * logistic(np.float32(1.702) * x),
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x * logistic(x),
}


def _erf(x: Vectors) -> Vectors:
    """The error function by Abramowitz and Stegun 7.1.26, with an error of at most 1.5e-7."""
    t = 1 / (1 + np.float32(0.3275911) * np.abs(x))
    series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
    signed: Vectors = np.copysign(1 - series * np.exp(-x * x), x).astype(np.float32)
    return signed
