"""What an evaluation found: one JSON object, and a section of a model card in Markdown.

Knows nothing of how it was found.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openclap.atomic_write import write_text
from openclap.errors import UsageError
from openclap.eval.metrics import Estimate
from openclap.plurals import count_noun
from openclap.results import Failure

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = ["ClassScore", "Report", "card_section", "new_report", "write_card", "write_report"]

UNBOUNDED = ("mean_rank", "median_rank")  # metrics that are no shares


@dataclass(frozen=True)
class ClassScore:
    """One class: how many judged examples have it, its score, and what it was most often taken for."""

    label: str
    examples: int
    score: float | None  # accuracy, or average precision; None where there is no example
    taken_for: str | None = None


@dataclass(frozen=True)
class Report:
    """A model, a task, and the numbers with their 95 % confidence intervals."""

    task: str
    dataset: str
    protocol: str | None
    model: str
    fingerprint: str
    runs_on: str
    examples: int
    settings: dict[str, Any]
    metrics: dict[str, Estimate]
    classes: list[ClassScore] = field(default_factory=list)
    folds: dict[str, float] = field(default_factory=dict)
    published: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, ready for `json.dumps`; it names its format."""
        return {"format": "openclap-eval", "version": 1, **asdict(self)}


def new_report(clap: CLAP, task: str, dataset: str, **facts: Any) -> Report:
    """A report that knows which model it is about."""
    return Report(
        task=task,
        dataset=dataset,
        protocol=facts.pop("protocol", None),
        model=clap.name,
        fingerprint=clap.fingerprint,
        runs_on=str(clap.backend.info),
        **facts,
    )


def write_report(report: Report, path: Path) -> None:
    """The report as indented JSON, written aside and renamed."""
    write_text(path, json.dumps(report.to_dict(), indent=1, ensure_ascii=True, allow_nan=False) + "\n")


def write_card(report: Report, path: Path) -> None:
    """Put the section of this report into a Markdown file: where an older one stands between its markers, else at the end."""
    begin, end = _markers(report)
    section = f"{begin}\n{card_section(report)}\n{end}\n"
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); give a Markdown file in UTF-8") from error
    old = re.compile(re.escape(begin) + r"\n.*?" + re.escape(end) + r"\n?", re.DOTALL)
    if old.search(text):
        text = old.sub(lambda _: section, text, count=1)
    elif begin in text:
        raise UsageError(f"{path}: {begin} has no {end} after it; remove the one or write the other")
    else:
        text = f"{text.rstrip()}\n\n{section}" if text.strip() else section
    write_text(path, text, errors="backslashreplace")  # of odd file names


def card_section(report: Report) -> str:
    """The numbers as a Markdown table, with what a reader must know to repeat and to judge them."""
    done = ", ".join(f"{name} {_as_text(value)}" for name, value in report.settings.items() if value is not None)
    lines = [
        f"### {report.task}: {report.protocol or report.dataset}",
        "",
        (
            f"{report.model} (`{report.fingerprint}`), {count_noun(report.examples, 'sound')}, {len(report.failed)}"
            f" failed; {done}"
        ),
        "",
        "| metric | value | 95 % interval |" + (" arXiv 2211.06687 |" if report.published else ""),
        "|---|---:|---:|" + ("---:|" if report.published else ""),
    ]
    for name, estimate in report.metrics.items():
        low = "" if estimate.low is None else f"{_cell(name, estimate.low)} to {_cell(name, estimate.high)}"
        told = report.published.get(name)
        extra = f" {'' if told is None else _cell(name, told)} |" if report.published else ""
        lines.append(f"| {name.replace('_', ' ')} | {_cell(name, estimate.value)} | {low} |{extra}")
    return "\n".join([*lines, *([""] if report.notes else []), *(f"- {note}" for note in report.notes)])


def _as_text(value: Any) -> str:
    return " · ".join(map(str, value)) if isinstance(value, list) else str(value)


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if name.endswith(UNBOUNDED) else f"{100 * value:.1f} %"


def _markers(report: Report) -> tuple[str, str]:
    name = f"openclap eval {report.task} {report.protocol or report.dataset} {report.settings.get('kind', '')}".strip()
    name = re.sub(r"-{2,}|[<>\n]", "-", name)  # a comment of HTML may hold no "--"
    return f"<!-- {name} -->", f"<!-- end of {name} -->"
