"""Describes a sound: tags, a sentence, captions. Of a model it needs only what `Embedder` has.

sound ─ windows of a clip ─ vocabulary ─ tags ─ sentence
                         └─ captions of a file ─ the nearest
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from openclap.audio.decode_limits import limit
from openclap.audio.levels import is_silent
from openclap.confidence import DEFAULT_CURVES, confidence_curves, reference_bank
from openclap.config import ConfidenceCurves
from openclap.describe.audioset import audioset_facts
from openclap.describe.chinese import description_in_chinese, sentence_in_chinese, span_in_chinese
from openclap.describe.english import NO_TAG, SILENCE, sentence_in_english
from openclap.describe.vocabulary import LabelFacts, Vocabulary, check_labels
from openclap.embedder import Embedder
from openclap.errors import UsageError
from openclap.labels import labels as packaged_labels
from openclap.normalization import Vectors, normalize_rows
from openclap.options import DescribeKeywords, DescribeOptions, make_options
from openclap.results import Description, Match, Span, Tag, Windows
from openclap.sentences import inline_label, make_debiaser

if TYPE_CHECKING:
    from typing import Unpack  # Python 3.11

__all__ = ["Describer", "Writer"]

Writer: TypeAlias = Callable[[Sequence[Sequence[str]]], list[str]]  # lists of tags → a sentence for each

NAMING = 2  # version of how names are chosen and ordered; a new one makes stored descriptions anew


class Describer:
    """Describes sounds in one vocabulary, whose texts are embedded once.

    Parameters
    ----------
    clap
        The model.
    labels
        What may be heard, any number of labels; None takes AudioSet's 527.
    writer
        Turns lists of tags into a sentence for each, as `openclap.data.KeywordToCaption` does; None takes a template.
    encode
        Embeds texts; by default the model's `encode_text`.
    track
        Which track of files that hold several; None: as `CLAP.encode_audio`.
    **options
        `threshold`, `top`, `alike`, `captions`, `nearest`, `language`: see `openclap.options.DescribeOptions`.

    Raises
    ------
    UsageError
        There are no labels or no such option, a number is out of its range, or it is another language.
    """

    def __init__(
        self,
        clap: Embedder,
        labels: Sequence[str] | None = None,
        *,
        writer: Writer | None = None,
        encode: Callable[[list[str]], Vectors] | None = None,
        track: int | None = None,
        **options: Unpack[DescribeKeywords],
    ) -> None:
        asked = make_options(DescribeOptions, {"labels": labels, **options})
        if asked.language != "en" and writer is not None:
            raise UsageError("a writer of sentences writes English; leave it out, or ask for language en")
        names = check_labels(packaged_labels("audioset") if labels is None else labels)
        encode = encode or clap.encode_text
        self.clap, self.track = clap, track
        self.language = asked.language
        self.own = labels is not None
        reference = reference_bank(clap)
        self.vocabulary = Vocabulary(
            names, encode(list(names)), reference, None if self.own else _audioset_facts_for(names, reference.curves)
        )
        self.threshold = confidence_curves(clap.config).unlikely if asked.threshold is None else asked.threshold
        self.top, self.alike = asked.top, asked.alike
        self._captions = list(dict.fromkeys(asked.captions))
        self._caption_vectors = encode(self._captions) if self._captions else None
        self._nearest, self._writer = asked.nearest, writer
        self._without_gender = make_debiaser()

    def key(self) -> list[object]:
        """Everything that a description depends on besides the model and the sound, for `json.dumps`."""
        writer = None if self._writer is None else getattr(self._writer, "model", type(self._writer).__name__)
        numbers = [self.threshold, self.top, self.alike, self._nearest]
        # English, the default curves and the default track add nothing, so that keys of older descriptions still hold
        language = [] if self.language == "en" else [self.language]
        curves = self.vocabulary.reference.curves
        curve: list[object] = [] if curves.words == DEFAULT_CURVES.words else [list(curves.words)]
        if curves.evidence and not self.own:
            curve.append(curves.evidence)
        track = [] if self.track is None else ["track", self.track]
        return [NAMING, list(self.vocabulary.labels), self._captions, numbers, writer, *curve, *language, *track]

    def __call__(self, sound: Any) -> Description:
        """Describe one sound.

        Raises
        ------
        SoundError
            It cannot be used.
        """
        sound = limit(make_rereadable(sound), track=self.track)
        seconds = self.clap.config.front_end.clip_seconds
        return self.describe_windows(sound, self.clap.encode_windows(sound, window=seconds, hop=seconds / 2))

    def describe_windows(self, sound: Any, windows: Windows) -> Description:
        """Describe a sound whose windows are embedded already."""
        description = self._describe_in_english(sound, windows)
        return description if self.language == "en" else self.in_chinese(description, windows)

    def _describe_in_english(self, sound: Any, windows: Windows) -> Description:
        if is_silent(limit(sound, track=self.track)):
            return Description([], self.sentences([[Tag(SILENCE, 1.0, 0.0)]])[0], [])
        tags = self.tags(windows.embedding)
        if tags:
            sentence = self.sentences([tags])[0]
        else:
            sentence = self._without_gender(sentence_in_english([], self.vocabulary.nearest_label(windows.embedding)))
        return Description(tags, sentence, self._nearest_captions(windows.embedding))

    def in_chinese(self, description: Description, windows: Windows) -> Description:
        """Translate the English description of these windows into Chinese."""
        nearest = "" if description.tags else self.vocabulary.nearest_label(windows.embedding)
        return description_in_chinese(description, nearest, own=self.own)

    def tags(self, windows: Vectors) -> list[Tag]:
        """The tags of windows (W, E)."""
        return self.vocabulary.tags(windows, threshold=self.threshold, top=self.top, alike=self.alike)

    def sentences(self, tag_lists: Sequence[Sequence[Tag]]) -> list[str]:
        """Write a sentence without gender for each list of at least one tag."""
        if self._writer is None or any(tag.label == SILENCE for tags in tag_lists for tag in tags):
            return [self._without_gender(sentence_in_english(tags)) for tags in tag_lists]
        return [
            self._without_gender(text)
            for text in self._writer([[inline_label(t.label) for t in tags] for tags in tag_lists])
        ]

    def translate_spans(self, spans: Sequence[Span]) -> list[Span]:
        """Translate spans with English names into the describer's language."""
        return list(spans) if self.language == "en" else [span_in_chinese(span, own=self.own) for span in spans]

    def describe_spans(self, spans: Iterable[Span]) -> list[str]:
        """Write a sentence for every span of a timeline."""
        if self.language != "en":
            return [sentence_in_chinese(span.tags) for span in spans]
        return [self.sentences([span.tags])[0] if span.tags else NO_TAG for span in spans]

    def _nearest_captions(self, windows: Vectors) -> list[Match]:
        if self._caption_vectors is None:
            return []
        cosines = np.clip(self._caption_vectors @ normalize_rows(windows.mean(0)), -1.0, 1.0)
        best = np.argsort(-cosines, kind="stable")[: self._nearest]
        return [Match(self._captions[i], round(float(cosines[i]), 4)) for i in best]


def _audioset_facts_for(names: Sequence[str], curves: ConfidenceCurves) -> LabelFacts:
    """What is known of AudioSet's labels, and how much more evidence this model in particular needs for each."""
    known = audioset_facts()
    evidence = np.array([curves.evidence.get(name, 0.0) for name in names], np.float32)
    return replace(known, extra_evidence=known.extra_evidence + evidence)


def make_rereadable(sound: Any) -> Any:
    """The sound itself, or its bytes where it comes through a pipe and could be read only once."""
    if hasattr(sound, "read"):
        with suppress(AttributeError):
            if not sound.seekable():
                return sound.read()
    return sound
