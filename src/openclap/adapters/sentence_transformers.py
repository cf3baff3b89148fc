"""A CLAP as a model of sentence-transformers 6 and newer, which is not installed with openclap.

Source of sentence-transformers: https://github.com/huggingface/sentence-transformers

    from openclap.adapters import sentence_transformer

    model = sentence_transformer("mini")                     # a SentenceTransformer
    model.similarity(model.encode(["a dog"]), model.encode([Path("dog.wav")]))

Batches, prompts, truncation, quantisation, devices and saving are those of sentence-transformers; sounds are read, resampled
and cut by openclap.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from openclap.adapters.inputs import check_long, embed_texts
from openclap.clap import CLAP, Long
from openclap.errors import MissingExtra, UsageError

try:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modality import infer_modality
    from sentence_transformers.base.modules import InputModule
except ImportError:
    raise MissingExtra("this needs sentence-transformers 6 or newer:  pip install sentence-transformers") from None

__all__ = ["CLAPModule", "sentence_transformer"]


def sentence_transformer(
    model: str | os.PathLike[str] | CLAP = "mini", *, long: Long = "auto", **options: Any
) -> SentenceTransformer:
    """Make a `SentenceTransformer` of a CLAP, or of what `CLAP.from_pretrained` takes, with its `options`.

    `long` says how recordings longer than a clip are embedded, as in `CLAP.encode_audio`.
    """
    clap = model if isinstance(model, CLAP) else CLAP.from_pretrained(model, **options)
    return SentenceTransformer(modules=[CLAPModule(clap, long=long)], device="cpu", similarity_fn_name="cosine")


class CLAPModule(InputModule):  # type: ignore[misc]  # mypy does not follow its import
    """The one module of such a model: it embeds texts and sounds, with openclap's own backend. It is not trained.

    A sound is a dictionary {"array": wave, "sampling_rate": rate}, a bare array or tensor at the model's own rate, a
    `Path`, bytes, or a decoder of torchcodec. A string is a text, unless it is the path of an audio file that exists, as
    sentence-transformers takes it; nothing is fetched from an address. An empty text has a row of zeros.
    """

    save_in_root = True

    def __init__(self, clap: CLAP, *, long: Long = "auto") -> None:
        super().__init__()
        check_long(clap, long)
        self.clap, self.long = clap, long

    @property
    def modalities(self) -> list[Any]:
        """What it embeds."""
        missing = self.clap.config.audio.is_missing, self.clap.config.text.is_missing
        return [what for what, absent in zip(("audio", "text"), missing, strict=True) if not absent]

    @property
    def max_seq_length(self) -> int | None:
        """Texts are cut after so many tokens."""
        return None if self.clap.config.text.is_missing else self.clap.tokenizer.most

    def get_embedding_dimension(self) -> int:
        """E, the numbers of an embedding."""
        return self.clap.config.embedding

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Texts and sounds, in any order → themselves, texts behind the prompt.

        Raises
        ------
        UsageError
            One of them is neither.
        """
        return {"inputs": [self._take(one, prompt or "") for one in inputs]}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Add "sentence_embedding" (N, E), unit rows, to what `preprocess` gave."""
        inputs: list[tuple[str, Any]] = features["inputs"]
        rows = np.zeros((len(inputs), self.clap.config.embedding), np.float32)
        texts = [i for i, (what, _) in enumerate(inputs) if what == "text"]
        sounds = [i for i, (what, _) in enumerate(inputs) if what == "audio"]
        if texts:
            rows[texts] = embed_texts(self.clap, [inputs[i][1] for i in texts], len(texts))
        if sounds:
            rows[sounds] = self.clap.encode_audio([inputs[i][1] for i in sounds], long=self.long)
        return {**features, "sentence_embedding": torch.from_numpy(rows)}

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Write the model as `CLAP.save_pretrained` does; `SentenceTransformer(folder)` reloads it."""
        self.clap.save_pretrained(output_path)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **kwargs: Any) -> CLAPModule:
        """Load the model of a folder."""
        return cls(CLAP.from_pretrained(Path(model_name_or_path) / subfolder))

    def _take(self, one: Any, prompt: str) -> tuple[str, Any]:
        """One input → "text" or "audio", and what `CLAP` takes."""
        if isinstance(one, dict) and len(one) == 1 and "array" not in one:  # {"audio": …} and {"text": …}
            ((_, one),) = one.items()
        if isinstance(one, os.PathLike | bytes):
            return "audio", one
        if isinstance(one, np.ndarray | torch.Tensor):
            return "audio", (one, self.clap.front_end.sampling_rate)
        try:
            what = infer_modality(one, supported_modalities=self.modalities)
        except ValueError:
            what = None
        if what == "text" and isinstance(one, str):
            return "text", prompt + one
        if what != "audio":
            raise UsageError(
                f"{type(one).__name__} is neither a text nor a sound; give a string, a Path or {{'array': wave,"
                " 'sampling_rate': rate}"
            )
        return "audio", one
