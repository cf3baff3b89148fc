"""Distillation: a teacher's vectors → a student that gives the same.

settings ─ teacher (asked once, kept on disk) ─ lessons (batches) ─ loss ─ task (of the loop) ─ agreement
"""

from openclap.train.distillation.task import DistillReport, distill

__all__ = ["DistillReport", "distill"]
