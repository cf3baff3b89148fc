"""Folders of transformers' ClapModel: read, and written so that transformers gives the same embeddings.

Those of ClapAudioModelWithProjection and ClapTextModelWithProjection are read, too: they have one tower.
One table of names serves both directions. Reference: transformers/models/clap (5.23) for every name and default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from openclap.checkpoints.huggingface_config import ONE_TOWER, read_config
from openclap.checkpoints.native import read_json
from openclap.checkpoints.tokenizer import load_fast_tokenizer
from openclap.checkpoints.torch_files import entries_from_tensors, load_tensors
from openclap.checkpoints.weight_shapes import COUNTER
from openclap.checkpoints.weights import (
    Entry,
    Weights,
    concatenate,
    entries_from_arrays,
    read_safetensors,
    split_part,
)
from openclap.config import CLAPConfig, HTSATConfig, TextConfig
from openclap.errors import BadCheckpoint, MissingExtra, ModelWarning, UsageError
from openclap.warn_caller import warn_caller

__all__ = ["export_huggingface", "read_huggingface", "to_huggingface"]

# (transformers, openclap): prefixes of names; the first match counts. `attention.self.{query,key,value}` are one qkv.
NAMES = (
    (r"audio_model\.audio_encoder\.batch_norm\.", "audio.batch_norm."),
    (r"audio_model\.audio_encoder\.patch_embed\.proj\.", "audio.patches.project."),
    (r"audio_model\.audio_encoder\.patch_embed\.norm\.", "audio.patches.norm."),
    (r"audio_model\.audio_encoder\.patch_embed\.mel_conv2d\.", "audio.patches.local_project."),
    (r"audio_model\.audio_encoder\.patch_embed\.fusion_model\.local_att\.", "audio.patches.fusion.local_attention."),
    (r"audio_model\.audio_encoder\.patch_embed\.fusion_model\.global_att\.", "audio.patches.fusion.global_attention."),
    (
        r"audio_model\.audio_encoder\.layers\.(\d+)\.blocks\.(\d+)\.layernorm_before\.",
        r"audio.stages.\1.blocks.\2.norm1.",
    ),
    (
        r"audio_model\.audio_encoder\.layers\.(\d+)\.blocks\.(\d+)\.layernorm_after\.",
        r"audio.stages.\1.blocks.\2.norm2.",
    ),
    (
        r"audio_model\.audio_encoder\.layers\.(\d+)\.blocks\.(\d+)\.attention\.self\.relative_position_bias_table",
        r"audio.stages.\1.blocks.\2.attention.bias_table",
    ),
    (
        r"audio_model\.audio_encoder\.layers\.(\d+)\.blocks\.(\d+)\.attention\.output\.dense\.",
        r"audio.stages.\1.blocks.\2.attention.out.",
    ),
    (
        r"audio_model\.audio_encoder\.layers\.(\d+)\.blocks\.(\d+)\.attention\.self\.",
        r"audio.stages.\1.blocks.\2.attention.",
    ),
    (
        r"audio_model\.audio_encoder\.layers\.(\d+)\.blocks\.(\d+)\.intermediate\.dense\.",
        r"audio.stages.\1.blocks.\2.mlp.0.",
    ),
    (r"audio_model\.audio_encoder\.layers\.(\d+)\.blocks\.(\d+)\.output\.dense\.", r"audio.stages.\1.blocks.\2.mlp.2."),
    (r"audio_model\.audio_encoder\.layers\.(\d+)\.downsample\.reduction\.", r"audio.stages.\1.merge.reduce."),
    (r"audio_model\.audio_encoder\.layers\.(\d+)\.downsample\.norm\.", r"audio.stages.\1.merge.norm."),
    (r"audio_model\.audio_encoder\.norm\.", "audio.norm."),
    (r"audio_projection\.linear1\.", "audio_projection.0."),
    (r"audio_projection\.linear2\.", "audio_projection.2."),
    (r"text_projection\.linear1\.", "text_projection.0."),
    (r"text_projection\.linear2\.", "text_projection.2."),
    (r"text_model\.", "text.tower."),
    (r"logit_scale_a$", "logit_scale"),
)
RULES = [(re.compile("^" + theirs), ours) for theirs, ours in NAMES]
UNUSED = re.compile(
    r"logit_scale_t$|.*\.relative_position_index$|text_model\.embeddings\.(position_ids|token_type_ids)$"
)
QKV = ("query", "key", "value")
MODEL_TYPES = ("clap", *ONE_TOWER)


def read_huggingface(
    folder: Path, config: dict[str, Any], file: Path | None = None
) -> tuple[CLAPConfig, dict[str, Entry], list[str]]:
    """Read a folder of transformers → configuration, weights by openclap's names, and notes for the user.

    `file` names the weights to read where there are several.

    Raises
    ------
    BadCheckpoint
        It has no weights, is no CLAP or one that is not known here, or its pickle is cut short.
    UnsafeCheckpoint
        A .bin file that holds more than tensors.
    """
    if config.get("model_type") in ("pe_audio", "pe_audio_video"):
        raise BadCheckpoint(
            f"{folder}: a PE-A, which transformers computes from waves; it has no mels, and openclap neither trains nor"
            " saves it; give a folder with a ClapModel"
        )
    if config.get("model_type") not in MODEL_TYPES:
        raise BadCheckpoint(
            f"{folder}: a {config.get('model_type', 'nameless')} model, not a CLAP; give a folder with a ClapModel"
        )
    name = _name(folder, config)
    read, notes = read_config(folder, config, name=name, licence="Apache-2.0" if "laion" in name else "unknown")
    weights = _rename(_weights(folder) if file is None else _read_weights_file(file))
    if read.missing_tower() is not None:  # the scale is between two towers
        weights |= entries_from_arrays({"logit_scale": np.zeros((), np.float32)})
    return read, weights, notes


def _name(folder: Path, config: Mapping[str, Any]) -> str:
    """The Hub id where the folder lies in the Hub's cache (models--owner--name/snapshots/…), else its own name."""
    for parent in folder.resolve().parents:
        if parent.name.startswith("models--"):
            return parent.name.removeprefix("models--").replace("--", "/")
    return str(config.get("_name_or_path") or folder.resolve().name)


def _weights(folder: Path) -> dict[str, Entry]:
    for index in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        if (folder / index).is_file():
            parts = sorted(set(read_json(folder / index).get("weight_map", {}).values()))
            return {k: v for name in parts for k, v in _read_weights_file(folder / Path(name).name).items()}
    for file in ("model.safetensors", "pytorch_model.bin"):
        if (folder / file).is_file():
            return _read_weights_file(folder / file)
    raise BadCheckpoint(
        f"{folder}: no model.safetensors and no pytorch_model.bin; copy or download the weights into it"
    )


def _read_weights_file(file: Path) -> dict[str, Entry]:
    return read_safetensors(file) if file.suffix == ".safetensors" else entries_from_tensors(load_tensors(file))


def _rename(weights: Mapping[str, Entry]) -> dict[str, Entry]:
    """Rename weights from transformers' names to openclap's."""
    ours: dict[str, Entry] = {}
    for key, entry in weights.items():
        if UNUSED.match(key):
            continue
        new = next((pattern.sub(name, key, count=1) for pattern, name in RULES if pattern.match(key)), key)
        ours[new] = entry
    for key in [k for k in ours if ".attention.query." in k and k.startswith("audio.")]:
        parts = [key.replace(".query.", f".{which}.") for which in QKV]
        if all(name in ours for name in parts):
            ours[key.replace(".query.", ".qkv.")] = concatenate([ours.pop(name) for name in parts])
    return ours


def to_huggingface(weights: Mapping[str, Entry]) -> dict[str, Entry]:
    """Rename weights from openclap's names to transformers', without its derived buffers."""
    theirs: dict[str, Entry] = {}
    back = [(re.compile("^" + _pattern(ours)), _template(name)) for name, ours in NAMES]
    for key, entry in weights.items():
        new = next((pattern.sub(name, key, count=1) for pattern, name in back if pattern.match(key)), key)
        if ".attention.self.qkv." in new:
            for index, which in enumerate(QKV):
                theirs[new.replace(".qkv.", f".{which}.")] = split_part(entry, index, 3)
        else:
            theirs[new] = entry
    theirs["logit_scale_t"] = theirs["logit_scale_a"]
    return theirs


def _pattern(ours: str) -> str:
    return re.sub(r"\\\\(\d)", r"(\\d+)", re.escape(ours)) + ("$" if ours == "logit_scale" else "")


def _template(theirs: str) -> str:
    count = iter(range(1, 9))
    return re.sub(r"\(\\d\+\)", lambda _: f"\\{next(count)}", theirs.removesuffix("$")).replace(r"\.", ".")


def export_huggingface(
    config: CLAPConfig, weights: Weights, tokenizer: Path | None, folder: str | os.PathLike[str]
) -> None:
    """Write a folder for `transformers.ClapModel`, `ClapProcessor` and the zero-shot-audio-classification pipeline.

    Raises
    ------
    UsageError
        Transformers has no class for this combination, or there is no tokenizer.

    Warns
    -----
    ModelWarning
        Transformers prepares samples in another way than the model was trained with.
    """
    audio, text, front = config.audio, config.text, config.front_end
    if not (
        isinstance(audio, HTSATConfig)
        and isinstance(text, TextConfig)
        and text.kind == "roberta"
        and text.pooler
        and config.fusion in (None, "aff_2d")
        and config.projection == "mlp"
    ):
        raise UsageError(
            f"{config.name} ({audio.kind} + {text.kind}, fusion {config.fusion}) has no class in transformers; HTSAT +"
            " RoBERTa, unfused or aff_2d, can be exported"
        )
    bank = ("slaney", "slaney") if config.fusion is None else ("htk", None)
    whole = front.clip_seconds == round(front.clip_seconds)
    is_odd = front.dynamic_range is not None or front.mel_rate is not None or front.padding == "spaced"
    if (front.mel_scale, front.mel_norm) != bank or is_odd or not whole:
        raise UsageError(
            f"{config.name}: transformers ties the mel bank to the fusion (fused: htk, unfused: slaney), counts clips in"
            " whole seconds, and neither levels a mel nor repeats with pauses; this front end cannot be exported"
        )
    ratio = _mlp_ratio(audio)
    heads = all(audio.heads[s] * audio.head_width(s) == audio.width << s for s in range(len(audio.depths)))
    if not heads or text.heads * text.head_size != text.width:
        raise UsageError(
            f"{config.name} was pruned of attention heads, which transformers has no class for; prune its MLP rows"
            " alone and keep its heads to export it"
        )
    if any(int(ratio * (audio.width << s)) != audio.mlp_width(s) for s in range(len(audio.depths))):
        raise UsageError(
            f"{config.name} was pruned to another share of MLP rows in each stage, which transformers has no class for;"
            " prune all stages alike to export it"
        )
    if tokenizer is None:
        raise UsageError(f"{config.name} has no tokenizer.json; transformers needs one")
    try:
        import torch
        import transformers
    except ImportError:
        raise MissingExtra(
            "an export for transformers needs it and torch: install openclap's extra 'torch' (docs/install.md)"
        ) from None

    fused = config.fusion is not None
    theirs = transformers.ClapModel(_their_config(config, audio, text))
    state = {key: torch.from_numpy(entry.read().copy()) for key, entry in to_huggingface(weights.entries).items()}
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    assert all(UNUSED.match(key) or key.endswith(COUNTER) for key in missing), missing
    target = Path(os.path.expanduser(folder))
    theirs.save_pretrained(target)
    extractor = transformers.ClapFeatureExtractor(
        feature_size=front.mel_bins,
        sampling_rate=front.sampling_rate,
        hop_length=front.hop,
        max_length_s=round(front.clip_seconds),
        fft_window_size=front.n_fft,
        frequency_min=front.f_min,
        frequency_max=front.f_max,
        truncation="fusion" if fused else "rand_trunc",
        padding=front.padding,
    )
    transformers.ClapProcessor(extractor, _their_tokenizer(tokenizer, text)).save_pretrained(target)
    if front.quantise is not None:
        warn_caller(
            f"{config.name} was trained on samples of {front.quantise}, to which transformers does not round them:"
            " quiet, band-limited and clipped recordings get vectors up to a cosine of 0.99 away there",
            ModelWarning,
        )


def _mlp_ratio(audio: HTSATConfig) -> float:
    """The ratio of the first stage of a pruned tower; its other stages may have other ones."""
    return audio.mlp_ratio if audio.mlp_rows is None else audio.mlp_width(0) / audio.width


def _their_config(config: CLAPConfig, audio: HTSATConfig, text: TextConfig) -> Any:
    from transformers import ClapConfig

    return ClapConfig(
        projection_dim=config.embedding,
        projection_hidden_act="relu",
        audio_config={
            "patch_embeds_hidden_size": audio.width,
            "hidden_size": audio.output,
            "depths": list(audio.depths),
            "num_attention_heads": list(audio.heads),
            "num_hidden_layers": len(audio.depths),
            "window_size": audio.window,
            "patch_size": audio.patch,
            "patch_stride": [audio.patch, audio.patch],
            "spec_size": audio.image,
            "hidden_act": audio.activation,
            "layer_norm_eps": audio.layer_norm_eps,
            "qkv_bias": audio.qkv_bias,
            "enable_patch_layer_norm": audio.patch_norm,
            "aff_block_r": audio.fusion_reduction,
            "mlp_ratio": _mlp_ratio(audio),
            "drop_path_rate": audio.drop_path,
            "num_mel_bins": config.front_end.mel_bins,
            "enable_fusion": config.fusion is not None,
            "fusion_type": config.fusion,
            "projection_dim": config.embedding,
        },
        text_config={
            "vocab_size": text.vocabulary,
            "hidden_size": text.width,
            "num_hidden_layers": text.layers,
            "num_attention_heads": text.heads,
            "intermediate_size": text.intermediate,
            "max_position_embeddings": text.positions,
            "type_vocab_size": text.token_types,
            "hidden_act": text.activation,
            "layer_norm_eps": text.layer_norm_eps,
            "hidden_dropout_prob": text.dropout,
            "projection_dim": config.embedding,
            "bos_token_id": text.begin_id,
            "eos_token_id": text.end_id,
            "pad_token_id": text.pad_id,
        },
    )


def _their_tokenizer(file: Path, text: TextConfig) -> Any:
    """The tokenizer for transformers, where the file itself must add the begin and end tokens."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    fast = load_fast_tokenizer(file)
    begin, end, pad = (str(fast.id_to_token(i)) for i in (text.begin_id, text.end_id, text.pad_id))
    if fast.encode("a").ids[0] != text.begin_id:
        pieces = {"special_tokens": [(begin, text.begin_id), (end, text.end_id)]}
        fast.post_processor = processors.TemplateProcessing(single=f"{begin} $A {end}", **pieces)
    names = {"bos_token": begin, "cls_token": begin, "eos_token": end, "sep_token": end, "pad_token": pad}
    return PreTrainedTokenizerFast(tokenizer_object=fast, model_max_length=text.max_tokens, **names)
