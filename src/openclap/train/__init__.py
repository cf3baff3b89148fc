"""Training: from a folder of described sounds to a checkpoint, by the paper's contrastive recipe."""

from openclap.train.loop import Report, train

__all__ = ["Report", "train"]
