"""The names and shapes of the weights that a configuration needs, and whether those of a file fit.

The names are those of the torch modules' state dicts; a test holds the two equal for every combination of towers. Known
without torch, they show a broken file before anything is built. Counters of batches are left out, as inference never
reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from openclap.config import (
    AUDIO,
    TEXT,
    CLAPConfig,
    Encoder,
    FrontEnd,
    Fusion,
    HTSATConfig,
    MobileNetConfig,
    PANNConfig,
    TextConfig,
    WordsConfig,
)
from openclap.errors import BadCheckpoint

__all__ = ["COUNTER", "check_fit", "shapes_of"]

Shapes = dict[str, tuple[int, ...]]

COUNTER = ".num_batches_tracked"
REDUCTION = 4  # of the channels, in the attention of the fusions
VIEWS, LOCAL = 4, 3


def shapes_of(config: CLAPConfig) -> Shapes:
    """The shape of every weight of a model, by name."""
    audio, text = config.audio, config.text
    return {
        "logit_scale": (),
        **_tower("audio", AUDIO[audio.kind], audio, config.front_end, config.fusion),
        **_tower("text", TEXT[text.kind], text),
        **_projection("audio_projection", config, audio.output),
        **_projection("text_projection", config, text.output),
    }


def check_fit(config: CLAPConfig, shapes: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Compare the weights of a file with those that the configuration needs.

    Raises
    ------
    BadCheckpoint
        They differ; the message names the first ten that are missing, left over or of another shape.
    """
    wanted = shapes_of(config)
    given = {name: tuple(shape) for name, shape in shapes.items() if not name.endswith(COUNTER)}
    misfits = {
        "missing": sorted(set(wanted) - set(given)),
        "left over": sorted(set(given) - set(wanted)),
        "of another shape": sorted(name for name in set(wanted) & set(given) if wanted[name] != given[name]),
    }
    if any(misfits.values()):
        listed = "; ".join(
            f"{len(names)} {what}: {', '.join(names[:10])}{', …' if len(names) > 10 else ''}"
            for what, names in misfits.items()
            if names
        )
        raise BadCheckpoint(
            f"{where}: the weights do not fit the architecture ({listed}); the file is incomplete or of another model:"
            " download it again"
        )


def _tower(part: str, encoder: Encoder, *arguments: Any) -> Shapes:
    """The shapes of one tower. Where its encoder does not tell them, torch builds it, without memory for weights."""
    shapes: Callable[..., Shapes] | None = encoder.load("weights")
    if shapes is not None:
        return shapes(*arguments)
    make = encoder.load("module")
    import torch

    with torch.device("meta"):
        state = make(*arguments).state_dict()
    return {f"{part}.{name}": tuple(value.shape) for name, value in state.items() if not name.endswith(COUNTER)}


def _projection(name: str, config: CLAPConfig, width: int) -> Shapes:
    size = config.embedding
    if not width:  # of a tower that is missing
        return {}
    if config.projection == "residual":
        return {f"{name}.0.weight": (size, width), f"{name}.2.weight": (size, size), **_norm(f"{name}.4", size)}
    return _linear(f"{name}.0", width, size) | _linear(f"{name}.2", size, size)


def _linear(name: str, width: int, out: int) -> Shapes:
    return {f"{name}.weight": (out, width), f"{name}.bias": (out,)}


def _conv(name: str, out: int, *kernel: int) -> Shapes:
    return {f"{name}.weight": (out, *kernel), f"{name}.bias": (out,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _batch_norm(name: str, width: int) -> Shapes:
    return {**_norm(name, width), f"{name}.running_mean": (width,), f"{name}.running_var": (width,)}


def _fusion(name: str, fusion: Fusion, channels: int, reduction: int = REDUCTION) -> Shapes:
    """The attentions of an AFF or iAFF; a DAF has no weights."""
    kind, dimensions = fusion.split("_")
    ones = (1,) * int(dimensions[0])
    inner = channels // reduction
    shapes: Shapes = {}
    for which in {"daf": (), "aff": ("",), "iaff": ("", "2")}[kind]:
        for reach, first in (("local", 0), ("global", 1)):  # a global attention begins with its pooling
            prefix = f"{name}.{reach}_attention{which}."
            shapes |= _conv(f"{prefix}{first}", inner, channels, *ones) | _batch_norm(f"{prefix}{first + 1}", inner)
            shapes |= _conv(f"{prefix}{first + 3}", channels, inner, *ones)
            shapes |= _batch_norm(f"{prefix}{first + 4}", channels)
    return shapes


def _mel_fusion(fusion: Fusion, bins: int) -> Shapes:
    """A 1-D fusion, which is the same in every tower."""
    shapes = _conv("audio.local_project.0", bins, bins, 5) | _batch_norm("audio.local_project.1", bins)
    return shapes | _fusion("audio.fusion", fusion, bins)


def htsat(config: HTSATConfig, front_end: FrontEnd, fusion: Fusion | None) -> Shapes:
    patch, width, bins = config.patch, config.width, front_end.mel_bins
    shapes = _conv("audio.patches.project", width, VIEWS if fusion == "channel_map" else 1, patch, patch)
    shapes |= _norm("audio.norm", config.output) | _batch_norm("audio.batch_norm", bins)
    if config.patch_norm:
        shapes |= _norm("audio.patches.norm", width)
    if fusion is not None and fusion.endswith("_1d"):
        shapes |= _mel_fusion(fusion, bins)
    if fusion is not None and fusion.endswith("_2d"):
        shapes |= _conv("audio.patches.local_project", width, 1, patch, LOCAL * patch)
        shapes |= _fusion("audio.patches.fusion", fusion, width, config.fusion_reduction)
    for stage, depth in enumerate(config.depths):
        size, side = width << stage, (config.image // patch) >> stage
        for block in range(depth):
            prefix = f"audio.stages.{stage}.blocks.{block}."
            shapes |= _norm(f"{prefix}norm1", size) | _norm(f"{prefix}norm2", size)
            inner = config.heads[stage] * config.head_width(stage)
            shapes |= _linear(f"{prefix}attention.qkv", size, 3 * inner)
            shapes |= _linear(f"{prefix}attention.out", inner, size)
            shapes[f"{prefix}attention.bias_table"] = ((2 * min(config.window, side) - 1) ** 2, config.heads[stage])
            if not config.qkv_bias:
                del shapes[f"{prefix}attention.qkv.bias"]
            hidden = config.mlp_width(stage)
            shapes |= _linear(f"{prefix}mlp.0", size, hidden) | _linear(f"{prefix}mlp.2", hidden, size)
        if stage + 1 < len(config.depths):
            shapes |= _norm(f"audio.stages.{stage}.merge.norm", 4 * size)
            shapes[f"audio.stages.{stage}.merge.reduce.weight"] = (2 * size, 4 * size)
    return shapes


def pann(config: PANNConfig, front_end: FrontEnd, fusion: Fusion | None) -> Shapes:
    shapes = _batch_norm("audio.batch_norm", front_end.mel_bins)
    if config.hidden:
        shapes |= _linear("audio.hidden", config.widths[-1], config.output)
    channels = VIEWS if fusion == "channel_map" else 1
    for i, (inner, width) in enumerate(zip((channels, *config.widths[:-1]), config.widths, strict=True)):
        for j in range(config.convs):
            shapes[f"audio.blocks.{i}.convs.{j}.0.weight"] = (
                width,
                width if j else inner,
                config.kernel,
                config.kernel,
            )
            shapes |= _batch_norm(f"audio.blocks.{i}.convs.{j}.1", width)
    if fusion is not None and fusion.endswith("_1d"):
        shapes |= _mel_fusion(fusion, front_end.mel_bins)
    if fusion is not None and fusion.endswith("_2d"):
        width = config.widths[0]
        shapes |= _conv("audio.local_project.0", width, 1, 5, 5) | _batch_norm("audio.local_project.1", width)
        shapes |= _fusion("audio.fusion", fusion, width)
    return shapes


def mobilenet(config: MobileNetConfig, front_end: FrontEnd, fusion: Fusion | None) -> Shapes:
    def conv(name: str, inner: int, outer: int, kernel: int = 1) -> Shapes:
        return {f"{name}.0.weight": (outer, inner, kernel, kernel), **_batch_norm(f"{name}.1", outer)}

    shapes = conv("audio.stem", 1, config.stem, 3) | conv("audio.last", config.blocks[-1].outer, config.features)
    shapes |= _linear("audio.hidden", config.features, config.output)
    shapes |= _batch_norm("audio.batch_norm", front_end.mel_bins)
    for i, block in enumerate(config.blocks):
        prefix = f"audio.blocks.{i}."
        if block.widened:
            shapes |= conv(f"{prefix}expand", block.inner, block.expanded)
        shapes |= conv(f"{prefix}depthwise", 1, block.expanded, block.kernel)
        if block.squeezed:
            shapes |= _linear(f"{prefix}squeeze.down", block.expanded, block.squeezed)
            shapes |= _linear(f"{prefix}squeeze.up", block.squeezed, block.expanded)
        shapes |= conv(f"{prefix}project", block.expanded, block.outer)
    if fusion is not None:
        shapes |= _conv("audio.local_project.0", config.stem, 1, 5, 5)
        shapes |= _batch_norm("audio.local_project.1", config.stem)
        shapes |= _fusion("audio.fusion", fusion, config.stem)
    return shapes


def none(*_: Any) -> Shapes:
    """A tower that is missing."""
    return {}


def words(config: WordsConfig) -> Shapes:
    return {"text.table.weight": (config.vocabulary, config.width), "text.gate.weight": (config.vocabulary, 1)}


def bert(config: TextConfig) -> Shapes:
    """RoBERTa and BERT, which may have a pooler."""
    pooler = _linear("text.tower.pooler.dense", config.width, config.width) if config.pooler else {}
    return sbert(config) | pooler


def sbert(config: TextConfig) -> Shapes:
    width, inner, tower = config.width, config.heads * config.head_size, "text.tower."
    shapes: Shapes = {
        f"{tower}embeddings.word_embeddings.weight": (config.vocabulary, width),
        f"{tower}embeddings.position_embeddings.weight": (config.positions, width),
        f"{tower}embeddings.token_type_embeddings.weight": (config.token_types, width),
    }
    shapes |= _norm(f"{tower}embeddings.LayerNorm", width)
    for layer in range(config.layers):
        prefix = f"{tower}encoder.layer.{layer}."
        for which in ("query", "key", "value"):
            shapes |= _linear(f"{prefix}attention.self.{which}", width, inner)
        shapes |= _linear(f"{prefix}attention.output.dense", inner, width)
        shapes |= _norm(f"{prefix}attention.output.LayerNorm", width)
        shapes |= _linear(f"{prefix}intermediate.dense", width, config.intermediate)
        shapes |= _linear(f"{prefix}output.dense", config.intermediate, width)
        shapes |= _norm(f"{prefix}output.LayerNorm", width)
    return shapes


def clip(config: TextConfig) -> Shapes:
    width, inner, tower = config.width, config.heads * config.head_size, "text.tower."
    shapes: Shapes = {
        f"{tower}embeddings.token_embedding.weight": (config.vocabulary, width),
        f"{tower}embeddings.position_embedding.weight": (config.positions, width),
    }
    shapes |= _norm(f"{tower}final_layer_norm", width)
    for layer in range(config.layers):
        prefix = f"{tower}encoder.layers.{layer}."
        for which in ("q_proj", "k_proj", "v_proj"):
            shapes |= _linear(f"{prefix}self_attn.{which}", width, inner)
        shapes |= _linear(f"{prefix}self_attn.out_proj", inner, width)
        shapes |= _norm(f"{prefix}layer_norm1", width) | _norm(f"{prefix}layer_norm2", width)
        shapes |= _linear(f"{prefix}mlp.fc1", width, config.intermediate)
        shapes |= _linear(f"{prefix}mlp.fc2", config.intermediate, width)
    return shapes


def gpt2(config: TextConfig) -> Shapes:
    """GPT-2, whose layers hold their weights as (in, out)."""
    width, tower = config.width, "text.tower."
    shapes: Shapes = {
        f"{tower}wte.weight": (config.vocabulary, width),
        f"{tower}wpe.weight": (config.positions, width),
        **_norm(f"{tower}ln_f", width),
    }
    layers = {
        "attn.c_attn": (width, 3 * width),
        "attn.c_proj": (width, width),
        "mlp.c_fc": (width, config.intermediate),
        "mlp.c_proj": (config.intermediate, width),
    }
    for layer in range(config.layers):
        prefix = f"{tower}h.{layer}."
        shapes |= _norm(f"{prefix}ln_1", width) | _norm(f"{prefix}ln_2", width)
        for name, (inner, out) in layers.items():
            shapes |= {f"{prefix}{name}.weight": (inner, out), f"{prefix}{name}.bias": (out,)}
    return shapes
