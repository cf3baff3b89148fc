"""kill -9 while two processes index: the library stays whole, and the next run goes on. bench/crash.py does this for longer."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("indexers", [1, 2])
def test_kills_at_random_moments(indexers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import crash

    crash.write_sounds(tmp_path / "sounds", 600)
    found = crash.one_round(
        tmp_path / "library", tmp_path / "sounds", 600, 3, indexers, np.random.default_rng(indexers)
    )
    assert found.pop("kills") > 0
    assert found == {"lost": 0, "damaged": 0, "repeated": 0, "unfinished": 0}
    sys.modules.pop("crash")
