"""The model before fine-tuning: its embeddings, a probe, zero-shot scores, and the first weights of the head."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from openclap.backends.torch_backend import TorchBackend
from openclap.checkpoints.load import Checkpoint, load_checkpoint
from openclap.checkpoints.weights import Weights, entries_from_arrays
from openclap.clap import CLAP
from openclap.config import CLAPConfig
from openclap.errors import ModelNotHere, SoundError, TrainingError
from openclap.eval.embedding import EmbeddedItems, embed_each, truth_table
from openclap.eval.head import Head
from openclap.eval.probe import fit_layers
from openclap.eval.zeroshot import class_vectors
from openclap.plurals import count_noun
from openclap.progress import with_progress
from openclap.results import Failure, Windows
from openclap.train.distributed import Ranks
from openclap.train.examples import Example
from openclap.train.finetuning.labels import LabelledSounds
from openclap.train.finetuning.settings import SupervisedSettings, Supervision
from openclap.train.initial_model import InitialModel
from openclap.train.settings import Settings
from openclap.train.skipped import refuse_too_many_unreadable

__all__ = ["Baseline", "Layers", "embed_examples", "label_prompts", "starting_model"]

Floats = npt.NDArray[np.float32]
Layers: TypeAlias = tuple[tuple[Floats, Floats], ...]
WORD = re.compile(r"[^\W\d_]{2,}")


def starting_model(settings: Settings, config: CLAPConfig, device: torch.device) -> CLAP:
    """The model a run starts from, to embed with: the checkpoint of `init` itself, else the same weights in torch."""
    if settings.init is not None and not settings.init_is_bare:
        initial = load_checkpoint(settings.initial()).config
        if replace(initial, name=config.name) == config:
            return CLAP.from_pretrained(settings.initial(), device=str(device), threads=settings.threads)
    plain = replace(settings, lora=None, freeze=(), train_only=())
    initial_model = InitialModel(plain, config, torch.device("cpu"))
    checkpoint = Checkpoint(
        config,
        Weights(entries_from_arrays(initial_model.model.arrays())),
        initial_model.tokenizer_file,
        "the start of a run",
    )
    backend = TorchBackend(initial_model.model, device=str(device), threads=settings.threads)
    return CLAP(checkpoint, backend, model=initial_model.model)


@dataclass(frozen=True, eq=False)
class Baseline:
    """The first weights of the head, and the scores (N, C) of the frozen model for the judged sounds, by method."""

    layers: Layers
    scores: dict[str, Floats]
    keys: list[str]  # the keys of the N judged sounds
    failed: list[Failure]

    @classmethod
    def of(
        cls, clap: CLAP, train: EmbeddedItems, test: EmbeddedItems, data: LabelledSounds, settings: SupervisedSettings
    ) -> Baseline:
        """Compute the baseline from the embeddings of the sounds to learn from and of those to judge.

        Raises
        ------
        TrainingError
            Too many judged sounds cannot be read, or labels or model do not allow the chosen start.
        """
        supervision, failed, keys = settings.supervised, test.failed, [item.key for item in test.items]
        refuse_too_many_unreadable(failed, len(data.test), settings.most_broken, "sounds to judge")
        if not len(train.vectors):
            raise TrainingError(
                f"not one of {count_noun(len(train.failed), 'sound')} to learn from can be read; check the folder"
            )
        truth = truth_table(train.items, data.labels)
        probed = fit_layers(
            train.vectors, truth, kind=supervision.head, multi_label=data.multi_label, seed=settings.seed
        )
        prompts = label_prompts(clap, data.labels, supervision.templates)
        head = Head(probed, data.labels, data.multi_label, clap.name, "")
        scores = {f"{supervision.head} probe": head.logits(test.vectors)} if keys else {}
        if keys and prompts is not None:
            scores["zero-shot"] = clap.similarity(test.vectors, prompts)
        layers = _first_layers(
            clap, supervision, probed, prompts, train, truth, multi_label=data.multi_label, seed=settings.seed
        )
        return cls(layers, scores, keys, failed)


def _first_layers(
    clap: CLAP,
    supervision: Supervision,
    probed: Layers,
    prompts: Floats | None,
    train: EmbeddedItems,
    truth: npt.NDArray[np.bool_],
    *,
    multi_label: bool,
    seed: int,
) -> Layers:
    """The first weights of the head, by the method `supervision.start`."""
    if supervision.start == "probe":
        return probed
    if supervision.start == "random":
        rng = np.random.default_rng((seed, 1))
        return tuple(
            ((rng.standard_normal(w.shape) / np.sqrt(w.shape[1])).astype(np.float32), np.zeros_like(b))
            for w, b in probed
        )
    if prompts is None or supervision.head != "linear":
        why = "the labels are no words, or the model has no tokenizer" if prompts is None else "the head is an mlp"
        raise TrainingError(f"start is zeroshot, but {why}; choose start probe")
    weight = (clap.logit_scale * prompts).astype(np.float32)
    if not multi_label:
        return ((weight, np.zeros(len(weight), np.float32)),)
    share = truth.mean(0).clip(1e-3, 1 - 1e-3)  # the bias of a sigmoid holds how frequent a label is
    mean_logit = (train.vectors @ weight.T).mean(0)
    return ((weight, (np.log(share / (1 - share)) - mean_logit).astype(np.float32)),)


def label_prompts(clap: CLAP, labels: Sequence[str], templates: Sequence[str]) -> Floats | None:
    """A unit vector for each label (C, E); None where labels are no words or the model has no tokenizer."""
    if not all(WORD.search(label) for label in labels):
        return None
    try:
        return class_vectors(clap, labels, templates)
    except ModelNotHere:
        return None


def embed_examples(
    clap: CLAP, examples: Sequence[Example], *, progress: bool, task: str, ranks: Ranks | None = None
) -> EmbeddedItems:
    """Embed examples as `CLAP.encode_audio` does, named by their keys in the run.

    Several ranks share the work, and all get all embeddings.
    """
    ranks = ranks or Ranks()
    items = [replace(example.item, key=example.key) for example in examples]
    own = items[ranks.rank :: ranks.world]

    def part() -> list[Windows | SoundError]:
        return [*with_progress(embed_each(clap, own), f"embedding, {task}", len(own), show=progress)]

    parts = ranks.all_ranks(part)
    return EmbeddedItems.of(items, [parts[i % ranks.world][i // ranks.world] for i in range(len(items))])
