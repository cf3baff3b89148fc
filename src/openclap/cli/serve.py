"""serve: the verb that stays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openclap.cli.options import Device, Json, LibraryPath, Model, Precision, Threads, default_library
from openclap.cli.show import emit, err, plain
from openclap.errors import MissingExtra

__all__ = ["VERBS"]


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
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", help="Fetch sounds from URLs of this host; may be repeated")
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
    patience: Annotated[
        float, typer.Option("--patience", min=0, help="Milliseconds to wait for others to share a batch with")
    ] = 4,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Clips or texts of a batch")] = 16,
    library: LibraryPath = None,
    model: Model = "mini",
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
    precision: Precision = "float32",
) -> None:
    """Answer over HTTP: embeddings as OpenAI's, classify, match, search, moments. Logs are JSON lines on stderr."""
    try:
        from openclap.serve.server import serve as run
    except ImportError as error:
        raise MissingExtra(
            f"openclap serve needs {error.name}, which is not installed; install it with  pip install 'openclap[serve]'"
        ) from error
    from openclap.serve.settings import MIB, Settings, read_keys

    settings = Settings(
        model=model, device=device, threads=threads, precision=precision, library=str(library or default_library()),
        host=host, port=port, keys=read_keys(keys_file), insecure=insecure, fetch_from=tuple(allow_host or ()),
        body_bytes=int(max_body_mb * MIB), memory_bytes=int(max_memory_mb * MIB), audio_seconds=max_seconds, items=max_items,
        results=max_results, queue=queue, request_seconds=timeout, patience_seconds=patience / 1000, batch=batch,
    )  # fmt: skip

    def told(url: str) -> None:
        if as_json:
            emit([{"url": url}])
        else:
            err.print(plain(f"openclap answers at {url} (how: {url}/docs); Ctrl-C ends it"))

    run(settings, listening=told)


VERBS = (serve,)
