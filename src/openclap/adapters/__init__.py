"""A CLAP where another library expects a model of its own; none of these libraries is installed with openclap.

mteb                   MTEBModel, an encoder of mteb's benchmarks
sentence_transformers  sentence_transformer(), a SentenceTransformer that embeds texts and sounds
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openclap.adapters.mteb import MTEBModel

if TYPE_CHECKING:
    from openclap.adapters.sentence_transformers import CLAPModule, sentence_transformer

__all__ = ["CLAPModule", "MTEBModel", "sentence_transformer"]


def __getattr__(name: str) -> Any:
    """Import sentence-transformers when it is asked for: that takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from openclap.adapters import sentence_transformers

    return getattr(sentence_transformers, name)
