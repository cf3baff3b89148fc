"""Libraries that older versions made: read as they are, brought up in place by the first write, and whole whatever happens."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from old_libraries import HELD, MAKER, TAGS, E, old_library, recording, run_alone

from openclap.errors import LibraryError, LibraryMismatch
from openclap.store import FileText, SearchFilter, Store, open_store
from openclap.store.lance import migration as lance_migration
from openclap.store.sqlite import migration as sqlite_migration

KINDS = ["sqlite 2", "sqlite 3", "sqlite 4", "lance 1", "lance 2", "lance 3"]
QUERY = recording("/query", 1).embedding[0]


@pytest.fixture(params=KINDS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return old_library(request.param, tmp_path)


def version_of(place: Path) -> int:
    if place.suffix == ".lance":
        import lancedb

        row = lancedb.connect(place).open_table("about").search().where("key = 'library'").to_list()[0]
        return int(row["format"])
    db = sqlite3.connect(place / "library.sqlite")
    try:
        return int(db.execute("PRAGMA user_version").fetchone()[0])
    finally:
        db.close()


def now(place: Path) -> bool:
    return version_of(place) == {".lance": 4}.get(place.suffix, 5)


def holds_all(store: Store, *, but: str = "") -> None:
    """Every file with its windows and tags, in every way to ask."""
    held = {path: windows for path, windows in HELD.items() if path != but}
    assert store.model_identity() == MAKER
    assert {file.path: (file, file.tags) for file in store.files()} == {
        path: (recording(path, windows).file, TAGS.get(path, ())) for path, windows in held.items()
    }
    for path, windows in held.items():
        found, wanted = store.recording(path), recording(path, windows)
        assert found is not None
        assert np.array_equal(found.embedding, wanted.embedding)
        assert np.array_equal(found.start, wanted.start)
        assert store.nearest(wanted.embedding[0], 1)[0].path == path
    assert store.stats() | {"bytes": 0} == {
        "files": len(held), "windows": sum(held.values()), "seconds": 5.0 * (sum(held.values()) + len(held)), "bytes": 0,
    }  # fmt: skip
    assert {file.path for file in store.files(SearchFilter(tags=("field",)))} == {
        path for path, tags in TAGS.items() if "field" in tags and path != but
    }
    assert store.check() == []


def test_an_older_library_is_read_as_it_is(old: Path) -> None:
    """It was refused: "is of format version 2; this openclap reads version 3: index again into another --library"."""
    store = open_store(old)
    holds_all(store)
    assert not now(old)
    assert store.remembered_tags() == []
    assert store.sample(3).shape == (3, E)
    assert [file.reading for file in store.files()] == [1] * len(HELD)


def _claim_and_put(store: Store) -> None:
    store.claim(MAKER)
    store.put([recording("/nas/rain/1.wav", 3)])


WRITES: dict[str, Callable[[Store], None]] = {
    "put": lambda store: store.put([recording("/nas/rain/1.wav", 3)]),
    "touch": lambda store: store.update_facts([recording("/nas/wind.flac", 5).file]),
    "tag": lambda store: store.tag(["/nas/rain/1.wav"], ["wet"]),
    "claim and put": _claim_and_put,
}


@pytest.mark.parametrize("write", WRITES)
def test_the_first_write_brings_it_up(old: Path, write: str) -> None:
    reader, writer = open_store(old), open_store(old)
    holds_all(reader)
    WRITES[write](writer)
    if write == "tag" and not now(old):  # nothing was to be changed
        writer.tag(["/nas/rain/1.wav"], ["new"])
        assert now(old)
        return
    assert now(old)
    holds_all(writer)
    holds_all(reader)
    holds_all(open_store(old))
    writer.update_facts([replace(recording("/nas/wind.flac", 5).file, reading=7)])
    assert {path: file.reading for path, file in reader.find_files(HELD).items()} == {
        **dict.fromkeys(HELD, 1),
        "/nas/wind.flac": 7,
    }
    assert [path.name for path in old.glob("*version*")] == []  # the copy is gone
    before = recording("/nas/wind.flac", 5)
    assert writer.delete(["/nas/wind.flac"]) == 1
    reader.put([replace(before, file=replace(before.file, path="/elsewhere/wind.flac"))])
    assert writer.find_files(["/elsewhere/wind.flac"])["/elsewhere/wind.flac"].tags == ("läut",)


def test_an_older_library_has_no_words_until_they_are_noted(old: Path) -> None:
    store, path = open_store(old), "/nas/rain/2 声.wav"
    assert store.match_words(["rain"], 3) == []
    assert store.texts(HELD) == {}
    assert sorted(store.without_text(HELD)) == sorted(HELD)
    assert list(store.files(SearchFilter(words=("rain",)))) == []
    assert list(store.files(SearchFilter(facts=(("folder", "rain"),)))) == []
    found = store.recording(path)
    assert found is not None
    assert found.text is None
    assert not now(old)
    store.note_texts({path: FileText("2 声", "rain")})
    assert now(old)
    assert [match.path for match in store.match_words(["rain"], 3)] == [path]
    assert sorted(store.without_text(HELD)) == sorted({*HELD} - {path})
    assert [file.path for file in store.files(SearchFilter(words=("rain", "声")))] == [path]
    holds_all(store)


def test_an_older_library_does_not_know_its_levels(old: Path) -> None:
    """Nothing of it is silent, and its vectors of whole recordings are made of the windows, until files are put anew."""
    store = open_store(old)

    def as_made(path: str) -> None:
        rows = recording(path, HELD[path]).embedding
        mean = rows.mean(0)
        assert np.allclose(store.tracks([path, "/never"]).pop(path), mean / np.linalg.norm(mean), atol=1e-6)
        found = store.recording(path)
        assert found is not None
        assert np.isnan(found.levels).all()
        assert found.heard.all()

    for path in HELD:
        as_made(path)
    assert not store.has_levels()
    assert not now(old)
    quiet = recording("/nas/wind.flac", 5)
    levels = np.array([-20.0, -70.0, -30.0, -120.0, np.nan], np.float32)
    store.put([replace(quiet, level=levels)])
    assert now(old)
    as_made("/nas/rain/1.wav")
    if old.suffix != ".lance":  # they were made of the windows, once: an hour has 720 of them
        with closing(sqlite3.connect(old / "library.sqlite")) as db:
            assert db.execute("SELECT count(*) FROM tracks").fetchone() == (
                sum(windows > 1 for windows in HELD.values()),
            )
    found = store.recording("/nas/wind.flac")
    assert found is not None
    assert np.array_equal(found.levels, levels, equal_nan=True)
    mean = quiet.embedding[[0, 2, 4]].mean(0)
    assert np.allclose(store.tracks(HELD)["/nas/wind.flac"], mean / np.linalg.norm(mean), atol=1e-6)
    assert store.nearest(quiet.embedding[1], 9)[0].score < 0.999
    assert {row.start for row in store.nearest(quiet.embedding[1], 99, per_file=False) if row.path == "/nas/wind.flac"} == {
        0.0, 10.0, 20.0
    }  # fmt: skip
    assert not store.has_levels()
    assert store.check() == []


class Died(BaseException):
    """A process that is killed here: nothing after it is done."""


def _die(*_: Any, **__: Any) -> None:
    raise Died


def _step_and_die(db: Any, *, step: Callable[[Any], None], die: Callable[[], None]) -> None:
    step(db)
    die()


def _broken_off(module: Any, step: str, die: Callable[..., None], patch: pytest.MonkeyPatch) -> None:
    """Let a step of bringing a library up, or what comes after it, be the last that is done."""
    if step == "before":
        patch.setattr(module, "STEPS", dict.fromkeys(module.STEPS, die))
    elif step == "after":
        steps = {version: partial(_step_and_die, step=do, die=die) for version, do in module.STEPS.items()}
        patch.setattr(module, "STEPS", steps)
    else:
        patch.setattr(module, step, die)


def _die_at(place: str, step: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        _broken_off(sqlite_migration, step, lambda *_: os._exit(9), patch)
        open_store(place).put([recording("/nas/rain/1.wav", 3)])


@pytest.mark.parametrize(("kind", "step"), [
    *(("sqlite 2", step) for step in ("copy_whole", "before", "after", "_count_rows", "drop_copies")), ("sqlite 4", "after"),
])  # fmt: skip
def test_killed_at_every_step(kind: str, step: str, tmp_path: Path) -> None:
    """In a process of its own, which ends there as if by SIGKILL."""
    place = old_library(kind, tmp_path)
    assert run_alone("test_migration", "_die_at", place, step) == 9
    holds_all(open_store(place))
    assert now(place) == (step == "drop_copies")
    open_store(place).put([recording("/nas/rain/1.wav", 3)])
    assert now(place)
    holds_all(open_store(place))
    assert [path.name for path in place.glob("*version*")] == []


@pytest.mark.parametrize("kind", ["lance 1", "lance 3"])
@pytest.mark.parametrize("step", ["before", "after", "replace"])
def test_broken_off_at_every_step_of_lancedb(
    kind: str, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a commit of LanceDB, so nothing is half-way when nothing after it is done."""
    place = old_library(kind, tmp_path)
    with monkeypatch.context() as patch:
        _broken_off(lance_migration, step, _die, patch)
        store = open_store(place)
        with pytest.raises(Died):
            store.put([recording("/nas/rain/1.wav", 3)])
    holds_all(open_store(place))
    assert not now(place)
    open_store(place).put([recording("/nas/rain/1.wav", 3)])
    assert now(place)
    holds_all(open_store(place))


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_that_fails_leaves_it_as_it_was(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = old_library(kind, tmp_path)

    def loses(db: Any) -> None:
        if kind.startswith("sqlite"):
            db.execute("DELETE FROM main.files WHERE path = '/nas/wind.flac'")
        else:
            db.delete("path = '/nas/wind.flac'")

    with monkeypatch.context() as patch:
        for module in (sqlite_migration, lance_migration):
            patch.setattr(module, "STEPS", dict.fromkeys(module.STEPS, loses))
        with pytest.raises(LibraryError, match="could not be brought up"):
            open_store(place).put([recording("/nas/rain/1.wav", 3)])
    holds_all(open_store(place))
    assert not now(place)


def test_several_that_write_at_once(old: Path) -> None:
    go = threading.Barrier(3)

    def write(i: int) -> None:
        store = open_store(old)
        store.claim(MAKER)
        go.wait()
        store.put([recording(f"/new/{i}.wav", 1)])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    store = open_store(old)
    assert {file.path for file in store.files()} == {*HELD, *(f"/new/{i}.wav" for i in range(3))}
    assert store.delete([f"/new/{i}.wav" for i in range(3)]) == 3
    holds_all(store)


def test_one_that_may_not_be_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = old_library("sqlite 2", tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    store = open_store(place)
    holds_all(store)
    with pytest.raises(LibraryError, match=r"cannot be written to .*readonly"):
        store.put([recording("/nas/rain/1.wav", 3)])
    assert not now(place)


def test_a_newer_one_is_refused_by_number(old: Path) -> None:
    if old.suffix == ".lance":
        import lancedb

        lancedb.connect(old).open_table("about").update("key = 'library'", {"format": 99})
    else:
        db = sqlite3.connect(old / "library.sqlite")
        db.execute("PRAGMA user_version = 99")
        db.close()
    wanted = r"version 99; this openclap reads versions . to .; update openclap"
    with pytest.raises(LibraryMismatch, match=wanted):
        open_store(old).stats()
    with pytest.raises(LibraryMismatch, match=wanted):
        open_store(old).put([recording("/a.wav", 1)])


def test_a_broken_older_one_is_mended(tmp_path: Path) -> None:
    place = old_library("sqlite 2", tmp_path)
    db = sqlite3.connect(place / "library.sqlite")
    db.execute("UPDATE windows SET end_seconds = 9e999 WHERE file = 5")
    db.commit()
    db.close()
    store = open_store(place)
    assert store.check() == ["5 windows have times that cannot be"]
    assert store.repair() == ["1 file without sound vectors removed: index again"]
    store.put([recording("/nas/wind.flac", 5)])
    holds_all(open_store(place))  # the tag too
