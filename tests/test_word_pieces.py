"""Word pieces, as BERT and Sentence-BERT read texts: the ids that transformers gives, from nothing but a tokenizer.json."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from models_for_tests import small_config, text_config

from openclap import CLAP
from openclap.backends.openvino_backend import OpenVINOBackend
from openclap.checkpoints.native import save_pretrained
from openclap.checkpoints.tokenizer import Tokenizer
from openclap.checkpoints.weights import Weights, entries_from_arrays
from openclap.config import CLAPConfig, TextConfig
from openclap.models.clap import CLAPModel

PIECES = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "dog", "##s", "bark", "##ing", "rain", "a", ",", "while"]
pytestmark = pytest.mark.filterwarnings("ignore::openclap.errors.ModelWarning")  # texts of random towers are much alike

TEXTS = ["A dog, barking", "dogs", "Rain while dogs bark", "zzz"]


@pytest.fixture
def pieces(tmp_path: Path) -> Path:
    """As released models' are: lower case, special tokens by a template, cut and padded to a fixed length."""
    from tokenizers import Tokenizer as Fast
    from tokenizers import models, normalizers, pre_tokenizers, processors

    fast = Fast(models.WordPiece({piece: i for i, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    fast.normalizer = normalizers.BertNormalizer(lowercase=True)
    fast.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    fast.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    fast.enable_truncation(5)
    fast.enable_padding(length=16)
    fast.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def towers(kind: str) -> TextConfig:
    return replace(text_config(kind), begin_id=1, end_id=2, pad_id=0)


def test_ids_are_those_of_transformers(pieces: Path) -> None:
    """Cutting and padding are the tower's; those written in the file are another program's."""
    from transformers import PreTrainedTokenizerFast

    ids, mask = Tokenizer(pieces, towers("sbert"))(TEXTS)
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(pieces), pad_token="[PAD]")
    theirs.backend_tokenizer.no_truncation()
    expected = theirs(TEXTS, padding="longest", return_tensors="np", truncation=False)
    np.testing.assert_array_equal(ids, expected["input_ids"])
    np.testing.assert_array_equal(mask, expected["attention_mask"])
    assert [PIECES[i] for i in ids[1, :4]] == ["[CLS]", "dog", "##s", "[SEP]"]
    assert ids[3, :3].tolist() == [1, 3, 2]


@pytest.mark.parametrize("kind", ["bert", "sbert"])
def test_a_small_bert_reads_without_torch(kind: str, pieces: Path, tmp_path: Path) -> None:
    """Both once needed the torch extra, whatever the sounds needed."""
    config: CLAPConfig = replace(small_config(), text=towers(kind))
    model = CLAPModel(config).eval()
    save_pretrained(config, Weights(entries_from_arrays(model.arrays())), pieces, tmp_path / "model")
    clap = CLAP.from_pretrained(tmp_path / "model", backend="openvino")
    assert isinstance(clap.backend, OpenVINOBackend)
    rows = clap.encode_text(TEXTS)
    by_torch = CLAP.from_pretrained(tmp_path / "model", backend="torch").encode_text(TEXTS)
    assert np.abs(rows - by_torch).max() < 2e-6
    alone = np.concatenate([clap.encode_text([text]) for text in TEXTS])
    assert np.abs(rows - alone).max() < 2e-6  # padding changes nothing
    assert np.abs(clap.encode_text(TEXTS * 8)[-4:] - rows).max() < 2e-6  # many: a graph
