"""The searchable collection: windows of recordings with their embeddings, on disk."""

from openclap.confidence import UNLIKELY
from openclap.library.library import Library
from openclap.library.moments import moments_in
from openclap.library.written import write_moments, write_playlist

__all__ = ["UNLIKELY", "Library", "moments_in", "write_moments", "write_playlist"]
