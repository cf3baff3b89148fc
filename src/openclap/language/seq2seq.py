"""Translates texts into English by a translation model of transformers that is on this machine; nothing is fetched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError  # raised by torch's reader, which executes nothing
from typing import Any

from safetensors import SafetensorError

from openclap.errors import MissingExtra, ModelNotHere

__all__ = ["BROKEN", "Seq2Seq"]

BATCH = 16
# what transformers raises for a folder that holds no model, or a broken one
BROKEN = (OSError, ValueError, LookupError, AttributeError, RuntimeError, EOFError, SafetensorError, UnpicklingError)
TOKENS = 96  # the most tokens of a translation; a text tower reads 77
# codes of Chinese and English in NLLB, mBART and M2M100
PAIRS = (
    ("zho_Hans", "eng_Latn"),
    ("zh_CN", "en_XX"),
    ("__zh__", "__en__"),
)


class Seq2Seq:
    """A translation model; the same text always gives the same English.

    A model of one pair, such as opus-mt-zh-en, is used as it is; one of many languages is set to Chinese → English.

    Raises
    ------
    ModelNotHere
        It is neither a folder nor in Hugging Face's cache, or it is no sequence-to-sequence model.
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
        """Translate texts → their English, in order."""
        import torch

        english: list[str] = []
        for i in range(0, len(texts), BATCH):
            batch = self._tokenizer(list(texts[i : i + BATCH]), return_tensors="pt", padding=True, truncation=True)
            with torch.no_grad():
                written = self._model.generate(
                    input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], **self._options
                )
            english += self._tokenizer.batch_decode(written, skip_special_tokens=True)
        return [" ".join(text.split()).strip(" .") for text in english]


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
    except ImportError as error:  # the tokenizer of opus-mt needs sentencepiece and sacremoses
        raise MissingExtra(f"{name}: its tokenizer needs more ({' '.join(str(error).split())[:200]})") from error
    except BROKEN as error:
        raise ModelNotHere(
            f"{name!r} is no translation model on this machine; fetch one with  hf download Helsinki-NLP/opus-mt-zh-en,"
            "  give its folder, or leave translate out for the lexicon"
        ) from error
    return tokenizer, model
