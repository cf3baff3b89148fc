"""What some tests need besides Python, programs and what make builds: where it is, and what is said once where it is missing.

@pytest.mark.needs("chromium")       skipped without it; `--no-skips` takes any skip for a failure, as CI does
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

__all__ = ["TOOLS", "WEB", "Tool", "find_tool"]

ROOT = Path(__file__).parent.parent
WEB = ROOT / "build" / "web"  # the static page, which is not in the repository
ELSEWHERE = ("/usr/sbin", "/usr/local/sbin")  # where Debian puts servers, which is on no user's PATH


@dataclass(frozen=True)
class Tool:
    """A program, or a file that is built: its names on different systems, what is tested with it, the command that brings it."""

    names: tuple[str, ...]
    what: str
    get: str


TOOLS = {
    "chromium": Tool(
        ("chromium", "chromium-browser", "google-chrome"), "the page in a real browser", "apt-get install chromium"
    ),
    "curl": Tool(("curl",), "the README's requests", "apt-get install curl"),
    "ffmpeg": Tool(("ffmpeg",), "recordings that FFmpeg writes", "apt-get install ffmpeg"),
    "nginx": Tool(("nginx",), "the page and the service behind a proxy", "apt-get install nginx"),
    "web": Tool((str(WEB / "index.html"),), "the page without a server", "make web"),
}


def find_tool(tool: str) -> str | None:
    """Where a program or file of the table lies, or None."""
    if tool == "web":
        return next((name for name in TOOLS[tool].names if Path(name).is_file()), None)
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *ELSEWHERE])
    return next((found for name in TOOLS[tool].names if (found := shutil.which(name, path=path))), None)


# -- hooks of pytest, which conftest.py takes in ------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a test that is skipped has failed")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"needs(tool, ...): skipped where one is missing, of {', '.join(TOOLS)}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if find_tool(name) is None:
                pytest.skip(f"{TOOLS[name].what} (no {name} here: {TOOLS[name].get})")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report: Any = yield
    return _failed_if_skipped(report, item.config)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    report: Any = yield
    return _failed_if_skipped(report, collector.config)


def _failed_if_skipped(report: Any, config: pytest.Config) -> Any:
    if report.skipped and not hasattr(report, "wasxfail") and config.getoption("no_skips"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which --no-skips takes for a failure: {_reason(report)}"
    return report


def _reason(report: Any) -> str:
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return str(told).removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    if skipped:
        parts = [f"{reason}, {count} test{'s' * (count > 1)}" for reason, count in sorted(skipped.items())]
        terminalreporter.write_line(f"NOT TESTED: {'; '.join(parts)}", red=True, bold=True)
