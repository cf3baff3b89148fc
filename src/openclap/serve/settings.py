"""What the service may do and how much of it: one frozen table. Knows nothing of HTTP.

Defaults are safe on a laptop: this machine alone, bounded memory.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, fields
from pathlib import Path

from openclap.errors import UsageError
from openclap.hosts import is_loopback, is_site
from openclap.http.proxy import Proxies, checked_prefix
from openclap.pipeline import WORKERS

__all__ = ["KEYS_VARIABLE", "MIB", "Settings", "read_keys"]

KEYS_VARIABLE = "OPENCLAP_KEYS"
SHORTEST_KEY = 16  # characters; a shorter one can be guessed
MIB = 1 << 20
HOST_NAME = re.compile(r"[a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)*")


@dataclass(frozen=True)
class Settings:
    """Everything that can be chosen about a service.

    Attributes
    ----------
    model, device, threads, precision
        As `CLAP.from_pretrained`.
    library
        The library to search in, or None.
    roots
        Folders that files of the library may be read from; none, the folder that all of them lie in.
    detectors
        Names or files of detectors that sockets may listen for.
    host, port
        Where to listen; port 0 is any free one.
    keys
        Bearer keys, any of which opens the service; none, it is open to who can reach it.
    insecure
        Listen on an address that others reach although there is no key.
    names
        Names that the server goes by ("sounds.example"), beside localhost and addresses: in the Host header of whoever comes without
        a key. With names and keys, a key alone does not do under another name.
    origins
        Sites whose pages may use the service from a browser, as "https://example.org" (CORS).
    frames
        Sites that may frame the page; none may, by default.
    proxies
        Addresses, or networks, of proxies whose X-Forwarded-For, -Proto and -Prefix are believed.
    root_path
        The path that a proxy serves this under, "/clap", where it does not say so itself.
    aliases
        Further names that requests may call the model, as "text-embedding-3-small".
    body_bytes
        Of a request.
    memory_bytes
        Of the bodies of all requests in work.
    audio_seconds
        Of one sound; more is refused while it is decoded.
    items, text_characters, results
        Texts, labels or sounds of a request; characters of a text; `k`.
    queue
        Whole requests in work and waiting; one more is answered 429. An eighth is for clients that have none.
    request_seconds
        From its first byte to its answer, else 504.
    sockets
        Websockets open at once; one more is answered 429.
    message_bytes
        Of one message of a socket.
    idle_seconds
        Without a message, after which a socket is closed.
    connections, head_seconds, body_rate
        Connections open at once; how long the head of a request may take; bytes a second of a body (`openclap.http.connections.Limits`).
    patience_seconds
        How long a job waits for others to share a batch with.
    batch
        Clips or texts of a batch.
    decoders
        Threads that decode.
    """

    model: str = "mini"
    device: str = "auto"
    threads: int | None = None
    precision: str = "float32"
    library: str | None = None
    roots: tuple[str | Path, ...] = ()
    detectors: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8000
    keys: tuple[str, ...] = field(default=(), repr=False)
    insecure: bool = False
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    root_path: str = ""
    aliases: tuple[str, ...] = ()
    body_bytes: int = 32 * MIB
    memory_bytes: int = 512 * MIB
    audio_seconds: float = 600.0
    items: int = 128
    text_characters: int = 8192
    results: int = 1000
    queue: int = 64
    request_seconds: float = 60.0
    sockets: int = 16
    message_bytes: int = MIB
    idle_seconds: float = 60.0
    connections: int = 1000
    head_seconds: float = 10.0
    body_rate: float = 1024.0
    patience_seconds: float = 0.004
    batch: int = 16
    decoders: int = WORKERS

    def __post_init__(self) -> None:
        """Refuse what no service could live with."""
        for one in fields(self):
            value = getattr(self, one.name)
            least = 0 if one.name in ("port", "patience_seconds") else 1e-3
            if isinstance(value, int | float) and not isinstance(value, bool) and not least <= value < float("inf"):
                raise UsageError(f"{one.name.replace('_', ' ')} is {value}; it must be above 0")
        for name in self.names:
            if not HOST_NAME.fullmatch(name):
                raise UsageError(
                    f"{name!r} is no name of a server; give one as sounds.example, without https://, a port or a path"
                )
        for site in (*self.origins, *self.frames):
            if not is_site(site):
                raise UsageError(f"{site!r} is no site; give one as https://example.org, without a path")
        checked_prefix(self.root_path)
        Proxies(self.proxies)
        if not self.keys and not self.insecure and not is_loopback(self.host):
            raise UsageError(
                f"{self.host} can be reached by others, and there is no key; set {KEYS_VARIABLE}, give --keys-file, or --insecure if that is what you want"
            )


def read_keys(file: Path | None = None) -> tuple[str, ...]:
    """Keys of the environment's OPENCLAP_KEYS (commas or spaces between) and of a file (one a line; # comments).

    Raises
    ------
    UsageError
        The file cannot be read or holds none, or a key is too short.
    """
    found = re.split(r"[,\s]+", os.environ.get(KEYS_VARIABLE, ""))
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file}: cannot be read ({error}); give a text file with one key a line") from error
        in_file = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        if not in_file:  # a service that was meant to be closed must not be open
            raise UsageError(f"{file} holds no key; write one a line")
        found += in_file
    keys = tuple(dict.fromkeys(key for key in found if key))
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise UsageError(
            f'a key has fewer than {SHORTEST_KEY} characters; make one with  python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    return keys
