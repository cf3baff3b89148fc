"""ui: the page, in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from platformdirs import user_data_path

from openclap.cli.options import Device, Json, LibraryPath, Model, Threads, default_library
from openclap.cli.show import emit, err, plain
from openclap.errors import MissingExtra

__all__ = ["VERBS"]


def ui(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only say where the page is")] = False,
    root: Annotated[
        list[Path] | None,
        typer.Option(
            "--root", help="A folder whose sounds the page may index [default: where you are]; may be repeated"
        ),
    ] = None,
    library: LibraryPath = None,
    model: Model = "mini",
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Open the page in the browser: match, classify, search, moments, library. For this machine alone; Ctrl-C ends it."""
    try:
        from openclap.page.server import run_page
        from openclap.page.settings import PageSettings
    except ImportError as error:
        raise MissingExtra(
            f"openclap ui needs {error.name}, which is not installed; install it with  pip install 'openclap[serve]'"
        ) from error
    settings = PageSettings(
        model=model, device=device, threads=threads, library=str(library or default_library()),
        uploads=user_data_path("openclap") / "uploads", roots=tuple(root or [Path.cwd()]),
    )  # fmt: skip

    def listening(url: str) -> None:
        if as_json:
            emit([{"url": url}])
        else:
            err.print(plain(f"the page is at {url} ; Ctrl-C ends it"))
        if not no_browser:
            import webbrowser

            webbrowser.open(url)

    run_page(settings, port=port, listening=listening)


VERBS = (ui,)
