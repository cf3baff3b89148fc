"""Text towers: token ids → one vector. Knows nothing of texts or tokenizers.

The transformers are Hugging Face's, used as they are: well kept, and exact with the released weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openclap.config import AnyTextConfig, TextConfig, WordsConfig
from openclap.errors import UsageError

__all__ = ["TOWERS", "TextTransformer", "WordVectorTower", "make_text_tower"]

Read = Callable[[Any, Tensor, Tensor], Tensor]  # what the transformer gave, ids, mask (B, L) → (B, D)


def _sizes(config: TextConfig) -> dict[str, Any]:
    """What every configuration of transformers calls by the same names."""
    from transformers.activations import ACT2FN

    if config.activation not in ACT2FN:
        raise UsageError(f"'{config.activation}' is not an activation of transformers, which the text tower is made of")
    return {
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.width // config.head_size,  # of the whole tower, before any was cut
        "intermediate_size": config.intermediate,
        "max_position_embeddings": config.positions,
        "layer_norm_eps": config.layer_norm_eps,
        "hidden_act": config.activation,
        "pad_token_id": config.pad_id,
        "bos_token_id": config.begin_id,
        "eos_token_id": config.end_id,
        "attn_implementation": "sdpa",
    }


def _bert_sizes(config: TextConfig) -> dict[str, Any]:
    """Those of RoBERTa and BERT."""
    return {
        **_sizes(config),
        "type_vocab_size": config.token_types,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
    }


class TextTransformer(nn.Module):
    """A transformer, and what is read of its output."""

    def __init__(self, config: TextConfig, tower: nn.Module, read: Read) -> None:
        super().__init__()
        self.tower: Any = tower  # a model of transformers
        if config.heads * config.head_size != config.width:
            _fewer_heads(self.tower, config)
        self.read = read

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Ids and mask (B, L) → (B, D)."""
        return self.read(self.tower(input_ids=ids, attention_mask=mask), ids, mask)


# in whatever attends: the layers whose rows are heads, and how their number is called
ATTENDS = {
    "RobertaSelfAttention": (("query", "key", "value"), "num_attention_heads"),
    "BertSelfAttention": (("query", "key", "value"), "num_attention_heads"),
    "CLIPAttention": (("q_proj", "k_proj", "v_proj"), "num_heads"),
}
READS = {"RobertaSelfOutput": "dense", "BertSelfOutput": "dense", "CLIPAttention": "out_proj"}  # what all heads gave
INITIAL_STD = 0.02


def _fewer_heads(tower: nn.Module, config: TextConfig) -> None:
    """Layers of a pruned tower: attention takes as many heads as its projections have rows for."""
    inner = config.heads * config.head_size
    for module in tower.modules():
        kind = type(module).__name__
        if kind in ATTENDS:
            names, count = ATTENDS[kind]
            for name in names:
                setattr(module, name, _linear(config.width, inner))
            setattr(module, count, config.heads)
        if kind in READS:
            setattr(module, READS[kind], _linear(inner, config.width))


def _linear(width: int, out: int) -> nn.Linear:
    layer = nn.Linear(width, out)
    nn.init.normal_(layer.weight, std=INITIAL_STD)
    nn.init.zeros_(layer.bias)
    return layer


def _pooler_output(output: Any, ids: Tensor, mask: Tensor) -> Tensor:
    pooled: Tensor = output.pooler_output
    return pooled


def _state_at_end(output: Any, ids: Tensor, mask: Tensor) -> Tensor:
    states: Tensor = output.last_hidden_state  # (B, L, D)
    return states[torch.arange(len(ids), device=ids.device), ids.argmax(1)]


def _mean(output: Any, ids: Tensor, mask: Tensor) -> Tensor:
    states: Tensor = output.last_hidden_state  # (B, L, D)
    weight = mask[..., None].to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1)


class WordVectorTower(nn.Module):
    """The weighted mean of word vectors; how much a word counts is learnt."""

    def __init__(self, config: WordsConfig) -> None:
        super().__init__()
        self.table = nn.Embedding(config.vocabulary, config.width)
        self.gate = nn.Embedding(config.vocabulary, 1)
        nn.init.normal_(self.table.weight, std=config.width**-0.5)
        nn.init.zeros_(self.gate.weight)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Ids and mask (B, L) → (B, D); a text without tokens gives zeros."""
        weight = F.softplus(self.gate(ids)) * mask[..., None]  # (B, L, 1)
        total = (self.table(ids) * weight).sum(1)
        mean: Tensor = total / weight.sum(1).clamp(min=1e-6)
        return mean


def _roberta(config: TextConfig) -> TextTransformer:
    """RoBERTa: the pooler's output."""
    from transformers import RobertaConfig, RobertaModel

    return TextTransformer(config, RobertaModel(RobertaConfig(**_bert_sizes(config))), _pooler_output)


def _bert(config: TextConfig) -> TextTransformer:
    """BERT: the pooler's output."""
    from transformers import BertConfig, BertModel

    return TextTransformer(config, BertModel(BertConfig(**_bert_sizes(config))), _pooler_output)


def _clip(config: TextConfig) -> TextTransformer:
    """CLIP: the state at the end-of-text token, the largest id."""
    from transformers import CLIPTextConfig, CLIPTextModel

    sizes = CLIPTextConfig(**_sizes(config), attention_dropout=config.dropout)
    return TextTransformer(config, CLIPTextModel(sizes), _state_at_end)


def _sbert(config: TextConfig) -> TextTransformer:
    """Sentence-BERT: the mean of the states of a text's tokens, begin and end included."""
    from transformers import BertConfig, BertModel

    return TextTransformer(config, BertModel(BertConfig(**_bert_sizes(config)), add_pooling_layer=False), _mean)


TOWERS: dict[str, Callable[[Any], nn.Module]] = {
    "roberta": _roberta,
    "bert": _bert,
    "clip": _clip,
    "sbert": _sbert,
    "words": WordVectorTower,
}


def make_text_tower(config: AnyTextConfig) -> nn.Module:
    """Build the tower that a configuration describes."""
    return TOWERS[config.kind](config)
