"""serve and ui: run the HTTP service with the page on it; ui opens a browser."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from platformdirs import user_data_path

from openclap.cli.options import Device, Json, LibraryPath, Model, Precision, Threads, Verbs, default_library
from openclap.cli.show import emit, err, plain
from openclap.errors import MissingExtra, ModelNotHere, UsageError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from openclap.clap import CLAP
    from openclap.serve.settings import ServeSettings

__all__ = ["VERBS", "make_site"]

STATIC = Path(__file__).parents[1] / "serve" / "static"  # the built front end
REACH = "Who may use it"  # a panel of --help
Config = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file of settings (docs/service.md); an option that is given goes before it"),
]
Roots = Annotated[
    list[Path] | None,
    typer.Option(
        "--root", help="A folder of this machine whose sounds the page may index, play and hand out; may be repeated"
    ),
]
RootPath = Annotated[
    str,
    typer.Option(
        "--root-path",
        help="The path that a proxy serves this under, as /clap, where it does not say so",
        rich_help_panel=REACH,
    ),
]
Proxy = Annotated[
    list[str] | None,
    typer.Option(
        "--proxy",
        help="Address of a proxy whose X-Forwarded-For, -Proto and -Prefix are believed; may be repeated",
        rich_help_panel=REACH,
    ),
]
HostName = Annotated[
    list[str] | None,
    typer.Option(
        "--host-name",
        help="A name that the server goes by, beside localhost and addresses; may be repeated",
        rich_help_panel=REACH,
    ),
]


def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; others than this machine's need a key")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one")] = 8000,
    config: Config = None,
    roots: Roots = None,
    library: LibraryPath = None,
    page: Annotated[bool, typer.Option("--page/--no-page", help="The web page, beside the API")] = True,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--models",
            help="A model that the page may load, and fetch, beside those that are on this machine; may be repeated",
        ),
    ] = None,
    detectors: Annotated[
        list[str] | None,
        typer.Option(
            "--detector", help="What was taught, by name or file: /v1/watch may listen for it; may be repeated"
        ),
    ] = None,
    aliases: Annotated[
        list[str] | None,
        typer.Option(
            "--alias",
            help="Another name that requests may call the model, as text-embedding-3-small; * for any; may be repeated",
        ),
    ] = None,
    keys_file: Annotated[
        Path | None,
        typer.Option(
            "--keys-file",
            help="Bearer keys, one a line; beside those of the environment's OPENCLAP_KEYS",
            rich_help_panel=REACH,
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen to others without a key", rich_help_panel=REACH)
    ] = False,
    names: HostName = None,
    origins: Annotated[
        list[str] | None,
        typer.Option(
            "--cors-origin",
            help="A site whose pages may use the API, as https://example.org; may be repeated",
            rich_help_panel=REACH,
        ),
    ] = None,
    frames: Annotated[
        list[str] | None,
        typer.Option(
            "--frame-origin",
            help="A site that may show the page in a frame of its own; may be repeated",
            rich_help_panel=REACH,
        ),
    ] = None,
    proxies: Proxy = None,
    root_path: RootPath = "",
    model: Model = "mini",
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
    precision: Precision = None,
) -> None:
    """Answer over HTTP: embeddings as OpenAI's, classify, match, search, moments, and a web page.

    Logs are JSON lines on stderr.
    """
    tell = _announcement("openclap answers at {0} (how: {0}/docs); Ctrl-C ends it", as_json)
    _run(context, config, tell, keys_file)


def ui(
    context: typer.Context,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only say where the page is")] = False,
    config: Config = None,
    names: HostName = None,
    proxies: Proxy = None,
    root_path: RootPath = "",
    roots: Roots = None,
    library: LibraryPath = None,
    model: Model = "mini",
    as_json: Json = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Open the page in the browser: match, classify, describe, search, moments, watch, teach, library.

    For this machine alone; Ctrl-C ends it.
    """
    tell = _announcement("the page is at {0} ; Ctrl-C ends it", as_json, browse=not no_browser)
    _run(context, config, tell, own={"host": "127.0.0.1", "port": port, "manage": True, "roots": roots or [Path.cwd()]})


def _announcement(sentence: str, as_json: bool, *, browse: bool = False) -> Callable[[str], None]:
    """Make the function that says where the server is, and opens a browser there."""

    def tell(url: str) -> None:
        if as_json:
            emit([{"url": url}])
        else:
            err.print(plain(sentence.format(url)))
        if browse:
            import webbrowser

            webbrowser.open(url)

    return tell


def _run(
    context: typer.Context,
    config: Path | None,
    tell: Callable[[str], None],
    keys_file: Path | None = None,
    own: dict[str, Any] | None = None,
) -> None:
    """Serve; settings of `ui` (`own`) go before options that were given, and these before the file."""
    in_file, options = _read_settings(config), _given_options(context)
    if options.get("page") and in_file.get("page"):  # --page says nothing of what the page may do
        del options["page"]
    given = {**in_file, **options, **(own or {})}
    given.setdefault("library", str(default_library()))
    try:
        from openclap.http.loading import end_loading
        from openclap.http.server import run_server
        from openclap.serve.app import create_app
        from openclap.serve.settings import ServeSettings, read_keys
    except ImportError as error:
        raise MissingExtra(
            f"it needs {error.name}, which is not installed; install openclap's extra 'serve' (docs/install.md)"
        ) from error
    # where files of the library are read from by whoever asks; where nothing is named, wherever they lie
    roots = (*_as_list(given.pop("roots", ())), _uploads_folder())
    keys = (*_as_list(given.pop("keys", ())), *read_keys(keys_file))
    given.setdefault("uploads", _uploads_folder())
    has_page = _take_page(given, is_own=own is not None)
    settings = ServeSettings(**given, roots=roots if len(roots) > 1 else (), keys=keys)
    if not has_page:
        run_server(lambda: create_app(settings), settings, listening=tell)
        return
    run_server(lambda: make_site(settings, wait=own is None), settings, listening=tell, quiet=own is not None)
    end_loading()


def make_site(settings: ServeSettings, *, clap: CLAP | None = None, wait: bool = False) -> FastAPI:
    """The service with its page; the parameters are those of `openclap.serve.site.create_site`."""
    from openclap.serve.site import create_site

    return create_site(settings, STATIC, clap=clap, wait=wait)


def _read_settings(config: Path | None) -> dict[str, Any]:
    """Read the settings of a file.

    Raises
    ------
    UsageError
        It cannot be read, or holds no table.
    """
    if config is None:
        return {}
    import yaml

    try:
        found = yaml.safe_load(Path(os.path.expanduser(config)).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{config}: cannot be read ({' '.join(str(error).split())}); give settings in YAML") from error
    if not isinstance(found, dict | None):
        raise UsageError(f"{config}: holds no settings; write one a line, as  queue: 64")
    return {str(name): value for name, value in (found or {}).items()}


def _given_options(context: typer.Context) -> dict[str, Any]:
    """The options that were given, by their names as settings; without those that are no settings."""
    others = ("config", "keys_file", "no_browser", "as_json", "quiet", "verbose")
    return {
        name: value
        for name, value in context.params.items()
        if name not in others and (source := context.get_parameter_source(name)) and source.name != "DEFAULT"
    }


def _take_page(given: dict[str, Any], *, is_own: bool) -> bool:
    """Take what concerns the page out of the settings that were given → whether there is one; its models are the service's."""
    page, models = given.pop("page", True), _as_list(given.pop("models", None))
    if not isinstance(page, dict | bool | None):
        raise UsageError(f"the setting page is {page!r}; give true or false")
    if isinstance(page, dict):  # the table of settings that it had before
        models += _as_list(page.pop("models", None))
        if page:
            err.print(plain(f"page: {', '.join(sorted(map(str, page)))}: no longer a setting; the page has the limits of the service"))  # fmt: skip
    given["models"] = None if is_own else _loadable_models(given.get("model", "mini"), models)
    return page is not False


def _as_list(value: Any) -> list[Any]:
    """Make a list of a single value; a list stays, nothing becomes an empty one."""
    return value if isinstance(value, list) else [value] if value else []


def _uploads_folder() -> Path:
    """The folder where the page keeps sounds that are uploaded into the library."""
    return user_data_path("openclap") / "uploads"


def _loadable_models(model: str, named: list[str]) -> tuple[str, ...]:
    """The models that a public page may load: those on this machine and those named; no visitor starts a download.

    Raises
    ------
    UnknownModel
        One that was named is neither a preset, nor of an installed package, nor a path that exists, nor a Hub id.
    """
    from openclap.checkpoints.locate import is_available, locate
    from openclap.checkpoints.plugged_models import find_plugged
    from openclap.checkpoints.presets import PRESETS

    for name in named:
        if find_plugged(name) is not None:  # its package is imported when it is loaded
            continue
        with suppress(ModelNotHere):  # it may come to be here while the server runs
            locate(name, fetch=False)
    return tuple(dict.fromkeys([model, *(preset.name for preset in PRESETS if is_available(preset)), *named]))


VERBS: Verbs = {
    serve: ("openclap serve --port 8000 --library ~/library", "openclap serve --config service.yaml"),
    ui: ("openclap ui", "openclap ui --root ~/sounds"),
}
