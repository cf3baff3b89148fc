"""Files are whole or not there, and nobody else's file is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openclap.atomic_write import ENDING, atomic_write, write_json, write_text
from openclap.errors import UsageError


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("sync", [False, True])
def test_the_name_comes_last(tmp_path: Path, own: bool, sync: bool) -> None:
    file = tmp_path / "x.csv"
    file.write_text("old")
    with atomic_write(file, own=own, sync=sync) as part:
        assert (part.parent, part.suffix) == (tmp_path, ENDING)
        part.write_text("new")
        assert file.read_text() == "old"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x.csv", "new")]


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("fault", [OSError, KeyboardInterrupt])
def test_what_goes_wrong_leaves_what_was(tmp_path: Path, own: bool, fault: type[BaseException]) -> None:
    file = tmp_path / "x.csv"
    file.write_text("old")

    def broken() -> None:
        with atomic_write(file, own=own) as part:
            part.write_text("half")
            raise fault

    with pytest.raises(fault):
        broken()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x.csv", "old")]


def test_a_part_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x.csv.part").write_text("a download")
    write_text(tmp_path / "x.csv", "mine")
    write_json(tmp_path / "x.csv", ["mine"])
    assert (tmp_path / "x.csv.part").read_text() == "a download"
    assert len(list(tmp_path.iterdir())) == 2


def test_what_a_killed_one_left_is_written_over_where_the_folder_is_ours(tmp_path: Path) -> None:
    (tmp_path / "state.pt.part").write_text("half")
    write_json(tmp_path / "state.pt", {"a": 1}, own=True, sync=True)
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]
    assert json.loads((tmp_path / "state.pt").read_text()) == {"a": 1}


def test_a_name_may_be_as_long_as_names_are(tmp_path: Path) -> None:
    """`NAME.part` was too long where NAME was not."""
    write_text(tmp_path / ("声" * 85), "text")
    assert len(list(tmp_path.iterdir())) == 1


def test_text_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "gone" / "x.csv", tmp_path / "folder"):
        with pytest.raises(UsageError, match=r"cannot be written .*choose another place"):
            write_text(place, "text")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_text_keeps_its_line_ends_and_odd_names(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "a\r\nb\udcff\n")
    assert (tmp_path / "x").read_bytes() == b"a\r\nb\xff\n"
    write_text(tmp_path / "x", "\udcff", errors="backslashreplace")
    assert (tmp_path / "x").read_bytes() == rb"\udcff"
