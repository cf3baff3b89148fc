"""Ask LAION's own Cnn14 for `pann_fusions.npz`: run it where laion-clap 1.1.7 lies unpacked.

    pip download --no-deps laion-clap==1.1.7; unzip -d oracle laion_clap-*.whl
    pip install --target oracle --no-deps librosa torchlibrosa numba llvmlite lazy_loader msgpack pooch audioread decorator joblib
    PYTHONPATH=oracle python tests/data/golden/make_pann_fusions.py

No released model has a PANN with a 1-D fusion or a channel map, but its code trains them. The tower is made small here.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))  # tests: the rule that fills weights
FUSIONS = ("daf_1d", "aff_1d", "iaff_1d", "channel_map")
WIDTHS = (8, 8, 8, 8, 16, 16)
UNUSED = ("spectrogram_extractor", "logmel_extractor", "fc_audioset", "num_batches_tracked")


def import_pann() -> Any:
    """Its `clap_module.pann_model`, without what only its training needs."""
    found = importlib.util.find_spec("laion_clap")
    assert found is not None
    package = ModuleType("clap_module")
    package.__path__ = [str(Path(path) / "clap_module") for path in found.submodule_search_locations or ()]
    utils = ModuleType("clap_module.utils")
    for name in ("do_mixup", "interpolate", "pad_framewise_output"):
        setattr(utils, name, lambda x, *_: x)
    sys.modules.update({"clap_module": package, "clap_module.utils": utils})
    return importlib.import_module("clap_module.pann_model")


def make_tower(module: Any, fusion: str) -> nn.Module:
    tower = module.Cnn14(48_000, 1024, 480, 64, 50, 14_000, 527, enable_fusion=True, fusion_type=fusion)
    channels = (4 if fusion == "channel_map" else 1, *WIDTHS)
    for i in range(6):
        setattr(tower, f"conv_block{i + 1}", module.ConvBlock(channels[i], channels[i + 1]))
    tower.fc1, tower.fc_audioset = nn.Linear(WIDTHS[-1], 24), nn.Linear(24, 527)
    return tower.eval()


def main() -> None:
    from test_golden import fused_mels, weight

    module = import_pann()
    numbers = {}
    for fusion in FUSIONS:
        tower = make_tower(module, fusion)
        state = tower.state_dict()
        names = [name for name in state if not any(part in name for part in UNUSED)]
        filled = {name: weight(f"audio_branch.{name}", list(state[name].shape)) for name in names}
        tower.load_state_dict(filled, strict=False)
        with torch.no_grad():
            batch = {"mel_fusion": fused_mels(), "longer": torch.tensor([True, False, True])}
            numbers[fusion] = tower(batch, device="cpu")["embedding"].numpy()
    np.savez_compressed(HERE / "pann_fusions.npz", allow_pickle=False, **numbers)


if __name__ == "__main__":
    main()
