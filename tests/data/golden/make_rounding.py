"""Ask LAION's own code for `laion_rounding.npz`: run it where laion-clap 1.1.7 is installed without what it pins.

    python -m venv oracle; oracle/bin/pip install --no-deps laion-clap==1.1.7 torchlibrosa
    oracle/bin/pip install torch transformers torchaudio librosa webdataset pandas regex ftfy scikit-learn braceexpand
    oracle/bin/python tests/data/golden/make_rounding.py

Its modules ask the network for tokenizers as they are imported, and for packages that only its training needs: stand-ins serve.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
import transformers

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))  # tests: the rule that fills weights
UNUSED = ("torchvision", "torchvision.transforms", "torchvision.datasets", "torchvision.ops", "torchvision.ops.misc", "wandb", "h5py", "wget")  # fmt: skip
COMBINATIONS = ("HTSAT-tiny+roberta+aff_2d",)


def import_laion() -> tuple[Any, Any]:
    """Its `training.data` and `clap_module.htsat`."""
    for name in UNUSED:
        module = MagicMock()
        module.__spec__, module.__path__ = importlib.machinery.ModuleSpec(name, None), []
        sys.modules[name] = module
    sys.modules["torchvision.ops.misc"].FrozenBatchNorm2d = type("Never", (), {})  # type: ignore[attr-defined]
    for name in ("RobertaTokenizer", "BertTokenizer", "BartTokenizer"):
        setattr(transformers, name, MagicMock())
    found = importlib.util.find_spec("laion_clap")
    assert found is not None
    assert found.origin is not None
    sys.path.insert(0, str(Path(found.origin).parent))  # its modules import each other from there
    return importlib.import_module("training.data"), importlib.import_module("clap_module.htsat")


def main() -> None:
    """Three recordings through two models, as `CLAP_Module.get_audio_embedding_from_data` does it."""
    from rounding_for_tests import recordings
    from test_golden import state

    data, htsat = import_laion()
    config = json.loads((Path(htsat.__file__).parent / "model_configs" / "HTSAT-tiny.json").read_text())["audio_cfg"]
    numbers = {}
    for combination in COMBINATIONS:
        fused = not combination.endswith("None")
        tower = htsat.create_htsat_model(SimpleNamespace(**config), fused, "aff_2d" if fused else "None").eval()
        weights = state(combination, "audio")
        own = {k.removeprefix("audio_branch."): v for k, v in weights.items() if k.startswith("audio_branch.")}
        missing, unexpected = tower.load_state_dict(own, strict=False)
        assert not unexpected, unexpected
        print(combination, "without weights:", sorted({name.split(".")[0] for name in missing}))
        project = [weights[f"audio_projection.{i}.{part}"] for i in (0, 2) for part in ("weight", "bias")]
        rows = []
        for wave in recordings().values():
            heard = torch.from_numpy(data.int16_to_float32(data.float32_to_int16(wave))).float()
            sample = data.get_audio_features(
                {}, heard, 480_000, "fusion" if fused else "rand_trunc", "repeatpad", config
            )
            batch = {key: value[None] for key, value in sample.items()}
            batch["longer"] = sample["longer"][None]
            with torch.no_grad():
                x = tower(batch, mixup_lambda=None, device="cpu")["embedding"]
                x = torch.relu(x @ project[0].T + project[1]) @ project[2].T + project[3]
            rows.append(torch.nn.functional.normalize(x, dim=-1)[0].numpy())
        numbers[f"{combination}/audio"] = np.stack(rows).astype(np.float32)
    np.savez_compressed(HERE / "laion_rounding.npz", allow_pickle=False, **numbers)


if __name__ == "__main__":
    main()
