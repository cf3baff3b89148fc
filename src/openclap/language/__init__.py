"""Texts in other languages come in; English texts go out, for text towers that read only English.

languages  the languages, one row each: how their words are separated and inflected
script     which characters are Chinese or Japanese; traditional → simplified
lexicon    foreign words → English ones: CODE.csv, and a file of the user's own
grammar    a phrase without spaces (Chinese, Japanese) → an English caption, by the lexicon
spaced     a phrase with spaces (German, Spanish, French) → the same, and whether it is in that language
seq2seq    the same by a translation model of transformers
translator chooses between the two; English stays as it is
"""

from openclap.language.languages import ENGLISH_BASICS, LANGUAGES, SPACED, Language
from openclap.language.lexicon import Lexicon, read_lexicon
from openclap.language.script import has_foreign, to_simplified
from openclap.language.translator import TextTower, Translator

__all__ = [
    "ENGLISH_BASICS",
    "LANGUAGES",
    "SPACED",
    "Language",
    "Lexicon",
    "TextTower",
    "Translator",
    "has_foreign",
    "read_lexicon",
    "to_simplified",
]
