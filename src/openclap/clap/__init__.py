"""Class CLAP: sounds and texts in, unit vectors out, and labels by their cosines.

    sound ─ audio.clips ─ mel (V, T, F) ─ embed_audio ─┐
                                                       ├─ runtime ─ unit vector (E,) ─ similarity: cosines, labels
    text ── English ───── ids (L,) ────── embed_text ──┘

clap               the class: what a user needs to know of each method
loading            files, or a configuration and random weights → what the class is made of
embed_audio        sounds of any kind → rows, one or many, decoded while the model computes
embed_text         texts → rows; Chinese ones are translated into English first
outputs            embedding, pooled or frames; rows of several windows become one
runtime            what computes: the backend, or the torch module once it was trained; weights and health
similarity         rows → cosines, labels
precision          the audio tower in fewer bits, checked
chunked_embedding  sounds → rows a few clips at a time, for several users who share a model

Nothing here knows libraries, servers or the command line.
"""

from openclap.clap.clap import CLAP, Precision
from openclap.clap.embed_audio import Long
from openclap.clap.similarity import DEFAULT_TEMPLATE, is_embedding

__all__ = ["CLAP", "DEFAULT_TEMPLATE", "Long", "Precision", "is_embedding"]
