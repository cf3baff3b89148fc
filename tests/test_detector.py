"""The file of a detector: what it keeps, what it refuses, and names."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import write_tokenizer
from models_for_tests import small_clap
from safetensors.numpy import save_file

from openclap import CLAP, Detector
from openclap.cli.show import plain
from openclap.detector import apply_detectors, delete_detector, detector_path, detectors_folder, list_detectors
from openclap.errors import DetectorError, DetectorMismatch, UsageError
from openclap.library import moments_in


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture(scope="module")
def clap(tmp_path_factory: pytest.TempPathFactory) -> CLAP:
    return small_clap(write_tokenizer(tmp_path_factory.mktemp("t") / "tokenizer.json"))


def made(name: str = "door creak", size: int = 24, **options: object) -> Detector:
    weight = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    facts: dict[str, object] = {"model": "small", "fingerprint": "0123", "examples": {"yes": 3, "no": 2, "drawn": 0}}
    return Detector(name, "a door", weight, -0.25, **{**facts, **options})  # type: ignore[arg-type]


def test_probabilities_by_hand() -> None:
    weight = np.array([2.0, -1.0], np.float32)
    detector = Detector("x", None, weight, 0.5, "m", "f")
    found = detector.probability(np.array([[1, 0], [0, 1], [0.6, 0.8]]))
    assert found == pytest.approx([1 / (1 + np.exp(-2.5)), 1 / (1 + np.exp(0.5)), 1 / (1 + np.exp(-0.9))], abs=1e-6)
    assert detector.direction == pytest.approx(weight / np.sqrt(5))
    assert (
        np.argsort(found).tolist() == np.argsort(np.array([[1, 0], [0, 1], [0.6, 0.8]]) @ detector.direction).tolist()
    )
    assert Detector("x", None, 1e4 * weight, 0.0, "m", "f").probability([[1, 0], [0, 1]]).tolist() == [1.0, 0.0]
    with pytest.raises(DetectorMismatch, match=r"2 numbers \(N, 2\), not \(1, 3\)"):
        detector.probability([[1, 2, 3]])


def test_what_is_heard_by_hand() -> None:
    weight = np.array([2.0, 0.0], np.float32)
    quiet, loud = (Detector(name, None, weight, bias, "m", "f", 0.8) for name, bias in (("quiet", -2.0), ("loud", 0.0)))
    said = apply_detectors([[0.0, 1.0], [1.0, 0.0]], [quiet, loud])
    assert [(one.detector, one.heard) for one in said] == [("quiet", False), ("loud", True)]
    assert [one.probability for one in said] == pytest.approx([0.5, 1 / (1 + np.exp(-2))])


@pytest.mark.parametrize("name", ["door creak", "门 creak", "ひび", "x" * 100, "a.b", "naïve (2)"])
def test_saved_and_loaded_by_name(name: str) -> None:
    detector = made(name, report={"judged": False, "why": "few"}, threshold=0.4)
    place = detector.save()
    assert place == detectors_folder() / f"{name}.safetensors"
    again = Detector.load(name)
    assert again.to_dict() == detector.to_dict()
    assert again.bias == detector.bias
    assert np.array_equal(again.weight, detector.weight)
    assert [path.name for path in detectors_folder().iterdir()] == [place.name]  # nothing is left aside
    assert place.stat().st_size < 4000


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "a\\b", "", " ", " x", ".hidden", "..", "a\nb", "a\0b", "x" * 101, "门" * 90, "a\u202eb", "C:x", "\udcff"]
)  # fmt: skip
def test_names_that_are_no_file_names(name: str, data: Path) -> None:
    """`../x` must not leave the user's folder."""
    with pytest.raises(UsageError, match="cannot be a detector's name"):
        made(name).save()
    with pytest.raises(UsageError, match="cannot be a detector's name"):
        delete_detector(name)
    assert not list(data.rglob("*.safetensors"))


def test_any_name_with_a_place_of_ones_own(tmp_path: Path) -> None:
    made("../x").save(tmp_path / "sub" / "mine.safetensors")
    assert Detector.load(tmp_path / "sub" / "mine.safetensors").name == "../x"
    assert Detector.load(str(tmp_path / "sub" / "mine.safetensors")).name == "../x"
    made("plain").save(tmp_path / "plain")
    assert Detector.load(tmp_path / "plain").name == "plain"  # a Path is a path, whatever it looks like


def test_list_and_forget() -> None:
    assert list_detectors() == ([], [])
    with pytest.raises(
        DetectorError, match="no detector is called 'rain' \\(none has been taught yet\\); teach it with"
    ):
        Detector.load("rain")
    for name in ("b", "a"):
        made(name).save()
    (detectors_folder() / "c.safetensors").write_bytes(b"nothing")
    found, failed = list_detectors()
    assert [one.name for one in found] == ["a", "b"]
    assert [failure.path for failure in failed] == [str(detectors_folder() / "c.safetensors")]
    with pytest.raises(DetectorError, match="there is a, b, c\\); choose one of these, or teach it with"):
        Detector.load("rain")
    delete_detector("a")
    assert [one.name for one in list_detectors()[0]] == ["b"]
    with pytest.raises(DetectorError, match="no detector is called 'a'"):
        delete_detector("a")


def test_another_model_is_refused_and_both_are_named(clap: CLAP) -> None:
    with pytest.raises(
        DetectorMismatch, match=f"was taught on small \\(0123\\), not on small \\({clap.fingerprint}\\)"
    ):
        made().check(clap)
    made(fingerprint=clap.fingerprint).check(clap)
    with pytest.raises(DetectorMismatch):
        moments_in(clap, (np.ones(16_000, np.float32), 16_000), made())


def test_what_is_no_detector(tmp_path: Path) -> None:
    place = tmp_path / "x.safetensors"
    with pytest.raises(DetectorError, match="no such file"):
        Detector.load(place)
    whole = made().save(place).read_bytes()
    for broken in (b"", b"hello", whole[: len(whole) // 2], whole[:-4]):
        place.write_bytes(broken)
        with pytest.raises(DetectorError, match="cannot be read as a detector"):
            Detector.load(place)
    save_file({"weight": np.ones(3, np.float32)}, place)
    with pytest.raises(DetectorError, match="not a file of a detector; teach it with"):
        Detector.load(place)
    facts = {"format": "openclap-detector", "version": "1", "detector": json.dumps({**made().to_dict(), "bias": 0.0})}
    save_file({"weight": np.ones(3, np.float32)}, place, metadata={**facts, "version": "9"})
    with pytest.raises(DetectorError, match="of version 9, this openclap reads 1"):
        Detector.load(place)
    about = json.loads(facts["detector"])
    wrong: list[tuple[dict[str, object], np.ndarray]] = [
        ({**about, "bias": "much"}, np.ones(3, np.float32)),
        ({**about, "bias": float("inf")}, np.ones(3, np.float32)),
        ({**about, "threshold": 3}, np.ones(3, np.float32)),
        ({"name": "x"}, np.ones(3, np.float32)),
        ({**about, "examples": 3}, np.ones(3, np.float32)),
        (about, np.array([1, np.nan], np.float32)),
        (about, np.ones((2, 2), np.float32)),
        (about, np.ones(3, np.float64)),
    ]
    for some, weight in wrong:
        save_file({"weight": weight}, place, metadata={**facts, "detector": json.dumps(some)})
        with pytest.raises(DetectorError, match="is broken"):
            Detector.load(place)
    save_file({"weight": np.ones(3, np.float32)}, place, metadata=facts)
    assert Detector.load(place).size == 3


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there stays, and nothing half written beside it; root may write anywhere, so the system's answer is made here."""

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    made().save(tmp_path / "x.safetensors")
    before = (tmp_path / "x.safetensors").read_bytes()
    monkeypatch.setattr("openclap.atomic_write.os.replace", refused)
    with pytest.raises(UsageError, match="cannot be written"):
        made("another").save(tmp_path / "x.safetensors")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [before]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        made().save(tmp_path / "file" / "x.safetensors")
    made().save(tmp_path / "taken.safetensors")
    detector_path("a").parent.parent.mkdir(parents=True)
    detector_path("a").parent.touch()
    with pytest.raises(UsageError, match="cannot be written"):
        made("a").save()


def crafted(about: dict[str, object] | str, **arrays: np.ndarray) -> Path:
    """A file among the user's own, as somebody else may have sent it."""
    place = detectors_folder() / "sent.safetensors"
    place.parent.mkdir(parents=True, exist_ok=True)
    said = about if isinstance(about, str) else json.dumps({**made().to_dict(), "bias": 0.0, **about})
    facts = {"format": "openclap-detector", "version": "1", "detector": said}
    save_file(arrays or {"weight": np.ones(3, np.float32)}, place, metadata=facts)
    return place


@pytest.mark.parametrize(
    "about",
    [
        "[" * 100_000 + "]" * 100_000,  # RecursionError
        {"bias": 10**400},  # OverflowError
        {"report": {"judged": True}},  # `detectors` stumbled over it
        {"report": {"judged": True, **{name: {"value": "x", "low": 0, "high": 1} for name in ("precision", "recall", "average_precision")}}},
        {"report": {"gain": float("nan")}},
        {"report": []},
        {"examples": {"yes": [1]}},
        {"examples": [["yes", 1]]},
        {"name": None},
        {"name": "x\x1b[2J"},
        {"name": "a\u202eb"},
        {"name": "\ud800"},
        {"fingerprint": 3},
    ],
    ids=str,
)  # fmt: skip
def test_one_crafted_file_stops_no_list_of_others(about: dict[str, object] | str) -> None:
    """Each of these got past the check, and all but a few as another error than ours, so one file stopped `openclap detectors`."""
    made("a").save()
    place = crafted(about)
    with pytest.raises(DetectorError, match="is broken"):
        Detector.load(place)
    found, failed = list_detectors()
    assert [one.name for one in found] == ["a"]
    assert [failure.path for failure in failed] == [str(place)]


def test_what_numpy_cannot_read_and_what_is_too_large() -> None:
    """bfloat16 was a TypeError; a file of 2 GB was read whole, and all that lay beside the weight."""
    place = crafted({}, weight=np.zeros(4, np.int16))
    place.write_bytes(place.read_bytes().replace(b'"I16"', b'"BF16"'))
    head = len(place.read_bytes()) - 8 - 8
    place.write_bytes(head.to_bytes(8, "little") + place.read_bytes()[8:])
    with pytest.raises(DetectorError, match="is broken"):
        Detector.load(place)
    crafted({}, weight=np.ones(0, np.float32))
    with pytest.raises(DetectorError, match="no row of finite numbers"):
        Detector.load(place)
    with crafted({}).open("r+b") as file:
        file.truncate(1 << 30)
    with pytest.raises(DetectorError, match="too large"):
        Detector.load(place)


def test_a_detector_of_another_size_is_refused(clap: CLAP) -> None:
    """One number was spread over all of the query's, and any other size was a traceback."""
    with pytest.raises(DetectorMismatch, match="takes embeddings of 1 numbers, and small has 24"):
        made(size=1, fingerprint=clap.fingerprint).check(clap)


def test_a_weight_whose_square_is_too_large() -> None:
    detector = made(size=4)
    big = Detector("big", None, np.full(4, 3e38, np.float32), 0.0, detector.model, detector.fingerprint)
    assert big.direction == pytest.approx([0.5] * 4)


def test_places_and_names_that_no_file_has(tmp_path: Path) -> None:
    for place in ("y" * 300 + ".safetensors", "a\0b.safetensors", "~nosuchuser/x.safetensors"):
        with pytest.raises(DetectorError, match="no such file"):
            Detector.load(place)
    for place in (str(tmp_path / "a\0b"), str(tmp_path), str(tmp_path / ("n" * 300))):
        with pytest.raises(UsageError, match="cannot be written"):
            made().save(place)
    (detectors_folder() / "folder.safetensors").mkdir(parents=True)
    with pytest.raises(DetectorError, match="cannot be removed"):
        delete_detector("folder")


def test_one_detector_saved_by_many_at_once() -> None:
    """They wrote one file aside, and who renamed it second found none."""
    detector = made()
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: detector.save(), range(64)))) == 1
    assert Detector.load(detector.name).to_dict() == detector.to_dict()


def test_nothing_moves_the_cursor() -> None:
    """A file of a stranger may be called by an escape sequence; it went to the terminal as it was."""
    assert plain("c\x1b[2J\u202ecba 门 é\n x").plain == "c\\x1b[2J\\u202ecba 门 é x"


def test_the_same_detector_is_the_same_file() -> None:
    """Its facts stood in another order every time."""
    assert len({made("门").save().read_bytes() for _ in range(20)}) == 1
    assert Detector.load("门").text == "a door"
