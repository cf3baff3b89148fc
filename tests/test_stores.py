"""One suite over every store, held against brute force: what is put is found, and survives."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openclap.errors import LibraryError, LibraryMismatch, UsageError
from openclap.store import (
    File,
    FileText,
    Recording,
    ScoredWindow,
    SearchFilter,
    Store,
    nearest_recordings,
    open_store,
    records,
)
from openclap.store.lance import indexes
from openclap.store.sqlite import cached_vectors, codes, compare, vector_cache
from openclap.store.sqlite import store as store_module
from openclap.store.sqlite.filters import allowed_mask
from openclap.store.sqlite.vector_cache import VectorCache
from openclap.store.validation import validate_level

E = 16
MAKER = {"model": "small", "fingerprint": "0123456789abcdef", "embedding": E}


def unit(rows: np.ndarray) -> np.ndarray:
    normed: np.ndarray = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return normed


def recording(path: str, windows: int = 3, seed: int = 0, **facts: object) -> Recording:
    rng = np.random.default_rng((seed, len(path), *path.encode("utf-8", "surrogateescape")))
    start = np.arange(windows) * 5.0
    known = {"size": 100, "mtime_ns": 10**18, "hash": f"{path!a}-{seed}", "seconds": windows * 5.0 + 5, **facts}
    level = known.pop("level", None)
    return Recording(File(path, **known), start, start + 10, unit(rng.standard_normal((windows, E))), level=level)  # type: ignore[arg-type]


def query(seed: int = 1) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal(E))


def brute(recordings: list[Recording], q: np.ndarray, k: int, *, per_file: bool = True) -> list[ScoredWindow]:
    rows = [
        ScoredWindow(r.file.path, float(s), float(e), float(v @ q), v)
        for r in recordings
        for s, e, v in zip(r.start, r.end, r.embedding, strict=True)
    ]
    rows.sort(key=lambda row: (-round(row.score, 6), row.path, row.start))
    if per_file:
        best: dict[str, ScoredWindow] = {}
        for row in rows:
            best.setdefault(row.path, row)
        rows = list(best.values())
    return rows[:k]


def same(found: list[ScoredWindow], expected: list[ScoredWindow]) -> None:
    assert [(r.path, r.start, r.end) for r in found] == [(r.path, r.start, r.end) for r in expected]
    assert np.allclose([r.score for r in found], [r.score for r in expected], atol=1e-6)
    assert all(np.array_equal(a.embedding, b.embedding) for a, b in zip(found, expected, strict=True))


Opened = Callable[[], Store]


@pytest.fixture(params=["lib", "lib.lance"], ids=["sqlite", "lance"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Open the same library again and again, as other processes would."""
    stores: list[Store] = []

    def again() -> Store:
        stores.append(open_store(tmp_path / request.param))
        return stores[-1]

    yield again
    for store in stores:
        store.close()


def test_it_says_whether_it_is_empty(opened: Opened) -> None:
    """Every search asks; it took 60 ms of 7 000 files, whose first thousands were read for it."""
    store = opened()
    assert store.is_empty()
    store.put([recording("/a.wav", 1)])
    assert not store.is_empty()
    store.delete(["/a.wav"])
    assert store.is_empty()


def test_a_new_store_is_empty_and_makes_nothing(opened: Opened, tmp_path: Path) -> None:
    store = opened()
    assert store.model_identity() == {}
    assert store.nearest(query(), 3) == []
    assert list(store.files()) == []
    assert store.find_files(["/a"]) == {}
    assert store.recording("/a") is None
    assert store.sample(3).shape[0] == 0
    assert store.stats() == {"files": 0, "windows": 0, "seconds": 0, "bytes": 0}
    assert store.check() == []
    store.optimize()
    assert list(tmp_path.iterdir()) == []


def test_it_says_whether_it_has_changed(opened: Opened) -> None:
    """Lists of a million files are made anew only then."""
    store, other = opened(), opened()
    states = [store.state()]
    assert store.path_bounds() == []
    odd = os.fsdecode(b"/z/caf\xe9.wav")
    changes: tuple[Callable[[], object], ...] = (
        lambda: store.put([recording("/b/a.wav"), recording("/b/é.wav"), recording(odd)]),
        lambda: store.tag(["/b/a.wav"], ["bird"]),
        lambda: other.tag(["/b/a.wav"], ["dog"]),
        lambda: other.put([recording("/a.wav")]),
        lambda: store.untag(["/b/a.wav"], ["bird"]),
    )
    for change in changes:
        assert store.state() == states[-1]
        change()
        assert store.state() not in states
        states.append(store.state())
    ends = store.path_bounds()
    assert {"/a.wav", odd} <= set(ends)
    assert all(min(ends) <= file.path <= max(ends) for file in store.files())


def test_the_first_maker_stays(opened: Opened) -> None:
    assert opened().claim(MAKER) == MAKER
    assert opened().claim({**MAKER, "model": "other"}) == MAKER
    assert opened().model_identity() == MAKER


@pytest.mark.parametrize("per_file", [True, False])
def test_nearest_is_brute_force(opened: Opened, per_file: bool) -> None:
    store = opened()
    many = [recording(f"/sounds/{i:03}.wav", 1 + i % 7) for i in range(60)]
    store.put(many[:30])
    for seed in range(3):
        same(store.nearest(query(seed), 7, per_file=per_file), brute(many[:30], query(seed), 7, per_file=per_file))
    store.put(many[30:])
    for seed in range(3):
        same(store.nearest(query(seed), 7, per_file=per_file), brute(many, query(seed), 7, per_file=per_file))
    same(opened().nearest(query(), 1000, per_file=per_file), brute(many, query(), 1000, per_file=per_file))


def test_silent_windows_are_not_near(opened: Opened) -> None:
    """Digital silence was a dog, 96 %."""
    store = opened()
    many = [recording(f"/{i}.wav", 5) for i in range(20)]
    quiet = np.arange(5) % 2 == 0
    levels = np.where(quiet, np.float32(-65.5), np.float32(-64.5)).astype(np.float32)
    many = [replace(r, level=None if i < 9 else levels if i < 19 else levels - 9) for i, r in enumerate(many)]
    store.put(many)
    loud = [replace(r, start=r.start[r.heard], end=r.end[r.heard], embedding=r.embedding[r.heard]) for r in many]
    for per_file in (True, False):
        same(store.nearest(query(), 99, per_file=per_file), brute(loud, query(), 99, per_file=per_file))
        same(opened().nearest(query(4), 5, per_file=per_file), brute(loud, query(4), 5, per_file=per_file))
    among = store.nearest_in(query(), ["/2.wav", "/12.wav", "/19.wav"])
    same(among[:2], brute([loud[2], loud[12]], query(), 2))
    same(among[2:], brute([many[19]], query(), 1))
    assert [row.silent for row in among] == [False, False, True]
    held = opened().recording("/12.wav")
    assert held is not None
    assert np.array_equal(held.levels, levels)
    assert store.check() == []


def test_silent_windows_that_are_nearest_are_not_read(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of windows of digital silence, all with one vector, were read again and again: 4 s, and 250 MB."""
    store = opened()
    loud = recording("/loud.wav", 40)
    silence = np.tile(query(), (60, 1))
    quiet = replace(recording("/silent.wav", 60), embedding=silence, level=np.full(60, -120, np.float32))
    store.put([loud, quiet])
    read: list[int] = []

    def count(path: str, level: float | None) -> float:
        read.append(1)
        return validate_level(path, level)

    monkeypatch.setattr(compare, "validate_level", count)
    same(store.nearest(query(), 10, per_file=False), brute([loud], query(), 10, per_file=False))
    assert len(read) <= 40


def test_the_vector_of_each_recording_as_a_whole(opened: Opened) -> None:
    store = opened()
    level = np.array([-20, -90, -20], np.float32)
    first, second = recording("/a.wav", 3, level=level), recording("/b.wav", 2)
    assert store.tracks(["/a.wav"]) == {}
    assert store.has_levels()
    store.put([first, second])
    assert not store.has_levels()

    def holds(**wanted: np.ndarray) -> None:
        found = opened().tracks(["/a.wav", "/b.wav", "/c.wav"])
        assert found.keys() == {f"/{name}.wav" for name in wanted}
        for name, vector in wanted.items():
            assert np.allclose(found[f"/{name}.wav"], unit(vector), atol=1e-6)

    heard = first.embedding[[0, 2]].mean(0)
    holds(a=heard, b=second.embedding.mean(0))
    store.move([("/a.wav", replace(first.file, path="/c.wav"))])
    holds(c=heard, b=second.embedding.mean(0))
    again = recording("/b.wav", 4, seed=9, level=np.zeros(4, np.float32))
    store.put([again])
    holds(c=heard, b=again.embedding.mean(0))
    assert store.has_levels()
    store.delete(["/c.wav"])
    holds(b=again.embedding.mean(0))


def test_the_nearest_recordings_are_brute_force(opened: Opened) -> None:
    """As a whole, or in their best window."""
    store = opened()
    many = [recording(f"/sounds/{i:03}.wav", 1 + i % 5) for i in range(60)]
    store.put(many)
    wholes = [replace(r, start=r.start[:1], end=r.end[:1], embedding=r.track[None]) for r in many]
    for asked in (many[4].track, many[31].track, query()):
        best = {row.path: row for row in brute(many, asked, 99)}
        whole = {row.path: row for row in brute(wholes, asked, 99)}
        wanted = [
            replace(best[path], score=whole[path].score, embedding=whole[path].embedding)
            if whole[path].score > best[path].score
            else best[path]
            for path in best
        ]
        wanted.sort(key=lambda row: (-round(row.score, 6), row.path))
        found = nearest_recordings(store, asked, 7)
        assert [(r.path, r.start) for r in found] == [(r.path, r.start) for r in wanted[:7]]
        assert np.allclose([r.score for r in found], [r.score for r in wanted[:7]], atol=1e-6)
        assert [r.path for r in nearest_recordings(store, asked, 1, where=SearchFilter(path="*/01?.wav"))] == [
            next(r.path for r in wanted if "/01" in r.path)
        ]
    assert nearest_recordings(store, many[4].track, 1)[0].score == pytest.approx(1, abs=1e-6)
    assert store.nearest(many[4].track, 1)[0].score < 0.9


def test_put_replaces_and_delete_forgets(opened: Opened) -> None:
    store = opened()
    first, second = recording("/a.wav", 2), recording("/b.wav", 3)
    store.put([first, second])
    store.nearest(query(), 1)
    changed = recording("/a.wav", 4, seed=7)
    store.put([changed])
    same(store.nearest(query(), 9, per_file=False), brute([changed, second], query(), 9, per_file=False))
    assert store.stats()["windows"] == 7
    assert store.delete(["/b.wav", "/never.wav"]) == 1
    same(store.nearest(query(), 9, per_file=False), brute([changed], query(), 9, per_file=False))
    assert store.stats() | {"bytes": 0} == {"files": 1, "windows": 4, "seconds": 25.0, "bytes": 0}
    assert store.delete(["/a.wav"]) == 1
    assert store.nearest(query(), 9) == []
    store.put([second])
    same(store.nearest(query(), 9), brute([second], query(), 9))


def test_another_process_sees_what_was_put_a_moment_ago(opened: Opened) -> None:
    here, there = opened(), opened()
    one, two = recording("/1.wav"), recording("/2.wav")
    here.put([one])
    same(there.nearest(query(), 5), brute([one], query(), 5))
    here.put([two])
    here.optimize()
    same(there.nearest(query(), 5), brute([one, two], query(), 5))
    there.delete(["/1.wav"])
    there.optimize()
    same(here.nearest(query(), 5), brute([two], query(), 5))


def test_what_is_known(opened: Opened) -> None:
    store = opened()
    odd = "/na\udcffme.wav"  # no UTF-8 on disk
    many = [recording(p) for p in ("/b.wav", "/a 声.wav", odd)]
    store.put(many)
    assert store.find_files(["/b.wav", odd, "/no"]) == {r.file.path: r.file for r in many if r.file.path != "/a 声.wav"}
    assert [f.path for f in store.files()] == ["/a 声.wav", "/b.wav", odd]
    assert store.find_by_hash([many[0].file.hash, "no"]) == {many[0].file.hash: [many[0].file]}
    found = store.recording(odd)
    assert found is not None
    assert found.file == many[2].file
    assert np.array_equal(found.embedding, many[2].embedding)
    assert np.array_equal(found.start, many[2].start)
    assert [r.file.path for r in store.scan()] == ["/a 声.wav", "/b.wav", odd]
    assert store.nearest(many[2].embedding[0], 1)[0].path == odd


def test_touch_and_move(opened: Opened) -> None:
    store = opened()
    one = recording("/a.wav")
    store.put([one, recording("/new.wav", 1)])
    store.tag(["/a.wav"], ["good"])
    touched = replace(one.file, mtime_ns=5, size=6)
    store.update_facts([touched, replace(one.file, path="/no.wav")])
    assert store.find_files(["/a.wav", "/no.wav"]) == {"/a.wav": touched}
    moved = replace(touched, path="/new.wav")
    store.move([("/a.wav", moved)])
    assert list(store.files()) == [moved]
    assert list(store.files(SearchFilter(tags=("good",)))) == [moved]
    same(store.nearest(query(), 5), brute([replace(one, file=moved)], query(), 5))
    assert store.stats()["windows"] == 3


def test_filters(opened: Opened) -> None:
    store = opened()
    many = [
        recording(f"/{folder}/{i}.{end}", 1 + i, mtime_ns=i * 10**9)
        for folder in ("a", "a b", "ab", "na\udcff")
        for i in range(3)
        for end in ("wav", "mp3")
    ]
    store.put(many)
    store.tag(["/a/1.wav", "/ab/2.mp3"], ["x", "y"])
    store.tag(["/a/1.mp3"], ["x"])

    def check(where: SearchFilter, wanted: Callable[[Recording], bool]) -> None:
        expected = [r for r in many if wanted(r)]
        assert expected
        same(store.nearest(query(), 50, where=where, per_file=False), brute(expected, query(), 50, per_file=False))
        assert {f.path for f in store.files(where)} == {r.file.path for r in expected}
        assert {r.file.path for r in store.scan(where)} == {r.file.path for r in expected}

    check(SearchFilter(within=("/a",)), lambda r: r.file.path.startswith("/a/"))
    check(
        SearchFilter(within=("/ab/", "/a/1.wav")), lambda r: r.file.path.startswith("/ab/") or r.file.path == "/a/1.wav"
    )
    check(SearchFilter(within=("/na\udcff",)), lambda r: "na" in r.file.path)
    check(SearchFilter(path="*/[01].wav"), lambda r: r.file.path[-5:] in ("0.wav", "1.wav"))
    check(SearchFilter(min_seconds=15, max_seconds=15), lambda r: r.file.seconds == 15)
    check(SearchFilter(after=1, before=2), lambda r: r.file.mtime_ns == 10**9)
    check(SearchFilter(tags=("x",)), lambda r: r.file.path in ("/a/1.wav", "/ab/2.mp3", "/a/1.mp3"))
    check(SearchFilter(tags=("x", "y"), within=("/a",)), lambda r: r.file.path == "/a/1.wav")
    assert store.nearest(query(), 5, where=SearchFilter(within=())) == []
    assert store.nearest(query(), 5, where=SearchFilter(path="nothing")) == []


def test_formats_are_endings_of_names(opened: Opened) -> None:
    store = opened()
    store.put([recording(path, 1) for path in ("/a.wav", "/b.WAV", "/c.flac", "/wav", "/d.wav.txt", "/wav.x/e.mp3")])
    for formats, found in (
        (("wav",), ["/a.wav", "/b.WAV"]),
        (("flac", "mp3"), ["/c.flac", "/wav.x/e.mp3"]),
        (("w*",), []),
    ):
        assert [file.path for file in store.files(SearchFilter(formats=formats))] == found
    assert [row.path for row in store.nearest(query(), 5, where=SearchFilter(formats=("flac",)))] == ["/c.flac"]


def test_ties_are_by_path_and_start(opened: Opened) -> None:
    store = opened()
    row = query(3)[None]
    many = [replace(recording(f"/{i}.wav", 1), embedding=row) for i in (5, 3, 9, 1, 7)]
    for one in many:
        store.put([one])
    assert [r.path for r in store.nearest(query(3), 3)] == ["/1.wav", "/3.wav", "/5.wav"]


def test_sample_is_of_all_and_repeats(opened: Opened) -> None:
    store = opened()
    many = [recording(f"/{i}.wav", 2) for i in range(10)]
    store.put(many)
    rows = np.concatenate([r.embedding for r in many])
    sample = store.sample(7)
    assert sample.shape == (7, E)
    assert np.array_equal(sample, store.sample(7))
    assert all((rows == s).all(1).any() for s in sample)
    assert np.array_equal(np.sort(store.sample(99), 0), np.sort(rows, 0))


def test_threads_share_a_store(opened: Opened) -> None:
    store = opened()
    many = [recording(f"/{i}.wav") for i in range(20)]
    store.put(many[:10])
    wrong: list[object] = []

    def work(i: int) -> None:
        try:
            store.put([many[10 + i]])
            same(
                store.nearest(many[10 + i].embedding[0], 1),
                [ScoredWindow(f"/{10 + i}.wav", 0.0, 10.0, 1.0, many[10 + i].embedding[0])],
            )
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    same(store.nearest(query(), 20), brute(many, query(), 20))


def test_moves_are_all_at_once_and_told(opened: Opened) -> None:
    store = opened()
    a, b = recording("/a.wav"), recording("/b.wav")
    store.put([a, b])
    swap = [("/a.wav", replace(a.file, path="/b.wav")), ("/b.wav", replace(b.file, path="/a.wav"))]
    assert store.move(swap) == ["/b.wav", "/a.wav"]
    assert store.find_files(["/a.wav"])["/a.wav"].hash == b.file.hash
    assert store.move(swap) == []  # another process was first: nothing is replaced
    assert store.stats()["windows"] == 6


def test_ties_beyond_the_last_are_by_path_too(opened: Opened) -> None:
    store = opened()
    row = query(3)[None]
    many = [
        Recording(r.file, r.start, r.end, np.repeat(row, len(r.start), 0))
        for r in (recording(f"/{i:03}.wav", 1 + i % 5) for i in range(60))
    ]
    store.put(many[::-1])
    for per_file in (True, False):
        same(store.nearest(query(3), 4, per_file=per_file), brute(many, query(3), 4, per_file=per_file))
    assert len(store.nearest(query(3), 2**70)) == 60


def test_vectors_of_another_width_are_refused(opened: Opened) -> None:
    store = opened()
    store.put([recording("/a.wav")])
    wide = recording("/b.wav")
    with pytest.raises(LibraryError, match="vectors of 32 numbers do not fit a library of vectors of 16"):
        store.put([replace(wide, embedding=np.repeat(wide.embedding, 2, 1))])
    same(store.nearest(query(), 5), brute([recording("/a.wav")], query(), 5))


def test_a_scan_does_not_mix_two_models(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "FILES_AT_ONCE", 2)
    store = opened()
    store.claim(MAKER)
    store.put([recording(f"/{i}.wav") for i in range(9)])
    reading = opened().scan()
    next(reading)
    new = {**MAKER, "fingerprint": "f" * 16}
    aside = store.staging(new)
    aside.claim(new)
    aside.put([recording(f"/{i}.wav", seed=5) for i in range(9)])
    store.swap_in(aside)
    with pytest.raises(LibraryMismatch, match="taken over by another model"):
        list(reading)


# -- SQLite's own ------------------------------------------------------------------------------------


# -- words ---------------------------------------------------------------------------------------------


def called(path: str, text: FileText, windows: int = 2) -> Recording:
    return replace(recording(path, windows), text=text)


CALLED = [
    called("/d/kick_01.wav", FileText("kick 01", "drum", "", (("artist", "John Williams"), ("bpm", "120")))),
    called("/d/kick dry loop.wav", FileText("kick dry loop", "drum 909", "", (("bpm", "127.6"), ("key", "C#m")))),
    called("/d/snare.wav", FileText("snar", "drum", "dry hit with a kick", (("artist", "Björk"), ("ucs", "AMBForst")))),
    called("/n/rain.wav", FileText("rain", "rain storm", "heavy rain on a roof", (("title", "Rain"), ("key", "Dbm")))),
    called("/n/雨.wav", FileText("雨声 雨 声", "", "")),
    recording("/n/bare.wav", 2),
]


def matches(store: Store, *words: str, k: int = 9, where: SearchFilter | None = None) -> list[tuple[str, ...]]:
    return [(match.path, *match.matched) for match in store.match_words(words, k, where=where)]


def test_files_are_found_by_their_words(opened: Opened) -> None:
    """Most words first, rarer ones and those of the name first, then shorter names."""
    store = opened()
    assert store.match_words(["kick"], 3) == []
    store.put(CALLED)
    first, second, third = "/d/kick_01.wav", "/d/kick dry loop.wav", "/d/snare.wav"
    for _ in range(2):
        assert matches(store, "kick") == [(first, "kick"), (second, "kick"), (third, "kick")]
        assert matches(store, "kick", "dry") == [(second, "kick", "dry"), (third, "kick", "dry"), (first, "kick")]
        assert matches(store, "kick", "rain", k=1) == [("/n/rain.wav", "rain")]  # the rarer word
        assert matches(store, "heavy rain", "rain roof") == [("/n/rain.wav", "heavy rain")]  # together or not at all
        assert matches(store, "雨", "雨声") == [("/n/雨.wav", "雨", "雨声")]
        assert matches(store, "kick", where=SearchFilter(within=("/d/snare.wav",))) == [(third, "kick")]
        assert matches(store, "kick", where=SearchFilter(tags=("none",))) == []
        assert matches(store, 'no"one', "OR", "artist·john") == []
        store.optimize()
        store = opened()


def test_words_of_new_files_are_found_at_once(opened: Opened) -> None:
    store, other = opened(), opened()
    store.put(CALLED[:1])
    store.optimize()
    other.put([CALLED[1]])
    assert len(matches(store, "kick")) == 2
    other.delete([CALLED[0].file.path])
    assert matches(store, "kick") == [("/d/kick dry loop.wav", "kick")]
    store.put([replace(CALLED[1], text=FileText("bell"))])
    assert matches(other, "kick") == []
    assert matches(other, "bell") == [("/d/kick dry loop.wav", "bell")]
    assert store.check() == []


def test_filters_of_words_and_facts(opened: Opened) -> None:
    store = opened()
    store.put(CALLED)

    def names(**fields: object) -> list[str]:
        where = SearchFilter(**fields)  # type: ignore[arg-type]
        found = [file.path for file in store.files(where)]
        assert sorted(row.path for row in store.nearest(query(), 9, where=where)) == found
        return [path.rpartition("/")[2] for path in found]

    assert names(words=("Kicks",)) == ["kick dry loop.wav", "kick_01.wav", "snare.wav"]
    assert names(words=("kick", "DRY")) == ["kick dry loop.wav", "snare.wav"]
    assert names(words=("kick dry", "…")) == ["kick dry loop.wav"]
    assert names(words=("雨声",)) == names(words=("声",)) == ["雨.wav"]
    assert names(words=("williams",)) == []  # an artist's name is asked for as such
    assert names(facts=(("artist", "WILLIAMS"),)) == names(facts=(("artist", "John Williams"),)) == ["kick_01.wav"]
    assert names(facts=(("artist", "bjork"),)) == ["snare.wav"]
    assert names(facts=(("folder", "Rain Storm"),)) == ["rain.wav"]
    assert names(facts=(("folder", "drums"),)) == ["kick dry loop.wav", "kick_01.wav", "snare.wav"]
    assert names(facts=(("folder", "kick"),)) == []
    assert names(facts=(("ucs", "ambforst"),)) == names(facts=(("ucs", "AMB"),)) == ["snare.wav"]
    assert names(facts=(("key", "C# minor"),)) == ["kick dry loop.wav", "rain.wav"]
    assert names(facts=(("key", "C#"),)) == []
    assert names(facts=(("bpm", "120"),)) == ["kick_01.wav"]
    assert names(facts=(("bpm", "118-128"),)) == ["kick dry loop.wav", "kick_01.wav"]
    assert names(facts=(("bpm", "1-999"), ("artist", "john"))) == ["kick_01.wav"]
    for wrong in (("bpm", "fast"), ("bpm", "128-120"), ("key", "x"), ("artist", "-"), ("colour", "red")):
        with pytest.raises(UsageError, match=wrong[0]):
            list(store.files(SearchFilter(facts=(wrong,))))


def test_texts_stay_and_move(opened: Opened) -> None:
    store = opened()
    store.put(CALLED)
    paths = [r.file.path for r in CALLED]
    texts = {r.file.path: r.text for r in CALLED if r.text is not None}
    assert store.texts([*paths, "/no"]) == texts
    assert store.without_text([*paths, "/no"]) == ["/n/bare.wav"]
    assert [r.text for r in store.scan()] == [texts.get(path) for path in sorted(paths)]
    store.put([replace(r, text=None) for r in CALLED])  # nobody has read them
    assert store.texts(paths) == texts
    store.note_texts({"/n/bare.wav": FileText(), "/no": FileText("no")})
    assert store.without_text(paths) == []
    assert store.texts(["/n/bare.wav", "/no"]) == {"/n/bare.wav": FileText()}
    moved = [replace(CALLED[i].file, path=path) for i, path in ((0, "/d/snare.wav"), (3, "/n/wet.wav"))]
    store.move([(paths[0], moved[0]), (paths[3], moved[1])], {"/n/wet.wav": FileText("wet", "rain storm")})
    assert store.texts(["/d/snare.wav", "/n/wet.wav"]) == {
        "/d/snare.wav": texts[paths[0]], "/n/wet.wav": FileText("wet", "rain storm"),
    }  # fmt: skip
    assert matches(store, "snar", "hit") == []
    assert matches(store, "kick") == [("/d/snare.wav", "kick"), ("/d/kick dry loop.wav", "kick")]
    assert store.check() == []


def test_the_best_window_of_chosen_files(opened: Opened) -> None:
    store = opened()
    assert store.nearest_in(query(), ["/a"]) == []
    many = [recording(f"/{i}.wav", 1 + i) for i in range(6)]
    store.put(many)
    chosen = ["/5.wav", "/2.wav", "/3.wav", "/no.wav"]
    same(store.nearest_in(query(), chosen * 300), brute([r for r in many if r.file.path in chosen], query(), 9))
    assert store.nearest_in(query(), []) == []


def test_words_are_found_by_the_index_of_lancedb_and_before_it_is_refreshed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "WORDS_FROM", 1)
    store = open_store(tmp_path / "lib.lance")
    store.put(CALLED)
    store.optimize()
    columns = [column for index in store._rows.current().list_indices() for column in index.columns]  # type: ignore[attr-defined]
    assert columns == ["named"]
    first, second, third = "/d/kick_01.wav", "/d/kick dry loop.wav", "/d/snare.wav"

    def check() -> None:
        assert matches(store, "kick", "dry") == [(second, "kick", "dry"), (third, "kick", "dry"), (first, "kick")]
        assert matches(store, "heavy rain", "rain roof") == [("/n/rain.wav", "heavy rain")]
        assert matches(store, "雨", "雨声") == [("/n/雨.wav", "雨", "雨声")]
        assert matches(store, "kick", where=SearchFilter(within=(third,))) == [(third, "kick")]
        assert matches(store, "artist·john") == []

    check()
    late = called("/d/late.wav", FileText("kick late", "drum"))
    store.put([late])
    store.note_texts({first: FileText("bell")})
    assert matches(store, "kick") == [("/d/late.wav", "kick"), (second, "kick"), (third, "kick")]
    assert matches(store, "bell") == [(first, "bell")]
    store._rows.current().optimize()  # type: ignore[attr-defined]
    assert matches(store, "late", "bell") == [(first, "bell"), ("/d/late.wav", "late")]
    store.delete(["/d/late.wav"])
    store.put([replace(CALLED[0], text=CALLED[0].text)])
    check()


def test_broken_texts_are_told_and_read_again(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.put(CALLED)
    with sqlite3.connect(tmp_path / "library.sqlite") as db:
        db.execute("UPDATE words SET shown = 'no JSON' WHERE rowid = 1")
        db.execute("UPDATE words SET name = 5 WHERE rowid = 2")
        db.execute("INSERT INTO words (rowid, name, shown) VALUES (99, 'kick', '[]'), (-3, 'kick', '[]')")  # of no file
    db.close()
    assert store.check() == ["2 files have a text that cannot be"]
    with pytest.raises(LibraryError, match="facts of a file are 'no JSON'"):
        store.texts(["/d/kick_01.wav"])
    assert [row[0] for row in matches(store, "kick")] == ["/d/kick_01.wav", "/d/snare.wav"]
    assert store.repair() == ["2 texts of files removed: index again"]
    assert store.without_text(["/d/kick_01.wav", "/d/kick dry loop.wav"]) == ["/d/kick dry loop.wav", "/d/kick_01.wav"]
    assert [row[0] for row in matches(store, "kick")] == ["/d/snare.wav"]
    assert store.check() == []


def test_a_filled_store_is_sound(opened: Opened) -> None:
    store = opened()
    store.put([recording(f"/{i}.wav") for i in range(5)])
    store.optimize()
    assert store.check() == []


def test_damage_is_told(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.put([recording(f"/{i}.wav", 60) for i in range(100)])
    store.optimize()
    cached = next(tmp_path.glob("cache/*/vectors.npy"))
    content = bytearray(cached.read_bytes())
    content[-4] ^= 255
    cached.write_bytes(content)
    assert store.check() == ["1 of 6000 cached vectors differs"]
    store.close()
    file = tmp_path / "library.sqlite"
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20_000] = b"\xff" * 20_000
    file.write_bytes(content)
    broken = open_store(tmp_path)
    with pytest.raises(LibraryError, match="broken"):  # SQLite may name it itself, or list it
        raise LibraryError(f"broken {broken.check()}")
    broken.close()
    broken = open_store(tmp_path)
    (told,) = broken.repair()
    assert "files copied out of a broken database" in told
    assert broken.check() == []
    kept = broken.stats()["files"]
    assert 50 < kept < 100
    assert len(broken.nearest(query(), 400)) == kept
    assert (tmp_path / "library.sqlite.broken").exists()
    broken.close()
    file.write_bytes(b"no database at all, but long enough to have a header " * 400)
    with pytest.raises(LibraryError, match="no library of openclap"):
        open_store(tmp_path).stats()
    with pytest.raises(LibraryError, match="move it away"):
        open_store(tmp_path).repair()


def test_repair_of_a_cache_and_of_rows(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    many = [recording(f"/{i}.wav") for i in range(9)]
    store.put(many)
    store.optimize()
    assert store.repair() == []
    cached = next(tmp_path.glob("cache/*/vectors.npy"))
    content = bytearray(cached.read_bytes())
    content[-4] ^= 255
    cached.write_bytes(content)
    assert store.repair() == ["vector cache made again"]
    with sqlite3.connect(tmp_path / "library.sqlite") as db:
        db.execute("DELETE FROM windows WHERE file = 1")
        db.execute("UPDATE windows SET embedding = x'00' WHERE id = 6")
        db.execute("DELETE FROM files WHERE id = 3")
        db.execute("UPDATE counts SET files = 99")
    db.close()
    assert len(store.check()) == 6
    done = " ".join(store.repair())
    assert "2 files without sound vectors" in done
    assert "4 rows of no file" in done
    assert "counts set from (97" in done
    assert store.check() == []
    same(store.nearest(query(), 50, per_file=False), brute(many[3:], query(), 50, per_file=False))


def test_a_cut_or_foreign_cache_is_made_again(tmp_path: Path) -> None:
    many = [recording(f"/{i}.wav") for i in range(50)]
    store = open_store(tmp_path)
    store.put(many)
    store.optimize()
    for name in ("vectors.npy", "ids.npy", "manifest.json"):
        damaged = next(tmp_path.glob(f"cache/*/{name}"))
        damaged.write_bytes(damaged.read_bytes()[:-40])
        same(open_store(tmp_path).nearest(query(), 5), brute(many, query(), 5))
        (fresh := open_store(tmp_path)).optimize()
        fresh.close()
    store.close()


def test_another_format_is_refused_by_number(tmp_path: Path) -> None:
    open_store(tmp_path).put([recording("/a.wav")])
    with sqlite3.connect(tmp_path / "library.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LibraryMismatch, match="version 99"):
        open_store(tmp_path).stats()


def test_a_library_nobody_may_write_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [recording(f"/{i}.wav") for i in range(5)]
    store = open_store(tmp_path)
    store.put(many)
    store.close()
    monkeypatch.setattr(os, "access", lambda *_: False)
    closed = open_store(tmp_path)
    same(closed.nearest(query(), 5), brute(many, query(), 5))
    with pytest.raises(LibraryError, match=r"cannot be written to .*readonly"):
        closed.delete(["/1.wav"])


def test_a_failed_write_leaves_nothing_half_done(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    many = [recording(f"/{i}.wav") for i in range(3)]
    store.put(many)
    bad = replace(recording("/bad.wav"), start=np.zeros(1))
    with pytest.raises(ValueError, match="zip"):
        store.put([recording("/0.wav", 9, seed=5), bad])
    same(store.nearest(query(), 50, per_file=False), brute(many, query(), 50, per_file=False))


# -- the cache ---------------------------------------------------------------------------------------


def clustered(rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return unit(rng.standard_normal((40, E))[rng.integers(0, 40, rows)] + 0.4 * rng.standard_normal((rows, E)))


@pytest.fixture
def coded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries of a few rows as those of many: codes, of which only the best are compared."""
    monkeypatch.setattr(vector_cache, "CODED_FROM", 100)
    monkeypatch.setattr(codes, "CANDIDATES", 50)
    monkeypatch.setattr(codes, "FEW_SHARE", 0.001)


def coded_cache(folder: Path, rows: np.ndarray) -> tuple[VectorCache, np.ndarray, np.ndarray]:
    """A cache of rows, five of a file, with their ids and files."""
    ids, files = np.arange(1, len(rows) + 1) * 3, np.arange(len(rows)) // 5
    cache = VectorCache(folder, "me", E)
    blocks = ((ids[i : i + 700], files[i : i + 700], rows[i : i + 700]) for i in range(0, len(rows), 700))
    cache.build(blocks, len(rows), lambda count: rows[:count])
    return cache, ids, files


@pytest.mark.parametrize("spared", [0, 10**6], ids=["faiss", "numpy"])
def test_codes_find_what_looking_at_all_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coded: None, spared: int
) -> None:
    monkeypatch.setattr(codes, "FEW_SHARE", 1.0 if spared else 0.001)
    rows = clustered(5000)
    cache, ids, files = coded_cache(tmp_path, rows)
    assert sorted(p.stem for p in tmp_path.glob("*/*.npy")) == [
        "axes", "centers", "codes", "error_mean", "error_spread", "files", "ids",
    ]  # fmt: skip
    more = clustered(100, seed=1)
    cache.extend([(np.arange(20_000, 20_100), np.full(100, 1500), more)])
    everything, of = np.concatenate([rows, more]), np.concatenate([ids, np.arange(20_000, 20_100)])
    recall = []
    for q in clustered(50, seed=2):
        near = cache.nearest(q, 300)
        recall.append(len(set(of[np.argsort(-(everything @ q))[:10]]) & set(near.ids)) / 10)
        score = dict(zip(of, everything @ q, strict=True))
        error = np.array([score[i] for i in near.ids]) - near.scores
        assert (np.abs(error) < 2 * near.margin).mean() > 0.95
        assert near.beyond == near.scores[np.isin(near.ids, ids)].min()
        assert (np.diff(near.scores) <= 0).all()
    assert np.mean(recall) > 0.97
    assert cache.nearest(query(), 6000).beyond == -np.inf
    some = np.zeros(2000, bool)
    some[[3, 1500]] = True
    near = cache.nearest(query(), 200, some)
    assert near.beyond == -np.inf
    assert set(near.ids) == {*(ids[15:20]), *range(20_000, 20_100)}
    half = np.arange(2000) % 2 == 0
    near = cache.nearest(query(), 10, half)
    of_file = dict(zip(ids, files, strict=True)) | dict.fromkeys(range(20_000, 20_100), 1500)
    assert all(of_file[i] % 2 == 0 for i in near.ids)
    assert not len(cache.nearest(query(), 10, np.zeros(1, bool)).ids)


def test_codes_lie_as_faiss_reads_them(tmp_path: Path, coded: None) -> None:
    """What faiss estimates is what the codes say, to the eighth bit, whatever order a version of it wants them in."""
    cache, _, _ = coded_cache(tmp_path, clustered(3001))
    held = cache._base
    assert isinstance(held, codes.Codes)
    turned = query() @ held.axes
    places, scores = held._search(turned, 200, None)
    assert np.abs(held._estimate(turned, places) - scores).max() < 0.02
    packer = held._index.get_CodePacker()
    some = np.array(held.codes[:64])

    class Reversed:
        """A layout of another version."""

        def pack_all(self, flat: object, block: object) -> None:
            packer.pack_all(flat, block)
            values = codes_of(block)
            values[:] = values[::-1].copy()

    def codes_of(block: object) -> np.ndarray:
        import faiss

        return np.asarray(faiss.rev_swig_ptr(block, 32 * some.shape[1]))

    assert (codes._pack(some, Reversed())[:, ::-1] == codes._pack(some, packer)).all()


@pytest.mark.parametrize("per_file", [True, False])
def test_a_library_of_codes_gives_what_its_database_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coded: None, per_file: bool
) -> None:
    """Hits are compared exactly, with the vectors of the database; what is deleted or new is so at once, in every process."""
    monkeypatch.setattr(codes, "SPREADS", 6.0)  # 16 numbers make poor estimates
    monkeypatch.setattr(codes, "CANDIDATES", 400)
    many = [recording(f"/sounds/{i:03}.wav", 1 + i % 7) for i in range(100)]
    alike = [replace(recording(f"/alike/{i}.wav", 1), embedding=many[0].embedding[:1]) for i in range(200)]
    store = open_store(tmp_path)
    store.put(many + alike)
    store.optimize()
    assert list(tmp_path.glob("cache/*/codes.npy"))
    for again in range(3):
        for seed in range(6):  # the first without faiss
            found = store.nearest(query(seed), 7, per_file=per_file)
            same(found, brute(many + alike, query(seed), 7, per_file=per_file))
        where = SearchFilter(path="/alike/*")
        same(store.nearest(query(), 9, where=where, per_file=per_file), brute(alike, query(), 9, per_file=per_file))
        more = [recording(f"/more{again}.wav", 3)]
        open_store(tmp_path).put(more)
        open_store(tmp_path).delete([many[0].file.path, alike[-1].file.path])
        many, alike = many[1:] + more, alike[:-1]
    assert store.check() == []
    assert open_store(tmp_path).sample(50).shape == (50, E)


def test_a_filter_is_looked_up_once_until_the_library_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 100 000 windows that took five times as long as the search, and search by sound and names did it twice."""
    asked: list[SearchFilter] = []

    def look_up(db: Any, where: SearchFilter) -> Any:
        asked.append(where)
        return allowed_mask(db, where)

    monkeypatch.setattr(store_module, "allowed_mask", look_up)
    many = [recording(f"/a/{i}.wav", 1) for i in range(4)]
    store, where = open_store(tmp_path), SearchFilter(path="/a/*")
    store.put(many)
    for _ in range(3):
        same(store.nearest(query(), 9, where=where), brute(many, query(), 9))
        store.match_words(["a"], 9, where=where)
    assert len(asked) == 1
    open_store(tmp_path).put([more := recording("/a/more.wav", 1)])
    same(store.nearest(query(), 9, where=where), brute([*many, more], query(), 9))
    store.delete(["/a/0.wav"])
    same(store.nearest(query(), 9, where=where), brute([*many[1:], more], query(), 9))
    same(store.nearest(query(), 9, where=SearchFilter(path="/a/2*")), brute(many[2:3], query(), 9))
    assert len(asked) == 4


def test_small_libraries_do_without_faiss(tmp_path: Path) -> None:
    """Importing it takes longer than looking at all of a few ten thousand rows."""
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from pathlib import Path; from openclap.store import *\n"
        f"store = open_store(Path({str(tmp_path)!r}))\n"
        "vectors = np.eye(16, dtype=np.float32)\n"
        "store.put([Recording(File('/a', 1, 1, 'a', 9.0), np.arange(16.0), np.arange(16.0) + 1, vectors)])\n"
        "store.optimize(); assert len(store.nearest(vectors[0], 3, per_file=False)) == 3\n"
        "assert 'faiss' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_codes_that_were_prepared_are_made_again(tmp_path: Path, coded: None) -> None:
    """faiss trusts what it is given: what does not fit together never reaches it."""
    many = [recording(f"/{i}.wav", 4) for i in range(50)]
    store = open_store(tmp_path)
    store.put(many)
    right = store.nearest(query(), 5)
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "codes": lambda codes: codes[:, :-1], "centers": lambda centers: centers * np.nan, "axes": lambda axes: axes[:, 1:],
        "files": lambda files: files[1:], "ids": lambda ids: ids.astype(np.float64), " codes": np.asfortranarray,
    }  # fmt: skip
    for name, change in changes.items():
        store.optimize()
        store.close()
        (prepared,) = tmp_path.glob(f"cache/*/{name.strip()}.npy")
        np.save(prepared, change(np.load(prepared)))
        for _ in range(6):  # the first without faiss
            same(store.nearest(query(), 5), right)
        assert store._vectors._loaded[1].newer == 200  # type: ignore[attr-defined]


def test_codes_that_differ_are_told(tmp_path: Path, coded: None) -> None:
    store = open_store(tmp_path)
    store.put([recording(f"/{i}.wav", 6) for i in range(100)])
    store.optimize()
    store.close()
    cached = next(tmp_path.glob("cache/*/codes.npy"))
    codes = np.load(cached)
    codes[77, 0] ^= 255
    np.save(cached, codes)
    assert store.check() == ["1 of 600 cached vectors differs"]
    assert store.repair() == ["vector cache made again"]
    assert store.check() == []


def test_many_new_rows_are_written_beside_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coded: None
) -> None:
    """At a million rows a search once waited 20 s for that."""
    monkeypatch.setattr(cached_vectors, "NEWER_LEAST", 10)
    store = open_store(tmp_path)
    many = [recording(f"/{i}.wav") for i in range(50)]
    store.put(many)
    store.optimize()
    more = [recording(f"/more{i}.wav", 4) for i in range(4)]
    store.put(more)
    writing, go = threading.Event(), threading.Event()
    real = VectorCache.build

    def slow(self: VectorCache, *args: object) -> None:
        writing.set()
        go.wait(60)
        real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(VectorCache, "build", slow)
    same(store.nearest(query(), 5), brute(many + more, query(), 5))
    assert writing.wait(60)
    same(store.nearest(query(1), 5), brute(many + more, query(1), 5))
    go.set()
    store._vectors._rebuilding.join()  # type: ignore[attr-defined]
    assert len(np.load(next(tmp_path.glob("cache/*/ids.npy")))) == 166
    same(store.nearest(query(2), 5), brute(many + more, query(2), 5))
    assert store._vectors._loaded[1].newer == 0  # type: ignore[attr-defined]
    store.put([recording(f"/even more{i}.wav", 4) for i in range(4)])
    go.clear()
    writing.clear()
    store.nearest(query(), 5)
    assert writing.wait(60)
    closing = threading.Thread(target=store.close)
    closing.start()
    while not store._vectors._closing:  # type: ignore[attr-defined]
        pass
    go.set()
    closing.join()  # what is half written is given up
    assert not list(tmp_path.glob("cache/making-*"))
    assert len(np.load(next(tmp_path.glob("cache/*/ids.npy")))) == 166


def test_many_new_rows_are_written_to_the_cache_by_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached_vectors, "NEWER_LEAST", 10)
    store = open_store(tmp_path)
    many = [recording(f"/{i}.wav") for i in range(20)]
    store.put(many)
    same(store.nearest(query(), 5), brute(many, query(), 5))
    assert list(tmp_path.glob("cache/current"))
    more = [recording(f"/more{i}.wav", 1) for i in range(3)]
    store.put(more)
    same(store.nearest(query(), 5), brute(many + more, query(), 5))
    store.delete([r.file.path for r in many[:15]])
    store.optimize()
    assert len(list(tmp_path.glob("cache/*/vectors.npy"))) == 1
    assert len(np.load(next(tmp_path.glob("cache/*/ids.npy")))) == 18
    same(open_store(tmp_path).nearest(query(), 50), brute(many[15:] + more, query(), 50))


def test_a_library_that_was_deleted_or_forked_is_not_written_into(tmp_path: Path) -> None:
    """Writes once returned and went nowhere."""
    import shutil

    store = open_store(tmp_path / "lib")
    store.put([recording("/1.wav")])
    shutil.rmtree(tmp_path / "lib")
    assert store.stats()["files"] == 0
    other = open_store(tmp_path / "other")
    other.put([recording("/1.wav")])
    shutil.rmtree(tmp_path / "other")
    with pytest.raises(LibraryError, match="deleted or moved while it was in use"):
        other.put([recording("/2.wav")])


def test_a_thousand_threads_leave_no_connection(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.put([recording("/1.wav")])
    for _ in range(50):
        thread = threading.Thread(target=lambda: store.nearest(query(), 1))
        thread.start()
        thread.join()
    assert len(store._database._open) <= 2  # type: ignore[attr-defined]


def test_a_reader_beside_the_first_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It once looked for our mark before the writer's commit, and for tables after it: a foreign database, it said."""
    sqlite3.connect(tmp_path / "library.sqlite").close()
    (tmp_path / "library.sqlite").touch()
    real = sqlite3.connect

    class Slow(sqlite3.Connection):
        asked = 0

        def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
            if sql.startswith(("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")):
                type(self).asked += 1
                if type(self).asked == 2:  # between two questions the library is made
                    monkeypatch.setattr(sqlite3, "connect", real)
                    open_store(tmp_path).put([recording("/a.wav")])
            return super().execute(sql, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: real(*a, factory=Slow, **k))
    assert open_store(tmp_path).stats()["files"] in (0, 1)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "library.sqlite") as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()
    uses: list[Callable[[Store], object]] = [lambda s: s.stats(), lambda s: s.put([recording("/a.wav")])]
    for use in uses:
        with pytest.raises(LibraryMismatch, match="another program"):
            use(open_store(tmp_path))
    with sqlite3.connect(tmp_path / "library.sqlite") as db:
        assert [name for (name,) in db.execute("SELECT name FROM sqlite_master")] == ["mine"]
    db.close()


def test_two_makers_cannot_mix(tmp_path: Path) -> None:
    """A process that goes on after another has re-embedded the library once wrote vectors of the old model."""
    old = open_store(tmp_path)
    old.claim(MAKER)
    old.put([recording("/1.wav")])
    new = open_store(tmp_path)
    with new.lock():
        with pytest.raises(LibraryError, match="being re-embedded by another"), old.lock():
            pass
        aside = new.staging({**MAKER, "fingerprint": "f" * 16})
        aside.claim({**MAKER, "fingerprint": "f" * 16})
        aside.put([recording("/1.wav", seed=5)])
        new.swap_in(aside)
    with pytest.raises(LibraryMismatch, match="taken over by another model"):
        old.put([recording("/2.wav")])


@pytest.mark.parametrize("name", ["ids.npy", "vectors.npy", "manifest.json"])
def test_an_empty_file_of_the_cache_is_made_again(name: str, tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.put([recording("/1.wav")])
    store.optimize()
    next(tmp_path.glob(f"cache/*/{name}")).write_bytes(b"")
    same(open_store(tmp_path).nearest(query(), 5), brute([recording("/1.wav")], query(), 5))
