"""The documentation pages, /docs and /redoc, from this machine alone.

Scripts and styles come with the package fastapi-offline, not from another host; the browser is told to ask no other
for anything, whatever a script of theirs would like to have (Redoc's would like its maker's logo).
"""

from __future__ import annotations

from pathlib import Path

import fastapi_offline
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from starlette.responses import HTMLResponse

__all__ = ["add_documentation"]

STATIC = "/docs-static"
ONLY_HERE = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def add_documentation(app: FastAPI) -> None:
    """Add both pages to an application that was made without them."""
    folder = Path(str(fastapi_offline.__file__)).parent / "static"  # its files are wanted, not its code
    app.mount(STATIC, StaticFiles(directory=folder), name="docs-static")
    assert app.openapi_url is not None
    openapi, title = app.openapi_url, f"{app.title}: the API"

    @app.get("/docs", include_in_schema=False)
    def docs(request: Request) -> HTMLResponse:
        static = f"{_root(request)}{STATIC}"
        return _kept_here(
            get_swagger_ui_html(
                openapi_url=f"{_root(request)}{openapi}",
                title=title,
                swagger_js_url=f"{static}/swagger-ui-bundle.js",
                swagger_css_url=f"{static}/swagger-ui.css",
                swagger_favicon_url=f"{static}/favicon.png",
                swagger_ui_parameters={"validatorUrl": None},
            )
        )

    @app.get("/redoc", include_in_schema=False)
    def redoc(request: Request) -> HTMLResponse:
        static = f"{_root(request)}{STATIC}"
        return _kept_here(
            get_redoc_html(
                openapi_url=f"{_root(request)}{openapi}",
                title=title,
                redoc_js_url=f"{static}/redoc.standalone.js",
                redoc_favicon_url=f"{static}/favicon.png",
                with_google_fonts=False,
            )
        )


def _root(request: Request) -> str:
    """Get the path that a proxy serves this server under."""
    return str(request.scope.get("root_path", ""))


def _kept_here(page: HTMLResponse) -> HTMLResponse:
    page.headers["Content-Security-Policy"] = ONLY_HERE
    return page
