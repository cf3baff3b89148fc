"""Search by sound and by what files are called: one order of both, in both stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from openclap import CLAP, Library, SearchFilter
from openclap.errors import UsageError
from openclap.library.query import read_question

RATE = 16_000
NAMES = ("Drums/kick_909_dry", "Drums/KickSnare01", "Drums/snare_tight", "Doors/creakyDoor-02", "0001", "0002")


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini", threads=1)


@pytest.fixture(scope="module", params=["library", "library.lance"])
def library(request: pytest.FixtureRequest, clap: CLAP, tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Noises that nothing but their names tells apart."""
    folder = tmp_path_factory.mktemp("sounds")
    for i, name in enumerate(NAMES):
        path = folder / f"{name}.flac"
        path.parent.mkdir(exist_ok=True)
        wave = np.random.default_rng(i).normal(size=2 * RATE) * 0.1
        with sf.SoundFile(path, "w", RATE, 1, format="FLAC") as file:
            file.artist = "Ann Lee" if i % 2 else "Bob"
            file.write(wave)
    library = Library.open(tmp_path_factory.mktemp("place") / request.param, model=clap)
    library.add(folder)
    return library


def names(library: Library, query: str, **options: object) -> list[str]:
    return [Path(hit.path).stem for hit in library.search(query, 6, **options)]  # type: ignore[arg-type]


def test_a_name_brings_a_file_up(library: Library) -> None:
    first, *_ = found = library.search("a kick drum", 6)
    assert {Path(hit.path).stem for hit in found[:2]} == {
        "kick_909_dry",
        "KickSnare01",
    }  # the sound says in which order
    assert first.named == ("kick", "drum")  # as a part of its name, and as its folder
    assert first.relevance is not None
    assert [hit.relevance for hit in found] == sorted((hit.relevance for hit in found), reverse=True)  # type: ignore[type-var]
    assert first.verdict in ("sure", "maybe", "unlikely")
    assert first.to_dict()["named"] == ("kick", "drum")


def test_names_that_mean_nothing_change_nothing(library: Library) -> None:
    assert names(library, "a dog barking") == names(library, "a dog barking", by="sound")
    assert not any(hit.named for hit in library.search("a dog barking", 6))


def test_by_sound_alone_it_is_the_cosine(library: Library) -> None:
    found = library.search("a kick drum", 6, by="sound")
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    assert not {"relevance", "named"} & found[0].to_dict().keys()


def test_by_names_alone_only_what_is_called_so(library: Library) -> None:
    assert names(library, "creaking doors", by="names") == ["creakyDoor-02"]
    assert names(library, "a helicopter", by="names") == []


def test_a_word_in_quotes_must_be_there(library: Library) -> None:
    assert names(library, 'something "creaky door"') == ["creakyDoor-02"]
    assert names(library, '"door creaky" closing') == []


def test_what_a_file_says_of_itself_filters(library: Library) -> None:
    assert set(names(library, 'drum artist:"ann lee"')) == {"KickSnare01", "creakyDoor-02", "0002"}
    assert set(names(library, "drum folder:drums")) == {"kick_909_dry", "KickSnare01", "snare_tight"}
    assert names(library, "drum", filter=SearchFilter(facts=(("artist", "bob"),), words=("snare",))) == ["snare_tight"]


def test_a_name_that_is_not_wanted_goes_down(library: Library) -> None:
    assert set(names(library, "kick")[:2]) == {"kick_909_dry", "KickSnare01"}
    with_minus = names(library, "kick -snare")
    assert with_minus[0] == "kick_909_dry"
    assert with_minus[-1] == "snare_tight"


@pytest.mark.parametrize("by", ["names", "both"])
def test_files_of_a_disk_that_is_away_are_left_out_however_many(clap: CLAP, tmp_path: Path, by: str) -> None:
    """Only the first few that names found were looked at; the others were shown though they are not there."""
    for folder, count in (("away", 12), ("here", 3)):
        (tmp_path / folder).mkdir()
        for i in range(count):
            wave = np.random.default_rng(i).normal(size=RATE) * 0.1
            sf.write(tmp_path / folder / (f"kick_{i}.wav" if folder == "away" else f"{i}.wav"), wave, RATE)
    library = Library.open(tmp_path / "place", model=clap)
    library.add([tmp_path / "away", tmp_path / "here"])
    (tmp_path / "away").rename(tmp_path / "unplugged")
    found = library.search("a kick", 2, by=by)  # type: ignore[arg-type]
    assert all(Path(hit.path).parent.name == "here" for hit in found)
    assert len(found) == (2 if by == "both" else 0)
    assert found.left_out >= 2
    assert len(library.search("a kick", 2, by=by, missing=True)) == 2  # type: ignore[arg-type]


def test_a_query_that_only_filters_is_refused(library: Library) -> None:
    with pytest.raises(UsageError, match="only says which files are wanted; add words for what is heard"):
        library.search("artist:bob")
    with pytest.raises(UsageError, match="by is 'smell'; choose sound, names or both"):
        library.search("a dog", by="smell")  # type: ignore[arg-type]


def test_a_question_is_split() -> None:
    asked = read_question('creaky "old door" bpm:120 -"heavy metal" artist:Ann', ["rain"])
    assert " ".join(str(asked.query).split()) == 'creaky old door -"heavy metal"'
    assert (asked.filter.words, asked.filter.facts) == (("old door",), (("bpm", "120"), ("artist", "Ann")))
    assert asked.unwanted.words == ("heavy", "metal", "rain")
    assert read_question("lo-fi 8:00 beat").query == "lo-fi 8:00 beat"
