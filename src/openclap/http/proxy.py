"""The client, scheme and path that a proxy reports, believed only of proxies that were named.

    X-Forwarded-For      who asks            → client, of the shares and the log
    X-Forwarded-Proto    https, where it ends TLS → scheme
    X-Forwarded-Prefix   /clap, the path that it serves this under → root path

uvicorn reads the first two. Of anybody else all of them are taken away, so that nothing behind this (gradio reads
some) believes them; `X-Forwarded-Host` of a proxy too: any page could set it. The proxy passes the name on as Host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from openclap.errors import UsageError
from openclap.http.headers import App, Receive, Scope, Send

__all__ = ["ProxyHeaders", "TrustedProxies", "check_prefix", "client_key", "route_path"]

PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
SAID = (
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-prefix",
    b"x-forwarded-proto",
    b"x-gradio-server",
)
KEPT = (b"x-forwarded-for", b"x-forwarded-proto")  # of a proxy


def check_prefix(prefix: str) -> str:
    """Check the path that the server is served under: "/clap", or "" for the root.

    Raises
    ------
    UsageError
        It is none.
    """
    path = prefix.rstrip("/")
    if path and not PREFIX.fullmatch(path):
        raise UsageError(f"{prefix!r} is no path to be served under; give one as /clap, or leave it out")
    return path


class TrustedProxies:
    """The addresses or networks of proxies that are believed.

    Raises
    ------
    UsageError
        One is no address.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        try:
            self._networks = [ipaddress.ip_network(address, strict=False) for address in addresses]
        except ValueError as error:
            raise UsageError(f"{error}; give the address of a proxy as 127.0.0.1 or 10.0.0.0/8") from None
        self.addresses = [str(network) for network in self._networks]  # uvicorn takes 10.1.2.3/8 for a name

    def __contains__(self, host: object) -> bool:
        try:
            address = ipaddress.ip_address(str(host))
        except ValueError:
            return False
        return any(address in network for network in self._networks)


class ProxyHeaders:
    """ASGI middleware, outermost.

    Parameters
    ----------
    prefix
        The path that the server is served under where no proxy says another.
    """

    def __init__(self, app: App, *, proxies: TrustedProxies, prefix: str = "") -> None:
        from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

        self._prefix = check_prefix(prefix)
        self._proxies = proxies
        self._app: App = ProxyHeadersMiddleware(app, proxies.addresses)  # type: ignore[arg-type, assignment]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Correct the scope of one request or handshake, and pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        known = (scope.get("client") or ("",))[0] in self._proxies
        prefix = self._prefix
        if known:
            said = next((value for name, value in scope["headers"] if name == b"x-forwarded-prefix"), b"")
            given = said.decode("latin-1").partition(",")[0].strip().rstrip("/")
            prefix = given if PREFIX.fullmatch(given) else prefix
        headers = [one for one in scope["headers"] if one[0] not in SAID or (known and one[0] in KEPT)]
        inner = {**scope, "headers": headers}
        if prefix:
            inner |= _add_prefix(prefix, scope)
        await self._app(inner, receive, send)


def _add_prefix(prefix: str, scope: Scope) -> Scope:
    """Set path and root path as ASGI wants them, whether or not the proxy removed the prefix."""
    path, raw = scope["path"], scope.get("raw_path") or b""
    if path != prefix and not path.startswith(f"{prefix}/"):
        path, raw = prefix + path, prefix.encode() + raw
    return {"root_path": prefix, "path": path, "raw_path": raw}


def route_path(scope: Scope) -> str:
    """The path of a request without the prefix, as routes are written."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if path == root or path.startswith(f"{root}/") else path


def client_key(client: tuple[str, int] | None) -> str:
    """The key that a client is counted by: its IPv4 address, or its /64 network of IPv6."""
    host = client[0] if client else ""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address) if address.is_loopback else str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
