"""Words that a text tower was never taught: which they are, and what was probably meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from models_for_tests import small_clap

from openclap import CLAP, Library
from openclap.errors import LanguageWarning
from openclap.spelling import nearest_words
from openclap.synth import synthesise

KNOWN = [
    "dog",
    "ryan",
    "rain",
    "barking",
    "baring",
    "creaky",
    "creek",
    "creepy",
    "glass",
    "gals",
    "keyboard",
    "sheep",
    "thunderstorm",
]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("barkng", "barking"),
        ("creeky", "creaky"),
        ("glas", "glass"),
        ("keybord", "keyboard"),
        ("sheeep", "sheep"),
        ("thunderstrom", "thunderstorm"),
        ("dgo", "dog"),  # nothing was offered
        ("rian", "rain"),  # "ryan" came first
    ],
)
def test_the_word_that_was_meant_comes_first(typed: str, meant: str) -> None:
    assert nearest_words(typed, KNOWN)[0] == meant


@pytest.fixture(scope="module")
def mini() -> CLAP:
    return CLAP.from_pretrained("mini", threads=1)


def test_nothing_is_offered_for_what_is_no_word() -> None:
    assert nearest_words("asdfqwer", KNOWN) == ()


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("a dog, a dog and a dog", []),
        ("rock'n'roll, lo-fi & 8-bit!", []),
        ("asdfqwer", ["asdfqwer"]),
        ("Quarkstrudel in the rain", ["Quarkstrudel"]),
        ("kick 909, KICK 909", ["909"]),
        ("🐕 🔊", ["🐕 🔊"]),
        ("-", ["-"]),
    ],
)
def test_words_without_a_vector_are_named_as_they_were_written(mini: CLAP, text: str, unknown: list[str]) -> None:
    assert [found.word for found in mini.unknown_words(text)] == unknown


def test_known_words_are_offered(mini: CLAP) -> None:
    (word,) = mini.unknown_words(["a creeky door", "the creeky door"])
    assert word.to_dict() == {"word": "creeky", "nearest": ("creaky", "creek")}
    assert str(word) == "creeky (creaky or creek?)"


def test_a_text_of_nothing_but_unknown_words_costs_no_more_than_ten(mini: CLAP) -> None:
    text = " ".join(f"zq{chr(97 + i)}x{'y' * 60}" for i in range(26))
    assert len(mini.unknown_words(text)) == 10
    assert not any(word.nearest for word in mini.unknown_words(text))


@pytest.mark.parametrize("ask", ["match", "classify"])
def test_python_warns_at_the_line_that_asked(mini: CLAP, ask: str) -> None:
    wave = (np.zeros(48_000, np.float32), 48_000)
    with pytest.warns(LanguageWarning, match=r"mini does not know Quarkstrudel") as told:
        getattr(mini, ask)(wave, ["Quarkstrudel", "a dog"])
    assert told[0].filename == __file__


ASK: dict[str, Callable[[CLAP, tuple[np.ndarray, int], str], object]] = {
    "encode_text": lambda clap, wave, text: clap.encode_text(text),
    "in_english": lambda clap, wave, text: clap.in_english(text),
    "unknown_words": lambda clap, wave, text: clap.unknown_words(text),
    "match": lambda clap, wave, text: clap.match(wave, text),
    "classify": lambda clap, wave, text: clap.classify(wave, [text, "rain"]),
    "describe": lambda clap, wave, text: clap.describe(wave, [text, "rain"]),
}


@pytest.mark.parametrize("ask", ASK)
def test_what_was_not_translated_is_told_at_the_line_that_asked(mini: CLAP, ask: str) -> None:
    """It named a line inside openclap, and `match` and `classify` told it twice, at two lines."""
    wave = (np.zeros(48_000, np.float32), 48_000)
    with pytest.warns(LanguageWarning, match="left out, because the lexicon") as told:
        ASK[ask](mini, wave, "囧魑狗叫")
    assert {(one.filename, one.lineno) for one in told} == {(__file__, ASK[ask].__code__.co_firstlineno)}


@pytest.mark.parametrize("ask", ["search", "moments", "recommend"])
def test_a_library_names_the_words(mini: CLAP, ask: str, tmp_path: Path) -> None:
    soundfile.write(
        tmp_path / "a.wav", synthesise("siren", np.random.default_rng(0), rate=48_000, seconds=3.0)[0], 48_000
    )
    library = Library.open(tmp_path / "library", model=mini)
    library.add(tmp_path)
    found = getattr(library, ask)("a sirne -barkng")
    assert [word.word for word in found.unknown] == ["sirne", "barkng"]
    assert not getattr(library, ask)("a siren").unknown


def test_of_words_that_the_model_does_not_know_only_names_say_anything(mini: CLAP, tmp_path: Path) -> None:
    """Their vector means nothing, and yet a hit was "maybe", with a relevance of 0.45."""
    rng = np.random.default_rng(0)
    for name in ("siren", "rain", "dog bark"):
        wave, _ = synthesise(name, rng, rate=48_000, seconds=2.0)
        soundfile.write(tmp_path / f"{'Zxqvv_01' if name == 'rain' else name}.wav", wave, 48_000)
    library = Library.open(tmp_path / "library", model=mini)
    library.add(tmp_path)
    hits = library.search("zxqvv")
    assert [Path(hit.path).name for hit in hits if not hit.unlikely] == ["Zxqvv_01.wav"]
    assert (hits[0].relevance or 0) > 0.5
    assert {hit.relevance for hit in hits[1:]} == {0.0}
    for found in (library.search("the zxqvv", by="sound"), library.search("qvvzx"), library.moments("zxqvv")):
        assert found
        assert found.nothing_likely
        assert {one.confidence for one in found} == {0.0}
    assert not library.search("zxqvv siren").nothing_likely, "one word of two is known"


def test_a_tower_that_reads_pieces_knows_every_word(tokenizer_file: Path) -> None:
    assert small_clap(tokenizer_file).unknown_words("asdfqwer") == []


def test_a_word_of_many_texts_is_looked_up_once(mini: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known words spelt like one were searched anew for every text that held it: minutes for a request of 128 labels."""
    asked: list[str] = []

    def note(_: object, word: str) -> tuple[str, ...]:
        asked.append(word)
        return ()

    monkeypatch.setattr(type(mini._text.tokenizer), "nearest_words", note)
    assert [one.word for one in mini.unknown_words(["zxqvv one", "zxqvv two", "three zxqvv"])] == ["zxqvv"]
    assert asked == ["zxqvv"]
