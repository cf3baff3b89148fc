"""LAION's `.pt` files: open them safely, infer the architecture from shapes, rename the weights. Reference: LAION-AI/CLAP.

A released file holds {"epoch", "name", "state_dict", "optimizer"} and no configuration; what the model is shows in the
names and shapes of its weights alone.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from openclap.config import AudioConfig, CLAPConfig, FrontEnd, Fusion, HTSATConfig, PANNConfig, TextConfig
from openclap.errors import BadCheckpoint, UnsafeCheckpoint

__all__ = ["infer_config", "read_laion", "rename"]

Weights = dict[str, Tensor]

DEAD = re.compile(
    r"""logit_scale_t$                      # never trained: logit_scale_a serves both directions
    | (audio|text)_transform\.              # for the mlp loss, which no released checkpoint used
    | audio_branch\.(spectrogram_extractor|logmel_extractor)\.   # the front end, frozen
    | audio_branch\.(tscam_conv|head|fc_audioset)\.              # class outputs that CLAP never uses
    | .*\.(relative_position_index|attn_mask)$                   # derived from the architecture
    | text_branch\.embeddings\.(position_ids|token_type_ids)$
    """,
    re.VERBOSE,
)

RULES = [(re.compile(pattern), new) for pattern, new in (
    (r"^logit_scale_a$", "logit_scale"),
    # HTSAT
    (r"^audio_branch\.patch_embed\.mel_conv2d\.", "audio.patches.local_project."),
    (r"^audio_branch\.patch_embed\.fusion_model\.", "audio.patches.fusion."),
    (r"^audio_branch\.patch_embed\.proj\.", "audio.patches.project."),
    (r"^audio_branch\.patch_embed\.norm\.", "audio.patches.norm."),
    (r"^audio_branch\.layers\.(\d+)\.blocks\.(\d+)\.attn\.relative_position_bias_table", r"audio.stages.\1.blocks.\2.attention.bias_table"),
    (r"^audio_branch\.layers\.(\d+)\.blocks\.(\d+)\.attn\.qkv\.", r"audio.stages.\1.blocks.\2.attention.qkv."),
    (r"^audio_branch\.layers\.(\d+)\.blocks\.(\d+)\.attn\.proj\.", r"audio.stages.\1.blocks.\2.attention.out."),
    (r"^audio_branch\.layers\.(\d+)\.blocks\.(\d+)\.mlp\.fc1\.", r"audio.stages.\1.blocks.\2.mlp.0."),
    (r"^audio_branch\.layers\.(\d+)\.blocks\.(\d+)\.mlp\.fc2\.", r"audio.stages.\1.blocks.\2.mlp.2."),
    (r"^audio_branch\.layers\.(\d+)\.downsample\.reduction\.", r"audio.stages.\1.merge.reduce."),
    (r"^audio_branch\.layers\.(\d+)\.downsample\.norm\.", r"audio.stages.\1.merge.norm."),
    (r"^audio_branch\.layers\.", "audio.stages."),
    # PANN
    (r"^audio_branch\.conv_block(\d+)\.conv(\d+)\.", lambda m: f"audio.blocks.{int(m[1]) - 1}.convs.{int(m[2]) - 1}.0."),
    (r"^audio_branch\.conv_block(\d+)\.bn(\d+)\.", lambda m: f"audio.blocks.{int(m[1]) - 1}.convs.{int(m[2]) - 1}.1."),
    (r"^audio_branch\.mel_conv2d\.", "audio.local_project."),
    (r"^audio_branch\.fc1\.", "audio.hidden."),
    # both
    (r"^audio_branch\.bn0\.", "audio.batch_norm."),
    (r"^audio_branch\.mel_conv1d\.", "audio.local_project."),
    (r"^audio_branch\.fusion_model\.", "audio.fusion."),
    (r"^audio_branch\.norm\.", "audio.norm."),
    # fusion blocks
    (r"\.(local|global)_att(2?)\.", r".\1_attention\2."),
    # CLIP's text transformer; q, k and v are one matrix there
    (r"^(?:text_branch\.)?token_embedding\.", "text.tower.embeddings.token_embedding."),
    (r"^(?:text_branch\.)?positional_embedding$", "text.tower.embeddings.position_embedding.weight"),
    (r"^(?:text_branch\.)?ln_final\.", "text.tower.final_layer_norm."),
    (r"^text_branch\.resblocks\.(\d+)\.attn\.out_proj\.", r"text.tower.encoder.layers.\1.self_attn.out_proj."),
    (r"^text_branch\.resblocks\.(\d+)\.ln_([12])\.", r"text.tower.encoder.layers.\1.layer_norm\2."),
    (r"^text_branch\.resblocks\.(\d+)\.mlp\.c_fc\.", r"text.tower.encoder.layers.\1.mlp.fc1."),
    (r"^text_branch\.resblocks\.(\d+)\.mlp\.c_proj\.", r"text.tower.encoder.layers.\1.mlp.fc2."),
    (r"^text_branch\.resblocks\.(\d+)\.attn\.in_proj_", r"text.tower.encoder.layers.\1.self_attn.qkv."),
    # RoBERTa and BERT have transformers' own names
    (r"^text_branch\.", "text.tower."),
)]  # fmt: skip


def read_laion(path: Path) -> tuple[CLAPConfig, Weights]:
    """A `.pt` file → its configuration and its weights in openclap's names.

    Raises
    ------
    UnsafeCheckpoint
        The pickle holds more than tensors and plain values; nothing of it was executed.
    BadCheckpoint
        No torch file, cut short, or weights that belong to no CLAP.
    """
    state = _open(path)
    state = state.get("state_dict", state)
    weights = {key.removeprefix("module."): value for key, value in state.items() if isinstance(value, Tensor)}
    if not any(key.startswith("audio_branch.") for key in weights):
        raise BadCheckpoint(f"{path}: no weights of a LAION CLAP in it (found {', '.join(list(weights)[:3]) or 'none'}); a .pt of LAION-AI/CLAP is expected")
    return infer_config(weights, name=path.stem), rename(weights)


def _open(path: Path) -> Mapping[str, object]:
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    allowed = [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, np.dtypes.Float64DType]
    try:
        with torch.serialization.safe_globals(allowed):  # type: ignore[no-untyped-call]
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError as error:
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise UnsafeCheckpoint(f"{path}: it holds more than tensors and plain values and was not opened; get the file from its publisher") from error
        raise BadCheckpoint(f"{path}: not a torch file, or cut short; download it again") from error
    except (RuntimeError, EOFError, ValueError, OSError) as error:
        raise BadCheckpoint(f"{path}: not a torch file, or cut short; download it again") from error
    if not isinstance(state, Mapping):
        raise BadCheckpoint(f"{path}: a dictionary of weights is expected, not {type(state).__name__}")
    return state


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def rename(weights: Mapping[str, Tensor]) -> Weights:
    """LAION's names (without `module.`) → openclap's; dead weights are left out by name."""
    ours: Weights = {}
    for key, value in weights.items():
        if DEAD.match(key):
            continue
        new = key
        for pattern, name in RULES:
            new = pattern.sub(name, new, count=1)
        if ".self_attn.qkv." in new:
            for part, chunk in zip("qkv", value.chunk(3), strict=True):
                ours[new.replace("qkv.", f"{part}_proj.")] = chunk
        else:
            ours[new] = value
    return ours


def infer_config(weights: Mapping[str, Tensor], *, name: str = "laion") -> CLAPConfig:
    """What a LAION state dict (without `module.`) is a model of, from names and shapes."""
    try:
        fusion = _fusion(weights)
        audio = _pann(weights) if "audio_branch.conv_block1.conv1.weight" in weights else _htsat(weights)
        bank = {"mel_scale": "slaney", "mel_norm": "slaney"} if fusion is None else {"mel_scale": "htk", "mel_norm": None}
        return CLAPConfig(
            audio=audio,
            text=_text(weights),
            front_end=FrontEnd(**bank),  # type: ignore[arg-type]
            fusion=fusion,
            embedding=len(weights["audio_projection.2.weight"]),
            name=name,
            licence="CC0-1.0" if name.startswith(("630k", "music_")) else "unknown",
        )
    except KeyError as error:
        raise BadCheckpoint(f"{name}: weight {error} is missing, so the architecture cannot be told; this is no complete CLAP") from error


def _fusion(weights: Mapping[str, Tensor]) -> Fusion | None:
    names = set(weights)
    if any("mel_conv1d" in n for n in names):
        dimensions = "1d"
    elif any("mel_conv2d" in n for n in names):
        dimensions = "2d"
    else:
        patches = weights.get("audio_branch.patch_embed.proj.weight")
        return "channel_map" if patches is not None and patches.shape[1] == 4 else None
    kind = "iaff" if any("local_att2" in n for n in names) else "aff" if any("local_att." in n for n in names) else "daf"
    fusion: Fusion = f"{kind}_{dimensions}"  # type: ignore[assignment]
    return fusion


def _count(names: Iterable[str], pattern: str) -> int:
    """One more than the largest number that `pattern` finds."""
    found = re.compile(pattern)
    return 1 + max((int(m[1]) for m in map(found.match, names) if m), default=-1)


def _htsat(weights: Mapping[str, Tensor]) -> AudioConfig:
    stages = _count(weights, r"audio_branch\.layers\.(\d+)\.")
    table = "audio_branch.layers.{}.blocks.0.attn.relative_position_bias_table"
    positions = len(weights[table.format(0)])
    project = weights["audio_branch.patch_embed.proj.weight"]
    return HTSATConfig(
        width=len(project),
        depths=tuple(_count(weights, rf"audio_branch\.layers\.{i}\.blocks\.(\d+)\.") for i in range(stages)),
        heads=tuple(weights[table.format(i)].shape[1] for i in range(stages)),
        window=(round(positions**0.5) + 1) // 2,
        patch=project.shape[-1],
    )


def _pann(weights: Mapping[str, Tensor]) -> AudioConfig:
    blocks = _count(weights, r"audio_branch\.conv_block(\d+)\.") - 1
    first = weights["audio_branch.conv_block1.conv1.weight"]
    pools = tuple((2, 2) if i < 5 else (1, 1) for i in range(blocks))  # the sixth block of Cnn14 does not pool
    return PANNConfig(
        widths=tuple(len(weights[f"audio_branch.conv_block{i + 1}.conv1.weight"]) for i in range(blocks)),
        convs=2 if "audio_branch.conv_block1.conv2.weight" in weights else 1,
        kernel=first.shape[-1],
        pools=pools,
        output=len(weights["audio_branch.fc1.weight"]),
    )


def _text(weights: Mapping[str, Tensor]) -> TextConfig:
    if "token_embedding.weight" in weights:  # LAION keeps these three at the top, beside text_branch
        positions, width = weights["positional_embedding"].shape
        return TextConfig(**{
            **vars(TextConfig.preset("clip")),
            "vocabulary": len(weights["token_embedding.weight"]), "width": width, "heads": width // 64,
            "layers": _count(weights, r"text_branch\.resblocks\.(\d+)\."), "positions": positions,
            "intermediate": len(weights["text_branch.resblocks.0.mlp.c_fc.weight"]), "activation": "gelu",
        })  # fmt: skip
    words = weights["text_branch.embeddings.word_embeddings.weight"]
    types = len(weights["text_branch.embeddings.token_type_embeddings.weight"])
    preset = TextConfig.preset("roberta" if types == 1 else "bert")
    return TextConfig(**{
        **vars(preset),
        "vocabulary": len(words), "width": words.shape[1], "heads": words.shape[1] // 64,
        "layers": _count(weights, r"text_branch\.encoder\.layer\.(\d+)\."), "token_types": types,
        "positions": len(weights["text_branch.embeddings.position_embeddings.weight"]),
        "intermediate": len(weights["text_branch.encoder.layer.0.intermediate.dense.weight"]),
    })  # fmt: skip
