"""Checkpoints that take less space: text towers as int8 rows, matrices as float16; the same model to the eye and nearly to the number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from models_for_tests import TEXT_KINDS, WORDS, small_config, text_config

from openclap import CLAP
from openclap.checkpoints import compact
from openclap.checkpoints.load import load_checkpoint
from openclap.checkpoints.native import is_compact, save_pretrained
from openclap.checkpoints.weights import Weights, entries_from_arrays, read_safetensors
from openclap.config import TEXT
from openclap.errors import BadCheckpoint

pytestmark = pytest.mark.filterwarnings("ignore::openclap.errors.ModelWarning")  # texts of random towers are much alike

TEXTS = ["a dog barking", "heavy rain", "the siren of an engine"]


def made(kind: str, tokenizer: Path, folder: Path) -> CLAP:
    """A model with random weights, saved and loaded."""
    config = replace(small_config(), text=WORDS if kind == "words" else text_config(kind))
    CLAP.from_config(config, tokenizer=tokenizer, seed=1).save_pretrained(folder)
    return CLAP.from_pretrained(folder)


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_every_text_tower_is_stored_in_a_quarter(kind: str, tokenizer_file: Path, tmp_path: Path) -> None:
    """Once a table of words alone could be: a transformer was refused."""
    whole = made(kind, tokenizer_file, tmp_path / "whole")
    weights = load_checkpoint(tmp_path / "whole").weights
    save_pretrained(whole.config, weights, tokenizer_file, tmp_path / "compact", compact=True)
    assert is_compact(tmp_path / "compact")
    assert not is_compact(tmp_path / "whole")
    stored, text = read_safetensors(tmp_path / "compact" / "model.safetensors"), TEXT[kind].packed
    packed = [name for name in stored if stored[name].read().dtype == np.int8]
    assert packed
    assert all(name.startswith(text) for name in packed)
    left = [n for n in stored if n.startswith(text) and n not in packed and len(stored[n].shape) > 1]
    assert not left
    unpacked = load_checkpoint(tmp_path / "compact").weights
    assert {n: unpacked.shape(n) for n in unpacked} == {n: weights.shape(n) for n in weights}
    again = CLAP.from_pretrained(tmp_path / "compact")
    assert (whole.encode_text(TEXTS) * again.encode_text(TEXTS)).sum(1).min() > 0.999
    for name in packed:
        before, after = weights[name], unpacked[name]
        assert np.abs(before - after).max() <= np.abs(before).max() / 254 + 1e-7
        some = np.array([[3, 0], [1, 3]])
        np.testing.assert_array_equal(unpacked.rows(name, some % len(after)), after[some % len(after)])


def test_half_a_checkpoint_hears_the_same(tokenizer_file: Path, tmp_path: Path) -> None:
    whole = made("sbert", tokenizer_file, tmp_path / "whole")
    save_pretrained(
        whole.config, load_checkpoint(tmp_path / "whole").weights, tokenizer_file, tmp_path / "half", half=True
    )
    assert not is_compact(tmp_path / "half")
    again = CLAP.from_pretrained(tmp_path / "half")
    waves = [(np.random.default_rng(i).standard_normal(16_000).astype(np.float32), 16_000) for i in range(3)]
    for a, b in (
        (whole.encode_audio(waves), again.encode_audio(waves)),
        (whole.encode_text(TEXTS), again.encode_text(TEXTS)),
    ):
        assert (a * b).sum(1).min() > 0.99999
        assert not np.array_equal(a, b)
    weights = load_checkpoint(tmp_path / "half").weights
    assert {weights[name].dtype.name for name in weights} == {"float32"}


def test_what_float16_cannot_hold_stays_float32() -> None:
    """It would have become infinite, in silence."""
    state = {
        "large": np.full((2, 2), 1e5, np.float32),
        "small": np.ones((2, 2), np.float32),
        "row": np.ones(2, np.float32),
    }
    assert {name: array.dtype.name for name, array in compact.to_float16(state).items()} == {
        "large": "float32", "small": "float16", "row": "float32",
    }  # fmt: skip


def test_a_row_of_zeros_stays_zeros() -> None:
    table = np.array([[0, 0], [1, -2]], np.float32)
    packed = compact.pack({"text.table.weight": table}, "words")
    assert packed["text.table.weight"].tolist() == [[0, 0], [64, -127]]
    back = Weights(compact.unpack(entries_from_arrays(packed)))
    np.testing.assert_allclose(back["text.table.weight"], table, atol=2 / 127)
    assert list(back) == ["text.table.weight"]


def test_scales_that_do_not_fit_are_told() -> None:
    """It was a traceback of numpy's when the first text was read."""
    packed = compact.pack({"text.table.weight": np.ones((3, 2), np.float32)}, "words")
    packed["text.table.scale"] = np.ones(2, np.float32)
    with pytest.raises(BadCheckpoint, match=r"text.table.scale has the shape \(2,\).*one scale a row"):
        compact.unpack(entries_from_arrays(packed))
