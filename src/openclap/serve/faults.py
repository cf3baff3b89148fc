"""Errors as answers, in OpenAI's shape. Knows nothing of what was asked."""

from __future__ import annotations

import json
import math

from openclap.errors import RequestRefused
from openclap.http.headers import Scope, Send

__all__ = ["fault_of", "refuse_socket"]

TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def fault_of(refusal: RequestRefused) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an error, in OpenAI's shape."""
    status = refusal.http_status
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    fault = {"message": " ".join(str(refusal).split()), "type": kind, "code": refusal.code, "param": None}
    body = json.dumps({"error": fault}, ensure_ascii=True).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    if refusal.retry_after is not None:
        headers["retry-after"] = str(math.ceil(refusal.retry_after))
    return status, headers, body


async def refuse_socket(scope: Scope, send: Send, refusal: RequestRefused) -> None:
    """An error in place of a handshake; a server that can only close says 403."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    status, headers, body = fault_of(refusal)
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "websocket.http.response.start", "status": status, "headers": raw})
    await send({"type": "websocket.http.response.body", "body": body})
