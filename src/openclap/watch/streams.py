"""A stream by its address (http, https, rtsp, rtmp) as a source, through PyAV.

FFmpeg may use network protocols only, never files, and only formats that hold the sound themselves: a playlist (m3u8,
mpd, …) would make it fetch addresses that nobody named, so it is refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from openclap.audio.ffmpeg import frame_samples
from openclap.audio.tracks import packets_of
from openclap.errors import SourceError
from openclap.watch.sources import LIVE_BLOCK, AudioBlock, BlockConverter, Tell, backoff_seconds

if TYPE_CHECKING:
    import av

__all__ = ["StreamSource", "redact_url"]

TIMEOUT = 10.0  # seconds to connect, and to wait for the next packet
STEADY = 10.0  # seconds of sound, after which waiting times begin at the shortest again
ENDS_WITHIN = 1.0  # seconds; a stream that ends this near to its announced duration was not cut
PROTOCOLS = "http,https,httpproxy,tcp,tls,udp,rtp,srtp,rtmp,rtmps,rtmpt,rtmpts"
FORMATS = (
    "aac,ac3,aiff,asf,au,avi,caf,eac3,flac,flv,live_flv,m4a,matroska,mov,mp3,mp4,mpegts,ogg,rtp,rtsp,s16le,wav,webm,"
    "wv,w64"
)


class StreamSource:
    """A stream; after a cut it is connected to again, in 0.5, 1, 2 … 30 s, for ever.

    Raises
    ------
    SourceError
        From `blocks`, where the first connection fails, or the stream has no sound.
    """

    live = threaded = True

    def __init__(self, url: str, *, timeout: float = TIMEOUT) -> None:
        self._url, self._timeout = url, timeout
        self.name = redact_url(url)

    def blocks(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[AudioBlock]:
        """Give blocks as `AudioSource` says."""
        attempt = 0
        cut: float | None = None  # when the last connection ended
        while not stop.is_set():
            heard = 0.0
            try:
                for block in self._connection(rate, stop, tell):
                    gap = 0.0 if cut is None or heard else time.monotonic() - cut
                    heard += len(block.wave) / rate
                    attempt = 0 if heard > STEADY else attempt
                    yield AudioBlock(block.wave, gap, self.name)
                return  # it ended where it said it would
            except SourceError as error:
                if cut is None and not heard:
                    raise
                cause = str(error)
            if stop.is_set():
                return
            if heard or cut is None:
                cut = time.monotonic()
            attempt += 1
            tell(f"{cause}; trying again in {backoff_seconds(attempt):g} s")
            stop.wait(backoff_seconds(attempt))

    def _connection(self, rate: int, stop: threading.Event, tell: Tell) -> Iterator[AudioBlock]:
        """Give the blocks of one connection until its announced end; SourceError where it was cut."""
        import av

        converter = BlockConverter(rate, self.name, tell)
        seconds, announced = 0.0, None
        try:
            with av.open(
                self._url,
                timeout=(self._timeout, self._timeout),
                metadata_errors="replace",
                options=_options(self._url),
            ) as container:
                stream = container.streams.best("audio")
                if stream is None or stream.codec_context is None:
                    raise SourceError(
                        f"{self.name}: carries no sound that can be decoded; name a stream with audio in it"
                    )
                announced = (
                    None if container.duration is None else float(container.duration / 1e6)
                )  # None: it has no end
                waiting, length = [], 0.0
                for frame in self._frames(container, stream, stop):
                    waiting.append(converter.feed(frame_samples(frame), frame.sample_rate))
                    length += frame.samples / frame.sample_rate
                    if length >= LIVE_BLOCK:
                        for wave in waiting:
                            yield AudioBlock(wave)
                        seconds, waiting, length = seconds + length, [], 0.0
                for wave in (*waiting, converter.flush()):
                    yield AudioBlock(wave)
                seconds += length
        except (av.FFmpegError, OSError) as error:
            raise SourceError(f"{self.name}: {self._cause(error)}") from None
        if stop.is_set():
            return
        if announced is None or seconds < announced - ENDS_WITHIN:
            raise SourceError(f"{self.name}: was cut after {seconds:.0f} s")

    def _frames(
        self, container: av.container.InputContainer, stream: av.AudioStream, stop: threading.Event
    ) -> Iterator[av.AudioFrame]:
        """Decode packets; broken ones are left out, and SourceError after `timeout` seconds of nothing else."""
        import av

        last = time.monotonic()
        for packet in packets_of(container, stream):
            if stop.is_set():
                return
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                frames = []
            if frames:
                last = time.monotonic()
            elif time.monotonic() - last > self._timeout:
                raise SourceError(f"{self.name}: nothing that can be decoded came for {self._timeout:g} s")
            yield from frames

    def _cause(self, error: Exception) -> str:
        import av

        if isinstance(error, av.error.ExitError):
            return f"nothing came for {self._timeout:g} s"
        text = getattr(error, "strerror", None) or str(error)
        return f"cannot be heard ({text}); it must be a sound itself, no page and no playlist"


def _options(url: str) -> dict[str, str]:
    options = {"protocol_whitelist": PROTOCOLS, "format_whitelist": FORMATS}
    return {**options, "rtsp_transport": "tcp"} if url.lower().startswith("rtsp") else options


def redact_url(url: str) -> str:
    """Remove user, password and query from an address, as no log should hold them; of a broken one, keep the scheme."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return f"{url.partition('://')[0]}://…"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
