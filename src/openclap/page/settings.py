"""What the page may do and how much of it: `PageSettings`, the table `page` of a file of settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from openclap.errors import UsageError
from openclap.http.settings import MIB, Bytes, Count, Folders, Many, Seconds, SettingsModel

__all__ = ["MIB", "PageSettings"]


class PageSettings(SettingsModel):
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
    threads: Count | None = None
    models: Many | None = None
    library: str | None = None
    uploads: Path | None = None
    roots: Folders = ()
    upload_bytes: Bytes = 200 * MIB
    kept_bytes: Bytes = 4096 * MIB
    audio_seconds: Seconds = 4 * 3600.0
    results: Count = 50
    texts: Count = 100
    detectors: bool = False
    watches: Count = 8
    watch_seconds: Seconds = 4 * 3600.0
    queue: Count = 64

    def model_post_init(self, context: Any) -> None:
        """Refuse roots that are no folders."""
        for root in self.roots:
            if not Path(os.path.expanduser(root)).is_dir():
                raise UsageError(f"{root} is no folder; give one whose sounds the page may index")
