"""The library: adding, searching, staying whole."""

from __future__ import annotations

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


def test_a_broken_library_is_told_not_overwritten(clap: CLAP, tmp_path: Path) -> None:
    Library.open(tmp_path / "lib", model=clap).add(fill(tmp_path / "sounds", 1))
    file = tmp_path / "lib" / "library.npz"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(LibraryError, match="broken"):
        Library.open(tmp_path / "lib", model=clap)


def test_a_killed_run_leaves_a_whole_library_and_the_next_goes_on(
    clap: CLAP, tokenizer_file: Path, tmp_path: Path
) -> None:
    sounds = fill(tmp_path / "sounds", 40)
    clap.save_pretrained(tmp_path / "model")
    code = f"""
import openclap.library.library as module
module.COMMIT_SECONDS = 0
from openclap import CLAP, Library
Library.open({str(tmp_path / "lib")!r}, model=CLAP.from_pretrained({str(tmp_path / "model")!r})).add({str(sounds)!r})
"""
    run = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not (tmp_path / "lib" / "library.npz").exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    run.kill()
    run.wait()
    library = Library.open(tmp_path / "lib", model=clap)
    kept = library.stats()["files"]
    assert kept >= 1
    report = library.add(sounds)
    assert report.unchanged >= kept
    assert report.added + report.unchanged == 40


def test_two_processes_do_not_write_at_once(clap: CLAP, tmp_path: Path) -> None:
    library = Library.open(tmp_path / "lib", model=clap)
    with library._store.writing(), pytest.raises(LibraryError, match="another process"):
        Library.open(tmp_path / "lib", model=clap).add(fill(tmp_path / "sounds", 1))


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
