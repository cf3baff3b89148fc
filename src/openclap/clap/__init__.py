"""Class CLAP: sounds and texts → unit vectors, and what follows from their cosines.

    sound ─ audio.clips ─ mel (V, T, F) ─ hearing ─┐
                                                   ├─ towers ─ unit vector (E,) ─ comparing: cosines, labels
    text ── English ───── ids (L,) ────── reading ─┘

clap         the class: a door to the rooms below, with what a user needs to know
hearing      sounds of any kind → rows, alone or many, decoded ahead of the towers
reading      texts → rows; Chinese ones are put into English first
towers       what computes: as loaded, or as trained since; its weights and its health
comparing    rows → cosines, labels
calibration  what int8 is made with

Knows nothing of libraries, servers or the command line.
"""

from openclap.clap.clap import CLAP, Precision
from openclap.clap.embed_audio import Long
from openclap.clap.similarity import DEFAULT_TEMPLATE, is_embedding

__all__ = ["CLAP", "DEFAULT_TEMPLATE", "Long", "Precision", "is_embedding"]
