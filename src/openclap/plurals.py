"""Numbers with the words that agree with them: 1 file, 2 files. Knows nothing of what is counted."""

from __future__ import annotations

__all__ = ["count_noun"]


def count_noun(count: int, what: str, many: str = "") -> str:
    """1 group, 2 groups; `many` where an s is not enough: `count_noun(n, "file has", "files have")`."""
    return f"{count} {what if count == 1 else many or what + 's'}"
