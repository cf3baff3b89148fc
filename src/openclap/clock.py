"""Seconds as people read them."""

from __future__ import annotations

__all__ = ["clock"]


def clock(seconds: float, digits: int = 1) -> str:
    """Seconds as 1:02.5 or 1:00:02.5, with so many digits of a second."""
    minutes, rest = divmod(round(seconds, digits), 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{rest:0{3 + digits if digits else 2}.{digits}f}"
    return f"{hours}:{minutes:02d}:{shown}" if hours else f"{minutes}:{shown}"
