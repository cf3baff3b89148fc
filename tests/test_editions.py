"""What was made with an earlier edition of mini: told by a name that loads, searched with it, and embedded anew on request."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from openclap import CLAP
from openclap.checkpoints import presets
from openclap.checkpoints.locate import packaged_folder
from openclap.checkpoints.presets import PRESETS, find_preset, maker_display_name, name_to_load
from openclap.cli.app import app

THIRD = "86b7c91662cc86f7"  # mini's third edition, as libraries and detectors remember it


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is once mini has other weights."""
    moved = tuple(replace(one, fingerprint="4" * 16) if one.name == "mini" else one for one in PRESETS)
    monkeypatch.setattr(presets, "PRESETS", moved)


@pytest.mark.parametrize("name", [preset.name for preset in PRESETS if preset.repo is None])
def test_the_table_tells_the_weights_that_come_with_openclap(name: str) -> None:
    """Whoever changes the weights of mini writes their fingerprint there, or what was made with them could not be told."""
    preset = find_preset(name)
    clap = CLAP.from_pretrained(name)
    assert preset is not None
    assert (clap.name, clap.fingerprint) == (name, preset.fingerprint)


def test_the_third_edition_is_loaded_by_its_own_name() -> None:
    clap = CLAP.from_pretrained("mini-3", strict=True)
    assert (clap.fingerprint, clap.config.embedding) == (THIRD, 256)
    assert clap.encode_text("a dog barking")[0, :3] == pytest.approx([-0.12389, -0.01607, 0.03622], abs=1e-4)
    names = {file.name for file in packaged_folder("mini-3").iterdir()}
    assert {"README.md", "CREDITS.csv", "config.json", "model.safetensors", "tokenizer.json"} <= names
    assert sum(file.stat().st_size for file in packaged_folder("mini-3").iterdir()) <= 16_000_000


def test_models_lists_it_with_its_size() -> None:
    done = CliRunner().invoke(app, ["models", "--json"])
    (row,) = [row for line in done.stdout.splitlines() if (row := json.loads(line))["name"] == "mini-3"]
    assert row["here"]
    assert "16 MB" in row["what"]
    assert row["fingerprint"] == THIRD


@pytest.mark.usefixtures("later")
def test_a_maker_goes_by_the_name_that_loads_it_today() -> None:
    assert name_to_load("mini", THIRD) == name_to_load("mini-3", THIRD) == maker_display_name("mini", THIRD) == "mini-3"
    assert name_to_load("mini", "4" * 16) == "mini"
    assert name_to_load("mini", "0" * 16) is None
    assert maker_display_name("mini", "0" * 16) == "another mini"
    assert name_to_load("laion/clap-htsat-fused", "0" * 16) == "laion/clap-htsat-fused"
    assert (
        name_to_load("laion/clap-htsat-fused", "0" * 16, at_work="laion/clap-htsat-fused") is None
    )  # another copy of it
    assert (
        maker_display_name("laion/clap-htsat-fused", "0" * 16, "laion/clap-htsat-fused")
        == "another laion/clap-htsat-fused"
    )
    assert name_to_load("mini", "4" * 16, at_work="mini") == "mini"  # a folder with other weights has its name
    assert name_to_load("my-own", "0" * 16) is None
    assert maker_display_name("my-own", "0" * 16) == "my-own"


def test_while_a_name_still_loads_it_that_is_its_name() -> None:
    preset = find_preset("mini")
    assert preset is not None
    assert name_to_load("mini", str(preset.fingerprint)) == "mini"
