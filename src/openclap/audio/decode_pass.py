"""One pass over a sound: what the caller wants of it, and what the decoders found."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from openclap.audio.channels import BLOCK_VALUES, CANCELLING_WARNING
from openclap.audio.decode_limits import DecodeLimits
from openclap.errors import EmptySound, SoundWarning, UnreadableSound
from openclap.warn_caller import warn_caller

__all__ = ["DecodePass"]


@dataclass
class DecodePass:
    """The wishes of the caller of one pass, and the findings of its decoders.

    Attributes
    ----------
    name
        The name of the sound in errors and warnings.
    limits
        How long the sound may be, which track is read, and when decoding stops.
    start
        The whole second at which decoding should begin.
    block_seconds
        About how much is decoded at once.
    quiet
        Whether warnings are suppressed.
    skipped
        Seconds that were really skipped: `start`, or 0 where the format cannot seek. Known from the first block on.
    changed
        Whether revision 1 (see `decode_revision`) gave other samples.
    change_is_certain
        Whether `changed` is final, except that channels may still turn out to cancel each other out.
    must_compare
        Whether the file must also be read as revision 1 did to know `changed`.
    truncated
        Whether something that the header announces is missing, or could not be decoded.
    samples, seconds
        How much was decoded.
    warned
        The warnings that were given.
    """

    name: str
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    start: int = 0
    block_seconds: float = 30.0
    quiet: bool = False
    skipped: int = 0
    changed: bool = False
    change_is_certain: bool = False
    must_compare: bool = False
    truncated: bool = False
    samples: int = 0
    seconds: float = 0.0
    warned: set[str] = field(default_factory=set)

    def warn(self, text: str, *, changed: bool = False) -> None:
        """Warn, once with each text; `changed` says that revision 1 gave other samples here."""
        self.changed = self.changed or changed
        if not self.quiet and text not in self.warned:
            self.warned.add(text)
            warn_caller(f"{self.name}: {text}", SoundWarning)

    def warn_cancelled(self, since: float | None) -> None:
        """Warn that channels cancel each other out from `since` seconds on; None: they do not."""
        if since is not None:
            self.warn(CANCELLING_WARNING, changed=True)

    def choose_track(self, tracks: int) -> int | None:
        """The wanted track of a sound that has `tracks` of them; None for the default one.

        Raises
        ------
        UnreadableSound
            There is no such track.
        """
        track = self.limits.track
        if track is not None and track > tracks:
            there = "there is one track of sound" if tracks == 1 else f"there are {tracks} tracks of sound"
            raise UnreadableSound(self.name, f"track {track} is wanted and {there} in it; choose another")
        return track

    def block_size(self, rate: float, channels: int) -> int:
        """How many samples are decoded at once."""
        return max(1, min(round(min(self.block_seconds, 1e9) * rate), BLOCK_VALUES // max(1, channels)))

    def count(self, samples: int, rate: float) -> None:
        """Note that so many samples were decoded."""
        self.samples += samples
        self.seconds += samples / rate

    def finish(self) -> None:
        """Note that all has been read, and warn of what is missing.

        Raises
        ------
        EmptySound
            Not one sample was decoded.
        """
        if self.samples == 0:
            raise EmptySound(
                self.name, "holds no samples" + ("; it was cut before the first one" if self.truncated else "")
            )
        if self.truncated:
            seconds = math.floor((self.skipped + self.seconds) * 100 + 0.5) / 100
            self.warn(f"cut short or damaged; the {seconds:.2f} s that could be decoded are used")
