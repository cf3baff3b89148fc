"""Training: from a folder of described sounds to a checkpoint, by the paper's contrastive recipe; from a teacher to a student."""

from openclap.train.contrastive import train
from openclap.train.distillation import distill
from openclap.train.loop import Report

__all__ = ["Report", "distill", "train"]
