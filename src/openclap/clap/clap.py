"""Class CLAP: the door. Every method says what a user needs to know, and leaves the work to the room beside it.

Knows nothing of libraries, servers or the command line.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from openclap import backends
from openclap.audio.clips import Clip, WindowClip
from openclap.audio.load import Sound, use_track
from openclap.checkpoints.health import Finding, Health
from openclap.checkpoints.huggingface import export_huggingface
from openclap.checkpoints.load import Checkpoint, load_checkpoint
from openclap.checkpoints.native import save_pretrained
from openclap.checkpoints.tokenizer import Tokenizer
from openclap.checkpoints.weights import Weights, entries_from_arrays
from openclap.clap.embed_audio import BATCH, AudioEmbedder, Long, check_batch_size, require_one
from openclap.clap.embed_text import TextEmbedder, as_text_list
from openclap.clap.int8_calibration import use_int8
from openclap.clap.runtime import Runtime
from openclap.clap.similarity import DEFAULT_TEMPLATE, check_template, cosines, is_embedding, rank_labels
from openclap.config import CLAPConfig, FrontEnd
from openclap.describe import Describer, Writer
from openclap.errors import BadCheckpoint, ModelWarning, SoundError, UsageError
from openclap.language import Translator
from openclap.options import DescribeOptions
from openclap.results import Description, Label, Match, Windows
from openclap.text_cache import TextEmbeddingCache

if TYPE_CHECKING:
    from openclap.backends import Backend
    from openclap.models.clap import CLAPModel

__all__ = ["CLAP", "Precision"]

Precision: TypeAlias = Literal["float32", "int8", "bfloat16", "float16"]
Vectors: TypeAlias = npt.NDArray[np.float32]

CACHED_TEXTS = 4096  # prompts whose vectors are kept: 8 MB at E = 512


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
        backend: Backend,
        *,
        model: CLAPModel | None = None,
        bridge: Translator | None = None,
    ) -> None:
        self.config: CLAPConfig = checkpoint.config
        self.source: str = checkpoint.source
        self._towers = Runtime(checkpoint, backend, model)
        self._hearing = AudioEmbedder(self._towers)
        self._reading = TextEmbedder(self._towers, bridge or Translator())
        self._prompts = TextEmbeddingCache(CACHED_TEXTS)
        self._asked: dict[str, Any] | None = None  # of from_pretrained

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
        precision: Precision = "float32",
        calibration: Sound | Sequence[Sound] | None = None,
        translate: str = "auto",
        max_tokens: int | None = None,
    ) -> CLAP:
        """Load a model.

        Parameters
        ----------
        name_or_path
            "mini"; a Hub id such as "laion/clap-htsat-fused"; a folder saved by openclap or transformers;
            a .safetensors file; a LAION .pt file. Nothing is fetched for what is on this machine.
        backend, device, threads
            See `openclap.backends.choose_backend`.
        strict
            Refuse a checkpoint whose health check finds a fault, instead of warning.
        precision
            "float32"; "int8", on OpenVINO alone: the audio tower quantised, which is built once (seconds to minutes,
            needs nncf), compared with float32 on sounds it was not calibrated with, and refused where it has drifted;
            "bfloat16" or "float16", on torch alone: autocast, for CUDA.
        calibration
            A few dozen sounds of your kind to quantise with, beside synthesised ones of every kind.
        translate
            What Chinese texts become before they are embedded. "auto": English, by the shipped lexicon, unless the text
            tower reads Chinese itself or OPENCLAP_TRANSLATE says otherwise; "off": nothing; else by the translation
            model named.
        max_tokens
            Where texts are cut, begin and end included: up to what the text tower has positions for, 512 for RoBERTa.
            None: as the model says, 77 for LAION's, which were trained on no longer ones.

        Raises
        ------
        UnknownModel, ModelNotHere, BadCheckpoint, UnsafeCheckpoint, MissingExtra
        """
        if precision not in get_args(Precision):
            raise UsageError(f"precision is {precision!r}; choose {', '.join(get_args(Precision))}")
        bridge = Translator(translate)
        checkpoint = load_checkpoint(name_or_path)
        if max_tokens is not None:
            checkpoint = replace(checkpoint, config=checkpoint.config.with_max_tokens(max_tokens))
        half = precision if precision in ("bfloat16", "float16") else None
        chosen = backends.choose_backend(checkpoint, backend=backend, device=device, threads=threads, half=half)
        clap = cls(checkpoint, chosen, bridge=bridge)
        clap._towers.threads = threads
        if calibration is None:
            name = os.path.abspath(name_or_path) if Path(name_or_path).exists() else os.fspath(name_or_path)
            clap._asked = {
                "name_or_path": name,
                "backend": backend,
                "device": device,
                "threads": threads,
                "precision": precision,
                "translate": bridge.choice,
                "max_tokens": max_tokens,
            }
        for finding in clap.examine(requested=os.fspath(name_or_path)):
            message = f"{os.fspath(name_or_path)}: {finding.what}; {finding.advice}"
            if strict:
                raise BadCheckpoint(message)
            warnings.warn(message, ModelWarning, stacklevel=2)
        chosen.set_fingerprint(clap.fingerprint)
        if precision == "int8":
            use_int8(clap._towers, clap._hearing, clap.fingerprint, calibration)
        return clap

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
        """Any combination of towers with random weights, for training from scratch; it runs on torch.

        `tokenizer` is a `tokenizer.json`; without one the model embeds audio only. The same `seed`
        gives the same weights. What encodes is always `clap.model` as it is now.
        """
        backends.require_torch("a model with random weights is made by torch")
        import torch

        from openclap.backends.torch_backend import TorchBackend
        from openclap.models.clap import CLAPModel

        if not isinstance(config, CLAPConfig):
            config = CLAPConfig.from_dict(dict(config))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = CLAPModel(config).eval()
        file = None if tokenizer is None else Path(tokenizer)
        checkpoint = Checkpoint(
            config, Weights(entries_from_arrays(model.arrays())), file, f"random weights, seed {seed}"
        )
        return cls(checkpoint, TorchBackend(model, device=device, threads=threads), model=model)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write safetensors, config.json and tokenizer.json; `from_pretrained(folder)` reloads them bit for bit."""
        save_pretrained(self.config, self._towers.weights, self.checkpoint.tokenizer_file, folder)

    def export_transformers(self, folder: str | os.PathLike[str]) -> None:
        """Write a folder that `transformers.ClapModel` and its pipelines load, with the same embeddings.

        Raises
        ------
        UsageError
            For what transformers has no class for: only HTSAT with RoBERTa, unfused or aff_2d, can be exported.
        MissingExtra
            transformers is not installed.
        """
        export_huggingface(self.config, self._towers.weights, self.checkpoint.tokenizer_file, folder)

    # -- what it is ----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.config.name

    @property
    def model(self) -> CLAPModel:
        """The torch module, in eval mode: what runs on the torch backend, else built from the checkpoint when first asked for."""
        return self._towers.model

    @property
    def backend(self) -> Backend:
        """What encodes: as loaded, or `model` itself once a weight of it has been changed."""
        return self._towers.backend

    @property
    def checkpoint(self) -> Checkpoint:
        """What was loaded: configuration, weights, tokenizer file, source."""
        return self._towers.checkpoint

    @property
    def front_end(self) -> FrontEnd:
        """How waves become log-mels for this model."""
        return self.config.front_end

    @property
    def logit_scale(self) -> float:
        """What multiplies cosines before a softmax."""
        return self._towers.logit_scale

    @property
    def fingerprint(self) -> str:
        """16 hex digits that tell two models apart: a hash of architecture, front end and weights."""
        return self._health().fingerprint

    def examine(self, *, requested: str = "", fresh: bool = False) -> tuple[Finding, ...]:
        """What is wrong with this checkpoint: broken weights, texts that collapse to one vector, copies known to be bad.

        What was found before in the very same files is remembered, unless `fresh`.
        """
        return self._health(requested=requested, fresh=fresh).findings

    @property
    def tokenizer(self) -> Tokenizer:
        """Loaded when the first text is encoded: audio-only use never needs it."""
        return self._reading.tokenizer

    def recipe(self) -> dict[str, Any]:
        """The arguments of `from_pretrained` that load it again, on this machine or on one that has the same files.

        Raises
        ------
        UsageError
            It is not on disk as it is now.
        """
        if self._asked is None or not self._towers.is_unchanged:
            raise UsageError(
                f"{self.name} is not on disk as it is now, so no other process can load it; save_pretrained it first"
            )
        return dict(self._asked)

    def __reduce__(self) -> tuple[Any, ...]:
        """A process that is sent a model loads it anew, as `from_pretrained` was asked to here."""
        return _reload, (self.recipe(),)

    def __repr__(self) -> str:
        return (
            f"CLAP({self.name!r}, {self.config.audio.kind} + {self.config.text.kind}, fusion={self.config.fusion},"
            f" {self.backend.info})"
        )

    # -- embedding -----------------------------------------------------------------------------------

    def encode_audio(
        self,
        sounds: Sound | Sequence[Sound],
        *,
        long: Long = "auto",
        batch_size: int = BATCH,
        progress: bool = False,
        track: int | None = None,
    ) -> Vectors:
        """Embed sounds.

        Parameters
        ----------
        sounds
            One or a list of: path, bytes, binary file, (wave, rate), {"array": wave, "sampling_rate": rate}, {"bytes":
            …, "path": …}, a decoder of torchcodec or `datasets`; a wave is (S,) or (S, channels), a torch tensor
            (channels, S) as well, at any rate.
        long
            What to do with recordings longer than a clip (10 s): "fusion", the paper's four views, each local
            chunk from the middle of its third; "windows", the mean of the windows, renormalised; "head", the
            first 10 s; "auto", fusion for fused checkpoints and windows for the others.
        track
            Which track of files that hold several, from 1; None: the one marked as the default, else the first.

        Returns
        -------
        float32 (N, E), unit rows. The same sound gives the same row alone, in any batch and in any order.

        Raises
        ------
        SoundError
            Its message names the sound and the cause.
        """
        with use_track(track):
            return self._hearing.embed(sounds, long=long, batch_size=batch_size, progress=progress)

    def encode_each(
        self, sounds: Sequence[Sound], *, window: float | None = None, hop: float = 5.0, batch_size: int = BATCH
    ) -> Iterator[Windows | SoundError]:
        """Embed many sounds one after another, in order; a sound that cannot be used gives its error and stops nothing.

        With `window`, the spans of `encode_windows`; without, one row a sound as `encode_audio` gives it, from 0 to 0
        s.
        """
        return self._hearing.embed_each(sounds, window=window, hop=hop, batch_size=batch_size)

    def encode_windows(
        self,
        sound: Sound,
        *,
        window: float = 10.0,
        hop: float = 5.0,
        batch_size: int = BATCH,
        track: int | None = None,
    ) -> Windows:
        """Embed spans of one recording, which is streamed: memory does not grow with its length.

        ::

            0 ····· 10        a recording of 23 s: windows start at 0, 5, 10 and 13: the last one is moved back
              5 ····· 15      to end with the recording; a recording of 10 s or less is one window
                10 ····· 20
                   13 ····· 23

        Times are those that a player shows: a sound that starts at 12 s of its video has silence before it.
        `track` as in `encode_audio`.
        """
        with use_track(track):
            (found,) = self.encode_each([require_one(sound)], window=window, hop=hop, batch_size=batch_size)
        if isinstance(found, SoundError):
            raise found
        return found

    def clips(self, sound: Sound, *, long: Long = "auto") -> Iterator[Clip | WindowClip]:
        """What the model takes for one sound, decoded as it is asked for: no model is used, so any thread may.

        The sum of the rows that `encode_clips` gives for them, normalised, is the sound's embedding.
        """
        return self._hearing.clips(sound, long)

    def encode_clips(self, clips: Sequence[Clip | WindowClip]) -> Vectors:
        """Clips of any sounds (N) → float32 (N, E), unit rows, in their order."""
        return self._hearing.embed_clips(clips)

    def encode_text(self, texts: str | Sequence[str], *, batch_size: int = 64) -> Vectors:
        """Embed texts → float32 (M, E), unit rows. Chinese is put into English first, see `in_english`.

        Raises
        ------
        UsageError
            A text is empty, or no string.

        Warns
        -----
        LanguageWarning
            A text is cut after `max_tokens` of `from_pretrained` (77 tokens): once, for the first that is.
        """
        check_batch_size(batch_size)
        return self._reading.embed(self._reading.in_english(texts), batch_size)

    def in_english(self, texts: str | Sequence[str]) -> list[str]:
        """What the text tower is given for each text: an English one as it is, Chinese as `translate` of `from_pretrained` says.

        Raises
        ------
        UsageError
            Nothing of a text can be put into English.

        Warns
        -----
        LanguageWarning
            Names the words that were left out.
        """
        return self._reading.in_english(texts)

    # -- comparing -----------------------------------------------------------------------------------

    def similarity(self, a: npt.ArrayLike, b: npt.ArrayLike) -> Vectors:
        """Cosines of every row of `a` (N, E) with every row of `b` (M, E) → float32 (N, M), in [-1, 1]."""
        return cosines(a, b)

    def match(self, sound: Sound | Vectors, texts: str | Sequence[str], *, track: int | None = None) -> list[Match]:
        """How well each text fits one sound, or its embedding (E,): cosines, in the order given; `track` as in `encode_audio`."""
        many = as_text_list(texts)
        if not many:
            raise UsageError("no text to match with; give at least one")
        scores = self.similarity(self._row_of(sound, track), self.encode_text(many))[0]
        return [Match(text, float(score)) for text, score in zip(many, scores, strict=True)]

    def classify(
        self,
        sound: Sound | Vectors,
        labels: Sequence[str],
        *,
        template: str = DEFAULT_TEMPLATE,
        track: int | None = None,
    ) -> list[Label]:
        """Zero-shot classification of one sound, or of its embedding (E,): the labels, best first.

        `similarity` is the cosine of sound and prompt; `score` the softmax over the given labels of
        exp(logit_scale) * cosine: it sums to 1 whatever is heard, so it says which label fits best, not
        whether one does. Prompts are embedded once and kept. `track` as in `encode_audio`.
        """
        many = as_text_list(labels)
        if not many:
            raise UsageError("no label to choose from; give at least one")
        check_template(template)
        filled = [template.replace("{}", label) for label in self._reading.in_english(many)]
        prompts = self._prompts.embed(filled, self.encode_text, self._towers.state)
        return rank_labels(many, self.similarity(self._row_of(sound, track), prompts)[0], self.logit_scale)

    def describe(
        self,
        sound: Sound,
        labels: Sequence[str] | None = None,
        *,
        threshold: float | None = None,
        top: int = DescribeOptions.top,
        alike: float = DescribeOptions.alike,
        captions: Sequence[str] = (),
        nearest: int = DescribeOptions.nearest,
        language: str = DescribeOptions.language,
        writer: Writer | None = None,
        track: int | None = None,
    ) -> Description:
        """What is heard in a sound, in words: tags with a confidence, a sentence, and the nearest of `captions`.

        Parameters
        ----------
        labels
            What may be heard; None is AudioSet's 527 labels. Of labels that name one thing the surest stands for all.
        threshold
            The least confidence of a tag, in [0, 1]; None: the model's own, below which nothing is likely there.
        top, nearest
            Tags and captions at most.
        alike
            The cosine from which two labels are one family; above 1 keeps them all.
        language
            Of the sentence, and of AudioSet's labels: "en" or "zh"; your own labels stay as they are.
        writer
            Writes the sentence from the tags, as `openclap.data.KeywordToCaption`; None: a template.
        track
            As in `encode_audio`.
        """
        encode = partial(self._prompts.embed, encode=self.encode_text, state=self._towers.state)
        asked = DescribeOptions(labels, threshold, top, alike, captions, nearest, language)
        describer = Describer(self, **vars(asked), writer=writer, encode=encode)
        with use_track(track):
            return describer(require_one(sound))

    # -- inside --------------------------------------------------------------------------------------

    def _row_of(self, sound: Sound | Vectors, track: int | None) -> Vectors:
        """The row (1, E) of a sound, or of the embedding that stands for it."""
        if is_embedding(sound, self.config.embedding):
            return np.asarray(sound, np.float32)[None]
        return self.encode_audio(require_one(sound), track=track)  # type: ignore[arg-type]

    def _health(self, *, requested: str = "", fresh: bool = False) -> Health:
        return self._towers.health(self.encode_text, requested=requested, fresh=fresh)


def _reload(asked: dict[str, Any]) -> CLAP:
    return CLAP.from_pretrained(**asked)
