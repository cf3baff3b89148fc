"""LAION's `.pt` files as they are published: envelope, `module.`, dead weights, pickled numpy scalars."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import long_wave, write_tokenizer

from openclap import CLAP
from openclap.checkpoints import laion
from openclap.checkpoints.laion import infer_config, rename_weights
from openclap.checkpoints.torch_files import entries_from_tensors
from openclap.checkpoints.weights import Entry
from openclap.errors import BadCheckpoint, ModelNotHere, UnknownModel, UnsafeCheckpoint

pytestmark = pytest.mark.filterwarnings("ignore:.*nearly the same vector:openclap.errors.ModelWarning")

WIDTH, TEXT = 8, 16
SHAPES = json.loads(gzip.decompress((Path(__file__).parent / "data" / "golden" / "laion_shapes.json.gz").read_bytes()))
ALL_NAMES = sorted({name for shapes in SHAPES.values() for name in shapes})


def laion_state() -> dict[str, torch.Tensor]:
    """A small fused HTSAT + RoBERTa in LAION's names, with everything a released file also holds."""
    g = torch.Generator().manual_seed(0)
    state: dict[str, torch.Tensor] = {}

    def add(name: str, *shape: int) -> None:
        state[name] = (
            torch.rand(shape, generator=g) + 0.5 if "running_var" in name else torch.randn(shape, generator=g) * 0.1
        )

    def norm(name: str, width: int, *, batch: bool = False) -> None:
        for part in ("weight", "bias", *(("running_mean", "running_var") if batch else ())):
            add(f"{name}.{part}", width)
        if batch:
            state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def linear(name: str, out: int, inner: int) -> None:
        add(f"{name}.weight", out, inner)
        add(f"{name}.bias", out)

    a = "audio_branch."
    norm(a + "bn0", 64, batch=True)
    for name, shape in (("proj", (WIDTH, 1, 4, 4)), ("mel_conv2d", (WIDTH, 1, 4, 12))):
        add(f"{a}patch_embed.{name}.weight", *shape)
        add(f"{a}patch_embed.{name}.bias", WIDTH)
    norm(a + "patch_embed.norm", WIDTH)
    for kind, at in (("local_att", (0, 1, 3, 4)), ("global_att", (1, 2, 4, 5))):
        for index, (out, inner) in zip(at, ((2, 8), (2, 0), (8, 2), (8, 0)), strict=True):
            name = f"{a}patch_embed.fusion_model.{kind}.{index}"
            if inner:
                add(f"{name}.weight", out, inner, 1, 1)
                add(f"{name}.bias", out)
            else:
                norm(name, out, batch=True)
    for stage in range(2):
        width = WIDTH << stage
        for block in range(2):
            b = f"{a}layers.{stage}.blocks.{block}."
            norm(b + "norm1", width)
            norm(b + "norm2", width)
            linear(b + "attn.qkv", 3 * width, width)
            linear(b + "attn.proj", width, width)
            add(b + "attn.relative_position_bias_table", 225, 2)
            state[b + "attn.relative_position_index"] = torch.zeros(64, 64, dtype=torch.int64)
            linear(b + "mlp.fc1", 4 * width, width)
            linear(b + "mlp.fc2", width, 4 * width)
    state[a + "layers.0.blocks.1.attn_mask"] = torch.zeros(64, 64, 64)
    norm(a + "layers.0.downsample.norm", 4 * WIDTH)
    add(a + "layers.0.downsample.reduction.weight", 2 * WIDTH, 4 * WIDTH)
    norm(a + "norm", 2 * WIDTH)
    t = "text_branch."
    for name, rows in (("word", 50265 // 500), ("position", 90), ("token_type", 1)):
        add(f"{t}embeddings.{name}_embeddings.weight", rows, TEXT * 4)
    norm(t + "embeddings.LayerNorm", TEXT * 4)
    state[t + "embeddings.position_ids"] = torch.arange(90)[None]
    e = t + "encoder.layer.0."
    for name in ("query", "key", "value"):
        linear(f"{e}attention.self.{name}", TEXT * 4, TEXT * 4)
    linear(e + "attention.output.dense", TEXT * 4, TEXT * 4)
    norm(e + "attention.output.LayerNorm", TEXT * 4)
    linear(e + "intermediate.dense", 32, TEXT * 4)
    linear(e + "output.dense", TEXT * 4, 32)
    norm(e + "output.LayerNorm", TEXT * 4)
    linear(t + "pooler.dense", TEXT * 4, TEXT * 4)
    for name, width in (("audio", 2 * WIDTH), ("text", TEXT * 4)):
        linear(f"{name}_projection.0", 24, width)
        linear(f"{name}_projection.2", 24, 24)
        linear(f"{name}_transform.sequential.0", 24, 24)
    add("logit_scale_a")
    add("logit_scale_t")
    add(a + "tscam_conv.weight", 5, 2 * WIDTH, 2, 3)
    add(a + "head.weight", 5, 5)
    add(a + "spectrogram_extractor.stft.conv_real.weight", 9, 1, 16)
    add(a + "logmel_extractor.melW", 9, 4)
    return state


def save(path: Path, state: dict[str, torch.Tensor], **extra: Any) -> Path:
    envelope = {
        "epoch": 3,
        "name": "x",
        "state_dict": {f"module.{k}": v for k, v in state.items()},
        "optimizer": {"best": np.float64(0.5)},
    }
    torch.save({**envelope, **extra}, path)
    return path


def test_a_released_file_loads(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer.json")
    clap = CLAP.from_pretrained(save(tmp_path / "630k-audioset-fusion-best.pt", laion_state()))
    config = clap.config
    assert (config.audio.kind, config.text.kind, config.fusion) == ("htsat", "roberta", "aff_2d")
    assert (config.front_end.mel_scale, config.front_end.mel_norm) == ("htk", None)  # fused: the HTK bank
    assert clap.encode_audio([(long_wave(2), 48_000), (long_wave(12), 48_000)]).shape == (2, 24)
    assert clap.encode_text("a dog").shape == (1, 24)
    assert clap.logit_scale == pytest.approx(float(laion_state()["logit_scale_a"].exp()))


def test_without_a_tokenizer_sounds_work_and_texts_say_why(tmp_path: Path) -> None:
    clap = CLAP.from_pretrained(save(tmp_path / "model.pt", laion_state()))
    assert clap.encode_audio((long_wave(1), 48_000)).shape == (1, 24)
    with pytest.raises(ModelNotHere, match=r"locate\.pull\('laion/clap-htsat-unfused'\)"):
        clap.encode_text("a dog")


def test_a_bare_state_dict_loads_too(tmp_path: Path) -> None:
    torch.save(laion_state(), tmp_path / "bare.pt")
    assert CLAP.from_pretrained(tmp_path / "bare.pt").config.embedding == 24


def test_missing_and_left_over_weights_are_listed(tmp_path: Path) -> None:
    state = laion_state()
    state["audio_branch.extra.weight"] = torch.zeros(2)
    del state["audio_branch.layers.1.blocks.0.attn.qkv.bias"]
    with pytest.raises(
        BadCheckpoint,
        match=r"1 missing: audio\.stages\.1\.blocks\.0\.attention\.qkv\.bias; 1 left over: audio_branch\.extra\.weight",
    ):
        CLAP.from_pretrained(save(tmp_path / "model.pt", state))


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (Path.touch, (Path("/nonexistent/evil"),))  # type: ignore[return-value]


def test_a_pickle_that_runs_code_is_not_opened(tmp_path: Path) -> None:
    torch.save({"state_dict": {"module.audio_branch.x": Evil()}}, tmp_path / "evil.pt")
    with pytest.raises(UnsafeCheckpoint, match="was not run"):
        CLAP.from_pretrained(tmp_path / "evil.pt")


@pytest.mark.parametrize("content", [b"", b"no torch file", pickle.dumps([1, 2]), b"PK\x03\x04 cut"])
def test_files_that_are_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(BadCheckpoint):
        CLAP.from_pretrained(tmp_path / "model.pt")
    with pytest.raises(UnknownModel):
        CLAP.from_pretrained(tmp_path / "other.pt")


def test_every_rule_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that renames nothing in any of the released architectures is dead."""
    renamed = rename_weights(entries_from_tensors(laion_state()))
    assert not [key for key in renamed if key.startswith(("audio_branch", "text_branch"))]
    entries = {name: Entry((3,), lambda: np.zeros(3)) for name in ALL_NAMES}
    rules = list(laion.COMPILED_RULES)
    whole = set(rename_weights(entries))
    for i, (pattern, _) in enumerate(rules):
        monkeypatch.setattr(laion, "COMPILED_RULES", rules[:i] + rules[i + 1 :])
        assert set(rename_weights(entries)) != whole, pattern.pattern
    assert infer_config(laion_state()).audio.output == 2 * WIDTH
