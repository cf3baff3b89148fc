"""Which tests take long, by measurement: `slow.txt` names them, `--quick` leaves them out, `--note-slow` measures them anew.

What is not in the list, because it is new, counts as quick until somebody measures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

__all__ = ["leave_out_slow", "note_slow"]

LIST = Path(__file__).with_name("slow.txt")
LONG = 0.5  # seconds of all cases of a test together, without what it shares with others


def leave_out_slow(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--quick`, keep what is neither slow nor in need of a program."""
    if not config.getoption("quick"):
        return
    slow = set(LIST.read_text(encoding="utf-8").split())
    quick = [item for item in items if _test(item.nodeid) not in slow and item.get_closest_marker("needs") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(quick)])
    items[:] = quick


def note_slow(stats: Mapping[str, list[Any]]) -> None:
    """Write the list from the reports of a whole run."""
    taken: Counter[str] = Counter()
    for report in [report for kind in ("passed", "failed") for report in stats.get(kind, [])]:
        if report.when == "call":
            taken[_test(report.nodeid)] += report.duration
    slow = sorted(test for test, seconds in taken.items() if seconds >= LONG)
    LIST.write_text("".join(f"{test}\n" for test in slow), encoding="utf-8")


def _test(nodeid: str) -> str:
    """`tests/test_x.py::test_y[case]` → `test_x.py::test_y`"""
    return nodeid.partition("[")[0].rpartition("/")[2]
