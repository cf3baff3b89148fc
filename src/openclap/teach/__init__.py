"""Words, a few examples and counter-examples of a sound come in; a detector for that sound goes out."""

from openclap.teach.suggestions import counter_examples, suggest
from openclap.teach.teaching import Taught, fit, refit, teach

__all__ = ["Taught", "counter_examples", "fit", "refit", "suggest", "teach"]
