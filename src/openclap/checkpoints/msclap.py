"""The weights of Microsoft's CLAP of 2022 and 2023: renamed, and what the models are.

Reference: the package `msclap` 1.3.4, and `CLAP_weights_2022.pth`, `CLAP_weights_2023.pth` of the Hub's
`microsoft/msclap`: {"model": weights, …}. 2022 is Cnn14 + BERT, 2023 HTSAT-tiny + GPT-2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import product

import numpy as np

from openclap.audio.mel import mel_bank
from openclap.checkpoints.laion import HasShape, Rule, apply_rules, infer_bert, infer_htsat, infer_pann, rename_weights
from openclap.checkpoints.weights import Entry
from openclap.config import AudioConfig, CLAPConfig, FrontEnd, TextConfig
from openclap.errors import BadCheckpoint

__all__ = ["read_msclap"]

# (Microsoft, LAION, whose names are renamed further, or openclap): all rules that match are applied, in this order
RULES: tuple[Rule, ...] = (
    (r"^audio_encoder\.projection\.", "audio_projection."),
    (r"^caption_encoder\.projection\.", "text_projection."),
    (r"_projection\.linear1\.", "_projection.0."),
    (r"_projection\.linear2\.", "_projection.2."),
    (r"_projection\.layer_norm\.", "_projection.4."),
    (r"^audio_encoder\.base\.(htsat\.)?", "audio_branch."),
    (r"^caption_encoder\.base\.(wte|wpe|h|ln_f)\.", r"text.tower.\1."),  # GPT-2
    (r"^caption_encoder\.base\.", "text_branch."),  # BERT
)
COMPILED_RULES = [(re.compile(pattern), new) for pattern, new in RULES]
UNUSED = re.compile(
    r"""caption_encoder\.base\.pooler\.                     # BERT's: the state of the first token is taken
    | caption_encoder\.base\.h\.\d+\.attn\.(bias|masked_bias)$   # GPT-2's causal mask
    """,
    re.VERBOSE,
)
BANK = re.compile(r"audio_encoder\.base\.(htsat\.)?logmel_extractor\.melW$")  # (513, 64), fixed in training

# n_fft 1024, 64 bands, Slaney's scale and norm, as all of LAION's unfused models; sounds are repeated to fill a clip
FRONT_END = FrontEnd(
    sampling_rate=44_100, hop=320, f_min=50.0, f_max=14_000.0, mel_scale="slaney", mel_norm="slaney", padding="repeat"
)
OF_2022 = replace(FRONT_END, clip_seconds=5.0)
# its HTSAT keeps the settings of 32 kHz, whatever its own configuration says
OF_2023 = replace(FRONT_END, clip_seconds=7.0, mel_rate=32_000)
MAX_TOKENS = {"bert": 100, "gpt2": 77}


def read_msclap(weights: Mapping[str, Entry], where: str) -> tuple[CLAPConfig, dict[str, Entry]]:
    """Weights by Microsoft's names → configuration, and all weights by openclap's names.

    Raises
    ------
    BadCheckpoint
        The mel bank in the file is not known.
    KeyError
        A weight that shows the architecture is missing.
    """
    laion = {apply_rules(key, COMPILED_RULES): entry for key, entry in weights.items() if not UNUSED.match(key)}
    audio: AudioConfig
    if "audio_branch.conv_block1.conv1.weight" in laion:
        audio, front_end = infer_pann(laion), OF_2022
    else:
        audio, front_end = infer_htsat(laion), OF_2023
    config = CLAPConfig(
        audio=audio,
        text=_infer_text(laion),
        front_end=_with_bank_of_file(front_end, weights, where),
        embedding=laion["audio_projection.0.weight"].shape[0],
        projection="residual",
        max_logit_scale=None,
        licence="MS-PL",
    )
    return config, rename_weights(laion)


def _infer_text(weights: Mapping[str, HasShape]) -> TextConfig:
    if "text.tower.wte.weight" not in weights:
        text = replace(infer_bert(weights), pooler=False)
    else:
        vocabulary, width = weights["text.tower.wte.weight"].shape
        layers = {name.split(".")[3] for name in weights if name.startswith("text.tower.h.")}
        text = replace(
            TextConfig.preset("gpt2"),
            vocabulary=vocabulary,
            begin_id=vocabulary - 1,  # <|endoftext|>, its last token
            end_id=vocabulary - 1,
            width=width,
            heads=width // 64,
            layers=len(layers),
            intermediate=weights["text.tower.h.0.mlp.c_fc.weight"].shape[1],
            positions=weights["text.tower.wpe.weight"].shape[0],
        )
    return replace(text, max_tokens=MAX_TOKENS[text.kind])


def _with_bank_of_file(front_end: FrontEnd, weights: Mapping[str, Entry], where: str) -> FrontEnd:
    """The front end with the mel bank that the file holds, since that is what the model was trained with.

    A file without one is taken to have that of Microsoft's code.
    """
    bank = next((entry.read() for name, entry in weights.items() if BANK.match(name)), None)
    if bank is None:
        return front_end
    for rate, f_max in product((front_end.mel_rate, None, 32_000), (front_end.f_max, 8_000.0)):
        known = replace(front_end, mel_rate=rate, f_max=f_max)
        if bank.shape == mel_bank(known).shape and np.abs(bank - mel_bank(known)).max() < 1e-6:
            return known
    raise BadCheckpoint(
        f"{where}: a mel bank {bank.shape} that is none of Microsoft's CLAP; get the file anew from its publisher"
    )
