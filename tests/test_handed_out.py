"""What the service hands out of a library: sounds below the folders that were named, as they were indexed, and nothing else."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from fastapi.testclient import TestClient

from openclap import CLAP
from openclap.errors import SoundNotFound, WithheldSound
from openclap.library import Library
from openclap.library import safe_open as safe_open_module
from openclap.library.safe_open import open_without_links
from openclap.library.served_files import ServedFiles
from openclap.serve.app import create_app
from openclap.serve.library_view import LibraryView
from openclap.serve.settings import ServeSettings

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
def served(tmp_path: Path, clap: CLAP) -> Iterator[Callable[..., TestClient]]:
    """A service on that library, with these roots."""
    open_now: list[TestClient] = []

    def made(*roots: Path) -> TestClient:
        settings = ServeSettings(library=str(tmp_path / "library"), roots=roots or (tmp_path / "sounds",))
        client = TestClient(create_app(settings, clap=clap), base_url="http://localhost", raise_server_exceptions=False)
        client.__enter__()
        open_now.append(client)
        return client

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


def found(client: TestClient) -> list[str]:
    """The paths of all sounds that a search finds."""
    answer = client.post("/v1/search", json={"query": "rain", "k": 5})
    assert answer.status_code == 200, answer.text
    return [hit["path"] for hit in answer.json()["hits"]]


def heard(client: TestClient, path: str) -> Any:
    return client.get("/v1/library/audio", params={"path": path})


def refused(client: TestClient, secret: bytes = SECRET.encode()) -> None:
    """Every door shuts: what is found is neither played nor downloaded nor drawn, and the answer tells nothing of it."""
    (path,) = found(client)
    played = heard(client, path)
    assert played.status_code in (403, 404), played.text
    assert played.json()["error"]["code"] in ("withheld_sound", "sound_not_found")
    packed = client.post("/v1/library/export", json={"paths": [path], "format": "zip"})
    drawn = client.get("/v1/library/peaks", params={"paths": [path]})
    for answer in (played, packed, drawn):
        assert secret not in answer.content
    if packed.status_code == 200:
        with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
            assert archive.namelist() == ["left out.txt"]


# -- what is there as it was ----------------------------------------------------------------------------


def test_what_was_indexed_is_heard_and_downloaded(indexed: Path, served: Any) -> None:
    client = served()
    (path,) = found(client)
    whole = heard(client, path)
    assert whole.content == indexed.read_bytes()
    assert whole.headers["content-length"] == str(len(whole.content))


def test_a_file_that_was_only_touched_is_known_by_its_content(indexed: Path, served: Any) -> None:
    client = served()
    os.utime(indexed, (1, 1))
    assert heard(client, *found(client)).content == indexed.read_bytes()


@LINKS
def test_a_root_may_be_a_link_itself(tmp_path: Path, indexed: Path, served: Any, secret: Path) -> None:
    """Its owner named it; where it leads later is another matter."""
    (tmp_path / "mine").symlink_to(tmp_path / "sounds")
    library = Library.open(tmp_path / "library", model=CLAP.from_pretrained("mini"))
    library.add(tmp_path / "mine")
    library.close()
    client = served(tmp_path / "mine")
    paths = found(client)
    assert any(heard(client, path).content == indexed.read_bytes() for path in paths)
    (tmp_path / "mine").unlink()
    (tmp_path / "mine").symlink_to(secret.parent)
    assert any(heard(client, path).content == indexed.read_bytes() for path in paths)


# -- what is not ----------------------------------------------------------------------------------------


@LINKS
def test_a_sound_replaced_by_a_link_is_not_handed_out(indexed: Path, secret: Path, served: Any) -> None:
    """Download and the player followed a link to /etc/shadow that took a sound's place after indexing."""
    client = served()
    indexed.unlink()
    indexed.symlink_to(secret)
    refused(client)


@LINKS
def test_a_link_to_another_sound_below_the_roots_is_none_either(indexed: Path, tmp_path: Path, served: Any) -> None:
    client = served()
    other = tmp_path / "sounds" / "private.wav"
    shutil.move(indexed, other)
    indexed.symlink_to(other)
    refused(client)


@LINKS
def test_a_folder_replaced_by_a_link_leads_nowhere(indexed: Path, tmp_path: Path, served: Any) -> None:
    """The file is the one that was indexed, even: what is asked is whether a link was followed."""
    client = served()
    shutil.move(indexed.parent, tmp_path / "elsewhere")
    indexed.parent.symlink_to(tmp_path / "elsewhere")
    refused(client)


@LINKS
def test_a_root_replaced_by_a_link_leads_nowhere(indexed: Path, tmp_path: Path, served: Any) -> None:
    client = served()
    shutil.move(tmp_path / "sounds", tmp_path / "elsewhere")
    (tmp_path / "sounds").symlink_to(tmp_path / "elsewhere")
    refused(client)


def test_what_was_found_before_it_was_replaced_is_not_handed_out_after(indexed: Path, served: Any) -> None:
    """Of the same size, also where it was heard before."""
    client = served()
    (path,) = found(client)
    assert heard(client, path).status_code == 200
    indexed.write_bytes(SECRET.encode().ljust(indexed.stat().st_size, b"#"))
    refused(client)


@pytest.mark.parametrize(
    "what", ["elsewhere", "passwd", "dots", "changed", "time", "no sound", "relative", "nothing", "zero"]
)
def test_a_prepared_library_gives_nothing_away(
    what: str, indexed: Path, secret: Path, tmp_path: Path, served: Any
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
    client = served()
    if what == "zero":  # no path at all: the library is broken
        answer = client.post("/v1/search", json={"query": "rain"})
        assert answer.status_code >= 400
        assert str(tmp_path) not in answer.text
    elif what in ("relative", "nothing"):  # nothing is there, so it is left out
        assert found(client) == []
    else:  # some need a look into the file, which is taken when it is asked for
        refused(client)
        for file in (private, another):
            refused(client, file.read_bytes())


@FIFOS
def test_a_pipe_and_a_device_are_neither_waited_for_nor_read(indexed: Path, tmp_path: Path, served: Any) -> None:
    client = served(tmp_path / "sounds", Path("/dev"))
    indexed.unlink()
    os.mkfifo(indexed)
    refused(client)
    prepared(tmp_path / "library", path="/dev/zero", size=0, mtime_ns=Path("/dev/zero").stat().st_mtime_ns)
    refused(client)


def test_names_tell_nothing_of_where_the_folders_lie(tmp_path: Path) -> None:
    one, two = tmp_path / "a" / "rain", tmp_path / "b" / "wind"
    served = ServedFiles([one, two], own=[tmp_path / "uploads"])
    assert served.name_of(str(one / "x" / "1.wav")) == str(Path("rain", "x", "1.wav"))
    assert served.name_of(str(two / "2.wav")) == str(Path("wind", "2.wav"))
    assert served.name_of(str(tmp_path / "uploads" / "visitor" / "3.wav")) == "3.wav"
    assert served.name_of(str(tmp_path / "secret" / "4.wav")) == "4.wav"
    assert ServedFiles([one]).name_of(str(one / "x" / "1.wav")) == str(Path("x", "1.wav"))


# -- below the service -------------------------------------------------------------------------------------


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
    library.close()


def test_the_service_reads_no_file_that_a_prepared_library_names(tmp_path: Path, indexed: Path, clap: CLAP) -> None:
    """`/v1/moments` of the library opened whatever its paths named; it answers with the windows of the library instead."""
    private = written(tmp_path / "elsewhere" / "private.wav", seed=1)
    prepared(tmp_path / "library", **as_it_is(private))
    read: list[str] = []
    real_open = os.open

    def noted(path: Any, *rest: Any, **options: Any) -> int:
        if not Path(path).is_relative_to(tmp_path / "library"):  # its own files may be read
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
