"""The function that builds the graph of each encoder, by its kind."""

from __future__ import annotations

from collections.abc import Callable

from openclap.backends.graphs.bert import bert, sbert
from openclap.backends.graphs.htsat import htsat
from openclap.backends.graphs.mobilenet import mobilenet
from openclap.backends.graphs.ops import Graph
from openclap.backends.graphs.pann import pann
from openclap.config import CLAPConfig

__all__ = ["SEPARATE_SHORT_GRAPH", "TEXT_TOWERS", "TOWERS"]

TOWERS: dict[str, Callable[[Graph, CLAPConfig], object]] = {"htsat": htsat, "pann": pann, "mobilenet": mobilenet}
# Graphs over embedded tokens (`numpy_text.Tower.embed_tokens`). None: numpy is the fastest, or only torch runs it.
TEXT_TOWERS: dict[str, Callable[[Graph, CLAPConfig], object] | None] = {
    "roberta": bert,
    "bert": bert,
    "clip": None,
    "sbert": sbert,
    "words": None,
}
# Whether short clips have a graph of their own without the fusion. It saves up to a fifth of their time, but holds the
# weights twice.
SEPARATE_SHORT_GRAPH = {"htsat": False, "pann": True, "mobilenet": True}
