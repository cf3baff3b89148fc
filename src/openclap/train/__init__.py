"""Training: sounds with captions, labels or a teacher's answers go in; a trained checkpoint comes out."""

from openclap.train.contrastive import train
from openclap.train.distillation import DistillReport, distill
from openclap.train.finetuning import FinetuneReport, finetune
from openclap.train.tagging import TagReport, learn_tags
from openclap.train.task import Report

__all__ = ["DistillReport", "FinetuneReport", "Report", "TagReport", "distill", "finetune", "learn_tags", "train"]
