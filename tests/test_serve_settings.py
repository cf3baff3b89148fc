"""What can be chosen about a server: a file of settings, options before it, and one sentence for what cannot be."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from openclap.cli import app as cli
from openclap.errors import OpenClapError, UsageError
from openclap.http.settings import ServerSettings
from openclap.serve.settings import ServeSettings

DOCS = Path(__file__).parents[1] / "docs" / "service.md"
KEY = "a-key-that-is-long-enough"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[ServeSettings, bool]]:
    """A verb with a file and options → what the server would be started with, and whether with the page."""
    monkeypatch.setenv("OPENCLAP_LIBRARY", str(tmp_path / "of-the-environment"))
    monkeypatch.delenv("OPENCLAP_KEYS", raising=False)

    def started(text: str, *options: str, verb: str = "serve") -> tuple[ServeSettings, bool]:
        made: list[tuple[ServeSettings, bool]] = []
        monkeypatch.setattr("openclap.http.server.run_server", lambda make_app, settings, **_: make_app())
        monkeypatch.setattr("openclap.serve.app.create_app", lambda settings: made.append((settings, False)))
        monkeypatch.setattr(
            "openclap.serve.site.create_site", lambda settings, static, **_: made.append((settings, True))
        )
        monkeypatch.setattr("openclap.http.loading.end_loading", lambda: None)
        file = tmp_path / "settings.yaml"
        file.write_text(text, encoding="utf-8")
        done = CliRunner().invoke(cli.app, [verb, "--config", str(file), *options])
        if done.exception is not None:
            assert isinstance(done.exception, OpenClapError), done.output
            raise done.exception
        return made[0]

    return started


def test_a_file_of_settings(run: Callable[..., Any], tmp_path: Path) -> None:
    settings, page = run(
        f"queue: 4\nbody_bytes: 64 MiB\nnames: sounds.example\nkeys: [{KEY}]\nhost: 0.0.0.0\nroots: {tmp_path}\n"
        "patience_seconds: 0\nmodels: laion/clap-htsat-fused\n"
    )
    assert (settings.queue, settings.body_bytes, settings.names) == (4, 64 << 20, ("sounds.example",))
    assert (settings.keys, settings.host, settings.port, settings.patience_seconds) == ((KEY,), "0.0.0.0", 8000, 0)
    assert settings.library == str(tmp_path / "of-the-environment")
    assert settings.roots[0] == tmp_path  # and what is uploaded
    assert page
    assert {"mini", "laion/clap-htsat-fused"} <= set(settings.models)


def test_the_table_that_the_page_had_says_what_became_of_it(
    run: Callable[..., Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that was set up with it starts as before."""
    told: list[str] = []
    monkeypatch.setattr("openclap.cli.serve.err.print", lambda text: told.append(str(text)))
    settings, page = run("page:\n  upload_bytes: 1 MiB\n  watches: 2\n  models: [laion/clap-htsat-fused]\n")
    assert page
    assert "laion/clap-htsat-fused" in settings.models
    assert told == ["page: upload_bytes, watches: no longer a setting; the page has the limits of the service"]


def test_options_go_before_the_file(run: Callable[..., Any], tmp_path: Path) -> None:
    text = f"port: 1\nqueue: 4\nhost: 127.0.0.2\nlibrary: {tmp_path}\nmodel: mini-3\n"
    settings, page = run(text, "--port", "8000", "--library", "here", "--no-page", "--alias", "a", "--alias", "b")
    assert (settings.port, settings.queue, settings.host) == (8000, 4, "127.0.0.2")
    assert (settings.library, settings.model, settings.aliases) == ("here", "mini-3", ("a", "b"))
    assert not page
    assert not run("page: false")[1]
    assert run("page: false", "--page")[1]
    settings, page = run("page: {models: laion/clap-htsat-fused}", "--page", "--models", "laion/clap-htsat-unfused")
    assert page
    assert {"laion/clap-htsat-fused", "laion/clap-htsat-unfused"} <= set(settings.models)


def test_the_page_of_its_owner_may_do_more(run: Callable[..., Any]) -> None:
    settings, page = run("host: 0.0.0.0\nport: 1\nroots: []\n", verb="ui")
    assert (settings.host, settings.port) == ("127.0.0.1", 0)
    assert page
    assert settings.roots[0] == Path.cwd()
    assert (settings.models, settings.manage) == (None, True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("queues: 4", "there is no setting 'queues'; there are aliases, audio_seconds"),
        ("queue: many", "the setting queue is 'many'; it must be a valid integer"),
        ("queue: 0", "the setting queue is 0; it must be greater than 0"),
        ("body_bytes: lots", "the setting body_bytes is 'lots'; it must be a size, as 32 MiB"),
        ("port: 70000", "the setting port is 70000; it must be less than or equal to 65535"),
        ("names: [a, [b]]", "the setting names.1 is "),
        ("keys: short", "fewer than 16 characters"),
        ("page: 1", "the setting page is 1; give true or false"),
        ("- a list", "holds no settings; write one a line"),
        ("a: [", "cannot be read (while parsing"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(run: Callable[..., Any], text: str, says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)) as fault:
        run(text)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"names": "no name!"}, "'no name!' is no name of a server; "),
        ({"root_path": "no path"}, ""),
        ({"origins": "*"}, "'*' is no site; "),
        ({"keys": "hunter2-hunter2"}, "a key has fewer than 16 characters; "),
    ],
)
def test_a_fault_tells_no_key(wrong: dict[str, Any], says: str) -> None:
    """Any wrong name, site or path printed all settings that were given, keys too, and so did a short key."""
    given: dict[str, Any] = {"keys": (KEY,), **wrong}
    with pytest.raises(UsageError) as fault:
        ServeSettings(**given)
    assert str(fault.value).startswith(says)
    assert KEY not in str(fault.value)
    assert "hunter2" not in str(fault.value)
    assert "the setting" not in str(fault.value)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        ServerSettings().port = 1
    assert KEY not in repr(ServeSettings(keys=(KEY,)))


def test_every_setting_is_documented() -> None:
    """docs/service.md has a row for each, and none for what there is not."""
    told = DOCS.read_text(encoding="utf-8").partition("## Limits")[2].partition("\n## ")[0]
    first = [row.split("|")[1] for row in told.splitlines() if row.startswith("| `")]
    named = {name for cell in first for name in re.findall(r"`(\w+)`", cell)}
    assert named - {"page"} == set(ServeSettings.model_fields)


def test_the_table_s_numbers_are_the_defaults() -> None:
    told = DOCS.read_text(encoding="utf-8")
    for name, default in re.findall(r"^\| `(\w+)` \| (\d+)(?: \|)", told, re.MULTILINE):
        assert int(default) == ServeSettings.model_fields[name].default, name
