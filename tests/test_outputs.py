"""What towers give beside unit rows: the same on every backend, and as transformers has it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from models_for_tests import PANN_SMALL, TEXT_KINDS, WORDS, small_clap, text_config
from test_backends import AUDIO, FRONT, random_model
from test_huggingface import extractor, save_theirs

from openclap import CLAP, CLAPConfig
from openclap.backends.openvino_backend import OpenVINOBackend
from openclap.backends.outputs import TowerOutput
from openclap.backends.torch_backend import TorchBackend
from openclap.errors import UsageError
from openclap.normalization import normalize_rows

RATE = 16_000
OTHERS: tuple[TowerOutput, ...] = ("projected", "pooled", "frames")


def noise(seconds: float, seed: int = 0) -> tuple[np.ndarray, int]:
    return np.random.default_rng(seed).standard_normal(int(seconds * RATE)).astype(np.float32) / 9, RATE


@pytest.mark.parametrize("audio", [*AUDIO])
@pytest.mark.parametrize("fusion", [None, "aff_2d"])
def test_backends_agree_on_every_output_of_sounds(audio: str, fusion: str | None) -> None:
    front = replace(FRONT, mel_bins=32) if audio == "htsat of another size" else FRONT
    config = CLAPConfig(audio=AUDIO[audio], text=WORDS, front_end=front, fusion=fusion, embedding=24)  # type: ignore[arg-type]
    model = random_model(config)
    both = TorchBackend(model, device="cpu"), OpenVINOBackend(config, model.arrays(), threads=1, why="test")
    mel = np.random.default_rng(0).uniform(-60, 0, (2, 4, front.clip_frames, front.mel_bins)).astype(np.float32)
    longer = np.array([fusion is not None, False])
    rows = {out: [backend.encode_audio(mel, longer, out) for backend in both] for out in (*OTHERS, "unit")}
    for one, other in rows.values():
        assert np.abs(one - other).max() < 1e-4  # of numbers of about 1
    assert np.abs(normalize_rows(rows["projected"][0]) - rows["unit"][0]).max() < 1e-6
    assert rows["frames"][0].ndim == 3
    if "htsat" in audio:  # elsewhere it is no plain mean
        assert np.abs(rows["frames"][1].mean(1) - rows["pooled"][1]).max() < 1e-5


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_backends_agree_on_every_output_of_texts(kind: str) -> None:
    text = WORDS if kind == "words" else text_config(kind)
    config = CLAPConfig(audio=PANN_SMALL, text=text, front_end=FRONT, embedding=24)
    model = random_model(config)
    both = TorchBackend(model, device="cpu"), OpenVINOBackend(config, model.arrays(), threads=1, why="test")
    ids, mask = np.array([[0, 5, 9, 63, 2], [0, 7, 2, 63, 1]]), np.array([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
    for out in OTHERS:
        if kind == "words" and out == "frames":
            for backend in both:
                with pytest.raises(UsageError, match=r"the text tower of this model \(words\) gives no frames"):
                    backend.encode_text(ids, mask, out)
            continue
        few, many = both[0].encode_text(ids, mask, out), both[1].encode_text(ids, mask, out)
        assert np.abs(few - many)[mask > 0 if out == "frames" else ...].max() < 2e-5
        again = np.tile(ids, (7, 1)), np.tile(mask, (7, 1))  # so many that the graph is used
        assert np.abs(both[1].encode_text(*again, out)[:2] - many)[mask > 0 if out == "frames" else ...].max() < 2e-5


def test_pooled_and_frames_are_those_of_transformers(tmp_path: Path) -> None:
    theirs = save_theirs(tmp_path, fused=False, small=True)
    clap = CLAP.from_pretrained(tmp_path)
    wave = np.random.default_rng(3).standard_normal(7 * 48_000).astype(np.float32) / 9
    inputs = extractor(fused=False)(wave, sampling_rate=48_000, return_tensors="pt")
    with torch.inference_mode():
        out = theirs.audio_model(**inputs)
    sound = wave, 48_000
    pooled = clap.encode_audio(sound, output="pooled", normalize=False)
    assert np.abs(pooled - out.pooler_output.numpy()).max() < 1e-4
    frames = clap.encode_audio(sound, output="frames", normalize=False)
    assert np.abs(frames - out.last_hidden_state.mean(2).transpose(1, 2).numpy()).max() < 1e-4


def test_rows_of_windows_and_their_means() -> None:
    clap = small_clap(fusion=None)
    sound = noise(23.0)
    for output in ("embedding", "pooled"):
        windows = clap.encode_windows(sound, output=output, normalize=False).embedding
        raw = clap.encode_audio(sound, output=output, normalize=False)
        assert np.abs(raw[0] - windows.mean(0)).max() < 1e-6
        unit = clap.encode_windows(sound, output=output).embedding
        assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
        assert np.abs(normalize_rows(windows) - unit).max() < 1e-6
    frames = clap.encode_windows(sound, output="frames")
    assert frames.embedding.shape[0] == len(frames)
    assert np.allclose(np.linalg.norm(frames.embedding, axis=-1), 1, atol=1e-5)
    with pytest.raises(UsageError, match="have no mean; ask encode_windows, or take long='head'"):
        clap.encode_audio(sound, output="frames")
    head = clap.encode_audio([sound, noise(3.0)], output="frames", long="head")
    assert np.abs(head[0] - frames.embedding[0]).max() < 1e-5
    with pytest.raises(UsageError, match="output is 'layers'; choose embedding, pooled, frames"):
        clap.encode_audio(sound, output="layers")  # type: ignore[arg-type]


def test_states_of_texts_have_zeros_behind_the_shorter_ones(tokenizer_file: Path) -> None:
    config = CLAPConfig(audio=PANN_SMALL, text=replace(text_config("roberta"), pad_id=1), front_end=FRONT, embedding=24)
    clap = CLAP.from_config(config, tokenizer=tokenizer_file)
    texts = ["the dog", "rain on the roof and a dog"]
    both = clap.encode_text(texts, output="frames", normalize=False)
    apart = clap.encode_text(texts, output="frames", normalize=False, batch_size=1)
    alone = clap.encode_text(texts[0], output="frames", normalize=False)
    assert both.shape == apart.shape
    assert np.abs(both - apart).max() < 1e-5
    assert np.abs(both[0, : alone.shape[1]] - alone[0]).max() < 1e-5
    assert not both[0, alone.shape[1] :].any()
