"""The page without a browser: its table of strings, what its handlers give, its errors, and what its server gives away."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import string
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from fastapi import FastAPI
from fastapi.testclient import TestClient

from openclap import CLAP
from openclap.clock import clock
from openclap.describe.formats import FORMATS
from openclap.errors import (
    EmptySound,
    LibraryError,
    LibraryMismatch,
    ModelNotHere,
    OpenClapError,
    SoundNotFound,
    UnknownModel,
    UnreadableSound,
)
from openclap.library import Library
from openclap.page import classify, holdings, match, model, moments, search
from openclap.page.blocks import SESSIONS, TABS, _place_asked_for, make_page, mount_page
from openclap.page.desk import Desk
from openclap.page.examples import LONG_WORDS, QUERIES, SINGLE
from openclap.page.filling import Filling, fill, folders_in
from openclap.page.map import places_of
from openclap.page.parts import Page
from openclap.page.pictures import cosine_bar, spectrogram, text, ticks, waveform
from openclap.page.settings import PageSettings
from openclap.page.shelf import Shelf
from openclap.page.strings import LANGUAGES, TABLE, Told, say
from openclap.page.wording import Visit, Wording, sentence
from openclap.store import File, Recording, open_store

HERE = Path(model.__file__).parent
EN, ZH = Visit("en", "someone"), Visit("zh", "someone")
SAME_IN_BOTH = {"head.title", "moments.csv", "library.pca", "library.umap", "describe.md", "describe.csv", "describe.json"}  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    root = tmp_path_factory.mktemp("sounds")
    desk = Desk(PageSettings(model="mini-3", roots=(root,), library=str(tmp_path_factory.mktemp("library")), uploads=tmp_path_factory.mktemp("up")))  # fmt: skip
    yield Page(desk, Wording(), None)
    desk.close()


@pytest.fixture(scope="module")
def dog(page: Page) -> str:
    return str(page.desk.examples.single("example.dog"))


# -- words --------------------------------------------------------------------------------------------


def test_every_string_is_there_in_both_languages() -> None:
    for key, (english, chinese) in TABLE.items():
        assert english.strip(), key
        assert chinese.strip(), key
        places = [
            sorted(name for _, name, _, _ in string.Formatter().parse(said) if name) for said in (english, chinese)
        ]
        assert places[0] == places[1], f"{key}: {places}"
        if key not in SAME_IN_BOTH:
            assert re.search(r"[\u4e00-\u9fff]", chinese), f"{key} is not in Chinese: {chinese}"
            assert not re.search(r"[\u4e00-\u9fff]", english), key


def test_every_string_is_used_and_every_key_is_in_the_table() -> None:
    written = "\n".join(path.read_text(encoding="utf-8") for path in HERE.glob("*.py") if path.name != "strings.py")
    literals = {node.value for node in ast.walk(ast.parse(written.replace("from __future__ import annotations", ""))) if isinstance(node, ast.Constant) and isinstance(node.value, str)}  # fmt: skip
    groups = {key.partition(".")[0] for key in TABLE}
    keys = {
        one
        for one in literals
        if re.fullmatch(r"[a-z]+\.[a-z_]+", one) and one.partition(".")[0] in groups and one != "head.js"
    }
    assert keys <= set(TABLE), f"not in the table: {sorted(keys - set(TABLE))}"
    made = (
        {f"{name}.tab" for _, name in TABS}
        | {"moments.csv", "moments.audacity"}
        | {f"describe{kind}" for kind in FORMATS}
        | {key for key in TABLE if key.startswith(("gradio.", "hint."))}
    )
    assert set(TABLE) - keys - made == set(), "nobody says these"


def _spoken(config: dict[str, Any]) -> list[tuple[str, str]]:
    """What the components of a page say: (kind, words)."""
    said: list[tuple[str, str]] = []
    for component in config["components"]:
        props = component["props"]
        for name in ("label", "placeholder", "info", "value"):
            what = props.get(name)
            shown = name != "value" or component["type"] in ("button", "html", "downloadbutton", "markdown")
            if isinstance(what, str) and what and shown and props.get("show_label", True) is not None:
                said.append((component["type"], what))
        said += [(component["type"], str(choice[0])) for choice in props.get("choices") or []]
        said += [(component["type"], str(label)) for label in props.get("sample_labels") or []]
    return said


def test_the_page_says_nothing_that_is_not_in_the_table() -> None:
    desk = Desk(PageSettings())
    config = make_page(desk).get_config_file()
    desk.close()
    patterns = [re.sub(r"\\\{\w+\\\}", ".+", re.escape(english)) for english, _ in TABLE.values()]
    known = {name for name, _ in LANGUAGES} | {*QUERIES, *LONG_WORDS}
    for kind, words in _spoken(config):
        if kind == "html":
            parts = [part.strip() for part in re.split(r"</?(?:p|h\d|div|dl|dt|dd)\b[^>]*>", words) if part.strip()]
        else:
            parts = [words]
        for part in parts:
            if not (part in known or any(re.fullmatch(pattern, part) for pattern in patterns)):
                assert kind == "state", f"a {kind} says {part!r}, which is not in the table of strings"


def test_the_other_language_changes_everything() -> None:
    desk = Desk(PageSettings())
    words = Wording()
    make_page(desk, words)
    desk.close()
    english = words.switch("en", "en", *[None] * (len(words.states) - 1))
    chinese = words.switch("zh", "zh", *[None] * (len(words.states) - 1))
    same = {say(key, "en") for key in SAME_IN_BOTH}
    for one, other in zip(english, chinese, strict=True):
        if not isinstance(one, dict):
            continue
        for name in one.keys() - {"__type__"}:
            a, b = one[name], other[name]
            if a != b:
                continue
            left = a if isinstance(a, list) else [a]
            assert all((x[0] if isinstance(x, tuple) else x) in same for x in left), f"{name}: {a!r} stays"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_errors_are_one_sentence_without_a_path(language: Any) -> None:
    errors: list[OpenClapError] = [
        UnreadableSound("/srv/secret/a.wav", "is not audio"), EmptySound("/srv/secret/b.wav", "holds no samples"), UnknownModel("/srv/secret/model is none"),
        ModelNotHere("x"), LibraryError("/srv/secret/library is broken"), Told("error.no_labels"), Told("error.many", count=200, most=100),
    ]  # fmt: skip
    for error in errors:
        said = sentence(error, language)
        assert said, error
        assert "secret" not in said, said
        assert "\n" not in said
        assert bool(re.search(r"[\u4e00-\u9fff]", said)) == (language == "zh"), said
    assert "secret" not in sentence(RuntimeError("/srv/secret"), language)


# -- handlers -----------------------------------------------------------------------------------------


def test_match_gives_the_cosines_of_the_model(page: Page, dog: str) -> None:
    texts = "a cat meowing\n\n a dog barking \nheavy rain\na dog barking"
    found = match.compute(page, dog, texts)
    expected = page.desk.clap.match(dog, ["a cat meowing", "a dog barking", "heavy rain"])
    assert found == sorted(expected, key=lambda one: -one.score)
    assert found[0].text == "a dog barking"
    drawn = match.draw(found, "zh")
    assert f"{found[0].score:+.3f}" in drawn
    assert "余弦" in drawn


def test_classify_takes_commas_of_every_width_and_sorts(page: Page, dog: str) -> None:
    assert classify.labels_of("rain，dog、 cat; rain,, train\n") == ["rain", "dog", "cat", "train"]
    found = classify.compute(page, dog, "rain，dog、cat, train")
    scores = [label.score for label in found.labels]
    assert found.labels[0].label == "dog"
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)
    assert found.labels == page.desk.clap.classify(dog, ["rain", "dog", "cat", "train"])
    assert found.mel.shape[1] == page.desk.clap.front_end.mel_bins
    drawn = classify.draw(found, "zh")
    assert "data:image/png;base64," in drawn
    assert [drawn.index(f">{label.label}<") for label in found.labels] == sorted(drawn.index(f">{label.label}<") for label in found.labels)  # fmt: skip


@pytest.mark.parametrize(
    ("call", "key"),
    [
        (lambda page, dog: match.compute(page, None, "a dog"), "error.no_sound"),
        (lambda page, dog: match.compute(page, dog, " \n"), "error.no_texts"),
        (lambda page, dog: match.compute(page, dog, "\n".join(map(str, range(101)))), "error.many"),
        (lambda page, dog: classify.compute(page, dog, " ， ,"), "error.no_labels"),
        (lambda page, dog: search.compute(page, EN, "examples", None, None, 3, search.Filters()), "error.no_query"),
        (lambda page, dog: search.compute(page, EN, "examples", "-rain", None, 3, search.Filters()), "error.only_not"),
        (lambda page, dog: search.like(page, EN, "examples", "guessed", 3, search.Filters()), "error.gone"),
        (lambda page, dog: moments.compute(page, dog, "", 3), "error.no_query"),
        (lambda page, dog: page.desk.refuse("/etc/passwd"), "error.model_refused"),
        (lambda page, dog: page.desk.refuse("../model"), "error.model_refused"),
        (lambda page, dog: page.desk.refuse("~/model.pt"), "error.model_refused"),
        (lambda page, dog: page.desk.refuse(""), "error.no_model"),
    ],
)  # fmt: skip
def test_wrong_use_is_told_by_its_own_sentence(page: Page, dog: str, call: Any, key: str) -> None:
    with pytest.raises(Told) as caught:
        call(page, dog)
    assert caught.value.key == key


def test_nothing_is_found_where_nothing_is_held(page: Page) -> None:
    desk = Desk(PageSettings(), page.desk.clap)
    with pytest.raises(Told) as caught:
        search.compute(Page(desk, Wording(), None), EN, "own", "rain", None, 3, search.Filters())
    assert caught.value.key == "error.empty_library"
    desk.close()


def test_search_finds_and_filters_and_goes_on_from_what_it_found(page: Page) -> None:
    found = search.compute(page, EN, "examples", "church bells", None, 5, search.Filters())
    assert len(found.players) == 5
    assert found.players[0].name == "church_bells_01.ogg"
    assert [one.score for one in found.players] == sorted((one.score or 0.0 for one in found.players), reverse=True)
    like = search.like(page, EN, "examples", found.players[0].token, 3, search.Filters())
    assert like.players[0].name == found.players[0].name
    assert like.players[0].score == pytest.approx(1, abs=1e-3)
    few = search.compute(page, EN, "examples", "a sound", None, 9, search.Filters(pattern="*.flac", longest=4.0))
    assert few.players
    assert all(one.name.endswith(".flac") and one.end <= 4.0 for one in few.players)
    by_name = search.compute(page, EN, "examples", "a sound", None, 9, search.Filters(pattern="dog"))
    assert [one.name for one in by_name.players] == ["dog_bark_01.ogg"]
    assert page.desk.shelf.wav(found.players[0].token).stat().st_size > 44
    for visit in (EN, ZH):
        assert found.players[0].token in search.draw(found, visit.language)


def test_moments_are_where_they_were_put(page: Page) -> None:
    found = moments.compute(page, str(page.desk.examples.long()), "a siren", 1)
    assert found.seconds == pytest.approx(60, abs=0.1)
    best = found.players[0]
    assert 20 <= best.start <= 24
    assert 25 <= best.end <= 29
    assert Path(found.csv).read_text(encoding="utf-8").splitlines()[1].startswith("a_minute_outdoors.wav,")
    start, end, _ = Path(found.labels).read_text(encoding="utf-8").splitlines()[0].split("\t")
    assert (float(start), float(end)) == pytest.approx((best.start, best.end), abs=1e-3)
    assert 'data-play="0"' in moments.draw(found, "zh")


def test_peaks_are_the_least_and_greatest_samples(tmp_path: Path) -> None:
    wave = np.zeros(16_000, np.float32)
    wave[4000], wave[12_000] = 0.5, -0.25
    sf.write(tmp_path / "a.wav", wave, 8000)
    seconds, peaks = moments.peaks_of(tmp_path / "a.wav")
    assert seconds == 2.0
    assert peaks.shape == (100, 2)
    assert (peaks[25, 1], peaks[75, 0]) == pytest.approx((0.5, -0.25), abs=1e-4)
    assert np.count_nonzero(np.abs(peaks) > 1e-3) == 2


def _filled(
    desk: Desk, folder: str | None, files: list[str], tags: list[str], visitor: str, run: Filling | None = None
) -> Filling:
    return list(fill(desk, folder, files, tags, visitor, run or Filling()))[-1]


def test_filling_a_library_reports_what_failed_and_searches_find_it(page: Page, dog: str, tmp_path: Path) -> None:
    desk = page.desk
    root = Path(desk.settings.roots[0]) / "animals"
    root.mkdir()
    wave, rate = sf.read(dog)
    sf.write(root / "rex.wav", wave, rate)
    (root / "broken.wav").write_bytes(b"no sound at all")
    over = _filled(desk, str(root), [], ["mine"], "someone")
    assert over.report is not None
    assert over.report.added == 1
    assert [Path(one.path).name for one in over.report.failed] == ["broken.wav"]
    shown = holdings.draw_filling(holdings._result(over), "zh")
    assert "broken.wav" in shown
    assert str(root) not in shown
    uploaded = tmp_path / "rain.wav"
    uploaded.write_bytes(Path(desk.examples.single("example.rain")).read_bytes())
    assert _filled(desk, None, [str(uploaded)], [], "someone").report.added == 1  # type: ignore[union-attr]
    uploaded.unlink()  # as gradio does after a while
    found = search.compute(page, EN, "own", "a dog barking", None, 5, search.Filters())
    assert [one.name.split("/")[-1] for one in found.players] == ["rex.wav", "rain.wav"]
    tagged = search.compute(page, EN, "own", "a dog barking", None, 5, search.Filters(tags="mine"))
    assert len(tagged.players) == 1
    held = holdings.held_in(page, EN, "own")
    assert (held.files, held.windows) == (2, 2)
    plan = holdings.mapped(page, EN, "own", "pca")
    assert sorted(plan.names) == ["rain.wav", "rex.wav"]
    assert holdings.draw_map(plan, "zh").count("<circle") == 2


def test_a_folder_outside_the_roots_is_refused_and_so_is_a_link_to_one(page: Page, tmp_path: Path, dog: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.wav").write_bytes(Path(dog).read_bytes())
    root = Path(page.desk.settings.roots[0])
    (root / "way_out").symlink_to(outside)
    (root / "with_link").mkdir()
    (root / "with_link" / "a.wav").symlink_to(outside / "a.wav")
    for folder, key in ((outside, "outside"), (root / "way_out", "outside"), (root / ".." / "outside", "outside"), (Path("/etc"), "outside"), (root / "with_link", "outside_links")):  # fmt: skip
        with pytest.raises(Told) as caught:
            _filled(page.desk, str(folder), [], [], "someone")
        assert caught.value.key == f"error.{key}"
    assert str(root / "way_out") not in folders_in(page.desk, str(root))
    assert folders_in(page.desk, "/etc") == [str(root)]
    (root / "way_out").unlink()
    (root / "with_link" / "a.wav").unlink()


def test_stopping_keeps_what_is_finished_and_nobody_indexes_beside(page: Page, tmp_path: Path, dog: str) -> None:
    run = Filling()
    run.stop.set()
    root = Path(page.desk.settings.roots[0]) / "more"
    root.mkdir()
    (root / "b.wav").write_bytes(Path(dog).read_bytes())
    assert _filled(page.desk, str(root), [], [], "someone", run=run).stopped
    with page.desk.indexing, pytest.raises(Told) as caught:
        _filled(page.desk, str(root), [], [], "someone")
    assert caught.value.key == "error.busy"


def test_a_server_that_ends_does_not_wait_for_what_is_indexed(page: Page, tmp_path: Path, dog: str) -> None:
    """With a model that is there: one that is still loading is not waited for either, and told of by another sentence."""
    desk = Desk(PageSettings(library=str(tmp_path / "library"), roots=(Path(dog).parent,)), page.desk.clap)
    steps = fill(desk, str(Path(dog).parent), [], [], "someone", Filling())
    desk.closing.set()
    assert [*steps][-1].stopped
    desk.close()
    assert Library.open(tmp_path / "library").verify().whole


def test_a_server_that_ends_does_not_wait_for_the_model_of_what_is_indexed(
    tmp_path: Path, dog: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = threading.Event()
    monkeypatch.setattr(CLAP, "from_pretrained", lambda *_, **__: never.wait())
    desk = Desk(PageSettings(library=str(tmp_path / "library"), roots=(Path(dog).parent,)))
    desk.closing.set()
    with pytest.raises(Told) as caught:
        _filled(desk, str(Path(dog).parent), [], [], "someone")
    assert caught.value.key == "error.closing"
    never.set()
    desk.close()


def test_uploads_stop_where_the_room_ends(tmp_path: Path, dog: str) -> None:
    desk = Desk(PageSettings(library=str(tmp_path / "library"), uploads=tmp_path / "kept", kept_bytes=1000))
    with pytest.raises(Told, match="no room"):
        _filled(desk, None, [dog], [], "someone")
    assert list((tmp_path / "kept").iterdir()) == []
    desk.close()


def test_visitors_have_libraries_of_their_own_that_go_with_them(dog: str) -> None:
    desk = Desk(PageSettings())
    pages = Page(desk, Wording(), None)
    assert _filled(desk, None, [dog], [], "one").report.added == 1  # type: ignore[union-attr]
    assert holdings.held_in(pages, Visit("en", "one"), "own").files == 1
    assert holdings.held_in(pages, Visit("en", "two"), "own").files == 0
    place = desk.visitors("one")
    desk.forget("one")
    assert not place.exists()
    folder = desk.folder
    desk.close()
    assert not folder.exists()


def test_a_library_of_another_model_is_told_by_name(page: Page, tmp_path: Path, dog: str) -> None:
    store = open_store(tmp_path / "library")
    store.claim({"model": "another", "fingerprint": "0" * 16, "embedding": page.desk.clap.config.embedding})
    store.put([Recording(File(dog, 1, 1, "a", 6.0), np.zeros(1), np.full(1, 6.0), np.eye(1, page.desk.clap.config.embedding, dtype=np.float32))])  # fmt: skip
    store.close()
    desk = Desk(PageSettings(library=str(tmp_path / "library")), page.desk.clap)
    held = holdings.held_in(Page(desk, Wording(), None), EN, "own")
    assert isinstance(held.trouble, LibraryMismatch)
    assert "another" in holdings.draw_held(held, "zh")
    desk.close()


def test_loading_tells_how_far_it_is_and_what_is_at_work(page: Page) -> None:
    desk = Desk(PageSettings())
    pages = Page(desk, Wording(), None)
    assert "No model loaded" in model.draw(pages, desk.loaded, "en")
    last = list(model.load(pages, "zh", "mini"))[-1]
    assert "模型已就绪" in last
    assert "1500 万个参数" in last
    with pytest.raises(ModelNotHere):  # offline, and nothing was fetched before it was asked for
        list(model.load(pages, "en", "somebody/some-model"))
    assert desk.loaded is not None
    assert desk.loaded.name == "mini"
    listed = Desk(PageSettings(models=("mini",)))
    with pytest.raises(Told):
        listed.load("somebody/some-model")
    desk.close()
    listed.close()


# -- pictures -----------------------------------------------------------------------------------------


def test_a_map_spreads_along_the_directions_of_most_difference() -> None:
    rows = np.zeros((4, 5), np.float32)
    rows[:, 2] = [-3, 3, 0, 0]
    rows[:, 4] = [0, 0, -1, 1]
    places = places_of(rows)
    assert np.allclose(places, [[-3, 0], [3, 0], [0, -1], [0, 1]], atol=1e-5)
    assert np.array_equal(places, places_of(rows))
    assert places_of(rows[:1]).shape == (1, 2)


def test_what_users_write_stays_text() -> None:
    nasty = "<img src=x onerror=alert(1)> ${alert(2)} {{alert(3)}} \"'`"
    shown = text(nasty)
    assert not set("<>{}$`\"'") & set(shown)
    spans = [(0.0, 1.0, nasty)]
    assert "<img" not in waveform(np.zeros((4, 2), np.float32), 2.0, spans, alt=nasty)


@pytest.mark.parametrize(
    ("asked", "selected", "shown"),
    [
        ({"place": "live", "lang": "zh"}, "watch", {"watch"}),
        ({"place": "teach"}, "teach", {"teach"}),
        ({"place": "recording"}, "match", {"model", "match", "classify", "describe", "moments"}),
        ({"place": "recording", "tool": "moments"}, "moments", {"model", "match", "classify", "describe", "moments"}),
        ({"place": "recording", "tool": "teach"}, "match", {"model", "match", "classify", "describe", "moments"}),
        ({"place": "none"}, None, None),
        ({}, None, None),
    ],
)
def test_a_place_shows_its_tabs_alone(asked: dict[str, str], selected: str | None, shown: set[str] | None) -> None:
    """The front end shows a part of this page in a frame."""
    first, *tabs = _place_asked_for(SimpleNamespace(query_params=asked))
    assert first.get("selected") == selected
    if shown is not None:
        assert {name for (_, name), tab in zip(TABS, tabs, strict=True) if tab["visible"]} == shown


def test_pictures_by_hand() -> None:
    assert "left:50.0%;width:25.0%" in cosine_bar(0.5)
    assert "left:25.0%;width:25.0%" in cosine_bar(-0.5)
    assert clock(62.54) == "1:02.5"
    assert clock(3723.0) == "1:02:03.0"
    assert ticks(60) == [0, 10, 20, 30, 40, 50, 60]
    drawn = waveform(np.zeros((10, 2), np.float32), 10.0, [(2.0, 4.0, "a")], alt="b")
    assert 'x="200.0" y="0" width="200.0"' in drawn
    assert "<svg" in spectrogram(np.zeros((3, 4), np.float32), 1.0, [(1000.0, 2.0)], time="s", frequency="k", alt="a")


# -- the server ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    app = FastAPI()
    app.state.desk = mount_page(app, PageSettings(upload_bytes=100_000))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
    assert not app.state.desk.folder.exists()


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd", "gradio_api/file=../../../../etc/passwd", "gradio_api/file=%2Fetc%2Fpasswd", "gradio_api/file/etc/passwd",
        f"gradio_api/file={os.path.abspath(__file__)}", "gradio_api/file=pyproject.toml", "gradio_api/file=http://127.0.0.1/", "file=/etc/passwd",
        "gradio_api/file=C:/Windows/win.ini", "static/../../../../etc/passwd", "sounds/..%2F..%2Fetc%2Fpasswd", "sounds/guessed", "originals/guessed",
        "originals/%2Fetc%2Fpasswd", "gradio_api/proxy=http://127.0.0.1/", "gradio_api/file=file:///etc/passwd",
    ],
)  # fmt: skip
def test_no_file_is_given_away(client: TestClient, path: str) -> None:
    answer = client.get(f"/{path}")
    assert 400 <= answer.status_code < 500, answer.text
    assert "root:" not in answer.text
    assert "Traceback" not in answer.text


def test_a_sound_that_has_gone_is_said_to_have_gone() -> None:
    """It was said that "it no such file"."""
    assert sentence(SoundNotFound("dog.wav", "no such file; check the path"), "en") == TABLE["error.gone"][0]


def test_visitors_are_remembered_up_to_a_bound(client: TestClient) -> None:
    """gradio keeps 0.3 MB of everyone who ever came, for 10,000 of them: 3 GB, and it does not ask whether they are there."""
    app: Any = client.app
    gradio_app = next(route.app for route in app.routes if hasattr(getattr(route, "app", None), "state_holder"))
    holder = gradio_app.state_holder
    for number in range(SESSIONS + 20):
        assert holder[f"visitor{number}"] is not None
    assert len(holder.session_data) <= SESSIONS
    assert "visitor0" not in holder


def test_what_was_shown_can_be_heard_and_downloaded(client: TestClient, dog: str) -> None:
    shelf: Shelf = client.app.state.desk.shelf  # type: ignore[attr-defined]
    token = shelf.show(dog, 1.0, 2.0)
    answer = client.get(f"/sounds/{token}")
    assert answer.headers["content-type"] == "audio/wav"
    assert len(answer.content) == 44 + 2 * 44_100
    part = client.get(f"/sounds/{token}", headers={"range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")
    whole = client.get(f"/originals/{token}")
    assert whole.content == Path(dog).read_bytes()
    assert "attachment" in whole.headers["content-disposition"]
    gone = shelf.show("/not/there.wav")
    assert client.get(f"/sounds/{gone}").status_code == client.get(f"/originals/{gone}").status_code == 404


def test_uploads_are_limited_and_nothing_is_told_to_others(client: TestClient) -> None:
    small, large = (
        client.post("/gradio_api/upload", files={"files": ("a.wav", bytes(size))}) for size in (1000, 200_000)
    )
    assert small.status_code == 200
    assert large.status_code == 413
    assert client.post("/gradio_api/run/predict", json={"data": [], "fn_index": 0}).status_code in (401, 403, 404, 422)
    config = client.get("/config").json()
    assert config["analytics_enabled"] is False
    assert config.get("is_space") in (False, None)
    front = client.get("/").text
    assert not re.search(r'(?:src|href)="https?://', front)
    assert "fonts.g" not in front
    assert SINGLE


def test_openclap_ui_serves_this_machine_until_it_is_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "openclap", "ui", "--no-browser", "--json", "--root", str(tmp_path), "--library", str(tmp_path / "library")]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        assert line, running.stderr.read() if running.stderr else ""
        url = json.loads(line)["url"]
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert answer.status == 200
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=60)
    assert running.returncode == 0, told
    assert "Traceback" not in told
