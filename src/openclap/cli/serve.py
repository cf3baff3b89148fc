"""serve and ui: the verbs that stay. One server, with the page on it; ui opens a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from platformdirs import user_data_path

from openclap.cli.options import Device, Json, LibraryPath, Model, Precision, Threads, default_library
from openclap.cli.show import emit, err, plain
from openclap.errors import MissingExtra

MIB = 1 << 20
if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["VERBS"]

Root = Annotated[
    list[Path] | None,
    typer.Option(
        "--root", help="A folder of this machine whose sounds the page may index, play and hand out; may be repeated"
    ),
]
RootPath = Annotated[
    str, typer.Option("--root-path", help="The path that a proxy serves this under, as /clap, where it does not say so")
]
Proxy = Annotated[
    list[str] | None,
    typer.Option(
        "--proxy", help="Address of a proxy whose X-Forwarded-For, -Proto and -Prefix are believed; may be repeated"
    ),
]
HostName = Annotated[
    list[str] | None,
    typer.Option("--host-name", help="A name that the server goes by, beside localhost and addresses; may be repeated"),
]


def serve(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; others than this machine's need a key")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one")] = 8000,
    keys_file: Annotated[
        Path | None,
        typer.Option("--keys-file", help="Bearer keys, one a line; beside those of the environment's OPENCLAP_KEYS"),
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Listen to others without a key")] = False,
    host_name: HostName = None,
    proxy: Proxy = None,
    root_path: RootPath = "",
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--cors-origin", help="A site whose pages may use the API, as https://example.org; may be repeated"
        ),
    ] = None,
    frame_origin: Annotated[
        list[str] | None,
        typer.Option("--frame-origin", help="A site that may show the page in a frame of its own; may be repeated"),
    ] = None,
    alias: Annotated[
        list[str] | None,
        typer.Option(
            "--alias",
            help="Another name that requests may call the model, as text-embedding-3-small; * for any; may be repeated",
        ),
    ] = None,
    max_body_mb: Annotated[float, typer.Option("--max-body-mb", min=0.001, help="Size of a request")] = 32,
    max_memory_mb: Annotated[float, typer.Option("--max-memory-mb", min=0.001, help="Of all requests in work")] = 512,
    max_seconds: Annotated[float, typer.Option("--max-seconds", min=0.1, help="Length of a sound")] = 600,
    max_items: Annotated[int, typer.Option("--max-items", min=1, help="Texts, labels or sounds of a request")] = 128,
    max_results: Annotated[int, typer.Option("--max-k", min=1, help="Results of a request")] = 1000,
    queue: Annotated[
        int, typer.Option("--queue", min=1, help="Requests in work and waiting; more are told to come back")
    ] = 64,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds a request may take")] = 60,
    sockets: Annotated[int, typer.Option("--sockets", min=1, help="Websockets that are listened to at once")] = 16,
    idle: Annotated[
        float, typer.Option("--idle", min=0.1, help="Seconds without a message, then a websocket is closed")
    ] = 60,
    patience: Annotated[
        float, typer.Option("--patience", min=0, help="Milliseconds to wait for others to share a batch with")
    ] = 4,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Clips or texts of a batch")] = 16,
    page: Annotated[bool, typer.Option("--page/--no-page", help="The web page, beside the API")] = True,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--models",
            help="A model that the page may load, and fetch, beside those that are on this machine; may be repeated",
        ),
    ] = None,
    detector: Annotated[
        list[str] | None,
        typer.Option(
            "--detector", help="What was taught, by name or file: /v1/watch may listen for it; may be repeated"
        ),
    ] = None,
    root: Root = None,
    library: LibraryPath = None,
    model: Model = "mini",
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
    precision: Precision = "float32",
) -> None:
    """Answer over HTTP: embeddings as OpenAI's, classify, match, search, moments, and a web page. Logs are JSON lines on stderr."""
    settings = {
        "model": model, "device": device, "threads": threads, "precision": precision, "library": str(library or default_library()),
        "detectors": tuple(detector or ()), "host": host, "port": port, "insecure": insecure, "names": tuple(host_name or ()),
        "proxies": tuple(proxy or ()), "root_path": root_path, "origins": tuple(cors_origin or ()), "frames": tuple(frame_origin or ()), "aliases": tuple(alias or ()),
        "memory_bytes": int(max_memory_mb * MIB), "body_bytes": int(max_body_mb * MIB), "audio_seconds": max_seconds, "items": max_items,
        "results": max_results, "queue": queue, "request_seconds": timeout, "sockets": sockets, "idle_seconds": idle, "patience_seconds": patience / 1000, "batch": batch,
    }  # fmt: skip

    def told(url: str) -> None:
        if as_json:
            emit([{"url": url}])
        else:
            err.print(plain(f"openclap answers at {url} (how: {url}/docs); Ctrl-C ends it"))

    _run(
        {**settings, "roots": _readable(root or [])},
        keys_file,
        _page(settings, root or [], _loadable(model, models or [])) if page else None,
        told,
    )


def ui(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only say where the page is")] = False,
    host_name: HostName = None,
    proxy: Proxy = None,
    root_path: RootPath = "",
    root: Root = None,
    library: LibraryPath = None,
    model: Model = "mini",
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Open the page in the browser: match, classify, describe, search, moments, watch, teach, library. For this machine alone; Ctrl-C ends it."""
    settings = {
        "model": model, "device": device, "threads": threads, "library": str(library or default_library()), "host": "127.0.0.1", "port": port,
        "names": tuple(host_name or ()), "proxies": tuple(proxy or ()), "root_path": root_path,
    }  # fmt: skip

    def told(url: str) -> None:
        if as_json:
            emit([{"url": url}])
        else:
            err.print(plain(f"the page is at {url} ; Ctrl-C ends it"))
        if not no_browser:
            import webbrowser

            webbrowser.open(url)

    _run(
        {**settings, "roots": _readable(root or [Path.cwd()])},
        None,
        _page(settings, root or [Path.cwd()], None),
        told,
        quiet=True,
    )


def _uploads() -> Path:
    """Where the page keeps what is uploaded into the library."""
    return user_data_path("openclap") / "uploads"


def _readable(roots: list[Path]) -> tuple[Path, ...]:
    """Where files of the library are read from by whoever asks over HTTP; where nothing is named, wherever they lie."""
    return (*roots, _uploads()) if roots else ()


def _loadable(model: str, named: list[str]) -> tuple[str, ...]:
    """What may be loaded through a page that others than its owner may see: nothing is fetched on a visitor's word."""
    from openclap.checkpoints.locate import here
    from openclap.checkpoints.presets import PRESETS

    return tuple(dict.fromkeys([model, *(preset.name for preset in PRESETS if here(preset)), *named]))


def _page(settings: dict[str, Any], roots: list[Path], models: tuple[str, ...] | None) -> Callable[[FastAPI], object]:
    """What mounts the page: with the model and the library of the service; `models` that it may load, None: any."""

    def mounted(app: FastAPI) -> object:
        from openclap.page.blocks import mount_page
        from openclap.page.settings import PageSettings

        chosen = PageSettings(
            **{name: settings[name] for name in ("model", "device", "threads", "library")},
            models=models, uploads=_uploads(), roots=tuple(roots), detectors=models is None,
        )  # fmt: skip
        return mount_page(app, chosen, clap=app.state.engine.clap)

    return mounted


def _run(
    settings: dict[str, Any],
    keys_file: Path | None,
    page: Callable[[FastAPI], object] | None,
    told: Callable[[str], None],
    *,
    quiet: bool = False,
) -> None:
    try:
        from openclap.serve.server import serve as run
        from openclap.serve.settings import Settings, read_keys

        if page is not None:
            import gradio  # noqa: F401  (missing: told before the model is loaded)
    except ImportError as error:
        raise MissingExtra(
            f"it needs {error.name}, which is not installed; install it with  pip install 'openclap[serve]'"
        ) from error
    run(Settings(**settings, keys=read_keys(keys_file)), page=page, listening=told, quiet=quiet)
    if page is not None:
        from openclap.page.desk import end_loading

        end_loading()


VERBS = (serve, ui)
