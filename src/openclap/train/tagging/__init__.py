"""Distillation from taggers: what they answer to mixtures of sounds → a model that is asked by words.

settings ─ taggers (a protocol, and those of a file) ─ playing (sounds → what all hear) ─ words (texts → classes)
         ─ answered (batches) ─ heads, loss ─ task (of the loop)
"""

from openclap.train.tagging.task import TaggedReport, learn_tags

__all__ = ["TaggedReport", "learn_tags"]
