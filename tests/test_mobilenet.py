"""MobileNet: the table of its paper, at any width and depth, and what a configuration refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from models_for_tests import MOBILENET_SMALL, WORDS

from openclap.config import CLAPConfig, FrontEnd, MobileNetConfig
from openclap.errors import BadCheckpoint, UsageError
from openclap.models.mobilenet import make_mobilenet

FRONT = FrontEnd(sampling_rate=32_000, hop=320, mel_bins=128)


def test_presets_have_the_sizes_of_the_released_taggers() -> None:
    """EfficientAT's mn04 has 983 599 weights, mn10 4.88 M, with the 527 classes that a tower lacks."""

    def weights(name: str) -> int:
        config = MobileNetConfig.preset(name)
        tower = make_mobilenet(config, FRONT, None)
        return sum(p.numel() for n, p in tower.named_parameters() if not n.startswith("batch_norm")) + 527 * (
            config.output + 1
        )

    assert weights("mn04") == 983_599
    assert weights("mn10") == pytest.approx(4.88e6, rel=2e-3)
    small = MobileNetConfig.preset("mn04")
    assert (small.stem, small.features, small.output) == (8, 384, 512)
    assert [b.outer for b in small.blocks] == [8, 16, 16, 16, 16, 16, 32, 32, 32, 32, 48, 48, 64, 64, 64]
    with pytest.raises(UsageError, match="'mn05' is not a MobileNet; choose one of mn04"):
        MobileNetConfig.preset("mn05")


def test_deeper_stages_repeat_their_last_block() -> None:
    deep = MobileNetConfig(depths=(1, 2, 3, 6, 2, 3))
    assert len(deep.blocks) == 17
    assert deep.blocks[9] == deep.blocks[10] == deep.blocks[11]
    assert sum(b.stride == 2 for b in deep.blocks) == 4


def test_folded_is_the_same_tower() -> None:
    torch.manual_seed(0)
    tower = make_mobilenet(MOBILENET_SMALL, FRONT, "iaff_2d").eval()
    for name, value in tower.named_buffers():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.1)
    mel, longer = torch.randn(2, 4, 101, 128), torch.tensor([False, True])
    folded = tower.fold_batch_norms()
    assert not any("Norm" in type(m).__name__ for m in folded.blocks.modules())
    torch.testing.assert_close(folded(mel, longer), tower(mel, longer), atol=2e-5, rtol=1e-4)


def test_configuration_goes_to_json_and_back() -> None:
    config = CLAPConfig(audio=MOBILENET_SMALL, text=WORDS, front_end=FRONT, fusion="aff_2d")
    assert CLAPConfig.from_dict(config.to_dict()) == config
    assert "expanded" not in config.to_dict()["audio"]
    pruned = replace(config, audio=replace(MOBILENET_SMALL, expanded=(8,) * 7))
    assert CLAPConfig.from_dict(pruned.to_dict()) == pruned


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"depths": (1, 2)}, "6 stages and the depths"),
        ({"depths": (1, 1, 1, 0, 1, 1)}, "each 1 or more"),
        ({"width": 0.0}, "width of MobileNet is 0.0"),
        ({"expanded": (8, 8)}, "a number above 0 for each of 15 blocks"),
    ],
)
def test_what_cannot_be_built_is_told(changes: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        CLAPConfig(audio=replace(MobileNetConfig(), **changes))  # type: ignore[arg-type]


def test_one_dimensional_fusions_are_refused() -> None:
    with pytest.raises(UsageError, match="'mobilenet' takes the fusions daf_2d"):
        CLAPConfig(audio=MobileNetConfig(), fusion="aff_1d")


def test_an_unknown_kind_is_no_pann() -> None:
    with pytest.raises(
        BadCheckpoint, match=r"audio encoder 'vit', which is neither openclap's own \(htsat, pann, mobilenet\) nor"
    ):
        CLAPConfig.from_dict({"audio": {"kind": "vit"}})
