"""The built files of the front end, from memory: the page itself, its script and its style.

No path of a request is looked up on the disk: what is not among the files that were there at the start is not there.
Browsers keep them, and ask each time whether they are still the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response

from openclap.http.headers import Receive, Scope, Send

__all__ = ["StaticFiles"]

INDEX = "index.html"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
# scripts and styles are files of this server; what it plays and draws may be made in the page
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "connect-src 'self' blob:; font-src 'self'; worker-src 'self' blob:; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors {}"
)


@dataclass(frozen=True)
class _File:
    content: bytes
    kind: str
    etag: str


class StaticFiles:
    """The files below a folder, as an application; `/` is index.html.

    Parameters
    ----------
    frames
        Sites that may frame the page.
    """

    def __init__(self, folder: Path, frames: Sequence[str] = ()) -> None:
        self._files = {
            f"/{path.relative_to(folder).as_posix()}": _read(path)
            for path in (sorted(folder.rglob("*")) if folder.is_dir() else ())
            if path.is_file() and path.suffix in TYPES
        }
        if f"/{INDEX}" in self._files:
            self._files["/"] = self._files[f"/{INDEX}"]
        self._policy = POLICY.format(" ".join(frames) or "'none'")

    def __contains__(self, path: object) -> bool:
        return path in self._files

    def answer(self, path: str, headers: Headers) -> Response:
        """The answer to a request for a file that is there; 304 where the browser has it already."""
        file = self._files[path]
        kept = {"ETag": file.etag, "Cache-Control": "no-cache", "Content-Security-Policy": self._policy}
        known = [one.strip().removeprefix("W/") for one in headers.get("if-none-match", "").split(",")]
        if file.etag in known or "*" in known:
            return Response(status_code=304, headers=kept)
        return Response(file.content, headers={**kept, "Content-Type": file.kind})

    async def __call__(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Answer GET or HEAD for one of the files."""
        await self.answer(path, Headers(scope=scope))(scope, receive, send)


def _read(path: Path) -> _File:
    content = path.read_bytes()
    etag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    return _File(content, TYPES[path.suffix], etag)
