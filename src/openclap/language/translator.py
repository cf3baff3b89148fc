"""Translates texts into English: by the lexicons, by a translation model, or not at all.

狗叫, ワンワン           characters tell: Japanese where kana is among them, or where its lexicon needs fewer words
Hundegebell im Wald     words tell: those that the text tower does not know as English, where a lexicon does
Wind, chat, pain        stay: each is English
"""

from __future__ import annotations

import os
import re
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from openclap.errors import LanguageWarning, UsageError
from openclap.language.grammar import split_words, translate_phrase
from openclap.language.languages import LANGUAGES, SPACED, Language
from openclap.language.lexicon import LEXICON_ENV, Lexicon, read_lexicon
from openclap.language.script import RUN, has_foreign, has_kana, normalize_width, to_simplified
from openclap.language.spaced import WORDS, Reading, is_english_form, is_worth_reading, read_as, replace_words
from openclap.warn_caller import warn_caller

if TYPE_CHECKING:
    from openclap.language.seq2seq import Seq2Seq

__all__ = ["TextTower", "Translator"]

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
TRANSLATE_ENV = "OPENCLAP_TRANSLATE"
KEPT = 4096  # pieces of text whose English is remembered
READ = 1000  # characters of a text that are translated; a text tower reads 77 tokens, at most 512
READ_LATIN = 400  # of one in Latin letters, whose words are also looked for by their stems
NAMED = 20  # the most unknown words that a message names


class TextTower(Protocol):
    """What must be known of a text tower to tell English from other languages in the same letters."""

    @property
    def reads_whole_words(self) -> bool:
        """Whether a word that it was not taught means nothing to it."""
        ...

    def knows_word(self, word: str) -> bool:
        """Whether a word has a token of its own."""
        ...


class Translator:
    """Translates Chinese, Japanese, German, Spanish and French for text towers that read only English.

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
        self._lexicons: dict[str, Lexicon] = {}
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

    def __call__(
        self, texts: Sequence[str], tower: TextTower | None = None, spaced: Sequence[Language] = SPACED
    ) -> list[str]:
        """Translate texts → their English, in order; an English one stays as it is.

        Parameters
        ----------
        tower
            The text tower that the texts are for. Without one, texts without Chinese, Japanese or Korean stay.
        spaced
            The languages of Latin letters that the tower does not read itself.

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
        if self.is_off:
            return list(texts)
        left_out: list[str] = []
        if tower is not None and self.is_auto:
            texts = [text if has_foreign(text) else self._read_latin(text, tower, spaced, left_out) for text in texts]
        english = self._translate_runs(texts, left_out) if any(map(has_foreign, texts)) else list(texts)
        if left_out:
            words = list(dict.fromkeys(left_out))
            warn_caller(
                f"left out, because the lexicon has no English for it: {_quote_words(words)}; {_advice(words)}",
                LanguageWarning,
            )
        return english

    def _translate_runs(self, texts: Sequence[str], left_out: list[str]) -> list[str]:
        """Translate what is not in Latin letters; words that are not translated are added to `left_out`."""
        texts = [normalize_width(text)[:READ] if has_foreign(text) else text for text in texts]
        pieces = list(dict.fromkeys(piece for text in texts if has_foreign(text) for piece in _find_pieces(text)))
        known = self._translate_pieces(pieces)
        english = [self._put_together(text, known) if has_foreign(text) else text for text in texts]
        left_out += [word for _, words in known.values() for word in words]
        return english

    def _read_latin(self, text: str, tower: TextTower, spaced: Sequence[Language], left_out: list[str]) -> str:
        """A text in the language that fits it best, put into English; one in English as it is.

        A word of another language within an English text becomes English where it would mean nothing to the tower.
        """
        shown = unicodedata.normalize("NFC", text[:READ_LATIN])  # a file's name on macOS has its accents apart
        if not spaced or not is_worth_reading(shown, tower.knows_word):
            return text
        lexicons = [(language, self._read_lexicon(language)) for language in spaced]
        readings = [read_as(shown, language, lexicon, tower.knows_word) for language, lexicon in lexicons]
        likely = [reading for reading in readings if reading.may_be]
        if likely:  # one that says nothing about a sound wins, too: entend is French, not a form of a German word
            best = max(likely, key=_fitness)
            is_form = len(WORDS.findall(shown)) == 1 and not best.exact
            if not best.fits or (is_form and is_english_form(shown.strip(), best.text, tower.knows_word)):
                return text
            left_out += best.unknown
            return best.text
        if tower.reads_whole_words and len(text) <= READ_LATIN:
            mixed = [replace_words(shown, language, lexicon, tower.knows_word) for language, lexicon in lexicons]
            english, count = max(mixed, key=lambda one: one[1])
            return english if count else text
        return text

    def _read_lexicon(self, language: Language) -> Lexicon:
        if language.code not in self._lexicons:
            self._lexicons[language.code] = read_lexicon(self._own, language)
        return self._lexicons[language.code]

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
            return [self._translate_piece(piece) for piece in pieces]
        if self._model is None:
            from openclap.language.seq2seq import Seq2Seq

            self._model = Seq2Seq(self.choice)
        return [(english, ()) for english in self._model(pieces)]

    def _translate_piece(self, piece: str) -> tuple[str, tuple[str, ...]]:
        """The English of Chinese or Japanese, and its unknown words; Japanese where kana, or its lexicon, says so."""
        japanese = self._read_lexicon(LANGUAGES["ja"])
        if has_kana(piece):
            english, unknown = translate_phrase(piece, japanese, "ja")
            return english, tuple(unknown)
        chinese, simple = self._read_lexicon(LANGUAGES["zh"]), to_simplified(piece)
        if simple not in chinese and _count_words(piece, japanese) < _count_words(simple, chinese):
            english, unknown = translate_phrase(piece, japanese, "ja")
        else:
            english, unknown = translate_phrase(simple, chinese)
        return english, tuple(unknown)

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
            raise UsageError(f"the lexicon has no English for {_quote_words(unknown)}; {_advice(unknown)}")
        if not any(map(str.isalnum, out)):
            raise UsageError(f"{text!r} names no sound; describe one: 狗叫, 远处的雷声")
        return out


def _fitness(reading: Reading) -> tuple[int, int, int, bool]:
    return reading.known - len(reading.unknown), reading.exact, reading.literal, reading.fits


def _advice(words: list[str]) -> str:
    """What to do about unknown words; a translation model is given Chinese, Japanese and Korean alone."""
    file = f"add it to a CSV file named by {LEXICON_ENV} (docs/languages.md)"
    if not any(map(has_foreign, words)):
        return f"say it in other words, or {file}"
    return f"say it in other words, {file}, or name a translation model (translate, or {TRANSLATE_ENV})"


def _quote_words(words: list[str]) -> str:
    more = len(words) - NAMED
    return ("，" if all(map(has_foreign, words)) else ", ").join(words[:NAMED]) + (
        f" and {more} more" if more > 0 else ""
    )


def _count_words(text: str, lexicon: Lexicon) -> tuple[int, int]:
    """How well a lexicon covers a text: characters that it does not know, then words that it needs."""
    words = split_words(text, lexicon)
    return sum(len(word.zh) for word in words if word.en is None), len(words)


def _find_pieces(text: str) -> list[str]:
    """The pieces of a text that are translated; those with only signs are not."""
    return [piece for piece in RUN.findall(text) if has_foreign(piece)]


def _separator(before: str, after: str) -> str:
    """`after`, with a space before it where it would touch a word of `before`."""
    return f" {after}" if before and after and before[-1].isalnum() and after[0].isalnum() else after
