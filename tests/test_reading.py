"""A library knows how each file was read: what a later version reads differently is embedded anew, and nothing else."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from libraries_for_tests import Counted, fill
from models_for_tests import small_clap

from openclap import CLAP, Library
from openclap.audio.decode_revision import DECODE_REVISION
from openclap.errors import LibraryMismatch, LibraryWarning, UnreadableSound
from openclap.library import indexing
from openclap.library.model_identity import has_same_front_end, model_identity
from openclap.store import Store, open_store


@pytest.fixture(scope="module")
def small(tokenizer_file: Path) -> CLAP:
    return small_clap(tokenizer_file, name="first")


@pytest.fixture
def clap(small: CLAP) -> CLAP:
    return Counted(small)  # type: ignore[return-value]


def embedded(clap: CLAP) -> list[str]:
    """What has been since the last time it was asked."""
    sounds = sorted(clap.sounds)  # type: ignore[attr-defined]
    clap.sounds.clear()  # type: ignore[attr-defined]
    return sounds


def age(place: Path, reading: int = 1, *names: str) -> None:
    """Let files, or these alone, be as an earlier revision has read them: with other vectors."""
    store = open_store(place)
    recordings = [r for r in store.scan() if not names or Path(r.file.path).name in names]
    store.put([replace(r, file=replace(r.file, reading=reading), embedding=-r.embedding) for r in recordings])
    store.close()


def readings(place: Path) -> dict[str, int]:
    store = open_store(place)
    found = {Path(file.path).name: file.reading for file in store.files()}
    store.close()
    return found


def concern(patch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """Let this version read files of these names differently → which it is asked about, growing."""
    asked: list[str] = []

    def concerns(path: str, since: int) -> bool:
        assert since < DECODE_REVISION
        asked.append(Path(path).name)
        if "unreadable" in path:
            raise UnreadableSound(path, "is not what it was")
        return Path(path).name in names

    patch.setattr(indexing, "is_read_differently", concerns)
    return asked


def test_what_is_read_differently_is_embedded_anew(
    clap: CLAP, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds = fill(tmp_path / "sounds")
    library = Library.open(place, model=clap)
    library.add(sounds, tags=["kept"])
    assert set(readings(place).values()) == {DECODE_REVISION}
    right = library.search("rain", 9)
    age(place)
    embedded(clap)
    monkeypatch.setattr(indexing, "content_hash", lambda path: pytest.fail("hashed again"))
    asked = concern(monkeypatch, "1.wav", "2.wav")
    assert library.add(sounds, keep=True).unchanged == 4  # a search does not read anew
    assert (asked, embedded(clap)) == ([], [])
    told: list[tuple[int, int]] = []
    report = library.add(sounds, progress=lambda done, of: told.append((done, of)))
    assert (report.added, report.updated, report.unchanged, report.removed, report.failed) == (0, 2, 2, 0, [])
    assert sorted(asked) == ["0.wav", "1.wav", "2.wav", "3.wav"]
    assert embedded(clap) == ["1.wav", "2.wav"]
    assert told[-1] == (4, 4)
    assert set(readings(place).values()) == {DECODE_REVISION}
    by_name = {Path(hit.path).name: hit.score for hit in library.search("rain", 9, tags=["kept"])}
    for hit in right:
        sign = 1 if Path(hit.path).name in ("1.wav", "2.wav") else -1
        assert by_name[Path(hit.path).name] == pytest.approx(sign * hit.score, abs=1e-6)
    asked.clear()
    assert library.add(sounds).unchanged == 4
    assert asked == []


def test_a_stopped_run_goes_on(clap: CLAP, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sounds = fill(tmp_path / "sounds", 6)
    library = Library.open(place, model=clap)
    library.add(sounds, tags=["kept"])
    age(place)
    embedded(clap)
    monkeypatch.setattr(indexing, "AT_ONCE", 2)
    asked = concern(monkeypatch, *(f"{i}.wav" for i in range(0, 6, 2)))

    def stop(done: int, of: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.add(sounds, progress=stop)
    assert sorted(asked) == ["0.wav", "1.wav", "2.wav", "3.wav"]
    done = [name for name, reading in readings(place).items() if reading == DECODE_REVISION]
    assert set(done) >= {"0.wav", "1.wav"}
    asked.clear()
    report = library.add(sounds)
    assert report.failed == []
    assert not set(asked) & set(done)
    assert set(readings(place).values()) == {DECODE_REVISION}
    assert len(library.search("rain", 9, tags=["kept"])) == 6


def test_copies_moves_and_what_cannot_be_read(
    clap: CLAP, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds = fill(tmp_path / "sounds", 2)
    shutil.copy(sounds / "0.wav", sounds / "copy.wav")
    shutil.copy(sounds / "1.wav", sounds / "unreadable.wav")
    library = Library.open(place, model=clap)
    library.add(sounds)
    age(place)
    embedded(clap)
    (sounds / "1.wav").rename(sounds / "moved.wav")
    os.utime(sounds / "copy.wav", (1, 1))
    concern(monkeypatch, "0.wav", "copy.wav", "moved.wav")
    report = library.add(sounds)
    assert [Path(failure.path).name for failure in report.failed] == ["unreadable.wav"]
    assert (report.added, report.removed, library.stats()["files"]) == (0, 0, 4)
    assert report.updated == 3
    assert len(embedded(clap)) <= 3  # equal ones that are met together once
    now = readings(place)
    assert now.pop("unreadable.wav") == 1  # asked again next time
    assert set(now.values()) == {DECODE_REVISION}


def test_what_a_later_version_has_read_is_left(clap: CLAP, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    sounds = fill(tmp_path / "sounds", 1)
    library = Library.open(place, model=clap)
    library.add(sounds)
    age(place, DECODE_REVISION + 1)
    asked = concern(monkeypatch, "0.wav")
    assert library.add(sounds).unchanged == 1
    assert (asked, readings(place)) == ([], {"0.wav": DECODE_REVISION + 1})


def test_it_travels_with_an_export(clap: CLAP, place: Path, tmp_path: Path) -> None:
    library = Library.open(place, model=clap)
    library.add(fill(tmp_path / "sounds", 3))
    age(place, 1, "1.wav")
    library.export(tmp_path / "all.parquet")
    Library.open(tmp_path / "other", model=clap).import_(tmp_path / "all.parquet")
    assert readings(tmp_path / "other") == {"0.wav": DECODE_REVISION, "1.wav": 1, "2.wav": DECODE_REVISION}


# -- another front end of the same weights -----------------------------------------------------------


def set_front_end(store: Store, clap: CLAP, **changes: object) -> None:
    """Let a library be made by another front end: with other vectors."""
    maker = model_identity(clap)
    aside = store.staging({**maker, "front_end": {**maker["front_end"], **changes}})
    aside.claim({**maker, "front_end": {**maker["front_end"], **changes}})
    recordings = list(store.scan())
    aside.put([replace(r, embedding=-r.embedding) for r in recordings])
    for r in recordings:
        aside.tag([r.file.path], r.file.tags)
    store.swap_in(aside)
    store.close()


def test_another_front_end_is_embedded_anew_as_a_whole(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds, more = fill(tmp_path / "sounds"), fill(tmp_path / "more", 5)
    for i in range(4):
        (more / f"{i}.wav").unlink()
    library = Library.open(place, model=clap)
    library.add(sounds, tags=["kept"])
    right = library.search("rain", 9)
    library.close()
    set_front_end(open_store(place), clap, f_max=6000.0)
    for ask in (Library.recommend, Library.search):
        library = Library.open(place, model=clap)
        with pytest.warns(LibraryWarning, match="indexing its folders again reads its files anew") as told:
            old = ask(library, "rain", k=9)
        assert told[0].filename == __file__  # `recommend` named a line inside pytest
    assert [hit.score for hit in old] == pytest.approx([-hit.score for hit in reversed(right)], abs=1e-6)
    library.search("rain", 9)  # said once
    assert library.add(more, keep=True).added == 0  # rows of two front ends never mix
    assert library.stats()["files"] == 4
    embedded(clap)
    report = library.add(more)
    assert (report.added, report.updated, report.unchanged, report.removed, report.failed) == (1, 4, 0, 0, [])
    assert embedded(clap) == ["0.wav", "1.wav", "2.wav", "3.wav", "4.wav"]
    assert library.search("rain", 9, tags=["kept"]) == right
    assert library.add([sounds, more]).unchanged == 5
    assert asdict(clap.front_end) == library.stats()["front_end"]


def test_a_front_end_that_changes_meanwhile_is_refused(clap: CLAP, place: Path, tmp_path: Path) -> None:
    sounds = fill(tmp_path / "sounds", 2)
    library = Library.open(place, model=clap)
    library.add(sounds / "0.wav")
    library.export(tmp_path / "new.parquet")
    library.close()
    set_front_end(open_store(place), clap, f_max=6000.0)
    store = open_store(place)
    with pytest.raises(LibraryMismatch, match="another front end"):
        indexing.add(store, clap, [sounds], claim=lambda: indexing_claim(store, clap))
    library = Library.open(place, model=clap)
    with pytest.raises(LibraryMismatch, match="another front end"):
        library.import_(tmp_path / "new.parquet")
    assert library.stats()["files"] == 1


def indexing_claim(store: Store, clap: CLAP) -> None:
    from openclap.library.model_identity import claim_store

    claim_store(store, clap)


def test_another_model_with_another_front_end_is_refused(
    clap: CLAP, tokenizer_file: Path, place: Path, tmp_path: Path
) -> None:
    """Opened on an empty library, the second model would have taken it over."""
    other = small_clap(tokenizer_file, name="other", seed=3, dynamic_range=None)
    first, second = Library.open(place, model=clap), Library.open(place, model=other)
    first.add(fill(tmp_path / "sounds", 2))
    more = fill(tmp_path / "more", 5)
    with pytest.raises(LibraryMismatch, match=r"made by first .*, not by other"):
        second.add(more)
    os.utime(more / "4.wav", (1, 1))
    with pytest.raises(LibraryMismatch, match=r"made by first .*, not by other"):
        next(second.watch(more))
    assert first.stats()["model"] == "first"


def test_which_front_ends_are_alike(small: CLAP) -> None:
    now = asdict(small.front_end)
    assert has_same_front_end({"front_end": now}, small)
    assert has_same_front_end({}, small)
    assert has_same_front_end(
        {"front_end": {name: now[name] for name in now if name != "padding"}}, small
    )  # its default
    assert has_same_front_end({"front_end": {**now, "of a later version": None}}, small)
    assert not has_same_front_end({"front_end": {**now, "of a later version": "on"}}, small)
    assert not has_same_front_end({"front_end": {**now, "f_max": 6999.0}}, small)
    assert not has_same_front_end({"front_end": {name: now[name] for name in now if name != "f_max"}}, small)  # 14 kHz
