"""Teach a detector by a few examples and counter-examples, with the words as what it begins from."""

from openclap.teach.suggestions import counter_examples, suggest
from openclap.teach.teaching import Taught, fit, refit, teach

__all__ = ["Taught", "counter_examples", "fit", "refit", "suggest", "teach"]
