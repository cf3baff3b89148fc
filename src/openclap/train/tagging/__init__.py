"""Distillation from taggers: audio taggers and recordings go in; a model that is asked by words comes out.

settings ─ taggers (the teachers) ─ mixing (sounds → mixtures) ─ class_texts (texts → classes)
         ─ tag_batches ─ loss ─ task (of the loop)
"""

from openclap.train.tagging.task import TagReport, learn_tags

__all__ = ["TagReport", "learn_tags"]
