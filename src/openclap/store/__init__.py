"""Where a library keeps its files, windows and vectors: SQLite on this machine, LanceDB past it."""

from openclap.store.open import open_store
from openclap.store.records import File, Recording, Remembered, Row, Store, Where

__all__ = ["File", "Recording", "Remembered", "Row", "Store", "Where", "open_store"]
