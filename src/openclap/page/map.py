"""Many embeddings → places on a plane, where near ones sound alike. Knows nothing of sounds, libraries or gradio."""

from __future__ import annotations

import importlib.util

import numpy as np

from openclap.errors import MissingExtra
from openclap.normalization import Vectors

__all__ = ["has_umap", "places_of"]


FEWEST_FOR_UMAP = 5  # below, it has no neighbours to speak of


def has_umap() -> bool:
    """Whether umap-learn is installed."""
    return importlib.util.find_spec("umap") is not None


def places_of(rows: Vectors, how: str = "pca") -> Vectors:
    """Unit rows (N, E) → places (N, 2); the same rows give the same places.

    Parameters
    ----------
    how
        "pca", the two directions in which they differ most; "umap", neighbours near one another.

    Raises
    ------
    MissingExtra
        umap-learn is not installed.
    """
    if how == "umap" and len(rows) >= FEWEST_FOR_UMAP:
        return _umap(rows)
    centred = rows.astype(np.float64) - rows.mean(axis=0)
    places = np.zeros((len(rows), 2))
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    for i, direction in enumerate(
        directions[:2]
    ):  # a direction's sign means nothing: its largest part is made positive
        places[:, i] = centred @ (direction * np.sign(direction[np.abs(direction).argmax()] or 1.0))
    return places.astype(np.float32)


def _umap(rows: Vectors) -> Vectors:
    try:
        import umap
    except ImportError as error:
        raise MissingExtra(
            "this map needs umap-learn, which is not installed; install it with  pip install umap-learn",
            name="umap-learn",
        ) from error
    reducer = umap.UMAP(n_components=2, metric="cosine", random_state=0, n_neighbors=min(15, len(rows) - 1))
    return np.asarray(reducer.fit_transform(rows), np.float32)
