"""What several rooms had each for itself: probabilities, average precision, results made ahead, files of heads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from openclap.detector import Detector
from openclap.errors import DetectorError, DetectorMismatch, HeadError, HeadMismatch, OpenClapError
from openclap.eval.head import Head, load_head
from openclap.prefetch import prefetch
from openclap.scores import average_precision, logistic, softmax


def test_probabilities_by_hand() -> None:
    assert logistic(np.array([0.0, np.log(3), -1e4, 1e4])) == pytest.approx([0.5, 0.75, 0, 1])
    assert softmax(np.log(np.array([[1.0, 3.0], [2.0, 2.0]]))) == pytest.approx(np.array([[0.25, 0.75], [0.5, 0.5]]))
    assert logistic(np.zeros(2, np.float32)).dtype == softmax(np.zeros((1, 2), np.float32)).dtype == np.float32


def test_a_detector_that_knows_nothing_is_at_chance() -> None:
    """Two definitions: of equal scores, the judge of detectors put the no's first."""
    assert average_precision(np.zeros(8), np.arange(8) < 2) == 0.25


def test_results_come_in_order_and_no_more_than_some_wait() -> None:
    begun: list[int] = []

    def negative(number: int) -> int:
        begun.append(number)
        return -number

    made = prefetch(negative, range(100), threads=3, ahead=4)
    assert [next(made) for _ in range(3)] == [0, -1, -2]
    made.close()
    assert len(begun) <= 3 + 4 + 1
    assert list(prefetch(str, [], threads=1, ahead=1)) == []


def test_an_error_comes_in_its_turn_and_ends_all() -> None:
    ended = threading.Event()

    def inverse(number: int) -> float:
        return 1 / number

    made = prefetch(inverse, [1, 2, 0, 4], threads=2, ahead=2, stop=ended.set)
    assert [next(made), next(made)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(made)
    assert ended.is_set()


def test_what_must_not_leave_its_thread_does_not() -> None:
    own = threading.get_ident()
    found = prefetch(
        lambda i: threading.get_ident() == own, range(4), threads=1, ahead=9, in_thread=lambda i: i % 2 == 0
    )
    assert list(found) == [False, True, False, True]


def test_who_leaves_does_not_wait_for_what_can_be_stopped() -> None:
    """The decoders are told before they are waited for: else a closed search decodes an hour to its end."""
    stop = threading.Event()

    def until_stopped(number: int) -> int:
        if number:
            assert stop.wait(60)
        return number

    made = prefetch(until_stopped, range(9), threads=2, ahead=2, stop=stop.set)
    assert next(made) == 0
    made.close()
    assert stop.is_set()


def files(place: Path) -> Iterator[tuple[type[OpenClapError], str]]:
    weight = np.ones((2, 3), np.float32)
    Detector("rain", None, weight[0], 0.0, "m", "f").save(place / "detector.safetensors")
    Head(((weight, weight[:, 0]),), ("a", "b"), False, "m", "f").save(place / "head.safetensors")
    yield DetectorError, "detector"
    yield HeadError, "head"


def test_one_kind_of_file(tmp_path: Path) -> None:
    """A head had other bytes at each saving, and any size was read; each said in its own words what was no file of it."""
    readers: dict[str, Callable[[Path], Any]] = {"detector": Detector.load, "head": load_head}
    for error, name in files(tmp_path):
        path = tmp_path / f"{name}.safetensors"
        again = tmp_path / "again.safetensors"
        readers[name](path).save(again)
        assert again.read_bytes() == path.read_bytes()
        other = tmp_path / ("head.safetensors" if name == "detector" else "detector.safetensors")
        with pytest.raises(error, match=r"not a file of a .*; (teach it|train a head) "):
            readers[name](other)
        save_file({"x": np.zeros(1)}, again, metadata={"format": f"openclap-{name}", "version": "7"})
        with pytest.raises(error, match="of version 7, this openclap reads 1; update it"):
            readers[name](again)


def test_embeddings_of_another_size_are_refused_by_both(tmp_path: Path) -> None:
    list(files(tmp_path))
    with pytest.raises(DetectorMismatch, match="the detector 'rain' takes embeddings of 3 numbers"):
        Detector.load(tmp_path / "detector.safetensors").probability(np.ones((1, 4)))
    with pytest.raises(HeadMismatch, match="this head takes embeddings of 3 numbers"):
        load_head(tmp_path / "head.safetensors").probabilities(np.ones((1, 4)))
