"""Folders of sounds → a library on disk; words, sounds and detectors → hits and moments in it, best first."""

from openclap.confidence import UNLIKELY
from openclap.library.formats import write_moments, write_moments_of_each
from openclap.library.library import Library
from openclap.library.moments import moments_in, moments_of_each
from openclap.library.playlist import write_playlist
from openclap.store import SearchFilter

__all__ = [
    "UNLIKELY",
    "Library",
    "SearchFilter",
    "moments_in",
    "moments_of_each",
    "write_moments",
    "write_moments_of_each",
    "write_playlist",
]
