"""What the documents show is true: their configurations are read, their commands and files are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from openclap.train.configuration import read_yaml, settings_of
from openclap.train.distillation.settings import DistillSettings
from openclap.train.finetuning.settings import SupervisedSettings
from openclap.train.settings import Settings
from openclap.train.tagging.settings import TagSettings

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("training", Settings),
        ("finetuning", SupervisedSettings),
        ("distillation", DistillSettings),
        ("tagging", TagSettings),
    ],
)
def test_training_configurations_are_read(tmp_path: Path, page: str, kind: type[Settings]) -> None:
    found = blocks(ROOT / "docs" / f"{page}.md", "yaml")
    assert found
    for text in found:
        (tmp_path / "run.yaml").write_text(text)
        settings = settings_of({"out": "x", **read_yaml(tmp_path / "run.yaml")}, tmp_path, page, kind)
        if settings.model and kind is Settings:
            settings.config()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_that_are_named_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    named = re.findall(r"`(?:python )?((?:tests|bench|runs|docs|src)/[\w./-]+\.(?:py|sh|md|yaml|csv))", text)
    missing = [name for name in linked if not (page.parent / name).exists()]
    missing += [name for name in named if not (ROOT / name).exists()]
    assert not missing
