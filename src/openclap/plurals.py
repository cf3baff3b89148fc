"""Numbers with nouns that agree with them: 1 file, 2 files."""

from __future__ import annotations

__all__ = ["count_noun"]


def count_noun(count: int, what: str, many: str = "") -> str:
    """A number with its noun, "1 group" or "2 groups"; `many` is the plural where an s is not enough."""
    return f"{count} {what if count == 1 else many or what + 's'}"
