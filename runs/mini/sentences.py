"""A text tower that reads sentences: some layers of all-MiniLM-L6-v2, which learn to say of texts what all six say → a checkpoint.

usage: python runs/mini/sentences.py OUT --captions FILE [--texts TEXTS.npz] [--layers 0,3,5] [--minutes 10]
  OUT     gets model/ (for `speak.py --words OUT/model`; its audio side is mini's and knows nothing of this tower), state.pt and the
          teacher's vectors: the same command goes on from there, and `--minutes 0` writes the model as it stands
  FILE    captions, one a line
  TEXTS   what texts.py made: labels in phrases and templates

    text ─ word pieces ─┬─ MiniLM, six layers ── mean ─ unit vector ─┐
                        └─ its layers 0, 3, 5 ── mean ─ unit vector ─┴─ 1 - cosine, and cosines among the batch

Word vectors stay as they are: they are most of the tower, and int8 already says them. MiniLM is Apache-2.0 (see minilm.py); with all six
layers nothing is learnt, and the tower is MiniLM itself.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from minilm import folder
from safetensors.torch import load_file
from torch import Tensor, nn

from openclap import CLAPConfig
from openclap.checkpoints.load import load_checkpoint
from openclap.checkpoints.native import save_pretrained
from openclap.checkpoints.tokenizer import Tokenizer
from openclap.checkpoints.weights import Weights, entries_from_arrays
from openclap.config import TextConfig
from openclap.models.clap import CLAPModel
from openclap.models.text import make_sbert

WHOLE = TextConfig.preset("sbert")
BATCH = 64
LONGEST = 32  # tokens of a text
WARM = 20  # steps
KEPT_ASIDE = 256  # texts
SAVE_EVERY = 30.0  # seconds
TABLE = "text.tower.embeddings.word_embeddings.weight"
NEAR = 20.0  # what multiplies cosines among the batch


def tower_of(layers: list[int]) -> nn.Module:
    """A Sentence-BERT that has these layers of MiniLM."""
    given = load_file(folder() / "model.safetensors")
    tower = make_sbert(replace(WHOLE, layers=len(layers), dropout=0.0))
    place = {str(old): str(new) for new, old in enumerate(layers)}
    state: dict[str, Tensor] = {}
    for name, value in given.items():
        if name.startswith(("embeddings.", "encoder.")) and value.is_floating_point():
            head, _, rest = name.partition("encoder.layer.")
            number, _, what = rest.partition(".")
            if not rest:
                state[f"tower.{head}"] = value
            elif number in place:
                state[f"tower.encoder.layer.{place[number]}.{what}"] = value
    tower.load_state_dict(state)
    return tower.eval()


class Texts:
    """Texts as ids (N, L) and mask, and what the whole of MiniLM says of each, asked when it is first wanted and kept on disk."""

    def __init__(self, texts: list[str], tokenizer: Tokenizer, file: Path) -> None:
        ids, mask = tokenizer(texts)
        self.ids, self.mask = (torch.from_numpy(a[:, :LONGEST]) for a in (ids, mask))
        shape = (len(texts), WHOLE.width)
        mode: Any = "r+" if file.exists() and file.stat().st_size == 2 * shape[0] * shape[1] else "w+"
        self._said = np.memmap(file, np.float16, mode, shape=shape)  # zeros: not asked yet
        self._teacher = tower_of(list(range(WHOLE.layers)))

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, tower: nn.Module, rows: npt.NDArray[np.intp]) -> Tensor:
        """What a tower says (B, D), unit rows."""
        mask = self.mask[rows]
        longest = int(mask.sum(1).max())
        return F.normalize(tower(self.ids[rows, :longest], mask[:, :longest]), dim=1)

    @torch.no_grad()
    def said(self, rows: npt.NDArray[np.intp]) -> Tensor:
        """What MiniLM says (B, D), unit rows."""
        new = rows[~self._said[rows].any(1)]
        if len(new):
            self._said[new] = self.read(self._teacher, new).numpy()
        return F.normalize(torch.from_numpy(self._said[rows].astype(np.float32)), dim=1)


def texts_of(args: argparse.Namespace) -> list[str]:
    """Captions and phrases, each once, in an order that does not depend on where they come from."""
    lines = args.captions.read_text(encoding="utf-8").splitlines()
    found = [line.strip().strip("'\"").rstrip() for line in lines]
    if args.texts is not None:
        found += [str(text) for text in np.load(args.texts)["texts"]]
    found = [text for text in dict.fromkeys(found) if text]
    return [found[i] for i in np.random.default_rng(0).permutation(len(found))]


@torch.no_grad()
def agreement(tower: nn.Module, texts: Texts, rows: npt.NDArray[np.intp]) -> dict[str, float]:
    """Of texts kept aside: the mean cosine with MiniLM, and how often both choose the same nearest other text."""
    own, its = texts.read(tower, rows), texts.said(rows)
    nearest = [(a @ a.T - 2 * torch.eye(len(a))).argmax(1) for a in (own, its)]
    return {
        "cosine": round(float((own * its).sum(1).mean()), 4),
        "same nearest": round(float((nearest[0] == nearest[1]).float().mean()), 3),
    }


def learn(tower: nn.Module, texts: Texts, args: argparse.Namespace) -> None:
    """Steps until the time is over; batches follow from the number of the step, so a run that went on equals one that was not stopped."""
    trained = [p for n, p in tower.named_parameters() if "embeddings" not in n]
    tower.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(trained, lr=args.rate, weight_decay=0.01)
    file, step = args.out / "state.pt", 0
    if file.exists():
        state = torch.load(file, weights_only=True)
        assert state["layers"] == args.layers, f"{file} is of the layers {state['layers']}; give another OUT"
        tower.load_state_dict(state["tower"], strict=False)
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]

    def save() -> None:
        own = {n: p.detach() for n, p in tower.named_parameters() if p.requires_grad}
        torch.save({"layers": args.layers, "tower": own, "optimiser": optimiser.state_dict(), "step": step}, file.with_suffix(".part"))  # fmt: skip
        os.replace(file.with_suffix(".part"), file)

    aside = np.arange(KEPT_ASIDE)
    print(json.dumps({"step": step, **agreement(tower, texts, aside)}), flush=True)
    ends, saved = time.process_time() + 60 * args.minutes, time.process_time()
    while time.process_time() < ends:
        rows = np.random.default_rng((5, step)).integers(KEPT_ASIDE, len(texts), BATCH)
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1.0, (step + 1) / WARM)
        own, its = texts.read(tower, rows), texts.said(rows)
        apart = F.mse_loss(NEAR * own @ own.T, NEAR * its @ its.T) / NEAR
        loss = (1 - (own * its).sum(1)).mean() + args.relations * apart
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        step += 1
        if time.process_time() - saved > SAVE_EVERY or time.process_time() >= ends:
            save()
            saved = time.process_time()
            print(json.dumps({"step": step, "loss": round(float(loss.detach()), 4), **agreement(tower, texts, aside)}), flush=True)  # fmt: skip


def english_pieces(out: Path) -> npt.NDArray[np.intp]:
    """Writes tokenizer.json without pieces that no English text has (other scripts, places kept free) → which rows of the table stay."""
    data = json.loads((folder() / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = sorted(data["model"]["vocab"].items(), key=lambda item: item[1])
    left = [(piece, old) for piece, old in pieces if piece.isascii() and not piece.startswith("[unused")]
    new = {piece: i for i, (piece, _) in enumerate(left)}
    data["model"]["vocab"] = new
    data["added_tokens"] = [{**token, "id": new[token["content"]]} for token in data["added_tokens"]]
    for token in data["post_processor"]["special_tokens"].values():
        token["ids"] = [new[piece] for piece in token["tokens"]]
    (out / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    return np.array([old for _, old in left])


def save_model(tower: nn.Module, layers: int, out: Path) -> None:
    """A checkpoint with this text tower; projections of texts are random, the rest is mini's."""
    mini = load_checkpoint("mini")
    torch.manual_seed(0)
    rows = english_pieces(out)
    begin, end, pad = (int(np.flatnonzero(rows == old)[0]) for old in (WHOLE.begin_id, WHOLE.end_id, WHOLE.pad_id))
    text = replace(WHOLE, layers=layers, vocabulary=len(rows), begin_id=begin, end_id=end, pad_id=pad)
    config = CLAPConfig(mini.config.audio, text, mini.config.front_end, mini.config.fusion, mini.config.embedding, "sentences", "Apache-2.0")  # fmt: skip
    arrays = {f"text.{n}": p.detach().numpy() for n, p in tower.named_parameters()}
    arrays[TABLE] = arrays[TABLE][rows]
    arrays |= {n: a for n, a in CLAPModel(config).arrays().items() if n.startswith("text_projection.")}
    arrays |= {n: np.array(mini.weights[n]) for n in mini.weights if not n.startswith(("text.", "text_projection."))}
    save_pretrained(config, Weights(entries_from_arrays(arrays)), out / "tokenizer.json", out / "model", compact=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--layers", type=lambda given: [int(n) for n in given.split(",")], default=[0, 3, 5])
    parser.add_argument("--minutes", type=float, default=10.0, help="of CPU time")
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--relations", type=float, default=1.0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    tower = tower_of(args.layers)
    if args.layers != list(range(WHOLE.layers)):
        learn(tower, Texts(texts_of(args), Tokenizer(folder() / "tokenizer.json", WHOLE), args.out / "vectors.f16"), args)  # fmt: skip
    save_model(tower, len(args.layers), args.out)


if __name__ == "__main__":
    main()
