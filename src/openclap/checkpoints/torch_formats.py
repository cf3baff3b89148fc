"""A `.pt`, `.pth` or `.bin` file: opened safely, then read as the format that the names of its weights tell.

envelope ─ "state_dict" | "model" | itself ─ names ─┬─ audio_branch. ───────────── laion
                                                    ├─ caption_encoder. ────────── msclap
                                                    └─ audio_encoder.audio_enc. ── wavcaps
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from openclap.checkpoints.laion import named_faults, read_laion
from openclap.checkpoints.msclap import read_msclap
from openclap.checkpoints.presets import PRESETS
from openclap.checkpoints.torch_files import entries_from_tensors, load_tensors
from openclap.checkpoints.wavcaps import read_wavcaps
from openclap.checkpoints.weights import Entry
from openclap.config import CLAPConfig
from openclap.errors import BadCheckpoint

__all__ = ["read_torch_file"]

Model: TypeAlias = tuple[CLAPConfig, dict[str, Entry]]

PREFIX = re.compile(r"^((module|_orig_mod)\.)+")  # of DistributedDataParallel and torch.compile
ENVELOPES = ("state_dict", "model")
# how names of weights of a format begin, and what reads them; the third argument is all that the file holds
FORMATS: tuple[tuple[str, Callable[[Mapping[str, Entry], str, Mapping[str, Any]], Model]], ...] = (
    ("audio_branch.", lambda weights, where, _: read_laion(weights, where)),
    ("caption_encoder.", lambda weights, where, _: read_msclap(weights, where)),
    ("audio_encoder.audio_enc.", read_wavcaps),
)
# names that tell what a file is that holds no CLAP
OTHERS = (
    (("clap_project.", "gpt."), "a model that writes captions (clapcap)"),
    (("audio_encoder.",), "an audio tower of Microsoft's or WavCaps' CLAP without its text tower"),
    (("caption_encoder.", "text_encoder.", "text_branch."), "a text tower without its audio tower"),
    (("sed_model.", "conv_block1.", "patch_embed."), "an audio tagger"),
)


def read_torch_file(path: Path) -> Model:
    """Read a file → its configuration and all weights by openclap's names. Needs torch.

    Raises
    ------
    UnsafeCheckpoint
        The pickle holds more than tensors and plain values; nothing in it was executed.
    BadCheckpoint
        It is no torch file, is cut short, or does not hold the weights of a CLAP.
    MissingExtra
        torch is not installed.
    """
    envelope = load_tensors(path)
    inside = next((name for name in ENVELOPES if name in envelope), None)
    state = envelope if inside is None else envelope[inside]
    if not isinstance(state, Mapping):
        raise BadCheckpoint(f"{path}: {inside} is a {type(state).__name__}; a dictionary of weights is expected")
    weights = entries_from_tensors({PREFIX.sub("", str(key)): value for key, value in state.items()})
    read = next((read for begin, read in FORMATS if any(key.startswith(begin) for key in weights)), None)
    if read is None:
        raise BadCheckpoint(
            f"{path}: no weights of a CLAP in it ({_what_it_is(weights)}); give a .pt or .pth as LAION, Microsoft,"
            " WavCaps or AudioSetCaps publish it"
        )
    with named_faults(str(path)):
        config, ours = read(weights, str(path), envelope)
    preset = next((preset for preset in PRESETS if preset.file == path.name), None)
    licence = config.licence if preset is None else preset.licence
    return replace(config, name=path.stem, licence=licence), ours


def _what_it_is(weights: Mapping[str, Entry]) -> str:
    """What a file is that holds no CLAP, or the first names in it."""
    for beginnings, what in OTHERS:
        if any(key.startswith(beginnings) for key in weights):
            return f"it is {what}"
    return f"found {', '.join(list(weights)[:3]) or 'none'}"
