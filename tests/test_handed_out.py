"""What the page and the service hand out of a library: sounds below the folders that were named, as they were indexed, and nothing else."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from fastapi import FastAPI
from fastapi.testclient import TestClient

from openclap import CLAP
from openclap.errors import LibraryError, SoundError, SoundNotFound, WithheldSound
from openclap.library import Library
from openclap.library import safe_open as safe_open_module
from openclap.library.safe_open import open_without_links
from openclap.library.served_files import FileVersion, ServedFiles
from openclap.page import holdings, lesson, search
from openclap.page.blocks import mount_page
from openclap.page.desk import Desk
from openclap.page.filling import Filling, fill
from openclap.page.parts import Page
from openclap.page.settings import PageSettings
from openclap.page.strings import TABLE, Language, Told
from openclap.page.wording import Visit, Wording, sentence
from openclap.serve.library_view import LibraryView

EN, ZH = Visit("en", "someone"), Visit("zh", "someone")
SECRET = "root:$6$nobody-may-read-this:19000:0:99999:7:::\n"
FIFOS = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
LINKS = pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


def written(file: Path, seed: int = 0, seconds: float = 1.0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    sf.write(file, np.random.default_rng(seed).uniform(-0.2, 0.2, round(seconds * 8000)), 8000)
    return file


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "elsewhere" / "shadow"
    file.parent.mkdir()
    file.write_text(SECRET)
    return file


@pytest.fixture
def indexed(tmp_path: Path, clap: CLAP) -> Path:
    """A library of one sound, `sounds/deep/rain.wav` → the sound."""
    sound = written(tmp_path / "sounds" / "deep" / "rain.wav")
    library = Library.open(tmp_path / "library", model=clap)
    assert library.add(tmp_path / "sounds").added == 1
    library.close()
    return sound


@pytest.fixture
def paged(tmp_path: Path, clap: CLAP) -> Iterator[Callable[..., tuple[Page, TestClient]]]:
    """A page on that library, its handlers and its server."""
    open_now: list[TestClient] = []

    def made(*roots: Path) -> tuple[Page, TestClient]:
        app = FastAPI()
        named = roots or (tmp_path / "sounds",)
        settings = PageSettings(library=str(tmp_path / "library"), uploads=tmp_path / "uploads", roots=named)
        desk = mount_page(app, settings, clap=clap)
        client = TestClient(app, raise_server_exceptions=False)
        client.__enter__()
        open_now.append(client)
        return Page(desk, Wording(), None), client

    yield made
    for client in open_now:
        client.__exit__()


def prepared(place: Path, **facts: Any) -> None:
    """What somebody has done to a library: other facts of its file."""
    with sqlite3.connect(place / "library.sqlite") as db:
        for name, value in facts.items():
            db.execute(f"UPDATE files SET {name} = ?", [value])
    db.close()


def as_it_is(file: Path) -> dict[str, Any]:
    """The facts that somebody who knows a file would write down of it."""
    now = file.stat()
    return {"path": str(file), "size": now.st_size, "mtime_ns": now.st_mtime_ns, "seconds": 1.0}


def refused(page: Page, client: TestClient, *, shown: bool = True) -> None:
    """Every door shuts: each handler and each route gives a sentence, in the language asked for, and nothing of the secret."""
    desk = page.desk
    found = search.compute(page, EN, "own", "rain", None, 5, search.Filters())
    assert len(found.players) == 1
    (player,) = found.players
    taught = lesson.searched(page, EN, lesson.Lesson(), "own", "rain", 5)
    plan = holdings.mapped(page, EN, "own", "pca")
    told = {TABLE[key][0] for key in ("error.withheld", "error.changed", "error.gone")} | {TABLE[key][1] for key in ("error.withheld", "error.changed", "error.gone")}  # fmt: skip
    languages: tuple[Language, ...] = ("en", "zh")
    for language in languages:
        for token in (player.token, player.whole, taught.found[0].token, *plan.tokens):
            for route in ("sounds", "originals"):
                answer = client.get(f"/{route}/{token}", headers={"accept-language": language})
                assert answer.status_code == 404
                assert answer.text in told, answer.text
                assert (answer.text in {english for english, _ in TABLE.values()}) == (language == "en")
        drawn = search.draw(found, language) + holdings.draw_map(plan, language)
        assert "$6$" not in drawn
        assert str(desk.settings.roots[0]) not in drawn
        if shown:
            assert any(one in search.draw(found, language) for one in told)
    with pytest.raises((SoundError, Told)) as caught:
        search.like(page, EN, "own", player.token, 3, search.Filters())
    assert sentence(caught.value, "en") in told
    assert not list((desk.folder / "played").glob("*")) if (desk.folder / "played").exists() else True


# -- what is there as it was ----------------------------------------------------------------------------


def test_what_was_indexed_is_heard_and_downloaded(indexed: Path, paged: Any) -> None:
    page, client = paged()
    (player,) = search.compute(page, EN, "own", "rain", None, 5, search.Filters()).players
    assert player.withheld is None
    assert player.name == str(Path("deep", "rain.wav"))
    whole = client.get(f"/originals/{player.whole}")
    assert whole.content == indexed.read_bytes()
    assert whole.headers["content-length"] == str(len(whole.content))
    assert "rain.wav" in whole.headers["content-disposition"]
    assert client.get(f"/sounds/{player.token}").content[:4] == b"RIFF"
    assert len(search.like(page, EN, "own", player.token, 3, search.Filters()).players) == 1


def test_a_file_that_was_only_touched_is_known_by_its_content(indexed: Path, paged: Any) -> None:
    page, client = paged()
    os.utime(indexed, (1, 1))
    (player,) = search.compute(page, EN, "own", "rain", None, 5, search.Filters()).players
    assert client.get(f"/originals/{player.whole}").content == indexed.read_bytes()


@LINKS
def test_a_root_may_be_a_link_itself(tmp_path: Path, indexed: Path, paged: Any, secret: Path) -> None:
    """Its owner named it; where it leads later is another matter."""
    (tmp_path / "mine").symlink_to(tmp_path / "sounds")
    library = Library.open(tmp_path / "library", model=CLAP.from_pretrained("mini"))
    library.add(tmp_path / "mine")
    library.close()
    page, client = paged(tmp_path / "mine")
    for player in search.compute(page, EN, "own", "rain", None, 5, search.Filters()).players:
        assert player.name == str(Path("deep", "rain.wav"))
        assert client.get(f"/originals/{player.whole}").content == indexed.read_bytes()
        (tmp_path / "mine").unlink()
        (tmp_path / "mine").symlink_to(secret.parent)
        assert client.get(f"/originals/{player.whole}").content == indexed.read_bytes()
        (tmp_path / "mine").unlink()
        (tmp_path / "mine").symlink_to(tmp_path / "sounds")


# -- what is not ----------------------------------------------------------------------------------------


@LINKS
def test_a_sound_replaced_by_a_link_is_not_handed_out(indexed: Path, secret: Path, paged: Any) -> None:
    """Download and the player followed a link to /etc/shadow that took a sound's place after indexing."""
    page, client = paged()
    indexed.unlink()
    indexed.symlink_to(secret)
    refused(page, client)


@LINKS
def test_a_link_to_another_sound_below_the_roots_is_none_either(indexed: Path, tmp_path: Path, paged: Any) -> None:
    page, client = paged()
    other = tmp_path / "sounds" / "private.wav"
    shutil.move(indexed, other)
    indexed.symlink_to(other)
    refused(page, client)


@LINKS
def test_a_folder_replaced_by_a_link_leads_nowhere(indexed: Path, tmp_path: Path, paged: Any) -> None:
    """The file is the one that was indexed, even: what is asked is whether a link was followed."""
    page, client = paged()
    shutil.move(indexed.parent, tmp_path / "elsewhere")
    indexed.parent.symlink_to(tmp_path / "elsewhere")
    refused(page, client)


@LINKS
def test_a_root_replaced_by_a_link_leads_nowhere(indexed: Path, tmp_path: Path, paged: Any) -> None:
    page, client = paged()
    shutil.move(tmp_path / "sounds", tmp_path / "elsewhere")
    (tmp_path / "sounds").symlink_to(tmp_path / "elsewhere")
    refused(page, client)


def test_what_was_shown_before_it_was_replaced_is_not_handed_out_after(indexed: Path, secret: Path, paged: Any) -> None:
    """Tokens are given when a search has found something, and asked for whenever somebody likes; also what was cut before."""
    page, client = paged()
    (player,) = search.compute(page, EN, "own", "rain", None, 5, search.Filters()).players
    assert client.get(f"/sounds/{player.token}").status_code == 200
    size = indexed.stat().st_size
    indexed.write_bytes(SECRET.encode().ljust(size, b"#"))
    for route in (f"/sounds/{player.token}", f"/originals/{player.whole}"):
        answer = client.get(route)
        assert (answer.status_code, answer.text) == (404, TABLE["error.changed"][0])


@pytest.mark.parametrize(
    "what", ["elsewhere", "passwd", "dots", "changed", "time", "no sound", "relative", "nothing", "zero"]
)
def test_a_prepared_library_gives_nothing_away(
    what: str, indexed: Path, secret: Path, tmp_path: Path, paged: Any
) -> None:
    """A `library.sqlite` whose path is /etc/passwd had it handed out."""
    inside = tmp_path / "sounds" / "notes.txt"
    inside.write_text(SECRET)
    private = written(tmp_path / "elsewhere" / "private.wav", seed=1)
    another = written(tmp_path / "sounds" / "another.wav", seed=2)
    passwd = Path("/etc/passwd")
    facts: dict[str, dict[str, Any]] = {
        "elsewhere": as_it_is(private),
        "passwd": as_it_is(passwd if passwd.exists() else secret),
        "dots": {**as_it_is(private), "path": str(tmp_path / "sounds" / ".." / "elsewhere" / "private.wav")},
        "changed": {**as_it_is(another), "size": 17, "hash": "0" * 32},
        "time": {**as_it_is(another), "mtime_ns": 17, "hash": "0" * 32},
        "no sound": as_it_is(inside),
        "relative": {**as_it_is(another), "path": "another.wav"},
        "nothing": {"path": str(tmp_path / "sounds" / "nothing.wav")},
        "zero": {"path": str(tmp_path / "sounds") + "/\0/etc/passwd"},
    }
    prepared(tmp_path / "library", **facts[what])
    page, client = paged()
    if what == "zero":  # no path at all: the library is broken
        with pytest.raises(LibraryError, match="the path of a file"):
            search.compute(page, EN, "own", "rain", None, 5, search.Filters())
    elif what in ("relative", "nothing"):  # nothing is there, so it is left out
        assert not search.compute(page, EN, "own", "rain", None, 5, search.Filters()).players
    else:  # some need a look into the file, which is taken when it is asked for
        refused(page, client, shown=what not in ("time", "no sound"))


@FIFOS
def test_a_pipe_and_a_device_are_neither_waited_for_nor_read(indexed: Path, tmp_path: Path, paged: Any) -> None:
    page, client = paged(tmp_path / "sounds", Path("/dev"))
    indexed.unlink()
    os.mkfifo(indexed)
    refused(page, client)
    prepared(tmp_path / "library", path="/dev/zero", size=0, mtime_ns=Path("/dev/zero").stat().st_mtime_ns)
    refused(page, client)


@LINKS
def test_examples_and_uploads_are_copied_without_following_links(clap: CLAP, secret: Path, tmp_path: Path) -> None:
    """Examples lie in the user's cache, where they were put once; what lies there now may be anything."""
    desk = Desk(PageSettings(library=str(tmp_path / "library"), uploads=tmp_path / "uploads"), clap)
    made = written(tmp_path / "cache" / "dog.wav")
    assert Path(desk.example(made)).read_bytes() == made.read_bytes()
    bad = tmp_path / "cache" / "cat.wav"
    bad.symlink_to(secret)
    with pytest.raises(SoundError):
        desk.example(bad)
    with pytest.raises(SoundError):
        list(fill(desk, None, [str(bad)], [], "someone", Filling()))
    (tmp_path / "uploads" / "dog.wav").symlink_to(secret)
    last = list(fill(desk, None, [str(made)], [], "someone", Filling()))[-1]
    assert last.report is not None
    assert last.report.added == 1
    assert [one.name for one in (tmp_path / "uploads").iterdir() if not one.is_symlink()] == ["dog_2.wav"]
    assert secret.read_text() == SECRET
    desk.close()


def test_names_tell_nothing_of_where_the_folders_lie(tmp_path: Path) -> None:
    one, two = tmp_path / "a" / "rain", tmp_path / "b" / "wind"
    served = ServedFiles([one, two], own=[tmp_path / "uploads"])
    assert served.name_of(str(one / "x" / "1.wav")) == str(Path("rain", "x", "1.wav"))
    assert served.name_of(str(two / "2.wav")) == str(Path("wind", "2.wav"))
    assert served.name_of(str(tmp_path / "uploads" / "visitor" / "3.wav")) == "3.wav"
    assert served.name_of(str(tmp_path / "secret" / "4.wav")) == "4.wav"
    assert ServedFiles([one]).name_of(str(one / "x" / "1.wav")) == str(Path("x", "1.wav"))


# -- below the page -------------------------------------------------------------------------------------


@pytest.fixture(params=["by folder", "compared"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to open: folder by folder, and as where a system cannot."""
    if request.param == "compared":
        monkeypatch.setattr(safe_open_module, "BY_FOLDER", False)
    elif not safe_open_module.BY_FOLDER:
        pytest.skip("this system opens nothing in an open folder")
    return str(request.param)


@LINKS
def test_no_part_of_a_path_may_be_a_link(way: str, tmp_path: Path) -> None:
    top = Path(os.path.realpath(tmp_path))
    (top / "a" / "b").mkdir(parents=True)
    (top / "a" / "b" / "c").write_bytes(b"well")
    with open_without_links(str(top / "a" / "b" / "c"), "c") as file:
        assert file.read() == b"well"
        assert file.name == "c"
    (top / "link").symlink_to(top / "a")
    (top / "a" / "l").symlink_to(top / "a" / "b" / "c")
    for path in (top / "link" / "b" / "c", top / "a" / "l", top / "a" / "b"):
        with pytest.raises(WithheldSound):
            open_without_links(str(path), "c")
    with pytest.raises(SoundNotFound):
        open_without_links(str(top / "a" / "none"), "none")
    for wrong in (f"{top}/a/../a/b/c", "a/b/c", f"{top}/a//b/c", f"{top}/a/b/c\0"):
        with pytest.raises(WithheldSound):
            open_without_links(wrong, "c")


@LINKS
def test_what_is_replaced_between_looking_and_opening_is_refused(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment between a check and an open is where a link is put, if it is put on purpose."""
    top = Path(os.path.realpath(tmp_path))
    sound, secret = top / "a.wav", top / "secret"
    sound.write_bytes(b"well")
    secret.write_bytes(b"secret")
    real_open = os.open

    def swapped(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if os.fspath(path).endswith("a.wav") and not sound.is_symlink():
            sound.unlink()
            sound.symlink_to(secret)
            if way == "compared":
                flags &= ~getattr(os, "O_NOFOLLOW", 0)  # which that system does not have
        return real_open(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", swapped)
    with pytest.raises(WithheldSound):
        open_without_links(str(sound), "a.wav")


def test_a_file_of_a_library_is_read_by_no_other_way(tmp_path: Path, indexed: Path, clap: CLAP) -> None:
    """The finer look of moments opens the recordings: of a library that somebody prepared, any file of the machine."""
    rng = np.random.default_rng(3)
    wave = rng.uniform(-0.01, 0.01, 20 * 8000)
    wave[7 * 8000 : 8 * 8000] = rng.uniform(-0.9, 0.9, 8000)
    sf.write(indexed, wave, 8000)
    library = Library.open(tmp_path / "library", model=clap)
    named, elsewhere = ServedFiles([tmp_path / "sounds"]), ServedFiles([tmp_path / "elsewhere"])
    library.add(tmp_path / "sounds")
    coarse, fine = library.moments("rain", fine=False), library.moments("rain")
    assert fine != coarse
    assert library.moments("rain", served=named) == fine
    assert {m.start % 5 for m in library.moments("rain", served=elsewhere)} == {0.0}
    version = library.versions([str(indexed), "/not/there"])
    assert list(version) == [str(indexed)]
    with named.open(str(indexed), version[str(indexed)]) as file:
        assert file.read() == indexed.read_bytes()
    assert FileVersion.from_disk(indexed) == FileVersion(version[str(indexed)].size, version[str(indexed)].mtime_ns)
    library.close()


def test_the_service_reads_no_file_that_a_prepared_library_names(tmp_path: Path, indexed: Path, clap: CLAP) -> None:
    """`/v1/moments` of the library opened whatever its paths named; it answers with the windows of the library instead."""
    private = written(tmp_path / "elsewhere" / "private.wav", seed=1)
    prepared(tmp_path / "library", **as_it_is(private))
    read: list[str] = []
    real_open = os.open

    def noted(path: Any, *rest: Any, **options: Any) -> int:
        read.append(os.fspath(path))
        return real_open(path, *rest, **options)

    for roots in ((tmp_path / "sounds",), ()):
        shelf = LibraryView(str(tmp_path / "library"), clap, roots)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "open", noted)
            (moment,) = shelf.moments("rain", 5)
        assert moment.path == "private.wav"
        assert bool(read) == (not roots)  # where nothing was named, what lies in the library's own folder
        shelf.close()
    private.unlink()
    if os.name != "nt":
        private.symlink_to(indexed)
        shelf = LibraryView(str(tmp_path / "library"), clap)
        assert [(one.start, one.end) for one in shelf.moments("rain", 5)] == [(0.0, 1.0)]
        shelf.close()
