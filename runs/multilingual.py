"""A text tower of many languages, taught by a model whose own reads English (arXiv 2004.09813, on unit vectors).

    English sentence ──── teacher's text tower ── unit vector (E,) ──┐ 1 - cosine, for both
      the same ────────── student ─────────────── unit vector (E,) ──┤
    its translation ───── student ─────────────── unit vector (E,) ──┘

usage: python runs/multilingual.py TEACHER STUDENT OUT [PAIRS.csv …] [--epochs 10] [--batch 64] [--rate 2e-5] [--held 0.05]

TEACHER   any model openclap loads. Its audio tower, its projection and its logit scale stay as they are.
STUDENT   a folder, or a Hub id on this machine, of a transformer of kind RoBERTa, XLM-R or BERT with its tokenizer.json:
          FacebookAI/xlm-roberta-base, sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2
OUT       the folder of the new model, which `CLAP.from_pretrained` and every verb take; the bridge stays out of its way
PAIRS     CSV files with a column `en` and one a language (`zh`, `de`, …); none: the words of the Chinese lexicon, a start only.
          Good ones: captions of AudioCaps, Clotho and WavCaps put into other languages by a translation model.

The same pairs, seed and machine give the same weights. Stopped, it begins anew: an epoch of 50 000 pairs is minutes on a GPU.
"""

from __future__ import annotations

import argparse
import csv
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track

from openclap import CLAP
from openclap.checkpoints.native import save_pretrained
from openclap.checkpoints.tokenizer import MIN_CHINESE_TOKENS, Tokenizer, load_fast_tokenizer
from openclap.checkpoints.weights import Weights, entries_from_arrays
from openclap.config import CLAPConfig, TextConfig
from openclap.errors import ModelWarning, TrainingError
from openclap.language import read_lexicon
from openclap.models.clap import CLAPModel
from openclap.train.initial_model import InitialModel, training_device
from openclap.train.settings import Settings

Pair = tuple[str, str]  # English, the same in another language


def read_pairs(files: Sequence[Path]) -> list[Pair]:
    """Every translation of every sentence, in order."""
    if not files:
        return [(english, word) for word, english in read_lexicon().words.items() if english]
    pairs: list[Pair] = []
    for path in files:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                if not row.get("en"):
                    raise TrainingError(f"{path}: a column en is needed, with a sentence in every row")
                pairs += [(row["en"], text) for language, text in row.items() if language != "en" and text]
    return pairs


def text_config(student: str) -> TextConfig:
    """The sizes of a transformer and the ids of its tokenizer."""
    from transformers import AutoConfig
    from transformers.utils import cached_file

    found: Any = AutoConfig.from_pretrained(student, local_files_only=True)
    if found.model_type not in ("roberta", "xlm-roberta", "bert"):
        raise TrainingError(f"{student} is of kind {found.model_type}; choose a RoBERTa, an XLM-R or a BERT")
    kind: Literal["bert", "roberta"] = "bert" if found.model_type == "bert" else "roberta"
    file = cached_file(student, "tokenizer.json", local_files_only=True)
    if file is None:
        raise TrainingError(f"{student} has no tokenizer.json; save it with transformers' AutoTokenizer")
    ids = [
        next((i for i in map(load_fast_tokenizer(Path(file)).token_to_id, names) if i is not None), None)
        for names in (("<s>", "[CLS]"), ("</s>", "[SEP]"), ("<pad>", "[PAD]"))
    ]
    if None in ids:
        raise TrainingError(f"{file} has no tokens for begin, end and padding; give another student")
    begin, end, pad = (int(i) for i in ids if i is not None)
    return TextConfig(
        kind=kind, vocabulary=found.vocab_size, width=found.hidden_size, layers=found.num_hidden_layers,
        heads=found.num_attention_heads, intermediate=found.intermediate_size, positions=found.max_position_embeddings,
        token_types=found.type_vocab_size, layer_norm_eps=found.layer_norm_eps, activation=found.hidden_act,
        begin_id=begin, end_id=end, pad_id=pad,
    )  # fmt: skip


def distil(
    teacher: str, student: str, out: Path, pairs: Sequence[Pair], *, epochs: int = 10, batch: int = 64,
    rate: float = 2e-5, held: float = 0.05, seed: int = 0, progress: bool = True,
) -> dict[str, float]:  # fmt: skip
    """Teach, save to `out` → mean cosine of held-out translations with what the teacher makes of the English."""
    clap = CLAP.from_pretrained(teacher, translate="off")
    config = replace(clap.config, text=text_config(student), name=f"{clap.config.name}-multilingual")
    settings = Settings(
        out=str(out), sources=(), init=str(Path(teacher).resolve()) if Path(teacher).exists() else teacher,
        init_text=str(Path(student).resolve()) if Path(student).exists() else student,
        train_only=("text.", "text_projection."), seed=seed,
    )  # fmt: skip
    device = training_device(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)  # the teacher's text tower does not fit: that is why we are here
        start = InitialModel(settings, config, device)
    if start.tokenizer_file is None:
        raise TrainingError(f"{student} has no tokenizer.json; save it with transformers' AutoTokenizer")
    model, tokenizer = start.model, Tokenizer(start.tokenizer_file, config.text)
    english = list(dict.fromkeys(text for text, _ in pairs))
    targets = dict(zip(english, clap.encode_text(english), strict=True))
    order = np.random.default_rng((seed, 0)).permutation(len(pairs))
    test = max(1, round(held * len(pairs)))
    tested, taught = [pairs[i] for i in order[:test]], [pairs[i] for i in order[test:]]
    weights = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=rate)
    steps = epochs * -(-len(taught) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=max(2, steps), pct_start=0.1)
    for chosen in track(_batches(taught, batch, epochs, seed), "teaching", total=steps, disable=not progress):
        model.text.train()
        texts = [text for pair in chosen for text in pair]
        wanted = torch.from_numpy(np.stack([targets[pair[0]] for pair in chosen for _ in pair])).to(device)
        loss = (1 - (_embedded(model, tokenizer, texts, device) * wanted).sum(1)).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    model.eval()
    found = _cosines(model, tokenizer, tested, targets, device)
    _save(config, start.merge_adapters(), start.tokenizer_file, out)
    return {"pairs": len(taught), "held out": len(tested), "cosine of translations": found}


def _batches(pairs: Sequence[Pair], size: int, epochs: int, seed: int) -> Iterator[list[Pair]]:
    for epoch in range(epochs):
        order = np.random.default_rng((seed, 1, epoch)).permutation(len(pairs))
        for i in range(0, len(pairs), size):
            yield [pairs[j] for j in order[i : i + size]]


def _embedded(model: CLAPModel, tokenizer: Tokenizer, texts: list[str], device: torch.device) -> torch.Tensor:
    ids, mask = (torch.from_numpy(array).to(device) for array in tokenizer(texts))
    return model.encode_text(ids, mask)


@torch.no_grad()
def _cosines(
    model: CLAPModel, tokenizer: Tokenizer, pairs: Sequence[Pair], targets: dict[str, npt.NDArray[np.float32]],
    device: torch.device,
) -> float:  # fmt: skip
    made = [
        _embedded(model, tokenizer, [text for _, text in pairs[i : i + 64]], device).cpu().numpy()
        for i in range(0, len(pairs), 64)
    ]
    return float((np.concatenate(made) * np.stack([targets[text] for text, _ in pairs])).sum(1).mean())


def _save(config: CLAPConfig, model: CLAPModel, tokenizer: Path, out: Path) -> None:
    save_pretrained(config, Weights(entries_from_arrays(model.arrays())), tokenizer, out)
    if not Tokenizer(tokenizer, config.text).reads_chinese():
        print(f"its tokenizer holds fewer than {MIN_CHINESE_TOKENS} Chinese tokens: use it with translate='off'")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher")
    parser.add_argument("student")
    parser.add_argument("out", type=Path)
    parser.add_argument("pairs", type=Path, nargs="*")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-5)
    parser.add_argument("--held", type=float, default=0.05)
    given = parser.parse_args()
    pairs = read_pairs(given.pairs)
    options = {"epochs": given.epochs, "batch": given.batch, "rate": given.rate, "held": given.held}
    print(json.dumps(distil(given.teacher, given.student, given.out, pairs, **options)))


if __name__ == "__main__":
    main()
