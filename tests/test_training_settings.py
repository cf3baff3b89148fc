"""Every training setting has a meaning, and docs/training-settings.md and `openclap train --init-config` say it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from openclap.cli.app import app
from openclap.errors import UsageError
from openclap.train.configuration import read_settings
from openclap.train.distillation.settings import Distill, DistillSettings
from openclap.train.explain import commented_yaml, settings_of_class, settings_table, yaml_value
from openclap.train.finetuning.settings import SupervisedSettings, Supervision
from openclap.train.settings import Augment, Lora, Settings, Source
from openclap.train.tagging.settings import MixSettings, TaggerSettings, Tags, TagSettings

ROOT = Path(__file__).parent.parent
KINDS = (Settings, Source, Augment, Lora, SupervisedSettings, Supervision, DistillSettings, Distill, TagSettings, TaggerSettings, MixSettings, Tags)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_setting_says_what_it_means(kind: type) -> None:
    assert [setting.name for setting in settings_of_class(kind) if not setting.meaning] == []


def test_the_page_is_current() -> None:
    """Where this fails:  python scripts/settings_page.py"""
    spec = importlib.util.spec_from_file_location("settings_page", ROOT / "scripts" / "settings_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "training-settings.md").read_text(encoding="utf-8") == module.page()


def test_a_table_says_what_a_setting_may_be() -> None:
    table = settings_table(Settings)
    assert "| `out` | text | must be given | the folder that the model is written to |" in table
    assert '| `loss` | `infonce` or `sigmoid` | `"infonce"` |' in table
    assert "| `learning_rate` | number | `0.0001` |" in table
    assert "`epochs`" not in settings_table(DistillSettings, without=Settings)


@pytest.mark.parametrize("value", [1e-4, 1e-7, 0.999, 3, True, None, "a: b", 'say "x"', ("*", "a"), [], {"a": [1e-5]}])
def test_a_value_is_written_as_yaml_reads_it(value: object) -> None:
    assert yaml.safe_load(yaml_value(value)) == (list(value) if isinstance(value, tuple) else value)


def test_a_configuration_is_written_that_trains_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "new" / "run.yaml"
    done = CliRunner().invoke(app, ["train", "--init-config", str(file)])
    assert done.exit_code == 0, done.output
    settings = read_settings(file)
    assert settings == Settings(out="model", init="mini", sources=(Source("sounds"),), folder=settings.folder)


def test_what_is_commented_out_are_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(commented_yaml().replace("#: ", ""), encoding="utf-8")
    settings = read_settings(file)
    assert settings == Settings(
        out="model", init="mini", sources=(Source("sounds"),), lora=Lora(), folder=settings.folder
    )


def test_a_heading_with_nothing_below_it_leaves_the_defaults(tmp_path: Path) -> None:
    """`distill:` alone, all of it commented out, was refused: "it must be a Distill"."""
    file = tmp_path / "run.yaml"
    file.write_text(
        "out: model\nteacher: mini\nsources:\n- folder: sounds\naugment:\ndistill:\nlora:\n", encoding="utf-8"
    )
    settings = read_settings(file, DistillSettings)
    assert (settings.augment, settings.distill, settings.lora) == (Augment(), Distill(), None)


def test_no_file_is_written_over(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("out: mine\n")
    done = CliRunner().invoke(app, ["train", "--init-config", str(file)])
    assert isinstance(done.exception, UsageError)
    assert "is there already" in str(done.exception)
    assert file.read_text() == "out: mine\n"


@pytest.mark.parametrize("arguments", [[], ["run.yaml", "--init-config", "other.yaml"]])
def test_one_of_the_two_is_given(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, ["train", *arguments])
    assert isinstance(done.exception, UsageError)
    assert "--init-config" in str(done.exception)
