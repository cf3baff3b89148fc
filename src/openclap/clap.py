"""Class CLAP: sounds and texts → unit vectors, and what follows from their cosines.

    sound ─ audio.clips ─ mel (V, T, F) ─┐
                                         ├─ backend ─ unit vector (E,) ─ cosine, softmax
    text ── tokens ────── ids (L,) ──────┘

Knows nothing of libraries, servers or the command line.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from openclap import backends
from openclap.audio.clips import Clip, clip_of, windows_of
from openclap.audio.load import Sound, is_sound
from openclap.checkpoints.huggingface import export_huggingface
from openclap.checkpoints.load import Checkpoint, load_checkpoint, tokenizer_of
from openclap.checkpoints.native import save_pretrained
from openclap.checkpoints.tokens import Tokenizer
from openclap.config import CLAPConfig, FrontEnd
from openclap.errors import UsageError
from openclap.results import Label, Match, Windows

if TYPE_CHECKING:
    from openclap.models.clap import CLAPModel

__all__ = ["CLAP", "DEFAULT_TEMPLATE", "Long"]

Long: TypeAlias = Literal["auto", "windows", "fusion", "head"]
Vectors: TypeAlias = npt.NDArray[np.float32]
T = TypeVar("T")
R = TypeVar("R")

DEFAULT_TEMPLATE = "This is a sound of {}."  # the paper's zero-shot prompt
CACHED_TEXTS = 4096  # prompts whose vectors are kept: 8 MB at E = 512
DECODERS = 2  # sounds decoded ahead while the model computes; more gains nothing on two cores


class CLAP:
    """A model with its tokenizer and front end, ready to embed sounds and texts.

    Examples
    --------
    >>> clap = CLAP.from_pretrained("mini")
    >>> clap.classify("street.wav", ["siren", "dog bark"])[0].label
    'siren'
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        backend: str = "auto",
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self._checkpoint = checkpoint
        self.config: CLAPConfig = checkpoint.config
        self.source: str = checkpoint.source
        self.backend = backends.choose(checkpoint.model, backend=backend, device=device, threads=threads)
        self.logit_scale = float(checkpoint.model.logit_scale.detach().exp())  # multiplies cosines before a softmax
        self._prompts: OrderedDict[str, Vectors] = OrderedDict()

    # -- making ------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str] = "mini",
        *,
        backend: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        strict: bool = False,
    ) -> CLAP:
        """Load a model.

        Parameters
        ----------
        name_or_path
            "mini"; a Hub id such as "laion/clap-htsat-fused"; a folder saved by openclap or transformers;
            a .safetensors file; a LAION .pt file. Nothing is fetched for what is on this machine.
        backend, device, threads
            See `openclap.backends.choose`.
        strict
            Refuse a checkpoint whose health check finds a fault, instead of warning.

        Raises
        ------
        UnknownModel, ModelNotHere, BadCheckpoint, UnsafeCheckpoint
        """
        checkpoint = load_checkpoint(name_or_path, strict=strict)
        return cls(checkpoint, backend=backend, device=device, threads=threads)

    @classmethod
    def from_config(
        cls,
        config: CLAPConfig | Mapping[str, Any],
        *,
        tokenizer: str | os.PathLike[str] | None = None,
        seed: int = 0,
        device: str = "auto",
        threads: int | None = None,
    ) -> CLAP:
        """Any combination of towers with random weights, for training from scratch.

        `tokenizer` is a `tokenizer.json`; without one the model embeds audio only. The same `seed`
        gives the same weights.
        """
        import torch

        from openclap.models.clap import CLAPModel

        if not isinstance(config, CLAPConfig):
            config = CLAPConfig.from_dict(dict(config))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = CLAPModel(config).eval()
        file = None if tokenizer is None else Path(tokenizer)
        return cls(Checkpoint(config, model, file, f"random weights, seed {seed}"), device=device, threads=threads)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write safetensors, config.json and tokenizer.json; `from_pretrained(folder)` reloads them bit for bit."""
        save_pretrained(self.config, self.model, self._checkpoint.tokenizer_file, folder)

    def export_transformers(self, folder: str | os.PathLike[str]) -> None:
        """Write a folder that `transformers.ClapModel` and its pipelines load, with the same embeddings.

        Raises
        ------
        UsageError
            For what transformers has no class for: only HTSAT with RoBERTa, unfused or aff_2d, can be exported.
        """
        export_huggingface(self.config, self.model, self._checkpoint.tokenizer_file, folder)

    # -- what it is ----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.config.name

    @property
    def model(self) -> CLAPModel:
        """The torch module, in eval mode."""
        return self._checkpoint.model

    @property
    def checkpoint(self) -> Checkpoint:
        """What was loaded: configuration, module, tokenizer file, source."""
        return self._checkpoint

    @property
    def front_end(self) -> FrontEnd:
        """How waves become log-mels for this model."""
        return self.config.front_end

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that tell two models apart: a hash of architecture, front end and weights."""
        digest = hashlib.blake2b(digest_size=8)
        facts = {k: v for k, v in self.config.to_dict().items() if k not in ("name", "licence")}
        digest.update(json.dumps(facts, sort_keys=True).encode())
        for key, tensor in sorted(self.model.state_dict().items()):
            digest.update(key.encode())
            digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
        return digest.hexdigest()

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Loaded when the first text is encoded: audio-only use never needs it."""
        return tokenizer_of(self._checkpoint)

    def __repr__(self) -> str:
        return f"CLAP({self.name!r}, {self.config.audio.kind} + {self.config.text.kind}, fusion={self.config.fusion}, {self.backend.reason})"

    # -- embedding -----------------------------------------------------------------------------------

    def encode_audio(
        self,
        sounds: Sound | Sequence[Sound],
        *,
        long: Long = "auto",
        batch_size: int = 8,
        progress: bool = False,
    ) -> Vectors:
        """Embed sounds.

        Parameters
        ----------
        sounds
            One or a list of: path, bytes, binary file, (wave, rate), {"array": wave, "sampling_rate": rate};
            a wave is (S,) or (S, channels) at any rate.
        long
            What to do with recordings longer than a clip (10 s): "fusion", the paper's four views, each local
            chunk from the middle of its third; "windows", the mean of the windows, renormalised; "head", the
            first 10 s; "auto", fusion for fused checkpoints and windows for the others.

        Returns
        -------
        float32 (N, E), unit rows. The same sound gives the same row alone, in any batch and in any order.

        Raises
        ------
        SoundError
            Its message names the sound and the cause.
        """
        if batch_size < 1:
            raise UsageError(f"batch_size is {batch_size}; it must be 1 or more")
        many = _listed(sounds)
        how = self._how(long)
        total = np.zeros((len(many), self.config.embedding), np.float32)
        for owners, rows in self._embed(_bar(self._clips(many, how), progress, len(many)), batch_size):
            np.add.at(total, owners, rows)
        return _unit(total)

    def encode_windows(self, sound: Sound, *, window: float = 10.0, hop: float = 5.0, batch_size: int = 8) -> Windows:
        """Embed spans of one recording, which is streamed: memory does not grow with its length.

        ::

            0 ····· 10        a recording of 23 s: windows start at 0, 5, 10 and 13: the last one is moved back
              5 ····· 15      to end with the recording; a recording of 10 s or less is one window
                10 ····· 20
                   13 ····· 23
        """
        start: list[float] = []
        end: list[float] = []

        def clips() -> Iterator[tuple[int, Clip]]:
            for index, span in enumerate(windows_of(sound, self.front_end, window=window, hop=hop)):
                start.append(span.start)
                end.append(span.end)
                yield index, Clip(span.mel, longer=False)

        rows = [batch for _, batch in self._embed(clips(), batch_size)]
        return Windows(np.array(start), np.array(end), np.concatenate(rows))

    def encode_text(self, texts: str | Sequence[str], *, batch_size: int = 64) -> Vectors:
        """Embed texts → float32 (M, E), unit rows. A text is cut after the tower's maximum (77 tokens)."""
        if batch_size < 1:
            raise UsageError(f"batch_size is {batch_size}; it must be 1 or more")
        many = _texts(texts)
        if not many:
            return np.zeros((0, self.config.embedding), np.float32)
        batches = (many[i : i + batch_size] for i in range(0, len(many), batch_size))
        return np.concatenate([self.backend.encode_text(*self.tokenizer(batch)) for batch in batches])

    # -- comparing -----------------------------------------------------------------------------------

    def similarity(self, a: npt.ArrayLike, b: npt.ArrayLike) -> Vectors:
        """Cosines of every row of `a` (N, E) with every row of `b` (M, E) → float32 (N, M), in [-1, 1]."""
        left, right = (_unit(np.atleast_2d(np.asarray(x, np.float32))) for x in (a, b))
        if left.shape[1] != right.shape[1]:
            raise UsageError(
                f"embeddings of {left.shape[1]} and {right.shape[1]} numbers cannot be compared; use one model for both"
            )
        cosines: Vectors = np.clip(left @ right.T, -1.0, 1.0)
        return cosines

    def match(self, sound: Sound, texts: str | Sequence[str]) -> list[Match]:
        """How well each text fits one sound: cosines, in the order given."""
        many = _texts(texts)
        if not many:
            raise UsageError("no text to match with; give at least one")
        scores = self.similarity(self.encode_audio(_one(sound)), self._prompt_vectors(many))[0]
        return [Match(text, float(score)) for text, score in zip(many, scores, strict=True)]

    def classify(self, sound: Sound, labels: Sequence[str], *, template: str = DEFAULT_TEMPLATE) -> list[Label]:
        """Zero-shot classification: the labels, best first.

        `similarity` is the cosine of sound and prompt; `score` the softmax over the given labels of
        exp(logit_scale) * cosine: it sums to 1 whatever is heard, so it says which label fits best, not
        whether one does. Prompts are embedded once and kept.
        """
        many = _texts(labels)
        if not many:
            raise UsageError("no label to choose from; give at least one")
        if template.count("{}") != 1:
            raise UsageError(f"template {template!r} must hold {{}} once, where the label goes")
        prompts = self._prompt_vectors([template.replace("{}", label) for label in many])
        cosines = self.similarity(self.encode_audio(_one(sound)), prompts)[0].astype(np.float64)
        weights = np.exp(self.logit_scale * (cosines - cosines.max()))
        scores = weights / weights.sum()
        order = np.argsort(-cosines, kind="stable")
        return [Label(many[i], float(scores[i]), float(cosines[i])) for i in order]

    # -- inside --------------------------------------------------------------------------------------

    def _how(self, long: str) -> str:
        if long not in ("auto", "windows", "fusion", "head"):
            raise UsageError(f"long is {long!r}; choose auto, windows, fusion or head")
        if long == "auto":
            return "windows" if self.config.fusion is None else "fusion"
        if long == "fusion" and self.config.fusion is None:
            raise UsageError(f"{self.name} was trained without fusion; choose long='windows' or 'head'")
        return long

    def _clips(self, sounds: Sequence[Sound], how: str) -> Iterator[tuple[int, Clip]]:
        """The clips of every sound with the sound's index: one each, or one a window."""
        if how == "windows":
            for index, sound in enumerate(sounds):
                seconds = self.front_end.clip_seconds
                for span in windows_of(sound, self.front_end, window=seconds, hop=seconds / 2):
                    yield index, Clip(span.mel, longer=False)
            return
        if len(sounds) == 1:  # nothing to overlap with: threads would only cost
            yield 0, clip_of(sounds[0], self.front_end, long="head" if how == "head" else "fusion")
            return
        clip = partial(clip_of, front_end=self.front_end, long="head" if how == "head" else "fusion")
        yield from enumerate(_ahead(clip, sounds))

    def _embed(
        self, clips: Iterable[tuple[int, Clip]], batch_size: int
    ) -> Iterator[tuple[npt.NDArray[np.intp], Vectors]]:
        """Clips in batches of equal view count V → (index of each row, unit rows (B, E)), in order for equal V."""
        waiting: dict[int, list[tuple[int, Clip]]] = {}
        for item in clips:
            batch = waiting.setdefault(len(item[1].mel), [])
            batch.append(item)
            if len(batch) == batch_size:
                yield self._forward(waiting.pop(len(item[1].mel)))
        for batch in waiting.values():
            yield self._forward(batch)

    def _forward(self, batch: list[tuple[int, Clip]]) -> tuple[npt.NDArray[np.intp], Vectors]:
        mel = np.stack([clip.mel for _, clip in batch])  # (B, V, T, F)
        longer = np.array([clip.longer for _, clip in batch])
        return np.array([index for index, _ in batch]), self.backend.encode_audio(mel, longer)

    def _prompt_vectors(self, prompts: Sequence[str]) -> Vectors:
        """Vectors of prompts, each embedded once: repeated labels cost nothing."""
        missing = [text for text in dict.fromkeys(prompts) if text not in self._prompts]
        known = {text: self._prompts[text] for text in prompts if text in self._prompts}
        known.update(zip(missing, self.encode_text(missing), strict=True))
        self._prompts.update(known)
        while len(self._prompts) > CACHED_TEXTS:
            self._prompts.popitem(last=False)
        return np.stack([known[text] for text in prompts])


def _listed(sounds: Sound | Sequence[Sound]) -> list[Sound]:
    """One sound or several → a list. A (wave, rate) pair is one sound."""
    if is_sound(sounds):
        return [sounds]  # type: ignore[list-item]
    if isinstance(sounds, np.ndarray):
        raise UsageError("a bare array has no sampling rate; pass (wave, rate)")
    try:
        return list(sounds)  # type: ignore[arg-type]
    except TypeError:
        raise UsageError(
            f"{type(sounds).__name__} is not a sound; pass a path, bytes, a binary file, (wave, rate) or a dict"
        ) from None


def _one(sound: Sound) -> Sound:
    if not is_sound(sound):
        raise UsageError(
            f"one sound is expected, not {type(sound).__name__}; pass a path, bytes, a binary file, (wave, rate) or a dict"
        )
    return sound


def _texts(texts: str | Sequence[str]) -> list[str]:
    many = [texts] if isinstance(texts, str) else list(texts)
    for text in many:
        if not isinstance(text, str):
            raise UsageError(f"a text must be a string, not {type(text).__name__}")
    return many


def _unit(rows: Vectors) -> Vectors:
    """Rows of length 1; a row of zeros stays zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Vectors = rows / np.maximum(lengths, np.float32(1e-12))
    return unit


def _ahead(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`map` in order with a few items computed ahead in threads, so that decoding overlaps with the model."""
    with ThreadPoolExecutor(DECODERS, thread_name_prefix="openclap-decode") as pool:
        pending: deque[Future[R]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > 2 * DECODERS:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _bar(items: Iterator[tuple[int, T]], show: bool, total: int) -> Iterator[tuple[int, T]]:
    """A progress bar on stderr that counts finished sounds."""
    if not show:
        yield from items
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("embedding", total=total)
        for index, item in items:
            bar.update(task, completed=index)
            yield index, item
        bar.update(task, completed=total)
