"""Names that public modules had in an earlier version: they work for one version more, and name their successors."""

from __future__ import annotations

import pkgutil
import sys
import warnings
from typing import Any

__all__ = ["find_renamed"]


def find_renamed(module: str, name: str, renamed: dict[str, str]) -> Any:
    """Return what a module's old name is called now, with a DeprecationWarning; for a module's `__getattr__`.

    What has moved to another module is named with that: "openclap.adapters.MTEBModel".

    Raises
    ------
    AttributeError
        The name was never there.
    """
    if name not in renamed:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    message = f"{module}.{name} is called {renamed[name]} now; the old name will go with the next version"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return pkgutil.resolve_name(renamed[name]) if "." in renamed[name] else getattr(sys.modules[module], renamed[name])
