"""The former place of `openclap.adapters.MTEBModel`."""

from __future__ import annotations

from typing import Any

from openclap.renamed import find_renamed


def __getattr__(name: str) -> Any:
    """Find what is in `openclap.adapters` now, and say so."""
    return find_renamed(__name__, name, {"MTEBModel": "openclap.adapters.MTEBModel"})
