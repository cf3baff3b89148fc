"""Training: described sounds → a checkpoint, by the paper's contrastive recipe; labels → a classifier; a teacher → a student."""

from openclap.train.contrastive import train
from openclap.train.distillation import DistillReport, distill
from openclap.train.loop import Report
from openclap.train.supervised import Finetuned, finetune

__all__ = ["DistillReport", "Finetuned", "Report", "distill", "finetune", "train"]
