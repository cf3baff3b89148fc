"""Distillation: a teacher and recordings go in; a student that gives the same embeddings comes out.

settings ─ teacher (asked once, stored on disk) ─ distill_batches ─ loss ─ task (of the loop) ─ agreement
"""

from openclap.train.distillation.task import DistillReport, distill

__all__ = ["DistillReport", "distill"]
