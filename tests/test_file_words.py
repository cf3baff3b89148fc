"""The path and tags of a file → its words and facts."""

from __future__ import annotations

from openclap.audio.file_tags import FileTags
from openclap.library.file_words import CATEGORY, MOST_WORDS, _ucs_table, file_text
from openclap.store import FileText


def test_names_folders_and_facts() -> None:
    said = FileTags(artist="Jo", bpm=121.0, key="Dbm", title="Boom", comment="dry")
    assert file_text("/home/bob/Sounds/Drums/Kick Drums/KickDrum_909.wav", said, ["/home/bob/Sounds"]) == FileText(
        "kick drum 909 kickdrum", "drum kick drum", "boom jo dry", (("title", "Boom"), ("artist", "Jo"), ("bpm", "121"), ("key", "Dbm")),
    )  # fmt: skip


def test_folders_above_what_was_indexed_are_nobodys_business() -> None:
    path = "/home/bob/Sounds/a/b/c/d/e/f.wav"
    assert file_text(path, FileTags()).folders == ""
    assert file_text(path, FileTags(), ["/home/alice", "/home/bo"]).folders == ""
    assert file_text(path, FileTags(), ["/home/bob/Sounds/a/b/c/d/e"]).folders == ""
    assert file_text(path, FileTags(), ["/home/bob/Sounds/a/b/c/d/"]).folders == "e"
    assert file_text(path, FileTags(), ["/home/bob/Sounds/a/b/c/d", "/home/bob/Sounds/a/b/c"]).folders == "d e"
    assert file_text(path, FileTags(), ["/home/bob/Sounds"]).folders == "b c d e"
    assert file_text("/Sounds/f.wav", FileTags(), ["/"]).folders == "sound"


def test_the_universal_category_system() -> None:
    made = file_text("/s/AMBForst_Birds Dawn_Jo Doe_LIB_01.wav", FileTags())
    assert made == FileText(
        "bird dawn 01", "", "ambienc forest jo doe lib", (("artist", "Jo Doe"), ("album", "LIB"), ("ucs", "AMBForst"))
    )
    assert file_text("/s/AMBForst-WET_Birds.wav", FileTags()).facts == (("ucs", "AMBForst"),)
    assert file_text("/s/rec.wav", FileTags(catid="WATRWave")).tags == "water wav"
    for name in ("AMBForst.wav", "MYFile_dog.wav", "ABCDog_x.wav", "amb_x.wav", "AMB_x.wav", "Kick_x.wav"):
        assert file_text(f"/s/{name}", FileTags()).facts == (), name


def test_the_table_of_categories() -> None:
    table = _ucs_table()
    for name in table:
        found = CATEGORY.fullmatch(name)
        assert (found and found[1] in table) or name.isupper(), name


def test_tempo_and_key_of_a_name() -> None:
    assert file_text("/s/loop_120bpm_Am.wav", FileTags()).facts == (("bpm", "120"), ("key", "Am"))
    assert file_text("/s/Loop 98 BPM F#min.wav", FileTags()).facts == (("bpm", "98"), ("key", "F#min"))
    assert file_text("/s/I Am 909.wav", FileTags()).facts == ()
    assert file_text("/s/loop_120bpm.wav", FileTags(bpm=60.5)).facts == (("bpm", "60.5"),)


def test_long_texts_are_cut() -> None:
    made = file_text("/s/a.wav", FileTags(comment="word " * 5000, title="t" * 5000))
    assert len(made.tags.split()) == MOST_WORDS
    assert len(dict(made.facts)["title"]) == 200


def test_names_that_are_no_text() -> None:
    assert file_text("/s/na\udcffme.wav", FileTags(), ["/"]).name == "na me"
