"""Find, name and compare sounds by words.

>>> from openclap import CLAP, Library
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openclap.config import CLAPConfig
from openclap.errors import OpenClapError
from openclap.results import AddReport, Description, Failure, Hit, Label, Match, Moment, Span, Step, Tag, Windows

if TYPE_CHECKING:
    from openclap.clap import CLAP
    from openclap.detector import Detector
    from openclap.library import Library, SearchFilter

    __version__: str

__all__ = [
    "CLAP",
    "AddReport",
    "CLAPConfig",
    "Description",
    "Detector",
    "Failure",
    "Hit",
    "Label",
    "Library",
    "Match",
    "Moment",
    "OpenClapError",
    "SearchFilter",
    "Span",
    "Step",
    "Tag",
    "Windows",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Look up CLAP, Detector, Library, SearchFilter and the version when first asked: `import openclap` stays light."""
    if name == "CLAP":
        from openclap.clap import CLAP

        return CLAP
    if name == "Detector":
        from openclap.detector import Detector

        return Detector
    if name == "Library":
        from openclap.library import Library

        return Library
    if name == "SearchFilter":
        from openclap.store import SearchFilter

        return SearchFilter
    if name == "__version__":
        from importlib.metadata import version

        return version("openclap")
    raise AttributeError(f"module 'openclap' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
