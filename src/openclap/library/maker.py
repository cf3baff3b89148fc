"""Which model has made a library: noted by the first write, and no other may add to it or search in it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from openclap.errors import LibraryMismatch
from openclap.library.indexing import HOP, WINDOW

if TYPE_CHECKING:
    from openclap.clap import CLAP
    from openclap.store import Store

__all__ = ["claim_for", "maker_of", "refuse_another"]


def maker_of(clap: CLAP) -> dict[str, Any]:
    """What a library remembers of the model that made it."""
    return {
        "model": clap.name,
        "fingerprint": clap.fingerprint,
        "embedding": clap.config.embedding,
        "front_end": asdict(clap.front_end),
        "window": WINDOW,
        "hop": HOP,
    }


def claim_for(store: Store, clap: CLAP) -> None:
    """Make a store the library of this model, or refuse."""
    refuse_another(store, store.claim(maker_of(clap)), clap)


def refuse_another(store: Store, maker: dict[str, Any], clap: CLAP) -> None:
    """Refuse a model that is not the maker of a store; one that has none yet takes any.

    Raises
    ------
    LibraryMismatch
        Names both.
    """
    if maker and maker["fingerprint"] != clap.fingerprint:
        raise LibraryMismatch(
            f"{store.place} was made by {maker['model']} ({maker['fingerprint']}), not by {clap.name} from {clap.source} ({clap.fingerprint}); "
            "give the model that made it with --model, embed it anew with  openclap index --reembed, or use another --library"
        )
