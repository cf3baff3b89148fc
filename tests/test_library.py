"""The library: adding, searching, staying whole."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from conftest import long_wave
from models_for_tests import small_clap

from openclap import CLAP, Library
from openclap.errors import LibraryError, LibraryMismatch, UsageError
from openclap.library.moments import merge
from openclap.store.sqlite import SqliteStore

RATE = 16_000


@pytest.fixture(scope="module")
def clap(tokenizer_file: Path) -> CLAP:
    return small_clap(tokenizer_file, name="first")


def fill(folder: Path, count: int = 4) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        sf.write(folder / f"sound {i} 声.wav", long_wave(1 + i, RATE, seed=i), RATE)
    return folder


def test_good_and_bad_files(clap: CLAP, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds")
    (sounds / "empty.wav").touch()
    (sounds / "text.wav").write_text("no sound")
    (sounds / ".hidden.wav").write_text("no sound")
    (sounds / "notes.txt").write_text("not looked at")
    report = Library.open(tmp_path / "lib", model=clap).add(sounds)
    assert (report.added, report.unchanged, report.updated, report.removed) == (4, 0, 0, 0)
    assert {Path(f.path).name for f in report.failed} == {"empty.wav", "text.wav"}
    assert all(f.error for f in report.failed)


def test_a_second_run_reads_only_what_changed(clap: CLAP, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds")
    Library.open(tmp_path / "lib", model=clap).add(sounds)
    sf.write(sounds / "sound 0 声.wav", long_wave(3, RATE, seed=9), RATE)
    (sounds / "sound 1 声.wav").unlink()
    sf.write(sounds / "new.flac", long_wave(2, RATE, seed=8), RATE)
    report = Library.open(tmp_path / "lib", model=clap).add([sounds])
    assert (report.added, report.unchanged, report.updated, report.removed) == (1, 2, 1, 1)
    assert Library.open(tmp_path / "lib").stats()["files"] == 4


def test_search_finds_the_sound_itself_first(clap: CLAP, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 5)
    sf.write(sounds / "long.wav", long_wave(31, RATE, seed=5), RATE)
    library = Library.open(tmp_path / "lib", model=clap)
    library.add(sounds)
    for path in sounds.iterdir():
        hits = library.search(path, 3)
        best = clap.similarity(clap.encode_windows(path).embedding, clap.encode_audio(path)).max()
        assert hits[0].score == pytest.approx(max(float(best), hits[0].score), abs=1e-5)
        assert len({hit.path for hit in hits}) == 3  # one hit a file
        assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    assert library.search(sounds / "sound 2 声.wav", 1)[0].path == str(sounds / "sound 2 声.wav")


def test_search_equals_brute_force(clap: CLAP, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 5)
    library = Library.open(tmp_path / "lib", model=clap)
    library.add(sounds)
    files = sorted(sounds.iterdir())
    expected = clap.similarity(clap.encode_text("a dog"), clap.encode_audio(files))[0]
    hits = library.search("a dog", 5)
    assert [h.path for h in hits] == [str(files[i]) for i in np.argsort(-expected)]
    assert np.allclose([h.score for h in hits], np.sort(expected)[::-1], atol=1e-5)
    inside = library.search("a dog", 5, within=[files[1]])
    assert [h.path for h in inside] == [str(files[1])]


def test_another_model_is_refused_by_name(clap: CLAP, tokenizer_file: Path, tmp_path: Path) -> None:
    Library.open(tmp_path / "lib", model=clap).add(fill(tmp_path / "sounds", 1))
    other = small_clap(tokenizer_file, name="second", seed=1)
    with pytest.raises(LibraryMismatch, match=r"made by first .* not by second"):
        Library.open(tmp_path / "lib", model=other)


def test_wrong_use(clap: CLAP, tmp_path: Path) -> None:
    library = Library.open(tmp_path / "lib", model=clap)
    with pytest.raises(LibraryError, match="openclap index"):
        library.search("dog")
    library.add(fill(tmp_path / "sounds", 1))
    with pytest.raises(UsageError, match="k is 0"):
        library.search("dog", 0)
    with pytest.raises(UsageError, match="empty"):
        library.search("  ")
    with pytest.raises(UsageError, match="without a model"):
        Library.open(tmp_path / "lib").search("dog")
    with pytest.raises(UsageError, match="folders only"):
        Library.open("s3://bucket/lib", model=clap)


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


def test_a_link_to_the_folder_above_ends(clap: CLAP, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 1)
    (sounds / "again").symlink_to(sounds)
    assert Library.open(tmp_path / "lib", model=clap).add(sounds).added == 1


def test_moments_merge_overlapping_good_windows() -> None:
    start = np.arange(0, 40, 5.0)
    score = np.array([0, 0.8, 0.9, 0, 0, 0, 0.7, 0], np.float32)
    found = merge("x", start, start + 10, score)
    assert [(m.start, m.end) for m in found] == [(5.0, 20.0), (30.0, 40.0)]
    assert [m.score for m in found] == pytest.approx([0.9, 0.7])


def test_moments_of_a_library(clap: CLAP, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 2)
    sf.write(sounds / "long.wav", long_wave(40, RATE, seed=5), RATE)
    library = Library.open(tmp_path / "lib", model=clap)
    library.add(sounds)
    found = library.moments("a dog", 5)
    assert found
    assert [m.score for m in found] == sorted((m.score for m in found), reverse=True)
    assert all(0 <= m.start < m.end <= 40 for m in found)


def test_two_models_opened_on_an_empty_library_cannot_both_fill_it(tokenizer_file: Path, tmp_path: Path) -> None:
    one, other = (small_clap(tokenizer_file, name=name, seed=seed) for seed, name in enumerate(("one", "other")))
    sounds = fill(tmp_path / "sounds", 2)
    first, second = (Library.open(tmp_path / "lib", model=model) for model in (one, other))
    first.add(sounds / "sound 0 声.wav")
    with pytest.raises(LibraryMismatch, match=r"made by one .*, not by other"):
        second.add(sounds / "sound 1 声.wav")
    assert Library.open(tmp_path / "lib").stats()["files"] == 1


def test_only_what_is_gone_from_the_disk_leaves(clap: CLAP, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 2)
    odd = sounds / "take.raw1"
    sf.write(odd, long_wave(1, RATE), RATE, format="WAV")
    library = Library.open(tmp_path / "lib", model=clap)
    library.add([sounds, odd])
    assert library.add(sounds).removed == 0  # though the folder's scan does not find such a name
    odd.unlink()
    assert library.add(odd).removed == 1
    for file in sounds.iterdir():
        file.unlink()
    sounds.rmdir()
    report = library.add(sounds)
    assert (report.removed, report.failed) == (2, [])
    assert library.stats()["files"] == 0


def test_a_folder_that_cannot_be_looked_into_keeps_its_entries(
    clap: CLAP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds = fill(tmp_path / "sounds", 1)
    inner = fill(sounds / "inner", 1)
    library = Library.open(tmp_path / "lib", model=clap)
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


def test_what_another_process_committed_is_seen(clap: CLAP, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 2)
    here, there = (Library.open(tmp_path / "lib", model=clap) for _ in range(2))
    there.add(sounds)
    assert len(here.search("rain", 5)) == 2


def test_a_sound_as_query_is_heard_as_the_library_hears_it(clap: CLAP, tmp_path: Path) -> None:
    """Rows are windows; a fused embedding of a long query would not be comparable with them."""
    wave = long_wave(10, RATE, seed=4)
    sf.write(tmp_path / "x.wav", np.tile(wave, 3), RATE)
    library = Library.open(tmp_path / "lib", model=clap)
    library.add(tmp_path / "x.wav")
    (hit,) = library.search((np.tile(wave, 3), RATE), 1)
    assert hit.score > 0.95


@pytest.mark.parametrize("k", [0, -1, 2.5, None, "3", True])
def test_k_is_a_whole_number(clap: CLAP, tmp_path: Path, k: object) -> None:
    with pytest.raises(UsageError, match="whole number, 1 or more"):
        Library.open(tmp_path, model=clap).search("rain", k)  # type: ignore[arg-type]
