"""LAION's own numbers under weights anyone can regenerate: a released `.pt` file will load and agree.

`data/golden/README.md` tells the rule that fills every weight from its name, and the inputs.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from openclap.audio.mel import log_mel
from openclap.checkpoints.laion import infer_config, rename
from openclap.config import PANNConfig, WordsConfig
from openclap.models.clap import CLAPModel

GOLDEN = Path(__file__).parent / "data" / "golden"
SHAPES: dict[str, dict[str, list[int]]] = json.loads(gzip.decompress((GOLDEN / "laion_shapes.json.gz").read_bytes()))
NUMBERS = np.load(GOLDEN / "laion_embeddings.npz")
TEXT = {"roberta": "HTSAT-tiny+roberta+aff_2d", "bert": "PANN-14+bert+None", "transformer": "PANN-14+transformer+daf_2d"}
END = {"roberta": 2, "bert": 102, "transformer": 49407}


def weight(name: str, shape: list[int]) -> torch.Tensor:
    """The rule of the golden README."""
    n = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    front = ".bn0." in name
    if name.endswith("running_var"):
        n = (400 if front else 1) * (1 + 0.5 * np.abs(n))
    elif name.endswith("running_mean"):
        n = 0.1 * n - (20 if front else 0)
    elif not shape:
        n = np.float64(math.log(1 / 0.07))
    elif len(shape) == 1 and name.endswith("weight"):
        n = 1 + 0.1 * n
    elif name.endswith("bias"):
        n = 0.02 * n
    elif "embedding" in name:
        n = 0.05 * n
    elif "relative_position_bias_table" in name:
        n = 0.5 * n
    else:
        gain = 2 if "conv_block" in name or (".fc1." in name and ".mlp." not in name) else 1
        n = n * math.sqrt(gain / math.prod(shape[1:]))
    return torch.tensor(np.asarray(n, np.float32))


@cache
def fused_mels() -> torch.Tensor:
    r = np.random.RandomState(7)
    coarse = r.standard_normal((3, 4, 91, 8)) * 8 + r.standard_normal((3, 4, 1, 8)) * 12 - 25
    return torch.tensor(np.kron(coarse, np.ones((11, 8))).astype(np.float32))


@cache
def waves() -> np.ndarray:
    t = np.arange(480_000) / 48_000
    noise = np.random.RandomState(8).standard_normal(480_000) * 0.1
    chirp = 0.3 * np.sin(2 * np.pi * (200 * t + 300 * t**2))
    beeps = 0.5 * np.sin(2 * np.pi * 440 * t) * (np.sin(2 * np.pi * 2 * t) > 0.9)
    return np.stack([noise, chirp, beeps]).astype(np.float32)


def loaded(combination: str, part: str) -> CLAPModel:
    """The combination's model with the weights of one side filled by the rule and loaded strictly.

    The other side is left out of the model: filling 125 M weights for each combination would take minutes.
    """
    shapes = SHAPES[combination]
    config = infer_config({name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    tiny = {"text": WordsConfig(vocabulary=2, width=8)} if part == "audio" else {"audio": PANNConfig(widths=(4,), pools=((2, 2),), output=8)}
    config = replace(config, fusion=config.fusion if part == "audio" else None, **tiny)
    model = CLAPModel(config).eval()
    names = rename({name: torch.empty(0) if "in_proj" not in name else torch.empty(3) for name in shapes})
    wanted = {key for key in names if key.startswith((f"{part}.", f"{part}_projection."))}
    filled = rename({name: weight(name, shape) for name, shape in shapes.items() if wanted & set(rename({name: torch.empty(3)}))})
    assert set(filled) == wanted
    state = {key: value for key, value in model.state_dict().items() if not key.startswith(f"{part}.") and not key.startswith(f"{part}_projection.")}
    counters = {key: value for key, value in model.state_dict().items() if key.endswith("num_batches_tracked")}
    model.load_state_dict({**state, **counters, **filled})
    return model


@pytest.mark.parametrize("combination", SHAPES)
def test_audio(combination: str) -> None:
    model = loaded(combination, "audio")
    expected = NUMBERS[f"{combination}/audio"]
    if combination.endswith("None"):
        mels = np.stack([log_mel(wave, model.config.front_end) for wave in waves()])[:, None]
        mel, longer = torch.from_numpy(mels), torch.zeros(3, dtype=torch.bool)
    else:
        mel, longer = fused_mels(), torch.tensor([True, False, True])
    with torch.inference_mode():
        got = model.encode_audio(mel, longer).numpy()
    # fed waves, the front end's own float order adds to the model's: 1e-4 there, 1e-5 for mels
    assert np.abs(got - expected).max() < (1e-4 if combination.endswith("None") else 1e-5)
    assert np.abs(expected[0] - expected[1]).max() > 1e-2  # the rows differ, so a constant would fail


@pytest.mark.parametrize("encoder", TEXT)
def test_text(encoder: str) -> None:
    model = loaded(TEXT[encoder], "text")
    ids = NUMBERS[f"text/{encoder}/ids"].astype(np.int64)
    end = (ids == END[encoder]).argmax(1)
    mask = np.arange(ids.shape[1])[None] <= end[:, None]
    with torch.inference_mode():
        got = model.encode_text(torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64))).numpy()
        short = int(end.max()) + 1
        cut = model.encode_text(torch.from_numpy(ids[:, :short]), torch.from_numpy(mask[:, :short].astype(np.int64))).numpy()
    expected = NUMBERS[f"text/{encoder}/embedding"]
    assert np.abs(got - expected).max() < 1e-5
    assert np.abs(cut - expected).max() < 1e-5  # padding to the longest text changes nothing
