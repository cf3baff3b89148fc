"""A library that another model has made, an earlier edition of mini say: who made it is told, and it is embedded anew on request."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile as sf
from conftest import long_wave
from models_for_tests import small_clap

from openclap import CLAP, Library
from openclap.checkpoints import presets
from openclap.checkpoints.presets import PRESETS
from openclap.cli import app
from openclap.errors import HeadMismatch, LibraryMismatch
from openclap.eval.head import Head
from openclap.serve.app import create_app
from openclap.serve.settings import ServeSettings
from openclap.store import File, Recording, Store, open_store

RATE = 16_000
THIRD = {"model": "mini", "fingerprint": "86b7c91662cc86f7", "embedding": 256, "window": 10.0, "hop": 5.0}  # edition
Ran = tuple[int, str, str]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is once mini has other weights."""
    moved = tuple(replace(one, fingerprint="4" * 16) if one.name == "mini" else one for one in PRESETS)
    monkeypatch.setattr(presets, "PRESETS", moved)


@pytest.fixture(scope="module")
def clap(tokenizer_file: Path) -> CLAP:
    return small_clap(tokenizer_file)


@pytest.fixture(scope="module")
def folder(clap: CLAP, tmp_path_factory: pytest.TempPathFactory) -> str:
    """That model on the disk."""
    place = tmp_path_factory.mktemp("model")
    clap.save_pretrained(place)
    return str(place)


@pytest.fixture(params=["lib", "lib.lance"], ids=["sqlite", "lance"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where a library of each store is made."""
    found: Path = tmp_path / request.param
    return found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """`openclap` in this process → exit code, stdout, stderr as one line."""

    def ran(*args: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["openclap", *args])
        try:
            code = app._run()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        told = capsys.readouterr()
        return code, told.out, " ".join(told.err.split())

    return ran


def _fill(store: Store, sound: Path) -> None:
    row = np.eye(1, 256, dtype=np.float32)
    store.put([Recording(File(str(sound), 1, 1, "a", 6.0), np.zeros(1), np.full(1, 6.0), row)])


def _made_by_mini(place: Path, sound: Path) -> Path:
    """A library as mini's third edition made it."""
    store = open_store(place)
    store.claim(THIRD)
    _fill(store, sound)
    store.close()
    return place


@pytest.mark.usefixtures("later")
def test_a_library_of_the_third_edition_says_how_to_go_on(place: Path, clap: CLAP, tmp_path: Path) -> None:
    _made_by_mini(place, tmp_path / "a.wav")
    wanted = rf"was made by mini-3 \({THIRD['fingerprint']}\), not by small from .*; go on with CLAP\.from_pretrained\('mini-3'\), embed it anew with Library\.reembed, or use another library$"
    with pytest.raises(LibraryMismatch, match=wanted) as caught:
        Library.open(place, model=clap)
    assert caught.value.maker == "mini-3"
    assert Library.open(place).stats()["model"] == "mini-3"
    Library.open(place, model=CLAP.from_pretrained("mini-3")).close()


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    "words",
    [["search", "rain"], ["search", "rain", "."], ["search", "rain", "--moments"], ["index", "."], ["recommend", "--like", "rain"]],
    ids=" ".join,
)  # fmt: skip
def test_every_verb_says_it_in_one_sentence(
    place: Path, tmp_path: Path, words: list[str], folder: str, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _made_by_mini(place, tmp_path / "a.wav")
    code, out, said = run(*words, "--library", str(place), "--model", folder)
    assert (code, out) == (2, "")
    assert said.startswith("error:")
    assert "was made by mini-3" in said
    assert "go on with --model mini-3, embed it anew with openclap index --reembed --library " in said


def test_a_library_of_an_edition_that_is_gone_offers_no_name(tmp_path: Path, clap: CLAP) -> None:
    store = open_store(tmp_path / "lib")
    store.claim({"model": "mini", "fingerprint": "0" * 16, "embedding": 8})
    store.close()
    with pytest.raises(LibraryMismatch, match=r"made by another mini \(0+\).*; give the model that made it"):
        Library.open(tmp_path / "lib", model=clap)


@pytest.mark.usefixtures("later")
def test_a_head_of_the_third_edition_says_so_too(clap: CLAP) -> None:
    head = Head(
        ((np.zeros((2, 256), np.float32), np.zeros(2, np.float32)),),
        ("a", "b"),
        False,
        "mini",
        str(THIRD["fingerprint"]),
    )
    with pytest.raises(HeadMismatch, match=rf"was trained on mini-3 \({THIRD['fingerprint']}\), not on small .*; go on with CLAP\.from_pretrained\('mini-3'\), or train a head"):  # fmt: skip
        head.check(clap)


class _Breaks:
    """A CLAP that can be stopped in the middle, and tells what it has embedded."""

    def __init__(self, clap: CLAP, after: int | None = None) -> None:
        self._clap, self._after = clap, after
        self.sounds: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._clap, name)

    def encode_each(self, sounds: list[str], **options: object) -> Iterator[object]:
        for sound, windows in zip(sounds, self._clap.encode_each(sounds, **options), strict=True):  # type: ignore[arg-type]
            if len(self.sounds) == self._after:
                raise KeyboardInterrupt
            self.sounds.append(Path(sound).name)
            yield windows


def test_embedding_anew_that_was_broken_off_goes_on(
    place: Path, clap: CLAP, tokenizer_file: Path, tmp_path: Path
) -> None:
    """Meanwhile it is searched as it was; tags of files and of what has left are kept; nothing is embedded twice."""
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for i in range(5):
        sf.write(sounds / f"{i}.wav", long_wave(1, RATE, seed=i), RATE)
    library = Library.open(place, model=clap)
    library.add(sounds, tags=["field"])
    library.add(sounds / "1.wav", tags=["wet"])
    gone = (sounds / "4.wav").read_bytes()
    (sounds / "4.wav").unlink()
    library.add(sounds)
    before = [(hit.path, hit.score) for hit in library.search("a dog", 9)]
    library.close()

    other = small_clap(tokenizer_file, name="other", seed=9)
    broken = _Breaks(other, after=2)
    with pytest.raises(KeyboardInterrupt):
        Library.reembed(place, broken)  # type: ignore[arg-type]
    as_it_was = Library.open(place, model=clap)
    assert [(hit.path, hit.score) for hit in as_it_was.search("a dog", 9)] == before
    assert as_it_was.stats()["model"] == "small"
    as_it_was.close()
    with pytest.raises(LibraryMismatch, match="made by small"):  # not before it is done, and never by itself
        Library.open(place, model=other).add(sounds)

    rest = _Breaks(other)
    report = Library.reembed(place, rest)  # type: ignore[arg-type]
    assert (report.updated, report.removed, report.failed) == (4, 0, [])
    assert sorted(broken.sounds + rest.sounds) == ["0.wav", "1.wav", "2.wav", "3.wav"]
    again = Library.open(place, model=other)
    assert {Path(hit.path).name for hit in again.search("a dog", 9, tags=["field"])} == {"0.wav", "1.wav", "2.wav", "3.wav"}  # fmt: skip
    assert [Path(hit.path).name for hit in again.search("a dog", 9, tags=["wet"])] == ["1.wav"]
    (sounds / "4.wav").write_bytes(gone)
    again.add(sounds)
    assert len(again.search("a dog", 9, tags=["field"])) == 5
    again.close()


def test_the_verb_embeds_a_library_anew(
    tokenizer_file: Path, tmp_path: Path, folder: str, run: Callable[..., Ran]
) -> None:
    sf.write(tmp_path / "a.wav", long_wave(1, RATE, seed=1), RATE)
    library = Library.open(tmp_path / "lib", model=small_clap(tokenizer_file, name="other", seed=9))
    library.add(tmp_path / "a.wav", tags=["field"])
    library.close()
    at = ["--library", str(tmp_path / "lib"), "--model", folder, "--json"]
    code, out, said = run("index", "--reembed", *at)
    assert (code, json.loads(out)["updated"]) == (0, 1), said
    assert json.loads(run("search", "a dog", "--tag", "field", *at)[1])["rank"] == 1


@pytest.mark.usefixtures("later")
def test_the_service_says_who_made_it_and_not_where_it_lies(tmp_path: Path, clap: CLAP) -> None:
    """While it ran, another process has taken the library to another model."""
    sf.write(tmp_path / "a.wav", long_wave(1, RATE, seed=1), RATE)
    library = Library.open(tmp_path / "lib", model=clap)
    library.add(tmp_path / "a.wav")
    library.close()
    served = create_app(ServeSettings(library=str(tmp_path / "lib")), clap=clap)

    async def ask() -> tuple[httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(app=served, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            before = await client.post("/v1/search", json={"query": "a dog"})
            store = open_store(tmp_path / "lib")
            aside = store.staging(THIRD)
            aside.claim(THIRD)
            _fill(aside, tmp_path / "a.wav")
            store.swap_in(aside)
            return before, await client.post("/v1/search", json={"query": "a dog"})

    try:
        before, answer = asyncio.run(ask())
    finally:
        served.state.engine.close()
    assert (before.status_code, answer.status_code) == (200, 409)
    said = answer.json()["error"]["message"]
    assert "made by another model (mini-3)" in said
    assert "whoever runs it can load the model mini-3, or embed it anew" in said
    assert "--" not in said
    assert str(tmp_path) not in said
