"""The report of an evaluation, as one JSON object and as a section of a model card in Markdown."""

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
from openclap.regular_files import read_regular
from openclap.results import Failure

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = [
    "ClassScore",
    "EvalReport",
    "card_section",
    "new_report",
    "put_section",
    "read_report",
    "write_card",
    "write_report",
]

FORMAT, VERSION = "openclap-eval", 1
UNBOUNDED = ("mean_rank", "median_rank")  # metrics that are no shares, so not written in percent


@dataclass(frozen=True)
class ClassScore:
    """The score of one class, how many judged examples have it, and which class it was most often taken for."""

    label: str
    examples: int
    score: float | None  # accuracy or average precision; None where there is no example
    taken_for: str | None = None


@dataclass(frozen=True)
class EvalReport:
    """The result of one evaluation: model, task and data set, and metrics with their 95 % confidence intervals."""

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
        """Plain values only, ready for `json.dumps`, with format and version."""
        return {"format": FORMAT, "version": VERSION, **asdict(self)}


def new_report(clap: CLAP, task: str, dataset: str, **facts: Any) -> EvalReport:
    """Make a report about a model; `facts` are its other fields."""
    return EvalReport(
        task=task,
        dataset=dataset,
        protocol=facts.pop("protocol", None),
        model=clap.name,
        fingerprint=clap.fingerprint,
        runs_on=str(clap.backend.info),
        **facts,
    )


def write_report(report: EvalReport, path: Path) -> None:
    """Write the report as indented JSON."""
    write_text(path, json.dumps(report.to_dict(), indent=1, ensure_ascii=True, allow_nan=False) + "\n")


def read_report(path: Path, key: str) -> EvalReport | None:
    """A report that was kept under a key; None where there is none, or one of another key, format or version."""
    try:
        found = json.loads(read_regular(path))
        if (found.pop("format"), found.pop("version"), found.pop("key")) != (FORMAT, VERSION, key):
            return None
        return EvalReport(
            **{
                **found,
                "metrics": {name: Estimate(**one) for name, one in found["metrics"].items()},
                "classes": [ClassScore(**one) for one in found["classes"]],
                "failed": [Failure(**one) for one in found["failed"]],
            }
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # it is computed anew


def write_card(report: EvalReport, path: Path) -> None:
    """Write the report's section into a Markdown file, in place of its older version or at the end."""
    kind = report.settings.get("kind", "")
    name = f"openclap eval {report.task} {report.protocol or report.dataset} {kind}".strip()
    put_section(path, name, card_section(report))


def put_section(path: Path, name: str, section: str) -> None:
    """Write a section into a Markdown file, in place of that of the same name or at the end; all else stays.

    Raises
    ------
    UsageError
        The file cannot be read or written, or the section in it has no end.
    """
    name = re.sub(r"-{2,}|[<>\n]", "-", name)  # an HTML comment must not hold "--"
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    section = f"{begin}\n{section}\n{end}\n"
    try:
        text = read_regular(path).decode() if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); give a Markdown file in UTF-8") from error
    old = re.compile(re.escape(begin) + r"\n.*?" + re.escape(end) + r"\n?", re.DOTALL)
    if old.search(text):
        text = old.sub(lambda _: section, text, count=1)
    elif begin in text:
        raise UsageError(f"{path}: {begin} has no {end} after it; remove the one or write the other")
    else:
        text = f"{text.rstrip()}\n\n{section}" if text.strip() else section
    write_text(path, text, errors="backslashreplace")  # for file names that are no UTF-8


def card_section(report: EvalReport) -> str:
    """The metrics as a Markdown table, with the settings that a reader needs to repeat them."""
    settings = ", ".join(f"{name} {_as_text(value)}" for name, value in report.settings.items() if value is not None)
    lines = [
        f"### {report.task}: {report.protocol or report.dataset}",
        "",
        (
            f"{report.model} (`{report.fingerprint}`), {count_noun(report.examples, 'sound')}, {len(report.failed)}"
            f" failed; {settings}"
        ),
        "",
        "| metric | value | 95 % interval |" + (" arXiv 2211.06687 |" if report.published else ""),
        "|---|---:|---:|" + ("---:|" if report.published else ""),
    ]
    for name, estimate in report.metrics.items():
        low = "" if estimate.low is None else f"{_cell(name, estimate.low)} to {_cell(name, estimate.high)}"
        published = report.published.get(name)
        extra = f" {'' if published is None else _cell(name, published)} |" if report.published else ""
        lines.append(f"| {name.replace('_', ' ')} | {_cell(name, estimate.value)} | {low} |{extra}")
    return "\n".join([*lines, *([""] if report.notes else []), *(f"- {note}" for note in report.notes)])


def _as_text(value: Any) -> str:
    return " · ".join(map(str, value)) if isinstance(value, list) else str(value)


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if name.endswith(UNBOUNDED) else f"{100 * value:.1f} %"
