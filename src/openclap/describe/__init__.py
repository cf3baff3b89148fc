"""Words for sounds: tags with a confidence, a sentence, and the timeline of a long recording."""

from openclap.describe.chinese import description_in_chinese, sentence_in_chinese, span_in_chinese
from openclap.describe.describer import Describer, Writer
from openclap.describe.english import SILENCE, sentence_of
from openclap.describe.timeline import spans_of, timeline
from openclap.describe.vocabulary import ALIKE, Vocabulary

__all__ = [
    "ALIKE",
    "SILENCE",
    "Describer",
    "Vocabulary",
    "Writer",
    "description_in_chinese",
    "sentence_in_chinese",
    "sentence_of",
    "span_in_chinese",
    "spans_of",
    "timeline",
]
