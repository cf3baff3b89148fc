"""Where a server listens and who may use it: the settings of every server.

The defaults are safe on a laptop: only this machine is answered, and memory is bounded.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, ValidationError, field_validator

from openclap.errors import UsageError
from openclap.http.hosts import is_loopback, is_site
from openclap.http.proxy import TrustedProxies, check_prefix

__all__ = [
    "KEYS_VARIABLE",
    "MIB",
    "Bytes",
    "Count",
    "Folders",
    "Many",
    "Seconds",
    "ServerSettings",
    "SettingsModel",
    "read_keys",
]

KEYS_VARIABLE = "OPENCLAP_KEYS"
SHORTEST_KEY = 16  # characters; a shorter one can be guessed
MIB = 1 << 20
HOST_NAME = re.compile(r"[a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)*")

# kinds of settings: in a file "32 MiB" is a number of bytes, and one text may stand where several may
if TYPE_CHECKING:
    Bytes = int
else:
    Bytes = Annotated[ByteSize, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Several = BeforeValidator(lambda given: (given,) if isinstance(given, str | Path) else given)
Many = Annotated[tuple[str, ...], Several]
Folders = Annotated[tuple[Path, ...], Several]


class SettingsModel(BaseModel):
    """A frozen pydantic model; a wrong setting is a `UsageError` of one sentence.

    Raises
    ------
    UsageError
        There is no such setting, or it cannot have this value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            own = fault.get("ctx", {}).get("error")
            if isinstance(own, UsageError):  # our own sentence; what it was raised of may hold keys, and is not shown
                raise own from None
            name = ".".join(map(str, fault["loc"]))
            if fault["type"] == "extra_forbidden":
                known = ", ".join(sorted(type(self).model_fields))
                raise UsageError(f"there is no setting {name!r}; there are {known}") from None
            is_size = fault["type"].startswith("byte_size")
            reason = (
                "it must be a size, as 32 MiB" if is_size else fault["msg"].replace("Input should be", "it must be")
            )
            raise UsageError(f"the setting {name} is {fault['input']!r}; {reason[:1].lower()}{reason[1:]}") from None


class ServerSettings(SettingsModel):
    """Where a server listens, who may use it, and what its connections may do.

    Attributes
    ----------
    host, port
        Where to listen; port 0 is any free one.
    keys
        Bearer keys, any of which opens the server; without one it is open to everybody who can reach it.
    insecure
        Listen on an address that others reach although there is no key.
    names
        Names of the server ("sounds.example"), beside localhost and addresses, that the Host header may have where no
        key is needed. With names and keys, a request needs both a right name and a key.
    origins
        Sites whose pages may use the server from a browser, as "https://example.org" (CORS).
    frames
        Sites that may show the page in a frame; by default none.
    proxies
        Addresses, or networks, of proxies whose X-Forwarded-For, -Proto and -Prefix are believed.
    root_path
        The path that a proxy serves this under, "/clap", where it does not say so itself.
    request_seconds
        From the first byte of a request to its answer, else 504; a server that ends waits so long for answers.
    message_bytes
        Size of one message of a websocket.
    connections, head_seconds, body_rate
        Connections open at once; how long the head of a request may take; bytes a second of a body
        (`openclap.http.connections.Connections`).
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    keys: Annotated[Many, Field(repr=False)] = ()
    insecure: bool = False
    names: Many = ()
    origins: Many = ()
    frames: Many = ()
    proxies: Many = ()
    root_path: str = ""
    request_seconds: Seconds = 60.0
    message_bytes: Bytes = MIB
    connections: Count = 1000
    head_seconds: Seconds = 10.0
    body_rate: Seconds = 1024.0

    @field_validator("keys")
    @classmethod
    def _check_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if any(len(key) < SHORTEST_KEY for key in keys):
            raise UsageError(
                f"a key has fewer than {SHORTEST_KEY} characters; make one with  "
                'python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        return keys

    def model_post_init(self, context: Any) -> None:
        """Check names, sites, proxies and paths; refuse a server that others reach and that has no key."""
        for name in self.names:
            if not HOST_NAME.fullmatch(name):
                raise UsageError(
                    f"{name!r} is no name of a server; give one as sounds.example, without https://, a port or a path"
                )
        for site in (*self.origins, *self.frames):
            if not is_site(site):
                raise UsageError(f"{site!r} is no site; give one as https://example.org, without a path")
        check_prefix(self.root_path)
        TrustedProxies(self.proxies)
        if not (self.keys or self.insecure or is_loopback(self.host)):
            raise UsageError(
                f"{self.host} can be reached by others, and there is no key; set {KEYS_VARIABLE}, give a "
                "file of keys, or allow it (insecure) if that is what you want"
            )


def read_keys(file: Path | None = None) -> tuple[str, ...]:
    """Read the keys of OPENCLAP_KEYS (commas or spaces between) and of a file (one a line; # comments).

    Raises
    ------
    UsageError
        The file cannot be read or holds none.
    """
    keys = re.split(r"[,\s]+", os.environ.get(KEYS_VARIABLE, ""))
    if file is not None:
        try:
            lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file}: cannot be read ({error}); give a text file with one key a line") from error
        in_file = [line for line in lines if line and not line.startswith("#")]
        if not in_file:  # else a service that should ask for keys would be open to all
            raise UsageError(f"{file} holds no key; write one a line")
        keys += in_file
    return tuple(dict.fromkeys(key for key in keys if key))
