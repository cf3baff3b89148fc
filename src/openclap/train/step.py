"""The gradient of a batch: computed at once, or in pieces where the batch does not fit in memory.

    at once    clips, texts ─ towers ─ embeddings ─ gathered from all ranks ─ loss ─ back through everything
    in pieces  pieces ─ towers without gradients ─ embeddings ─ loss ─ gradients of embeddings
               pieces again ─ towers ─ back through each

The second way (GradCache, arXiv 2101.06983) computes the towers twice and gives the same gradient with the memory for
one piece. Batch norms then see one piece at a time, which changes nothing with `freeze_norms`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from openclap.checkpoints.tokenizer import Tokenizer
from openclap.models.clap import CLAPModel
from openclap.train.augment import spec_augment
from openclap.train.batch import Batch, positives_and_ignored
from openclap.train.distributed import Ranks
from openclap.train.loss import contrastive_loss, sigmoid_loss
from openclap.train.settings import Augment

__all__ = ["Step", "Tokens", "TowersStep", "autocast_dtype", "make_tokenize", "microbatch_seed"]

Tokens = tuple[Tensor, Tensor]  # ids and mask (M, L)


@dataclass(frozen=True)
class TowersStep(ABC):
    """Computes the gradient of a batch; subclasses give the loss.

    Attributes
    ----------
    tokenize : callable
        Texts → ids and mask.
    autocast_dtype : torch.dtype, optional
        What the towers compute in, by autocast.
    pieces : int, optional
        Clips computed at a time; None computes all at once.
    scale_loss : callable
        Applied to the loss before it goes backward.
    """

    tokenize: Callable[[list[str]], Tokens]
    augment: Augment
    ranks: Ranks = field(default_factory=Ranks)
    autocast_dtype: torch.dtype | None = None
    pieces: int | None = None
    scale_loss: Callable[[Tensor], Tensor] = field(default=lambda loss: loss, kw_only=True)

    @abstractmethod
    def loss(self, model: CLAPModel, audio: Tensor, text: Tensor, batch: Batch) -> Tensor:
        """The loss over the clips and texts of all ranks, from this rank's embeddings of clips (B, E) and texts (M, E).

        There are no text embeddings where `tokenize` gave no tokens.
        """

    def gradients(self, model: CLAPModel, batch: Batch, seed: int) -> float:
        """Add the gradient of a batch to the gradients of the parameters → the loss; ranks are averaged later.

        Parameters
        ----------
        seed
            Decides dropout and SpecAugment: the same seed, the same gradient.
        """
        device = model.logit_scale.device
        ids, mask = (part.to(device) for part in self.tokenize(batch.texts))
        mel, longer = batch.mel.to(device), batch.longer.to(device)
        if self.pieces is None:
            torch.manual_seed(seed)
            audio = self._audio(model, mel, longer, seed)
            text = self._text(model, ids, mask)
            loss = self.loss(model, audio, text, batch)
            self.scale_loss(loss).backward()  # type: ignore[no-untyped-call]
            return float(loss.detach())
        audio_pieces = list(zip(torch.split(mel, self.pieces), torch.split(longer, self.pieces), strict=True))
        text_pieces = list(zip(torch.split(ids, self.pieces), torch.split(mask, self.pieces), strict=True))
        with torch.no_grad(), _keep_running_statistics(model):
            audio = torch.cat([self._encode_microbatch(model, i, seed, a) for i, a in enumerate(audio_pieces)])
            text = torch.cat([self._encode_microbatch(model, -1 - i, seed, t) for i, t in enumerate(text_pieces)])
        audio.requires_grad_()
        text.requires_grad_()
        loss = self.loss(model, audio, text, batch)
        self.scale_loss(loss).backward()  # type: ignore[no-untyped-call]
        for i, (piece, gradient) in enumerate(zip(audio_pieces, _split(audio.grad, self.pieces), strict=False)):
            _backward(self._encode_microbatch(model, i, seed, piece), gradient)
        for i, (piece, gradient) in enumerate(zip(text_pieces, _split(text.grad, self.pieces), strict=False)):
            _backward(self._encode_microbatch(model, -1 - i, seed, piece), gradient)
        return float(loss.detach())

    def _encode_microbatch(self, model: CLAPModel, number: int, seed: int, piece: tuple[Tensor, Tensor]) -> Tensor:
        """Embed one piece of clips (number ≥ 0) or texts (number < 0); dropout is the same at every call."""
        own = microbatch_seed(seed, number)
        torch.manual_seed(own)
        return self._audio(model, *piece, own) if number >= 0 else self._text(model, *piece)

    def _audio(self, model: CLAPModel, mel: Tensor, longer: Tensor, seed: int) -> Tensor:
        rng = np.random.default_rng((seed, 1))
        with torch.autocast(mel.device.type, self.autocast_dtype, enabled=self.autocast_dtype is not None):
            return model.encode_audio(mel, longer, augment=spec_augment(self.augment, rng)).to(model.logit_scale.dtype)

    def _text(self, model: CLAPModel, ids: Tensor, mask: Tensor) -> Tensor:
        if not len(ids):
            return torch.zeros(0, model.config.embedding, device=ids.device)
        with torch.autocast(ids.device.type, self.autocast_dtype, enabled=self.autocast_dtype is not None):
            return model.encode_text(ids, mask).to(model.logit_scale.dtype)


@dataclass(frozen=True)
class Step(TowersStep):
    """The gradient of the contrastive losses.

    Attributes
    ----------
    bias : nn.Parameter, optional
        Of the sigmoid loss; None, InfoNCE.
    """

    bias: nn.Parameter | None = None

    def loss(self, model: CLAPModel, audio: Tensor, text: Tensor, batch: Batch) -> Tensor:
        """The contrastive loss over all ranks, with the positives and ignored pairs that the labels give."""
        positives, ignored = positives_and_ignored(batch.labels.to(audio.device), self.ranks)
        audio, text = self.ranks.gather(audio), self.ranks.gather(text)
        if self.bias is not None:
            return sigmoid_loss(audio, text, model.logit_scale, self.bias, positives, ignored)
        return contrastive_loss(audio, text, model.logit_scale, positives, ignored)


def make_tokenize(tokenizer: Tokenizer | None) -> Callable[[list[str]], Tokens]:
    """Make a function that turns texts into ids and mask; without a tokenizer it gives empty ones."""

    def tokens(texts: list[str]) -> Tokens:
        if tokenizer is None:
            return torch.zeros(0, 1, dtype=torch.long), torch.zeros(0, 1, dtype=torch.long)
        ids, mask = tokenizer(texts)
        return torch.from_numpy(ids), torch.from_numpy(mask)

    return tokens


def microbatch_seed(seed: int, number: int) -> int:
    """The seed of the random numbers of one piece of a batch, the same each time the piece is computed."""
    return int(np.random.default_rng((seed, number % 2**32)).integers(2**62))


def autocast_dtype(precision: str) -> torch.dtype | None:
    """The dtype that autocast computes in; None for float32."""
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision)


def _split(gradient: Tensor | None, size: int) -> Sequence[Tensor]:
    """Split a gradient into those of the pieces; none where the loss does not use these embeddings."""
    return () if gradient is None else torch.split(gradient, size)


def _backward(embedding: Tensor, gradient: Tensor) -> None:
    """Send a gradient back through a tower, if any of it trains."""
    if embedding.requires_grad:
        embedding.backward(gradient)  # type: ignore[no-untyped-call]


@contextmanager
def _keep_running_statistics(model: nn.Module) -> Iterator[None]:
    """Leave the running statistics of batch norms as they are, since the same rows are computed again."""
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            buffer.copy_(value)
