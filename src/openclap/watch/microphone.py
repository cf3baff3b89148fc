"""A microphone as a source, through sounddevice (PortAudio)."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.errors import MissingExtra, SourceError
from openclap.watch.sources import LIVE_BLOCK, AudioBlock, BlockConverter, Tell, backoff_seconds

__all__ = ["MicrophoneSource"]

WAITING = 120  # blocks of a quarter of a second between the sound card and us: 30 s
SILENT = 5.0  # seconds without a block, after which it counts as unplugged


class MicrophoneSource:
    """The default input, or a device by its number or by a part of its name; opened again after it was unplugged."""

    live = threaded = True

    def __init__(self, device: str | None = None) -> None:
        self._sounddevice = _import_sounddevice()
        self.name = "mic" if device is None else f"mic:{device}"
        self._device: int | str | None = int(device) if device is not None and device.isdecimal() else device
        self._rate = self._find_device_rate()

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[AudioBlock]:
        """Give blocks as `AudioSource` says, until `stop` is set."""
        attempt, last = 0, None
        while not stop.is_set():
            converter = BlockConverter(rate, self.name, tell)
            try:
                for samples, missed in self._samples(stop):
                    now = time.monotonic()
                    gap = missed if attempt == 0 or last is None else max(0.0, now - last - LIVE_BLOCK)
                    attempt, last = 0, now
                    yield AudioBlock(converter.feed(samples, self._rate), gap, self.name)
            except SourceError as error:
                if last is None:
                    raise
                tell(str(error))
            if stop.is_set():
                return
            attempt += 1
            tell(f"{self.name}: nothing comes any more; trying again in {backoff_seconds(attempt):g} s")
            stop.wait(backoff_seconds(attempt))

    def _samples(self, stop: threading.Event) -> Iterator[tuple[npt.NDArray[np.float32], float]]:
        """Samples (S, channels) from the sound card's thread, and the seconds lost before them, until none come."""
        got: queue.Queue[tuple[npt.NDArray[np.float32], float]] = queue.Queue(WAITING)
        missed = 0.0

        def receive(samples: npt.NDArray[np.float32], *_: Any) -> None:
            nonlocal missed
            if got.full():  # in the sound card's thread: never wait
                missed += len(samples) / self._rate
                return
            got.put_nowait((samples.copy(), missed))
            missed = 0.0

        try:
            with self._sounddevice.InputStream(
                samplerate=self._rate,
                blocksize=round(LIVE_BLOCK * self._rate),
                device=self._device,
                dtype="float32",
                callback=receive,
            ):
                while not stop.is_set():
                    yield got.get(timeout=SILENT)
        except queue.Empty:
            return
        except (self._sounddevice.PortAudioError, ValueError) as error:
            raise SourceError(f"{self.name}: cannot be opened ({_one_line(error)})") from None

    def _find_device_rate(self) -> float:
        try:
            return float(self._sounddevice.query_devices(self._device, "input")["default_samplerate"])
        except (self._sounddevice.PortAudioError, ValueError) as error:
            inputs = [d["name"] for d in self._sounddevice.query_devices() if d["max_input_channels"] > 0]
            known = (
                f"there are {', '.join(inputs)}"
                if inputs
                else "this machine has none; plug one in, or watch a file, a pipe (-) or a stream"
            )
            raise SourceError(f"{self.name}: no microphone ({_one_line(error)}); {known}") from None


def _import_sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError:
        raise MissingExtra(
            "a microphone needs sounddevice: install openclap's extra 'watch' (docs/install.md)"
        ) from None
    except OSError:
        raise MissingExtra(
            "a microphone needs the library PortAudio, which is not on this machine: install libportaudio2 (Debian,"
            " Ubuntu) or portaudio (others)"
        ) from None
    return sounddevice


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")
