"""Disks that are away: nothing is lost, nothing that cannot be heard is shown, and tags come back with their content."""

from __future__ import annotations

import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path

import libraries_for_tests
import pytest
from models_for_tests import small_clap

from openclap import CLAP, Library
from openclap.cli import app
from openclap.errors import LibraryError, UsageError
from openclap.library.removal import split_unreachable
from openclap.results import MissingFolder
from openclap.store import RememberedTags, open_store

fill = partial(libraries_for_tests.fill, name="{:02}.wav")


@pytest.fixture(scope="module")
def clap(tokenizer_file: Path) -> CLAP:
    return small_clap(tokenizer_file, name="first")


def unmount(folder: Path) -> Path:
    """What was in a folder is elsewhere, and the folder empty, as a mount point is → where it is."""
    away = folder.parents[1] / f"{folder.name} away"
    folder.rename(away)
    folder.mkdir()
    return away


def mount(folder: Path, away: Path) -> None:
    folder.rmdir()
    away.rename(folder)


def names(library: Library, **options: object) -> list[str]:
    return sorted(Path(hit.path).name for hit in library.search("rain", 99, **options))  # type: ignore[arg-type]


def test_an_empty_mount_point_empties_nothing(clap: CLAP, place: Path, tmp_path: Path) -> None:
    """Every file left the library, with its tags, and the report said "removed", exit 0."""
    nas, here = fill(tmp_path / "media" / "nas", 3), fill(tmp_path / "media" / "here", 2, seed=1)
    library = Library.open(place, model=clap)
    library.add([nas], tags=["field"])
    library.add([here])
    away = unmount(nas)
    report = library.add([nas, here])
    assert (report.removed, report.kept_missing, report.unchanged, report.failed) == (0, 3, 2, [])
    assert report.missing_folders == [MissingFolder(str(nas), 3)]
    assert library.add(tmp_path / "media").missing_folders == [MissingFolder(str(nas), 3)]  # seen from above
    assert library.stats()["files"] == 5
    hits = library.search("rain", 99)
    assert ({Path(hit.path).parent for hit in hits}, hits.left_out) == ({here}, 3)
    assert [hit.missing for hit in library.search("rain", 99, missing=True)].count(True) == 3
    mount(nas, away)
    report = library.add([nas, here])
    assert (report.unchanged, report.added, report.kept_missing) == (5, 0, 0)
    assert names(library, tags=["field"]) == ["00.wav", "01.wav", "02.wav"]


def test_a_folder_below_the_root(clap: CLAP, place: Path, tmp_path: Path) -> None:
    root = fill(tmp_path / "sounds", 2)
    fill(root / "nas" / "deep", 3, seed=1)
    library = Library.open(place, model=clap)
    library.add(root)
    shutil.rmtree(root / "nas" / "deep")
    report = library.add(root)
    assert (report.removed, report.kept_missing) == (0, 3)
    assert report.missing_folders == [MissingFolder(str(root / "nas"), 3)]  # the outermost that yields nothing
    fill(root / "nas", 1, seed=5)
    assert library.add(root).missing_folders == [MissingFolder(str(root / "nas" / "deep"), 3)]
    assert library.add(root, prune=True).removed == 3
    assert library.add(root).kept_missing == 0


@pytest.mark.parametrize(
    ("held", "gone", "kept"), [(12, 6, 0), (12, 7, 7), (10, 6, 6), (9, 8, 0), (2, 1, 0), (9, 9, 9)]
)
def test_more_than_half_of_ten_or_more(held: int, gone: int, kept: int, clap: CLAP, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", held)
    fill(tmp_path / "other", 30 - held, seed=1)
    library = Library.open(tmp_path / "lib", model=clap)
    library.add(tmp_path)
    for file in sorted(sounds.iterdir())[:gone]:
        file.unlink()
    report = library.add(tmp_path)
    assert (report.kept_missing, report.removed) == (kept, gone - kept)
    assert library.add(tmp_path).kept_missing == kept  # as often as it is asked


def test_what_moved_is_not_missing(clap: CLAP, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 12)
    library = Library.open(tmp_path / "lib", model=clap)
    library.add(sounds)
    (sounds / "11.wav").unlink()
    sounds.rename(tmp_path / "renamed")
    report = library.add(tmp_path)
    assert (report.updated, report.removed, report.kept_missing) == (11, 1, 0)


def test_a_file_that_is_named(clap: CLAP, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "media" / "sounds", 3)
    library = Library.open(tmp_path / "lib", model=clap)
    library.add(sounds)
    away = unmount(sounds)
    report = library.add(sounds / "00.wav")
    assert (report.removed, report.kept_missing) == (0, 1)
    mount(sounds, away)
    (sounds / "00.wav").unlink()
    assert library.add(sounds / "00.wav").removed == 1


def test_a_root_that_is_not_there(clap: CLAP, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 3)
    library = Library.open(tmp_path / "lib", model=clap)
    library.add(sounds)
    shutil.rmtree(sounds)
    report = library.add(sounds)
    assert (report.removed, report.kept_missing, [f.path for f in report.failed]) == (0, 3, [str(sounds)])
    report = library.add(sounds, prune=True)
    assert (report.removed, report.kept_missing, report.failed) == (3, 0, [])


def test_a_search_lets_nothing_leave(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 4)
    library = Library.open(place, model=clap)
    library.add(sounds)
    (sounds / "00.wav").unlink()
    fill(sounds, 1, seed=9)  # another 00.wav
    (sounds / "01.wav").unlink()
    report = library.add(sounds, keep=True)
    assert (report.removed, report.updated, library.stats()["files"]) == (0, 1, 4)
    assert names(library) == ["00.wav", "02.wav", "03.wav"]
    assert library.add(sounds).removed == 1
    with pytest.raises(UsageError, match="give one of them"):
        library.add(sounds, keep=True, prune=True)


def test_hits_behind_many_that_are_away(clap: CLAP, place: Path, tmp_path: Path) -> None:
    """However many better ones there are, those that can be heard are found, each as often as it should be."""
    nas, here = fill(tmp_path / "media" / "nas" / "deep", 25), fill(tmp_path / "here", 3, seed=1)
    library = Library.open(place, model=clap)
    library.add([nas, here])
    for i in (0, 2):
        (here / f"0{i}.wav").rename(tmp_path / f"0{i}")
    away = unmount(nas.parent)
    query = away / "deep" / "07.wav"  # nearest to one that is away
    for k in (1, 2, 50):
        hits = library.search(query, k)
        assert [hit.path for hit in hits] == [str(here / "01.wav")]
        assert hits.left_out >= 1
    assert library.search(query, 50, within=[nas]) == []
    found = library.recommend([query], k=5)
    assert ([hit.path for hit in found], found.left_out) == ([str(here / "01.wav")], 27)
    moments = library.moments(query, 5, fine=False)
    assert ({moment.path for moment in moments}, moments.left_out > 0) == ({str(here / "01.wav")}, True)


def test_the_command_line(
    clap: CLAP, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`index` said "removed" and exit 0, and a search with an empty mount point emptied the library."""
    clap.save_pretrained(tmp_path / "model")
    nas = fill(tmp_path / "media" / "nas", 2)

    def run(*arguments: str) -> tuple[object, str, str]:
        options = ("--library", str(place), "--model", str(tmp_path / "model"))
        monkeypatch.setattr(sys, "argv", ["openclap", *arguments, *options])
        with pytest.raises(SystemExit) as left:
            sys.exit(app._run())
        out, err = capsys.readouterr()
        told = [line for line in err.splitlines(keepends=True) if "not fitted for this model" not in line]
        return left.value.code or 0, out, "".join(told)

    assert run("index", str(nas), "--tag", "field")[0] == 0
    away = unmount(nas)
    code, out, err = run("search", "rain", str(nas), "--json")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "2 hits left out: their files cannot be reached now (--missing shows them)" in err
    code, out, err = run("search", "rain", "--missing", "--json")
    assert (code, [json.loads(line)["missing"] for line in out.splitlines()], err) == (0, [True, True], "")
    code, out, err = run("index", str(nas), "--json")
    report = {"added": 0, "unchanged": 0, "updated": 0, "removed": 0, "kept_missing": 2, "failed": []}
    assert (code, json.loads(out)) == (1, {**report, "missing_folders": [{"path": str(nas), "files": 2}]})
    assert (err.count("\n"), "2 files missing from" in err, "--prune drops them" in err) == (1, True, True)
    assert "2 missing but kept" in run("index", str(nas))[1]
    mount(nas, away)
    code, out, err = run("search", "rain", str(nas), "--tag", "field", "--json")
    assert (code, len(out.splitlines()), err, "missing" in out) == (0, 2, "", False)
    unmount(nas)
    code, out, err = run("index", str(nas), "--prune", "--json")
    assert (code, json.loads(out)["removed"], err) == (0, 2, "")
    assert run("index", str(nas), "--prune", "--watch")[0] == 2


# -- tags --------------------------------------------------------------------------------------------


def test_tags_come_back_with_their_content(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 5)
    library = Library.open(place, model=clap)
    library.add(sounds / "00.wav", tags=["one"])
    library.add(sounds / "01.wav", tags=["two", "b"])
    library.add(sounds)
    shutil.copytree(sounds, tmp_path / "kept")
    for i in range(2):
        (sounds / f"0{i}.wav").unlink()
    assert library.add(sounds).removed == 2
    shutil.copy(tmp_path / "kept" / "00.wav", sounds / "00.wav")  # at its place
    shutil.copy(tmp_path / "kept" / "01.wav", sounds / "another name.wav")
    library.add(sounds)
    assert names(library, tags=["one"]) == ["00.wav"]
    assert names(library, tags=["two", "b"]) == ["another name.wav"]
    shutil.rmtree(sounds)
    assert library.add(sounds, prune=True).removed == 5
    shutil.copytree(tmp_path / "kept", sounds)
    library.add(sounds)
    assert names(library, tags=["one"]) == ["00.wav"]
    assert names(library, tags=["two"]) == ["01.wav"]


def test_content_that_was_written_over_and_returns(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 2)
    library = Library.open(place, model=clap)
    library.add(sounds / "00.wav", tags=["mine"])
    library.add(sounds)
    content = (sounds / "00.wav").read_bytes()
    fill(sounds, 1, seed=7)
    library.add(sounds)
    assert names(library, tags=["mine"]) == ["00.wav"]  # of an edited file they stay
    (sounds / "old take.wav").write_bytes(content)
    library.add(sounds)
    assert names(library, tags=["mine"]) == ["00.wav", "old take.wav"]


def test_copies_have_tags_of_their_own(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 1)
    for name in ("a.wav", "b.wav"):
        shutil.copy(sounds / "00.wav", sounds / name)
    library = Library.open(place, model=clap)
    library.add(sounds / "a.wav", tags=["a"])
    library.add(sounds)
    shutil.move(sounds / "a.wav", tmp_path / "a.wav")
    assert library.add(sounds).removed == 1
    assert names(library, tags=["a"]) == []
    shutil.move(tmp_path / "a.wav", sounds / "a.wav")
    library.add(sounds)
    assert names(library, tags=["a"]) == ["a.wav"]
    shutil.copy(sounds / "a.wav", sounds / "c.wav")
    library.add(sounds)
    assert names(library, tags=["a"]) == ["a.wav"]
    assert open_store(place).remembered_tags() == []


def test_what_moved_from_a_disk_that_was_only_away(clap: CLAP, place: Path, tmp_path: Path) -> None:
    """A copy of it that is met meanwhile takes its place, and its tags: they are there again when the disk is."""
    nas = fill(tmp_path / "media" / "nas", 1)
    library = Library.open(place, model=clap)
    library.add(nas, tags=["field"])
    away = unmount(nas)
    (tmp_path / "here").mkdir()
    shutil.copy(away / "00.wav", tmp_path / "here" / "copy.wav")
    library.add([nas, tmp_path / "here"])
    assert names(library, tags=["field"]) == ["copy.wav"]
    mount(nas, away)
    library.add(nas)
    assert names(library, tags=["field"]) == ["00.wav", "copy.wav"]
    shutil.copy(nas / "00.wav", nas / "another.wav")
    library.add(nas)
    assert names(library, tags=["field"]) == ["00.wav", "copy.wav"]


def test_tags_outlive_another_model(clap: CLAP, tokenizer_file: Path, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 4)
    library = Library.open(place, model=clap)
    library.add(sounds, tags=["kept"])
    content = {name: (sounds / name).read_bytes() for name in ("00.wav", "01.wav")}
    (sounds / "00.wav").unlink()
    assert library.add(sounds).removed == 1
    library.close()
    (sounds / "01.wav").unlink()
    other = small_clap(tokenizer_file, name="other", seed=9)
    assert Library.reembed(place, other).removed == 1
    again = Library.open(place, model=other)
    for name, some in content.items():
        (sounds / name).write_bytes(some)
    assert again.add(sounds).added == 2
    assert names(again, tags=["kept"]) == ["00.wav", "01.wav", "02.wav", "03.wav"]


def test_another_model_does_not_drop_a_disk_that_is_away(
    clap: CLAP, tokenizer_file: Path, place: Path, tmp_path: Path
) -> None:
    nas, here = fill(tmp_path / "media" / "nas", 3), fill(tmp_path / "here", 2, seed=1)
    library = Library.open(place, model=clap)
    library.add([nas, here], tags=["kept"])
    library.close()
    away = unmount(nas)
    other = small_clap(tokenizer_file, name="other", seed=9)
    with pytest.raises(
        LibraryError, match=r"3 files of .* are missing from .*media/nas .*drop what is missing \(prune\)"
    ):
        Library.reembed(place, other)
    assert len(names(Library.open(place, model=clap), missing=True)) == 5
    report = Library.reembed(place, other, prune=True)
    assert (report.updated, report.removed) == (2, 3)
    mount(nas, away)
    again = Library.open(place, model=other)
    again.add(nas)
    assert len(names(again, tags=["kept"])) == 5


def test_what_is_remembered_is_kept_by_the_store(place: Path) -> None:
    store = open_store(place)
    some = [RememberedTags("h1", "/na\udcffme.wav", ("a", "b")), RememberedTags("h2", "/声.wav", ("c",), moved=True)]
    store.remember_tags(some)
    store.remember_tags(some)
    assert sorted(store.remembered_tags(), key=lambda one: one.hash) == some
    store.close()


def test_out_of_reach_costs_nothing_where_nothing_is_gone() -> None:
    assert split_unreachable([], ["/a"], [], [], ["/"]) == ([], [])
    held = [f"/x/{i}/a.wav" for i in range(20)]
    kept, folders = split_unreachable(held, held, [], [], ["/x"])
    assert (sorted(kept), folders) == (sorted(held), [MissingFolder("/x", 20)])
    kept, folders = split_unreachable(held[:1], held, [], [], ["/x"])
    assert folders == [MissingFolder("/x/0", 1)]  # it held files and holds none
    assert os.sep == "/"
