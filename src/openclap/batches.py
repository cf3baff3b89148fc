"""Items → lists of at most so many, or until one is full, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

__all__ = ["batches", "batches_until"]

T = TypeVar("T")


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Items in lists of `size`; the last one may be shorter."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def batches_until(items: Iterable[T], is_full: Callable[[list[T]], bool]) -> Iterator[list[T]]:
    """Items in lists, each as long as it takes to be full; the last one may not be."""
    some: list[T] = []
    for item in items:
        some.append(item)
        if is_full(some):
            yield some
            some = []
    if some:
        yield some
