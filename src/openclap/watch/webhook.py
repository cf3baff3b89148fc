"""An event → one POST to the address that the user named. Knows nothing of when to try again.

    POST /the/path
    Authorization: Basic …                         where the address holds a user and password
    Content-Type: application/json
    Idempotency-Key: 5f0c…-7.ended                 the same whenever it is sent again
    X-OpenClap-Timestamp: 1767225600               where there is a secret:
    X-OpenClap-Signature: sha256=<hex>             HMAC-SHA256 of  "<timestamp>." + body

Redirects are not followed: what was signed for one address is not handed to another.
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

SECRET = "OPENCLAP_WEBHOOK_SECRET"  # the environment's name for it
TIMEOUT = 10.0  # seconds to connect, and for every answer
UNWANTED = {400, 410, 413, 415, 422}  # the receiver has read it and will never want it


class Webhook:
    """Posts to `url`; signs with `secret` where there is one."""

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
        self._opener = urllib.request.build_opener(_Here)

    def send(self, key: str, body: bytes, tell: Tell) -> Outcome:
        """As `sinks.Sender`: 2xx is taken, what the receiver will never want is not sent again, anything else is."""
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
        """Nothing is held."""


def _parts(url: str) -> SplitResult | None:
    """An address's parts; None where it could never be posted to."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # no number for a port, half an IPv6 address
        return None
    return parts if good and all("!" <= sign <= "~" for sign in url) else None


class _Here(urllib.request.HTTPRedirectHandler):
    """Goes nowhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Hex HMAC-SHA256 of timestamp, a dot and the body; compare it with `hmac.compare_digest`."""
    return hmac.new(
        secret.encode("utf-8", "surrogateescape"), timestamp.encode() + b"." + body, hashlib.sha256
    ).hexdigest()
