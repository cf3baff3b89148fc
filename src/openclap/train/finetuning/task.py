"""Supervised fine-tuning: a model and a classification head on its embeddings learn labels together.

    mel ─ audio tower ─ projection ─ unit vector ─ head ─ softmax (one label) or sigmoids (any number)

The head starts as a probe on the frozen model (LP-FT, arXiv 2202.10054: a head that is right from the start distorts
features less).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openclap.clap import CLAP
from openclap.eval.embedding import truth_table
from openclap.eval.head import Head
from openclap.eval.report import EvalReport, write_report
from openclap.models.clap import CLAPModel
from openclap.results import Failure
from openclap.train.augment import spec_augment
from openclap.train.batch import Batch
from openclap.train.batches import Batches
from openclap.train.distributed import same_outcome
from openclap.train.examples import Example
from openclap.train.finetuning.baseline import Baseline, Layers, embed_examples, starting_model
from openclap.train.finetuning.eval_report import make_eval_report
from openclap.train.finetuning.labels import LabelledSounds, read_labelled
from openclap.train.finetuning.settings import SupervisedSettings, supervised_settings
from openclap.train.loop import run
from openclap.train.mel_cache import MelCache
from openclap.train.step import autocast_dtype, microbatch_seed
from openclap.train.task import Report, RunContext, Task

__all__ = ["HEAD_FILE", "FinetuneReport", "Supervised", "finetune"]

HEAD_FILE, REPORT_FILE = "head.safetensors", "finetune.json"
BATCH = 16
MIXED = 0.3  # share of the clips mixed with another one and its labels, where a sound may have several labels


@dataclass(frozen=True)
class FinetuneReport:
    """What a fine-tuning did, and how good its classifier is; only the first of several processes has the verdict."""

    run: Report
    verdict: EvalReport | None
    left_out: list[Failure] = field(default_factory=list)  # sounds without a label

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, for JSON."""
        verdict = None if self.verdict is None else self.verdict.to_dict()
        return {**self.run.to_dict(), "verdict": verdict, "left_out": [failure.to_dict() for failure in self.left_out]}


def finetune(
    settings: str | os.PathLike[str] | Mapping[str, Any],
    *,
    resume: bool = True,
    progress: bool = True,
    **changes: Any,
) -> FinetuneReport:
    """Fine-tune a model on labelled sounds, and write a checkpoint with `head.safetensors` and `finetune.json`.

    Parameters
    ----------
    settings
        A YAML file, or the values that one would hold (paths relative to the working folder). Missing values have the
        defaults of fine-tuning; `changes` replace top-level values, and those of `supervised` one by one.
    resume
        Go on where a stopped run of the same configuration left off, bit for bit.

    Raises
    ------
    TrainingError
        Before the first step, when data or configuration is wrong.
    """
    with same_outcome():
        chosen, named = supervised_settings(settings, changes)
        data = read_labelled(chosen)
    if "batch_size" not in named:
        world = int(os.environ.get("WORLD_SIZE", "1"))
        size = min(BATCH, len(data.train) // 2)
        chosen = replace(chosen, batch_size=max(2, size - size % world, world))
    if "augment" not in named and data.multi_label:
        chosen = replace(chosen, augment=replace(chosen.augment, mix_share=MIXED))
    task = Supervised(chosen, data, progress=progress)
    done = run(task, resume=resume, progress=progress)
    return FinetuneReport(done, task.verdict, data.left_out)


class Supervised(Task):
    """The task of `openclap finetune`: the mean cross-entropy of a head on the embeddings."""

    def __init__(self, settings: SupervisedSettings, data: LabelledSounds, *, progress: bool = False) -> None:
        self.settings: SupervisedSettings = settings
        self.data = data
        self.extra_module = nn.Module()  # the head, from `begin` on
        self.verdict: EvalReport | None = None
        self._supervision = settings.supervised
        self.extra_rate = self._supervision.head_rate
        self._progress = progress
        self._baseline: Baseline | None = None

    def examples(self) -> list[Example]:
        """The sounds to learn from."""
        return self.data.train

    def begin(self, context: RunContext) -> None:
        """Give the head its first weights: all ranks embed the sounds, and the first computes the weights."""
        self._context, ranks = context, context.ranks
        loaded: list[CLAP] = []
        ranks.all_ranks(lambda: loaded.append(starting_model(self.settings, context.config, context.device)))
        progress = self._progress and ranks.first
        distinct = list({example.key: example for example in self.data.train}.values())
        train = embed_examples(loaded[0], distinct, progress=progress, task="learning", ranks=ranks)
        test = embed_examples(loaded[0], self.data.test, progress=progress, task="judging", ranks=ranks)

        def fit_baseline() -> Layers:
            self._baseline = Baseline.of(loaded[0], train, test, self.data, self.settings)
            return self._baseline.layers

        layers = ranks.all_ranks(lambda: fit_baseline() if ranks.first else ())[0]
        self.extra_module.layers = _modules(layers).to(context.device)

    def batches(self, examples: Sequence[Example], mels: MelCache) -> Batches:
        """Batches of clips; where two are mixed, the labels of both are right."""
        batches = Batches(examples, mels, self.settings, self._context.config, self._context.ranks)
        self.teach(examples, batches.captions.concepts)
        return batches

    def teach(self, examples: Sequence[Example], concepts: Sequence[str]) -> None:
        """Store which labels each number of a concept in a batch stands for."""
        of = dict(
            zip((e.concept for e in examples), truth_table([e.item for e in examples], self.data.labels), strict=True)
        )
        nothing = np.zeros(len(self.data.labels), np.bool_)
        self._truth = torch.from_numpy(np.stack([of.get(concept, nothing) for concept in concepts]))

    def gradients(self, model: CLAPModel, batch: Batch, seed: int) -> float:
        """Add the gradient of this rank's mean loss, piece by piece → the mean loss of all ranks.

        Pieces need no gradient cache here, since the loss of a row does not depend on other rows.
        """
        context = self._context
        whole = torch.zeros((), device=context.device, dtype=torch.float64)
        right = self._targets(batch)
        size = self.settings.pieces or len(right)
        pieces = zip(*(torch.split(part, size) for part in (batch.mel, batch.longer, right)), strict=True)
        for number, (mel, longer, truth) in enumerate(pieces):
            own = microbatch_seed(seed, number)
            torch.manual_seed(own)
            logits = self._logits(model, mel.to(context.device), longer.to(context.device), own)
            loss = self._losses(logits, truth.to(logits)).sum() / len(right)
            context.scale_loss(loss).backward()  # type: ignore[no-untyped-call]
            whole += loss.detach()
        return float(context.ranks.gather(whole[None]).mean())

    def save(self, out: Path) -> None:
        """Write the head, bound to the model that was just written, and the report of both."""
        clap = CLAP.from_pretrained(out, device=str(self._context.device), threads=self.settings.threads)
        layers = tuple((_array(layer.weight), _array(layer.bias)) for layer in self._layers())
        head = Head(layers, self.data.labels, self.data.multi_label, clap.name, clap.fingerprint)
        assert self._baseline is not None
        head.save(out / HEAD_FILE)
        self.verdict = make_eval_report(clap, head, self.data, self._baseline, self.settings, progress=self._progress)
        write_report(self.verdict, out / REPORT_FILE)

    # -- inside --------------------------------------------------------------------------------------

    def _layers(self) -> list[nn.Linear]:
        return [layer for layer in self.extra_module.layers if isinstance(layer, nn.Linear)]  # type: ignore[union-attr]

    def _logits(self, model: CLAPModel, mel: Tensor, longer: Tensor, seed: int) -> Tensor:
        dtype = autocast_dtype(self.settings.precision)
        masks = spec_augment(self.settings.augment, np.random.default_rng((seed, 1)))
        with torch.autocast(mel.device.type, dtype, enabled=dtype is not None):
            embedding = model.encode_audio(mel, longer, augment=masks)  # (b, E)
        embedding = embedding.to(self._layers()[0].weight.dtype)
        return self.extra_module.layers(embedding)  # type: ignore[operator]

    def _losses(self, logits: Tensor, truth: Tensor) -> Tensor:
        """The loss of each row (b,)."""
        if self.data.multi_label:
            return F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(1)
        return F.cross_entropy(logits, truth, reduction="none")

    def _targets(self, batch: Batch) -> Tensor:
        """The target of each clip (B, C): its labels; for a mixture those of both, half each with one label a sound."""
        heard, partner = batch.labels.clip_concepts.T[:2]
        own = self._truth[heard].double()
        both = self._truth[partner.clamp(min=0)].double()
        joined = torch.maximum(own, both) if self.data.multi_label else (own + both) / 2
        return torch.where((partner >= 0)[:, None], joined, own)


def _modules(layers: Layers) -> nn.Sequential:
    """Make torch layers with these weights, to be trained."""
    modules: list[nn.Module] = []
    sizes = [layers[0][0].shape[1], *(len(bias) for _, bias in layers)]
    for (inputs, outputs), (weight, bias) in zip(pairwise(sizes), layers, strict=True):
        linear = nn.Linear(inputs, outputs)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def _array(weight: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.asarray(weight.detach().cpu().numpy(), np.float32)
