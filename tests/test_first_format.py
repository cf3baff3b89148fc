"""Libraries of the very first format, one `library.npz`: read as they are, and brought up by the first write."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from models_for_tests import small_clap
from old_libraries import HELD, MAKER, old_library, recording, run_alone

from openclap import CLAP, Library
from openclap.errors import LibraryError
from openclap.library.model_identity import model_identity
from openclap.store import Store, open_store

RATE = 16_000


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return old_library("first", tmp_path)


def holds_all(store: Store) -> None:
    assert store.model_identity() == MAKER
    found = {file.path: file for file in store.files()}
    assert set(found) == set(HELD)
    for path, windows in HELD.items():
        file, wanted, held = found[path], recording(path, windows), store.recording(path)
        facts = wanted.file
        assert (file.size, file.mtime_ns, file.seconds, file.reading) == (facts.size, facts.mtime_ns, facts.seconds, 1)
        assert not file.is_hashed
        assert held is not None
        assert np.array_equal(held.embedding, wanted.embedding)
        assert np.array_equal(held.start, wanted.start)
        assert store.nearest(wanted.embedding[0], 1)[0].path == path
    assert len({file.hash for file in found.values()}) == len(HELD)  # none is taken for a copy of another
    assert store.stats() | {"bytes": 0} == {"files": 5, "windows": 12, "seconds": 85.0, "bytes": 0}
    assert store.check() == []


def test_it_is_read_as_it_is(old: Path) -> None:
    """It was refused: "is of format version 1; this openclap reads version 3: index again into another --library"."""
    holds_all(open_store(old))
    assert [path.name for path in old.iterdir()] == ["library.npz"]


def test_the_first_write_brings_it_up(old: Path) -> None:
    reader, writer = open_store(old), open_store(old)
    holds_all(reader)
    writer.tag(["/nas/wind.flac"], ["wet"])
    with closing(sqlite3.connect(old / "library.sqlite")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (5,)
    for store in (reader, writer, open_store(old)):
        holds_all(store)
        assert store.find_files(["/nas/wind.flac"])["/nas/wind.flac"].tags == ("wet",)
    (old / "library.npz").unlink()
    holds_all(open_store(old))


def test_several_that_write_at_once(old: Path) -> None:
    go = threading.Barrier(3)

    def write(number: int) -> None:
        store = open_store(old)
        go.wait()
        store.put([recording(f"/new/{number}.wav", 1)])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    assert {file.path for file in open_store(old).files()} == {*HELD, *(f"/new/{i}.wav" for i in range(3))}


def _die_at_it(old: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("openclap.store.sqlite.connection.convert", lambda *_: os._exit(9))
        open_store(old).put([recording("/a.wav", 1)])


def test_one_who_is_killed_at_it_leaves_it_whole(old: Path) -> None:
    assert run_alone("test_first_format", "_die_at_it", old) == 9
    assert (old / "library.sqlite").exists()
    holds_all(open_store(old))
    writer = open_store(old)
    writer.put([recording("/a.wav", 1)])
    writer.delete(["/a.wav"])
    holds_all(writer)


def test_one_that_may_not_be_written_is_read(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    store = open_store(old)
    holds_all(store)
    with pytest.raises(LibraryError, match="cannot be written to"):
        store.put([recording("/a.wav", 1)])
    assert [path.name for path in old.iterdir()] == ["library.npz"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format_version": 7}, "version 7"),
        ({"windows_of_file": [1, 1, 1, 1, 1]}, "do not fit together"),
        ({"files": [{}] * 5}, "path"),
    ],
)
def test_a_broken_one_is_one_sentence(old: Path, change: dict[str, Any], said: str) -> None:
    with np.load(old / "library.npz") as parts:
        arrays = dict(parts)
    arrays["manifest"] = np.array(json.dumps({**json.loads(str(arrays["manifest"])), **change}))
    np.savez(old / "library.npz", **arrays)
    store = open_store(old)
    with pytest.raises(
        LibraryError, match=f"library.npz is no library of openclap, or broken .*{said}.*; move it away"
    ):
        store.stats()
    with pytest.raises(
        LibraryError, match=f"library.npz is no library of openclap, or broken .*{said}.*; move it away"
    ):
        store.put([recording("/a.wav", 1)])


def test_a_value_that_cannot_be_is_told_of_the_file_that_holds_it(old: Path) -> None:
    """It named a library.sqlite, which was not there."""
    with np.load(old / "library.npz") as parts:
        arrays = dict(parts)
    manifest = json.loads(str(arrays["manifest"]))
    manifest["maker"]["embedding"] = -1
    arrays["manifest"] = np.array(json.dumps(manifest))
    np.savez(old / "library.npz", **arrays)
    with pytest.raises(LibraryError, match=r"library\.npz is no library of openclap, or broken") as told:
        open_store(old).model_identity()
    assert "sqlite" not in str(told.value)


def test_one_that_is_cut_is_not_taken_for_nothing(old: Path) -> None:
    data = (old / "library.npz").read_bytes()
    (old / "library.npz").write_bytes(data[: len(data) // 2])
    store = open_store(old)
    with pytest.raises(LibraryError, match=r"library.npz is no library of openclap, or broken \(File is not"):
        store.model_identity()
    with pytest.raises(LibraryError, match=r"library.npz is no library of openclap, or broken \(File is not"):
        store.put([recording("/a.wav", 1)])
    assert [path.name for path in old.iterdir()] == ["library.npz"]


def test_another_file_of_that_name_is_none(tmp_path: Path) -> None:
    """`openclap embed -o library.npz` may have made it: it was a library of version 1, and refused."""
    np.savez(tmp_path / "library.npz", path=np.array(["a"]), embedding=np.eye(1, 4))
    store = open_store(tmp_path)
    assert store.model_identity() == {}
    store.put([recording("/a.wav", 1)])
    assert [file.path for file in store.files()] == ["/a.wav"]


def test_index_gives_its_files_a_hash(tmp_path: Path, tokenizer_file: Path) -> None:
    clap = small_clap(tokenizer_file)
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for i in range(2):
        sf.write(sounds / f"{i}.wav", np.random.default_rng(i).uniform(-0.3, 0.3, RATE), RATE)
    place = _first_of(clap, sounds, tmp_path / "library")
    library = Library.open(place, model=clap)
    assert len(library.search("rain")) == 2
    assert library.verify().whole  # by size and time, as there is nothing to compare the content with
    assert library.add(sounds, keep=True).unchanged == 2
    report = library.add(sounds, tags=["field"])
    assert (report.updated, report.unchanged, report.failed) == (2, 0, [])
    assert library.add(sounds).unchanged == 2
    assert library.verify().whole
    shutil.move(sounds / "0.wav", sounds / "moved.wav")
    assert library.add(sounds).updated == 1
    assert len(library.search("rain", tags=["field"])) == 2


def _first_of(clap: CLAP, sounds: Path, place: Path) -> Path:
    """A library of the first format, as a model of then would have made it."""
    place.mkdir()
    files = sorted(sounds.iterdir())
    stats = [file.stat() for file in files]
    facts = [
        {"path": str(file), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "seconds": 1.0}
        for file, stat in zip(files, stats, strict=True)
    ]
    manifest = {"format": "openclap-library", "format_version": 1, "maker": model_identity(clap), "files": facts, "windows_of_file": [1, 1]}  # fmt: skip
    np.savez(
        place / "library.npz", manifest=np.array(json.dumps(manifest)), start=np.zeros(2), end=np.ones(2), embedding=clap.encode_audio(files)
    )  # fmt: skip
    return place
