"""Microsoft's CLAP under weights that anyone can regenerate: tokenizers, sounds, texts and `.pth` files.

`data/golden/make_msclap.py` asks Microsoft's own code for its numbers with the same, `test_msclap.py` compares.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from test_golden import weight
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

__all__ = ["RATE", "TEXTS", "recordings", "released_file", "write_tokenizer"]

RATE = 44_100
TEXTS = (
    "a dog barks",
    "Help! Rain, rain!",
    "wind in the trees at night ",
)  # "!" is what GPT-2's batches are padded with
SHAPES = Path(__file__).parent / "data" / "golden" / "msclap_shapes.json"


def recordings() -> dict[str, npt.NDArray[np.float32]]:
    """By kind, float32 (S,): 1.7 s that are repeated, and 9 s of which the head is heard."""
    noise = np.random.RandomState(11).standard_normal(9 * RATE)
    t = np.arange(9 * RATE) / RATE
    beeps = 0.4 * np.sin(2 * np.pi * 600 * t) * (np.sin(2 * np.pi * 1.3 * t) > 0.5) + 0.003 * noise
    chirp = 0.2 * np.sin(2 * np.pi * (100 * t + 500 * t**2)) + 0.02 * noise
    return {"short": beeps[: round(1.7 * RATE)].astype(np.float32), "long": chirp.astype(np.float32)}


def write_tokenizer(file: Path, kind: str, size: int = 0) -> Path:
    """The tokenizer.json of a GPT-2 or BERT of letters; with `size`, of so many tokens, the unused ones in the middle."""
    if kind == "gpt2":
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        merges = [("Ġ", "r"), ("Ġr", "a"), ("Ġra", "i"), ("Ġrai", "n"), ("Ġ", "d"), ("Ġd", "o"), ("Ġdo", "g")]
        tokens = [*letters, *("".join(pair) for pair in merges)]
        tokens += [*(f"unused{i}" for i in range(len(tokens), size - 1)), "<|endoftext|>"]
        tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens(["<|endoftext|>"])
    else:
        tokens = ["[PAD]", *(f"[unused{i}]" for i in range(99)), "[UNK]", "[CLS]", "[SEP]", "rain", "dog", ",", "!"]
        tokens += [f"{before}{letter}" for before in ("", "##") for letter in "abcdefghijklmnopqrstuvwxyz"]
        tokenizer = Tokenizer(models.WordPiece({t: i for i, t in enumerate(tokens)}, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    file.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(file))
    return file


def released_file(file: Path, year: str, **extra: torch.Tensor) -> Path:
    """A small `.pth` with the names of the one of that year, weights by the rule of the golden README, and its tokenizer."""
    state = {name: weight(name, shape) for name, shape in json.loads(SHAPES.read_text())[year].items()}
    torch.save({"epoch": 3, "model": {**state, **extra}}, file)
    write_tokenizer(file.with_name("tokenizer.json"), "gpt2" if year == "2023" else "bert")
    return file
