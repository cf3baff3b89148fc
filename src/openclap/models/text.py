"""Text towers: token ids → one vector a text.

The transformers are those of Hugging Face, unchanged: with the released weights they give exactly the released vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openclap.config import TextConfig, WordsConfig
from openclap.errors import UsageError

__all__ = ["TextTransformer", "WordVectorTower", "make_bert", "make_clip", "make_gpt2", "make_roberta", "make_sbert"]

Pool = Callable[[Any, Tensor, Tensor], Tensor]  # output of the transformer, ids, mask (B, L) → (B, D)


def _sizes(config: TextConfig) -> dict[str, Any]:
    """Arguments that all configurations of transformers have in common."""
    from transformers.activations import ACT2FN

    if config.activation not in ACT2FN:
        raise UsageError(f"'{config.activation}' is not an activation of transformers, which the text tower is made of")
    return {
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.width // config.head_size,  # of the unpruned tower
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
    """Arguments of the configurations of RoBERTa and BERT."""
    return {
        **_sizes(config),
        "type_vocab_size": config.token_types,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
    }


class TextTransformer(nn.Module):
    """A transformer, and the pooling that makes one vector of its output."""

    def __init__(self, config: TextConfig, tower: nn.Module, pool: Pool) -> None:
        super().__init__()
        self.tower: Any = tower  # a model of transformers
        if config.heads * config.head_size != config.width:
            _shrink_attention(self.tower, config)
        self.pool = pool

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Ids and mask (B, L) → (B, D)."""
        return self.pool(self.tower(input_ids=ids, attention_mask=mask), ids, mask)

    def frames(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The same → the states of all tokens (B, L, D)."""
        states: Tensor = self.tower(input_ids=ids, attention_mask=mask).last_hidden_state
        return states


# attention modules: the layers whose rows are heads, and the attribute that holds the number of heads
ATTENTION_LAYERS = {
    "RobertaSelfAttention": (("query", "key", "value"), "num_attention_heads"),
    "BertSelfAttention": (("query", "key", "value"), "num_attention_heads"),
    "CLIPAttention": (("q_proj", "k_proj", "v_proj"), "num_heads"),
}
# the layers over the output of all heads
OUTPUT_LAYERS = {"RobertaSelfOutput": "dense", "BertSelfOutput": "dense", "CLIPAttention": "out_proj"}
INITIAL_STD = 0.02


def _shrink_attention(tower: nn.Module, config: TextConfig) -> None:
    """Give the attention of a pruned tower fewer heads: new projections of the right size replace its own."""
    inner = config.heads * config.head_size
    for module in tower.modules():
        class_name = type(module).__name__
        if class_name in ATTENTION_LAYERS:
            names, count_name = ATTENTION_LAYERS[class_name]
            for name in names:
                setattr(module, name, _linear(config.width, inner))
            setattr(module, count_name, config.heads)
        if class_name in OUTPUT_LAYERS:
            setattr(module, OUTPUT_LAYERS[class_name], _linear(inner, config.width))


def _linear(width: int, out: int) -> nn.Linear:
    layer = nn.Linear(width, out)
    nn.init.normal_(layer.weight, std=INITIAL_STD)
    nn.init.zeros_(layer.bias)
    return layer


def _pooler_output(output: Any, ids: Tensor, mask: Tensor) -> Tensor:
    pooled: Tensor = output.pooler_output
    return pooled


def _first_state(output: Any, ids: Tensor, mask: Tensor) -> Tensor:
    states: Tensor = output.last_hidden_state  # (B, L, D)
    return states[:, 0]


def _state_at_end(output: Any, ids: Tensor, mask: Tensor) -> Tensor:
    states: Tensor = output.last_hidden_state  # (B, L, D)
    return states[torch.arange(len(ids), device=ids.device), ids.argmax(1)]


def _state_at_last(pad_id: int) -> Pool:
    """The state at the last token, whose place is told by how many tokens are not the pad token.

    Microsoft's code counts so, and pads with "!": each "!" of a text moves the place one token forward.
    """

    def pool(output: Any, ids: Tensor, mask: Tensor) -> Tensor:
        states: Tensor = output.last_hidden_state  # (B, L, D)
        return states[torch.arange(len(ids), device=ids.device), (ids != pad_id).sum(1) - 1]

    return pool


def _mean(output: Any, ids: Tensor, mask: Tensor) -> Tensor:
    states: Tensor = output.last_hidden_state  # (B, L, D)
    weight = mask[..., None].to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1)


class WordVectorTower(nn.Module):
    """A text tower that is the weighted mean of word vectors; the weight of each word is learnt."""

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


def make_roberta(config: TextConfig) -> TextTransformer:
    """RoBERTa, of which the pooler's output is used, or the state of the first token."""
    from transformers import RobertaConfig, RobertaModel

    tower = RobertaModel(RobertaConfig(**_bert_sizes(config)), add_pooling_layer=config.pooler)
    return TextTransformer(config, tower, _pooler_output if config.pooler else _first_state)


def make_bert(config: TextConfig) -> TextTransformer:
    """BERT, of which the pooler's output is used, or the state of the first token."""
    from transformers import BertConfig, BertModel

    tower = BertModel(BertConfig(**_bert_sizes(config)), add_pooling_layer=config.pooler)
    return TextTransformer(config, tower, _pooler_output if config.pooler else _first_state)


def make_clip(config: TextConfig) -> TextTransformer:
    """CLIP, of which the state at the end-of-text token is used, the token with the largest id."""
    from transformers import CLIPTextConfig, CLIPTextModel

    sizes = CLIPTextConfig(**_sizes(config), attention_dropout=config.dropout)
    return TextTransformer(config, CLIPTextModel(sizes), _state_at_end)


def make_sbert(config: TextConfig) -> TextTransformer:
    """Sentence-BERT, of which the mean of all states is used, those of begin and end included."""
    from transformers import BertConfig, BertModel

    return TextTransformer(config, BertModel(BertConfig(**_bert_sizes(config)), add_pooling_layer=False), _mean)


def make_gpt2(config: TextConfig) -> TextTransformer:
    """GPT-2, of which the state at the end-of-text token is used."""
    from transformers import GPT2Config, GPT2Model

    sizes = _sizes(config)
    names = {
        "intermediate_size": "n_inner",
        "layer_norm_eps": "layer_norm_epsilon",
        "hidden_act": "activation_function",
    }
    dropouts = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), config.dropout)
    theirs = GPT2Config(**{names.get(name, name): value for name, value in sizes.items()}, **dropouts, use_cache=False)
    return TextTransformer(config, GPT2Model(theirs), _state_at_last(config.pad_id))
