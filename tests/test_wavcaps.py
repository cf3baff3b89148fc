"""WavCaps' and AudioSetCaps' `.pt` files: names, towers, front end, temperature."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import long_wave, write_tokenizer
from models_for_tests import HTSAT_SMALL
from torch import Tensor

from openclap import CLAP, CLAPConfig
from openclap.checkpoints.load import load_checkpoint
from openclap.checkpoints.wavcaps import FRONT_END
from openclap.config import AudioConfig, FrontEnd, PANNConfig, TextConfig
from openclap.errors import BadCheckpoint
from openclap.models.clap import CLAPModel

pytestmark = pytest.mark.filterwarnings("ignore:.*nearly the same vector:openclap.errors.ModelWarning")

CNN14 = PANNConfig(widths=(8, 8, 8, 8, 16, 16), pools=((2, 2),) * 6, hidden=False, output=16)
SIZES = {"vocabulary": 110, "width": 64, "heads": 1, "layers": 2, "intermediate": 32, "positions": 60}
TEXTS = ("a dog barking", "heavy rain", "rain")
# openclap → WavCaps
NAMES = (
    (r"^(audio|text)_projection\.", r"\1_proj."),
    (r"^text\.tower\.", "text_encoder.text_encoder."),
    (r"^audio\.", "audio_encoder.audio_enc."),
    (r"\.batch_norm\.", ".bn0."),
    (r"\.patches\.project\.", ".patch_embed.proj."),
    (r"\.patches\.norm\.", ".patch_embed.norm."),
    (r"\.stages\.", ".layers."),
    (r"\.attention\.bias_table$", ".attn.relative_position_bias_table"),
    (r"(blocks\.\d+)\.attention\.qkv\.", r"\1.attn.qkv."),
    (r"(blocks\.\d+)\.attention\.out\.", r"\1.attn.proj."),
    (r"\.mlp\.0\.", ".mlp.fc1."),
    (r"\.mlp\.2\.", ".mlp.fc2."),
    (r"\.merge\.reduce\.", ".downsample.reduction."),
    (r"\.merge\.norm\.", ".downsample.norm."),
)


def name_by_wavcaps(name: str) -> str:
    block = re.match(r"audio\.blocks\.(\d+)\.convs\.(\d+)\.(\d)\.(\w+)", name)
    if block:
        at, conv, kind, last = block.groups()
        return f"audio_encoder.audio_enc.conv_block{int(at) + 1}.{('conv', 'bn')[int(kind)]}{int(conv) + 1}.{last}"
    for ours, theirs in NAMES:
        name = re.sub(ours, theirs, name)
    return name


def make(audio: AudioConfig, kind: str, **front: Any) -> CLAPModel:
    sizes: dict[str, Any] = {**vars(TextConfig.preset(kind)), **SIZES, "pooler": False, "max_tokens": 30}
    text = TextConfig(**sizes)
    padding: Any = "pad" if kind == "bert" else "repeat"
    config = CLAPConfig(audio=audio, text=text, front_end=replace(FRONT_END, padding=padding, **front), embedding=48, max_logit_scale=None)  # fmt: skip
    torch.manual_seed(1)
    model = CLAPModel(config).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.1 * torch.randn(parameter.shape))
    return model


def released(file: Path, model: CLAPModel, *, temperature: float = 0.05, config: Any = None, **extra: Tensor) -> Path:
    """A file as published, with what openclap does not use."""
    state = {name_by_wavcaps(name): value for name, value in model.state_dict().items() if name != "logit_scale"}
    frozen = "audio_encoder.audio_enc.audio_feats_extractor."
    state |= {
        f"{frozen}mel_trans.stft.conv_real.weight": torch.zeros(9, 1, 16),
        f"{frozen}log_trans.melW": torch.zeros(9, 4),
    }
    state |= {"temp": torch.tensor(temperature), **extra}
    torch.save({"model": state, "optimizer": {}, "epoch": 2, "config": config or {"seed": 20}}, file)
    write_tokenizer(file.with_name("tokenizer.json"), ("<s>", "<pad>", "</s>", "<unk>"))
    return file


@pytest.mark.parametrize("backend", ["openvino", "torch"])
@pytest.mark.parametrize(("audio", "kind"), [("cnn14", "bert"), ("htsat", "roberta")])
def test_a_released_file_loads_exactly(audio: str, kind: str, backend: str, tmp_path: Path) -> None:
    """Six blocks that all pool and no layer after them; the state of the first token; a divisor of cosines."""
    model = make(CNN14 if audio == "cnn14" else HTSAT_SMALL, kind)
    extra: dict[str, Any] = (
        {}
        if audio == "cnn14"
        else {f"audio_encoder.audio_enc.{n}": torch.zeros(2) for n in ("head.bias", "tscam_conv.bias")}
    )
    clap = CLAP.from_pretrained(released(tmp_path / "HTSAT-BERT.pt", model, **extra), backend=backend)
    assert replace(clap.config, name="unnamed") == replace(model.config, audio=clap.config.audio)
    assert clap.config.audio.output == model.config.audio.output
    assert clap.logit_scale == pytest.approx(1 / 0.05)
    mel = np.random.default_rng(0).normal(-25, 15, (2, 1, 1001, 64)).astype(np.float32)
    ids, mask = clap.tokenizer(TEXTS)
    with torch.inference_mode():
        heard = model.encode_audio(torch.from_numpy(mel), torch.zeros(2, dtype=torch.bool)).numpy()
        tower: Any = model.text.tower
        states = tower(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
        first = model.text_projection(states.last_hidden_state[:, 0])
        read = torch.nn.functional.normalize(first, dim=-1).numpy()
    assert np.abs(clap.backend.encode_audio(mel, np.zeros(2, bool)) - heard).max() < 2e-6
    assert np.abs(clap.encode_text(TEXTS) - read).max() < 2e-6
    assert clap.encode_audio((long_wave(3, 32_000), 32_000)).shape == (1, 48)


def test_the_files_own_front_end_counts(tmp_path: Path) -> None:
    stated = {
        "sr": 16_000,
        "n_fft": 512,
        "hop_length": 160,
        "f_min": 20,
        "f_max": 7_000,
        "n_mels": 64,
        "max_length": 30,
    }
    model = make(CNN14, "bert")
    front = load_checkpoint(released(tmp_path / "x.pt", model, config={"audio_args": stated})).config.front_end
    assert front == FrontEnd(
        sampling_rate=16_000,
        n_fft=512,
        hop=160,
        f_min=20,
        f_max=7_000,
        mel_scale="slaney",
        mel_norm="slaney",
        padding="pad",
    )
    stated["sr"] = 8_000
    with pytest.raises(BadCheckpoint, match="a model that openclap cannot build: the mel bank goes from 20 to 7000 Hz"):
        load_checkpoint(released(tmp_path / "x.pt", model, config={"audio_args": stated}))


def test_resnet38_is_refused_by_name(tmp_path: Path) -> None:
    extra: dict[str, Any] = {"audio_encoder.audio_enc.resnet.layer1.0.conv1.weight": torch.zeros(2)}
    with pytest.raises(BadCheckpoint, match="its audio tower is ResNet38, which openclap does not have"):
        load_checkpoint(released(tmp_path / "x.pt", make(CNN14, "bert"), **extra))
