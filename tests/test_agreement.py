"""Numbers and the words after them agree: 1 window has, 2 windows have."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from test_health import tiny_model

from openclap.checkpoints.health import examine_checkpoint
from openclap.errors import DataWarning
from openclap.plurals import count_noun
from openclap.store import Recording, open_store
from openclap.store.records import File
from openclap.textfiles import read_lines


@pytest.mark.parametrize(("count", "wrong"), [(1, "1 window has"), (2, "2 windows have")])
def test_what_is_wrong_with_a_library_is_counted_right(tmp_path: Path, count: int, wrong: str) -> None:
    """`openclap library verify` said "1 windows have"."""
    store = open_store(tmp_path)
    store.claim({"model": "small", "fingerprint": "0", "embedding": 4})
    for i in range(3):
        file = File(f"/{i}.wav", 1, 1, f"{i:064x}", 10.0)
        store.put([Recording(file, np.zeros(1), np.full(1, 10.0), np.eye(1, 4, dtype=np.float32))])
    store.close()
    with closing(sqlite3.connect(tmp_path / "library.sqlite", isolation_level=None)) as db:
        db.execute("UPDATE windows SET embedding = x'00' WHERE id <= ?", [count])
    store = open_store(tmp_path)
    assert f"{wrong} vectors of another size than 4" in store.check()
    removed = [line for line in store.repair() if "without sound vectors" in line]
    assert removed == [f"{count_noun(count, 'file')} without sound vectors removed: index again"]
    store.close()


def test_one_broken_weight_holds_nan() -> None:
    model = tiny_model()
    model.weights["audio_projection.2.weight"][0, 0] = float("inf")
    (finding,) = examine_checkpoint(model, None).findings
    assert finding.what.startswith("1 weight holds NaN")


def test_one_line_that_says_nothing_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("dog\nnan\nrain\n")
    with pytest.warns(DataWarning, match=r"1 that says nothing \(.*\) is left out"):
        assert read_lines(tmp_path / "labels.txt", ("label", "labels")) == ["dog", "rain"]
