"""What keeps a library: files listed, forgotten, relocated, tagged, and put into collections; in both stores."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile as sf
from libraries_for_tests import RATE, Counted, fill, noise
from models_for_tests import small_clap
from test_stores import recording
from typer.testing import CliRunner

from openclap import CLAP, Library
from openclap.cli.app import app
from openclap.errors import MissingExtra, UsageError
from openclap.library import relocation
from openclap.library.contents import count_folders
from openclap.library.file_lists import write_list
from openclap.library.library_results import LibraryChange, Relocation
from openclap.serve.library_view import LibraryView
from openclap.store import RememberedTags, SearchFilter, open_store
from openclap.store.sqlite.words import WORDS


def test_tags_are_taken_off_and_do_not_come_back(place: Path) -> None:
    """`tag` was there alone; and a tag that was only taken off the file came back with what was remembered of it."""
    store = open_store(place)
    store.put([recording("/a.wav", hash="one"), recording("/b.wav", hash="two"), recording("/c.wav", hash="three")])
    store.tag(["/a.wav", "/b.wav", "/c.wav"], ["wet", "dark"])
    store.move([("/a.wav", recording("/moved.wav", hash="one").file)])
    store.delete(["/c.wav"])
    store.untag(["/moved.wav", "/b.wav", "/c.wav", "/never.wav"], ["wet", "none"])
    assert {file.path: file.tags for file in store.files()} == {"/moved.wav": ("dark",), "/b.wav": ("dark",)}
    assert not list(store.files(SearchFilter(tags=("wet",))))
    store.move([("/moved.wav", recording("/a.wav", hash="one").file)])  # where it had the tag before
    store.delete(["/b.wav"])
    store.put([recording("/b.wav", hash="two"), recording("/elsewhere.wav", hash="three")])
    assert {file.path: file.tags for file in store.files()} == dict.fromkeys(("/a.wav", "/b.wav", "/elsewhere.wav"), ("dark",))  # fmt: skip
    store.untag(["/a.wav", "/b.wav", "/elsewhere.wav"], ["dark", "wet"])
    store.remember_tags([RememberedTags("four", "/d.wav", ("dark", "kept"))])
    store.untag(["/d.wav"], ["dark"])
    assert store.remembered_tags() == [RememberedTags("four", "/d.wav", ("kept",))]
    store.untag(["/d.wav"], ["kept"])
    assert store.remembered_tags() == []
    store.close()


def test_windows_are_counted(place: Path) -> None:
    store = open_store(place)
    assert store.window_counts(["/a.wav"]) == {}
    store.put([recording("/a.wav", 3), recording("/na\udcffme.wav", 1), recording("/c.wav", 2)])
    assert store.window_counts(["/a.wav", "/na\udcffme.wav", "/no.wav"]) == {"/a.wav": 3, "/na\udcffme.wav": 1}
    store.close()


def test_tags_are_counted(place: Path) -> None:
    store = open_store(place)
    assert store.tag_counts() == {}
    store.put([recording("/a.wav", 3), recording("/b.wav", 1)])
    store.tag(["/a.wav", "/b.wav"], ["wet"])
    store.tag(["/b.wav"], ["dark"])
    assert list(store.tag_counts().items()) == [("dark", 1), ("wet", 2)]
    store.close()


def test_a_sqlite_without_full_text_search_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was said that the disk cannot be written to, and to make room."""
    monkeypatch.setattr("openclap.store.sqlite.connection.WORDS", WORDS.replace("fts5", "fts99"))
    with pytest.raises(MissingExtra, match=r"has no full-text index \(no such module: fts99\).*whose SQLite has FTS5"):
        open_store(tmp_path / "lib").put([recording("/a.wav")])


# -- the library -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clap(tokenizer_file: Path) -> CLAP:
    return small_clap(tokenizer_file)


def opened(clap: CLAP, place: Path, folder: Path) -> Library:
    """Six files: 0 to 3 in disk/rain, of which each is told apart by its content, and 0 and 1 in disk/wind."""
    fill(folder / "disk" / "rain", 4)
    fill(folder / "disk" / "wind", 2, seed=1)
    library = Library.open(place, model=clap)
    library.add(folder / "disk", tags=["field"])
    return library


@pytest.fixture
def library(clap: CLAP, tmp_path: Path) -> Iterator[Library]:
    """In SQLite: both stores are asked alike by `LibraryContents`, and compared above and where they write much."""
    library = opened(clap, tmp_path / "lib", tmp_path)
    yield library
    library.close()


def listed(library: Library, **options: Any) -> dict[str, tuple[str, ...]]:
    return {"/".join(Path(file.path).parts[-2:]): file.tags for file in library.files(**options)}


def test_files_are_listed(library: Library, tmp_path: Path) -> None:
    library.collect("for the trailer", tmp_path / "disk" / "wind")
    library.tag("wet", path="*/rain/0.wav")
    found = list(library.files())
    assert [(Path(file.path).name, file.windows, file.tags, file.collections) for file in found[:1] + found[-1:]] == [
        ("0.wav", 1, ("field", "wet"), ()),
        ("1.wav", 1, ("field",), ("for the trailer",)),
    ]
    assert found[0].seconds == pytest.approx(0.25, abs=0.01)
    assert found[-1].to_dict() == {
        "path": str(tmp_path / "disk" / "wind" / "1.wav"), "seconds": found[-1].seconds, "windows": 1,
        "tags": ["field"], "collections": ["for the trailer"],
    }  # fmt: skip
    assert list(listed(library, tags=["wet"])) == ["rain/0.wav"]
    assert list(listed(library, paths=tmp_path / "disk" / "wind")) == ["wind/0.wav", "wind/1.wav"]
    assert [(folder.path[-4:], folder.files, folder.windows) for folder in count_folders(found)] == [("rain", 4, 4), ("wind", 2, 2)]  # fmt: skip
    (tmp_path / "disk" / "wind" / "0.wav").unlink()
    (missing,) = library.files(missing=True)
    assert (Path(missing.path).name, missing.to_dict()["missing"]) == ("0.wav", True)
    write_list(found, tmp_path / "all.csv")
    assert (tmp_path / "all.csv").read_text().splitlines()[-1].endswith("wind/1.wav,0.25,1,field,for the trailer")
    write_list(found, tmp_path / "all.txt")
    assert (tmp_path / "all.txt").read_text().splitlines() == [file.path for file in found]
    write_list(found, tmp_path / "all.m3u8")
    assert (tmp_path / "all.m3u8").read_text(encoding="utf-8").startswith("#EXTM3U\n#EXTINF:1,")
    with pytest.raises(UsageError, match=r"all.pdf: the name must end in \.csv, \.txt, \.m3u, \.m3u8"):
        write_list(found, tmp_path / "all.pdf")


def test_what_is_missing_is_forgotten_without_its_folder(library: Library, tmp_path: Path) -> None:
    """Only `index FOLDER --prune` could do that, which needs the folder to be there."""
    away = tmp_path / "away"
    (tmp_path / "disk" / "rain").rename(away)
    with pytest.raises(UsageError, match="say which files"):
        library.forget()
    done = library.forget([tmp_path / "disk" / "rain", tmp_path / "never"])
    assert done.to_dict() == {"files": 4, "unknown": [str(tmp_path / "never")]}
    assert list(listed(library)) == ["wind/0.wav", "wind/1.wav"]
    library.add(away)
    assert listed(library)["away/0.wav"] == ("field",)  # remembered
    (away / "2.wav").unlink()
    assert library.forget(missing=True).files == 1
    assert library.forget(away, missing=True) == LibraryChange(0, [])
    assert len(listed(library)) == 5
    assert library.forget(tags=["field"], paths=tmp_path / "disk").files == 2
    assert (tmp_path / "disk" / "wind" / "0.wav").exists()


def test_an_empty_path_is_not_the_present_folder(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a variable that was never set: `library forget "$OLD"` forgot all that lay here."""
    monkeypatch.chdir(tmp_path)
    asks: list[Callable[[], object]] = [
        lambda: library.forget(""),
        lambda: library.tag("x", ["", "disk"]),
        lambda: library.relocate("", "new"),
        lambda: library.relocate("disk", ""),
    ]
    for do in asks:
        with pytest.raises(UsageError, match="a path is empty"):
            do()


def test_tags_are_put_on_and_taken_off_what_is_chosen(library: Library, tmp_path: Path) -> None:
    rain, wind = tmp_path / "disk" / "rain", tmp_path / "disk" / "wind"
    assert library.tag(["wet", "dark"], rain).files == 4
    assert library.tag("café", [wind / "0.wav", rain / "no.wav"]).to_dict() == {"files": 1, "unknown": [str(rain / "no.wav")]}  # fmt: skip
    assert library.untag("dark", rain, path="*/0.wav").files == 1
    assert library.untag("cafe\u0301", wind).files == 1  # the same, as names of a Mac are written
    assert library.untag("never", everything=True).files == 0
    assert library.untag("wet", [wind, rain / "0.wav"], path="*/1.wav") == LibraryChange(
        0, []
    )  # what is there is known
    assert listed(library)["rain/0.wav"] == ("field", "wet")
    assert [(tag.name, tag.files) for tag in library.tags()] == [("dark", 3), ("field", 6), ("wet", 4)]
    library.forget(rain)
    assert library.untag("wet", everything=True).files == 0
    library.add(rain)
    assert listed(library)["rain/1.wav"] == ("dark", "field")  # and not wet, which was taken off while it was away
    with pytest.raises(UsageError, match="say which files"):
        library.tag("x")
    with pytest.raises(UsageError, match="names that begin with collection: are those of collections"):
        library.tag("collection:x", rain)


@pytest.mark.parametrize("verb", ["tag", "untag", "collect", "uncollect"])
def test_files_that_nobody_has_named_are_told_with_the_option(verb: str) -> None:
    """It spoke of paths and a filter, and not of --all."""
    done = CliRunner().invoke(app, ["library", verb, "wet"])
    assert str(done.exception) == "say which files: give paths or a filter, or --all"


def test_the_service_names_no_collections(clap: CLAP, place: Path, tmp_path: Path) -> None:
    """`in:` of a query listed those of the library to whoever asked; by its field, a slip found nothing, without a word."""
    library = opened(clap, place, tmp_path)
    library.collect("for the trailer", everything=True)
    shelf = LibraryView(str(place), clap)
    for ask in (
        lambda name: shelf.search(f'rain in:"{name}"', 1, SearchFilter()),
        lambda name: shelf.search("rain", 1, SearchFilter(collections=(name,))),
        lambda name: shelf.moments(f'rain in:"{name}"', 1),
    ):
        assert len(ask("for the  trailer")) == 1
        with pytest.raises(UsageError, match=r"^there is no collection 'trialer' in this library$"):
            ask("trialer")
    shelf.close()


def test_collections_are_kept_and_asked_for(clap: CLAP, place: Path, tmp_path: Path) -> None:
    library = opened(clap, place, tmp_path)
    rain = tmp_path / "disk" / "rain"
    with pytest.raises(UsageError, match="there is no collection 'trailer' in this library; it has none yet"):
        library.search("rain", collections=["trailer"])
    assert library.collect("for the  trailer ", [rain / "1.wav", rain / "2.wav"]).files == 2
    library.collect("b", rain / "1.wav")
    assert [(one.name, one.files) for one in library.collections()] == [("b", 1), ("for the trailer", 2)]
    assert [tag.name for tag in library.tags()] == ["field"]
    for found in (
        library.search("rain", collections=["for the trailer"]),
        library.search('rain in:"for the trailer"'),
        library.recommend(["rain"], collections=["for the trailer"]),
        library.moments('rain in:"for the trailer"', fine=False),
    ):
        assert {Path(one.path).name for one in found} == {"1.wav", "2.wav"}
    assert [Path(hit.path).name for hit in library.search("rain in:b", collections=["for the trailer"])] == ["1.wav"]
    with pytest.raises(UsageError, match="there is no collection 'c' in this library; it has 'b', 'for the trailer'"):
        library.search("rain in:c")
    (rain / "1.wav").rename(rain / "moved.wav")
    library.add(tmp_path / "disk")
    assert list(listed(library, collections=["b"])) == ["rain/moved.wav"]
    assert library.uncollect("for the trailer", rain / "2.wav").files == 1
    assert library.uncollect("b", everything=True).files == 1
    assert [(one.name, one.files) for one in library.collections()] == [("for the trailer", 1)]
    with pytest.raises(UsageError, match="there is no collection 'b'"):
        library.uncollect("b", rain)
    library.close()


def test_a_disk_that_has_another_path_is_relocated(
    clap: CLAP, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relocation, "MOVED_AT_ONCE", 2)
    library = opened(clap, place, tmp_path)
    old, new = tmp_path / "disk", tmp_path / "media" / "new disk"
    library.collect("kept", old / "wind")
    before = {file.path: file for file in library.files()}
    with pytest.raises(UsageError, match=r"the library holds nothing at .*nowhere; give the path that it had"):
        library.relocate(tmp_path / "nowhere", new)
    with pytest.raises(UsageError, match=r"none of the 6 files that .* holds at .*disk is at .* \(6 missing, 0 with"):
        library.relocate(old, new)
    new.parent.mkdir()
    old.rename(new)
    os.utime(new / "rain" / "1.wav", ns=(10**18, 10**18))  # copied without its time
    sf.write(new / "rain" / "2.wav", noise(9), RATE)  # another sound in its place, as long
    (new / "wind" / "0.wav").unlink()
    told = Relocation(4, [str(old / "wind" / "0.wav")], [str(old / "rain" / "2.wav")])
    assert library.relocate(old, new, dry_run=True) == replace(told, dry_run=True)
    assert {file.path for file in library.files()} == before.keys()
    assert library.relocate(old, new) == told
    counted = Counted(clap)
    again = Library.open(place, model=counted)  # type: ignore[arg-type]
    assert again.add(new / "wind").unchanged == again.add(new / "rain" / "1.wav").unchanged == 1
    assert counted.sounds == []
    now = {file.path: file for file in library.files()}
    assert {path for path in now if path.startswith(str(old))} == {*told.missing, *told.changed}
    there = str(new / "wind" / "1.wav")
    assert now[there] == replace(before[str(old / "wind" / "1.wav")], path=there)
    assert library.search("rain", collections=["kept"])[0].path == there
    again.close()
    library.close()


def test_equal_size_and_time_are_not_believed_blindly(library: Library, tmp_path: Path) -> None:
    old, new = tmp_path / "disk" / "rain", tmp_path / "other"
    fill(new, 4, seed=5)
    shutil.copy(old / "3.wav", new)
    for file in new.iterdir():
        time = (old / file.name).stat().st_mtime_ns
        os.utime(file, ns=(time, time))
    done = library.relocate(old, new)
    assert (done.moved, [Path(path).name for path in done.changed]) == (1, ["0.wav", "1.wav", "2.wav"])


def test_a_relocated_file_is_found_by_its_words(library: Library, tmp_path: Path) -> None:
    """Words of folders go along with the names that they have now, and no more folders are named than before."""
    old, new = tmp_path / "disk" / "rain", tmp_path / "secret" / "thunder"
    shutil.copytree(old, new)
    library.relocate(old, new)
    assert len(library.search("thunder", by="names")) == 4
    assert not library.search("rain", by="names")
    assert not library.search("secret", by="names")
    (new / "0.wav").rename(tmp_path / "disk" / "Door.wav")
    library.relocate(new / "0.wav", tmp_path / "disk" / "Door.wav")
    assert [Path(hit.path).name for hit in library.search("door", by="names")] == ["Door.wav"]


# -- the command line --------------------------------------------------------------------------------


def ask(library: Library, *words: str) -> Any:
    return CliRunner().invoke(app, [*words, "--library", library.stats()["path"]])


def test_the_verbs_of_a_library(library: Library, clap: CLAP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = ask(library, "library", "collect", "trailer", "disk/wind", "disk/never.wav")
    assert (done.exit_code, done.stdout) == (1, "2 files put into the collection trailer\n")
    assert "the library holds nothing at disk/never.wav" in done.stderr
    assert ask(library, "library", "tag", "wet", "--path", "*/rain/*").stdout == "4 files tagged wet\n"
    assert ask(library, "library", "untag", "wet", "disk/rain/0.wav").stdout == "1 file no longer tagged wet\n"
    assert ask(library, "library", "tag", "\x1b[1mwet", "disk/rain/0.wav").stdout == "1 file tagged \\x1b[1mwet\n"
    assert ask(library, "library", "untag", "\x1b[1mwet", "--all").exit_code == 0
    assert [json.loads(line) for line in ask(library, "library", "collections", "--json").stdout.splitlines()] == [{"name": "trailer", "files": 2}]  # fmt: skip
    shown = ask(library, "library", "list", "--collection", "trailer", "-o", "trailer.txt").stdout
    assert "2 files" in shown
    assert re.search(r"0:00\.2\S*\s+1\s+field\s+trailer\s+disk/wind/0\.wav", shown)
    assert (tmp_path / "trailer.txt").read_text().count("\n") == 2
    assert "nothing is missing" in ask(library, "library", "list", "--missing").stderr
    assert re.search(r"4\s+0:01\S*\s+4\s+disk/rain", ask(library, "library", "list", "--folders").stdout)
    (tmp_path / "disk" / "wind").rename(tmp_path / "new")
    done = ask(library, "library", "relocate", "disk/wind", "new", "--dry-run")
    assert (done.exit_code, done.stdout) == (0, "2 files would be at new\n")
    done = ask(library, "library", "relocate", "disk/wind", "new", "--json")
    assert json.loads(done.stdout) == {"moved": 2, "missing": [], "changed": []}
    done = ask(library, "library", "forget", "disk/rain")
    assert (done.exit_code, done.stdout) == (0, "4 files forgotten\n")
    assert "openclap index PATH" in done.stderr
    assert "2" in ask(library, "library").stdout
    assert isinstance(ask(library, "library", "forget").exception, UsageError)
    assert ask(library, "library", "uncollect", "trailer", "--all").exit_code == 0


def test_options_may_stand_before_the_verb(library: Library) -> None:
    """`openclap library` was one command whose first word was its verb, and options stood where one liked."""
    place = library.stats()["path"]
    for words in (
        ["--library", place, "verify", "--quick"],
        ["verify", "--quick", "--library", place],
        ["--library", place],
    ):
        assert CliRunner().invoke(app, ["library", *words]).exit_code == 0, words
    assert CliRunner().invoke(app, ["library", "frobnicate"]).exit_code == 2


def test_what_a_search_finds_is_collected(library: Library, clap: CLAP, tmp_path: Path) -> None:
    clap.save_pretrained(tmp_path / "model")
    model = ["--model", str(tmp_path / "model")]
    done = ask(library, "search", "a dog", "-k", "3", "--collect", "dogs", *model)
    assert "3 files put into the collection dogs" in done.stderr
    assert [one.files for one in library.collections()] == [3]
    done = ask(library, "search", "a dog in:dogs", "--by", "names", "--tag", "none", *model)
    assert "none of the 6 sounds of the library passes --tag" in done.stderr
    done = ask(library, "search", "the of", "--by", "names", *model)
    assert "no word of this query can be part of a name, so these are by sound" in done.stderr
    assert library.search("the of", by="names").by == "sound"
    assert library.search("a dog", by="names").by == "names"
