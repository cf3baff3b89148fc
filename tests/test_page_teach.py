"""The tab Teach without a browser: what is marked is what is taught, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openclap.detector import Detector, apply_detectors, detector_path, list_detectors
from openclap.errors import DetectorMismatch
from openclap.example_store import count_examples
from openclap.page import classify, search, taught, watch
from openclap.page.desk import Desk
from openclap.page.lesson import Lesson, keep, marked, named, searched, trained
from openclap.page.parts import Page
from openclap.page.settings import PageSettings
from openclap.page.strings import Told, say
from openclap.page.teach import draw
from openclap.page.wording import Visit, Wording, sentence
from openclap.teach import counter_examples, fit

EN = Visit("en", "someone")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    desk = Desk(PageSettings(model="mini-3", detectors=True))
    yield Page(desk, Wording(), None)
    desk.close()


@pytest.fixture(scope="module")
def lesson(page: Page) -> Lesson:
    """Twelve sounds that were found for a ringing one."""
    return searched(page, EN, Lesson(), "examples", "something ringing", 12)


def _marks(lesson: Lesson, **wrong: str) -> str:
    said = {one.token: "yes" if "bell" in one.name else "no" for one in lesson.found}
    return json.dumps({**said, **wrong})


def _told(call: object) -> str:
    with pytest.raises(Told) as caught:
        call()  # type: ignore[operator]
    return caught.value.key


def test_what_is_marked_is_what_is_taught(page: Page, lesson: Lesson) -> None:
    assert len(lesson.found) == 12
    assert {"doorbell_01.wav", "church_bells_01.ogg"} <= {one.name for one in lesson.found}
    assert "cosine +" in draw(lesson, "en")
    made = trained(page, EN, marked(lesson, _marks(lesson)), 12)
    assert made.detector is not None
    clap = page.desk.clap
    library = page.desk.do(lambda: page.desk.opened("examples", "someone"))
    yes, no = (
        library.vectors([one.hit for one in lesson.found if ("bell" in one.name) == wanted]) for wanted in (True, False)
    )
    drawn = counter_examples(library, yes)
    expected = fit(clap, "something ringing", yes, no, text="something ringing", drawn=drawn)
    assert np.array_equal(made.detector.weight, expected.weight)
    assert made.detector.report == expected.report
    ranked = library.search(expected, 12, per="file")
    library.close()
    assert [(one.hit.path, one.likely) for one in made.found] == [(hit.path, hit.confidence) for hit in ranked]
    assert all("bell" in one.name for one in made.found[:2])
    assert not {one.hit.path for one in made.following} & {one.hit.path for one in lesson.found}
    assert {one.token for one in made.found} & {one.token for one in lesson.found}, "a window keeps its token"
    for language, words in (("en", "Precision"), ("zh", "准确率")):
        drawn_page = draw(made, language)  # type: ignore[arg-type]
        assert words in drawn_page
        assert drawn_page.count('data-mark="yes"') == len(made.found) + len(made.following)
        assert drawn_page.count('aria-pressed="true"') >= 2
        assert str(Path(made.found[0].hit.path).parent) not in drawn_page


def test_few_marks_say_that_they_are_few(page: Page, lesson: Lesson) -> None:
    one = json.dumps({lesson.found[0].token: "yes"})
    made = trained(page, EN, marked(lesson, one), 5)
    assert made.detector is not None
    assert made.detector.examples["no"] == 0
    assert say("teach.too_few", "en") in draw(made, "en")


def test_a_detector_is_downloaded_and_kept_by_its_name(page: Page, lesson: Lesson, tmp_path: Path) -> None:
    made = trained(page, EN, marked(lesson, _marks(lesson)), 5)
    assert made.detector is not None
    detector = named(made, "  my   door ")
    assert detector.name == "my door"
    again = Detector.load(detector.save(tmp_path / "door.safetensors"))
    rows = np.eye(3, again.size, dtype=np.float32)
    assert np.array_equal(again.probability(rows), made.detector.probability(rows))
    assert named(made, None).name == "something ringing"
    assert keep(page, made, "我家的门") == ("我家的门", 0)
    assert count_examples(Detector.load("我家的门").key) == len(made.yes) + len(made.no)
    assert "我家的门" in {one.name for one in list_detectors()[0]}
    for name in ("../door", ".door", "a/b", "x" * 300):
        assert _told(lambda name=name: named(made, name)) == "error.name"
    others = Page(Desk(PageSettings()), Wording(), None)
    assert _told(lambda: keep(others, made, "theirs")) == "error.not_taught"
    assert "theirs" not in {one.name for one in list_detectors()[0]}
    others.desk.close()


def test_what_is_kept_is_searched_and_watched_for(page: Page, lesson: Lesson) -> None:
    made = trained(page, EN, marked(lesson, _marks(lesson)), 5)
    keep(page, made, "church bells")
    assert "church bells" in taught.names(page.desk)
    found = search.compute(page, EN, "examples", "", None, 5, search.Filters(), ["church bells"])
    assert [Path(one.name).name for one in found.players] == [Path(one.name).name for one in made.found]
    minute = str(page.desk.examples.long())
    asked = ("recording", "", minute, "church bells\na dog barking", False, 0.6, 5, ["church bells"])
    *_, (last, _) = watch.compute(page, EN, *asked)
    assert last.names == ("a dog barking", "church bells"), "words that a detector is called by are its own"
    assert isinstance(last.asked.alerts[1], Detector)
    assert {event.alert for event in last.events} == {"a dog barking", "church bells"}
    *_, (last, _) = watch.compute(page, EN, "recording", "", minute, "", False, 0.6, 5, ["church bells"])
    assert [event.alert for event in last.events] == ["church bells"], "a detector alone is enough to listen for"


def test_what_is_kept_is_heard_or_not(page: Page, lesson: Lesson) -> None:
    detector = named(trained(page, EN, marked(lesson, _marks(lesson)), 5), "our bell")
    detector.save()
    bell = next(one.hit.path for one in lesson.found if "church_bells" in one.name)
    found = classify.compute(page, bell, "", ["our bell"])
    assert (found.labels, found.heard) == (
        [],
        apply_detectors(page.desk.clap.encode_windows(bell).embedding, [detector]),
    )
    assert found.heard[0].heard
    drawn = classify.draw(found, "zh")
    assert "our bell" in drawn
    assert say("classify.is_heard", "zh") in drawn
    dog = str(page.desk.examples.single("example.dog"))
    both = classify.compute(page, dog, "dog, rain", ["our bell"])
    assert (both.labels[0].label, [one.heard for one in both.heard]) == ("dog", [False])
    assert say("classify.is_not", "en") in classify.draw(both, "en")
    assert _told(lambda: classify.compute(page, dog, " ", [])) == "error.no_labels"


def test_detectors_are_their_owner_s(page: Page, lesson: Lesson) -> None:
    """A name is no path, and where others see the page there is none: the server's detectors are nobody's."""
    keep(page, trained(page, EN, marked(lesson, _marks(lesson)), 5), "mine")
    place = str(detector_path("mine"))
    others = Page(Desk(PageSettings()), Wording(), None)
    assert taught.names(others.desk) == []
    for where, name in ((page, place), (page, "../mine"), (page, "no such"), (others, "mine")):
        assert _told(lambda where=where, name=name: taught.chosen(where.desk, [name])) == "error.no_detector"
    others.desk.close()


def test_a_detector_of_another_model_is_told(page: Page, lesson: Lesson) -> None:
    made = trained(page, EN, marked(lesson, _marks(lesson)), 5)
    assert made.detector is not None
    replace(made.detector, name="foreign", fingerprint="0" * 16).save()
    with pytest.raises(DetectorMismatch) as caught:
        search.compute(page, EN, "examples", "", None, 5, search.Filters(), ["foreign"])
    assert sentence(caught.value, "zh").startswith(say("error.other_detector", "zh", name="foreign", maker="another mini-3"))  # fmt: skip


def test_what_was_not_shown_cannot_be_marked(page: Page, lesson: Lesson) -> None:
    given = marked(
        lesson, json.dumps({"guessed": "yes", lesson.found[0].token: "perhaps", lesson.found[1].token: "no"})
    )
    assert (given.yes, given.no) == ((), (lesson.found[1].token,))
    assert _told(lambda: trained(page, EN, given, 5)) == "error.no_marks"
    assert _told(lambda: marked(lesson, "[1]")) == "error.input"
    assert _told(lambda: marked(lesson, "{")) == "error.input"
    assert _told(lambda: marked(lesson, "[" * 100_000)) == "error.input"  # was a RecursionError
    assert _told(lambda: searched(page, EN, lesson, "examples", " ", 5)) == "error.no_query"
    assert _told(lambda: searched(page, EN, lesson, "examples", "-rain", 5)) == "error.only_not"
    assert _told(lambda: searched(page, EN, lesson, "own", "rain", 5)) == "error.empty_library"
    other = replace(marked(lesson, _marks(lesson)), maker="another")
    assert _told(lambda: trained(page, EN, other, 5)) == "error.other_lesson"


def test_another_search_goes_on_with_what_is_marked(page: Page, lesson: Lesson) -> None:
    given = marked(lesson, _marks(lesson))
    again = searched(page, EN, given, "examples", "铃声", 12)
    assert (again.yes, again.no) == (given.yes, given.no)
    tokens = {one.hit.path: one.token for one in again.found}
    same = [one for one in lesson.found if one.hit.path in tokens]
    assert same
    assert all(tokens[one.hit.path] == one.token for one in same)
    moved = searched(page, EN, replace(given, where="own"), "examples", "rain", 3)
    assert moved.yes == moved.no == ()


def test_a_lesson_is_bounded_and_keeps_what_is_marked(
    page: Page, lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclap.page.lesson.KNOWN", 14)
    given = marked(lesson, json.dumps({lesson.found[0].token: "yes"}))
    for words in ("rain", "a dog", "a train", "wind"):
        given = searched(page, EN, given, "examples", words, 8)
        assert len(given.known) <= 14 + 8
        assert given.yes[0] in given.known
    assert all(one.token in given.known for one in given.found)
