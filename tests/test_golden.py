"""LAION's own numbers under weights anyone can regenerate: a released `.pt` file will load and agree.

`data/golden/README.md` tells the rule that fills every weight from its name, and the inputs.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import re
import zlib
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from openclap.audio.mel import log_mel
from openclap.backends import why_no_graph
from openclap.backends.openvino_backend import FEW_TEXTS, OpenVINOBackend
from openclap.checkpoints.laion import infer_config, rename_weights
from openclap.checkpoints.load import load_checkpoint
from openclap.checkpoints.torch_files import entries_from_tensors
from openclap.checkpoints.torch_formats import read_torch_file
from openclap.checkpoints.weight_shapes import check_fit
from openclap.config import AUDIO, CLAPConfig, Fusion, PANNConfig, TextConfig, WordsConfig
from openclap.errors import BadCheckpoint, UnsafeCheckpoint
from openclap.models.clap import CLAPModel

GOLDEN = Path(__file__).parent / "data" / "golden"
SHAPES: dict[str, dict[str, list[int]]] = json.loads(gzip.decompress((GOLDEN / "laion_shapes.json.gz").read_bytes()))
NUMBERS = np.load(GOLDEN / "laion_embeddings.npz")
TEXT = {
    "roberta": "HTSAT-tiny+roberta+None",
    "bert": "PANN-14+bert+None",
    "transformer": "PANN-14+transformer+daf_2d",
}
END = {"roberta": 2, "bert": 102, "transformer": 49_407}
TINY = PANNConfig(widths=(4,), pools=((2, 2),), output=8)
SIDE = {  # where each half of a LAION state dict lies
    "audio": ("audio_",),
    "text": ("text_", "token_embedding.", "positional_embedding", "ln_final."),
}

# -- the rule and the inputs of the golden README ----------------------------------------------------


def weight(name: str, shape: list[int]) -> Tensor:
    n = np.asarray(np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape))
    front = ".bn0." in name
    if name.endswith("running_var"):
        n = (400 if front else 1) * (1 + 0.5 * np.abs(n))
    elif name.endswith("running_mean"):
        n = 0.1 * n - (20 if front else 0)
    elif not shape:
        n = np.asarray(math.log(1 / 0.07))
    elif len(shape) == 1 and name.endswith("weight"):
        n = 1 + 0.1 * n
    elif name.endswith("bias"):
        n *= 0.02
    elif "embedding" in name:
        n *= 0.05
    elif "relative_position_bias_table" in name:
        n *= 0.5
    else:
        gain = 2 if "conv_block" in name or (".fc1." in name and ".mlp." not in name) else 1
        n *= math.sqrt(gain / math.prod(shape[1:]))
    return torch.from_numpy(n.astype(np.float32))


@lru_cache(maxsize=1)
def drawn(encoder: str) -> dict[tuple[str, tuple[int, ...]], Tensor]:
    """Weights of one audio encoder, kept while its combinations are tested: drawing them is the slow part."""
    return {}


def state(combination: str, side: str) -> dict[str, Tensor]:
    """One side of a combination's LAION state dict."""
    kept = drawn(combination.partition("+")[0])
    chosen = {}
    for name, shape in SHAPES[combination].items():
        if name.startswith(SIDE[side]):
            key = (name, tuple(shape))
            chosen[name] = kept[key] if key in kept else weight(name, shape)
            if side == "audio":
                kept[key] = chosen[name]
    return chosen


@cache
def fused_mels() -> Tensor:
    r = np.random.RandomState(7)
    coarse = r.standard_normal((3, 4, 91, 8)) * 8 + r.standard_normal((3, 4, 1, 8)) * 12 - 25
    return torch.from_numpy(np.kron(coarse, np.ones((11, 8))).astype(np.float32))


@cache
def waves() -> npt.NDArray[np.float32]:
    t = np.arange(480_000) / 48_000
    noise = np.random.RandomState(8).standard_normal(480_000) * 0.1
    chirp = 0.3 * np.sin(2 * np.pi * (200 * t + 300 * t**2))
    beeps = 0.5 * np.sin(2 * np.pi * 440 * t) * (np.sin(2 * np.pi * 2 * t) > 0.9)
    return np.stack([noise, chirp, beeps]).astype(np.float32)


# -- agreement ---------------------------------------------------------------------------------------


def config_of(combination: str) -> CLAPConfig:
    return infer_config({name: torch.empty(s, device="meta") for name, s in SHAPES[combination].items()})


def loaded(combination: str, side: str) -> CLAPModel:
    """The combination's model, one side of it loaded strictly; a tiny tower stands in for the other side."""
    other: dict[str, Any] = {"text": WordsConfig(vocabulary=2, width=8)}
    if side == "text":
        other = {"audio": TINY, "fusion": None}
    config = replace(config_of(combination), **other)
    own = (f"{side}.", f"{side}_projection.")
    # only the other side's weights are drawn at random: its own are those given
    tiny = replace(config, audio=TINY, text=WordsConfig(vocabulary=2, width=8), fusion=None)
    rest = {key: value for key, value in CLAPModel(tiny).arrays().items() if not key.startswith(own)}
    given = {
        name: entry.read() for name, entry in rename_weights(entries_from_tensors(state(combination, side))).items()
    }
    given = {name: value for name, value in given.items() if not name.endswith("num_batches_tracked")}
    assert all(name.startswith(own) for name in given)
    return CLAPModel.from_arrays(config, {**rest, **given})


@pytest.mark.parametrize("combination", SHAPES)
def test_whole_model_is_inferred_and_named(combination: str) -> None:
    """Every weight of both sides has its place, and every place its weight."""
    encoder, text, fusion = combination.split("+")
    config = config_of(combination)
    assert f"{config.fusion}" == fusion
    assert config.text.kind == {"transformer": "clip"}.get(text, text)
    assert config.front_end.mel_scale == ("slaney" if fusion == "None" else "htk")
    assert config.front_end.mel_norm == ("slaney" if fusion == "None" else None)
    assert config.audio.kind == encoder.split("-")[0].lower()
    assert config.audio == AUDIO[config.audio.kind].config.preset(encoder.split("-")[1])
    assert config.embedding == 512
    meta = {name: torch.empty(shape, device="meta") for name, shape in SHAPES[combination].items()}
    check_fit(
        config, {name: entry.shape for name, entry in rename_weights(entries_from_tensors(meta)).items()}, combination
    )


@pytest.mark.parametrize("combination", SHAPES)
def test_audio(combination: str) -> None:
    model = loaded(combination, "audio")
    expected = NUMBERS[f"{combination}/audio"]
    if model.config.fusion is None:
        mel = torch.from_numpy(np.stack([log_mel(wave, model.config.front_end) for wave in waves()])[:, None])
        longer = torch.zeros(3, dtype=torch.bool)
    else:
        mel, longer = fused_mels(), torch.tensor([True, False, True])
    with torch.inference_mode():
        got = model.encode_audio(mel, longer).numpy()
    # Fed waves, the float order of two float32 spectra differs, by up to 0.24 dB in near-silent bins.
    assert np.abs(got - expected).max() < (1e-4 if model.config.fusion is None else 1e-5)
    assert np.abs(expected[0] - expected[1]).max() > 1e-2  # the rows differ, so a constant would fail
    if why_no_graph(model.config) is None:
        graph = OpenVINOBackend(model.config, model.arrays(), threads=None, why="test")
        assert np.abs(graph.encode_audio(mel.numpy(), longer.numpy()) - got).max() < 5e-6


@pytest.mark.parametrize("encoder", TEXT)
def test_text(encoder: str) -> None:
    drawn.cache_clear()
    model = loaded(TEXT[encoder], "text")
    ids = torch.from_numpy(NUMBERS[f"text/{encoder}/ids"].astype(np.int64))
    end = (ids == END[encoder]).long().argmax(1)
    mask = (torch.arange(ids.shape[1])[None] <= end[:, None]).long()
    longest = int(end.max()) + 1
    with torch.inference_mode():
        got = model.encode_text(ids, mask).numpy()
        short = model.encode_text(ids[:, :longest], mask[:, :longest]).numpy()
    expected = NUMBERS[f"text/{encoder}/embedding"]
    assert np.abs(got - expected).max() < 1e-5
    if why_no_graph(model.config) is None:
        graph = OpenVINOBackend(model.config, model.arrays(), threads=None, why="test")
        assert np.abs(graph.encode_text(ids.numpy(), mask.numpy()) - expected).max() < 1e-5  # numpy: few texts
        times = (FEW_TEXTS // len(ids), 1)
        many = np.tile(ids[:, :longest].numpy(), times), np.tile(mask[:, :longest].numpy(), times)
        assert np.abs(graph.encode_text(*many)[: len(ids)] - expected).max() < 1e-5  # a graph: many
        assert graph._text
    assert np.abs(short - expected).max() < 1e-5  # padding to the longest text alone changes nothing
    assert np.abs(expected[0] - expected[1]).max() > 1e-2


PANN_FUSIONS = np.load(GOLDEN / "pann_fusions.npz")
LAION_NAMES = (
    (r"^batch_norm\.", "bn0."),
    (r"^hidden\.", "fc1."),
    (r"^local_project\.", "mel_conv1d."),
    (r"^fusion\.(local|global)_attention(2?)\.", r"fusion_model.\1_att\2."),
)


def name_by_laion(name: str) -> str:
    """The name that LAION's code gives to a weight of a PANN."""
    block = re.match(r"blocks\.(\d+)\.convs\.(\d+)\.(\d)\.(\w+)", name)
    if block:
        at, conv, kind, last = block.groups()
        return f"audio_branch.conv_block{int(at) + 1}.{('conv', 'bn')[int(kind)]}{int(conv) + 1}.{last}"
    for ours, theirs in LAION_NAMES:
        name = re.sub(ours, theirs, name)
    return f"audio_branch.{name}"


@pytest.mark.parametrize("fusion", PANN_FUSIONS)
def test_pann_with_a_fusion_of_mels_or_in_the_channels(fusion: Fusion) -> None:
    """LAION's code trains them, openclap had none: they were refused."""
    audio = PANNConfig(widths=(8, 8, 8, 8, 16, 16), output=24)
    config = CLAPConfig(audio=audio, text=WordsConfig(vocabulary=2, width=8), fusion=fusion, embedding=20)
    model = CLAPModel(config).eval()
    names = {name: name_by_laion(name) for name in model.audio.state_dict() if "num_batches" not in name}
    theirs = {new: weight(new, list(model.audio.state_dict()[old].shape)) for old, new in names.items()}
    model.audio.load_state_dict({old: theirs[new] for old, new in names.items()}, strict=False)
    with torch.inference_mode():
        longer = torch.tensor([True, False, True])
        got = model.audio(fused_mels(), longer).numpy()
        row = model.encode_audio(fused_mels(), longer).numpy()
    expected = PANN_FUSIONS[fusion]
    assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()
    graph = OpenVINOBackend(config, model.arrays(), threads=None, why="test")
    assert np.abs(graph.encode_audio(fused_mels().numpy(), longer.numpy()) - row).max() < 5e-6
    others = {
        "audio_projection.2.weight": torch.zeros(20, 20),
        **{k: v for k, v in small_state().items() if "text" in k},
    }
    read = infer_config({**theirs, **others})
    assert (read.audio, read.fusion) == (audio, fusion)
    renamed = rename_weights(entries_from_tensors(theirs))
    assert set(renamed) == {f"audio.{name}" for name in names}


# -- files as LAION released them ---------------------------------------------------------------------


def small_state() -> dict[str, Tensor]:
    """A PANN of two blocks with a RoBERTa of one layer in LAION's names, dead weights included."""
    text = TextConfig(vocabulary=50, width=64, layers=1, heads=1, intermediate=96, positions=40)
    audio = PANNConfig(widths=(8, 16), pools=((2, 2), (2, 2)), output=24)
    torch.manual_seed(0)
    ours = CLAPModel(CLAPConfig(audio=audio, text=text, embedding=20)).state_dict()
    theirs = {"logit_scale_a": ours["logit_scale"], "logit_scale_t": torch.tensor(3.0)}
    for key, value in ours.items():
        part, _, rest = key.partition(".")
        if part in ("audio_projection", "text_projection"):
            theirs[key] = value
        elif part == "text":
            theirs[f"text_branch.{rest.removeprefix('tower.')}"] = value
        elif rest.startswith("blocks."):
            _, block, _, conv, kind, last = rest.split(".")
            theirs[f"audio_branch.conv_block{int(block) + 1}.{('conv', 'bn')[int(kind)]}{int(conv) + 1}.{last}"] = value
        elif part == "audio":
            theirs[f"audio_branch.{rest.replace('batch_norm', 'bn0').replace('hidden', 'fc1')}"] = value
    theirs["text_branch.embeddings.position_ids"] = torch.arange(40)[None]
    theirs["audio_branch.spectrogram_extractor.stft.conv_real.weight"] = torch.zeros(513, 1, 1024)
    theirs["audio_branch.fc_audioset.weight"] = torch.zeros(527, 24)
    theirs["audio_transform.sequential.0.weight"] = torch.zeros(20, 20)
    return theirs


@pytest.mark.parametrize("old_format", [False, True], ids=["zip", "before 2020"])
@pytest.mark.parametrize("prefix", ["module.", ""])
@pytest.mark.parametrize("wrapped", [True, False], ids=["envelope", "bare"])
def test_released_envelope(wrapped: bool, prefix: str, old_format: bool, tmp_path: Path) -> None:
    theirs = {f"{prefix}{key}": value for key, value in small_state().items()}
    best = {"loss": np.float64(0.5)}  # the released files hold such numpy numbers
    file = tmp_path / "630k-best.pt"
    whole = {"epoch": 3, "name": "x", "state_dict": theirs, "optimizer": {"state": {}}, "best": best}
    torch.save(whole if wrapped else theirs, file, _use_new_zipfile_serialization=not old_format)
    config, weights = read_torch_file(file)
    assert (config.name, config.licence, config.embedding) == ("630k-best", "CC0-1.0", 20)
    assert isinstance(config.audio, PANNConfig)
    assert (config.audio.widths, config.audio.output) == ((8, 16), 24)
    model = CLAPModel.from_arrays(config, load_checkpoint(file).weights)
    assert set(weights) == set(load_checkpoint(file).weights)
    assert torch.equal(model.state_dict()["audio.hidden.weight"], small_state()["audio_branch.fc1.weight"])
    assert model.logit_scale.item() == pytest.approx(math.log(1 / 0.07))


def test_missing_and_left_over_weights_are_named(tmp_path: Path) -> None:
    """LAION's own loader takes a file that lacks weights without a word."""
    theirs = small_state()
    del theirs["audio_branch.conv_block2.bn2.weight"]
    theirs["audio_branch.surprise"] = torch.zeros(1)
    torch.save({"state_dict": theirs}, tmp_path / "x.pt")
    with pytest.raises(BadCheckpoint, match=r"1 missing: audio.blocks.1.convs.1.1.weight; 1 left over: .*surprise"):
        load_checkpoint(tmp_path / "x.pt")
    for key in [key for key in theirs if ".encoder." in key and "intermediate" not in key]:
        del theirs[key]
    torch.save({"state_dict": theirs}, tmp_path / "x.pt")
    with pytest.raises(BadCheckpoint, match=r"15 missing: (text\.[^,]*, ){0,9}[^;]*…; 1 left over"):
        load_checkpoint(tmp_path / "x.pt")
    del theirs["text_branch.embeddings.word_embeddings.weight"]
    torch.save(theirs, tmp_path / "x.pt")
    with pytest.raises(BadCheckpoint, match=r"x\.pt: weight 'text_branch.*word_embeddings\.weight' is missing"):
        read_torch_file(tmp_path / "x.pt")


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.path,)

    def __init__(self, path: str) -> None:
        self.path = path


@pytest.mark.parametrize("old_format", [False, True], ids=["zip", "before 2020"])
def test_pickle_that_runs_code_is_refused(old_format: bool, tmp_path: Path) -> None:
    trap = {"state_dict": small_state(), "x": Evil(str(tmp_path / "ran"))}
    torch.save(trap, tmp_path / "evil.pt", _use_new_zipfile_serialization=not old_format)
    with pytest.raises(UnsafeCheckpoint, match="was not run"):
        read_torch_file(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


def test_broken_files_are_bad_checkpoints(tmp_path: Path) -> None:
    torch.save({"state_dict": small_state()}, tmp_path / "whole.pt")
    whole = (tmp_path / "whole.pt").read_bytes()
    contents = [whole[:n] for n in (0, 1, 4, 500, len(whole) // 2, len(whole) - 30)]
    for content in [
        *contents,
        b"<!DOCTYPE html>",
        b"hello world\n" * 9,
        np.random.default_rng(0).bytes(5000),
    ]:
        (tmp_path / "broken.pt").write_bytes(content)
        with pytest.raises(BadCheckpoint, match="not a torch file, or cut short") as caught:
            read_torch_file(tmp_path / "broken.pt")
        assert not isinstance(caught.value, UnsafeCheckpoint)
    for thing in ([1, 2], torch.zeros(3), {"state_dict": 3}, {"state_dict": {"conv.weight": torch.zeros(3)}}):
        torch.save(thing, tmp_path / "other.pt")
        with pytest.raises(BadCheckpoint, match=r"is expected|no weights of a CLAP"):
            read_torch_file(tmp_path / "other.pt")
    for unreadable in (tmp_path, tmp_path / "absent.pt"):
        with pytest.raises(BadCheckpoint, match="cannot be read"):
            read_torch_file(unreadable)
