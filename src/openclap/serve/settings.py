"""What the service may do and how much of it: `ServeSettings`, which `openclap serve --config FILE` reads from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from openclap.http.settings import KEYS_VARIABLE, MIB, Bytes, Count, Folders, Many, Seconds, ServerSettings, read_keys
from openclap.pipeline import WORKERS

__all__ = ["KEYS_VARIABLE", "MIB", "ServeSettings", "read_keys"]


class ServeSettings(ServerSettings):
    """Everything that can be chosen about a service, beside where it listens and who may use it.

    Attributes
    ----------
    model, device, threads
        As `CLAP.from_pretrained`.
    precision
        As `CLAP.from_pretrained`; None: that of the library where visitors may add to it, else float32.
    library
        The library to search in, or None.
    roots
        Folders that files of the library may be read from; without any, the folder that all of them lie in.
    manage
        Whether visitors may do what its owner may: load another model, and change the library.
    models
        Names of models that they may load then; None, any Hub id, and files below `roots`.
    recording_bytes, recording_seconds
        Size and length of a recording that is uploaded once and asked about (`recordings`).
    recordings_bytes, recordings_kept
        Size of all of them; how long one is kept after it was last used.
    uploads
        Where sounds that are uploaded into the library are kept; None, none are taken.
    upload_bytes, kept_bytes
        Of the sounds of one upload; of all that are kept.
    detectors
        Names or files of detectors that websockets may listen for.
    aliases
        Further names that requests may call the model, as "text-embedding-3-small"; "*" is any name.
    body_bytes
        Size of a request.
    memory_bytes
        Size of the bodies of all requests in work.
    audio_seconds
        Length of one sound; a longer one is refused while it is decoded.
    items, text_characters, results
        Texts, labels or sounds of a request; characters of a text; `k`.
    queue
        Whole requests in work and waiting; one more is answered 429. An eighth is for clients that have none.
    sockets
        Websockets open at once; one more is answered 429.
    idle_seconds
        How long a websocket may send nothing before it is closed.
    patience_seconds
        How long a job waits for others to share a batch with.
    batch
        Clips or texts of a batch.
    decoders
        Threads that decode.
    """

    model: str = "mini"
    device: str = "auto"
    threads: Count | None = None
    precision: str | None = None
    library: str | None = None
    roots: Folders = ()
    manage: bool = False
    models: Many | None = ()
    recording_bytes: Bytes = 2048 * MIB
    recording_seconds: Seconds = 4 * 3600.0
    recordings_bytes: Bytes = 8192 * MIB
    recordings_kept: Seconds = 3600.0
    uploads: Path | None = None
    upload_bytes: Bytes = 200 * MIB
    kept_bytes: Bytes = 4096 * MIB
    detectors: Many = ()
    aliases: Many = ()
    body_bytes: Bytes = 32 * MIB
    memory_bytes: Bytes = 512 * MIB
    audio_seconds: Seconds = 600.0
    items: Count = 128
    text_characters: Count = 8192
    results: Count = 1000
    queue: Count = 64
    sockets: Count = 16
    idle_seconds: Seconds = 60.0
    patience_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.004
    batch: Count = 16
    decoders: Count = WORKERS
