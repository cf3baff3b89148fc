"""Which model has made a library: noted by the first write, and no other may add to it or search in it."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from openclap.checkpoints.presets import maker_display_name, name_to_load
from openclap.config import FrontEnd
from openclap.errors import LibraryMismatch
from openclap.library.indexing import HOP, WINDOW

if TYPE_CHECKING:
    from openclap.clap import CLAP
    from openclap.store import Store

__all__ = [
    "claim_store",
    "current_model_name",
    "has_same_front_end",
    "model_identity",
    "needs_reembedding",
    "refuse_other_model",
    "same_front_end",
]


def model_identity(clap: CLAP) -> dict[str, Any]:
    """What a library remembers of the model that made it."""
    return {
        "model": clap.name,
        "fingerprint": clap.fingerprint,
        "embedding": clap.config.embedding,
        "front_end": asdict(clap.front_end),
        "window": WINDOW,
        "hop": HOP,
    }


def has_same_front_end(maker: dict[str, Any], clap: CLAP) -> bool:
    """Whether the front end that made a library is this model's: of the same weights a later version may have mended it."""
    return same_front_end(maker.get("front_end"), asdict(clap.front_end))


def needs_reembedding(maker: dict[str, Any], clap: CLAP) -> bool:
    """Whether a library was made by this very model, but with another front end."""
    return bool(maker) and maker["fingerprint"] == clap.fingerprint and not has_same_front_end(maker, clap)


def same_front_end(first: dict[str, Any] | None, second: dict[str, Any] | None) -> bool:
    """Whether two front ends are one, as libraries of several versions remember them; where none is, nothing is known against it.

    A field that one does not have had its default there; one that this version does not know had none where it is
    empty.
    """
    if not first or not second:
        return True
    usual = asdict(FrontEnd())
    return all(first.get(name, usual.get(name)) == second.get(name, usual.get(name)) for name in {*first, *second})


def claim_store(store: Store, clap: CLAP) -> None:
    """Make a store the library of this model, or refuse: another model, and another front end, whose rows would not fit."""
    maker = store.claim(model_identity(clap))
    refuse_other_model(store, maker, clap)
    if not has_same_front_end(maker, clap):
        raise LibraryMismatch(
            f"{store.place} was made with another front end of {clap.name}; run  openclap index  again, which reads its"
            " files anew"
        )


def refuse_other_model(store: Store, maker: dict[str, Any], clap: CLAP) -> None:
    """Refuse a model that is not the maker of a store; one that has none yet takes any.

    Raises
    ------
    LibraryMismatch
        Names both, its maker as it can be loaded today.
    """
    if not maker or maker["fingerprint"] == clap.fingerprint:
        return
    facts = maker["model"], maker["fingerprint"], clap.name
    name, loads = maker_display_name(*facts), name_to_load(*facts)
    as_it_is = f"go on with --model {loads}" if loads else "give the model that made it with --model"
    error = LibraryMismatch(
        f"{store.place} was made by {name} ({maker['fingerprint']}), not by {clap.name} from {clap.source}"
        f" ({clap.fingerprint}); {as_it_is}, embed it anew with  openclap index --reembed --library"
        f" {shlex.quote(str(store.place))}, or use another --library"
    )
    error.maker = name
    raise error


def current_model_name(maker: dict[str, Any]) -> str:
    """What the model that has made a library is called today: mini's third edition, "mini" then, is mini-3."""
    return maker_display_name(maker["model"], maker["fingerprint"])
