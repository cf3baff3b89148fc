"""Class CLAP: sounds and texts → unit vectors, and what follows from their cosines.

    sound ─ audio.clips ─ mel (V, T, F) ─┐
                                         ├─ backend ─ unit vector (E,) ─ cosine, softmax
    text ── tokens ────── ids (L,) ──────┘        (Chinese text: English first, by openclap.language)

Knows nothing of libraries, servers or the command line.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from openclap import backends
from openclap.audio.clips import Clip, WindowClip, clip_of, windows_of
from openclap.audio.load import Sound, is_sound
from openclap.checkpoints.health import Finding, Health, examine
from openclap.checkpoints.huggingface import export_huggingface
from openclap.checkpoints.load import Checkpoint, load_checkpoint, tokenizer_of
from openclap.checkpoints.native import save_pretrained
from openclap.checkpoints.tokens import Tokenizer
from openclap.checkpoints.weights import Weights, of_arrays
from openclap.confidence import UNLIKELY
from openclap.config import CLAPConfig, FrontEnd
from openclap.describe import Describer, Writer
from openclap.errors import BadCheckpoint, ModelWarning, SoundError, UsageError
from openclap.language import Bridge, has_foreign
from openclap.pipeline import embed_each, progress_of
from openclap.prompts import Prompts
from openclap.results import Description, Label, Match, Windows
from openclap.synth import synthesised

if TYPE_CHECKING:
    from openclap.backends import Backend
    from openclap.backends.torch_backend import TorchBackend
    from openclap.models.clap import CLAPModel

__all__ = ["CLAP", "DEFAULT_TEMPLATE", "Long", "Precision", "is_embedding"]

Precision: TypeAlias = Literal["float32", "int8", "bfloat16", "float16"]
Long: TypeAlias = Literal["auto", "windows", "fusion", "head"]
Vectors: TypeAlias = npt.NDArray[np.float32]

DEFAULT_TEMPLATE = "This is a sound of {}."  # the paper's zero-shot prompt
BATCH = 8  # clips, unless told otherwise
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
        self, checkpoint: Checkpoint, backend: Backend, *, model: CLAPModel | None = None, bridge: Bridge | None = None
    ) -> None:
        self._checkpoint = checkpoint
        self._model = model  # the torch module, where one was built
        self._prompts = Prompts(CACHED_TEXTS)
        self._bridge = bridge or Bridge()
        self.config: CLAPConfig = checkpoint.config
        self.source: str = checkpoint.source
        self._backend = backend
        self._own: TorchBackend | None = None  # of `model`, where it is not what encodes
        self._unchanged: object = None
        self._asked: dict[str, Any] | None = None  # of from_pretrained
        self._loaded = backend.state()
        self._examined: tuple[object, Health] | None = None

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
        precision
            "float32"; "int8", on OpenVINO alone: the audio tower quantised, which is built once (seconds to minutes, needs
            nncf), compared with float32 on sounds it was not calibrated with, and refused where it has drifted;
            "bfloat16" or "float16", on torch alone: autocast, for CUDA.
        calibration
            A few dozen sounds of your kind to quantise with, beside synthesised ones of every kind.
        translate
            What Chinese texts become before they are embedded. "auto": English, by the shipped lexicon, unless the text tower
            reads Chinese itself or OPENCLAP_TRANSLATE says otherwise; "off": nothing; else by the translation model named.

        Raises
        ------
        UnknownModel, ModelNotHere, BadCheckpoint, UnsafeCheckpoint, MissingExtra
        """
        if precision not in get_args(Precision):
            raise UsageError(f"precision is {precision!r}; choose {', '.join(get_args(Precision))}")
        bridge = Bridge(translate)
        checkpoint = load_checkpoint(name_or_path)
        half = precision if precision in ("bfloat16", "float16") else None
        chosen = backends.choose(checkpoint, backend=backend, device=device, threads=threads, half=half)
        clap = cls(checkpoint, chosen, bridge=bridge)
        if calibration is None:
            name = os.path.abspath(name_or_path) if Path(name_or_path).exists() else os.fspath(name_or_path)
            clap._asked = {
                "name_or_path": name, "backend": backend, "device": device, "threads": threads, "precision": precision,
                "translate": bridge.choice,
            }  # fmt: skip
        for finding in clap.examine(requested=os.fspath(name_or_path)):
            message = f"{os.fspath(name_or_path)}: {finding.what}; {finding.advice}"
            if strict:
                raise BadCheckpoint(message)
            warnings.warn(message, ModelWarning, stacklevel=2)
        chosen.known_as(clap.fingerprint)
        if precision == "int8":
            clap._use_int8(calibration)
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
        backends.need_torch("a model with random weights is made by torch")
        import torch

        from openclap.backends.torch_backend import TorchBackend
        from openclap.models.clap import CLAPModel

        if not isinstance(config, CLAPConfig):
            config = CLAPConfig.from_dict(dict(config))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = CLAPModel(config).eval()
        file = None if tokenizer is None else Path(tokenizer)
        checkpoint = Checkpoint(config, Weights(of_arrays(model.arrays())), file, f"random weights, seed {seed}")
        return cls(checkpoint, TorchBackend(model, device=device, threads=threads), model=model)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write safetensors, config.json and tokenizer.json; `from_pretrained(folder)` reloads them bit for bit."""
        save_pretrained(self.config, self._weights(), self._checkpoint.tokenizer_file, folder)

    def export_transformers(self, folder: str | os.PathLike[str]) -> None:
        """Write a folder that `transformers.ClapModel` and its pipelines load, with the same embeddings.

        Raises
        ------
        UsageError
            For what transformers has no class for: only HTSAT with RoBERTa, unfused or aff_2d, can be exported.
        MissingExtra
            transformers is not installed.
        """
        export_huggingface(self.config, self._weights(), self._checkpoint.tokenizer_file, folder)

    # -- what it is ----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.config.name

    @property
    def model(self) -> CLAPModel:
        """The torch module, in eval mode: what runs on the torch backend, else built from the checkpoint when first asked for."""
        if self._model is None:
            backends.need_torch("`model` is a torch module")
            from openclap.backends.torch_backend import TorchBackend
            from openclap.models.clap import CLAPModel

            if isinstance(self.backend, TorchBackend):
                self._model = self.backend.model
            else:  # OpenVINO goes on as long as nothing of the module is changed
                self._model = CLAPModel.from_arrays(self.config, self._checkpoint.weights).eval()
                self._own = TorchBackend(
                    self._model, device="cpu", threads=self._asked["threads"] if self._asked else None
                )
                self._unchanged = self._own.state()
        return self._model

    @property
    def backend(self) -> Backend:
        """What encodes: as loaded, or `model` itself once a weight of it has been changed."""
        if self._own is not None and self._own.state() != self._unchanged:
            self._backend, self._own = self._own, None
            self._backend.reason = "torch on CPU: a weight of `model` was changed"
        return self._backend

    @property
    def checkpoint(self) -> Checkpoint:
        """What was loaded: configuration, weights, tokenizer file, source."""
        return self._checkpoint

    @property
    def front_end(self) -> FrontEnd:
        """How waves become log-mels for this model."""
        return self.config.front_end

    @property
    def logit_scale(self) -> float:
        """What multiplies cosines before a softmax."""
        if self._model is not None:
            return float(self._model.logit_scale.detach().exp())
        return float(np.exp(self._checkpoint.weights["logit_scale"]))

    @property
    def fingerprint(self) -> str:
        """16 hex digits that tell two models apart: a hash of architecture, front end and weights."""
        return self._health().fingerprint

    def examine(self, *, requested: str = "", fresh: bool = False) -> tuple[Finding, ...]:
        """What is wrong with this checkpoint: broken weights, texts that collapse to one vector, copies known to be bad.

        What was found before in the very same files is remembered, unless `fresh`.
        """
        return self._health(requested=requested, fresh=fresh).findings

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Loaded when the first text is encoded: audio-only use never needs it."""
        return tokenizer_of(self._checkpoint)

    @cached_property
    def _reads_chinese(self) -> bool:
        return self.tokenizer.reads_chinese()

    def recipe(self) -> dict[str, Any]:
        """The arguments of `from_pretrained` that load it again, on this machine or on one that has the same files.

        Raises
        ------
        UsageError
            It is not on disk as it is now.
        """
        if self._asked is None or self.backend.state() != self._loaded:
            raise UsageError(
                f"{self.name} is not on disk as it is now, so no other process can load it; save_pretrained it first"
            )
        return dict(self._asked)

    def __reduce__(self) -> tuple[Any, ...]:
        """A process that is sent a model loads it anew, as `from_pretrained` was asked to here."""
        return _loaded_again, (self.recipe(),)

    def __repr__(self) -> str:
        return f"CLAP({self.name!r}, {self.config.audio.kind} + {self.config.text.kind}, fusion={self.config.fusion}, {self.backend.reason})"

    # -- embedding -----------------------------------------------------------------------------------

    def encode_audio(
        self,
        sounds: Sound | Sequence[Sound],
        *,
        long: Long = "auto",
        batch_size: int = BATCH,
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
        size = self._batch(batch_size)
        many = _listed(sounds)
        rows = np.zeros((len(many), self.config.embedding), np.float32)
        clips_of = partial(self._clips_of, how=self._how(long))
        for sound in progress_of(embed_each(many, clips_of, self._forward, size), progress, len(many)):
            if sound.error is not None:
                raise sound.error
            rows[sound.index] = np.sum(sound.rows, axis=0)
        return _unit(rows)

    def encode_each(
        self, sounds: Sequence[Sound], *, window: float | None = None, hop: float = 5.0, batch_size: int = BATCH
    ) -> Iterator[Windows | SoundError]:
        """Embed many sounds one after another, in order; a sound that cannot be used gives its error and stops nothing.

        With `window`, the spans of `encode_windows`; without, one row a sound as `encode_audio` gives it, from 0 to 0 s.
        """
        size, many = self._batch(batch_size), _listed(sounds)
        if window is None:
            clips = partial(self._clips_of, how=self._how("auto"))
        else:
            clips = partial(
                windows_of, front_end=self.front_end, window=window, hop=hop, as_waves=self.backend.takes_waves
            )  # type: ignore[assignment]
        for sound in embed_each(many, clips, self._forward, size):
            if sound.error is not None:
                yield sound.error
            elif window is None:
                yield Windows(np.zeros(1), np.zeros(1), _unit(np.sum(sound.rows, axis=0)[None]))
            else:
                yield Windows(np.array(sound.start), np.array(sound.end), np.stack(sound.rows))

    def encode_windows(
        self, sound: Sound, *, window: float = 10.0, hop: float = 5.0, batch_size: int = BATCH
    ) -> Windows:
        """Embed spans of one recording, which is streamed: memory does not grow with its length.

        ::

            0 ····· 10        a recording of 23 s: windows start at 0, 5, 10 and 13: the last one is moved back
              5 ····· 15      to end with the recording; a recording of 10 s or less is one window
                10 ····· 20
                   13 ····· 23
        """
        (found,) = self.encode_each([_one(sound)], window=window, hop=hop, batch_size=batch_size)
        if isinstance(found, SoundError):
            raise found
        return found

    def clips(self, sound: Sound, *, long: Long = "auto") -> Iterator[Clip | WindowClip]:
        """What the model takes for one sound, decoded as it is asked for: no model is used, so any thread may.

        The sum of the rows that `encode_clips` gives for them, normalised, is the sound's embedding.
        """
        return self._clips_of(_one(sound), self._how(long))

    def encode_clips(self, clips: Sequence[Clip | WindowClip]) -> Vectors:
        """Clips of any sounds (N) → float32 (N, E), unit rows, in their order."""
        rows = np.zeros((len(clips), self.config.embedding), np.float32)
        of_shape: dict[tuple[int, ...], list[int]] = {}
        for i, clip in enumerate(clips):
            of_shape.setdefault(clip.mel.shape, []).append(i)
        for alike in of_shape.values():
            some = [clips[i] for i in alike]
            longer = np.array([isinstance(clip, Clip) and clip.longer for clip in some])
            rows[alike] = self._forward(np.stack([clip.mel for clip in some]), longer)
        return rows

    def encode_text(self, texts: str | Sequence[str], *, batch_size: int = 64) -> Vectors:
        """Embed texts → float32 (M, E), unit rows. A text is cut after the tower's maximum (77 tokens).

        Chinese is put into English first, see `in_english`.
        """
        _check_batch_size(batch_size)
        many = self.in_english(texts)
        if not many:
            return np.zeros((0, self.config.embedding), np.float32)
        batches = (many[i : i + batch_size] for i in range(0, len(many), batch_size))
        return self._checked(np.concatenate([self.backend.encode_text(*self.tokenizer(batch)) for batch in batches]))

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
        many = _texts(texts)
        if self._bridge.is_off or not any(map(has_foreign, many)) or (self._bridge.is_auto and self._reads_chinese):
            return many
        return self._bridge(many)

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

    def match(self, sound: Sound | Vectors, texts: str | Sequence[str]) -> list[Match]:
        """How well each text fits one sound, or its embedding (E,): cosines, in the order given."""
        many = _texts(texts)
        if not many:
            raise UsageError("no text to match with; give at least one")
        scores = self.similarity(self._row_of(sound), self.encode_text(many))[0]
        return [Match(text, float(score)) for text, score in zip(many, scores, strict=True)]

    def classify(
        self, sound: Sound | Vectors, labels: Sequence[str], *, template: str = DEFAULT_TEMPLATE
    ) -> list[Label]:
        """Zero-shot classification of one sound, or of its embedding (E,): the labels, best first.

        `similarity` is the cosine of sound and prompt; `score` the softmax over the given labels of
        exp(logit_scale) * cosine: it sums to 1 whatever is heard, so it says which label fits best, not
        whether one does. Prompts are embedded once and kept.
        """
        many = _texts(labels)
        if not many:
            raise UsageError("no label to choose from; give at least one")
        if template.count("{}") != 1:
            raise UsageError(f"template {template!r} must hold {{}} once, where the label goes")
        filled = [template.replace("{}", label) for label in self.in_english(many)]
        prompts = self._prompts.vectors(filled, self.encode_text, self.backend.state())
        cosines = self.similarity(self._row_of(sound), prompts)[0].astype(np.float64)
        weights = np.exp(self.logit_scale * (cosines - cosines.max()))
        scores = weights / weights.sum()
        order = np.argsort(-cosines, kind="stable")
        return [Label(many[i], float(scores[i]), float(cosines[i])) for i in order]

    def describe(
        self,
        sound: Sound,
        labels: Sequence[str] | None = None,
        *,
        threshold: float = UNLIKELY,
        top: int = 5,
        captions: Sequence[str] = (),
        nearest: int = 3,
        writer: Writer | None = None,
    ) -> Description:
        """What is heard in a sound, in words: tags with a confidence, a sentence, and the nearest of `captions`.

        Parameters
        ----------
        labels
            What may be heard; None is AudioSet's 527 labels. Of labels that name one thing the surest stands for all.
        threshold
            The least confidence of a tag, in [0, 1].
        top, nearest
            Tags and captions at most.
        writer
            Writes the sentence from the tags, as `openclap.data.KeywordToCaption`; None: a template.
        """
        encode = partial(self._prompts.vectors, encode=self.encode_text, state=self.backend.state())
        return Describer(
            self, labels, threshold=threshold, top=top, captions=captions, nearest=nearest, writer=writer, encode=encode
        )(_one(sound))

    # -- inside --------------------------------------------------------------------------------------

    def _row_of(self, sound: Sound | Vectors) -> Vectors:
        """The row (1, E) of a sound, or of the embedding that stands for it."""
        if is_embedding(sound, self.config.embedding):
            return np.asarray(sound, np.float32)[None]
        return self.encode_audio(_one(sound))  # type: ignore[arg-type]

    def _how(self, long: str) -> str:
        if long not in ("auto", "windows", "fusion", "head"):
            raise UsageError(f"long is {long!r}; choose auto, windows, fusion or head")
        if long == "auto":
            return "windows" if self.config.fusion is None else "fusion"
        if long == "fusion" and self.config.fusion is None:
            raise UsageError(f"{self.name} was trained without fusion; choose long='windows' or 'head'")
        return long

    def _clips_of(self, sound: Sound, how: str) -> Iterator[Clip | WindowClip]:
        """What the model takes for one sound: a clip, or one a window."""
        if how == "windows":
            seconds = self.front_end.clip_seconds
            return windows_of(sound, self.front_end, window=seconds, hop=seconds / 2, as_waves=self.backend.takes_waves)
        what: Literal["head", "fusion"] = "head" if how == "head" else "fusion"
        return iter([clip_of(sound, self.front_end, long=what, as_waves=self.backend.takes_waves)])

    def _forward(self, mel: Vectors, longer: npt.NDArray[np.bool_]) -> Vectors:
        """A batch of mels (B, V, T, F), or of waves (B, 1, S) where the device makes the mels → unit rows (B, E)."""
        if mel.ndim == 3:
            return self._checked(self.backend.encode_waves(mel[:, 0], self.front_end))
        return self._checked(self.backend.encode_audio(mel, longer))

    def _batch(self, asked: int) -> int:
        """What is asked for; where that is no less than the default, as many as the device has room for."""
        _check_batch_size(asked)
        return max(asked, self.backend.batch) if asked >= BATCH else asked

    def _checked(self, rows: Vectors) -> Vectors:
        """Refuse what no search must ever hold."""
        if not np.isfinite(rows).all():
            if "float16" in self.backend.reason.split():
                raise BadCheckpoint(f"{self.name} gives NaN in float16, whose numbers end at 65504; use bfloat16")
            raise BadCheckpoint(
                f"{self.name} from {self.source} gives NaN: its weights are broken; download it again, or see  openclap doctor"
            )
        return rows

    def _weights(self) -> Weights:
        """Those of the torch module where there is one, which may have been trained, else the checkpoint's."""
        if self._model is None:
            return self._checkpoint.weights
        return Weights(of_arrays(self._model.arrays()))

    def _use_int8(self, calibration: Sound | Sequence[Sound] | None) -> None:
        use = getattr(self.backend, "use_int8", None)
        if use is None:
            raise UsageError(
                f"int8 runs on openvino alone, not on this backend ({self.backend.reason}); choose backend openvino"
            )
        given = [] if calibration is None else _listed(calibration)
        vectors = self.encode_audio(given)  # what was calibrated with is told apart by what it sounds like
        key = f"{self.fingerprint} {hashlib.blake2b(vectors.round(3).tobytes(), digest_size=8).hexdigest()}"

        def clips() -> list[tuple[Vectors, npt.NDArray[np.bool_]]]:
            long: Literal["head", "fusion"] = "head" if self.config.fusion is None else "fusion"
            made = [clip_of(sound, self.front_end, long=long) for sound in (*given, *synthesised())]
            return [(clip.mel[None], np.array([clip.longer])) for clip in made]

        use(key, clips)

    def _health(self, *, requested: str = "", fresh: bool = False) -> Health:
        state = self.backend.state()
        if self._examined is None or self._examined[0] != state or requested or fresh:
            checkpoint = self._checkpoint
            if state != self._loaded:  # trained since: what is remembered of the files does not hold
                checkpoint = replace(checkpoint, weights=self._weights(), folder=None)
            encode = None if checkpoint.tokenizer_file is None else self.encode_text
            self._examined = state, examine(checkpoint, encode, requested=requested, fresh=fresh)
        return self._examined[1]


def is_embedding(thing: object, size: int) -> bool:
    """Whether a value is a unit vector (size,) that a model has made, rather than a sound."""
    return isinstance(thing, np.ndarray) and thing.shape == (size,) and bool(abs(np.linalg.norm(thing) - 1) < 1e-3)


def _loaded_again(asked: dict[str, Any]) -> CLAP:
    return CLAP.from_pretrained(**asked)


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


def _check_batch_size(size: int) -> None:
    if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
        raise UsageError(f"batch_size is {size!r}; it must be a whole number, 1 or more")


def _one(sound: Sound) -> Sound:
    if not is_sound(sound):
        raise UsageError(
            f"one sound is expected, not {type(sound).__name__}; pass a path, bytes, a binary file, (wave, rate) or a dict"
        )
    return sound


def _texts(texts: str | Sequence[str]) -> list[str]:
    try:
        many = [texts] if isinstance(texts, str) else list(texts)
    except TypeError:
        raise UsageError(f"texts are a string or a list of them, not {type(texts).__name__}") from None
    for text in many:
        if not isinstance(text, str):
            raise UsageError(f"a text must be a string, not {type(text).__name__}")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise UsageError(f"a text holds what is no Unicode: {text!a}; replace those characters") from None
    return many


def _unit(rows: Vectors) -> Vectors:
    """Rows of length 1; a row of zeros stays zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Vectors = rows / np.maximum(lengths, np.float32(1e-12))
    return unit
