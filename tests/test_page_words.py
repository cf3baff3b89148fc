"""What the page says: numbers with their words, both languages to the last example, causes in both, and nothing of where the server keeps things."""

from __future__ import annotations

import ast
import re
import string
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from fastapi.testclient import TestClient

import openclap
from openclap import CLAP
from openclap.errors import LanguageWarning, UnreadableSound
from openclap.library.query import parse_query
from openclap.page import classify, holdings, search, teach, watch
from openclap.page.blocks import mount_page
from openclap.page.causes import CAUSES, cause_of
from openclap.page.desk import Desk, title_of
from openclap.page.examples import LONG_TRIED, SINGLE, TRIED, words_for
from openclap.page.filling import Filling, fill, titles_in
from openclap.page.parts import Page
from openclap.page.pictures import tick, ticks, waveform
from openclap.page.settings import PageSettings
from openclap.page.strings import TABLE, Language, Told, say
from openclap.page.wording import Visit, Wording, sentence
from openclap.serve.app import create_app
from openclap.serve.settings import ServeSettings

CHINESE = re.compile(r"[\u4e00-\u9fff]")
LATIN = re.compile(r"[A-Za-z]")
COUNTS = {
    "count",
    "done",
    "total",
    "all",
    "shown",
    "most",
    "minutes",
    "seconds",
    "yes",
    "no",
    "drawn",
    "added",
    "failed",
    "on",
    "least",
}
LANGUAGES: tuple[Language, ...] = ("en", "zh")
ROOMS = ("audio", "library")  # whose causes a visitor may be told


# -- numbers ------------------------------------------------------------------------------------------


def test_one_is_not_many() -> None:
    """It said "1 results"."""
    assert say("search.found", "en", count=1) == "1 result"
    assert say("search.found", "en", count=2) == "2 results"
    assert say("search.found", "zh", count=1) == "1 个结果"
    assert say("error.long", "en", minutes="1", most="60").startswith("The sound lasts 1 minute;")
    for key, (english, _) in TABLE.items():
        places = {name: "1" if name in COUNTS else "x" for _, name, _, _ in string.Formatter().parse(english) if name}
        said = say(key, "en", **places)
        words = re.search(r"\b1 (?:\w+ )?(\w+s)\b(?! yes)", said)
        assert words is None or words[1] in ("is", "was", "yes"), f"{key}: {said}"


def test_millions_are_counted_as_chinese_counts_them() -> None:
    """It said "11.8 M 个参数"."""
    assert say("model.parameters", "zh", millions="11.8") == "1180 万个参数"
    assert say("model.parameters", "zh", millions="153.0") == "1.53 亿个参数"
    assert say("model.parameters", "en", millions="11.8") == "11.8 million parameters"


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.9, 1.0, 1.4, 2.0, 3.0, 9.0, 31.0, 61.0, 599.0, 3601.0, 14_400.0])
def test_times_below_a_picture_are_told_apart(seconds: float) -> None:
    """Below a sound of a second stood "0:00 0:00 0:01"."""
    labels = [tick(at, seconds) for at in ticks(seconds)]
    assert len(set(labels)) == len(labels) >= 3
    assert all("." in label for label in labels) == (seconds < 9)
    drawn = waveform(np.zeros((4, 2), np.float32), seconds, [], alt="")
    assert all(f">{label}<" in drawn for label in labels)


def test_times_by_hand() -> None:
    assert [tick(at, 1.0) for at in (0.0, 0.2, 1.0)] == ["0:00.0", "0:00.2", "0:01.0"]
    assert [tick(at, 0.05) for at in (0.0, 0.01)] == ["0:00.00", "0:00.01"]
    assert [tick(at, 90.0) for at in (0.0, 70.0)] == ["0:00", "1:10"]
    assert tick(3660.0, 7200.0) == "1:01:00"


# -- 中文 ---------------------------------------------------------------------------------------------


def spoken(language: Language) -> dict[str, list[str]]:
    """Whatever is shown to be typed, or is filled in by an example."""
    said = {key: re.split(r"[\n,，]", say(key, language)) for key in TABLE if key.endswith("placeholder")}
    said |= {key: [say(key, language)] for key in (*TRIED, *LONG_TRIED)}
    for key in SINGLE:
        texts, labels = words_for(key, language)
        said[key] = [*texts.splitlines(), *classify.labels_of(labels)]
    said["watch"] = [line for text in watch.ALERTS[language] for line in text.splitlines()]
    said["teach"] = list(teach.WORDS[language])
    return said


def test_what_is_shown_to_be_typed_is_in_the_language_of_the_page() -> None:
    """In 中文 placeholders and examples were English."""
    for key, words in spoken("zh").items():
        assert all(CHINESE.search(word) and not LATIN.search(word) for word in words), f"{key}: {words}"
    for key, words in spoken("en").items():
        assert not any(CHINESE.search(word) for word in words), f"{key}: {words}"
    assert {key: len(words) for key, words in spoken("zh").items()} == {key: len(words) for key, words in spoken("en").items()}  # fmt: skip


def test_the_chinese_examples_are_understood_and_find_what_they_say(clap: CLAP) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", LanguageWarning)
        for words in spoken("zh").values():
            wanted, unwanted = [*map(list, zip(*(parse_query(word) for word in words), strict=True))]
            clap.in_english([part for some in (*wanted, *unwanted) for part in some])
    desk = Desk(PageSettings(), clap)
    for key in SINGLE:
        _, labels = words_for(key, "zh")
        found = clap.classify(desk.examples.single(key), classify.labels_of(labels))
        assert found[0].label == classify.labels_of(labels)[0], f"{key}: {found}"
    page = Page(desk, Wording(), None)
    for key in TRIED:
        both = [search.compute(page, Visit(language, "a"), "examples", say(key, language), None, 3, search.Filters()) for language in LANGUAGES]  # fmt: skip
        assert both[0].players[0].name == both[1].players[0].name, key
    desk.close()


def causes() -> Iterator[tuple[str, str]]:
    """What the rooms below say of a sound that cannot be used: (room and line, words)."""
    root = Path(openclap.__file__).parent
    for room in ROOMS:
        for file in sorted((root / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and re.fullmatch(r"\w+Sound|TooLong|SoundNotFound", node.func.id) and len(node.args) == 2:  # fmt: skip
                    words = "".join(one.value for one in ast.walk(node.args[1]) if isinstance(one, ast.Constant) and isinstance(one.value, str))  # fmt: skip
                    if words:
                        yield f"{room}/{file.name}:{node.lineno}", words


def test_every_cause_is_said_in_both_languages() -> None:
    """It said "it not a sound that libsndfile …", and in 中文 no cause at all."""
    found = list(causes())
    assert len(found) > 12
    unknown = [
        where
        for where, words in found
        if cause_of(words) == "cause.other" and words != "has a path that leads elsewhere"
    ]
    assert not unknown
    assert {key for _, key in CAUSES} | {"cause.other"} == {key for key in TABLE if key.startswith("cause.")}
    error = UnreadableSound(
        "/srv/a.wav", "not a sound that libsndfile or FFmpeg can read (Invalid data); it may be broken"
    )
    assert sentence(error, "en") == "a.wav cannot be used: it is not a sound, or is damaged."
    assert sentence(error, "zh") == "a.wav 无法使用：它不是声音，或已损坏。"
    report = {"done": 1, "total": 1, "seconds": 1.0, "stopped": False, "report": {"added": 0, "unchanged": 0, "updated": 0, "removed": 0, "failed": [{"path": "/srv/a.wav", "error": "is 0 bytes long"}]}}  # fmt: skip
    assert "a.wav</b>：其中没有任何声音" in holdings.draw_filling(report, "zh")
    assert "a.wav</b>: it holds no sound at all" in holdings.draw_filling(report, "en")


# -- where the server keeps things ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture(scope="module")
def served(clap: CLAP, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, TestClient]]:
    """`openclap serve` with a page, all of which lies in a place that nobody should hear of."""
    hidden = tmp_path_factory.mktemp("server") / "hidden-place"
    roots = tuple(hidden / name / "sounds" for name in ("a", "b"))
    for number, root in enumerate(roots):
        (root / "deep").mkdir(parents=True)
        sf.write(root / "deep" / f"{number}.wav", np.random.default_rng(number).uniform(-0.1, 0.1, 8000), 8000)
    model = hidden / "models" / "ours.pt"
    model.parent.mkdir()
    model.write_bytes(b"none")
    settings = PageSettings(model=str(model), models=("mini", str(model)), library=str(hidden / "library"), uploads=hidden / "uploads", roots=roots)  # fmt: skip
    desks: list[Desk] = []
    app = create_app(ServeSettings(), page=lambda app: desks.append(mount_page(app, settings, clap=clap)), clap=clap)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield desks[0], client


def test_no_path_of_the_server_is_shown(served: tuple[Desk, TestClient]) -> None:
    """The folder's hint, its choices, the sentence that refuses another one, results of several disks, and the list of models told where things lie."""
    desk, client = served
    page, visit = Page(desk, Wording(), None), Visit("en", "a")
    shown = [client.get("/config").text, client.get("/").text]
    assert titles_in(desk, None)[:2] == ["sounds", "sounds (2)"]
    assert titles_in(desk, "sounds (2)")[-1] == str(Path("sounds (2)", "deep"))
    for title in ("sounds", "sounds (2)"):
        assert list(fill(desk, title, [], [], "a", Filling()))[-1].report.added == 1  # type: ignore[union-attr]
    for wrong in ("/etc", "../..", "sounds/..", str(desk.settings.uploads), "other"):
        with pytest.raises(Told) as caught:
            list(fill(desk, wrong, [], [], "a", Filling()))
        assert caught.value.key == "error.outside"
        shown += [sentence(caught.value, language) for language in LANGUAGES]
    found = search.compute(page, visit, "own", "rain", None, 5, search.Filters())
    assert {one.name for one in found.players} == {str(Path("sounds", "deep", "0.wav")), str(Path("sounds (2)", "deep", "1.wav"))}  # fmt: skip
    shown += [search.draw(found, "en"), holdings.draw_map(holdings.mapped(page, visit, "own", "pca"), "en")]
    assert Path(desk.models["ours.pt"]).is_file()
    error = desk.load("ours.pt").exception(60)
    assert isinstance(error, Exception)
    shown.append(sentence(error, "en"))
    with pytest.raises(Told) as caught:
        desk.load(str(Path(desk.models["ours.pt"]).with_name("another.pt")))
    shown.append(sentence(caught.value, "en"))
    for text in shown:
        assert "hidden-place" not in text


@pytest.mark.parametrize(
    ("model", "title"), [("mini", "mini"), ("laion/clap-htsat-fused", "laion/clap-htsat-fused"), ("/srv/models/x.pt", "x.pt"), ("~/x", "x"), ("../x/y", "y"), ("a/b/c", "c")]
)  # fmt: skip
def test_models_are_called_by_their_names(model: str, title: str) -> None:
    assert title_of(model) == title


def test_a_lost_download_is_a_sentence_and_not_a_hint_at_the_documentation(served: tuple[Desk, TestClient]) -> None:
    """In `openclap serve` a player or download that was lost said "there is no such route; see /docs"."""
    _, client = served
    for route, key in (("sounds/guessed", "error.gone"), ("originals/guessed", "error.gone"), ("watched/guessed.csv", "error.watch_over")):  # fmt: skip
        for number, language in enumerate(("en", "zh-CN")):
            answer = client.get(f"/{route}", headers={"accept-language": language})
            assert (answer.status_code, answer.text) == (404, TABLE[key][number])
