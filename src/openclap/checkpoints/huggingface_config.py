"""The JSON files of a transformers folder → a configuration, field by field.

    config.json ─ audio_config, text_config, itself ─┐
    processor_config.json ─┬─ extractor ─────────────┴─ FIELDS: honoured · some values allowed · irrelevant, and why
    preprocessor_config.json ┘

`FIELDS` holds every field of transformers' ClapConfig, ClapAudioConfig, ClapTextConfig and ClapFeatureExtractor (5.23);
a test compares it with the installed classes, so that a new field is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openclap.checkpoints.native import read_json
from openclap.config import ACTIVATIONS, CLAPConfig
from openclap.errors import BadCheckpoint

__all__ = ["FIELDS", "ONE_TOWER", "Fields", "read_config"]


@dataclass(frozen=True)
class Fields:
    """How the fields of one of transformers' classes are treated.

    Attributes
    ----------
    honoured
        Fields that are used, with transformers' defaults.
    taken
        Fields with the values that are allowed, transformers' default first; any other value is refused by name.
    irrelevant
        Fields of which no value changes an embedding, with the reason.
    """

    honoured: Mapping[str, Any]
    taken: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    irrelevant: Mapping[str, str] = field(default_factory=dict)

    def read(self, given: Mapping[str, Any], where: str) -> dict[str, Any]:
        """The values of all honoured fields; a null counts as left out."""
        for name, values in self.taken.items():
            value = given.get(name)
            if value is not None and value not in values:
                known = " or ".join(repr(v) for v in values)
                raise BadCheckpoint(
                    f"{where}: {name} is {value!r}; openclap knows {known}, so this model cannot be loaded"
                )
        stated = {name: given[name] for name in self.honoured if given.get(name) is not None}
        return {**self.honoured, **stated}


DERIVED, IN_WEIGHTS = "follows from other fields", "the weights hold it"
TRAINING_ONLY = "of training alone"
ACTIVATION_NAMES = tuple(ACTIVATIONS)

FIELDS = {
    "audio_config": Fields(
        {
            "patch_embeds_hidden_size": 96,
            "depths": [2, 2, 6, 2],
            "num_attention_heads": [4, 8, 16, 32],
            "window_size": 8,
            "patch_size": 4,
            "patch_stride": [4, 4],
            "spec_size": 256,
            "num_mel_bins": 64,
            "mlp_ratio": 4.0,
            "drop_path_rate": 0.0,
            "enable_fusion": False,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-5,
            "qkv_bias": True,
            "enable_patch_layer_norm": True,
            "aff_block_r": 4,
        },
        {
            "hidden_act": ACTIVATION_NAMES,
            # transformers builds an aff_2d of them all
            "fusion_type": (None, "aff_2d", "daf_2d", "iaff_2d", "daf_1d", "aff_1d", "iaff_1d"),
            "flatten_patch_embeds": (True,),
            "patch_embed_input_channels": (1,),
        },
        {
            "num_classes": "of a head that CLAP never uses",
            "hidden_size": DERIVED,
            "num_hidden_layers": DERIVED,
            "projection_dim": "ClapConfig sets it to its own",
            "projection_hidden_act": "ClapConfig sets it to its own",
            "hidden_dropout_prob": TRAINING_ONLY,
            "attention_probs_dropout_prob": TRAINING_ONLY,
            "initializer_factor": TRAINING_ONLY,
        },
    ),
    "text_config": Fields(
        {
            "vocab_size": 50_265,
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
            "pad_token_id": 1,
            "layer_norm_eps": 1e-12,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
        },
        {"hidden_act": ACTIVATION_NAMES},
        {
            "attention_probs_dropout_prob": "of training alone, where hidden_dropout_prob serves for both",
            "projection_dim": "ClapConfig sets it to its own",
            "projection_hidden_act": "ClapConfig sets it to its own",
            "initializer_factor": TRAINING_ONLY,
        },
    ),
    "config": Fields(
        {"projection_dim": 512},
        {"projection_hidden_act": ("relu",)},
        {
            "text_config": "read field by field",
            "audio_config": "read field by field",
            "logit_scale_init_value": IN_WEIGHTS,
            "initializer_factor": TRAINING_ONLY,
        },
    ),
    "extractor": Fields(
        {
            "feature_size": 64,
            "sampling_rate": 48_000,
            "hop_length": 480,
            "max_length_s": 10,
            "fft_window_size": 1024,
            "frequency_min": 0,
            "frequency_max": 14_000,
            "truncation": "fusion",
            "padding": "repeatpad",
        },
        {
            "truncation": ("fusion", "rand_trunc"),
            "padding": ("repeatpad", "repeat", "pad"),
            "feature_extractor_type": ("ClapFeatureExtractor",),
        },
        {
            "padding_value": "ClapFeatureExtractor pads with zeros, whatever it says",
            "return_attention_mask": "the model takes none",
            "top_db": "ClapFeatureExtractor never uses it",
        },
    ),
}

ONE_TOWER = {"clap_audio_model": "audio_config", "clap_text_model": "text_config"}  # model_type → its part of "clap"

LAION_DEFAULTS = {"frequency_min": 50, "frequency_max": 14_000}  # Hz, of all released models


def read_config(folder: Path, config: Mapping[str, Any], *, name: str, licence: str) -> tuple[CLAPConfig, list[str]]:
    """The configuration, and notes for the user: which values that matter are not stated.

    Raises
    ------
    BadCheckpoint
        A field has a value that openclap does not know, or that is impossible; the message names both.
    """
    where = str(folder)
    only = ONE_TOWER.get(str(config.get("model_type")))
    if only is not None:
        config = {**config, only: config}
    audio, text = (_read_part(config, part, where) for part in ("audio_config", "text_config"))
    top_level = FIELDS["config"].read(config, f"{where}: config.json")
    fused = bool(audio["enable_fusion"])
    front, notes = _front_end(folder, fused=fused, mel_bins=audio["num_mel_bins"])
    data: dict[str, Any] = {
        "audio": {
            "kind": "htsat",
            "width": audio["patch_embeds_hidden_size"],
            "depths": audio["depths"],
            "heads": audio["num_attention_heads"],
            "window": audio["window_size"],
            "patch": _patch(audio, where),
            "image": audio["spec_size"],
            "mlp_ratio": audio["mlp_ratio"],
            "drop_path": audio["drop_path_rate"],
            "activation": audio["hidden_act"],
            "layer_norm_eps": audio["layer_norm_eps"],
            "qkv_bias": bool(audio["qkv_bias"]),
            "patch_norm": bool(audio["enable_patch_layer_norm"]),
            "fusion_reduction": audio["aff_block_r"],
        },
        "text": {
            "kind": "roberta",
            "vocabulary": text["vocab_size"],
            "width": text["hidden_size"],
            "layers": text["num_hidden_layers"],
            "heads": text["num_attention_heads"],
            "intermediate": text["intermediate_size"],
            "positions": text["max_position_embeddings"],
            "token_types": text["type_vocab_size"],
            "begin_id": _single_token(text, "bos_token_id", where),
            "end_id": _single_token(text, "eos_token_id", where),
            "pad_id": _single_token(text, "pad_token_id", where),
            "layer_norm_eps": text["layer_norm_eps"],
            "activation": text["hidden_act"],
            "dropout": text["hidden_dropout_prob"],
        },
        "front_end": front,
        "fusion": "aff_2d" if fused else None,
        "embedding": top_level["projection_dim"],
        "name": name,
        "licence": licence,
    }
    if only == "audio_config":
        data["text"] = {"kind": "none"}
    if only == "text_config":  # nothing is heard: what the front end would be does not matter
        data |= {"audio": {"kind": "none"}, "front_end": {}, "fusion": None}
        notes = []
    try:
        return CLAPConfig.from_dict(data), notes
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{where}: {error}") from error


def _read_part(config: Mapping[str, Any], part: str, where: str) -> dict[str, Any]:
    given = config.get(part) or {}
    if not isinstance(given, Mapping):
        raise BadCheckpoint(f"{where}: {part} in config.json is {given!r}; names and values are expected")
    return FIELDS[part].read(given, f"{where}: {part} in config.json")


def _patch(audio: Mapping[str, Any], where: str) -> Any:
    """The side of a patch, which must be square and not overlap others; transformers allows both."""
    sides = {side for name in ("patch_size", "patch_stride") for side in _as_list(audio[name])}
    if len(sides) != 1:
        raise BadCheckpoint(
            f"{where}: patch_size is {audio['patch_size']!r} and patch_stride {audio['patch_stride']!r} in"
            " audio_config; openclap knows square patches beside each other, so this model cannot be loaded"
        )
    return sides.pop()


def _single_token(text: Mapping[str, Any], name: str, where: str) -> Any:
    """The id of a token, which may be given as a list of one."""
    ids = _as_list(text[name])
    if len(ids) != 1:
        raise BadCheckpoint(f"{where}: {name} is {text[name]!r} in text_config; one token is expected")
    return ids[0]


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


# -- the front end -----------------------------------------------------------------------------------


def _front_end(folder: Path, *, fused: bool, mel_bins: Any) -> tuple[dict[str, Any], list[str]]:
    """The front end, as ClapFeatureExtractor reads the folder's files, and notes about defaults.

    Values that no file states are transformers' defaults, or those of LAION where there is no file at all.
    """
    fields, files = FIELDS["extractor"], _extractor_files(folder)
    stated: dict[str, Any] = {}
    for file, values in files.items():  # the first file that states a value counts
        fields.read(values, f"{folder}: {file}")
        stated = {**{k: v for k, v in values.items() if k in fields.honoured and v is not None}, **stated}
    defaulted = {name: value for name, value in fields.honoured.items() if name not in stated}
    defaulted |= {"feature_size": mel_bins} if "feature_size" in defaulted else {}
    if not stated:  # no file at all
        defaulted |= {**LAION_DEFAULTS, "truncation": "fusion" if fused else "rand_trunc"}
    values_used = {**stated, **defaulted}
    if values_used["feature_size"] != mel_bins:
        raise BadCheckpoint(
            f"{folder}: num_mel_bins is {mel_bins!r} in audio_config, and feature_size {values_used['feature_size']!r}"
            f" in {', '.join(files)}; they must be equal"
        )
    bank = ("htk", None) if values_used["truncation"] == "fusion" else ("slaney", "slaney")
    front = {
        "sampling_rate": values_used["sampling_rate"],
        "clip_seconds": values_used["max_length_s"],
        "n_fft": values_used["fft_window_size"],
        "hop": values_used["hop_length"],
        "mel_bins": values_used["feature_size"],
        "f_min": values_used["frequency_min"],
        "f_max": values_used["frequency_max"],
        "padding": values_used["padding"],
        "mel_scale": bank[0],
        "mel_norm": bank[1],
    }
    return front, [_describe_defaults(defaulted, files, stated)] if defaulted else []


def _extractor_files(folder: Path) -> dict[str, dict[str, Any]]:
    """The extractor's values in each file, in order of priority.

    They may be nested in processor_config.json, have a file of their own, or stand in processor_config.json itself.
    """
    found: dict[str, dict[str, Any]] = {}
    processor: dict[str, Any] = {}
    if (folder / "processor_config.json").is_file():
        processor = read_json(folder / "processor_config.json")
        nested = processor.get("feature_extractor") or processor.get("audio_processor")
        if isinstance(nested, dict):
            found["processor_config.json"] = nested
    if (folder / "preprocessor_config.json").is_file():
        found["preprocessor_config.json"] = read_json(folder / "preprocessor_config.json")
    if not found.get("processor_config.json") and processor:
        found["processor_config.json"] = processor
    return found


def _describe_defaults(defaulted: Mapping[str, Any], files: Mapping[str, Any], stated: Mapping[str, Any]) -> str:
    """A sentence that names the defaults that were used."""
    taken = ", ".join(f"{name} {value}" for name, value in defaulted.items())
    whose = "of transformers" if stated else "of LAION's models"
    if not files:
        return f"it has no preprocessor_config.json; taken are the defaults {whose}: {taken}"
    return (
        f"{' and '.join(sorted(files))} leave out what decides how sounds are heard; taken are the defaults {whose}:"
        f" {taken}"
    )
