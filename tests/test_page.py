"""The Gradio page without a browser: what its tabs answer, its limits, and what visitors leave behind."""

from __future__ import annotations

import asyncio
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
import soundfile as sf

from openclap import CLAP
from openclap.errors import ModelNotHere, TooLong
from openclap.page import describe, find, gradio_app
from openclap.page.classify import classify
from openclap.page.drawing import cosine_bar, escape, time_marks
from openclap.page.find import Found, search
from openclap.page.limits import MIB, VisitorLimits
from openclap.page.match import match as match_texts
from openclap.page.models import SharedModels
from openclap.page.strings import InputError
from openclap.page.uploads import Uploads
from openclap.synth import synthesise

RATE = 16_000
NASTY = "<img src=x onerror=alert(1)> ${alert(2)} {{alert(3)}} \"'`"


def write(file: Path, kind: str = "dog bark", seconds: float = 3.0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    sf.write(file, synthesise(kind, np.random.default_rng(0), rate=RATE, seconds=seconds)[0], RATE)
    return file


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture(scope="module")
def dog(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write(tmp_path_factory.mktemp("sounds") / "dog.wav"))


# -- answers ------------------------------------------------------------------------------------------


def test_match_gives_the_cosines_of_the_model(clap: CLAP, dog: str) -> None:
    found = match_texts(
        clap, dog, ["a cat meowing", "", " a dog barking ", "heavy rain", "a dog barking"], VisitorLimits()
    )
    expected = clap.match(dog, ["a cat meowing", "a dog barking", "heavy rain"])
    assert found == sorted(expected, key=lambda one: -one.score)
    assert found[0].text == "a dog barking"


def test_classify_takes_commas_of_every_width_and_sorts(clap: CLAP, dog: str) -> None:
    found = classify(clap, dog, "rain，dog、 cat; train,, rain\n", VisitorLimits())
    assert found == clap.classify(dog, ["rain", "dog", "cat", "train"])
    assert found[0].label == "dog"
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_describe_says_what_the_model_says_and_when(clap: CLAP, tmp_path: Path) -> None:
    sound = tmp_path / "two.wav"
    dog, siren = (sf.read(write(tmp_path / f"{kind}.wav", kind, 6.0))[0] for kind in ("dog bark", "siren"))
    sf.write(sound, np.concatenate([dog, siren]), RATE)
    labels = "dog bark, siren, piano"
    *steps, last = describe.describe(clap, str(sound), labels, VisitorLimits(), "zh")
    assert isinstance(last, describe.Described)
    assert last.description == clap.describe(sound, ["dog bark", "siren", "piano"], language="zh")
    spans = [span for span in last.spans if span.label]
    assert [span.label for span in spans] == ["dog bark", "siren"]
    assert abs(spans[1].start - 6.0) < 1.5
    shares = [done / total for done, total in steps]  # type: ignore[misc]
    assert shares == sorted(shares)
    assert shares[0] < 0.9 < shares[-1] <= 1.0


def test_windows_in_steps_are_those_of_the_model(clap: CLAP, tmp_path: Path) -> None:
    sound = write(tmp_path / "rain.wav", "rain", 23.0)
    steps = describe.encode_in_steps(clap, sound, 2.0, 0.5, lambda end: (end, 23.0))
    told: list[Any] = []
    try:
        while True:
            told.append(next(steps))
    except StopIteration as end:
        made = end.value
    expected = clap.encode_windows(sound, window=2.0, hop=0.5)
    assert len(told) == -(-len(expected.start) // describe.CLIPS)
    assert np.allclose(made.embedding, expected.embedding, atol=1e-6)
    assert np.array_equal(made.start, expected.start)
    assert np.array_equal(made.end, expected.end)


def found_in(clap: CLAP, place: Path, names: dict[Path, str], words: str, count: int = 10) -> Found:
    last = list(search(clap, place, names, words, count))[-1]
    assert isinstance(last, Found)
    return last


def test_find_ranks_uploads_and_what_a_zip_holds(clap: CLAP, tmp_path: Path) -> None:
    """The one that fits best comes first; what is no sound is named with its cause, and stops nothing."""
    uploads = tmp_path / "uploads"
    rex, broken = write(uploads / "1" / "rex.wav"), uploads / "2" / "broken.wav"
    broken.parent.mkdir()
    broken.write_bytes(b"RIFF, but not really")
    packed = uploads / "3" / "more.zip"
    packed.parent.mkdir()
    with zipfile.ZipFile(packed, "w") as file:
        file.write(write(tmp_path / "rain.wav", "rain"), "wet/rain.wav")
        file.write(write(tmp_path / "bells.wav", "church bells"), "../../../bells.wav")
        file.writestr("__MACOSX/._rain.wav", b"no sound")
        file.writestr("notes.txt", b"no sound")
        file.writestr("empty.wav", b"")
    own = Uploads(tmp_path)
    names, failed = own.take([str(rex), str(broken), str(packed)], VisitorLimits())
    assert sorted(names.values()) == ["bells.wav", "rex.wav", "wet/rain.wav"]
    assert sorted(name for name, _ in failed) == ["broken.wav", "empty.wav"]
    assert all(place.is_relative_to(uploads) for place in names)
    found = found_in(clap, own.index, names, "church bells", 2)
    assert names[Path(found.hits[0].path)] == "bells.wav"
    assert [hit.score for hit in found.hits] == sorted((hit.score for hit in found.hits), reverse=True)
    assert (len(found.hits), found.total) == (2, 3)
    # a search among fewer finds no other, and what is known is not heard again
    names, _ = own.take([str(rex)], VisitorLimits())
    assert [names[Path(hit.path)] for hit in found_in(clap, own.index, names, "church bells").hits] == ["rex.wav"]
    own.remove()
    assert {place.name for place in uploads.iterdir()} == {"1", "2", "3"}
    assert not own.index.exists()


def test_a_zip_that_cannot_be_unpacked_stops_no_other(tmp_path: Path, dog: str) -> None:
    bad, locked = tmp_path / "bad.zip", tmp_path / "locked.zip"
    with zipfile.ZipFile(bad, "w") as file:
        file.writestr("a.wav", bytes(1000))
    content = bytearray(bad.read_bytes())
    content[45] ^= 1  # within the member: its sum is wrong now
    bad.write_bytes(content)
    locked.write_bytes(bytes(content[:6]) + b"\x01" + bytes(content[7:]))
    central = content.index(b"PK\x01\x02")
    locked.write_bytes(bytes(content[: central + 8]) + b"\x01" + bytes(content[central + 9 :]))
    names, failed = Uploads(tmp_path).take([str(bad), str(locked), dog], VisitorLimits())
    assert list(names.values()) == ["dog.wav"]
    assert failed == [("bad.zip", ""), ("locked.zip", "")]


def page_of(language: Any = "en") -> Any:
    from openclap.page.strings import say

    return SimpleNamespace(say=lambda key, **values: say(key, language, **values))


def test_names_stay_text_and_places_are_quoted(clap: CLAP, tmp_path: Path) -> None:
    place = write(tmp_path / "a#b%20<i>.wav")
    found = found_in(clap, tmp_path / "index", {place: NASTY}, "a dog")
    shown = find.draw(page_of(), Found(found.hits, 1, {place: NASTY}, [NASTY], [(NASTY, "is 0 bytes long")]))
    assert not re.search(r"<img|\$\{|\{\{|`", shown)
    assert "a%23b%2520%3Ci%3E.wav#t=0.00" in shown
    assert "it holds no sound at all" in shown
    assert not set("<>{}$`\"'") & set(escape(NASTY))


@pytest.mark.parametrize(
    ("call", "key"),
    [
        (lambda clap, dog: match_texts(clap, None, ["a dog"], VisitorLimits()), "error.no_sound"),
        (lambda clap, dog: match_texts(clap, dog, [" ", ""], VisitorLimits()), "error.no_texts"),
        (lambda clap, dog: match_texts(clap, dog, [*map(str, range(101))], VisitorLimits()), "error.many"),
        (lambda clap, dog: match_texts(clap, dog, ["x" * 501], VisitorLimits()), "error.words"),
        (lambda clap, dog: classify(clap, dog, " ， ,", VisitorLimits()), "error.no_labels"),
        (lambda clap, dog: list(describe.describe(clap, None, "", VisitorLimits(), "en")), "error.no_sound"),
        (lambda clap, dog: list(search(clap, Path("none"), {Path(dog): "dog"}, " ", 3)), "error.no_query"),
        (lambda clap, dog: list(search(clap, Path("none"), {Path(dog): "dog"}, "-rain", 3)), "error.only_not"),
        (lambda clap, dog: list(search(clap, Path("none"), {}, "rain", 3)), "error.no_sounds"),
    ],
)  # fmt: skip
def test_wrong_use_is_told_by_its_own_sentence(clap: CLAP, dog: str, call: Callable[..., Any], key: str) -> None:
    with pytest.raises(InputError) as caught:
        call(clap, dog)
    assert caught.value.key == key


@pytest.mark.parametrize(
    "answer",
    [
        lambda clap, sound, limits: match_texts(clap, sound, ["rain"], limits),
        lambda clap, sound, limits: classify(clap, sound, "rain", limits),
        lambda clap, sound, limits: list(describe.describe(clap, sound, "rain, wind", limits, "en")),
    ],
)
def test_every_tab_has_the_limit_of_length(clap: CLAP, tmp_path: Path, answer: Callable[..., Any]) -> None:
    """It is counted while a sound is decoded, whatever its header says."""
    sound, limits = str(write(tmp_path / "long.flac", "rain", 12.0)), VisitorLimits(seconds=10.0)
    with pytest.raises(TooLong):
        answer(clap, sound, limits)


def test_what_a_visitor_has_brought_goes_with_them(tmp_path: Path) -> None:
    """gradio deletes its state an hour after they have left, and so what was unpacked and indexed."""

    async def make() -> Any:
        return gradio_app.make_page(tmp_path)

    made = [one for one in asyncio.run(make()).blocks.values() if isinstance(one, gr.State)]
    states = [one for one in made if one.time_to_live == find.KEPT_SECONDS]
    assert (len(states), len(made)) == (2, 4)  # in each language, beside the model
    own, other = Uploads(tmp_path), Uploads(tmp_path)
    for uploads in (own, other):
        uploads.index.mkdir(parents=True)
    states[0].delete_callback(own)
    states[0].delete_callback(None)
    assert [uploads.index.exists() for uploads in (own, other)] == [False, True]


def test_uploads_are_limited_in_number_length_and_room(tmp_path: Path, dog: str) -> None:
    packed = tmp_path / "bomb.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(3):
            file.writestr(f"{number}.wav", bytes(MIB))
    for limits, given, key in (
        (VisitorLimits(sounds=2), [str(packed)], "error.many"),
        (VisitorLimits(kept_bytes=2 * MIB), [str(packed)], "error.full"),
        (VisitorLimits(sounds=1), [dog, str(write(tmp_path / "b.wav"))], "error.many"),
    ):
        with pytest.raises(InputError) as caught:
            Uploads(tmp_path).take(given, limits)
        assert caught.value.key == key
    names, failed = Uploads(tmp_path).take([dog], VisitorLimits(seconds=2.0))
    assert (names, failed) == ({}, [("dog.wav", "is longer than is taken here")])


def test_models_are_loaded_once_and_none_but_those_of_the_list(clap: CLAP) -> None:
    asked: list[str] = []

    def load(name: str) -> Any:
        asked.append(name)
        if name == "far":
            raise ModelNotHere(name)
        return clap

    models = SharedModels(("mini", "far"), load)
    assert models.loaded("mini") is None
    assert list(models.load("mini")) in ([], [0.0])
    assert models.get("mini") is models.get("mini") is clap
    with pytest.raises(ModelNotHere) as caught:
        list(models.load("far"))
    assert caught.value.asked == "far"  # type: ignore[attr-defined]
    for wrong in ("/etc/passwd", "../mini", "someone/some-model", ""):
        with pytest.raises(InputError):
            models.get(wrong)
    assert asked == ["mini", "far"]


def test_pictures_by_hand() -> None:
    assert "left:50.0%;width:25.0%" in cosine_bar(0.5)
    assert "left:25.0%;width:25.0%" in cosine_bar(-0.5)
    assert time_marks(60) == [0, 10, 20, 30, 40, 50, 60]
    assert time_marks(0.5) == [0]
