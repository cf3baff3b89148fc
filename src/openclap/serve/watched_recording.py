"""A recording that was uploaded before, as a source that is watched as fast as the model can hear it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

from openclap.audio.load import stream
from openclap.serve.recordings import Recording, Recordings
from openclap.watch.sources import AudioBlock, Tell

__all__ = ["RecordingSource"]

BLOCK_SECONDS = 4.0  # that are decoded at once: events come while it is heard


class RecordingSource:
    """An `AudioSource` over a `Recording`, which stays as long as it is read."""

    live = threaded = False

    def __init__(self, recordings: Recordings, recording: Recording) -> None:
        self._recordings, self._recording = recordings, recording
        self.name = recording.name

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[AudioBlock]:
        """Give blocks as `AudioSource` says.

        Raises
        ------
        SoundError
            It breaks off.
        """
        with (
            self._recordings.hold(self._recording) as kept,
            closing(stream(kept.sound, rate, block_seconds=BLOCK_SECONDS)) as waves,
        ):
            for wave in waves:
                if stop.is_set():
                    return
                yield AudioBlock(wave, name=self.name)
