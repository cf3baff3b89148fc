"""Every tower with every fusion, small: each row its own result; gradients; transformers as oracle."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from models_for_tests import MOBILENET_SMALL
from torch import Tensor, nn

from openclap.config import (
    TEXT,
    AudioConfig,
    CLAPConfig,
    FrontEnd,
    Fusion,
    HTSATConfig,
    PANNConfig,
    TextConfig,
    WordsConfig,
)
from openclap.models.clap import CLAPModel
from openclap.models.fusion import make_fusion
from openclap.models.htsat import HTSAT, make_htsat
from openclap.models.pann import make_pann
from openclap.models.swin import SwinBlock, WindowAttention, _shift_mask
from openclap.models.text import WordVectorTower

FRONT = FrontEnd(mel_bins=16, clip_seconds=2.5)
HTSAT_SMALL = HTSATConfig(width=16, depths=(2, 2), heads=(2, 4), window=4, image=64)
PANN_SMALL = PANNConfig(widths=(8, 16), pools=((2, 2), (2, 2)), output=24)
PANN_ONE = PANNConfig(widths=(8, 16, 32), convs=1, kernel=5, pools=((2, 2), (2, 2), (1, 1)), output=20)
WORDS = WordsConfig(vocabulary=30, width=12)
SMALL_TEXT: dict[str, Any] = {
    "vocabulary": 60,
    "width": 32,
    "layers": 2,
    "heads": 4,
    "intermediate": 64,
    "positions": 40,
}
FRAMES = 251  # of a clip at this size; the image holds 256

COMBINATIONS: list[tuple[AudioConfig, Fusion | None]] = [
    *[(HTSAT_SMALL, fusion) for fusion in (None, *get_args(Fusion))],
    *[(PANN_SMALL, fusion) for fusion in (None, "daf_2d", "aff_2d", "iaff_2d")],
    (PANN_ONE, None),
    (PANN_ONE, "iaff_2d"),
    *[(MOBILENET_SMALL, fusion) for fusion in (None, "daf_2d", "aff_2d", "iaff_2d")],
]
NAMES = [f"{audio.kind}{len(audio.widths) if isinstance(audio, PANNConfig) else ''}-{f}" for audio, f in COMBINATIONS]
everywhere = pytest.mark.parametrize(("audio", "fusion"), COMBINATIONS, ids=NAMES)
fused = pytest.mark.parametrize(
    ("audio", "fusion"),
    [c for c in COMBINATIONS if c[1] not in (None, "channel_map")],
    ids=[n for n, c in zip(NAMES, COMBINATIONS, strict=True) if c[1] not in (None, "channel_map")],
)


def build(audio: AudioConfig, fusion: Fusion | None, seed: int = 0) -> CLAPModel:
    """A model whose norms have seen data: random statistics and weights, as in a trained one."""
    torch.manual_seed(seed)
    model = CLAPModel(CLAPConfig(audio=audio, text=WORDS, front_end=FRONT, fusion=fusion, embedding=10))
    for name, value in model.named_buffers():
        if name.endswith("running_mean"):
            value.normal_(-20 if name == "audio.batch_norm.running_mean" else 0, 0.3)
        if name.endswith("running_var"):
            value.uniform_(0.5, 2).mul_(100 if name == "audio.batch_norm.running_var" else 1)
    for name, parameter in model.named_parameters():
        if "attention.bias_table" in name:
            nn.init.normal_(parameter)
    return model.eval()


def mels(rows: int, views: int = 4, frames: int = FRAMES, seed: int = 1) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy((rng.standard_normal((rows, views, frames, 16)) * 10 - 20).astype(np.float32))


def embed(model: CLAPModel, mel: Tensor, longer: list[bool]) -> Tensor:
    with torch.inference_mode():
        return model.encode_audio(mel, torch.tensor(longer))


# -- shapes, and each row its own result ----------------------------------------------------------------


@everywhere
def test_unit_rows_of_any_number_of_frames(audio: AudioConfig, fusion: Fusion | None) -> None:
    model = build(audio, fusion)
    for frames in (FRAMES, 256, 40):
        got = embed(model, mels(2, views=1, frames=frames), [False, False])
        assert got.shape == (2, 10)
        assert torch.allclose(got.norm(dim=1), torch.ones(2))
        assert (got[0] - got[1]).abs().max() > 1e-4  # sounds differ


@everywhere
def test_row_does_not_depend_on_the_batch(audio: AudioConfig, fusion: Fusion | None) -> None:
    """transformers marks a random clip of a batch without long ones as longer, so its embedding is random."""
    model, mel, longer = build(audio, fusion), mels(5), [True, False, True, False, False]
    together = embed(model, mel, longer)
    alone = torch.cat([embed(model, mel[i : i + 1], longer[i : i + 1]) for i in range(5)])
    assert (together - alone).abs().max() < 1e-6
    backwards = embed(model, mel.flip(0), longer[::-1]).flip(0)
    assert (together - backwards).abs().max() < 1e-6


@everywhere
def test_one_view_is_four_copies(audio: AudioConfig, fusion: Fusion | None) -> None:
    model, mel = build(audio, fusion), mels(3, views=1)
    one, four = embed(model, mel, [False] * 3), embed(model, mel.expand(-1, 4, -1, -1), [False] * 3)
    assert (one - four).abs().max() < 1e-6


@fused
def test_only_longer_rows_see_their_local_views(audio: AudioConfig, fusion: Fusion) -> None:
    model, mel = build(audio, fusion), mels(2)
    other = torch.cat([mel[:, :1], mels(2, seed=5)[:, 1:]], 1)  # the same global views
    before, after = embed(model, mel, [True, False]), embed(model, other, [True, False])
    assert (before[0] - after[0]).abs().max() > 1e-5
    assert torch.equal(before[1], after[1])


@fused
def test_longer_without_local_views_is_a_mistake(audio: AudioConfig, fusion: Fusion) -> None:
    with pytest.raises(AssertionError, match="need 4 views, not 1"):
        embed(build(audio, fusion), mels(2, views=1), [True, False])


def test_presets_have_the_sizes_of_the_paper() -> None:
    def millions(config: AudioConfig) -> float:
        make: Callable[..., nn.Module] = make_htsat if isinstance(config, HTSATConfig) else make_pann
        with torch.device("meta"):
            return sum(p.numel() for p in make(config, FrontEnd(), None).parameters()) / 1e6

    assert millions(HTSATConfig.preset("tiny")) == pytest.approx(27.5, abs=0.05)
    assert millions(PANNConfig.preset("14")) == pytest.approx(79.7, abs=0.05)  # 80.8 M less the classes
    assert [c.output for c in map(HTSATConfig.preset, ("tiny", "base", "large"))] == [768, 1024, 2048]
    assert [c.output for c in map(PANNConfig.preset, ("14", "10", "6"))] == [2048, 1024, 512]
    for name in ("10", "6"):
        with torch.inference_mode():
            tower = make_pann(PANNConfig.preset(name), FrontEnd(), None).eval()
            assert tower(torch.zeros(1, 1, 101, 64), torch.tensor([False])).shape == (
                1,
                PANNConfig.preset(name).output,
            )


# -- the parts, against their definitions -----------------------------------------------------------------


def test_fold_stacks_time_quarters_along_frequency() -> None:
    tower = make_htsat(HTSAT_SMALL, FRONT, None)
    mel = torch.arange(256.0)[:, None] * 100 + torch.arange(16.0)  # frame t, bin f → 100 t + f
    image = tower.fold(mel[None, None])[0, 0]
    for quarter in range(4):
        for f in range(16):
            assert torch.equal(image[quarter * 16 + f], 100 * torch.arange(quarter * 64.0, quarter * 64 + 64) + f)
    with pytest.raises(AssertionError, match="at most 256 frames"):
        tower.fold(torch.zeros(1, 1, 257, 16))


@pytest.mark.parametrize("shifted", [False, True])
def test_attention_is_softmax_attention(shifted: bool) -> None:
    mask = _shift_mask(8, 4, 2) if shifted else None  # four windows of 16 patches
    torch.manual_seed(0)
    attention = WindowAttention(12, 3, 4, mask)
    nn.init.normal_(attention.bias_table)
    x = torch.randn(2 * 4, 16, 12)
    got = attention(x)
    q, k, v = (t.unflatten(2, (3, 4)).transpose(1, 2) for t in attention.qkv(x).chunk(3, -1))  # (8, 3, 16, 4)
    bias = torch.empty(3, 16, 16)
    for i in range(16):
        for j in range(16):
            down, right = i // 4 - j // 4 + 3, i % 4 - j % 4 + 3
            bias[:, i, j] = attention.bias_table[down * 7 + right]
    score = q @ k.transpose(2, 3) / 2 + bias
    if mask is not None:
        score = (score.view(2, 4, 3, 16, 16) + mask).view(8, 3, 16, 16)
    expected = attention.out((score.softmax(-1) @ v).transpose(1, 2).reshape(8, 16, 12))
    assert (got - expected).abs().max() < 1e-6


def test_shifted_windows_never_mix_what_the_roll_brought_together() -> None:
    """A change of the corner reaches its own small window, not what the roll brought next to it."""
    torch.manual_seed(0)
    block = SwinBlock(8, 8, 2, 4, hidden=16, shifted=True, drop_path=0).eval()
    x = torch.randn(1, 64, 8)
    changed = x.clone()
    changed[0, 0, 0] += 3  # the top left corner
    with torch.inference_mode():
        moved = (block(x) - block(changed)).abs().amax(2).view(8, 8) > 1e-6
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[:2, :2] = True  # windows of 4 shifted by 2: the corner window is 2 × 2
    assert torch.equal(moved, expected)


def test_iaff_uses_its_first_global_attention_twice() -> None:
    """The released weights were trained so; global_attention2 is carried for compatibility alone."""
    torch.manual_seed(0)
    fusion = make_fusion("iaff_2d", 8).eval()
    x, y = torch.randn(2, 8, 3, 3), torch.randn(2, 8, 3, 3)
    before = fusion(x, y)
    for parameter in fusion.get_submodule("global_attention2").parameters():
        nn.init.normal_(parameter)
    assert torch.equal(fusion(x, y), before)
    for parameter in fusion.get_submodule("global_attention").parameters():
        nn.init.normal_(parameter)
    assert (fusion(x, y) - before).abs().max() > 1e-3


def test_aff_by_hand() -> None:
    """Dead attention gives w = 1/2: aff is x + y, iaff their mean."""
    x, y = torch.randn(2, 8, 5), torch.randn(2, 8, 5)
    for name, expected in (("aff_1d", x + y), ("iaff_1d", (x + y) / 2), ("daf_1d", x + y)):
        fusion = make_fusion(name, 8).eval()
        for parameter in fusion.parameters():
            nn.init.zeros_(parameter)
        assert torch.allclose(fusion(x, y), expected, atol=1e-6)


def test_pann_pools_mean_over_mel_then_max_and_mean_over_time() -> None:
    torch.manual_seed(0)
    tower = make_pann(PANN_SMALL, FRONT, None).eval()
    mel = mels(2, views=1, frames=40)
    maps = tower.blocks[1](tower.blocks[0](tower.batch_norm(mel.transpose(1, 3)).transpose(1, 3))).mean(3)
    expected = F.relu(tower.hidden(maps.max(2).values + maps.mean(2)))
    assert torch.equal(tower(mel, torch.tensor([False, False])), expected)


# -- training ------------------------------------------------------------------------------------------


@fused
@pytest.mark.parametrize("rows", [1, 3])
def test_gradient_reaches_the_fusion(audio: AudioConfig, fusion: Fusion, rows: int) -> None:
    """Also with a single longer row, where BatchNorm would have but one value a channel."""
    model = build(audio, fusion).train()
    longer = torch.tensor([True] + [False] * (rows - 1))
    model.encode_audio(mels(rows), longer)[:, 0].sum().backward()  # type: ignore[no-untyped-call]
    learnt = {n: p.grad for n, p in model.named_parameters() if ".fusion." in n or ".local_project." in n}
    assert learnt
    for name, gradient in learnt.items():
        if "global_attention2" in name:
            assert gradient is None
        else:
            assert gradient is not None, name
            assert gradient.isfinite().all(), name
    weights = [g.abs().max() for n, g in learnt.items() if g is not None and n.endswith("local_project.0.weight")]
    assert all(g > 0 for g in weights)


def test_drop_path_leaves_out_whole_branches() -> None:
    torch.manual_seed(0)
    block = SwinBlock(8, 4, 2, 4, hidden=16, shifted=False, drop_path=0.5)
    x = torch.randn(200, 16, 8)
    branch = torch.ones(200, 16, 8)
    dropped = block.train()._drop_path(branch)
    assert set(dropped.flatten().tolist()) == {0.0, 2.0}
    assert torch.equal(dropped[:, 0, 0], dropped.mean((1, 2)))  # all of a row or none
    assert 60 < int((dropped[:, 0, 0] == 0).sum()) < 140
    assert torch.equal(block.eval()(x), block(x))
    tower = make_htsat(HTSATConfig(), FrontEnd(), None)
    rates = [b.drop_path for b in tower.modules() if isinstance(b, SwinBlock)]
    assert rates == pytest.approx(np.linspace(0, 0.1, 12))


@everywhere
def test_augment_is_given_the_normed_views(audio: AudioConfig, fusion: Fusion | None) -> None:
    model, mel, longer = build(audio, fusion), mels(2), torch.tensor([True, False])
    seen: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        seen.append(x)
        return x

    plain = embed(model, mel, [True, False])
    with torch.inference_mode():
        assert torch.equal(model.encode_audio(mel, longer, augment=keep), plain)
        silenced = model.encode_audio(mel, longer, augment=torch.zeros_like)
    assert seen[0].shape == mel.shape
    weights = model.audio.state_dict().items()
    state = {k.rpartition(".")[2]: v for k, v in weights if k.startswith("batch_norm.")}
    expected = (mel - state["running_mean"]) / (state["running_var"] + 1e-5).sqrt()
    expected = expected * state["weight"] + state["bias"]
    assert torch.allclose(seen[0], expected, atol=1e-4)
    assert (silenced - plain).abs().max() > 1e-4


def test_start_of_training() -> None:
    """Truncated normal 0.02 for HTSAT's linear layers, Xavier for PANN, zero biases, scale 1/0.07."""
    model = CLAPModel(CLAPConfig(audio=HTSAT_SMALL, text=WORDS, front_end=FRONT, embedding=10))
    state = model.state_dict()
    qkv = state["audio.stages.1.blocks.0.attention.qkv.weight"]
    assert float(qkv.std()) == pytest.approx(0.02, rel=0.1)
    assert not state["audio.stages.1.blocks.0.attention.qkv.bias"].any()
    assert state["logit_scale"].exp().item() == pytest.approx(1 / 0.07)
    conv = make_pann(PANN_SMALL, FRONT, None).state_dict()["blocks.1.convs.1.0.weight"]
    assert float(conv.abs().max()) == pytest.approx((6 / (2 * 16 * 9)) ** 0.5, rel=0.02)


def test_state_dict_names() -> None:
    """What is stored: no derived buffer, no class output; the names that checkpoints are written in."""
    keys = set(build(HTSAT_SMALL, "iaff_2d").state_dict())
    forms = {re.sub(r"\.\d+\.", ".#.", re.sub(r"\.\d+\.", ".#.", k)).rpartition(".")[0] for k in keys}
    attention = [f"audio.patches.fusion.{w}_attention{n}.#" for w in ("local", "global") for n in ("", "2")]
    block = "audio.stages.#.blocks.#"
    assert forms == {
        "audio.batch_norm", *(f"audio.patches.{p}" for p in ("project", "norm", "local_project")), *attention,
        f"{block}.norm1", f"{block}.norm2", f"{block}.attention", f"{block}.attention.qkv",
        f"{block}.attention.out", f"{block}.mlp.#", "audio.stages.#.merge.norm",
        "audio.stages.#.merge.reduce", "audio.norm",
        "text.table", "text.gate", "audio_projection.#", "text_projection.#", "",
    }  # fmt: skip
    assert {"audio.local_project.0.weight", "audio.local_project.1.weight"} <= set(
        build(HTSAT_SMALL, "daf_1d").state_dict()
    )
    pann = set(build(PANN_SMALL, "aff_2d").state_dict())
    assert {"audio.blocks.1.convs.1.0.weight", "audio.blocks.1.convs.1.1.bias", "audio.hidden.weight"} <= pann
    assert {"audio.local_project.1.weight", "audio.fusion.global_attention.5.weight"} <= pann


# -- transformers as oracle -------------------------------------------------------------------------------

THEIRS = (
    (r"^audio_encoder\.", ""),
    (r"^patch_embed\.proj\.", "patches.project."),
    (r"^patch_embed\.norm\.", "patches.norm."),
    (r"^patch_embed\.mel_conv2d\.", "patches.local_project."),
    (r"^patch_embed\.fusion_model\.(local|global)_att\.", r"patches.fusion.\1_attention."),
    (r"^layers\.", "stages."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.self\.relative_position_bias_table$", ".attention.bias_table"),
    (r"\.attention\.self\.(query|key|value)\.", r".attention.\1."),
    (r"\.attention\.output\.dense\.", ".attention.out."),
    (r"\.intermediate\.dense\.", ".mlp.0."),
    (r"(blocks\.\d+)\.output\.dense\.", r"\1.mlp.2."),
    (r"\.downsample\.reduction\.", ".merge.reduce."),
    (r"\.downsample\.norm\.", ".merge.norm."),
)


def from_transformers(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    ours = {}
    for key, value in theirs.items():
        for pattern, new in THEIRS:
            key = re.sub(pattern, new, key)  # noqa: PLW2901
        if not key.endswith("relative_position_index"):
            ours[key] = value
    for key in [key for key in ours if ".attention.query." in key]:
        parts = [ours.pop(key.replace(".query.", f".{part}.")) for part in ("query", "key", "value")]
        ours[key.replace(".query.", ".qkv.")] = torch.cat(parts)
    return ours


@pytest.mark.parametrize("fusion", [None, "aff_2d"])
def test_htsat_is_transformers_clap_audio_model(fusion: Fusion | None) -> None:
    import transformers

    config = transformers.ClapAudioConfig(
        window_size=4, num_mel_bins=16, spec_size=64, patch_size=4, patch_stride=[4, 4], hidden_size=32,
        patch_embeds_hidden_size=16, depths=[2, 2], num_attention_heads=[2, 4], num_hidden_layers=2,
        num_classes=3, enable_fusion=fusion is not None, fusion_type=fusion, aff_block_r=4,
    )  # fmt: skip
    torch.manual_seed(3)
    theirs = transformers.ClapAudioModel(config).eval()
    for name, value in theirs.state_dict().items():
        if value.is_floating_point() and not name.endswith("running_var"):
            value.add_(torch.randn(value.shape) * 0.1)  # their starting biases are zero and would hide mistakes
    ours: HTSAT = make_htsat(HTSAT_SMALL, FRONT, fusion).eval()
    ours.load_state_dict(from_transformers(theirs.state_dict()))
    mel = mels(3, views=4 if fusion else 1) / 10
    longer = torch.tensor([True, False, True])
    with torch.inference_mode():
        expected = theirs(mel, is_longer=longer[:, None]).pooler_output
        got = ours(mel, longer)
    assert expected.shape == got.shape == (3, 32)
    assert (got - expected).abs().max() < 1e-5 * expected.abs().max()
    assert (got[0] - got[1]).abs().max() > 1e-3


# -- text towers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["roberta", "bert", "clip", "sbert", "gpt2"])
def test_text_transformers(kind: str) -> None:
    preset = TextConfig.preset(kind)
    ends: dict[str, Any] = {"begin_id": 58, "end_id": 59} if kind == "clip" else {"begin_id": 3, "end_id": 2}
    torch.manual_seed(0)
    tower: Any = TEXT[kind].load("module")(TextConfig(**{**vars(preset), **SMALL_TEXT, **ends})).eval()
    assert tower.tower.config._attn_implementation == "sdpa"
    begin, end, pad = ends["begin_id"], ends["end_id"], preset.pad_id
    ids = torch.tensor([[begin, 10, 11, end, pad, pad, pad], [begin, 20, 21, 22, 23, 24, end]])
    mask = torch.tensor([[1] * 4 + [0] * 3, [1] * 7])
    with torch.inference_mode():
        got = tower(ids, mask)
        alone = tower(ids[:1, :4], mask[:1, :4])
        states = tower.tower(input_ids=ids, attention_mask=mask)
    assert got.shape == (2, 32)
    assert (got[:1] - alone).abs().max() < 1e-6  # padding changes nothing
    every = states.last_hidden_state
    if kind == "sbert":
        expected = torch.stack([every[0, :4].mean(0), every[1].mean(0)])
    else:
        expected = every[[0, 1], [3, 6]] if kind in ("clip", "gpt2") else states.pooler_output
    assert torch.allclose(got, expected, rtol=0, atol=0 if kind != "sbert" else 1e-6)
    assert (got[0] - got[1]).abs().max() > 1e-3


def test_words_is_a_weighted_mean() -> None:
    tower = WordVectorTower(WordsConfig(vocabulary=5, width=3))
    nn.init.normal_(tower.gate.weight)
    ids, mask = (
        torch.tensor([[1, 2, 0], [3, 0, 0], [0, 0, 0]]),
        torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0]]),
    )
    got = tower(ids, mask)
    weight, table = F.softplus(tower.gate.weight)[:, 0], tower.table.weight
    assert torch.allclose(got[0], (weight[1] * table[1] + weight[2] * table[2]) / (weight[1] + weight[2]))
    assert torch.allclose(got[1], table[3])
    assert torch.equal(got[2], torch.zeros(3))  # a text without a known word, and no division by zero
    model = build(PANN_SMALL, None)
    with torch.inference_mode():
        empty = model.encode_text(torch.zeros(1, 4, dtype=torch.long), torch.zeros(1, 4, dtype=torch.long))
    assert torch.allclose(empty.norm(dim=1), torch.ones(1))
