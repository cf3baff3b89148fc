"""Structured pruning: a checkpoint with fewer heads, MLP rows and channels, really smaller and faster.

units (what can be cut) ─ importance (what each is worth) ─ cutting (smaller arrays) ─ norms ─ train ─ report
"""

from openclap.train.pruning.prune import prune
from openclap.train.pruning.report import Pruned, Side
from openclap.train.pruning.units import Keep

__all__ = ["Keep", "Pruned", "Side", "prune"]
