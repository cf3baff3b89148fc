"""What is counted agrees with its number; what was given and holds nothing is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from openclap import CLAP
from openclap.errors import LibraryError
from openclap.library import Library
from openclap.plurals import count_noun
from openclap.teach import teach


def test_one_group_two_groups() -> None:
    assert [count_noun(n, "group") for n in (0, 1, 2)] == ["0 groups", "1 group", "2 groups"]
    assert [count_noun(n, "item has", "items have") for n in (1, 2)] == ["1 item has", "2 items have"]


def test_an_export_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"nix\.parquet: no such file; give one"):
        Library.open(tmp_path / "library").import_(tmp_path / "nix.parquet")


def test_a_folder_of_examples_without_sounds_is_told(tmp_path: Path) -> None:
    sf.write(tmp_path / "yes.wav", np.random.default_rng(0).normal(size=32_000) * 0.1, 32_000)
    (tmp_path / "none").mkdir()
    taught = teach(CLAP.from_pretrained("mini"), "hiss", yes=[tmp_path / "yes.wav"], no=[tmp_path / "none"])
    assert [(Path(f.path).name, f.error) for f in taught.failed] == [("none", "no sounds are in it")]
