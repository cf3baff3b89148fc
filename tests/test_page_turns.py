"""The page's one model is shared: what is long asks for it piece by piece, ends with who asked, and holds nobody up. States are counted, not seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from openclap import CLAP
from openclap.audio.decode_limits import DecodingStopped
from openclap.library import Library, moments_in
from openclap.page import classify, describe, ears, holdings, lesson, match, moments, search, watch
from openclap.page.desk import Desk
from openclap.page.ears import CHARACTERS, CLIPS, TEXTS, Pace, Turns
from openclap.page.jobs import Doing, Job
from openclap.page.parts import Page
from openclap.page.settings import PageSettings
from openclap.page.strings import TABLE
from openclap.page.wording import Visit, Wording

EN = Visit("en", "someone")
LONG = 30.0  # seconds, of which every second has a window


class Noted:
    """A model that notes what it is given at once, and tells of every piece before it hears it."""

    def __init__(self, clap: CLAP) -> None:
        self._clap = clap
        self.pieces: list[tuple[str, int]] = []
        self.before: Callable[[str], None] = lambda kind: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clap, name)

    def encode_clips(self, clips: Any) -> Any:
        short = all(getattr(clip, "end", 9.0) - getattr(clip, "start", 0.0) < 3.0 for clip in clips)
        self._note("moments" if short else "clips", len(clips))
        return self._clap.encode_clips(clips)

    def encode_text(self, texts: Any, **options: Any) -> Any:
        self._note("texts", 1 if isinstance(texts, str) else len(texts))
        return self._clap.encode_text(texts, **options)

    def classify(self, sound: Any, labels: Any, **options: Any) -> Any:
        assert isinstance(sound, np.ndarray), "a whole sound is no piece"
        return self._clap.classify(sound, labels, **options)

    def match(self, sound: Any, texts: Any) -> Any:
        assert isinstance(sound, np.ndarray), "a whole sound is no piece"
        self._note("texts", len(texts))
        return self._clap.match(sound, texts)

    def _whole(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("all of a sound at once is no piece")

    encode_audio = encode_windows = encode_each = describe = _whole

    def _note(self, kind: str, size: int) -> None:
        self.pieces.append((kind, size))
        self.before(kind)

    def count(self, kind: str) -> int:
        return sum(one == kind for one, _ in self.pieces)


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini-3")


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(1)
    for name, seconds in (("long", LONG), ("short", 2.0)):
        sf.write(folder / f"{name}.wav", rng.uniform(-0.3, 0.3, round(seconds * 8000)), 8000)
    return folder


@pytest.fixture(scope="module")
def library(sounds: Path, clap: CLAP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("library") / "library"
    made = Library.open(place, model=clap)
    made.add(sounds)
    made.close()
    return place


@pytest.fixture
def model(clap: CLAP) -> Noted:
    return Noted(clap)


@pytest.fixture
def page(model: Noted, library: Path, sounds: Path) -> Iterator[Page]:
    desk = Desk(PageSettings(library=str(library), roots=(sounds,)), model)  # type: ignore[arg-type]
    yield Page(desk, Wording(), None)
    desk.close()


LONG_WORK: dict[str, Callable[[Page, str], Any]] = {
    "moments": lambda page, sound: moments.compute(page, sound, "rain", 3),
    "match": lambda page, sound: match.compute(page, sound, "\n".join(f"text {i}" for i in range(20))),
    "classify": lambda page, sound: classify.compute(page, sound, ",".join(f"label {i}" for i in range(20))),
    "describe": lambda page, sound: describe.compute(page, sound, "", False),
    "timeline": lambda page, sound: describe.compute(page, sound, "rain, wind", True),
    "search": lambda page, sound: search.compute(page, EN, "own", "rain", sound, 3, search.Filters(without="a, b")),
    "watch": lambda page, sound: [*watch.compute(page, EN, "recording", "", sound, "rain\nwind", False, 0.6, 5)][-1],
    "map": lambda page, sound: holdings.mapped(page, EN, "own", "pca"),
    "teach": lambda page, sound: lesson.searched(page, EN, lesson.Lesson(), "own", "rain", 3),
}


@pytest.mark.parametrize("work", LONG_WORK)
def test_the_model_is_given_pieces(work: str, page: Page, model: Noted, sounds: Path) -> None:
    """Moments of an hour, a long sound to classify, match or search by were one call each, which held the model for minutes."""
    LONG_WORK[work](page, str(sounds / "long.wav"))
    assert max((size for kind, size in model.pieces if kind != "texts"), default=0) <= CLIPS
    assert max((size for kind, size in model.pieces if kind == "texts"), default=0) <= TEXTS


def test_the_next_question_about_a_recording_listens_to_nothing(
    page: Page, model: Noted, sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question listened to the whole recording; and what visitors bring is not kept on disk."""
    assert page.desk.heard._arrays._file is None
    sound = str(sounds / "long.wav")
    first = moments.compute(page, sound, "rain", 3), describe.compute(page, sound, "rain, wind", True)
    model.pieces.clear()
    monkeypatch.setattr("openclap.page.moments.peaks_of", lambda sound: pytest.fail("read again"))
    monkeypatch.setattr("openclap.page.describe.level_blocks", lambda sound: pytest.fail("read again"))
    again = moments.compute(page, sound, "rain", 3), describe.compute(page, sound, "rain, wind", True)
    assert {kind for kind, _ in model.pieces} <= {"texts"}
    assert [(p.start, p.end, p.score) for p in again[0].players] == [
        (p.start, p.end, p.score) for p in first[0].players
    ]
    assert again[1].spans == first[1].spans


def test_a_short_question_waits_for_a_piece_of_a_long_one_and_not_for_all(
    page: Page, model: Noted, sounds: Path
) -> None:
    """An hour in Moments held the one model thread for 111 s."""
    asked, desk = threading.Event(), page.desk

    def before(kind: str) -> None:
        if kind == "moments":
            asked.wait(60)

    model.before = before
    ask = desk.ask

    def noted(call: Callable[[], Any]) -> Future[Any]:
        found = ask(call)
        if threading.current_thread().name.startswith("short"):
            asked.set()
        return found

    desk.ask = noted  # type: ignore[method-assign]
    with ThreadPoolExecutor(1, "long") as one, ThreadPoolExecutor(1, "short") as other:
        long = one.submit(moments.compute, page, str(sounds / "long.wav"), "rain", 3)
        while not model.count("moments"):  # it is at the model
            assert not long.done()
            threading.Event().wait(0.001)
        short = other.submit(classify.compute, page, str(sounds / "short.wav"), "rain, wind")
        assert short.result(60).labels
        assert long.result(60).players
    kinds = [kind for kind, _ in model.pieces]
    answered = max(i for i, kind in enumerate(kinds) if kind == "clips")  # the classified sound's
    assert kinds[:answered].count("moments") <= 2, "one that was begun, one that waited before it"
    assert kinds.count("moments") > 4


@pytest.mark.parametrize("how", ["stop", "leave", "close"])
def test_it_ends_with_who_asked(how: str, page: Page, model: Noted, sounds: Path) -> None:
    """It went on to its end, also after its visitor had gone."""
    desk = page.desk
    third, going = threading.Event(), threading.Event()

    def before(kind: str) -> None:
        if model.count("moments") == 3:
            third.set()
            going.wait(60)

    model.before = before
    sound = str(sounds / "long.wav")
    steps = desk.follow("someone", "moments", lambda job: moments.compute(page, sound, "rain", 3, job=job))
    other = desk.follow("another", "moments", lambda job: moments.compute(page, sound, "wind", 3, job=job))
    with ThreadPoolExecutor(2) as threads:
        followed = threads.submit(next, steps)
        followed.result(60) if how == "close" else None  # a generator is closed between two steps
        assert third.wait(60)
        if how == "stop":
            desk.jobs.stop("someone", "describe")  # another's button
            desk.jobs.stop("another", "moments")
            assert all(not job.stop.is_set() for job in desk.jobs._at_work)
            desk.jobs.stop("someone", "moments")
        elif how == "leave":
            desk.forget("someone")
        else:
            steps.close()
        going.set()
        if how != "close":
            stopped = threads.submit(list, steps) if followed.exception(60) is None else followed
            assert isinstance(stopped.exception(60), DecodingStopped)
    desk.do(lambda: None)
    while desk.jobs._at_work or desk._at_work._work_queue.qsize():
        threading.Event().wait(0.001)
    desk.do(lambda: None)
    assert model.count("moments") <= 4
    model.before = lambda kind: None
    assert isinstance([*other][-1], moments.Found)


def test_it_tells_how_far_it_is(page: Page, model: Noted, sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Doing] = []
    real = Job.tell

    def tell(self: Job, *given: Any, **values: Any) -> None:
        real(self, *given, **values)
        assert self.doing is not None
        told.append(self.doing)

    monkeypatch.setattr(Job, "tell", tell)
    moments.compute(page, str(sounds / "long.wav"), "rain", 3)
    shares = [one.share for one in told]
    assert shares == sorted(shares)
    assert shares[0] < 0.3
    assert shares[-1] == 1.0
    assert {one.key for one in told} == {"common.doing", "common.closer"}
    assert all(set(one.values) == {"done", "all"} for one in told)
    assert TABLE["common.doing"][1].format(**told[0].values).startswith("正在听：0:0")


def test_turns_give_what_the_model_gives(clap: CLAP, page: Page, sounds: Path) -> None:
    hears, sound = page.desk.ears(), sounds / "long.wav"
    assert np.allclose(hears.encode_audio(sound, long="windows"), clap.encode_audio(sound, long="windows"), atol=1e-6)
    texts = [f"a sound of {i}" for i in range(3 * TEXTS + 1)]
    assert np.allclose(hears.encode_text(texts), clap.encode_text(texts), atol=1e-6)
    for one, other in zip(moments_in(hears, sound, "rain"), moments_in(clap, sound, "rain"), strict=True):
        assert (one.start, one.end, one.score) == pytest.approx((other.start, other.end, other.score), abs=1e-5)
    labels = hears.classify(sound, texts[:20])
    assert [one.label for one in labels] == [one.label for one in clap.classify(sound, texts[:20])]
    assert [one.text for one in hears.match(sound, texts)] == texts


def test_long_texts_are_pieces_of_their_own(clap: CLAP) -> None:
    sizes: list[int] = []

    def ask(call: Callable[[], Any]) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(call())
        return done

    model = Noted(clap)
    model.before = lambda kind: sizes.append(model.pieces[-1][1])
    Turns(model, ask).encode_text(["a" * (CHARACTERS - 1), "rain", "wind", *["dog"] * TEXTS])  # type: ignore[arg-type]
    assert sizes == [1, TEXTS, 2]


def test_a_slow_model_is_given_smaller_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    class Slow:
        def encode_clips(self, clips: Any) -> Any:
            now[0] += 0.1 * len(clips)
            return np.zeros((len(clips), 4), np.float32)

    monkeypatch.setattr(ears, "time", SimpleNamespace(monotonic=lambda: now[0]))
    pace = Pace()
    assert pace.clips == CLIPS
    pace.timed(Slow(), [object()] * 4)  # type: ignore[arg-type, list-item]
    assert pace.clips == 2, "0.1 s a clip"
    pace.timed(Slow(), [object()])  # type: ignore[arg-type, list-item]
    assert pace.clips == 2


def test_a_model_that_is_loaded_holds_nobody_up(page: Page, sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download of minutes had the one thread that computes."""
    desk, going = page.desk, threading.Event()
    before = desk.clap

    def read(name: str) -> Any:
        assert going.wait(60)
        return before

    monkeypatch.setattr(desk, "_read", read)
    coming = desk.load("mini")
    assert match.compute(page, str(sounds / "short.wav"), "rain")
    assert not coming.done()
    going.set()
    assert coming.result(60).name == "mini"


def test_a_page_that_closes_ends_what_is_at_work(model: Noted, sounds: Path) -> None:
    desk = Desk(PageSettings(), model)  # type: ignore[arg-type]
    page, begun = Page(desk, Wording(), None), threading.Event()
    model.before = lambda kind: begun.set()
    steps = desk.follow(
        "someone", "moments", lambda job: moments.compute(page, str(sounds / "long.wav"), "rain", 3, job=job)
    )
    with ThreadPoolExecutor(1) as threads:
        followed = threads.submit(list, steps)
        assert begun.wait(60)
        desk.close()
        with pytest.raises(DecodingStopped):
            followed.result(60)
    with pytest.raises(DecodingStopped):
        page.desk.ears().encode_text("rain")
