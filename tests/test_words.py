"""Texts, names and questions → words, the same for all of them; what is asked of a file's facts."""

from __future__ import annotations

import random
import re

import pytest

from openclap.errors import UsageError
from openclap.file_facts import ASKED, FACTS, asked_phrases, normalize_key, tokens_of_facts
from openclap.words import fold, split_words, text_words, words_of_query


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("KickDrum_909-dry.01", "kick drum 909 dry 01"),
        ("kick909", "kick 909"),
        ("AMBForst_Birds dawn", "amb forst bird dawn"),
        ("Dogs barking, Café ØRSTED", "dog bark caf orst"),
        ("dog's DON’T", "dog dont"),
        ("ﬁre ｋｉｃｋ Straße", "fir kick strasse"),
        ("下雨声", "下雨 雨声"),
        ("雨", "雨"),
        ("kick下雨snare", "kick 下雨 snar"),
        ("ガラス", "ガラ ラス"),
        ("ｶﾞﾗｽ", "ガラ ラス"),
        ("Ёлка", "елка"),
        ("_ - . + \udcff \0 !", ""),
        ("x" * 100, "x" * 64),
    ],
)
def test_words(text: str, words: str) -> None:
    assert " ".join(split_words(text)) == words


@pytest.mark.parametrize(
    "same",
    [
        "dog dogs", "bark barks barking barked", "close closes closing closed", "drip dripping", "glass glasses", "whistle whistling",
        "horse horses", "cry cries crying cried", "engine engines", "noise noises", "roll rolling", "rise rising", "box boxes", "hiss hissing",
    ],
)  # fmt: skip
def test_forms_of_a_word_are_one(same: str) -> None:
    assert len(set(split_words(same))) == 1


def test_short_words_stay_what_they_are() -> None:
    words = "ring king string spring sing thing wing bus gas bed seed speed bee axe ice 808s is this"
    assert (
        " ".join(split_words(words))
        == "ring king string spring sing thing wing bus gas bed seed speed bee axe ice 808 s is this"
    )


def test_words_stay_when_they_are_made_again() -> None:
    rng = random.Random(0)
    parts = [
        "kick",
        "Drum",
        "ings",
        "ed",
        "es",
        "s",
        "ss",
        "ies",
        "雨",
        "声",
        "ガ",
        "9",
        "0",
        "_",
        "-",
        " ",
        "é",
        "Ø",
        "ing",
        "e",
        "ß",
        "'",
        "K",
    ]
    for _ in range(3000):
        text = "".join(rng.choices(parts, k=rng.randint(1, 8)))
        once = split_words(text)
        assert split_words(" ".join(once)) == once, text
        assert all(re.fullmatch(r"[^\W_]+", word) for word in once), text


def test_further_ways_to_write_a_name() -> None:
    assert text_words(["HiHat"]) == "hi hat hihat"
    assert text_words(["hi-hat", "open"]) == "hi hat open hihat"
    assert text_words(["下雨声 kick"]) == "下雨 雨声 kick 下 雨 声"
    assert text_words(["雨"]) == "雨"
    assert text_words([]) == text_words([""]) == ""


def test_words_of_a_question() -> None:
    asked = words_of_query('the sound of Dogs barking in "heavy Rains", dogs')
    assert asked.words == ("dog", "bark", "heavy", "rain")
    assert asked.phrases == ("heavy rain",)
    assert asked.spelled == {
        "heavy rain": "heavy Rains",
        "dog": "Dogs",
        "bark": "barking",
        "heavy": "heavy",
        "rain": "Rains",
    }
    assert words_of_query("“下雨声”").phrases == ("下雨 雨声",)
    assert words_of_query("下雨的声音").words == ("下雨",)
    assert words_of_query("雨声").words == ("雨",)
    assert words_of_query('the of "" sound').words == ()
    assert words_of_query("hi-hat").words == ("hi", "hat")


def test_fold() -> None:
    assert fold("ÀÉî ŁÓDŹ ﬁ ㎏ が") == "aei lodz fi kg が"


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("Am", "am"), ("A minor", "am"), ("a-moll", "am"), ("8A", "am"), ("8B", "c"), ("1A", "g♯m"), ("12b", "e"), ("Db major", "c♯"),
        ("C#", "c♯"), ("C♯ maj", "c♯"), ("F sharp minor", "f♯m"), ("Bb", "a♯"), ("H", "b"), ("Cb", "b"), ("", None), ("loud", None),
        ("13A", None), ("A B", None),
    ],
)  # fmt: skip
def test_keys(said: str, key: str | None) -> None:
    assert normalize_key(said) == key


def test_what_is_asked_of_facts() -> None:
    assert asked_phrases("artist", "John Williams") == ["artist·john artist·william"]
    assert asked_phrases("folder", "Drum Loops") == ["drum loop"]
    assert asked_phrases("bpm", "127.6") == ["bpm·128"]
    assert asked_phrases("bpm", "119 – 121 BPM") == ["bpm·119", "bpm·120", "bpm·121"]
    assert len(asked_phrases("bpm", "0-999")) == 1000
    facts = (("artist", "John Williams"), ("ucs", "AMBForst"), ("bpm", "127.6"), ("key", "Dbm"), ("key", "?"))
    tokens = tokens_of_facts(facts).split()
    assert tokens == ["artist·john", "artist·william", "ucs·ambforst", "ucs·amb", "bpm·128", "key·c♯m"]
    for name in {*FACTS, "folder"}:
        assert name in ASKED
    for name, value in [("bpm", ""), ("bpm", "9999"), ("bpm", "2-1"), ("key", "x"), ("album", "…"), ("size", "3")]:
        with pytest.raises(UsageError, match=name):
            asked_phrases(name, value)
