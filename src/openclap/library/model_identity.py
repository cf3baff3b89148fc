"""A model → what a library remembers of it; any other model may neither add to that library nor search in it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from openclap.checkpoints.presets import maker_display_name, use_maker
from openclap.clap import CLAP
from openclap.config import FrontEnd
from openclap.errors import Hint, LibraryError, LibraryMismatch, LibraryWarning
from openclap.store import Store
from openclap.warn_caller import warn_caller

__all__ = [
    "check_maker",
    "claim_store",
    "describe_maker",
    "has_same_front_end",
    "model_identity",
    "needs_reembedding",
    "precision_of",
    "refuse_other_model",
    "same_front_end",
]


def model_identity(clap: CLAP) -> dict[str, Any]:
    """What a library remembers of the model that makes it."""
    return {
        "model": clap.name,
        "fingerprint": clap.fingerprint,
        "embedding": clap.config.embedding,
        "precision": clap.backend.info.dtype,
        "front_end": asdict(clap.front_end),
        "window": clap.front_end.window_seconds,
        "hop": clap.front_end.window_seconds / 2,
    }


def has_same_front_end(maker: dict[str, Any], clap: CLAP) -> bool:
    """Whether a library was made with this model's front end, which a later version of openclap may have changed."""
    return same_front_end(maker.get("front_end"), asdict(clap.front_end))


def needs_reembedding(maker: dict[str, Any], clap: CLAP) -> bool:
    """Whether a library was made by these weights, but with another front end."""
    return bool(maker) and maker["fingerprint"] == clap.fingerprint and not has_same_front_end(maker, clap)


def same_front_end(first: dict[str, Any] | None, second: dict[str, Any] | None) -> bool:
    """Whether two front ends, as libraries of several versions remember them, are the same; true where one is unknown.

    A field that is missing in one of them has its default there.
    """
    if not first or not second:
        return True
    default = asdict(FrontEnd())
    first, second = {**default, **first}, {**default, **second}
    return all(first.get(name) == second.get(name) for name in {*first, *second})


def precision_of(maker: dict[str, Any]) -> str | None:
    """The data type that a library's vectors were computed in; None where nothing was added yet."""
    return str(maker.get("precision", "float32")) if maker else None  # former versions did not note it


def claim_store(store: Store, clap: CLAP) -> None:
    """Make a store the library of this model; refuse where another model, or another front end, made it."""
    maker = store.claim(model_identity(clap))
    refuse_other_model(store, maker, clap)
    if not has_same_front_end(maker, clap):
        raise LibraryMismatch(
            f"{store.place} was made with another front end of {clap.name}; index its folders again, which"
            " reads its files anew"
        )
    here, there = clap.backend.info.dtype, precision_of(maker)
    if here != there:
        raise LibraryMismatch(
            f"the vectors of {store.place} were computed in {there}, this model computes in {here};"
            f" load it with precision {there}",
            Hint("reembed", place=str(store.place)),
        )


def refuse_other_model(store: Store, maker: dict[str, Any], clap: CLAP) -> None:
    """Refuse a model that is not the maker of a store; a store without a maker takes any.

    Raises
    ------
    LibraryMismatch
        Names both models, and how the maker can be loaded today.
    """
    if not maker or maker["fingerprint"] == clap.fingerprint:
        return
    facts = maker["model"], maker["fingerprint"], clap.name
    error = LibraryMismatch(
        f"{store.place} was made by {maker_display_name(*facts)} ({maker['fingerprint']}), not by {clap.name} from"
        f" {clap.source} ({clap.fingerprint})",
        use_maker(*facts),
        Hint("reembed", place=str(store.place)),
        Hint("other_library"),
    )
    error.maker = maker_display_name(*facts)
    raise error


def check_maker(store: Store, clap: CLAP, *, warned: bool) -> bool:
    """Whether the user was warned that an earlier front end of this model made a store; `warned`: before already.

    Raises
    ------
    LibraryMismatch, LibraryError
        Another model made the store, or it holds no sounds.
    """
    maker = store.model_identity()
    refuse_other_model(store, maker, clap)
    stale = needs_reembedding(maker, clap)
    if stale and not warned:
        warn_caller(
            f"{store.place} was made with an earlier front end of {clap.name}, and is searched as it is;"
            " indexing its folders again reads its files anew",
            LibraryWarning,
        )
    if not maker or store.is_empty():
        raise LibraryError(f"{store.place} holds no sounds yet", Hint("fill"))
    return stale


def describe_maker(maker: dict[str, Any]) -> dict[str, Any]:
    """What a library remembers of its maker, by its name of today: the third edition of mini is called "mini-3" now."""
    if not maker:
        return {"model": None, "fingerprint": None}
    return {**maker, "model": maker_display_name(maker["model"], maker["fingerprint"])}
