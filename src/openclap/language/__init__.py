"""Chinese texts come in; English texts go out, for text towers that read only English.

script     which characters are Chinese; traditional → simplified
lexicon    Chinese words → English ones: zh.csv, and a file of the user's own
grammar    a Chinese phrase → an English caption, by the lexicon
seq2seq    the same by a translation model of transformers
translator chooses between the two; texts without Chinese stay as they are
"""

from openclap.language.lexicon import Lexicon, read_lexicon
from openclap.language.script import has_foreign, to_simplified
from openclap.language.translator import Translator

__all__ = ["Lexicon", "Translator", "has_foreign", "read_lexicon", "to_simplified"]
