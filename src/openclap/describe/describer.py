"""A sound → tags, a sentence, captions.

Knows of a model only what `Ears` says, so that `CLAP.describe` can be one line above it.

sound ─ windows of a clip ─ vocabulary ─ tags ─ sentence
                         └─ captions of a file ─ the nearest
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.audio.levels import is_silent
from openclap.confidence import DEFAULT_CURVES, confidence_curves, reference_bank
from openclap.config import ConfidenceCurves
from openclap.describe.audioset import names_of_audioset
from openclap.describe.chinese import description_in_chinese, sentence_in_chinese, span_in_chinese
from openclap.describe.english import NO_TAG, SILENCE, sentence_of
from openclap.describe.vocabulary import Names, Vocabulary, check_labels
from openclap.embedder import Embedder
from openclap.errors import UsageError
from openclap.labels import labels as packaged
from openclap.normalization import normalize_rows
from openclap.options import DescribeOptions
from openclap.results import Description, Match, Span, Tag, Windows
from openclap.sentences import inline_label, make_debiaser

__all__ = ["Describer", "Writer"]

Vectors = npt.NDArray[np.float32]
Writer: TypeAlias = Callable[[Sequence[Sequence[str]]], list[str]]  # lists of tags → a sentence each

LANGUAGES = ("en", "zh")
NAMING = 2  # of how names are chosen and ordered: another makes descriptions anew


class Describer:
    """Describes sounds in one vocabulary, whose texts are embedded once.

    Parameters
    ----------
    clap
        The model.
    labels
        What may be heard, any number; None is AudioSet's 527.
    threshold
        A tag's least confidence, in [0, 1]; None: below which the model says "nothing here".
    top
        Tags at most.
    alike
        The cosine from which two labels are one family (see `describe.vocabulary`); above 1 keeps them all.
    captions, nearest
        Sentences to choose from, and how many.
    writer
        Writes the sentences: lists of tags in, a sentence each out, as `openclap.data.KeywordToCaption`. None: a
        template.
    language
        Of the sentences, and of AudioSet's labels: "en" or "zh"; labels of one's own stay as they are.
    encode
        Embeds texts; by default the model's `encode_text`.

    Raises
    ------
    UsageError
        No labels, a number out of its range, or another language.
    """

    def __init__(
        self,
        clap: Embedder,
        labels: Sequence[str] | None = None,
        *,
        threshold: float | None = None,
        top: int = DescribeOptions.top,
        alike: float = DescribeOptions.alike,
        captions: Sequence[str] = (),
        nearest: int = DescribeOptions.nearest,
        writer: Writer | None = None,
        language: str = DescribeOptions.language,
        encode: Callable[[list[str]], Vectors] | None = None,
    ) -> None:
        if threshold is None:
            threshold = confidence_curves(clap.config).unlikely
        if not 0 <= threshold <= 1:
            raise UsageError(f"threshold is {threshold!r}; a confidence lies between 0 and 1")
        if top < 1 or nearest < 1:
            raise UsageError(f"top is {top!r} and nearest {nearest!r}; both must be 1 or more")
        if language not in LANGUAGES:
            raise UsageError(f"language is {language!r}; choose {' or '.join(LANGUAGES)}")
        if language != "en" and writer is not None:
            raise UsageError("a writer of sentences writes English; leave it out, or ask for language en")
        names = check_labels(packaged("audioset") if labels is None else labels)
        encode = encode or clap.encode_text
        self.clap = clap
        self.language = language
        self.own = labels is not None
        usual = reference_bank(clap)
        self.vocabulary = Vocabulary(
            names, encode(list(names)), usual, None if self.own else _known_of(names, usual.curves)
        )
        self.threshold, self.top, self.alike = threshold, top, alike
        self._captions = list(dict.fromkeys(captions))
        self._caption_vectors = encode(self._captions) if self._captions else None
        self._nearest, self._writer = nearest, writer
        self._without_gender = make_debiaser()

    def key(self) -> list[object]:
        """All that its descriptions depend on beside the model and the sound, for `json.dumps`."""
        writer = None if self._writer is None else getattr(self._writer, "model", type(self._writer).__name__)
        numbers = [self.threshold, self.top, self.alike, self._nearest]
        # what was described before there were other languages and other curves stays
        spoken = [] if self.language == "en" else [self.language]
        curves = self.vocabulary.reference.curves
        curve: list[object] = [] if curves.words == DEFAULT_CURVES.words else [list(curves.words)]
        if curves.evidence and not self.own:
            curve.append(curves.evidence)
        return [NAMING, list(self.vocabulary.labels), self._captions, numbers, writer, *curve, *spoken]

    def __call__(self, sound: Any) -> Description:
        """Describe one sound.

        Raises
        ------
        SoundError
            It cannot be used.
        """
        sound = make_rereadable(sound)
        seconds = self.clap.config.front_end.clip_seconds
        return self.of_windows(sound, self.clap.encode_windows(sound, window=seconds, hop=seconds / 2))

    def of_windows(self, sound: Any, windows: Windows) -> Description:
        """The same where the windows are embedded already."""
        made = self._of_windows(sound, windows)
        return made if self.language == "en" else self.in_chinese(made, windows)

    def _of_windows(self, sound: Any, windows: Windows) -> Description:
        if is_silent(sound):
            return Description([], self.sentences([[Tag(SILENCE, 1.0, 0.0)]])[0], [])
        tags = self.tags(windows.embedding)
        if tags:
            sentence = self.sentences([tags])[0]
        else:
            sentence = self._without_gender(sentence_of([], self.vocabulary.nearest_label(windows.embedding)))
        return Description(tags, sentence, self._nearest_captions(windows.embedding))

    def in_chinese(self, made: Description, windows: Windows) -> Description:
        """A description in English of these windows → the same in Chinese."""
        nearest = "" if made.tags else self.vocabulary.nearest_label(windows.embedding)
        return description_in_chinese(made, nearest, own=self.own)

    def tags(self, windows: Vectors) -> list[Tag]:
        """What is heard in windows (W, E)."""
        return self.vocabulary.tags(windows, threshold=self.threshold, top=self.top, alike=self.alike)

    def sentences(self, heard: Sequence[Sequence[Tag]]) -> list[str]:
        """A sentence, without gender, for each list of at least one tag."""
        if self._writer is None or any(tag.label == SILENCE for tags in heard for tag in tags):
            return [self._without_gender(sentence_of(tags)) for tags in heard]
        return [
            self._without_gender(text)
            for text in self._writer([[inline_label(t.label) for t in tags] for tags in heard])
        ]

    def translate_spans(self, spans: Sequence[Span]) -> list[Span]:
        """Spans with English names → with those of the describer's language."""
        return list(spans) if self.language == "en" else [span_in_chinese(span, own=self.own) for span in spans]

    def describe_spans(self, spans: Iterable[Span]) -> list[str]:
        """A sentence for every span of a timeline."""
        if self.language != "en":
            return [sentence_in_chinese(span.tags) for span in spans]
        return [self.sentences([span.tags])[0] if span.tags else NO_TAG for span in spans]

    def _nearest_captions(self, windows: Vectors) -> list[Match]:
        if self._caption_vectors is None:
            return []
        cosines = np.clip(self._caption_vectors @ normalize_rows(windows.mean(0)), -1.0, 1.0)
        best = np.argsort(-cosines, kind="stable")[: self._nearest]
        return [Match(self._captions[i], round(float(cosines[i]), 4)) for i in best]


def _known_of(names: Sequence[str], curves: ConfidenceCurves) -> Names:
    """What is known of AudioSet's names, with how much more evidence each needs of this model: some sound like everything to it."""
    known = names_of_audioset()
    return replace(known, less=known.less + np.array([curves.evidence.get(name, 0.0) for name in names], np.float32))


def make_rereadable(sound: Any) -> Any:
    """A sound that can be read more than once: what comes through a pipe is held."""
    if hasattr(sound, "read"):
        with suppress(AttributeError):
            if not sound.seekable():
                return sound.read()
    return sound
