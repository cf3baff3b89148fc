"""What is said of tests that need a program which is not here: one line, and in CI a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tools_for_tests import TOOLS, Tool, find_tool

CONFTEST = """
from tools_for_tests import pytest_addoption, pytest_configure, pytest_make_collect_report
from tools_for_tests import pytest_runtest_makereport, pytest_runtest_setup, pytest_terminal_summary
"""
TESTS = """
import pytest

@pytest.mark.needs("chromium")
@pytest.mark.parametrize("one", [1, 2])
def test_page(one): pass

def test_other(): pytest.skip("another reason")

def test_that_runs(): pass
"""


def _suite(place: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Another suite with the same hooks, where there are no programs at all."""
    (place / "conftest.py").write_text(CONFTEST)
    (place / "test_it.py").write_text(TESTS)
    known = {"PATH": str(place), "PYTHONPATH": os.pathsep.join(sys.path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(place), *options]
    return subprocess.run(command, cwd=place, env=known, capture_output=True, text=True, check=False)


def test_what_is_not_tested_is_one_line(tmp_path: Path) -> None:
    """Without a browser 32 tests were errors; the suite of a machine without one is green, and says what it has not tested."""
    done = _suite(tmp_path)
    assert done.returncode == 0, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "NOT TESTED" in line]
    assert "the page in a real browser (no chromium here: apt-get install chromium), 2 tests" in line
    assert "another reason, 1 test" in line
    assert "1 passed, 3 skipped" in done.stdout


def test_where_nothing_may_be_skipped_a_skip_has_failed(tmp_path: Path) -> None:
    done = _suite(tmp_path, "--no-skips")
    assert done.returncode == 1
    assert "1 failed, 1 passed, 2 errors" in done.stdout
    assert "no chromium here" in done.stdout
    assert "another reason" in done.stdout


def test_a_program_is_found_by_any_of_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_tool("chromium") is None
    program = tmp_path / TOOLS["chromium"].names[-1]
    program.touch(mode=0o755)
    assert find_tool("chromium") == str(program)


def test_what_make_builds_is_found_where_it_was_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "index.html"
    monkeypatch.setitem(TOOLS, "web", Tool((str(page),), "the page without a server", "make web"))
    assert find_tool("web") is None
    page.touch()
    assert find_tool("web") == str(page)
