"""Errors of openclap and of the framework → what clients of the service are told of them."""

from __future__ import annotations

import logging
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi import Request as HttpRequest
from starlette.exceptions import HTTPException

from openclap.errors import LibraryError, LibraryMismatch, ModelError, OpenClapError, RequestRefused, SoundError
from openclap.http.error_responses import HINTS, error_response

__all__ = ["add_error_answers", "refusal_of"]

STATUSES = {
    404: ("there is no such route; see /docs", "not_found"),
    405: ("this route has no such method", "method_not_allowed"),
}
log = logging.getLogger("openclap.serve")


def add_error_answers(app: FastAPI) -> None:
    """Answer errors of openclap and of the framework as every route does."""
    app.add_exception_handler(OpenClapError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http_error)


async def _answer_error(request: HttpRequest, error: Exception) -> Response:
    """Answer an error of openclap."""
    assert isinstance(error, OpenClapError)
    return error_response(refusal_of(error, request.url.path), request.scope)


def refusal_of(error: OpenClapError, route: str) -> RequestRefused:
    """What a client is told of an error; details that may name files of the server go to the log only."""
    sentence, code = error.say(HINTS), "invalid_request"
    if isinstance(error, RequestRefused):
        return error
    if isinstance(error, SoundError):
        code = _code_of(error)
    elif isinstance(error, LibraryError | ModelError) or error.http_status >= 500:
        log.error(str(error), extra={"facts": {"route": route}})
        code = _code_of(error)
        what = "library" if isinstance(error, LibraryError) else "model"
        maker = error.maker if isinstance(error, LibraryMismatch) else None
        fault = f"was made by another model ({Path(maker).name})" if maker else "cannot be used now; its log says why"
        sentence = f"the server's {what} {fault}"
        if error.hints:
            sentence += f"; whoever runs it can {', or '.join(hint.say(HINTS) for hint in error.hints)}"
    return RequestRefused(sentence, error.http_status, code)


async def _answer_http_error(request: HttpRequest, error: Exception) -> Response:
    """Answer an error of the framework: an unknown route, another method, a broken form."""
    assert isinstance(error, HTTPException)
    sentence, code = STATUSES.get(error.status_code, (str(error.detail), "invalid_request"))
    response = error_response(RequestRefused(sentence, error.status_code, code), request.scope)
    if error.headers and "Allow" in error.headers:
        allowed = set(error.headers["Allow"].split(", "))
        response.headers["Allow"] = ", ".join(
            sorted(allowed | ({"GET", "HEAD"} if allowed & {"GET", "HEAD"} else set()))
        )
    return response


def _code_of(error: OpenClapError) -> str:
    """Make an error code of a class name: UnreadableSound → unreadable_sound."""
    return "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in type(error).__name__).lstrip("_")
