"""More like these, less like those: relevance, variety, what is left out, filters, the playlist."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from openclap import CLAP, Library
from openclap.errors import LibraryError, UsageError
from openclap.library.recommend import pick_diverse
from openclap.results import Hit
from openclap.synth import synthesise

RATE = 32_000
KINDS = ("dog bark", "rain", "bird", "snare drum")
TAKES = 5


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("recommend")
    for kind in KINDS:
        (place / "sounds" / kind).mkdir(parents=True)
        for take in range(TAKES):
            wave = synthesise(kind, np.random.default_rng(take), rate=RATE, seconds=2.0 if kind != "bird" else 12.0)[0]
            sf.write(place / "sounds" / kind / f"{take}.wav", 0.5 * wave / np.abs(wave).max(), RATE)
    Library.open(place / "library", model=CLAP.from_pretrained("mini")).add(place / "sounds")
    return place


@pytest.fixture(scope="module")
def library(place: Path) -> Library:
    return Library.open(place / "library", model=CLAP.from_pretrained("mini"))


def kind_of(hit: Hit) -> str:
    return Path(hit.path).parent.name


def test_more_like_this_without_itself(library: Library, place: Path) -> None:
    given = place / "sounds" / "rain" / "0.wav"
    hits = library.recommend([given], k=4, variety=0.0)
    assert [kind_of(hit) for hit in hits] == ["rain"] * 4
    assert str(given) not in [hit.path for hit in hits]
    assert hits[0].score == max(hit.score for hit in hits)
    assert all(hit.confidence is not None and 0 <= hit.confidence <= 1 for hit in hits)


def test_one_window_a_recording(library: Library) -> None:
    """Birds are longer than a window."""
    hits = library.recommend(["bird"], k=20, variety=0.5)
    assert len({hit.path for hit in hits}) == len(hits) == len(KINDS) * TAKES


def test_words_and_sounds_and_both_weigh_alike(library: Library, place: Path) -> None:
    """Cosines with words are half those with sounds; the nearest of each must be there all the same."""
    hits = library.recommend(["a snare drum", place / "sounds" / "rain" / "0.wav"], k=8, variety=0.2)
    kinds = [kind_of(hit) for hit in hits]
    assert kinds.count("rain") >= 2
    assert kinds.count("snare drum") >= 2


def test_less_like_those(library: Library) -> None:
    both = library.recommend(["rain", "dog barking"], k=10, variety=0.0)
    assert {kind_of(hit) for hit in both} == {"rain", "dog bark"}
    one = library.recommend(["rain", "dog barking"], ["dog barking"], k=5, variety=0.0)
    assert {kind_of(hit) for hit in one} == {"rain"}


def test_variety(library: Library) -> None:
    kinds = [len({kind_of(hit) for hit in library.recommend(["rain"], k=5, variety=v)}) for v in (0.0, 0.9)]
    assert kinds[0] == 1 < kinds[1]


def test_copies_of_what_was_given_are_not_recommended(library: Library, place: Path, tmp_path: Path) -> None:
    """Neither what was given from outside the library, nor the very same sound in another format."""
    source = place / "sounds" / "rain" / "1.wav"
    shutil.copy(source, tmp_path / "copy.wav")
    wave, rate = sf.read(source)
    sf.write(tmp_path / "copy.flac", wave, rate)
    for given in ("copy.wav", "copy.flac"):
        hits = library.recommend([tmp_path / given], k=20)
        assert str(source) not in [hit.path for hit in hits]
        assert len(hits) == len(KINDS) * TAKES - 1


def test_filters(library: Library, place: Path) -> None:
    hits = library.recommend(["rain"], k=20, within=place / "sounds" / "bird")
    assert {kind_of(hit) for hit in hits} == {"bird"}
    assert library.recommend(["rain"], k=20, shortest=1000.0) == []


def test_quotes_and_facts_in_what_is_liked_say_which_files(library: Library) -> None:
    """They were words like any other: `folder:bird` was encoded as text."""
    hits = library.recommend(['rain folder:"snare drum"'], k=20)
    assert {kind_of(hit) for hit in hits} == {"snare drum"}
    assert {kind_of(hit) for hit in library.recommend('something "bird"', k=20)} == {"bird"}


def test_wrong_use(library: Library, tmp_path: Path) -> None:
    for like, unlike, k, variety in (
        ((), (), 20, 0.3),
        ((), ("rain",), 20, 0.3),
        (("rain",), (), 0, 0.3),
        (("rain",), (), 5, 1.5),
    ):
        with pytest.raises(UsageError):
            library.recommend(like, unlike, k, variety=variety)
    with pytest.raises(LibraryError, match="no sounds"):
        Library.open(tmp_path / "empty", model=library._need_model()).recommend(["rain"])


def test_picking_by_hand() -> None:
    """Two alike and best, one of another direction: with variety the other comes second, without it third."""
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    relevance = np.array([1.0, 0.9, 0.5], np.float32)
    assert pick_diverse(relevance, vectors, 3, 0.0) == [0, 1, 2]
    assert pick_diverse(relevance, vectors, 3, 0.6) == [0, 2, 1]
    assert pick_diverse(relevance, vectors, 2, 0.6) == [0, 2]
    assert pick_diverse(np.ones(3, np.float32), vectors, 5, 0.0) == [0, 1, 2]


def test_the_verb(place: Path, tmp_path: Path) -> None:
    def run(*args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
        command = [sys.executable, "-m", "openclap.cli.app", "recommend", "--library", str(place / "library"), *args]
        return subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, check=False)

    given, m3u = place / "sounds" / "rain" / "0.wav", tmp_path / "p.m3u"
    done = run("--like", str(given), "--unlike", "a dog", "-k", "3", "--m3u", str(m3u), "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert str(given) not in [row["path"] for row in rows]
    assert m3u.read_text().splitlines()[2::2] == [row["path"] for row in rows]
    (tmp_path / "a dog").mkdir()
    for words in ("a dog", "rain " * 1000):  # a folder of this name, and more than a path may have
        done = run("--like", words, "-k", "1", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    done = run("--like", "nothing-here.wav")  # a slip of the pen was taken for words
    assert (done.returncode, "no such file" in done.stderr) == (1, True)
    for wrong in ((), ("--like", "rain", "--m3u", "x.txt"), ("--like", "rain", "--variety", "2")):
        done = run(*wrong)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
