"""Sounds made by code, each with captions: for the demo, the tests, and as part of mini's training data."""

from openclap.synth.kinds import KINDS, Kind, SynthFile, synthesise, synthesise_all, write_library

__all__ = ["KINDS", "Kind", "SynthFile", "synthesise", "synthesise_all", "write_library"]
