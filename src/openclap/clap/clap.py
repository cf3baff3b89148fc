"""Class CLAP. Its methods document what a user needs to know; the modules beside it do the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from openclap.audio.clips import Clip, WindowClip
from openclap.audio.load import Sound
from openclap.checkpoints.health import Finding
from openclap.checkpoints.huggingface import export_huggingface
from openclap.checkpoints.load import Checkpoint
from openclap.checkpoints.native import save_pretrained
from openclap.checkpoints.tokenizer import Tokenizer
from openclap.clap.embed_audio import BATCH, AudioEmbedder, Long, require_one
from openclap.clap.embed_text import TextEmbedder
from openclap.clap.loading import lasting_name, load_with_backend, make_random, report_findings
from openclap.clap.outputs import Output, Wanted
from openclap.clap.precision import Precision, use_precision
from openclap.clap.runtime import Runtime
from openclap.clap.similarity import DEFAULT_TEMPLATE, cosines, fill_template, rank_labels, score_texts
from openclap.config import CLAPConfig, FrontEnd
from openclap.config.checks import check_count
from openclap.errors import SoundError, UsageError
from openclap.language import Translator
from openclap.normalization import Vectors
from openclap.results import Description, Label, Match, Scores, UnderstoodText, UnknownWord, Windows

if TYPE_CHECKING:
    from typing import Unpack  # Python 3.11

    from openclap.backends import Backend
    from openclap.clap.onnx_export import OnnxExport
    from openclap.describe import Writer
    from openclap.models.clap import CLAPModel
    from openclap.options import DescribeKeywords

__all__ = ["CLAP", "Precision"]


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
        translator: Translator | None = None,
    ) -> None:
        self.checkpoint: Checkpoint = checkpoint  # as it was loaded: configuration, weights, tokenizer file, source
        self.config: CLAPConfig = checkpoint.config
        self.front_end: FrontEnd = self.config.front_end  # the settings of this model's log-mels
        self.name: str = checkpoint.config.name
        self.source: str = checkpoint.source
        self._runtime = Runtime(checkpoint, backend, model)
        self._audio = AudioEmbedder(self._runtime)
        self._text = TextEmbedder(self._runtime, translator or Translator())
        self._arguments: dict[str, Any] | None = None  # of from_pretrained

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
            "mini"; a Hub id such as "laion/clap-htsat-fused"; a name that an installed package brings by the entry
            point `openclap.models` (docs/models.md); a folder saved by openclap or transformers; a .safetensors file; a .pt or .pth as LAION, Microsoft, WavCaps and AudioSetCaps publish them. A model that is on this machine is not downloaded again.
        backend, device, threads
            See `openclap.backends.choose_backend`.
        strict
            Refuse a checkpoint whose health check finds a fault, instead of warning.
        precision
            "float32"; "bfloat16" or "float16": on torch autocast; on OpenVINO, which is taken where the CPU computes in
            it, the audio tower, refused where its worst cosine with float32 is below 0.9995; "int8", on OpenVINO alone:
            the audio tower is quantised once (seconds to minutes, needs nncf), compared with float32 on sounds it was
            not calibrated with, and refused where it differs too much; "fast": bfloat16 or float16 where this CPU is made
            for it, int8 where it is made for neither and nncf is here, float32 where these are refused; on a GPU autocast.
            `clap.backend.info.dtype` says what was taken.
        calibration
            A few dozen sounds of your kind for int8, used beside synthesised ones of every kind.
        translate
            How texts in other languages are translated before they are embedded. "auto": into English, by the shipped
            lexicons, unless the text tower reads the language itself or OPENCLAP_TRANSLATE says otherwise; "off": not
            at all; any other value names a translation model, for Chinese and Japanese.
        max_tokens
            Length at which texts are cut, begin and end included: at most the positions of the text tower, 512 for
            RoBERTa. None: as the model says, which is 77 for LAION's, as they were trained on.

        Raises
        ------
        UnknownModel, ModelNotHere, BadCheckpoint, UnsafeCheckpoint, MissingExtra
        ModelError
            The precision that was asked for gives too different vectors.
        """
        translator = Translator(translate)
        chosen: dict[str, Any] = {"backend": backend, "device": device, "threads": threads, "precision": precision}
        checkpoint, computes = load_with_backend(name_or_path, **chosen, max_tokens=max_tokens)
        clap = cls(checkpoint, computes, translator=translator)
        clap._runtime.threads = threads
        name = os.fspath(name_or_path)
        if calibration is None:
            more = {"translate": translator.choice, "max_tokens": max_tokens}
            clap._arguments = {"name_or_path": lasting_name(name_or_path), **chosen, **more}
        report_findings(name, clap.examine(requested=name), strict=strict)
        computes.set_fingerprint(clap.fingerprint)
        use_precision(clap._runtime, clap._audio, clap.fingerprint, precision, calibration)
        if clap._arguments is not None:
            clap._arguments["precision"] = computes.info.dtype  # "fast" may be another one on another machine
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
        """Make any combination of towers with random weights, for training from scratch; it runs on torch.

        `tokenizer` is a `tokenizer.json`; without one the model embeds audio only. The same `seed` gives the same
        weights. Embeddings are always those of the current weights of `clap.model`.
        """
        checkpoint, backend, model = make_random(config, tokenizer=tokenizer, seed=seed, device=device, threads=threads)
        return cls(checkpoint, backend, model=model)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write safetensors, config.json and tokenizer.json; `from_pretrained(folder)` reloads them bit for bit."""
        save_pretrained(self.config, self._runtime.weights, self.checkpoint.tokenizer_file, folder)

    def export_transformers(self, folder: str | os.PathLike[str]) -> None:
        """Write a folder that `transformers.ClapModel` and its pipelines load, with the same embeddings.

        Raises
        ------
        UsageError
            Transformers has no class for the model: only HTSAT with RoBERTa, unfused or aff_2d, can be exported.
        MissingExtra
            transformers is not installed.
        """
        export_huggingface(self.config, self._runtime.weights, self.checkpoint.tokenizer_file, folder)

    def export_onnx(
        self, folder: str | os.PathLike[str], *, int8: bool = True, say: Callable[[str], None] = lambda what: None
    ) -> OnnxExport:
        """Write both towers as ONNX files with all that another program needs to run them; see docs/onnx.md.

        `say` is called with what is being done.

        Raises
        ------
        ModelError
            A tower has no graph, or a file gives other vectors than this model.
        MissingExtra
            onnx or onnxruntime is not installed.
        UsageError
            The folder cannot be written to.
        """
        from openclap.clap.onnx_export import export_onnx

        return export_onnx(self, self._runtime.weights, folder, int8=int8, say=say)

    # -- facts ---------------------------------------------------------------------------------------

    @property
    def model(self) -> CLAPModel:
        """The torch module in eval mode: that of the torch backend, else built from the checkpoint at first use."""
        return self._runtime.model

    @property
    def backend(self) -> Backend:
        """What computes embeddings: the backend as loaded, or `model` itself once one of its weights was changed."""
        return self._runtime.backend

    @property
    def logit_scale(self) -> float:
        """The factor of cosines before a softmax."""
        return self._runtime.logit_scale

    @property
    def fingerprint(self) -> str:
        """16 hex digits that differ between models: a hash of architecture, front end and weights."""
        return self._runtime.health(self.encode_text).fingerprint

    def examine(self, *, requested: str = "", fresh: bool = False) -> tuple[Finding, ...]:
        """Find faults of this checkpoint: broken weights, texts that collapse to one vector, copies known to be bad.

        The result for the same files is cached; `fresh` examines them again.
        """
        return self._runtime.health(self.encode_text, requested=requested, fresh=fresh).findings

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, loaded when the first text is embedded: sounds never need it."""
        return self._text.tokenizer

    def recipe(self) -> dict[str, Any]:
        """The arguments of `from_pretrained` that load this model again, also on another machine with the same files.

        Raises
        ------
        UsageError
            The model as it is now is not on disk.
        """
        if self._arguments is None or not self._runtime.is_unchanged:
            raise UsageError(
                f"{self.name} is not on disk as it is now, so no other process can load it; save_pretrained it first"
            )
        return dict(self._arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickled model is loaded anew by the receiving process, with the arguments of `from_pretrained`."""
        return partial(CLAP.from_pretrained, **self.recipe()), ()

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
        output: Output = "embedding",
        normalize: bool = True,
    ) -> Vectors:
        """Embed sounds.

        Parameters
        ----------
        sounds
            One or a list of: path, bytes, binary file, (wave, rate), {"array": wave, "sampling_rate": rate}, {"bytes":
            …, "path": …}, a decoder of torchcodec or `datasets`; a wave is (S,) or (S, channels), a torch tensor
            (channels, S) as well, at any rate.
        long
            How to embed recordings longer than a clip (10 s). "fusion": the paper's four views, each local one from the
            middle of its third; "windows": the mean of the windows, renormalised; "head": the first 10 s; "auto":
            fusion for fused checkpoints and windows for others.
        track
            Which track of files that hold several, from 1; None: the one marked as the default, else the first.
        output
            "embedding" (N, E); "pooled" (N, D), what that is the projection of; "frames" (N, T', D), features of each
            step of time of a clip, averaged over frequency: HTSAT-tiny's 32 steps of 0.31 s, each of 768 numbers.
        normalize
            Rows of length 1. False: as the tower gives them; of several windows their mean.

        Returns
        -------
        float32 (N, E), unit rows. The same sound gives the same row alone, in any batch and in any order.

        Raises
        ------
        SoundError
            Its message names the sound and the cause.
        UsageError
            The tower gives no such output, or frames are asked for of more than one window.
        """
        wanted = Wanted(output, normalize)
        return self._audio.embed(
            sounds, long=long, batch_size=batch_size, progress=progress, track=track, wanted=wanted
        )

    def encode_each(
        self,
        sounds: Sequence[Sound],
        *,
        window: float | None = None,
        hop: float = 5.0,
        batch_size: int = BATCH,
        long: Long = "auto",
    ) -> Iterator[Windows | SoundError]:
        """Embed many sounds, in order; a sound that cannot be used gives its error, and the others go on.

        With `window` each sound gives the windows of `encode_windows`, without it one row as of `encode_audio` with this
        `long`, whose times are 0.
        """
        return self._audio.embed_each(sounds, window=window, hop=hop, batch_size=batch_size, long=long)

    def encode_windows(
        self,
        sound: Sound,
        *,
        window: float | None = None,
        hop: float | None = None,
        batch_size: int = BATCH,
        track: int | None = None,
        output: Output = "embedding",
        normalize: bool = True,
    ) -> Windows:
        """Embed spans of one recording, which is streamed: memory does not grow with its length.

        ::

            0 ····· 10        a recording of 23 s: windows start at 0, 5, 10 and 13: the last one is moved back
              5 ····· 15      to end with the recording; a recording of 10 s or less is one window
                10 ····· 20
                   13 ····· 23

        `window` and `hop`, left out, are 10 and 5 s, or a clip of the model and half of one where that is shorter. Times
        are those that a player shows: a sound that starts at 12 s of its video has silence before it. `track`,
        `output` and `normalize` as in `encode_audio`.
        """
        wanted = Wanted(output, normalize)
        return self._audio.embed_windows(
            sound, window=window, hop=hop, batch_size=batch_size, track=track, wanted=wanted
        )

    def clips(self, sound: Sound, *, long: Long = "auto") -> Iterator[Clip | WindowClip]:
        """The clips of one sound, decoded one by one. The model is not used, so any thread may call this.

        The normalised sum of the rows that `encode_clips` gives for them is the sound's embedding.
        """
        return self._audio.clips(sound, long)

    def encode_clips(self, clips: Sequence[Clip | WindowClip]) -> Vectors:
        """Embed N clips of any sounds → float32 (N, E), unit rows, in their order."""
        return self._audio.embed_clips(clips)

    def encode_text(
        self,
        texts: str | Sequence[str],
        *,
        batch_size: int = 64,
        output: Output = "embedding",
        normalize: bool = True,
    ) -> Vectors:
        """Embed texts → float32 (M, E), unit rows. Other languages are translated into English first, see `in_english`.

        `output` and `normalize` as in `encode_audio`; "frames" are the states of all tokens (M, L, D), zeros behind a
        text that is shorter than the longest.

        Raises
        ------
        UsageError
            A text is empty, or no string; or the tower gives no such output.

        Warns
        -----
        LanguageWarning
            A text is cut after `max_tokens` of `from_pretrained` (77 tokens). Given once, for the first such text.
        """
        check_count(batch_size, "batch_size")
        return self._text.embed(self._text.in_english(texts), batch_size, Wanted(output, normalize))

    def encode_labels(self, labels: Sequence[str], *, template: str = DEFAULT_TEMPLATE) -> Vectors:
        """Embed labels, each in its prompt → float32 (M, E), unit rows; what was embedded is remembered."""
        return self._text.embed_prompts(fill_template(template, self._text.in_english(labels)))

    def in_english(self, texts: str | Sequence[str]) -> list[str]:
        """The text that the text tower gets for each text: English unchanged, others as `translate` says.

        The other languages are Chinese, Japanese, German, Spanish and French; which one it is, words and signs tell.

        Raises
        ------
        UsageError
            No part of a text can be translated.

        Warns
        -----
        LanguageWarning
            Words were left out; the message names them.
        """
        return self._text.in_english(texts)

    def understood(self, texts: str | Sequence[str]) -> list[UnderstoodText]:
        """The texts that were put into English, each with its English; none that is English already."""
        return self._text.understood(texts)

    def unknown_words(self, texts: str | Sequence[str]) -> list[UnknownWord]:
        """The words of texts that this model was never taught, each with known ones that are spelt like it.

        Only a text tower that reads whole words, as mini's, has such words; others read any word from its pieces.
        """
        return self._text.unknown_words(texts)

    # -- comparing -----------------------------------------------------------------------------------

    def similarity(self, a: npt.ArrayLike, b: npt.ArrayLike) -> Vectors:
        """Cosines of every row of `a` (N, E) with every row of `b` (M, E) → float32 (N, M), in [-1, 1]."""
        return cosines(a, b)

    def match(self, sound: Sound | Vectors, texts: str | Sequence[str], *, track: int | None = None) -> Scores[Match]:
        """The cosine of each text with one sound, or with its embedding (E,); `silent` as in `classify`."""
        many = self._text.known_texts(texts, "no text to match with")
        row, silent = self._audio.row_of(sound, track)
        return score_texts(many, self.similarity(row, self.encode_text(many))[0], silent=silent)

    def classify(
        self,
        sound: Sound | Vectors,
        labels: Sequence[str],
        *,
        template: str = DEFAULT_TEMPLATE,
        track: int | None = None,
    ) -> Scores[Label]:
        """Classify one sound, or its embedding (E,), without training (zero-shot): the labels, best first.

        `similarity` is the cosine of sound and prompt; `score` is the softmax over the given labels of
        exp(logit_scale) * cosine. Scores sum to 1 whatever is heard: they say which label fits best, not whether any
        does. Where nothing is heard, as `describe` tells silence, they are `silent` and their scores are 0. Prompts are
        embedded once and cached. `track` as in `encode_audio`.
        """
        many = self._text.known_texts(labels, "no label to choose from")
        row, silent = self._audio.row_of(sound, track)
        cosines = self.similarity(row, self.encode_labels(many, template=template))[0]
        return rank_labels(many, cosines, self.logit_scale, silent=silent)

    def describe(
        self,
        sound: Sound,
        labels: Sequence[str] | None = None,
        *,
        writer: Writer | None = None,
        track: int | None = None,
        **options: Unpack[DescribeKeywords],
    ) -> Description:
        """Describe a sound in words: tags with a confidence, a sentence, and the nearest of `captions`.

        Parameters
        ----------
        labels
            The possible tags; None: AudioSet's 527 labels. Of labels with one meaning the surest is given.
        writer
            Writes the sentence from the tags, such as `openclap.data.KeywordToCaption`; None: a template.
        track
            As in `encode_audio`.
        **options
            `threshold`, `top`, `alike`, `captions`, `nearest`, `language`: see `openclap.options.DescribeOptions`.
        """
        from openclap.describe import Describer  # a search needs none of it

        describer = Describer(self, labels, writer=writer, encode=self._text.embed_prompts, track=track, **options)
        return describer(require_one(sound))
