"""What tests of libraries share."""

from __future__ import annotations

from pathlib import Path

from openclap import CLAP


class Counted:
    """A CLAP that counts what it is asked to embed."""

    def __init__(self, clap: CLAP) -> None:
        self._clap = clap
        self.sounds: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._clap, name)

    def encode_each(self, sounds: list[str], **options: object) -> object:
        self.sounds += [Path(sound).name for sound in sounds]
        return self._clap.encode_each(sounds, **options)  # type: ignore[arg-type]
