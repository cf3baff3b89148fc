"""Files, windows and vectors → rows on disk, in SQLite or LanceDB; a vector → the windows nearest to it."""

from openclap.store.open_store import open_store
from openclap.store.records import File, Recording, RememberedTags, ScoredWindow, SearchFilter, Store

__all__ = ["File", "Recording", "RememberedTags", "ScoredWindow", "SearchFilter", "Store", "open_store"]
