"""Supervised fine-tuning: labelled sounds → a model and a classification head on its embeddings, and whether it paid.

settings ─ labels (who is learnt from, who is judged) ─ baseline (the frozen model) ─ task (of the loop) ─ verdict
"""

from openclap.train.finetuning.task import Finetuned, finetune

__all__ = ["Finetuned", "finetune"]
