"""What a transformers folder says of its model → a configuration, field by field.

    config.json ─ audio_config, text_config, itself ─┐
    processor_config.json ─┬─ extractor ─────────────┴─ FIELDS: honoured · only some values are known · irrelevant, and why
    preprocessor_config.json ┘

`FIELDS` holds every field of transformers' ClapConfig, ClapAudioConfig, ClapTextConfig and ClapFeatureExtractor (5.23);
a test walks through the installed ones, so that a new field is noticed. Knows nothing of weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openclap.checkpoints.native import read_json
from openclap.config import ACTIVATIONS, CLAPConfig
from openclap.errors import BadCheckpoint

__all__ = ["FIELDS", "Fields", "read_config"]


@dataclass(frozen=True)
class Fields:
    """What becomes of the fields of one of transformers' classes.

    Attributes
    ----------
    honoured
        With what transformers means where a file leaves them out.
    taken
        The only values that are known, the first is transformers' default; any other is refused by name.
    irrelevant
        With the reason why no value of it changes an embedding.
    """

    honoured: Mapping[str, Any]
    taken: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    irrelevant: Mapping[str, str] = field(default_factory=dict)

    def read(self, given: Mapping[str, Any], where: str) -> dict[str, Any]:
        """All that is honoured; a null counts as left out."""
        for name, values in self.taken.items():
            value = given.get(name)
            if value is not None and value not in values:
                known = " or ".join(repr(v) for v in values)
                raise BadCheckpoint(
                    f"{where}: {name} is {value!r}; openclap knows {known}, so this model cannot be loaded"
                )
        said = {name: given[name] for name in self.honoured if given.get(name) is not None}
        return {**self.honoured, **said}


_DERIVED, _WEIGHTS = "follows from other fields", "the weights hold it"
_TRAINING = "of training alone"
_ACTS = tuple(ACTIVATIONS)

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
            "hidden_act": _ACTS,
            # transformers builds an aff_2d of them all
            "fusion_type": (None, "aff_2d", "daf_2d", "iaff_2d", "daf_1d", "aff_1d", "iaff_1d"),
            "flatten_patch_embeds": (True,),
            "patch_embed_input_channels": (1,),
        },
        {
            "num_classes": "of a head that CLAP never uses",
            "hidden_size": _DERIVED,
            "num_hidden_layers": _DERIVED,
            "projection_dim": "ClapConfig sets it to its own",
            "projection_hidden_act": "ClapConfig sets it to its own",
            "hidden_dropout_prob": _TRAINING,
            "attention_probs_dropout_prob": _TRAINING,
            "initializer_factor": _TRAINING,
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
        {"hidden_act": _ACTS},
        {
            "attention_probs_dropout_prob": "of training alone, where hidden_dropout_prob serves for both",
            "projection_dim": "ClapConfig sets it to its own",
            "projection_hidden_act": "ClapConfig sets it to its own",
            "initializer_factor": _TRAINING,
        },
    ),
    "config": Fields(
        {"projection_dim": 512},
        {"projection_hidden_act": ("relu",)},
        {
            "text_config": "read field by field",
            "audio_config": "read field by field",
            "logit_scale_init_value": _WEIGHTS,
            "initializer_factor": _TRAINING,
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

LAION = {"frequency_min": 50, "frequency_max": 14_000}  # Hz, that all released models were trained with


def read_config(folder: Path, config: Mapping[str, Any], *, name: str, licence: str) -> tuple[CLAPConfig, list[str]]:
    """The configuration, and what a user should know of it: which values that matter were not stated.

    Raises
    ------
    BadCheckpoint
        A value that openclap does not know, naming field and value, or that is no value of its field.
    """
    where = str(folder)
    audio, text = (_part(config, part, where) for part in ("audio_config", "text_config"))
    whole = FIELDS["config"].read(config, f"{where}: config.json")
    fused = bool(audio["enable_fusion"])
    front, notes = _front_end(folder, fused=fused, mel_bins=audio["num_mel_bins"])
    data = {
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
            "begin_id": _one_id(text, "bos_token_id", where),
            "end_id": _one_id(text, "eos_token_id", where),
            "pad_id": _one_id(text, "pad_token_id", where),
            "layer_norm_eps": text["layer_norm_eps"],
            "activation": text["hidden_act"],
            "dropout": text["hidden_dropout_prob"],
        },
        "front_end": front,
        "fusion": "aff_2d" if fused else None,
        "embedding": whole["projection_dim"],
        "name": name,
        "licence": licence,
    }
    try:
        return CLAPConfig.from_dict(data), notes
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{where}: {error}") from error


def _part(config: Mapping[str, Any], part: str, where: str) -> dict[str, Any]:
    given = config.get(part) or {}
    if not isinstance(given, Mapping):
        raise BadCheckpoint(f"{where}: {part} in config.json is {given!r}; names and values are expected")
    return FIELDS[part].read(given, f"{where}: {part} in config.json")


def _patch(audio: Mapping[str, Any], where: str) -> Any:
    """The side of a patch; transformers could lay oblong or overlapping ones."""
    sides = {side for name in ("patch_size", "patch_stride") for side in _as_list(audio[name])}
    if len(sides) != 1:
        raise BadCheckpoint(
            f"{where}: patch_size is {audio['patch_size']!r} and patch_stride {audio['patch_stride']!r} in"
            " audio_config; openclap knows square patches beside each other, so this model cannot be loaded"
        )
    return sides.pop()


def _one_id(text: Mapping[str, Any], name: str, where: str) -> Any:
    """A token, which may stand in a list of one."""
    ids = _as_list(text[name])
    if len(ids) != 1:
        raise BadCheckpoint(f"{where}: {name} is {text[name]!r} in text_config; one token is expected")
    return ids[0]


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


# -- the front end -----------------------------------------------------------------------------------


def _front_end(folder: Path, *, fused: bool, mel_bins: Any) -> tuple[dict[str, Any], list[str]]:
    """What ClapFeatureExtractor makes of the folder's files; what none of them states is transformers' default, or LAION's."""
    fields, files = FIELDS["extractor"], _extractor_files(folder)
    said: dict[str, Any] = {}
    for file, values in files.items():  # the first that states a value counts
        fields.read(values, f"{folder}: {file}")
        said = {**{k: v for k, v in values.items() if k in fields.honoured and v is not None}, **said}
    unsaid = {name: value for name, value in fields.honoured.items() if name not in said}
    unsaid |= {"feature_size": mel_bins} if "feature_size" in unsaid else {}
    if not said:  # no file at all: as LAION trained
        unsaid |= {**LAION, "truncation": "fusion" if fused else "rand_trunc"}
    full = {**said, **unsaid}
    if full["feature_size"] != mel_bins:
        raise BadCheckpoint(
            f"{folder}: num_mel_bins is {mel_bins!r} in audio_config, and feature_size {full['feature_size']!r} in"
            f" {', '.join(files)}; they must be equal"
        )
    bank = ("htk", None) if full["truncation"] == "fusion" else ("slaney", "slaney")
    front = {
        "sampling_rate": full["sampling_rate"],
        "clip_seconds": full["max_length_s"],
        "n_fft": full["fft_window_size"],
        "hop": full["hop_length"],
        "mel_bins": full["feature_size"],
        "f_min": full["frequency_min"],
        "f_max": full["frequency_max"],
        "padding": full["padding"],
        "mel_scale": bank[0],
        "mel_norm": bank[1],
    }
    return front, [_describe_defaults(unsaid, files, said)] if unsaid else []


def _extractor_files(folder: Path) -> dict[str, dict[str, Any]]:
    """What each file says of the extractor, the most telling first: nested, its own file, and beside the processor's class."""
    found: dict[str, dict[str, Any]] = {}
    beside: dict[str, Any] = {}
    if (folder / "processor_config.json").is_file():
        beside = read_json(folder / "processor_config.json")
        nested = beside.get("feature_extractor") or beside.get("audio_processor")
        if isinstance(nested, dict):
            found["processor_config.json"] = nested
    if (folder / "preprocessor_config.json").is_file():
        found["preprocessor_config.json"] = read_json(folder / "preprocessor_config.json")
    if not found.get("processor_config.json") and beside:
        found["processor_config.json"] = beside
    return found


def _describe_defaults(unsaid: Mapping[str, Any], files: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """A sentence with the defaults that were taken."""
    taken = ", ".join(f"{name} {value}" for name, value in unsaid.items())
    whose = "of transformers" if said else "of LAION's models"
    if not files:
        return f"it has no preprocessor_config.json; taken are the defaults {whose}: {taken}"
    return (
        f"{' and '.join(sorted(files))} leave out what decides how sounds are heard; taken are the defaults {whose}:"
        f" {taken}"
    )
