"""Supervised fine-tuning: labelled sounds go in; a model with a classification head and a report come out.

settings ─ labels (what is learnt from, what is judged) ─ baseline (the frozen model) ─ task (of the loop) ─ eval_report
"""

from openclap.train.finetuning.task import FinetuneReport, finetune

__all__ = ["FinetuneReport", "finetune"]
