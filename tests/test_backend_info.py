"""What computes a model, as a value: nobody reads it out of a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from models_for_tests import small_clap

from openclap import CLAP, backends
from openclap.doctor import examine_installation
from openclap.results import BackendInfo


@pytest.mark.parametrize(
    ("info", "sentence"),
    [
        (BackendInfo("openvino", "cpu", "float32", "the fastest here"), "openvino on CPU: the fastest here"),
        (BackendInfo("openvino", "cpu", "int8", "asked for"), "openvino on CPU: asked for, audio in int8"),
        (BackendInfo("torch", "cuda", "bfloat16", "a GPU is here"), "torch on CUDA: a GPU is here, bfloat16"),
        (BackendInfo("torch", "cuda:1", "float32", "asked for"), "torch on CUDA:1: asked for"),
    ],
)
def test_people_read_a_sentence(info: BackendInfo, sentence: str) -> None:
    """The page cut it at the first colon, and so told of cuda:1 as cuda."""
    assert str(info) == sentence


def test_every_backend_says_what_it_is(tokenizer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_has_cuda", lambda: False)
    small_clap(tokenizer_file).save_pretrained(tmp_path)
    graph = CLAP.from_pretrained(tmp_path)
    assert graph.backend.info == BackendInfo("openvino", "cpu", "float32", "the fastest here")
    other = CLAP.from_pretrained(tmp_path, backend="torch", device="cpu", precision="bfloat16")
    assert other.backend.info == BackendInfo("torch", "cpu", "bfloat16", "asked for")
    assert other.backend.info.to_dict() == {"engine": "torch", "device": "cpu", "dtype": "bfloat16", "why": "asked for"}
    assert repr(graph).endswith(", openvino on CPU: the fastest here)")
    assert examine_installation(str(tmp_path))["installation"]["runs on"] == "openvino on CPU: the fastest here"


def test_a_changed_weight_is_told(tokenizer_file: Path, tmp_path: Path) -> None:
    small_clap(tokenizer_file).save_pretrained(tmp_path)
    clap = CLAP.from_pretrained(tmp_path, backend="openvino")
    with torch.no_grad():
        clap.model.logit_scale.add_(0.1)
    assert (clap.backend.info.engine, clap.backend.info.why) == ("torch", "a weight of `model` was changed")
