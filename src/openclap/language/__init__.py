"""Texts of other languages → English, for text towers that read English alone. Knows nothing of models of sound.

script     which characters are Chinese; traditional → simplified
lexicon    zh.csv (shipped, editable) and a file of one's own: Chinese words → English ones
grammar    a Chinese phrase, by the lexicon → an English caption
seq2seq    the same by a translation model of transformers
bridge     chooses between them; texts without Chinese pass through untouched
"""

from openclap.language.lexicon import Lexicon, read_lexicon
from openclap.language.script import has_foreign, to_simplified
from openclap.language.translator import Translator

__all__ = ["Lexicon", "Translator", "has_foreign", "read_lexicon", "to_simplified"]
