"""Add the embedding of each sound to a data set of Hugging Face's `datasets`: python embed_dataset.py NAME."""

import sys
from functools import cache
from typing import Any

from datasets import Audio, Dataset, load_dataset

from openclap import CLAP

load = cache(CLAP.from_pretrained)  # one model in each process


class EmbedSounds:
    """For `Dataset.map`. `datasets` finds what it has cached by these attributes: the loaded model is none of them."""

    def __init__(self, model: str = "mini") -> None:
        self.model, self.fingerprint = model, load(model).fingerprint  # which changes with the weights

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, Any]:
        """The column `embedding`, float32 (B, E), for a batch of sounds."""
        return {"embedding": load(self.model).encode_audio(batch["audio"])}


def embed(sounds: Dataset, model: str = "mini") -> Dataset:
    """The rows with their embeddings; `audio` is a column of sounds, or of paths."""
    sounds = sounds.cast_column("audio", Audio(decode=False))  # openclap decodes: torchcodec is not needed
    return sounds.map(EmbedSounds(model), batched=True, batch_size=32)


if __name__ == "__main__":
    print(embed(load_dataset(sys.argv[1], split="train")))
