"""Which folders are named where files are missing: those that are empty or away, not those around them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from openclap.library.removal import split_unreachable
from openclap.results import MissingFolder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Sounds of three kinds: 4 here, 20 on a disk, 12 on another, and two folders of those."""
    for folder, count in (("here", 4), ("nas/rain", 12), ("nas/wind", 8), ("usb", 12)):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(count):
            (tmp_path / folder / f"{i}.wav").touch()
    return tmp_path


def sounds(root: Path) -> list[str]:
    return sorted(map(str, root.rglob("*.wav")))


def missing_from(root: Path, held: Iterable[str], roots: Iterable[Path] = ()) -> dict[str, int]:
    """Folders by their names below the root, with files."""
    there = sounds(root)
    gone = sorted(set(held) - set(there))
    kept, folders = split_unreachable(gone, list(held), there, (), [str(some) for some in roots or (root,)])
    assert sum(folder.files for folder in folders) == len(kept)
    return {str(Path(folder.path).relative_to(root)): folder.files for folder in folders}


def test_the_disk_is_named_and_not_what_it_is_mounted_in(root: Path) -> None:
    """More than half of all sounds were on it, so it was "missing from sounds", where four still were."""
    held = sounds(root)
    shutil.rmtree(root / "nas")
    (root / "nas").mkdir()
    assert missing_from(root, held) == {"nas": 20}
    shutil.rmtree(root / "usb")
    assert missing_from(root, held) == {"nas": 20, "usb": 12}


def test_of_a_root_that_yields_nothing_the_disks_in_it_are_named(root: Path) -> None:
    """`/media` was named, which is there, with two empty mount points in it."""
    shutil.rmtree(root / "here")
    held = sounds(root)
    for disk in ("nas", "usb"):
        shutil.rmtree(root / disk)
        (root / disk).mkdir()
    assert missing_from(root, held) == {"nas": 20, "usb": 12}
    assert missing_from(root, held, [Path("/")]) == {"nas": 20, "usb": 12}


def test_a_root_that_is_away_is_one_folder(root: Path) -> None:
    held = sounds(root)
    shutil.rmtree(root)
    root.mkdir()
    assert missing_from(root, held) == {".": 36}


def test_a_mount_point_with_files_of_the_system_is_no_sounds(root: Path) -> None:
    held = sounds(root)
    shutil.rmtree(root / "nas")
    (root / "nas").mkdir()
    (root / "nas" / ".DS_Store").touch()
    assert missing_from(root, held) == {"nas/rain": 12, "nas/wind": 8}


def test_many_of_a_folder_that_still_yields_some(root: Path) -> None:
    held = sounds(root)
    for i in range(9):
        (root / "nas" / "rain" / f"{i}.wav").unlink()
    assert missing_from(root, held) == {"nas/rain": 9}
    (
        root / "nas" / "wind" / "0.wav"
    ).unlink()  # and one of a folder that lost no other, in a disk that did not lose half
    assert missing_from(root, held) == {"nas/rain": 9}


def test_the_result_is_in_order(root: Path) -> None:
    held = sounds(root)
    shutil.rmtree(root / "usb")
    shutil.rmtree(root / "nas")
    gone = [path for path in held if "/here/" not in path]
    _, folders = split_unreachable(gone, held, sounds(root), (), [str(root)])
    assert folders == [MissingFolder(str(root / "nas"), 20), MissingFolder(str(root / "usb"), 12)]
