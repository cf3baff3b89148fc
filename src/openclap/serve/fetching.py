"""A sound's URL → its bytes, from hosts that were allowed, at public addresses alone.

    url ─ host allowed? ─ resolve once ─ is every address public? ─ connect to one of these very addresses ─ bytes, so many at most
             ↑ a redirect begins here again

The name is never resolved a second time, so a DNS answer that changes between the check and the connection changes nothing.
Knows nothing of requests or sounds.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from urllib.parse import urljoin, urlsplit

from openclap.errors import RequestRefused

__all__ = ["Fetcher", "is_public"]

REDIRECTS = 3
PIECE = 1 << 16  # bytes
PORTS = {"http": 80, "https": 443}


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet: not private, loopback, link-local, multicast or reserved.

    IPv6 addresses that carry an IPv4 address (mapped, 6to4, Teredo) are judged by that one as well; those of NAT64 are reserved.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inside = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if any(inner is not None and not is_public(str(inner)) for inner in inside):
            return False
        if ip.ipv4_mapped is not None:
            return True
        if ip.is_site_local:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def addresses_of(host: str, port: int) -> list[str]:
    """Every address of a name, in the order to try them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Fetcher:
    """Fetches from `allowed` hosts ("sounds.org", "sounds.org:8443"), `most` bytes each."""

    def __init__(
        self,
        allowed: Sequence[str],
        *,
        most: int,
        resolve: Callable[[str, int], list[str]] = addresses_of,
        public: Callable[[str], bool] = is_public,
    ) -> None:
        self._allowed = {entry.lower().rstrip(".") for entry in allowed}
        self._most = most
        self._resolve = resolve
        self._public = public

    def fetch(self, url: str, *, seconds: float) -> bytes:
        """Get what is at a URL.

        Raises
        ------
        RequestRefused
            400 for a URL that is none, 403 where it may not be fetched, 413 for too much, 502 where it cannot be fetched,
            504 where that takes longer than `seconds`.
        """
        until = time.monotonic() + seconds
        for _ in range(REDIRECTS + 1):
            try:
                found = self._once(url, until)
            except (OSError, http.client.HTTPException, UnicodeError) as error:
                late = time.monotonic() >= until
                raise RequestRefused(
                    f"the URL cannot be fetched ({'it takes too long' if late else type(error).__name__}); give the sound itself",
                    504 if late else 502,
                    "url_not_fetched",
                ) from None
            if isinstance(found, bytes):
                return found
            url = urljoin(url, found)
        raise RequestRefused(
            f"the URL redirects more than {REDIRECTS} times; give the last one", 502, "url_not_fetched"
        )

    def _once(self, url: str, until: float) -> bytes | str:
        """The bytes, or where to look instead."""
        scheme, host, port, path = self._checked(url)
        addresses = self._resolve(host, port)
        if not addresses or not all(map(self._public, addresses)):  # one private address among them is a trick
            raise RequestRefused(
                f"{host} is not at a public address, and nothing else is fetched; give the sound itself",
                403,
                "url_not_allowed",
            )
        connection = _Connection(scheme, host, port, addresses, until)
        end = threading.Timer(max(0.0, until - time.monotonic()), connection.end)  # headers also come drop by drop
        end.daemon = True
        end.start()
        try:
            connection.request("GET", path, headers={"Accept-Encoding": "identity", "User-Agent": "openclap"})
            answer = connection.getresponse()
            if answer.status in (301, 302, 303, 307, 308) and answer.headers["Location"]:
                return str(answer.headers["Location"])
            if answer.status != 200:
                raise RequestRefused(f"the URL answers with status {answer.status}; check it", 502, "url_not_fetched")
            return self._read(answer, until)
        finally:
            end.cancel()
            connection.close()

    def _checked(self, url: str) -> tuple[str, str, int, str]:
        """Scheme, host, port and path of a URL whose host is allowed."""
        try:
            parts = urlsplit(url)
            scheme, host, port = parts.scheme.lower(), (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            scheme, host, port, parts = "", "", None, urlsplit("")
        if scheme not in PORTS or not host or parts.username is not None or not url.isascii() or not url.isprintable():
            raise RequestRefused(
                "the URL is none that is fetched; give http:// or https://, a host, no user, and ASCII alone",
                400,
                "invalid_url",
            )
        name = host if port in (None, PORTS[scheme]) else f"{host}:{port}"
        if not {name, f"{host}:{port or PORTS[scheme]}"} & self._allowed:
            raise RequestRefused(
                f"nothing is fetched from {name}: it is not among the hosts that this server allows; give the sound itself",
                403,
                "url_not_allowed",
            )
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return scheme, host, port or PORTS[scheme], path.replace(" ", "%20")

    def _read(self, answer: http.client.HTTPResponse, until: float) -> bytes:
        found = bytearray()
        while piece := answer.read1(PIECE):
            found += piece
            if len(found) > self._most:
                raise RequestRefused(
                    f"the URL gives more than the {self._most} bytes that are taken; give a part of the sound",
                    413,
                    "body_too_large",
                )
            if time.monotonic() >= until:  # drop by drop is also too long
                raise TimeoutError
        if answer.length or time.monotonic() >= until:  # half a sound is none
            raise http.client.IncompleteRead(b"", answer.length)
        return bytes(found)


class _Connection(http.client.HTTPConnection):
    """To an address that was checked, in the name of its host."""

    def __init__(self, scheme: str, host: str, port: int, addresses: list[str], until: float) -> None:
        super().__init__(host, port, timeout=max(0.1, min(10.0, until - time.monotonic())))
        self._addresses = addresses
        self._secure = scheme == "https"
        self._open: socket.socket | None = None
        self.default_port = PORTS[scheme]  # which the Host header leaves out

    def connect(self) -> None:
        fault: OSError | None = None
        for address in self._addresses:
            try:
                self.sock = socket.create_connection((address, self.port), self.timeout)
                break
            except OSError as error:
                fault = error
        else:
            raise fault or OSError("no address")
        if self._secure:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)
        self._open = self.sock

    def end(self) -> None:
        """Have whoever reads wait no longer."""
        with contextlib.suppress(OSError):
            if self._open is not None:
                self._open.shutdown(socket.SHUT_RDWR)
