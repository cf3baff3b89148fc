"""The library: adding, searching, staying whole."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import libraries_for_tests
import numpy as np
import pytest
import soundfile as sf
from conftest import long_wave
from libraries_for_tests import RATE, Counted
from models_for_tests import small_clap

from openclap import CLAP, Library, SearchFilter
from openclap.errors import LibraryError, LibraryMismatch, UsageError
from openclap.library import UNLIKELY, moments_in, write_moments
from openclap.library.moments import merge_windows
from openclap.library.query import parse_query
from openclap.results import Moment
from openclap.store.sqlite.store import SqliteStore

fill = partial(
    libraries_for_tests.fill, name="sound {} 声.wav", wave=lambda number, _: long_wave(1 + number, RATE, seed=number)
)


@pytest.fixture(scope="module")
def clap(tokenizer_file: Path) -> CLAP:
    return small_clap(tokenizer_file, name="first")


def test_good_and_bad_files(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds")
    (sounds / "empty.wav").touch()
    (sounds / "text.wav").write_text("no sound")
    (sounds / ".hidden.wav").write_text("no sound")
    (sounds / "notes.txt").write_text("not looked at")
    report = Library.open(place, model=clap).add(sounds)
    assert (report.added, report.unchanged, report.updated, report.removed) == (4, 0, 0, 0)
    assert {Path(f.path).name for f in report.failed} == {"empty.wav", "text.wav"}
    assert all(f.error for f in report.failed)


def test_a_second_run_reads_only_what_changed(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds")
    Library.open(place, model=clap).add(sounds)
    sf.write(sounds / "sound 0 声.wav", long_wave(3, RATE, seed=9), RATE)
    (sounds / "sound 1 声.wav").unlink()
    sf.write(sounds / "new.flac", long_wave(2, RATE, seed=8), RATE)
    report = Library.open(place, model=clap).add([sounds])
    assert (report.added, report.unchanged, report.updated, report.removed) == (1, 2, 1, 1)
    assert Library.open(place).stats()["files"] == 4


def test_search_finds_the_sound_itself_first(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 5)
    sf.write(sounds / "long.wav", long_wave(31, RATE, seed=5), RATE)
    library = Library.open(place, model=clap)
    library.add(sounds)
    for path in sounds.iterdir():
        hits = library.search(path, 3)
        best = clap.similarity(clap.encode_windows(path).embedding, clap.encode_audio(path)).max()
        assert hits[0].score == pytest.approx(max(float(best), hits[0].score), abs=1e-5)
        assert len({hit.path for hit in hits}) == 3  # one hit a file
        assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    assert library.search(sounds / "sound 2 声.wav", 1)[0].path == str(sounds / "sound 2 声.wav")


def test_search_equals_brute_force(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 5)
    library = Library.open(place, model=clap)
    library.add(sounds)
    files = sorted(sounds.iterdir())
    expected = clap.similarity(clap.encode_text("a dog"), clap.encode_audio(files))[0]
    hits = library.search("a dog", 5)
    assert [h.path for h in hits] == [str(files[i]) for i in np.argsort(-expected)]
    assert np.allclose([h.score for h in hits], np.sort(expected)[::-1], atol=1e-5)
    inside = library.search("a dog", 5, within=[files[1]])
    assert [h.path for h in inside] == [str(files[1])]


def test_another_model_is_refused_by_name(clap: CLAP, tokenizer_file: Path, place: Path, tmp_path: Path) -> None:
    Library.open(place, model=clap).add(fill(tmp_path / "sounds", 1))
    other = small_clap(tokenizer_file, name="second", seed=1)
    with pytest.raises(LibraryMismatch, match=r"made by first .* not by second"):
        Library.open(place, model=other)


def test_wrong_use(clap: CLAP, place: Path, tmp_path: Path) -> None:
    library = Library.open(place, model=clap)
    with pytest.raises(LibraryError, match=r"holds no sounds yet; fill it with Library\.add"):
        library.search("dog")
    library.add(fill(tmp_path / "sounds", 1))
    with pytest.raises(UsageError, match="k is 0"):
        library.search("dog", 0)
    with pytest.raises(UsageError, match="empty"):
        library.search("  ")
    with pytest.raises(UsageError, match="without a model"):
        Library.open(place).search("dog")
    with pytest.raises(UsageError, match="is no place for a library"):
        Library.open("http://bucket/lib", model=clap)


def test_a_killed_run_leaves_a_whole_library_and_the_next_goes_on(
    clap: CLAP, tokenizer_file: Path, tmp_path: Path
) -> None:
    sounds = fill(tmp_path / "sounds", 40)
    clap.save_pretrained(tmp_path / "model")
    code = f"""
import openclap.library.indexing as module
module.COMMIT_SECONDS = 0
from openclap import CLAP, Library
Library.open({str(tmp_path / "lib")!r}, model=CLAP.from_pretrained({str(tmp_path / "model")!r})).add({str(sounds)!r})
"""
    run = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while run.poll() is None and time.monotonic() < deadline and not Library.open(tmp_path / "lib").stats()["files"]:
        time.sleep(0.01)
    run.kill()
    run.wait()
    library = Library.open(tmp_path / "lib", model=clap)
    kept = library.stats()["files"]
    assert kept >= 1
    report = library.add(sounds)
    assert report.unchanged >= kept
    assert report.added + report.unchanged == 40


def test_a_link_to_the_folder_above_ends(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 1)
    (sounds / "again").symlink_to(sounds)
    assert Library.open(place, model=clap).add(sounds).added == 1


def test_moments_merge_overlapping_good_windows() -> None:
    start = np.arange(0, 40, 5.0)
    score = np.array([0, 0.8, 0.9, 0, 0, 0, 0.7, 0], np.float32)
    found = merge_windows("x", start, start + 10, score)
    assert [(m.start, m.end) for m in found] == [(5.0, 20.0), (30.0, 40.0)]
    assert [m.score for m in found] == pytest.approx([0.9, 0.7])


def test_moments_of_a_library(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 2)
    sf.write(sounds / "long.wav", long_wave(40, RATE, seed=5), RATE)
    library = Library.open(place, model=clap)
    library.add(sounds)
    found = library.moments("a dog", 5)
    assert found
    assert [m.score for m in found] == sorted((m.score for m in found), reverse=True)
    assert all(0 <= m.start < m.end <= 40 for m in found)


def test_two_models_opened_on_an_empty_library_cannot_both_fill_it(
    tokenizer_file: Path, place: Path, tmp_path: Path
) -> None:
    one, other = (small_clap(tokenizer_file, name=name, seed=seed) for seed, name in enumerate(("one", "other")))
    sounds = fill(tmp_path / "sounds", 2)
    first, second = (Library.open(place, model=model) for model in (one, other))
    first.add(sounds / "sound 0 声.wav")
    with pytest.raises(LibraryMismatch, match=r"made by one .*, not by other"):
        second.add(sounds / "sound 1 声.wav")
    assert Library.open(place).stats()["files"] == 1


def test_only_what_is_gone_from_the_disk_leaves(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 2)
    odd = sounds / "take.raw1"
    sf.write(odd, long_wave(1, RATE), RATE, format="WAV")
    library = Library.open(place, model=clap)
    library.add([sounds, odd])
    assert library.add(sounds).removed == 0  # though the folder's scan does not find such a name
    odd.unlink()
    assert library.add(odd).removed == 1
    for file in sounds.iterdir():
        file.unlink()
    sounds.rmdir()
    report = library.add(sounds)  # as where a disk is missing
    assert (report.removed, [f.path for f in report.failed]) == (0, [str(sounds)])
    assert library.stats()["files"] == 2
    report = library.add(tmp_path)  # the same, seen from above
    assert (report.removed, report.kept_missing) == (0, 2)
    assert library.add(tmp_path, prune=True).removed == 2
    assert library.stats()["files"] == 0


def test_a_folder_that_cannot_be_looked_into_keeps_its_entries(
    clap: CLAP, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds = fill(tmp_path / "sounds", 1)
    inner = fill(sounds / "inner", 1)
    library = Library.open(place, model=clap)
    library.add(sounds)
    scandir = os.scandir

    def closed(path: str) -> object:
        if str(path) == str(inner):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    report = library.add(sounds)
    assert report.removed == 0
    assert [(Path(f.path).name, "cannot be looked into" in f.error) for f in report.failed] == [("inner", True)]


def test_nothing_new_needs_neither_lock_nor_disk(clap: CLAP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two searches with the same folders at once, and libraries that are read-only, must work."""
    sounds = fill(tmp_path / "sounds", 2)
    library = Library.open(tmp_path / "lib", model=clap)
    library.add(sounds)
    monkeypatch.setattr(SqliteStore, "_writing", lambda self: pytest.fail("written"))
    assert library.add(sounds).unchanged == 2


def test_what_another_process_committed_is_seen(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 2)
    here, there = (Library.open(place, model=clap) for _ in range(2))
    there.add(sounds)
    assert len(here.search("rain", 5)) == 2


def test_a_sound_as_query_is_heard_as_the_library_hears_it(clap: CLAP, place: Path, tmp_path: Path) -> None:
    """Rows are windows; a fused embedding of a long query would not be comparable with them."""
    wave = long_wave(10, RATE, seed=4)
    sf.write(tmp_path / "x.wav", np.tile(wave, 3), RATE)
    library = Library.open(place, model=clap)
    library.add(tmp_path / "x.wav")
    (hit,) = library.search((np.tile(wave, 3), RATE), 1)
    assert hit.score > 0.95


@pytest.mark.parametrize("k", [0, -1, 2.5, None, "3", True])
def test_k_is_a_whole_number(clap: CLAP, tmp_path: Path, k: object) -> None:
    with pytest.raises(UsageError, match="whole number, 1 or more"):
        Library.open(tmp_path, model=clap).search("rain", k)  # type: ignore[arg-type]


# -- recognising -------------------------------------------------------------------------------------


@pytest.fixture
def counted(clap: CLAP) -> Counted:
    return Counted(clap)


def test_moved_copied_and_touched_files_are_not_embedded_again(counted: Counted, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 4)
    library = Library.open(place, model=counted)  # type: ignore[arg-type]
    library.add(sounds, tags=["first"])
    assert len(counted.sounds) == 4
    counted.sounds.clear()
    (tmp_path / "elsewhere").mkdir()
    (sounds / "sound 0 声.wav").rename(sounds / "renamed.wav")
    (sounds / "sound 1 声.wav").rename(tmp_path / "elsewhere" / "moved.wav")
    shutil.copy(sounds / "sound 2 声.wav", sounds / "copy.wav")
    os.utime(sounds / "sound 3 声.wav", (1, 1))
    before = {hit.path: hit.score for hit in library.search("a dog", 9, missing=True)}
    report = library.add([sounds, tmp_path / "elsewhere"])
    assert counted.sounds == []
    assert (report.added, report.updated, report.unchanged, report.removed) == (1, 2, 2, 0)
    after = {Path(hit.path).name: hit.score for hit in library.search("a dog", 9)}
    assert set(after) == {"renamed.wav", "moved.wav", "copy.wav", "sound 2 声.wav", "sound 3 声.wav"}
    assert after["renamed.wav"] == pytest.approx(before[str(sounds / "sound 0 声.wav")])
    assert after["copy.wav"] == pytest.approx(after["sound 2 声.wav"], abs=1e-6)
    assert len(library.search("a dog", 9, tags=["first"])) == 4  # tags move with a file, and are not copied
    assert library.add(sounds).unchanged == 4


def test_copies_in_one_run_are_embedded_once(counted: Counted, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 1)
    for i in range(5):
        shutil.copy(sounds / "sound 0 声.wav", sounds / f"copy {i}.wav")
    (sounds / "bad.wav").write_text("no sound")
    shutil.copy(sounds / "bad.wav", sounds / "bad too.wav")
    report = Library.open(place, model=counted).add(sounds)  # type: ignore[arg-type]
    assert report.added == 6
    assert {Path(f.path).name for f in report.failed} == {"bad.wav", "bad too.wav"}
    assert sum("bad" not in name for name in counted.sounds) == 1


def test_a_file_changed_in_place_is_embedded_again(counted: Counted, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 1)
    library = Library.open(place, model=counted)  # type: ignore[arg-type]
    library.add(sounds)
    sf.write(sounds / "sound 0 声.wav", long_wave(2, RATE, seed=99), RATE)
    assert library.add(sounds).updated == 1
    assert len(counted.sounds) == 2


# -- finding -----------------------------------------------------------------------------------------


def test_filters_and_windows(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 3)
    sf.write(sounds / "long.flac", long_wave(31, RATE, seed=5), RATE)
    os.utime(sounds / "long.flac", (1000, 1000))
    library = Library.open(place, model=clap)
    library.add(sounds / "long.flac", tags=["a b"])
    library.add(sounds)

    def names(**options: object) -> list[str]:
        return sorted({Path(hit.path).name for hit in library.search("a dog", 50, **options)})  # type: ignore[arg-type]

    assert len(library.search("a dog", 50, per="window")) == 3 + 6
    assert names(glob="*.flac") == names(glob="sounds/l*") == names(shortest=30) == names(before=2000) == ["long.flac"]
    assert names(tags=["a b"]) == ["long.flac"]
    assert names(longest=1.5) == ["sound 0 声.wav"]
    assert names(after=2000) == [f"sound {i} 声.wav" for i in range(3)]
    assert names(tags=["none"]) == []
    assert names(filter=SearchFilter(path="*.flac", min_seconds=30)) == ["long.flac"]
    assert names(filter=SearchFilter(within=(str(sounds),)), longest=1.5) == ["sound 0 声.wav"]
    with pytest.raises(UsageError, match="'shape' is no option here"):
        names(shape="round")
    with pytest.raises(UsageError, match="per is 'clip'"):
        library.search("a dog", per="clip")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a tag is"):
        library.add(sounds, tags=[""])


def test_words_to_push_away(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 5)
    library = Library.open(place, model=clap)
    library.add(sounds)
    rain, dog = clap.encode_text(["rain", "a dog"])
    vector = rain - 0.5 * dog
    expected = clap.similarity(vector / np.linalg.norm(vector), clap.encode_audio(sorted(sounds.iterdir())))[0]
    for query, without in (('rain -"a dog"', ()), ("rain", "a dog"), ("rain", ["a dog"])):
        hits = library.search(query, 5, without=without)
        assert np.allclose([h.score for h in hits], np.sort(expected)[::-1], atol=1e-5)
    both = rain + dog
    expected = clap.similarity(both / np.linalg.norm(both), clap.encode_audio(sorted(sounds.iterdir())))[0]
    for parts in ("rain + a dog", ["rain", "a dog"]):
        assert np.allclose([h.score for h in library.search(parts, 5)], np.sort(expected)[::-1], atol=1e-5)
    with pytest.raises(UsageError, match="query is empty"):
        library.search("-dog")


def test_words_and_a_sound_together(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 3)
    library = Library.open(place, model=clap)
    library.add(sounds)
    path = sounds / "sound 1 声.wav"
    vector = clap.encode_text("rain")[0] + clap.encode_audio(path, long="windows")[0]
    hit = library.search(["rain", path], 3)[0]
    assert hit.score == pytest.approx(
        float(clap.similarity(vector, clap.encode_audio(sorted(sounds.iterdir()))).max()), abs=1e-5
    )


@pytest.mark.parametrize(
    ("words", "wanted", "unwanted"),
    [
        ("rain", ["rain"], []),
        ("rain -thunder", ["rain"], ["thunder"]),
        ('-wind rain  in the night -"heavy traffic"', ["rain in the night"], ["wind", "heavy traffic"]),
        ("rain + wind", ["rain", "wind"], []),
        ("lo-fi 8-bit rock+roll", ["lo-fi 8-bit rock+roll"], []),
        (" - ", ["-"], []),
        ("", [], []),
    ],
)
def test_a_query_in_words(words: str, wanted: list[str], unwanted: list[str]) -> None:
    assert parse_query(words) == (wanted, unwanted)


# -- keeping -----------------------------------------------------------------------------------------


def test_verify_names_what_is_wrong(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 3)
    library = Library.open(place, model=clap)
    library.add(sounds)
    assert library.verify().whole
    changed, missing = sounds / "sound 0 声.wav", sounds / "sound 1 声.wav"
    content, stat = changed.read_bytes(), changed.stat()
    changed.write_bytes(content[:-2] + b"xx")
    os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    missing.unlink()
    found = library.verify()
    assert (found.changed, found.missing, found.damaged) == ([str(changed)], [str(missing)], [])
    assert library.verify(hashes=False).changed == []  # the same size and time
    assert library.repair() == []


def test_export_and_import(clap: CLAP, tokenizer_file: Path, place: Path, tmp_path: Path) -> None:
    library = Library.open(place, model=clap)
    library.add(fill(tmp_path / "sounds", 3), tags=["x", "y"])
    done = library.export(tmp_path / "all.parquet")
    assert (done["files"], done["windows"]) == (3, 3)
    other = Library.open(tmp_path / "other", model=clap)
    assert other.import_(tmp_path / "all.parquet") == {"files": 3, "windows": 3}
    found, same = other.search("a dog", 5, tags=["y"]), library.search("a dog", 5)
    assert [hit.path for hit in found] == [hit.path for hit in same]
    assert [hit.score for hit in found] == pytest.approx([hit.score for hit in same], abs=1e-6)
    assert other.add(tmp_path / "sounds").unchanged == 3
    third = Library.open(tmp_path / "third", model=small_clap(tokenizer_file, name="third", seed=3))
    third.add(fill(tmp_path / "more", 1))
    with pytest.raises(LibraryMismatch, match="made by first"):
        third.import_(tmp_path / "all.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"nothing")
    with pytest.raises(LibraryError, match="no library that openclap has exported"):
        other.import_(tmp_path / "bad.parquet")
    with pytest.raises(UsageError, match=r"must end in \.parquet"):
        library.export(tmp_path / "all.csv")


def test_reembed_with_another_model(clap: CLAP, tokenizer_file: Path, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 4)
    library = Library.open(place, model=clap)
    library.add(sounds, tags=["kept"])
    library.close()
    other = small_clap(tokenizer_file, name="other", seed=9)
    (sounds / "sound 3 声.wav").unlink()
    report = Library.reembed(place, other)
    assert (report.updated, report.removed, report.failed) == (3, 1, [])
    again = Library.open(place, model=other)
    assert again.stats()["model"] == "other"
    assert len(again.search("a dog", 9, tags=["kept"])) == 3
    assert Library.reembed(place, other).unchanged == 3
    assert not (place / "reembedding").exists()
    assert len(list(place.glob("windows-*"))) == (place.suffix == ".lance")
    again.close()
    shutil.rmtree(sounds)
    with pytest.raises(LibraryError, match="is a disk missing"):
        Library.reembed(place, clap)
    assert Library.open(place, model=other).stats()["files"] == 3


def test_watch_follows_a_folder(clap: CLAP, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sounds = fill(tmp_path / "sounds", 2)
    for path in sounds.iterdir():
        os.utime(path, (1, 1))
    looks = 0

    def sleep(_: float) -> None:  # what happens between two looks
        nonlocal looks
        looks += 1
        if looks == 1:
            (sounds / "bad.wav").write_text("no sound")
            os.utime(sounds / "bad.wav", (1, 1))
            sf.write(sounds / "new.wav", long_wave(2, RATE, seed=77), RATE)  # perhaps still being written
        if looks == 4:
            os.utime(sounds / "new.wav", (1, 1))
        if looks == 6:
            (sounds / "new.wav").unlink()
        assert looks < 9

    monkeypatch.setattr("openclap.library.watch_folder.time.sleep", sleep)
    reports = Library.open(place, model=clap).watch(sounds)
    told = [next(reports) for _ in range(4)]
    assert [(r.added, r.removed, len(r.failed)) for r in told] == [(2, 0, 0), (0, 0, 1), (1, 0, 0), (0, 1, 0)]
    assert looks == 6


def test_confidence_tells_what_is_there(place: Path, tmp_path: Path) -> None:
    """With mini-3, on synthesised sounds of other seeds than those it was taught."""
    from openclap.synth import write_library

    mini = CLAP.from_pretrained("mini-3")
    kinds = ("dog bark", "rain", "siren", "rooster", "piano")
    write_library(tmp_path / "sounds", seed=31, kinds=kinds)
    library = Library.open(place, model=mini)
    library.add(tmp_path / "sounds")
    there = [
        library.search(query, 1)[0].confidence or 0
        for query in ("a barking dog", "rainfall", "a siren", "a rooster crowing", "a piano")
    ]
    absent = [
        library.search(q, 1)[0].confidence or 0
        for q in ("a helicopter", "someone snoring", "a zipper", "applause", "a train passing")
    ]
    assert sum(value > UNLIKELY for value in there) >= 4  # one in twelve is missed (runs/mini/confidence.py)
    assert max(absent) < min(there)
    assert max(absent) < UNLIKELY
    sound = library.search("a piano", 1)[0].path
    assert (library.search(Path(sound), 1)[0].confidence or 0) > 0.9


def test_moments_as_files(tmp_path: Path) -> None:
    one = [Moment("/a, b.wav", 5.25, 7.0, 0.8), Moment("/a, b.wav", 1.0, 2.5, 0.5)]
    for name in ("x.csv", "x.json", "x.txt", "x.m3u"):
        write_moments(one, tmp_path / name, "a\tdog")
    with (tmp_path / "x.csv").open(encoding="utf-8") as file:
        assert next(iter(csv.DictReader(file))) == {"path": "/a, b.wav", "start": "5.25", "end": "7.0", "score": "0.8", "query": "a\tdog", "confidence": ""}  # fmt: skip
    assert json.loads((tmp_path / "x.json").read_text())["moments"][1]["start"] == 1.0
    assert (tmp_path / "x.txt").read_text() == "1.000000\t2.500000\ta dog 0.50\n5.250000\t7.000000\ta dog 0.80\n"
    playlist = (tmp_path / "x.m3u").read_text().splitlines()
    assert playlist[0] == "#EXTM3U"
    assert playlist[1:5] == [
        "#EXTINF:2,a dog 0.80",
        "#EXTVLCOPT:start-time=5.250",
        "#EXTVLCOPT:stop-time=7.000",
        "/a, b.wav",
    ]
    with pytest.raises(UsageError, match="must end in"):
        write_moments(one, tmp_path / "x.pdf", "dog")
    with pytest.raises(UsageError, match="of several"):
        write_moments([*one, Moment("/c.wav", 0, 1, 0.1)], tmp_path / "x.txt", "dog")
    odd = Moment("/a\n#EXTVLCOPT:sout=x\r.wav", 0.0, 1.0, 0.5)  # a name that would be options of a player
    for name in ("y.csv", "y.m3u"):
        write_moments([odd, *one], tmp_path / name, "dog")
    lines = (tmp_path / "y.m3u").read_text().splitlines()
    assert lines[4] == "file:///a%0A%23EXTVLCOPT%3Asout%3Dx%0D.wav"
    assert len(lines) == 13
    with (tmp_path / "y.csv").open(encoding="utf-8", newline="") as file:
        assert next(iter(csv.DictReader(file)))["path"] == odd.path


def test_moments_of_odd_names_beside_a_file_of_the_users(tmp_path: Path) -> None:
    """`x.csv.part` was written over, a carriage return ended a row of the table, and a line break a line of the playlist."""
    (tmp_path / "x.csv.part").write_text("mine")
    odd = [
        Moment("/cr\rname.wav", 0.0, 1.0, 0.5),
        Moment("/nl\nname.wav", 0.0, 1.0, 0.5),
        Moment("/a.wav", 0.0, 1.0, 0.5),
    ]
    for name in ("x.csv", "x.m3u"):
        write_moments(odd, tmp_path / name, "dog")
    assert (tmp_path / "x.csv.part").read_text() == "mine"
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [moment.path for moment in odd]
    lines = [line for line in (tmp_path / "x.m3u").read_text().splitlines() if not line.startswith("#")]
    assert lines == ["file:///cr%0Dname.wav", "file:///nl%0Aname.wav", "/a.wav"]


def test_moments_end_where_the_sound_does(place: Path, tmp_path: Path) -> None:
    """With mini: a siren of three seconds in a minute of faint noise."""
    from openclap.synth import synthesise

    rng = np.random.default_rng(4)
    wave = (0.001 * rng.standard_normal(60 * 32_000)).astype(np.float32)
    siren, _ = synthesise("siren", rng, rate=32_000, seconds=3.0)
    wave[20 * 32_000 : 20 * 32_000 + len(siren)] += 0.3 * siren
    sf.write(tmp_path / "street.flac", wave, 32_000)
    mini = CLAP.from_pretrained("mini")
    best = moments_in(mini, tmp_path / "street.flac", "a siren", 1)[0]
    assert best.start == pytest.approx(20, abs=1.0)
    assert best.end == pytest.approx(20 + len(siren) / 32_000, abs=1.0)
    library = Library.open(place, model=mini)
    library.add(tmp_path / "street.flac")
    found = library.moments("a siren", 1)[0]
    assert (found.start, found.end) == pytest.approx((best.start, best.end), abs=1.0)
    coarse = library.moments("a siren", 1, fine=False)[0]
    assert coarse.end - coarse.start >= 10
    (tmp_path / "street.flac").unlink()
    assert library.moments("a siren", 1).left_out == 1
    (gone,) = library.moments("a siren", 1, missing=True)
    assert gone.start <= 20  # the edges of the windows
    assert gone.to_dict()["missing"]


def test_a_full_disk_loses_nothing(clap: CLAP, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 6)
    library = Library.open(tmp_path / "lib", model=clap)
    library.add(sounds / "sound 0 声.wav")
    store = library._store
    assert isinstance(store, SqliteStore)
    db = store._database.connection()
    assert db is not None
    full = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {full}")
    sf.write(sounds / "long.wav", long_wave(2400, 4000, seed=8), 4000)  # hundreds of windows
    with pytest.raises(LibraryError, match=r"cannot be written to .*full"):
        library.add(sounds)
    assert store.check() == []
    assert len(library.search("a dog", 9)) >= 1
    db.execute("PRAGMA max_page_count = 1000000")
    report = library.add(sounds)
    assert report.added + report.unchanged == 7
    assert library.stats()["files"] == 7


def test_renamed_in_a_row_and_swapped(counted: Counted, place: Path, tmp_path: Path) -> None:
    """Tags once ended on the wrong recordings, and one file was embedded again."""
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for i in range(5):
        sf.write(sounds / f"{i}.wav", long_wave(1, RATE, seed=i), RATE)
    library = Library.open(place, model=counted)  # type: ignore[arg-type]
    for i in range(5):
        library.add(sounds / f"{i}.wav", tags=[f"t{i}"])
    counted.sounds.clear()
    for i in reversed(range(5)):
        (sounds / f"{i}.wav").rename(sounds / f"{i + 1}.wav")
    (sounds / "1.wav").rename(sounds / "x")
    (sounds / "2.wav").rename(sounds / "1.wav")
    (sounds / "x").rename(sounds / "2.wav")
    report = library.add(sounds)
    assert counted.sounds == []
    assert (report.added, report.removed, report.failed) == (0, 0, [])
    named = {tag: [Path(h.path).name for h in library.search("a dog", 9, tags=[f"t{tag}"])] for tag in range(5)}
    assert named == {0: ["2.wav"], 1: ["1.wav"], 2: ["3.wav"], 3: ["4.wav"], 4: ["5.wav"]}
    assert library.verify().whole


def test_a_file_that_came_back_stays(clap: CLAP, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sounds = fill(tmp_path / "sounds", 2)
    library = Library.open(place, model=clap)
    library.add(sounds)
    away = sounds / "sound 0 声.wav"
    content = away.read_bytes()
    away.unlink()
    sf.write(sounds / "new.wav", long_wave(1, RATE, seed=50), RATE)
    encode_each = clap.encode_each

    def meanwhile(*args: object, **options: object) -> object:
        away.write_bytes(content)
        return encode_each(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(clap, "encode_each", meanwhile)
    report = library.add(sounds)
    assert (report.added, report.removed) == (1, 0)
    assert library.stats()["files"] == 3


def test_a_mistyped_library_is_not_whole(clap: CLAP, place: Path, tmp_path: Path) -> None:
    for action in ("verify", "repair"):
        with pytest.raises(LibraryError, match="holds no sounds"):
            getattr(Library.open(tmp_path / "typo"), action)()
    assert not (tmp_path / "typo").exists()
    (tmp_path / "empty").mkdir()
    Library.open(place, model=clap).add(tmp_path / "empty", tags=["x"])
    assert not (place).exists()


def test_names_that_are_no_text_are_refused(clap: CLAP, place: Path, tmp_path: Path) -> None:
    library = Library.open(place, model=clap)
    library.add(fill(tmp_path / "sounds", 1))
    with pytest.raises(UsageError, match="a tag is"):
        library.add(tmp_path / "sounds", tags=["\udcff"])
    with pytest.raises(UsageError, match="no Unicode"):
        library.search("a dog", glob="*\udcff*")
