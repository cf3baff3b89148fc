"""Where a library keeps its files, windows and vectors: SQLite on this machine, LanceDB past it."""

from openclap.store.open_store import open_store
from openclap.store.records import File, Recording, RememberedTags, ScoredWindow, SearchFilter, Store

__all__ = ["File", "Recording", "RememberedTags", "ScoredWindow", "SearchFilter", "Store", "open_store"]
