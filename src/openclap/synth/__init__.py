"""The name of a kind of sound comes in; a wave made by code and a caption go out, for the demo, tests and training."""

from typing import Any

from openclap.renamed import find_renamed
from openclap.synth.kinds import KINDS, Kind, SynthFile, synthesise, synthesise_all, write_library

__all__ = ["KINDS", "Kind", "SynthFile", "synthesise", "synthesise_all", "write_library"]


def __getattr__(name: str) -> Any:
    return find_renamed(__name__, name, {"make": "synthesise", "synthesised": "synthesise_all"})
