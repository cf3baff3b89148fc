"""Texts → English by any translation model of transformers. Knows nothing of lexicons. Nothing is fetched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError  # of torch's reader, which executes nothing
from typing import Any

from safetensors import SafetensorError

from openclap.errors import MissingExtra, ModelNotHere

__all__ = ["BROKEN", "Seq2Seq"]

BATCH = 16
# what transformers raises for a folder that holds no model, or a broken one
BROKEN = (OSError, ValueError, LookupError, AttributeError, RuntimeError, EOFError, SafetensorError, UnpicklingError)
TOKENS = 96  # of a translation at most; a text tower reads 77
PAIRS = (("zho_Hans", "eng_Latn"), ("zh_CN", "en_XX"), ("__zh__", "__en__"))  # Chinese, English: NLLB, mBART, M2M100


class Seq2Seq:
    """A translation model, loaded when the first text comes; the same English for the same text.

    A model of one pair, such as opus-mt-zh-en, is used as it is; one of many languages is told Chinese → English.

    Raises
    ------
    ModelNotHere
        It is neither a folder nor in Hugging Face's cache, or no sequence-to-sequence model.
    MissingExtra
        transformers, or what its tokenizer needs, is not installed.
    """

    def __init__(self, model: str) -> None:
        folder = Path(os.path.expanduser(model))
        self.name = os.fspath(folder) if folder.is_dir() else model
        self._tokenizer, self._model = _load_model(self.name)
        self._options: dict[str, Any] = {"do_sample": False, "max_new_tokens": TOKENS, "max_length": None}
        vocabulary = self._tokenizer.get_vocab()
        for chinese, english in PAIRS:
            if chinese in vocabulary and english in vocabulary and hasattr(self._tokenizer, "src_lang"):
                self._tokenizer.src_lang = chinese.strip("_")
                self._options["forced_bos_token_id"] = vocabulary[english]

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """English for every text, in order."""
        import torch

        done: list[str] = []
        for i in range(0, len(texts), BATCH):
            read = self._tokenizer(list(texts[i : i + BATCH]), return_tensors="pt", padding=True, truncation=True)
            with torch.no_grad():
                written = self._model.generate(
                    input_ids=read["input_ids"], attention_mask=read["attention_mask"], **self._options
                )
            done += self._tokenizer.batch_decode(written, skip_special_tokens=True)
        return [" ".join(text.split()).strip(" .") for text in done]


def _load_model(name: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
    except ImportError:
        raise MissingExtra(
            "a translation model runs on transformers: install openclap's extra 'torch' (docs/install.md)"
        ) from None
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=True)
        model = AutoModelForSeq2SeqLM.from_pretrained(name, local_files_only=True).eval()
    except ImportError as error:  # opus-mt wants sentencepiece and sacremoses
        raise MissingExtra(f"{name}: its tokenizer needs more ({' '.join(str(error).split())[:200]})") from error
    except BROKEN as error:
        raise ModelNotHere(
            f"{name!r} is no translation model on this machine; fetch one with  hf download Helsinki-NLP/opus-mt-zh-en,"
            "  give its folder, or leave translate out for the lexicon"
        ) from error
    return tokenizer, model
