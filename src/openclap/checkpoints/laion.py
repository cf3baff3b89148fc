"""The weights of LAION's `.pt` files: their architecture is inferred from shapes, and they are renamed.

Reference: LAION-AI/CLAP. A released file holds {"epoch", "name", "state_dict", "optimizer"} and no
configuration: only the names and shapes of its weights show what the model is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol, TypeAlias

from openclap.checkpoints.weights import Entry, split_part
from openclap.config import CLAPConfig, FrontEnd, Fusion, HTSATConfig, PANNConfig, TextConfig
from openclap.errors import BadCheckpoint, UsageError

__all__ = [
    "HasShape",
    "Rule",
    "apply_rules",
    "infer_bert",
    "infer_config",
    "infer_htsat",
    "infer_pann",
    "named_faults",
    "read_laion",
    "rename_weights",
]

Rule: TypeAlias = tuple[str, str | Callable[[re.Match[str]], str]]

UNUSED = re.compile(
    r"""logit_scale_t$                      # never trained: logit_scale_a serves both directions
    | (audio|text)_transform\.              # for the mlp loss, which no released checkpoint used
    | audio_branch\.(spectrogram_extractor|logmel_extractor)\.   # the front end, frozen
    | audio_branch\.(tscam_conv|head|fc_audioset)\.              # class outputs that CLAP never uses
    | .*\.(relative_position_index|attn_mask)$                   # derived from the architecture
    | attn_mask$                            # the causal mask of the CLIP tower, likewise
    | text_branch\.embeddings\.(position_ids|token_type_ids)$
    """,
    re.VERBOSE,
)


class HasShape(Protocol):
    """Anything with a shape, which is all that is needed to infer the architecture."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of its axes."""


def _conv(match: re.Match[str]) -> str:
    """The new name of `conv_block3.bn2.`, `blocks.2.convs.1.1.`: LAION counts from 1."""
    return f"audio.blocks.{int(match[1]) - 1}.convs.{int(match[3]) - 1}.{'01'[match[2] == 'bn']}."


_BLOCK = r"^audio_branch\.layers\.(\d+)\.blocks\.(\d+)\."
_RESBLOCK = r"^text_branch\.resblocks\.(\d+)\."

# (LAION, openclap): all rules that match are applied, in this order
RULES: tuple[Rule, ...] = (
    (r"^logit_scale_a$", "logit_scale"),
    # HTSAT
    (r"^audio_branch\.patch_embed\.mel_conv2d\.", "audio.patches.local_project."),
    (r"^audio_branch\.patch_embed\.fusion_model\.", "audio.patches.fusion."),
    (r"^audio_branch\.patch_embed\.proj\.", "audio.patches.project."),
    (r"^audio_branch\.patch_embed\.norm\.", "audio.patches.norm."),
    (_BLOCK + r"attn\.relative_position_bias_table$", r"audio.stages.\1.blocks.\2.attention.bias_table"),
    (_BLOCK + r"attn\.qkv\.", r"audio.stages.\1.blocks.\2.attention.qkv."),
    (_BLOCK + r"attn\.proj\.", r"audio.stages.\1.blocks.\2.attention.out."),
    (_BLOCK + r"mlp\.fc1\.", r"audio.stages.\1.blocks.\2.mlp.0."),
    (_BLOCK + r"mlp\.fc2\.", r"audio.stages.\1.blocks.\2.mlp.2."),
    (_BLOCK + r"norm([12])\.", r"audio.stages.\1.blocks.\2.norm\3."),
    (r"^audio_branch\.layers\.(\d+)\.downsample\.reduction\.", r"audio.stages.\1.merge.reduce."),
    (r"^audio_branch\.layers\.(\d+)\.downsample\.norm\.", r"audio.stages.\1.merge.norm."),
    (r"^audio_branch\.mel_conv1d\.", "audio.local_project."),
    (r"^audio_branch\.norm\.", "audio.norm."),
    # PANN
    (r"^audio_branch\.conv_block(\d+)\.(conv|bn)(\d+)\.", _conv),
    (r"^audio_branch\.mel_conv2d\.", "audio.local_project."),
    (r"^audio_branch\.fc1\.", "audio.hidden."),
    # both
    (r"^audio_branch\.bn0\.", "audio.batch_norm."),
    (r"^audio_branch\.fusion_model\.", "audio.fusion."),
    (r"^(audio\..*)\.(local|global)_att(2?)\.", r"\1.\2_attention\3."),
    # CLIP's text transformer, whose ends lie beside text_branch; `in_proj` is q, k and v in one (see rename)
    (r"^token_embedding\.", "text.tower.embeddings.token_embedding."),
    (r"^positional_embedding$", "text.tower.embeddings.position_embedding.weight"),
    (r"^ln_final\.", "text.tower.final_layer_norm."),
    (_RESBLOCK + r"attn\.in_proj_", r"text.tower.encoder.layers.\1.self_attn.in_proj."),
    (_RESBLOCK + r"attn\.out_proj\.", r"text.tower.encoder.layers.\1.self_attn.out_proj."),
    (_RESBLOCK + r"ln_([12])\.", r"text.tower.encoder.layers.\1.layer_norm\2."),
    (_RESBLOCK + r"mlp\.c_fc\.", r"text.tower.encoder.layers.\1.mlp.fc1."),
    (_RESBLOCK + r"mlp\.c_proj\.", r"text.tower.encoder.layers.\1.mlp.fc2."),
    # RoBERTa and BERT have transformers' own names
    (r"^text_branch\.(embeddings|encoder|pooler)\.", r"text.tower.\1."),
)
COMPILED_RULES = [(re.compile(pattern), new) for pattern, new in RULES]


def read_laion(weights: Mapping[str, Entry], where: str) -> tuple[CLAPConfig, dict[str, Entry]]:
    """Weights by LAION's names (without `module.`) → configuration, and all weights by openclap's names.

    Raises
    ------
    BadCheckpoint
        They are not those of a complete CLAP.
    """
    return infer_config(weights, where), rename_weights(weights)


def rename_weights(weights: Mapping[str, Entry]) -> dict[str, Entry]:
    """Rename weights from LAION's names (without `module.`) to openclap's, and leave out unused ones.

    Names that no rule matches do not change, so that the check against the model reports them.
    """
    ours: dict[str, Entry] = {}
    for key, entry in weights.items():
        if UNUSED.match(key):
            continue
        new = apply_rules(key, COMPILED_RULES)
        if ".self_attn.in_proj." in new:
            for index, which in enumerate("qkv"):
                ours[new.replace(".in_proj.", f".{which}_proj.")] = split_part(entry, index, 3)
        else:
            ours[new] = entry
    return ours


def apply_rules(name: str, rules: Iterable[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]) -> str:
    """A name after all rules that match it, in their order."""
    for pattern, new in rules:
        name = pattern.sub(new, name, count=1)
    return name


def infer_config(weights: Mapping[str, HasShape], where: str = "this state dict") -> CLAPConfig:
    """Infer the configuration of a LAION state dict (without `module.`) from names and shapes.

    Unfused models were trained on the Slaney mel bank, fused ones on the HTK bank, all on samples of 16 bits.

    Raises
    ------
    BadCheckpoint
        A weight that shows the architecture is missing, or openclap cannot combine these towers and fusion.
    """
    with named_faults(where):
        fusion = _fusion(weights)
        htk = FrontEnd(mel_scale="htk", mel_norm=None, quantise="int16")
        return CLAPConfig(
            audio=infer_pann(weights) if "audio_branch.conv_block1.conv1.weight" in weights else infer_htsat(weights),
            text=_text(weights),
            front_end=replace(htk, mel_scale="slaney", mel_norm="slaney") if fusion is None else htk,
            fusion=fusion,
            embedding=weights["audio_projection.2.weight"].shape[0],
            name="laion",
        )


@contextmanager
def named_faults(where: str) -> Iterator[None]:
    """Raise BadCheckpoint where a weight is missing that shows the architecture, or where no such model can be."""
    try:
        yield
    except KeyError as error:
        raise BadCheckpoint(
            f"{where}: weight {error} is missing, so the architecture cannot be told; give a complete CLAP "
            "with HTSAT or PANN and RoBERTa, BERT, GPT-2 or CLIP's text transformer"
        ) from error
    except UsageError as error:
        raise BadCheckpoint(f"{where}: a model that openclap cannot build: {error}") from error


def _fusion(weights: Mapping[str, HasShape]) -> Fusion | None:
    names = " ".join(weights)
    if "mel_conv1d." not in names and "mel_conv2d." not in names:
        first = ("audio_branch.patch_embed.proj.weight", "audio_branch.conv_block1.conv1.weight")
        return "channel_map" if any(weights[key].shape[1] == 4 for key in first if key in weights) else None
    kind = "iaff" if ".local_att2." in names else "aff" if ".local_att." in names else "daf"
    return f"{kind}_{'1d' if 'mel_conv1d.' in names else '2d'}"  # type: ignore[return-value]


def _count(names: Iterable[str], pattern: str) -> int:
    """One more than the largest number that `pattern` finds at the start of a name."""
    found = re.compile(pattern)
    return 1 + max((int(m[1]) for m in map(found.match, names) if m), default=-1)


def infer_htsat(weights: Mapping[str, HasShape]) -> HTSATConfig:
    """The HTSAT of a state dict in LAION's names."""
    stages = _count(weights, r"audio_branch\.layers\.(\d+)\.")
    table = "audio_branch.layers.{}.blocks.0.attn.relative_position_bias_table"
    positions = weights[table.format(0)].shape[0]  # (2 * window - 1)²
    project = weights["audio_branch.patch_embed.proj.weight"]
    return HTSATConfig(
        width=project.shape[0],
        depths=tuple(_count(weights, rf"audio_branch\.layers\.{i}\.blocks\.(\d+)\.") for i in range(stages)),
        heads=tuple(weights[table.format(i)].shape[1] for i in range(stages)),
        window=(round(positions**0.5) + 1) // 2,
        patch=project.shape[-1],
    )


def infer_pann(weights: Mapping[str, HasShape], *, hidden: bool = True) -> PANNConfig:
    """The PANN of a state dict in LAION's names; `hidden` says whether it must have the layer after the pooling."""
    blocks = _count(weights, r"audio_branch\.conv_block(\d+)\.") - 1
    first = "audio_branch.conv_block{}.conv1.weight"
    widths = tuple(weights[first.format(i + 1)].shape[0] for i in range(blocks))
    return PANNConfig(
        widths=widths,
        hidden=hidden,
        convs=_count(weights, r"audio_branch\.conv_block1\.conv(\d+)\.") - 1,
        kernel=weights[first.format(1)].shape[-1],
        pools=tuple((2, 2) if i < 5 else (1, 1) for i in range(blocks)),  # Cnn14's sixth does not pool
        output=weights["audio_branch.fc1.weight"].shape[0] if hidden else widths[-1],
    )


def _text(weights: Mapping[str, HasShape]) -> TextConfig:
    if "token_embedding.weight" in weights:
        positions, width = weights["positional_embedding"].shape
        return replace(
            TextConfig.preset("clip"),
            vocabulary=weights["token_embedding.weight"].shape[0],
            width=width,
            heads=width // 64,
            layers=_count(weights, r"text_branch\.resblocks\.(\d+)\."),
            intermediate=weights["text_branch.resblocks.0.mlp.c_fc.weight"].shape[0],
            positions=positions,
            activation="gelu",  # LAION trained it from scratch with torch's GELU, not with OpenAI's quick one
        )
    return infer_bert(weights)


def infer_bert(weights: Mapping[str, HasShape]) -> TextConfig:
    """The RoBERTa or BERT of a state dict in LAION's names, which are those of transformers after `text_branch.`."""
    words = weights["text_branch.embeddings.word_embeddings.weight"]
    types = weights["text_branch.embeddings.token_type_embeddings.weight"].shape[0]
    return replace(
        TextConfig.preset("roberta" if types == 1 else "bert"),
        vocabulary=words.shape[0],
        width=words.shape[1],
        heads=words.shape[1] // 64,
        layers=_count(weights, r"text_branch\.encoder\.layer\.(\d+)\."),
        intermediate=weights["text_branch.encoder.layer.0.intermediate.dense.weight"].shape[0],
        positions=weights["text_branch.embeddings.position_embeddings.weight"].shape[0],
        token_types=types,
    )
