"""What LanceDB's store does that SQLite's does not: object storage, an index, several machines. The rest is in test_stores.py."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import s3_environment
from server_for_tests import running, some_sounds
from test_stores import MAKER, E, brute, clustered, query, recording, same

from openclap import CLAP, Library
from openclap.errors import LibraryError, LibraryMismatch, UsageError
from openclap.store import Recording, SearchFilter, open_store
from openclap.store.lance import indexes, nearest
from openclap.store.lance.rows import recordings_to_table
from openclap.store.lance.windows import merge_rows


def test_object_storage(bucket: str) -> None:
    place = f"{bucket}/all.lance"
    store = open_store(place)
    assert store.model_identity() == {}
    assert store.stats()["files"] == 0
    assert store.claim(MAKER) == MAKER
    many = [recording(f"/{i} 声.wav") for i in range(20)]
    store.put(many)
    store.tag(["/3 声.wav"], ["good"])
    there = open_store(place + "/")
    same(there.nearest(query(), 5), brute(many, query(), 5))
    store.delete(["/5 声.wav"])
    left = [r for r in many if r.file.path != "/5 声.wav"]
    same(there.nearest(query(), 50, per_file=False), brute(left, query(), 50, per_file=False))
    same(there.nearest(query(), 5, where=SearchFilter(tags=("good",))), brute(many[3:4], query(), 5))
    found = there.stats()
    assert (found["files"], found["windows"]) == (19, 57)
    assert found["bytes"] > 57 * E * 4
    with store.lock():
        aside = store.staging({**MAKER, "fingerprint": "f" * 16})
        aside.claim({**MAKER, "fingerprint": "f" * 16})
        aside.put(many[:2])
        store.swap_in(aside)
    assert there.model_identity()["fingerprint"] == "f" * 16
    assert [f.path for f in there.files()] == ["/0 声.wav", "/1 声.wav"]
    with pytest.raises(LibraryError, match="no such bucket"):
        open_store("s3://nowhere/all.lance").put(many)


def test_a_storage_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_environment("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LibraryError, match="not reachable"):
        open_store("s3://sounds/all.lance").stats()
    for bad in (
        "ftp://sounds/all.lance",
        "s3://",
        "s3:///x.lance",
        "s3://sounds",
        "s3://sounds/",
        "s3://sounds/a#1.lance",
        "s3://sounds/a%20.lance",
        "s3://s/a\nb",
    ):
        with pytest.raises(UsageError, match="is no place for a library"):
            open_store(bad)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(LibraryError, match="cannot be read"):
        open_store("s3://sounds/all.lance").stats()


def test_an_index_and_what_is_newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "INDEX_FROM", 3000)
    monkeypatch.setattr(indexes, "PATHS_FROM", 3000)
    rows, start = clustered(4000), np.array([0.0, 5.0, 10.0, 15.0])
    many = [Recording(recording(f"/{i:04}.wav").file, start, start + 10, rows[4 * i : 4 * i + 4]) for i in range(1000)]
    store = open_store(tmp_path / "x.lance")
    store.put(many[:900])
    store.optimize()
    table = store._rows.current()  # type: ignore[attr-defined]
    assert {column for index in table.list_indices() for column in index.columns} == {
        "embedding",
        "path",
        "hash",
        "key",
    }
    store.put(many[900:])
    found, wanted = [], []
    for q in clustered(20, seed=2):
        found += [(row.path, row.start) for row in store.nearest(q, 10, per_file=False)]
        wanted += [(row.path, row.start) for row in brute(many, q, 10, per_file=False)]
    assert len(set(found) & set(wanted)) / len(set(wanted)) > 0.97
    new = many[950].embedding[0]
    assert store.nearest(new, 1)[0].path == "/0950.wav"  # put after the index was made
    same(
        store.nearest(new, 3, where=SearchFilter(within=("/0950.wav",)), per_file=False),
        brute(many[950:951], new, 3, per_file=False),
    )
    store.delete(["/0950.wav"])
    assert store.nearest(new, 1)[0].path != "/0950.wav"
    store.optimize()
    assert len(store.nearest(new, 2000)) == 999
    assert store.check() == []


def test_filters_fit_what_sqlites_fit(tmp_path: Path) -> None:
    names = [
        "a",
        "b.wav",
        "[x].wav",
        "a^b",
        "back\\slash",
        "new\nline",
        "声.wav",
        "na\udcffme",
        "it's",
        "A",
        "-",
        "a]b",
        "&&",
        "~",
    ]
    many = [recording(f"/{name}", 1) for name in names]
    here, there = open_store(tmp_path / "lib"), open_store(tmp_path / "lib.lance")
    for store in (here, there):
        store.put(many)
    globs = ["*", "/?", "/[ab]*", "/[^ab]*", "/[[]*", "/*]*", "/[a-c]", "/[A-]", "*\\*", "/*声*", "/na?me", "/it's", "/[&~]*", "/[^]]*",
             "/[]a]*", "/[", "/[a", "/a^b", "*\n*", "", "/a.b", "/b.wav", "/[\\]*", "/[^^]*", "/[z-a]", "/[^z-a]", "/[z-ab]*", "/[a-]*", "/[-a]*"]  # fmt: skip
    for glob in globs:
        where = SearchFilter(path=glob)
        assert {f.path for f in there.files(where)} == {f.path for f in here.files(where)}, glob
    for where in (
        SearchFilter(min_seconds=float("inf")),
        SearchFilter(after=float("-inf")),
        SearchFilter(before=1e30),
        SearchFilter(after=1e9 + 0.5),
    ):
        assert {f.path for f in there.files(where)} == {f.path for f in here.files(where)}, where


def _put_again_and_again(place: str, seed: int, told: Any, together: Any, count: int = 30) -> None:
    store = open_store(place)
    store.claim(MAKER)
    together.wait()
    for i in range(count):
        store.put([recording(f"/{i}.wav", seed=seed)])
        told.put((seed, i))


def test_processes_that_write_the_same_files(tmp_path: Path) -> None:
    """Without declared keys each wrote its own rows, and every file was there three times."""
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    together = context.Barrier(3)
    workers = [
        context.Process(target=_put_again_and_again, args=(str(tmp_path / "x.lance"), i, told, together, 12))
        for i in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    store = open_store(tmp_path / "x.lance")
    assert (store.stats()["files"], store.stats()["windows"]) == (12, 36)
    for found in store.scan():
        assert any(np.array_equal(found.embedding, recording(found.file.path, seed=i).embedding) for i in range(3))
    assert store.check() == []


def test_a_killed_writer_leaves_what_it_has_said(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    told: Any = context.SimpleQueue()
    alone = context.Barrier(1)
    worker = context.Process(target=_put_again_and_again, args=(str(tmp_path / "x.lance"), 0, told, alone))
    worker.start()
    said = [told.get() for _ in range(7)]
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    store = open_store(tmp_path / "x.lance")
    assert {f"/{i}.wav" for _, i in said} <= {f.path for f in store.files()}
    assert store.check() == []
    store.put([recording("/more.wav")])
    store.optimize()
    assert store.nearest(recording("/more.wav").embedding[0], 1)[0].path == "/more.wav"


def test_damage_is_told_and_mended(tmp_path: Path) -> None:
    store = open_store(tmp_path / "x.lance")
    many = [recording(f"/{i}.wav", 3) for i in range(40)]
    for start in range(0, 40, 10):
        store.put(many[start : start + 10])
        time.sleep(0.01)  # their order is that of their times
    store.close()
    pieces = sorted(tmp_path.glob("x.lance/windows-*.lance/data/*.lance"), key=lambda path: path.stat().st_mtime_ns)
    pieces[1].write_bytes(pieces[1].read_bytes()[:500])
    broken = open_store(tmp_path / "x.lance")
    assert broken.check() == ["some windows cannot be read"]
    (done,) = broken.repair()
    assert "90 of 120 windows copied out of a broken table" in done
    assert broken.check() == []
    left = many[:10] + many[20:]
    same(broken.nearest(query(), 99, per_file=False), brute(left, query(), 99, per_file=False))
    bad = recording("/0.wav")
    broken.put([Recording(bad.file, bad.start, bad.end, bad.embedding * 2)])
    assert broken.check() == ["1 file has missing windows, windows of two contents, or vectors that are none"]
    assert broken.repair() == ["1 file without sound vectors removed: index again"]
    assert (broken.check(), broken.repair()) == ([], [])


def test_other_formats_and_other_things(tmp_path: Path) -> None:
    store = open_store(tmp_path / "x.lance")
    store.put([recording("/a.wav")])
    store._tables.get("about").update("key = 'library'", {"format": 99})  # type: ignore[attr-defined]
    with pytest.raises(LibraryMismatch, match="version 99"):
        open_store(tmp_path / "x.lance").stats()
    (tmp_path / "mine.lance").mkdir()
    (tmp_path / "mine.lance" / "letter.txt").touch()
    with pytest.raises(LibraryMismatch, match="something else"):
        open_store(tmp_path / "mine.lance").put([recording("/a.wav")])
    assert [p.name for p in (tmp_path / "mine.lance").iterdir()] == ["letter.txt"]


def test_two_makers_cannot_mix(tmp_path: Path) -> None:
    old = open_store(tmp_path / "x.lance")
    old.claim(MAKER)
    old.put([recording("/1.wav")])
    new = open_store(tmp_path / "x.lance")
    with new.lock():
        with pytest.raises(LibraryError, match="being re-embedded by another"), old.lock():
            pass
        aside = new.staging({**MAKER, "fingerprint": "f" * 16})
        aside.claim({**MAKER, "fingerprint": "f" * 16})
        aside.put([recording("/1.wav", seed=5)])
        new.swap_in(aside)
    for write in (
        lambda: old.put([recording("/2.wav")]),
        lambda: old.tag(["/1.wav"], ["x"]),
        lambda: old.delete(["/1.wav"]),
    ):
        with pytest.raises(LibraryMismatch, match="taken over by another model"):
            write()
    same(open_store(tmp_path / "x.lance").nearest(query(), 5), brute([recording("/1.wav", seed=5)], query(), 5))
    assert len(list(tmp_path.glob("x.lance/windows-*"))) == 1


def test_a_library_that_was_deleted_is_not_written_into(tmp_path: Path) -> None:
    import shutil

    store = open_store(tmp_path / "x.lance")
    store.claim(MAKER)
    store.put([recording("/1.wav")])
    shutil.rmtree(tmp_path / "x.lance")
    assert store.stats()["files"] == 0
    with pytest.raises(LibraryError, match="deleted or moved while it was in use"):
        store.put([recording("/2.wav")])


def test_two_that_reembed_at_once_lose_nothing(tmp_path: Path) -> None:
    """On object storage nobody is alone: the second one to be done once left an empty library."""
    store = open_store(tmp_path / "x.lance")
    store.claim(MAKER)
    store.put([recording("/1.wav")])
    new = {**MAKER, "fingerprint": "f" * 16}
    first, second = open_store(tmp_path / "x.lance"), open_store(tmp_path / "x.lance")
    one, other = first.staging(new), second.staging(new)
    one.claim(new)
    other.claim(new)
    one.put([recording("/1.wav", seed=5)])
    first.swap_in(one)
    with pytest.raises(LibraryError, match="another process was faster"):
        second.swap_in(other)
    same(open_store(tmp_path / "x.lance").nearest(query(), 5), brute([recording("/1.wav", seed=5)], query(), 5))
    third = open_store(tmp_path / "x.lance").staging({**MAKER, "fingerprint": "e" * 16})
    assert third.model_identity() == {}
    assert open_store(tmp_path / "x.lance").stats()["files"] == 1


def test_thousands_of_paths(tmp_path: Path) -> None:
    """A chain of 20 000 conditions once ended the process."""
    store = open_store(tmp_path / "x.lance")
    many = [recording(f"/{i}/a.wav", 1) for i in range(300)]
    store.put(many)
    paths = (*(f"/no/{i}.wav" for i in range(20_000)), "/7/a.wav", "/8")
    found = [file.path for file in store.files(SearchFilter(within=paths))]
    assert found == ["/7/a.wav", "/8/a.wav"]
    assert store.delete(paths) == 1


def test_an_outage_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path / "x.lance")

    class Cut:
        def search(self) -> None:
            raise RuntimeError("lance error: HttpError(connection reset)")

    monkeypatch.setattr(store._rows, "current", Cut)  # type: ignore[attr-defined]
    for use in (store.check, store.repair):
        with pytest.raises(LibraryError, match="not reachable"):
            use()


def test_windows_of_two_contents_are_found(tmp_path: Path) -> None:
    """What is left when a file shrinks while another process writes it."""
    store = open_store(tmp_path / "x.lance")
    store.put([recording("/a.wav", 5)])
    table = store._rows.current()  # type: ignore[attr-defined]
    merge_rows(table, recordings_to_table([recording("/a.wav", 2, seed=3)], {}))
    assert store.check() == ["1 file has missing windows, windows of two contents, or vectors that are none"]
    store.put([recording("/a.wav", 2, seed=3)])
    assert store.check() == []
    same(store.nearest(query(), 9, per_file=False), brute([recording("/a.wav", 2, seed=3)], query(), 9, per_file=False))


def test_a_file_with_very_many_near_windows_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "LOOKED_AT_MOST", 40)
    store = open_store(tmp_path / "x.lance")
    row = query(3)[None]
    long, far = recording("/long.wav", 500), [recording(f"/{i}.wav") for i in range(30)]
    near = Recording(long.file, long.start, long.end, np.repeat(row, 500, 0))
    store.put([near, *far])
    same(store.nearest(query(3), 8), brute([near, *far], query(3), 8))
    assert len(store.nearest(query(3), 30, per_file=False)) == 30


def _tag(place: str, tag: str, together: Any) -> None:
    store = open_store(place)
    together.wait()
    for i in range(12):
        store.tag([f"/{i}.wav"], [tag])


def test_processes_that_tag_the_same_files(tmp_path: Path) -> None:
    store = open_store(tmp_path / "x.lance")
    store.put([recording(f"/{i}.wav", 1) for i in range(12)])
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2)
    workers = [context.Process(target=_tag, args=(str(tmp_path / "x.lance"), tag, together)) for tag in ("red", "blue")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert {file.tags for file in store.files()} == {("blue", "red")}


def test_thousands_of_folders(tmp_path: Path) -> None:
    store = open_store(tmp_path / "x.lance")
    store.put([recording(f"/{i}/b/{i}.wav", 1) for i in range(300)])
    folders = tuple(f"/{i}" for i in range(290, 900))
    assert len(list(store.files(SearchFilter(within=folders)))) == 10
    assert {row.path for row in store.nearest(query(), 99, where=SearchFilter(within=folders))} == {
        f"/{i}/b/{i}.wav" for i in range(290, 300)
    }


def test_the_service_searches_it(tmp_path: Path) -> None:
    """Two shelves on one LanceDB, asked at once while another process adds: what the library itself finds, under its own names."""
    clap = CLAP.from_pretrained("mini")
    for i, sound in enumerate(some_sounds(5)):
        place = tmp_path / "sounds" / ("rain" if i < 3 else "other")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i}.wav").write_bytes(sound)
    library = Library.open(tmp_path / "sounds.lance", model=clap)
    library.add(tmp_path / "sounds")
    root = str(tmp_path / "sounds") + "/"
    with running(tmp_path, "--no-page", "--library", str(tmp_path / "sounds.lance")) as server:

        def ask(route: str, **body: Any) -> list[dict[str, Any]]:
            answer = httpx.post(f"{server.url}/v1/{route}", json=body, timeout=60)
            assert answer.status_code == 200, answer.text
            return next(iter(answer.json().values()))

        right = library.search("rain", 3)
        found = ask("search", query="rain", k=3)
        assert [hit["path"] for hit in found] == [hit.path.removeprefix(root) for hit in right]
        np.testing.assert_allclose([hit["score"] for hit in found], [hit.score for hit in right], atol=1e-5)
        assert {hit["path"] for hit in ask("search", query="rain", glob="*/rain/*")} == {
            f"rain/{i}.wav" for i in range(3)
        }
        assert {hit["path"] for hit in ask("search", query="rain", within=["other"])} == {"other/3.wav", "other/4.wav"}
        moments = ask("moments", query="rain")
        assert {moment["path"] for moment in moments} <= {hit["path"] for hit in ask("search", query="rain")}
        (tmp_path / "sounds" / "new.wav").write_bytes(some_sounds(6)[5])
        library.add(tmp_path / "sounds")
        with ThreadPoolExecutor(4) as pool:
            several = list(pool.map(lambda i: ask("search", query=f"rain {i}"), range(8)))
        assert all("new.wav" in {hit["path"] for hit in hits} for hits in several)
        assert server.stop() == 0
        assert not any("traceback" in line for line in server.log)
