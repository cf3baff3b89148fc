"""A sound comes in; words for it go out: tags with a confidence, a sentence, or the timeline of a long recording."""

from openclap.describe.chinese import description_in_chinese, sentence_in_chinese, span_in_chinese
from openclap.describe.describer import Describer, Writer
from openclap.describe.english import SILENCE, sentence_in_english
from openclap.describe.timeline import timeline, timeline_of_windows
from openclap.describe.vocabulary import ALIKE, Vocabulary

__all__ = [
    "ALIKE",
    "SILENCE",
    "Describer",
    "Vocabulary",
    "Writer",
    "description_in_chinese",
    "sentence_in_chinese",
    "sentence_in_english",
    "span_in_chinese",
    "timeline",
    "timeline_of_windows",
]
