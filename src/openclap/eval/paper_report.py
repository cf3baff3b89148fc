"""The numbers of a model beside those of the paper: as data, as JSON, and as a section of a Markdown file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from openclap.eval.published import PAPER
from openclap.eval.report import EvalReport, put_section
from openclap.plurals import count_noun

__all__ = ["PaperReport", "PaperRow", "Skipped", "metric_name", "paper_section", "write_paper_card"]

FORMAT, VERSION = "openclap-paper", 1


@dataclass(frozen=True)
class PaperRow:
    """One number beside the paper's: values are shares, `difference` is ours less the paper's, `row` the paper's row."""

    benchmark: str
    task: str
    metric: str
    value: float
    low: float | None
    high: float | None
    table: int | None = None
    row: str = ""
    published: float | None = None
    difference: float | None = None


@dataclass(frozen=True)
class Skipped:
    """An entry without a number: its benchmark is missing, or there but not usable, and why."""

    name: str
    missing: bool
    reason: str
    source: str


@dataclass(frozen=True)
class PaperReport:
    """All numbers of one model, the reports behind them, and what was skipped.

    `reused` names the entries whose reports were kept by an earlier call; `place` is the folder that keeps them.
    """

    model: str
    fingerprint: str
    runs_on: str
    place: str
    settings: dict[str, Any]
    rows: list[PaperRow]
    reports: dict[str, EvalReport]
    skipped: list[Skipped]
    reused: list[str] = field(default_factory=list)

    @property
    def missing(self) -> list[Skipped]:
        """What is skipped because its benchmark is not in the folder."""
        return [one for one in self.skipped if one.missing]

    @property
    def broken(self) -> list[Skipped]:
        """What is skipped although its benchmark is there."""
        return [one for one in self.skipped if not one.missing]

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, ready for `json.dumps`, with format and version."""
        reports = {name: report.to_dict() for name, report in self.reports.items()}
        return {
            "format": FORMAT,
            "version": VERSION,
            "paper": PAPER,
            **asdict(replace(self, reports={})),
            "reports": reports,
        }


def paper_section(report: PaperReport) -> str:
    """All numbers as a Markdown table, with the settings that a reader needs to repeat them, and what was skipped."""
    settings = ", ".join(
        f"{name} {' · '.join(value) if isinstance(value, list) else value}" for name, value in report.settings.items()
    )
    lines = [
        f"### The tables of {PAPER}",
        "",
        f"{report.model} (`{report.fingerprint}`), {report.runs_on}; {settings}",
        "",
        f"| benchmark | metric | value | 95 % interval | {PAPER} | table, row | difference |",
        "|---|---|---:|---:|---:|---|---:|",
    ]
    for row in report.rows:
        interval = "" if row.low is None or row.high is None else f"{100 * row.low:.1f} to {100 * row.high:.1f}"
        beside = ("", "", "")
        if row.published is not None and row.difference is not None:
            beside = f"{100 * row.published:.1f}", f"{row.table}, {row.row}", f"{100 * row.difference:+.1f}"
        value = f"{100 * row.value:.1f}"
        cells = (row.benchmark, metric_name(row), value, interval, *beside)
        lines.append(f"| {' | '.join(cells)} |")
    notes = [f"{name}: {note}" for name, one in report.reports.items() for note in one.notes]
    failed = [
        f"{name}: {count_noun(len(one.failed), 'sound')} could not be used"
        for name, one in report.reports.items()
        if one.failed
    ]
    skipped = [f"{one.name}: not measured, {one.reason}" for one in report.skipped]
    told = [*notes, *failed, *skipped]
    return "\n".join([*lines, *([""] if told else []), *(f"- {' '.join(note.split())}" for note in told)])


def metric_name(row: PaperRow) -> str:
    """A metric as a table names it: "zero-shot accuracy", "text → audio R@1"."""
    way, _, metric = row.metric.rpartition(" ")
    if way:
        return f"{way.replace('_to_', ' → ')} {metric}"
    return f"{'zero-shot' if row.task == 'zeroshot' else 'probe'} {metric}"


def write_paper_card(report: PaperReport, path: Path) -> None:
    """Write the section into a Markdown file, in place of its older version or at the end.

    Raises
    ------
    UsageError
        The file cannot be read or written.
    """
    put_section(path, f"openclap eval paper {report.model}", paper_section(report))
