"""Texts longer than the tower was trained with, and texts of nothing."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from models_for_tests import small_clap
from test_huggingface_fields import save
from typer.testing import CliRunner

from openclap import CLAP
from openclap.adapters import MTEBModel
from openclap.cli.app import app
from openclap.errors import LanguageWarning, UsageError

pytestmark = pytest.mark.filterwarnings("ignore:.*nearly the same vector:openclap.errors.ModelWarning")

LONG = "the sound of a dog barking " * 50  # 300 tokens of the small tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random ClapModel of transformers with 514 positions."""
    place = tmp_path_factory.mktemp("model")
    save(place, {})
    return place


def test_a_long_text_is_told_of_once(folder: Path) -> None:
    """It was cut after 77 tokens without a word."""
    clap = CLAP.from_pretrained(folder)
    with pytest.warns(
        LanguageWarning, match=r"a text of \d+ tokens is cut to the first 77 tokens.*max_tokens= .*512"
    ) as told:
        clap.encode_text(["rain", LONG])
    assert told[0].filename == __file__  # it names who asked
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(clap.encode_text([LONG]), clap.encode_text([LONG + "rain"]))


def test_as_many_tokens_as_the_tower_takes(folder: Path, tmp_path: Path) -> None:
    """transformers reads 512, and so do these weights where they are asked to."""
    import transformers

    model = transformers.ClapModel.from_pretrained(folder).eval()
    for backend in ("openvino", "torch"):
        clap = CLAP.from_pretrained(folder, backend=backend, max_tokens=512)
        ids, mask = clap.tokenizer([LONG])
        assert 300 < ids.shape[1] <= 512
        with torch.inference_mode():
            row = model.get_text_features(torch.from_numpy(ids), torch.from_numpy(mask)).pooler_output[0].numpy()
        assert np.abs(clap.encode_text(LONG)[0] - row / np.linalg.norm(row)).max() < 2e-5
    assert clap.recipe()["max_tokens"] == 512
    clap.save_pretrained(tmp_path)
    assert CLAP.from_pretrained(tmp_path).tokenizer.most == 512
    assert clap.fingerprint == CLAP.from_pretrained(folder).fingerprint  # sounds have the same vectors


@pytest.mark.parametrize("wrong", [513, 2, 0, -1, True, 77.0, "77"])
def test_more_than_the_tower_takes_is_refused(folder: Path, wrong: object) -> None:
    with pytest.raises(UsageError, match=r"max_tokens is .*; the text tower of .* takes a whole number, 3 to 512"):
        CLAP.from_pretrained(folder, max_tokens=wrong)  # type: ignore[arg-type]


def test_word_vectors_have_no_end(tokenizer_file: Path, tmp_path: Path) -> None:
    """Their mean may be of any number of words."""
    small_clap(tokenizer_file).save_pretrained(tmp_path)
    clap = CLAP.from_pretrained(tmp_path, max_tokens=1000)
    clap.encode_text(LONG)
    with pytest.warns(LanguageWarning, match="cut to the first 77 tokens, and so is any other as long$"):
        CLAP.from_pretrained(tmp_path).encode_text(LONG)


@pytest.mark.parametrize("nothing", ["", "  ", "\n\t"])
def test_an_empty_text_is_refused_at_every_door(nothing: str, tokenizer_file: Path, tmp_path: Path) -> None:
    """The command line, the service and the page refused what the API gave the vector of nothing for."""
    clap = small_clap(tokenizer_file)
    row = np.eye(24, dtype=np.float32)[0]
    for call in (
        lambda: clap.encode_text(nothing),
        lambda: clap.encode_text(["rain", nothing]),
        lambda: clap.match(row, ["rain", nothing]),
        lambda: clap.classify(row, ["rain", nothing]),
    ):
        with pytest.raises(UsageError, match="a text is empty; describe a sound in words"):
            call()
    assert len(clap.encode_text([])) == 0
    result = CliRunner().invoke(app, ["match", str(tmp_path / "x.wav"), nothing])
    assert str(result.exception) == "a text is empty; describe a sound in words"


def test_an_empty_text_stops_no_benchmark(tokenizer_file: Path) -> None:
    """mteb's data sets hold some; its batches of sounds may hold decoders."""
    clap = small_clap(tokenizer_file)
    rows = MTEBModel(clap).encode([{"text": ["rain", "", "a dog"]}], task_metadata=None, hf_split="", hf_subset="")
    assert np.array_equal(rows[[0, 2]], clap.encode_text(["rain", "a dog"]))
    assert not rows[1].any()
