"""The page by itself, on the server that the service has as well; and as a Hugging Face Space runs it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from openclap.page.settings import MIB, PageSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from openclap.http.settings import ServerSettings

__all__ = ["make_app", "run_page", "run_space"]

ENDING = 3.0  # seconds that a server of the page alone waits for answers


def make_app(settings: PageSettings, server: ServerSettings) -> FastAPI:
    """The page as an application, with what every server has around it."""
    from openclap.http.app import new_app, protect
    from openclap.page.blocks import mount_page

    app = new_app(openapi_url=None)
    mount_page(app, settings)
    protect(app, server)
    return app


def run_page(
    settings: PageSettings, server: ServerSettings, listening: Callable[[str], None] = lambda url: None
) -> None:
    """Serve the page until a signal comes; `listening` is told its address once it answers.

    Raises
    ------
    UsageError
        The address cannot be listened on.
    """
    from openclap.http.loading import end_loading
    from openclap.http.server import run_server

    run_server(lambda: make_app(settings, server), server, listening=listening, quiet=True)
    end_loading()


def run_space() -> None:
    """Serve the page as a Hugging Face Space does, where GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say.

    Every visitor has a library of their own, which is forgotten when they leave; no folder of the server can be
    indexed, and only the models of the list are loaded. On a Space everybody comes through its proxy, and its site
    may show the page in a frame.
    """
    from openclap.http.hosts import is_loopback
    from openclap.http.settings import ServerSettings

    page = PageSettings(
        models=("mini", "laion/clap-htsat-fused", "laion/clap-htsat-unfused"),
        upload_bytes=50 * MIB,
        kept_bytes=2048 * MIB,
        audio_seconds=1800.0,
    )
    host, is_space = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), "SPACE_ID" in os.environ
    server = ServerSettings(
        host=host,
        port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")),
        public=not is_loopback(host),
        proxies=("0.0.0.0/0", "::/0") if is_space else (),
        frames=("https://huggingface.co",) if is_space else (),
        request_seconds=ENDING,
    )
    run_page(page, server, lambda url: print(f"the page is at {url}", flush=True))
