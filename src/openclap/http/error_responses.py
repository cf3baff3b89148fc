"""Errors as answers: JSON in OpenAI's shape, for requests and for handshakes of websockets."""

from __future__ import annotations

import json
import math

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from openclap.errors import RequestRefused
from openclap.http.proxy import route_path

__all__ = ["HINTS", "error_response"]

POLICY_VIOLATION = 1008  # a close code of RFC 6455
# what to do about an error: what whoever asks can do, or whoever runs the server, and none of its places
HINTS = {
    "alerts": 'give alerts, as ["glass breaking"], or "unusual": true',
    "carry": "fetch the model on a machine with a network and carry it over",
    "fill": "fill it",
    "models": "choose another name",
    "other_library": "take another library",
    "pull": "fetch the model",
    "rate": "give the rate of the samples, with their channels and format",
    "reembed": "embed it anew",
    "refit": "teach it anew by the examples that were kept",
    "repair": "repair it",
    "restart": "start it anew",
    "same_model": "load the model that made it",
    "teach": "teach it",
    "train_head": "train a head for this model",
    "use_model": "load the model {name}",
}
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ErrorResponse(Response):
    """A response that also ends the handshake of a websocket; where a server can only close it, the client sees 403."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            await WebSocketClose(POLICY_VIOLATION)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def error_response(refusal: RequestRefused, scope: Scope) -> Response:
    """Make the answer to a refused request or handshake: `await error_response(…)(scope, receive, send)`."""
    status = refusal.http_status
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    details = {"message": " ".join(str(refusal).split()), "type": kind, "code": refusal.code, "param": None}
    headers = {}
    if refusal.retry_after is not None:
        headers["retry-after"] = str(math.ceil(refusal.retry_after))
    if status == 401:  # a browser asks its user for the password
        bearer = scope["type"] == "websocket" or route_path(scope).startswith("/v1/")
        headers["www-authenticate"] = "Bearer" if bearer else 'Basic realm="openclap", charset="UTF-8"'
    return ErrorResponse(json.dumps({"error": details}), status, headers, "application/json")
