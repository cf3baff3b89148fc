"""One pass over a sound: what is asked of it, and what became of it. Knows nothing of formats."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field

from openclap.audio.channels import BLOCK_VALUES, CANCELLING
from openclap.errors import EmptySound, SoundWarning, UnreadableSound

__all__ = ["DecodePass"]


@dataclass
class DecodePass:
    """What the decoders of one pass are told, and tell.

    Attributes
    ----------
    name
        How errors and warnings call the sound.
    track
        Which of several tracks of sound, from 1; None for the one marked as the default, else the first.
    start
        Whole seconds that are not wanted.
    skipped
        Whole seconds that were left out for it: `start`, or 0 where the format cannot seek. Known from the first block
        on.
    changed
        Whether revision 1 (see `revision`) gave other samples.
    known
        Whether nothing that comes later can make a difference to `changed`, but for channels that cancel each other
        out.
    compared
        Whether only reading it as revision 1 did tells `changed`.
    cut
        Whether something that was announced is missing, or could not be decoded.
    """

    name: str
    track: int | None = None
    start: int = 0
    block_seconds: float = 30.0
    quiet: bool = False
    skipped: int = 0
    changed: bool = False
    known: bool = False
    compared: bool = False
    cut: bool = False
    samples: int = 0
    seconds: float = 0.0
    told: set[str] = field(default_factory=set)

    def warn(self, text: str, *, changed: bool = False) -> None:
        """Warn, once of each."""
        self.changed = self.changed or changed
        if not self.quiet and text not in self.told:
            self.told.add(text)
            warnings.warn(SoundWarning(f"{self.name}: {text}"), stacklevel=2)

    def warn_cancelled(self, since: float | None) -> None:
        """Warn where channels cancelled each other out, at whatever second."""
        if since is not None:
            self.warn(CANCELLING, changed=True)

    def choose_track(self, tracks: int) -> int | None:
        """The track that is wanted of so many, None for whichever is the default.

        Raises
        ------
        UnreadableSound
            There is no such track.
        """
        if self.track is not None and self.track > tracks:
            there = "there is one track of sound" if tracks == 1 else f"there are {tracks} tracks of sound"
            raise UnreadableSound(self.name, f"track {self.track} is wanted and {there} in it; choose another")
        return self.track

    def block_size(self, rate: float, channels: int) -> int:
        """Samples that are decoded at once."""
        return max(1, min(round(min(self.block_seconds, 1e9) * rate), BLOCK_VALUES // max(1, channels)))

    def count(self, samples: int, rate: float) -> None:
        """So many samples were decoded."""
        self.samples += samples
        self.seconds += samples / rate

    def finish(self) -> None:
        """All has been read.

        Raises
        ------
        EmptySound
            Not one sample was there.
        """
        if self.samples == 0:
            raise EmptySound(self.name, "holds no samples" + ("; it was cut before the first one" if self.cut else ""))
        if self.cut:
            seconds = math.floor((self.skipped + self.seconds) * 100 + 0.5) / 100
            self.warn(f"cut short or damaged; the {seconds:.2f} s that could be decoded are used")
