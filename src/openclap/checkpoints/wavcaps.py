"""The weights of WavCaps and AudioSetCaps: renamed, and what the models are.

Reference: `retrieval/` of XinhaoMei/WavCaps and `eval_script/retrieval/` of AudioSetCaps/AudioSetCaps, which has the
same modules. Files hold {"model": weights, "optimizer", "config", "epoch"}.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from openclap.checkpoints.laion import Rule, apply_rules, infer_bert, infer_htsat, infer_pann, rename_weights
from openclap.checkpoints.weights import Array, Entry
from openclap.config import AudioConfig, CLAPConfig, FrontEnd
from openclap.config.front_end import Padding
from openclap.errors import BadCheckpoint

__all__ = ["read_wavcaps"]

# (WavCaps, LAION, whose names are renamed further, or openclap): all rules that match are applied, in this order
RULES: tuple[Rule, ...] = (
    (r"^audio_encoder\.audio_enc\.", "audio_branch."),
    (r"^text_encoder\.text_encoder\.", "text_branch."),
    (r"^(audio|text)_proj\.", r"\1_projection."),
)
COMPILED_RULES = [(re.compile(pattern), new) for pattern, new in RULES]
UNUSED = re.compile(r"audio_encoder\.audio_enc\.audio_feats_extractor\.|text_encoder\.text_encoder\.pooler\.")
TEMPERATURE = "temp"  # a divisor of cosines
FRONT_END = FrontEnd(sampling_rate=32_000, hop=320, mel_scale="slaney", mel_norm="slaney", padding="pad")
# their names of its fields; the length is not among them, as theirs is that of crops in training
FIELDS = {
    "sr": "sampling_rate",
    "n_fft": "n_fft",
    "hop_length": "hop",
    "f_min": "f_min",
    "f_max": "f_max",
    "n_mels": "mel_bins",
}
PADDING: Mapping[str, Padding] = {"bert": "pad", "roberta": "repeat"}  # zeros in WavCaps, copies in AudioSetCaps
MAX_TOKENS = 30


def read_wavcaps(
    weights: Mapping[str, Entry], where: str, envelope: Mapping[str, Any]
) -> tuple[CLAPConfig, dict[str, Entry]]:
    """Weights by WavCaps' names, and all that the file holds → configuration, and all weights by openclap's names.

    Raises
    ------
    BadCheckpoint
        It has an audio tower that openclap does not have.
    KeyError
        A weight that shows the architecture is missing.
    """
    laion = {apply_rules(key, COMPILED_RULES): entry for key, entry in weights.items() if not UNUSED.match(key)}
    if any(key.startswith("audio_branch.resnet.") for key in laion):
        raise BadCheckpoint(f"{where}: its audio tower is ResNet38, which openclap does not have; take HTSAT or Cnn14")
    audio: AudioConfig
    if "audio_branch.conv_block1.conv1.weight" in laion:
        pann = infer_pann(laion, hidden=False)
        audio = replace(pann, pools=((2, 2),) * len(pann.widths))  # its sixth block pools too
    else:
        audio = infer_htsat(laion)
    text = replace(infer_bert(laion), pooler=False, max_tokens=MAX_TOKENS)
    config = CLAPConfig(
        audio=audio,
        text=text,
        front_end=_front_end(envelope, text.kind),
        embedding=laion["audio_projection.2.weight"].shape[0],
        max_logit_scale=None,
    )
    ours = rename_weights(laion)
    ours["logit_scale"] = _as_logit_scale(ours.pop(TEMPERATURE))
    return config, ours


def _front_end(envelope: Mapping[str, Any], text: str) -> FrontEnd:
    """The front end, with what the file's own configuration says of it; `text` is the kind of its text tower."""
    config = envelope.get("config")
    stated = config.get("audio_args") if isinstance(config, Mapping) else None
    known = stated if isinstance(stated, Mapping) else {}
    values: dict[str, Any] = {ours: known[theirs] for theirs, ours in FIELDS.items() if theirs in known}
    return replace(FRONT_END, padding=PADDING[text], **values)


def _as_logit_scale(temperature: Entry) -> Entry:
    """The logarithm of what multiplies cosines: that of 1 / temperature."""

    def read() -> Array:
        return -np.log(temperature.read())

    return Entry(temperature.shape, read)
