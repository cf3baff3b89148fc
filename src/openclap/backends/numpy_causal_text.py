"""The text towers whose tokens see only those before them, in numpy: CLIP and GPT-2 (see `numpy_text`).

Padding follows a text, so that no token sees it: these towers need no mask. They give the state at one place, the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from openclap.backends.numpy_text import ACTIVATION_FUNCTIONS, MASKED, Ids, Vectors, layer_norm, linear
from openclap.checkpoints.weights import Weights
from openclap.config import ACTIVATIONS, TextConfig
from openclap.scores import softmax

__all__ = ["CLIP_NAMES", "GPT2_NAMES", "Names", "clip_end", "gpt2_end"]

Linear: TypeAlias = Callable[[Weights, Vectors, str], Vectors]
PREFIX = "text.tower."


@dataclass(frozen=True)
class Names:
    """What transformers calls the parts of such a tower."""

    tokens: str
    positions: str
    layer: str
    qkv: tuple[str, ...]  # three layers, or one that gives all three side by side
    out: str
    up: str
    down: str
    norms: tuple[str, str]  # before the attention and before the MLP
    last: str


CLIP_NAMES = Names(
    f"{PREFIX}embeddings.token_embedding.weight",
    f"{PREFIX}embeddings.position_embedding.weight",
    f"{PREFIX}encoder.layers.",
    ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attn.out_proj",
    "mlp.fc1",
    "mlp.fc2",
    ("layer_norm1", "layer_norm2"),
    f"{PREFIX}final_layer_norm",
)
GPT2_NAMES = Names(
    f"{PREFIX}wte.weight",
    f"{PREFIX}wpe.weight",
    f"{PREFIX}h.",
    ("attn.c_attn",),
    "attn.c_proj",
    "mlp.c_fc",
    "mlp.c_proj",
    ("ln_1", "ln_2"),
    f"{PREFIX}ln_f",
)


def clip(text: TextConfig, weights: Weights, ids: Ids, mask: Ids) -> Vectors:
    x = _states(text, weights, embed_clip_tokens(text, weights, ids), CLIP_NAMES, linear)
    return (x * clip_end(text, ids, mask)[..., None]).sum(1)


def gpt2(text: TextConfig, weights: Weights, ids: Ids, mask: Ids) -> Vectors:
    x = _states(text, weights, embed_gpt2_tokens(text, weights, ids), GPT2_NAMES, _transposed_linear)
    return (x * gpt2_end(text, ids, mask)[..., None]).sum(1)


def embed_clip_tokens(text: TextConfig, weights: Weights, ids: Ids) -> Vectors:
    return _embed_tokens(weights, ids, CLIP_NAMES)


def embed_gpt2_tokens(text: TextConfig, weights: Weights, ids: Ids) -> Vectors:
    return _embed_tokens(weights, ids, GPT2_NAMES)


def clip_end(text: TextConfig, ids: Ids, mask: Ids) -> Vectors:
    """1 at the end-of-text token, the one with the largest id, and 0 elsewhere: float32 (B, L)."""
    return _one_at(ids.argmax(1), ids)


def gpt2_end(text: TextConfig, ids: Ids, mask: Ids) -> Vectors:
    """1 at the place that `models.text` takes, told by the number of tokens that are not the pad token, 0 elsewhere."""
    return _one_at((ids != text.pad_id).sum(1) - 1, ids)


def _one_at(place: Ids, ids: Ids) -> Vectors:
    return (np.arange(ids.shape[1]) == place[:, None]).astype(np.float32)


def _embed_tokens(weights: Weights, ids: Ids, names: Names) -> Vectors:
    """Sums of word and position vectors (B, L, D), the input of the transformer."""
    return weights.rows(names.tokens, ids) + weights.rows(names.positions, np.arange(ids.shape[1]))


def _states(text: TextConfig, weights: Weights, x: Vectors, names: Names, linear: Linear) -> Vectors:
    """Run the layers over token vectors (B, L, D) → states (B, L, D)."""
    eps, activate = text.layer_norm_eps, ACTIVATION_FUNCTIONS[ACTIVATIONS[text.activation]]
    length = x.shape[1]
    later = np.where(np.tri(length, dtype=bool), np.float32(0), MASKED)
    for layer in range(text.layers):
        at = f"{names.layer}{layer}."
        normal = layer_norm(weights, x, at + names.norms[0], eps)
        parts = [linear(weights, normal, at + name) for name in names.qkv]
        query, key, value = (_heads(part, text.heads) for part in np.split(np.concatenate(parts, -1), 3, -1))
        scores = query @ key.swapaxes(-1, -2) * np.float32(text.head_size**-0.5) + later
        mixed = (softmax(scores) @ value).transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1)
        x = x + linear(weights, mixed, at + names.out)
        normal = layer_norm(weights, x, at + names.norms[1], eps)
        x = x + linear(weights, activate(linear(weights, normal, at + names.up)), at + names.down)
    return layer_norm(weights, x, names.last, eps)


def _heads(x: Vectors, heads: int) -> Vectors:
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)  # (B, H, L, D / H)


def _transposed_linear(weights: Weights, x: Vectors, name: str) -> Vectors:
    """A linear layer whose weight is (in, out)."""
    product: Vectors = x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return product
