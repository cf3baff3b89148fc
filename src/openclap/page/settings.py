"""What the page may do and how much of it: one frozen table. Knows nothing of gradio or models."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from openclap.errors import UsageError

__all__ = ["MIB", "PageSettings"]

MIB = 1 << 20


@dataclass(frozen=True)
class PageSettings:
    """Everything that can be chosen about a page.

    Attributes
    ----------
    model, device, threads
        As `CLAP.from_pretrained`; loaded when it is first needed.
    models
        Names that may be loaded; None, any Hub id, and files below `roots`.
    library
        The library that everyone who comes searches and fills; None, each visitor gets one that is forgotten.
    uploads
        Where sounds that are uploaded into `library` are kept; None, in a folder that is forgotten.
    roots
        Folders of the server that may be indexed, and models read from. None is, unless given.
    upload_bytes
        Of one uploaded file.
    kept_bytes
        Of all sounds in `uploads`, and of what browsers sent and is not forgotten yet.
    audio_seconds
        Of a sound that is given to the model.
    results
        Most results of a search.
    texts
        Most texts or labels at once.
    detectors
        Whether what is taught may be kept among the detectors of whoever runs this; else it can only be downloaded.
    watches, watch_seconds
        Visitors whose microphones or recordings are watched at once, and how long a microphone is.
    queue
        Requests that wait; more are told to come back.
    """

    model: str = "mini"
    device: str = "auto"
    threads: int | None = None
    models: tuple[str, ...] | None = None
    library: str | None = None
    uploads: Path | None = None
    roots: tuple[Path, ...] = ()
    upload_bytes: int = 200 * MIB
    kept_bytes: int = 4096 * MIB
    audio_seconds: float = 4 * 3600.0
    results: int = 50
    texts: int = 100
    detectors: bool = False
    watches: int = 8
    watch_seconds: float = 4 * 3600.0
    queue: int = 64

    def __post_init__(self) -> None:
        """Refuse roots that are no folders."""
        for root in self.roots:
            if not Path(os.path.expanduser(root)).is_dir():
                raise UsageError(f"{root} is no folder; give one whose sounds the page may index")
