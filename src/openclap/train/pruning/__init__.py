"""Structured pruning: a checkpoint goes in; one with fewer heads, MLP rows and channels comes out, and a report.

units (what can be cut) ─ importance (what each is worth) ─ cut_weights (smaller arrays) ─ norms ─ train ─ report
"""

from openclap.train.pruning.prune import prune
from openclap.train.pruning.report import PrunedModel, PruneReport
from openclap.train.pruning.units import Keep

__all__ = ["Keep", "PruneReport", "PrunedModel", "prune"]
