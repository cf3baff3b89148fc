"""The searchable collection: windows of recordings with their embeddings, on disk."""

from openclap.confidence import UNLIKELY
from openclap.library.formats import write_moments, write_playlist
from openclap.library.library import Library
from openclap.library.moments import moments_in
from openclap.store import SearchFilter

__all__ = ["UNLIKELY", "Library", "SearchFilter", "moments_in", "write_moments", "write_playlist"]
