"""Translates texts into English: by the lexicon, by a translation model, or not at all."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from openclap.errors import LanguageWarning, UsageError
from openclap.language.grammar import translate_phrase
from openclap.language.lexicon import LEXICON_ENV, Lexicon, read_lexicon
from openclap.language.script import RUN, has_foreign, normalize_width, to_simplified
from openclap.warn_caller import warn_caller

if TYPE_CHECKING:
    from openclap.language.seq2seq import Seq2Seq

__all__ = ["Translator"]

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
TRANSLATE_ENV = "OPENCLAP_TRANSLATE"
KEPT = 4096  # pieces of text whose English is remembered
READ = 1000  # characters of a text that are translated; a text tower reads 77 tokens, at most 512
NAMED = 20  # the most unknown words that a message names


class Translator:
    """Translates Chinese for text towers that read only English.

    Parameters
    ----------
    translate
        "auto" translates by the lexicon, or as OPENCLAP_TRANSLATE says; "off", not at all. Anything else names a
        translation model for transformers: a folder, or a Hub id that is on this machine, such as
        Helsinki-NLP/opus-mt-zh-en.
    lexicon
        A CSV file of the user's own words, over the shipped ones; by default OPENCLAP_LEXICON names it.

    Examples
    --------
    >>> Translator()(["远处的狗叫", "rain"])
    ['distant dog barking', 'rain']
    """

    def __init__(self, translate: str = "auto", *, lexicon: str | os.PathLike[str] | None = None) -> None:
        if not isinstance(translate, str) or not translate.strip():
            raise UsageError(f"translate is {translate!r}; choose auto, off, or name a translation model")
        self.choice = translate if translate != "auto" else os.environ.get(TRANSLATE_ENV, "").strip() or "auto"
        if self.choice not in ("auto", "off") and not (
            HUB_ID.fullmatch(self.choice) or Path(self.choice).expanduser().is_dir()
        ):
            raise UsageError(
                f"translate is {self.choice!r}; choose auto, off, a folder that is here, or a Hub id such as"
                " Helsinki-NLP/opus-mt-zh-en"
            )
        self._own = lexicon
        self._lexicon: Lexicon | None = None
        self._model: Seq2Seq | None = None
        # piece → its English, and the unknown words in it
        self._cache: OrderedDict[str, tuple[str, tuple[str, ...]]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def is_auto(self) -> bool:
        """Whether the lexicon translates, as no model was named."""
        return self.choice == "auto"

    @property
    def is_off(self) -> bool:
        """Whether texts are not translated at all."""
        return self.choice == "off"

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """Translate texts → their English, in order; one without Chinese, Japanese or Korean stays as it is.

        Raises
        ------
        UsageError
            The lexicon knows no word of a text.
        MissingExtra, ModelNotHere
            The translation model cannot be loaded.

        Warns
        -----
        LanguageWarning
            Words were left out because the lexicon does not know them; it names them.
        """
        if self.is_off or not any(map(has_foreign, texts)):
            return list(texts)
        texts = [normalize_width(text)[:READ] if has_foreign(text) else text for text in texts]
        pieces = list(dict.fromkeys(piece for text in texts if has_foreign(text) for piece in _find_pieces(text)))
        known = self._translate_pieces(pieces)
        english = [self._put_together(text, known) if has_foreign(text) else text for text in texts]
        unknown = dict.fromkeys(word for _, words in known.values() for word in words)
        if unknown:
            warn_caller(
                f"left out, because the lexicon has no English for it: {_quote_words(list(unknown))}; {ADVICE}",
                LanguageWarning,
            )
        return english

    def _translate_pieces(self, pieces: list[str]) -> dict[str, tuple[str, tuple[str, ...]]]:
        with self._lock:
            missing = [piece for piece in pieces if piece not in self._cache]
            known = {piece: self._cache[piece] for piece in pieces if piece in self._cache}
            if missing:
                known.update(zip(missing, self._translate(missing), strict=True))
            for piece in pieces:
                self._cache[piece] = known[piece]
                self._cache.move_to_end(piece)
            while len(self._cache) > KEPT:
                self._cache.popitem(last=False)
        return known

    def _translate(self, pieces: list[str]) -> list[tuple[str, tuple[str, ...]]]:
        if self.choice == "auto":
            if self._lexicon is None:
                self._lexicon = read_lexicon(self._own)
            translations = [translate_phrase(to_simplified(piece), self._lexicon) for piece in pieces]
            return [(english, tuple(unknown)) for english, unknown in translations]
        if self._model is None:
            from openclap.language.seq2seq import Seq2Seq

            self._model = Seq2Seq(self.choice)
        return [(english, ()) for english in self._model(pieces)]

    def _put_together(self, text: str, known: dict[str, tuple[str, tuple[str, ...]]]) -> str:
        """A text with its Chinese pieces in English, and spaces between them and other letters and digits."""
        out, end = "", 0
        unknown: list[str] = []
        for run in RUN.finditer(text):
            english = known[run[0]][0] if run[0] in known else run[0]
            unknown += known[run[0]][1] if run[0] in known else ()
            before = text[end : run.start()]
            out += _separator(out, before)
            out += _separator(out, english)
            end = run.end()
        out += _separator(out, text[end:])
        if unknown and not any(character.isalnum() and character.isascii() for character in out):
            raise UsageError(f"the lexicon has no English for {_quote_words(unknown)}; {ADVICE}")
        if not any(map(str.isalnum, out)):
            raise UsageError(f"{text!r} names no sound; describe one: 狗叫, 远处的雷声")
        return out


ADVICE = (
    f"say it in other words, add it to a CSV file zh,en named by {LEXICON_ENV}, "
    "or name a translation model (translate, or OPENCLAP_TRANSLATE)"
)


def _quote_words(words: list[str]) -> str:
    more = len(words) - NAMED
    return "，".join(words[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _find_pieces(text: str) -> list[str]:
    """The pieces of a text that are translated; those with only signs are not."""
    return [piece for piece in RUN.findall(text) if has_foreign(piece)]


def _separator(before: str, after: str) -> str:
    """`after`, with a space before it where it would touch a word of `before`."""
    return f" {after}" if before and after and before[-1].isalnum() and after[0].isalnum() else after
