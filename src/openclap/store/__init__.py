"""Files, windows and vectors → rows on disk, in SQLite or LanceDB; a vector → the windows nearest to it."""

from openclap.store.nearest_recordings import nearest_recordings
from openclap.store.open_store import open_store
from openclap.store.records import (
    File,
    FileText,
    Recording,
    RememberedTags,
    ScoredWindow,
    SearchFilter,
    Store,
    StoreState,
    WordMatch,
)

__all__ = [
    "File",
    "FileText",
    "Recording",
    "RememberedTags",
    "ScoredWindow",
    "SearchFilter",
    "Store",
    "StoreState",
    "WordMatch",
    "nearest_recordings",
    "open_store",
]
