"""What `index` keeps of the names and tags of files: read with them, filled in for older libraries, carried along."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import soundfile as sf
from libraries_for_tests import RATE, Counted, noise
from models_for_tests import small_clap

from openclap import CLAP, Library, SearchFilter
from openclap.errors import UsageError
from openclap.library import indexing
from openclap.library.file_words import read_text
from openclap.library.filtering import resolve_filter
from openclap.store import FileText, Store, open_store


@pytest.fixture(scope="module")
def clap(tokenizer_file: Path) -> CLAP:
    return small_clap(tokenizer_file, name="first")


def make(folder: Path, number: int, title: str = "") -> Path:
    """A sound of its own, with a title; a `.wav` of no title has no tags at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{folder.name}_{number}.wav"
    with sf.SoundFile(path, "w", RATE, 1) as file:
        if title:
            file.title = title
        file.write(noise(number))
    return path


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    root = tmp_path / "bob" / "sounds"
    make(root / "Drums" / "KickDry", 1)
    make(root / "Drums" / "snare", 2, "Crack of a whip")
    make(root / "rain", 3, "Heavy drops")
    return root


def matched(store: Store, *words: str, where: SearchFilter | None = None) -> list[str]:
    return sorted(Path(match.path).name for match in store.match_words(words, 9, where=where))


def forget_texts(place: Path) -> None:
    """Make a library one of before: nobody has read the texts of its files."""
    if place.suffix == ".lance":
        import lancedb

        name = next(path.stem for path in place.glob("windows-*"))
        table = lancedb.connect(place).open_table(name)
        table.update(values_sql={"words": "NULL", "facts": "NULL", "named": "NULL"})
    else:
        import sqlite3

        db = sqlite3.connect(place / "library.sqlite")
        db.execute("DELETE FROM words")
        db.commit()
        db.close()


def test_index_reads_names_folders_and_tags(clap: CLAP, place: Path, sounds: Path) -> None:
    Library.open(place, model=clap).add(sounds)
    store = open_store(place)
    assert matched(store, "kick") == ["KickDry_1.wav"]
    assert matched(store, "drum") == ["KickDry_1.wav", "snare_2.wav"]
    assert matched(store, "whip", "drop") == ["rain_3.wav", "snare_2.wav"]
    assert matched(store, "bob") == matched(store, "sound") == []  # folders above what was indexed
    path = str(sounds / "rain" / "rain_3.wav")
    assert store.texts([path]) == {path: FileText("rain 3", "rain", "heavy drop", (("title", "Heavy drops"),))}


def test_a_library_of_before_gets_its_texts_without_embedding_anything(
    clap: CLAP, place: Path, sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed half way, the next run goes on."""
    Library.open(place, model=clap).add(sounds)
    before = open_store(place).texts(map(str, sounds.rglob("*.wav")))
    assert len(before) == 3
    forget_texts(place)
    store = open_store(place)
    assert matched(store, "kick") == []
    counted = Counted(clap)
    library = Library.open(place, model=counted)  # type: ignore[arg-type]
    assert library.add(sounds, keep=True).unchanged == 3
    assert store.texts(before) == {}  # a search reads nothing again
    monkeypatch.setattr(indexing, "TEXTS_AT_ONCE", 1)
    done: list[str] = []

    def killed(path: str, roots: list[str]) -> FileText:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(path)
        return read_text(path, roots)

    with monkeypatch.context() as patch:
        patch.setattr(indexing, "read_text", killed)
        with pytest.raises(KeyboardInterrupt):
            library.add(sounds)
    assert store.texts(before) == {path: before[path] for path in done}
    read_again: list[str] = []

    def noted(path: str, roots: list[str]) -> FileText:
        read_again.append(path)
        return read_text(path, roots)

    monkeypatch.setattr(indexing, "read_text", noted)
    steps: list[tuple[int, int]] = []
    report = library.add(sounds, progress=lambda *step: steps.append(step))
    assert (report.added, report.updated, report.unchanged, report.failed) == (0, 0, 3, [])
    assert read_again == sorted({*before} - {*done})
    assert steps[-1] == (1, 1)
    assert store.texts(before) == before
    assert counted.sounds == []
    assert library.add(sounds).unchanged == 3
    assert len(read_again) == 1
    assert store.check() == []


def test_moves_and_copies_have_words_of_their_own(clap: CLAP, place: Path, sounds: Path) -> None:
    library, store = Library.open(place, model=clap), open_store(place)
    library.add(sounds)
    (sounds / "wet").mkdir()
    shutil.move(sounds / "rain" / "rain_3.wav", sounds / "wet" / "Downpour.wav")
    shutil.copy(sounds / "Drums" / "snare" / "snare_2.wav", sounds / "Drums" / "Clap.wav")
    report = library.add(sounds)
    assert (report.added, report.updated) == (1, 1)
    assert matched(store, "rain") == []
    assert matched(store, "downpour") == matched(store, "drop") == matched(store, "wet") == ["Downpour.wav"]
    assert matched(store, "whip") == ["Clap.wav", "snare_2.wav"]
    assert matched(store, "snar") == ["snare_2.wav"]
    make(sounds / "Drums" / "snare", 2, "Thunder")  # the same sound, with another tag
    assert library.add(sounds).updated == 1
    assert matched(store, "thunder") == ["snare_2.wav"]
    assert matched(store, "whip") == ["Clap.wav"]


def test_export_import_and_another_model_keep_texts(
    clap: CLAP, tokenizer_file: Path, place: Path, sounds: Path, tmp_path: Path
) -> None:
    library = Library.open(place, model=clap)
    library.add(sounds)
    store, paths = open_store(place), [str(path) for path in sounds.rglob("*.wav")]
    texts = store.texts(paths)
    library.export(tmp_path / "all.parquet")
    other = Library.open(tmp_path / f"other{place.suffix}", model=clap)
    other.import_(tmp_path / "all.parquet")
    assert open_store(tmp_path / f"other{place.suffix}").texts(paths) == texts
    Library.reembed(place, small_clap(tokenizer_file, name="second", seed=1))
    assert open_store(place).texts(paths) == texts
    forget_texts(place)
    Library.reembed(place, clap)
    assert open_store(place).without_text(paths) == sorted(paths)  # `index` knows the folders that count
    Library.open(place, model=clap).add(sounds)
    assert open_store(place).texts(paths) == texts


def test_tags_that_cannot_be_read_are_no_fault(clap: CLAP, place: Path, sounds: Path) -> None:
    path = sounds / "rain" / "rain_3.wav"
    path.write_bytes(path.read_bytes() + b"iXML\xff\xff\xff\xff<!DOCTYPE")
    report = Library.open(place, model=clap).add(sounds)
    assert (report.added, report.failed) == (3, [])
    assert open_store(place).texts([str(path)])[str(path)].name == "rain 3"


def test_search_within_words_and_facts(clap: CLAP, place: Path, sounds: Path) -> None:
    library = Library.open(place, model=clap)
    library.add(sounds)

    def found(**fields: tuple[object, ...]) -> list[str]:
        hits = library.search("a dog", 9, filter=SearchFilter(**fields))  # type: ignore[arg-type]
        return sorted(Path(hit.path).name for hit in hits)

    assert found(words=("Drums",)) == ["KickDry_1.wav", "snare_2.wav"]
    assert found(words=("whips", "crack of")) == ["snare_2.wav"]
    assert found(facts=(("title", "heavy drop"),)) == ["rain_3.wav"]
    assert found(facts=(("folder", "drums"),), words=("kick",)) == ["KickDry_1.wav"]
    assert resolve_filter(SearchFilter(words=("…", "Kick")), {}) == SearchFilter(words=("Kick",))
    assert resolve_filter(SearchFilter(words=("…",)), {}) is None
    with pytest.raises(UsageError, match="colour"):
        library.search("a dog", filter=SearchFilter(facts=(("colour", "red"),)))
    with pytest.raises(UsageError, match="Unicode"):
        library.search("a dog", filter=SearchFilter(words=(os.fsdecode(b"\xff"),)))
