"""Training: from a folder of described sounds to a checkpoint, by the paper's contrastive recipe."""

from openclap.train.contrastive import train
from openclap.train.loop import Report

__all__ = ["Report", "train"]
