"""Sends an event as one POST to the address that the user named; `sinks.RetryingSink` tries again.

    POST /the/path
    Authorization: Basic …                         where the address holds a user and password
    Content-Type: application/json
    Idempotency-Key: 5f0c…-7.ended                 the same whenever it is sent again
    X-OpenClap-Timestamp: 1767225600               only where there is a secret, as the next line
    X-OpenClap-Signature: sha256=<hex>             HMAC-SHA256 of  "<timestamp>." + body

Redirects are not followed: what was signed for one address is not given to another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from openclap.errors import UsageError
from openclap.watch.sinks import Outcome
from openclap.watch.sources import Tell
from openclap.watch.streams import redact_url

__all__ = ["SECRET", "Webhook", "signature"]

SECRET = "OPENCLAP_WEBHOOK_SECRET"  # environment variable that holds the secret
TIMEOUT = 10.0  # seconds to connect, and for every answer
UNWANTED = {400, 410, 413, 415, 422}  # HTTP status: the receiver has read the event and will never take it


class Webhook:
    """Posts events to `url`, signed with `secret` where there is one."""

    def __init__(self, url: str, secret: str | None = None, *, timeout: float = TIMEOUT) -> None:
        parts = _parts(url)
        if parts is None:
            raise UsageError(
                f"webhook {redact_url(url)!r} is no address to post to; give one like https://example.org/alarms,"
                " without spaces and with ASCII alone"
            )
        self.name, self.address = redact_url(url), url
        self._url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        self._secret, self._timeout = secret, timeout
        self._headers = {"Content-Type": "application/json", "User-Agent": "openclap"}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        self._opener = urllib.request.build_opener(_NoRedirects)

    def send(self, key: str, body: bytes, tell: Tell) -> Outcome:
        """Try once, as `sinks.Sender` says: 2xx is "taken", what the receiver will never want "never", else "later"."""
        headers = {**self._headers, "Idempotency-Key": key}
        if self._secret:
            now = str(int(time.time()))
            headers |= {
                "X-OpenClap-Timestamp": now,
                "X-OpenClap-Signature": f"sha256={signature(self._secret, now, body)}",
            }
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
            error.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            tell(f"{self.name}: cannot be reached ({reason}); events are kept and sent later")
            return "later"
        if 200 <= status < 300:
            return "taken"
        if status in UNWANTED:
            tell(f"{self.name}: refuses an event for good (HTTP {status}); it is left out")
            return "never"
        why = (
            "redirects, which is not followed: name the address it leads to"
            if 300 <= status < 400
            else "takes no event now"
        )
        tell(f"{self.name}: {why} (HTTP {status}); events are kept and sent later")
        return "later"

    def close(self) -> None:
        """Do nothing: no connection is kept."""


def _parts(url: str) -> SplitResult | None:
    """The parts of an address, or None where it could never be posted to."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # no number for a port, half an IPv6 address
        return None
    return parts if good and all("!" <= sign <= "~" for sign in url) else None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The HMAC-SHA256 in hex of the timestamp, a dot and the body; compare it with `hmac.compare_digest`."""
    return hmac.new(
        secret.encode("utf-8", "surrogateescape"), timestamp.encode() + b"." + body, hashlib.sha256
    ).hexdigest()
