"""Which names a server goes by, and which pages of the web may talk to it.

A page anywhere can have its own name mean this machine, or another address that the browser reaches, and then ask
what it likes: only the Host header tells. It cannot have its name be an address or localhost, so these are right; any
other name must have been given.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

__all__ = ["is_loopback", "is_own_name", "is_own_site", "is_site"]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def is_own_name(host: str, *, bound: str, names: Sequence[str] = ()) -> bool:
    """Whether a server that listens on `bound` goes by a Host header: one of `names`, localhost, or an address.

    The address must be of this machine alone where only this machine reaches the server. Behind NAT a server does not
    know what others reach it by, so any address is right then.
    """
    name = _name_of(host)
    if is_loopback(name) or name.rstrip(".") in {one.lower() for one in names}:
        return True
    return not is_loopback(bound) and _address(name) is not None


def is_site(text: str) -> bool:
    """Whether a text is an origin as browsers send it: https://example.org, with a port or without."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and text == f"{parts.scheme}://{parts.netloc}"
    except ValueError:
        return False


def is_own_site(origin: str | None, host: str, *, names: Sequence[str] = (), sites: Sequence[str] = ()) -> bool:
    """Whether a page of this origin may use the server: its own page, one of `sites`, or no page (None).

    Its own page is one that came under this Host header, or under one of `names`.
    """
    if origin is None or origin in sites:
        return True
    try:
        site = urlsplit(origin).netloc
    except ValueError:
        return False
    return bool(site) and (site == host or _name_of(site) in {one.lower() for one in names})


def _name_of(host: str) -> str:
    """Get the name of a Host header, without the port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:  # a name may mean anything
        return None
