"""Training: from a folder of described sounds to a checkpoint, by the paper's contrastive recipe, or to a classifier of labels."""

from openclap.train.contrastive import train
from openclap.train.loop import Report
from openclap.train.supervised import Finetuned, finetune

__all__ = ["Finetuned", "Report", "finetune", "train"]
