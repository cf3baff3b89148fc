"""Run docs/notebook.ipynb from top to bottom, without Jupyter, and write what its cells print beside them.

    python scripts/run_notebook.py            the file anew, with what is printed today
    python scripts/run_notebook.py --check    nothing is written; fails where other words or other sounds are printed than the file shows

Only cells that print are shown with output. Numbers may differ in the last places between processors, so --check passes over them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parent.parent / "docs" / "notebook.ipynb"


def main() -> None:
    """Run it, and write or compare what is printed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        printed = run_cells(["".join(cell["source"]) for cell in cells])
        os.chdir(NOTEBOOK.parent)  # a folder that somebody is in cannot be removed on Windows
    if check:
        shown = ["".join(line for output in cell["outputs"] for line in output["text"]) for cell in cells]
        wrong = [i for i, (now, then) in enumerate(zip(printed, shown, strict=True), 1) if words(now) != words(then)]
        if wrong:
            i = wrong[0] - 1
            sys.exit(
                f"code cell {wrong[0]} prints\n{printed[i]}and the file shows\n{shown[i]}run  python {Path(__file__).name}"
            )
        return
    for count, (cell, text) in enumerate(zip(cells, printed, strict=True), 1):
        cell["execution_count"] = count
        cell["outputs"] = [output_of(text)] if text else []
    NOTEBOOK.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def run_cells(sources: list[str]) -> list[str]:
    """What each cell prints; all of them share their names."""
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = []
    for count, source in enumerate(sources, 1):
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            exec(compile(source, f"<code cell {count}>", "exec"), names)
        printed.append(text.getvalue())
    return printed


def words(text: str) -> list[str]:
    """The text without its numbers."""
    return re.sub(r"[-+]?\d+(\.\d*)?", "", text).split()


def output_of(text: str) -> dict[str, Any]:
    """As Jupyter stores what was printed."""
    return {"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}


if __name__ == "__main__":
    main()
