"""Models of other packages, by the entry point `openclap.models`: seen from outside, as a user of such a package has them."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from conftest import write_tokenizer
from models_for_tests import small_clap
from test_docs import ROOT, blocks

from openclap import CLAP, Library
from openclap.audio.clips import repeat_pad
from openclap.checkpoints.locate import locate, pull
from openclap.checkpoints.plugged_models import find_plugged, plugged_models
from openclap.config import CustomModel, entry_points
from openclap.errors import LibraryMismatch, ModelError, SoundError, UnknownModel, UsageError
from openclap.store import open_store

GUIDE = ROOT / "docs" / "models.md"
RATE, SIZE = 8_000, 6


def wave(seconds: float, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(round(seconds * RATE)) * 0.1).astype(np.float32)


def lay(site: Path, package: str, points: str, code: str) -> None:
    """What `pip install` would lay down."""
    module = package.replace("-", "_")
    (site / module).mkdir(parents=True)
    (site / module / "__init__.py").write_text(code, encoding="utf-8")
    info = site / f"{module}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[openclap.models]\n{points}\n")
    entry_points._all_points.cache_clear()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages of this test alone."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    entry_points._all_points.cache_clear()
    yield folder
    entry_points._all_points.cache_clear()
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


OWN = f"""
import numpy as np
from openclap.config import CustomModel

calls = []

def embed_waves(waves):
    calls.append(waves)
    return np.stack([[row.std(), row.max(), row.min(), row[0], row[-1], 1.0] for row in waves])

def embed_texts(texts):
    calls.append(texts)
    return [[len(text), text.count("a"), text.count("e"), text.count("雨"), 1.0, 0.0] for text in texts]

def load(**changes):
    facts = dict(embed_waves=embed_waves, embed_texts=embed_texts, sampling_rate={RATE}, clip_seconds=2.0,
                 embedding={SIZE}, fingerprint="one")
    return CustomModel(**{{**facts, **changes}})
"""


# -- from outside ------------------------------------------------------------------------------------


def test_the_example_of_the_guide_works_from_outside(tmp_path: Path) -> None:
    """In processes that know of the package only what `pip install` lays down."""
    site, sounds = tmp_path / "site", tmp_path / "sounds"
    (code,), (points,) = blocks(GUIDE, "python"), blocks(GUIDE, "toml")
    assert len(code.splitlines()) <= 30
    lay(site, "my-models", points.split("\n", 2)[2].replace('"', ""), code)
    sounds.mkdir()
    for i in range(3):
        sf.write(sounds / f"{i}.wav", wave(1 + 3 * i, seed=i), RATE)
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    variables = {**os.environ, "PYTHONPATH": path, "OPENCLAP_MODEL": "mymodel", "OPENCLAP_LIBRARY": str(tmp_path / "l")}

    def openclap(*args: object) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "openclap", *map(str, args), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    (row,) = [row for row in openclap("models") if row["name"] == "mymodel"]
    assert (row["package"], row["here"], row["licence"]) == ("my-models 1.2", True, None)
    (answer,) = openclap("classify", sounds / "0.wav", "--labels", "dog, rain", "--model", "mymodel")
    assert {label["label"] for label in answer["labels"]} == {"dog", "rain"}
    assert sum(label["score"] for label in answer["labels"]) == pytest.approx(1, abs=1e-4)
    assert openclap("index", sounds)[-1]["added"] == 3
    hits = openclap("search", "--sound", sounds / "1.wav", "-k", 2)
    assert hits[0]["path"].endswith("1.wav")
    assert hits[0]["score"] == pytest.approx(1, abs=1e-5)


def test_listing_runs_no_code_of_a_package(site: Path) -> None:
    """`openclap models` must not be a way to run what nobody asked for; a name of openclap's stays openclap's."""
    lay(site, "acme", "mymodel = acme:load\nmini = acme:load", "raise SystemExit('imported')")
    found = {model.name: model for model in plugged_models()}
    assert found["mymodel"].to_dict() == {"name": "mymodel", "package": "acme 1.2", "note": ""}
    assert found["mini"].note == "not used: openclap has a model of this name"
    assert find_plugged("mini") is None
    with pytest.raises(UnknownModel):
        CLAP.from_pretrained("another")
    assert "acme" not in sys.modules
    with pytest.raises(ModelError, match=r"'mymodel' of acme 1\.2 cannot be used \(SystemExit: imported\)"):
        CLAP.from_pretrained("mymodel")


def test_names_of_openclap_need_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes as long as a tenth of a start."""

    def refuse() -> None:
        raise AssertionError

    monkeypatch.setattr(entry_points, "_all_points", refuse)
    assert locate("mini").is_dir()
    assert find_plugged("./mymodel") is None
    assert find_plugged(Path("mymodel")) is None


# -- a model that a package computes -----------------------------------------------------------------


@pytest.fixture
def acme(site: Path) -> Any:
    lay(site, "acme", "mymodel = acme:load", OWN)
    return importlib.import_module("acme")


def test_it_is_given_clips_and_gives_unit_rows(acme: Any) -> None:
    clap = CLAP.from_pretrained("mymodel")
    assert (clap.name, clap.config.embedding, clap.front_end.sampling_rate) == ("mymodel", SIZE, RATE)
    acme.calls.clear()
    short, long = wave(0.9), wave(5.0, seed=1)
    rows = clap.encode_audio([(short, RATE), (long, RATE)])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    given = np.concatenate(acme.calls)
    assert given.dtype == np.float32
    assert given.shape == (5, 2 * RATE)  # 0.9 s; 0, 1, 2 and 3 s of 5 s
    np.testing.assert_allclose(given[0], repeat_pad(short, 2 * RATE), atol=1e-6)
    np.testing.assert_allclose(given[2], long[RATE : 3 * RATE], atol=1e-6)
    windows = clap.encode_windows((long, RATE))
    assert windows.start.tolist() == [0, 1, 2, 3]
    mean = windows.embedding.sum(0)
    np.testing.assert_allclose(rows[1], mean / np.linalg.norm(mean), atol=1e-6)
    head = clap.encode_audio((long, RATE), long="head")[0]
    np.testing.assert_allclose(head, windows.embedding[0], atol=1e-6)
    raw = clap.encode_audio((short, RATE), normalize=False)[0]
    assert raw[5] == pytest.approx(1.0)
    with pytest.raises(UsageError, match="gives no pooled"):
        clap.encode_audio((short, RATE), output="pooled")
    with pytest.raises(UsageError, match="trained without fusion"):
        clap.encode_audio((long, RATE), long="fusion")


def test_it_is_given_texts_as_they_are(acme: Any, site: Path) -> None:
    clap = CLAP.from_pretrained("mymodel")
    acme.calls.clear()
    texts = ["a dog 🐕", "rain " * 200, "été\tand\nwind"]
    rows = clap.encode_text(texts)
    assert acme.calls == [texts]
    np.testing.assert_allclose(rows, clap.encode_text(texts[::-1])[::-1], atol=1e-6)
    assert clap.unknown_words(texts) == []
    acme.calls.clear()
    clap.encode_text("雨")
    assert acme.calls == [["rain"]]
    lay(
        site, "babel", "chinese = babel:load", OWN.replace('fingerprint="one"', 'fingerprint="two", reads_chinese=True')
    )
    babel: Any = importlib.import_module("babel")
    clap = CLAP.from_pretrained("chinese")
    babel.calls.clear()
    clap.encode_text("雨")
    assert babel.calls == [["雨"]]


def test_it_names_sounds_and_makes_libraries(acme: Any, tmp_path: Path) -> None:
    clap = CLAP.from_pretrained("mymodel")
    found = clap.classify((wave(1), RATE), ["aaa", "eee"])
    cosines = np.array([label.similarity for label in found])
    weights = np.exp(cosines / 0.07)
    np.testing.assert_allclose([label.score for label in found], weights / weights.sum(), atol=1e-5)
    for i in range(3):
        sf.write(tmp_path / f"{i}.wav", wave(1 + 2 * i, seed=i), RATE)
    library = Library.open(tmp_path / "library", model="mymodel")
    assert library.add([tmp_path]).added == 3
    assert library.stats()["model"] == "mymodel"
    with pytest.raises(LibraryMismatch, match="was made by mymodel"):
        Library.open(tmp_path / "library", model=small_clap())


def test_another_fingerprint_is_another_model(acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    load, prints = acme.load, set()
    for changes in ({}, {"fingerprint": "two"}, {"clip_seconds": 3.0}, {"padding": "pad"}, {"licence": "MIT"}):
        monkeypatch.setattr(acme, "load", lambda changes=changes: load(**changes))
        prints.add(CLAP.from_pretrained("mymodel").fingerprint)
    assert len(prints) == 4  # a licence is not heard


def test_another_process_loads_it_by_its_name(acme: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is called like the model, such as that of the package itself, was sent in its place."""
    (tmp_path / "mymodel").mkdir()
    monkeypatch.chdir(tmp_path)
    clap = CLAP.from_pretrained("mymodel")
    assert clap.recipe()["name_or_path"] == "mymodel"
    with pytest.raises(ModelError, match="no config"):
        CLAP.from_pretrained("./mymodel")


def test_a_model_of_sounds_alone(acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    load = acme.load
    monkeypatch.setattr(acme, "load", lambda: load(embed_texts=None))
    clap = CLAP.from_pretrained("mymodel")
    assert clap.encode_audio((wave(1), RATE)).shape == (1, SIZE)
    with pytest.raises(UsageError, match="mymodel is an audio tower alone"):
        clap.encode_text("rain")


def test_what_needs_weights_says_why_not(acme: Any, tmp_path: Path) -> None:
    clap = CLAP.from_pretrained("mymodel")
    told = r"mymodel is computed by acme 1\.2, so there are no weights here"
    for call in (
        lambda: clap.model,
        lambda: clap.save_pretrained(tmp_path / "x"),
        lambda: clap.export_transformers(tmp_path / "x"),
        lambda: clap.export_onnx(tmp_path / "x"),
    ):
        with pytest.raises(UsageError, match=told):
            call()
    with pytest.raises(UsageError, match=r"mymodel is computed by acme 1\.2, which hands out no weights"):
        locate("mymodel")
    with pytest.raises(UsageError, match="there is nothing to fetch"):
        pull("mymodel")


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"backend": "torch"}, "takes no backend"),
        ({"precision": "int8"}, "takes no precision"),
        ({"max_tokens": 20}, "takes no max_tokens"),
        ({"device": "cuda"}, "takes no device"),
        ({"threads": 2}, "takes no threads"),
    ],
)
def test_options_that_it_does_not_take_are_refused(acme: Any, option: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        CLAP.from_pretrained("mymodel", **option)


def test_device_and_threads_are_given_where_they_are_taken(acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    load, taken = acme.load, []

    def with_device(device: str, threads: int | None) -> CustomModel:
        taken.append((device, threads))
        return load(device="cuda:1")

    monkeypatch.setattr(acme, "load", with_device)
    clap = CLAP.from_pretrained("mymodel", device="cuda:1", threads=3, precision="fast")
    assert taken == [("cuda:1", 3)]
    assert str(clap.backend.info) == "acme 1.2 on CUDA:1: computed by that package"


# -- a folder that a package brings ------------------------------------------------------------------


def test_a_folder_in_a_package_is_like_any_other(site: Path) -> None:
    lay(
        site,
        "acme",
        "mymodel = acme:load",
        "from pathlib import Path\ndef load(): return Path(__file__).parent / 'model'",
    )
    write_tokenizer(site / "tokenizer.json")
    made = small_clap(site / "tokenizer.json", name="something")
    made.save_pretrained(site / "acme" / "model")
    clap = CLAP.from_pretrained("mymodel", backend="torch", threads=1)
    assert (clap.name, clap.fingerprint, clap.backend.info.engine) == ("mymodel", made.fingerprint, "torch")
    np.testing.assert_allclose(clap.encode_text("rain"), made.encode_text("rain"), atol=1e-6)
    assert clap.recipe()["name_or_path"] == "mymodel"
    assert locate("mymodel") == site / "acme" / "model"


# -- broken packages ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import a_package_that_is_not_there", r"cannot be used \(ModuleNotFoundError: No module named 'a_package"),
        ("", r"cannot be used \(AttributeError: "),
        ("load = 3", r"cannot be used \(TypeError: 'int' object is not callable\)"),
        ("def load(): raise RuntimeError('no\\nluck')", r"cannot be used \(RuntimeError: no luck\)"),
        ("def load(): return None", r"acme:load of acme 1\.2 gives NoneType, not a folder or a openclap"),
        ("def load(): return '/nowhere/at/all'", r"lies in /nowhere/at/all, which is not there"),
    ],
)
def test_a_broken_package_is_named(site: Path, code: str, told: str) -> None:
    lay(site, "acme", "mymodel = acme:load", code)
    with pytest.raises(ModelError, match=told):
        CLAP.from_pretrained("mymodel")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sampling_rate": 0}, "sampling_rate is 0"),
        ({"sampling_rate": 16_000.5}, "sampling_rate is 16000.5"),
        ({"clip_seconds": float("nan")}, "clip_seconds of the model is nan"),
        ({"embedding": -1}, "embedding is -1"),
        ({"fingerprint": ""}, "fingerprint is ''"),
        ({"logit_scale": 0.0}, "logit_scale of the model is 0.0"),
        ({"padding": "loop"}, "padding is 'loop'"),
        ({"embed_waves": None}, "embed_waves is None"),
        ({"embed_texts": "words"}, "embed_texts is 'words'"),
    ],
)
def test_a_model_that_cannot_be_is_named(
    acme: Any, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], told: str
) -> None:
    load = acme.load
    monkeypatch.setattr(acme, "load", lambda: load(**changes))
    with pytest.raises(ModelError, match=rf"'mymodel' of acme 1\.2 cannot be: {told}"):
        CLAP.from_pretrained("mymodel")


@pytest.mark.parametrize(
    ("embed", "told"),
    [
        (lambda waves: 1 / 0, r"'mymodel' of acme 1\.2 cannot be used \(ZeroDivisionError"),
        (lambda waves: np.ones((len(waves), 3)), r"gives rows of shape \(1, 3\), not \(1, 6\)"),
        (lambda waves: np.ones(SIZE), r"gives rows of shape \(6,\)"),
        (lambda waves: "rows", r"cannot be used \(ValueError"),
        (lambda waves: np.full((len(waves), SIZE), 1j), r"complex numbers; real ones are expected"),
    ],
)
def test_rows_are_checked(acme: Any, monkeypatch: pytest.MonkeyPatch, embed: Callable[[Any], Any], told: str) -> None:
    load = acme.load
    monkeypatch.setattr(acme, "load", lambda: load(embed_waves=embed))
    with pytest.raises(ModelError, match=told):
        CLAP.from_pretrained("mymodel").encode_audio((wave(1), RATE))


SOME = """
import numpy as np
from openclap.config import CustomModel

def embed_waves(waves):  # a network without biases, whose mean of levels is no number for silence
    rows = np.stack([[row.std(), row.max(), row.min(), row[0], row[-1], 1.0] for row in waves])
    with np.errstate(all="ignore"):
        rows[:, 5] = np.log(rows[:, 0]) * 0 + 1
    loud = np.abs(waves).max(1)
    rows[loud == np.float32(0.25)] = 0
    rows[loud == np.float32(0.75)] = np.nan
    return rows

def embed_texts(texts):  # it knows few words
    known = ["dog", "rain", "music", "speech", "wind"]
    rows = np.array([[text.lower().count(word) for word in known] + [0] for text in texts], float)
    return np.array([row * np.nan if "broken" in text else row for text, row in zip(texts, rows)])

def load(**changes):
    return CustomModel(embed_waves=embed_waves, embed_texts=embed_texts, sampling_rate=8_000, clip_seconds=2.0,
                       embedding=6, fingerprint="some")
"""


@pytest.fixture
def some(site: Path) -> CLAP:
    lay(site, "some", "mymodel = some:load", SOME)
    return CLAP.from_pretrained("mymodel")


def peak(level: float, seconds: float = 2.0) -> np.ndarray:
    made = wave(seconds)
    made *= level / np.abs(made).max()
    made[np.abs(made).argmax()] = level
    return made


@pytest.mark.parametrize(
    ("level", "told"),
    [(0.25, "gives zeros for it, so it is like nothing"), (0.75, "gives NaN or infinite numbers for it")],
)
def test_a_sound_without_a_direction_is_named(some: CLAP, tmp_path: Path, level: float, told: str) -> None:
    """Zeros from a package's tower were a cosine of 0 with everything, silently; NaN stopped a folder at one file."""
    sf.write(tmp_path / "odd.wav", peak(level), RATE, subtype="FLOAT")
    sf.write(tmp_path / "usual.wav", peak(0.5, 5.0), RATE, subtype="FLOAT")
    for call in (
        lambda: some.encode_audio([tmp_path / "usual.wav", tmp_path / "odd.wav"]),
        lambda: some.encode_audio(tmp_path / "odd.wav", normalize=False),
        lambda: some.encode_windows(tmp_path / "odd.wav"),
        lambda: some.classify(tmp_path / "odd.wav", ["dog", "rain"]),
    ):
        with pytest.raises(SoundError, match=rf"odd\.wav: mymodel of some 1\.2 {told}"):
            call()
    with pytest.raises(ModelError, match=rf"clip 1 of 1: mymodel of some 1\.2 {told}"):
        some.encode_clips(list(some.clips(tmp_path / "odd.wav")))
    report = Library.open(tmp_path / "library", model=some).add([tmp_path])
    assert report.added == 1
    assert [(Path(one.path).name, told in one.error) for one in report.failed] == [("odd.wav", True)]


def test_silence_needs_no_direction(some: CLAP, tmp_path: Path) -> None:
    """As with openclap's own towers, which give some vector for silence: a silent minute is no fault of a recording."""
    for level in (0.0, 1e-5):
        silent = np.full(2 * RATE, level, np.float32)
        row = some.encode_audio((silent, RATE))
        np.testing.assert_allclose(np.linalg.norm(row, axis=1), 1, atol=1e-6)
        assert some.classify((silent, RATE), ["dog", "rain"]).silent
    sf.write(tmp_path / "gap.wav", np.concatenate([peak(0.5), np.zeros(8 * RATE), peak(0.5)]), RATE, subtype="FLOAT")
    library = Library.open(tmp_path / "library", model=some)
    assert library.add([tmp_path]).added == 1
    library.close()
    assert open_store(tmp_path / "library").check() == []


def test_a_text_without_a_direction_is_named(some: CLAP) -> None:
    """A text of zeros was like nothing, silently; now the one that it is is told, as an unknown word cannot be."""
    with pytest.raises(UsageError, match=r"the text 'zither' means nothing to the model 'mymodel' of some 1\.2"):
        some.encode_text(["dog", "zither", "rain"])
    with pytest.raises(
        ModelError, match=r"'mymodel' of some 1\.2 gives NaN or infinite numbers for the text 'broken dog'"
    ):
        some.encode_text(["dog", "broken dog"])
    np.testing.assert_allclose(some.encode_text(["dog", "rain"]), np.eye(6, dtype=np.float32)[:2])


def test_tensors_with_gradients_are_taken(acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    load, table = acme.load, torch.nn.Linear(2 * RATE, SIZE)
    monkeypatch.setattr(acme, "load", lambda: load(embed_waves=lambda waves: table(torch.from_numpy(waves)).bfloat16()))
    assert CLAP.from_pretrained("mymodel").encode_audio((wave(1), RATE)).dtype == np.float32


def test_a_name_of_two_packages_is_refused(site: Path) -> None:
    lay(site, "acme", "mymodel = acme:load", OWN)
    lay(site, "bees", "mymodel = bees:load", OWN)
    with pytest.raises(ModelError, match=r"acme 1\.2 and bees 1\.2 both bring a model of this name"):
        CLAP.from_pretrained("mymodel")


def test_damaged_metadata_stops_no_list(site: Path) -> None:
    lay(site, "acme", "mymodel = acme:load", OWN)
    (site / "acme-1.2.dist-info" / "METADATA").unlink()
    entry_points._all_points.cache_clear()
    names = [model.name for model in plugged_models()]
    assert "mymodel" in names
    assert CLAP.from_pretrained("mymodel").name == "mymodel"
