"""docs/evaluation.md and docs/data.md: protocols, tables, definitions and commands are those of the code."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.main import get_command

from openclap import CLAP
from openclap.cli.app import app
from openclap.confidence import DEFAULT_CURVES, has_own_curves
from openclap.data.columns import KNOWN, find_columns
from openclap.data.tars import TARS
from openclap.doctor import examine_installation
from openclap.eval.datasets import read_items
from openclap.eval.metrics import estimate_retrieval, retrieval_ranks
from openclap.eval.protocols import PROTOCOLS
from openclap.eval.report import EvalReport

DOCS = Path(__file__).parent.parent / "docs"
TEXT = (DOCS / "evaluation.md").read_text(encoding="utf-8")
DATA = (DOCS / "data.md").read_text(encoding="utf-8")


def test_every_protocol_has_its_row() -> None:
    rows = {
        row[0].strip(" `"): row
        for row in (line.strip("|").split("|") for line in TEXT.splitlines() if line.startswith("| `"))
    }
    for protocol in PROTOCOLS:
        row = rows[protocol.name]
        assert all(task in row[1] for task in protocol.tasks), protocol.name
        assert int(row[2]) == protocol.judged
        for place in re.findall(r"`([^`<…]+?)`", row[3]):
            first = place.partition("/")[0]
            assert first in protocol.layout, (protocol.name, place)


def test_the_definitions_give_the_numbers() -> None:
    """The table of retrieval, computed as it reads."""
    matrix = np.random.default_rng(0).standard_normal((20, 60))
    clip_of = np.arange(60) // 3
    found = estimate_retrieval(retrieval_ranks(matrix, clip_of), draws=0)
    order = np.argsort(-matrix, axis=0, kind="stable")
    text = np.array([int(np.flatnonzero(order[:, m] == clip_of[m])[0]) for m in range(60)])
    captions = np.argsort(-matrix, axis=1, kind="stable")
    own = [np.flatnonzero(clip_of[captions[n]] == n) for n in range(20)]
    best = np.array([ranks[0] for ranks in own])
    expected = {
        "text_to_audio R@5": np.mean(text < 5), "text_to_audio mean_rank": text.mean() + 1, "text_to_audio median_rank": np.floor(np.median(text)) + 1,
        "text_to_audio mAP@10": np.mean(np.where(text < 10, 1 / (text + 1), 0)),
        "audio_to_text R@5": np.mean(best < 5), "audio_to_text median_rank": np.floor(np.median(best)) + 1,
        "audio_to_text mAP@10": np.mean([sum((i + 1) / (r + 1) for i, r in enumerate(ranks) if r < 10) / 3 for ranks in own]),
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value), name
        assert f"`{name.split()[1]}`".replace("@5", "@k") in TEXT


@pytest.mark.parametrize("page", [TEXT, DATA], ids=["evaluation", "data"])
def test_the_commands_are_there(page: str) -> None:
    """Every verb and option that is shown exists."""
    shown = [line for block in re.findall(r"```bash\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    assert shown
    for line in shown:
        words = shlex.split(re.split(r"\s{3,}", line)[0])
        command = get_command(app)
        for word in words[1:]:
            if word in getattr(command, "commands", {}):
                command = command.commands[word]  # type: ignore[attr-defined]
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= options, line
    named = set(re.findall(r"`(--[a-z0-9-]+)", page))
    everything = {
        name
        for command in _all(get_command(app))
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    assert named <= everything, named - everything


def _all(command: Any) -> Iterator[Any]:
    yield command
    for one in getattr(command, "commands", {}).values():
        yield from _all(one)


def test_the_table_is_read(tmp_path: Path) -> None:
    (table,) = re.findall(r"```csv\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "metadata.csv").write_text(table)
    data = read_items(tmp_path)
    assert [(e.key, e.captions, e.labels, e.fold) for e in data.items] == [
        ("a/1.wav", ("a dog barks twice", "barking in a yard"), ("dog",), "1"), ("a/2.wav", (), ("dog", "rain"), "2"),
    ]  # fmt: skip
    assert data.multi_label


def test_the_report_has_these_fields() -> None:
    listed = set(re.findall(r"`(\w+)`", TEXT[TEXT.index("## The report") :]))
    assert {field.name for field in fields(EvalReport)} | {"format", "version"} <= listed


def test_the_columns_and_endings_are_known() -> None:
    names = [
        name
        for row in re.findall(r"^\| (?:the sound|captions|labels).*?\|(.*)\|$", DATA, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    ]
    assert len(names) > 15
    for name in names:
        assert find_columns((name,)).all == {name}, name
    assert KNOWN
    for ending in re.findall(r"(?<![\w/])(\.(?:tar|tgz)[.\w]*?)(?=[,) ])", DATA):
        assert ending in TARS or ending == ".tar", ending


def test_confidence_says_what_it_was_fitted_on() -> None:
    """When mini changes, this fails: fit its curves anew with runs/mini/confidence.py, which writes them into its config.json."""
    assert has_own_curves(CLAP.from_pretrained("mini"))
    assert examine_installation("mini")["installation"]["confidence"].startswith(
        "fitted for this model: 1998 questions in words"
    )


def test_of_another_model_it_says_so(tmp_path: Path, tokenizer_file: Path) -> None:
    from models_for_tests import small_clap

    small_clap(tokenizer_file).save_pretrained(tmp_path / "model")
    told = examine_installation(str(tmp_path / "model"))["installation"]["confidence"]
    assert told.startswith(f"fitted for mini's third edition ({DEFAULT_CURVES.fingerprint}), not for this one")
    json.dumps(told)
