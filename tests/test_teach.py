"""Teaching: the fit, what cross-validation says, counter-examples and suggestions, and every door where a detector is used."""

from __future__ import annotations

import glob
import json
import os
import re
import resource
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from models_for_tests import small_clap
from threadpoolctl import threadpool_info, threadpool_limits

from openclap import CLAP, Detector, Library
from openclap.blas_threads import one_blas_thread
from openclap.cli import app
from openclap.confidence import ReferenceBank
from openclap.detector import list_detectors
from openclap.errors import DetectorMismatch, LibraryError, UsageError
from openclap.library import moments_in
from openclap.results import Hit
from openclap.scores import average_precision
from openclap.synth import synthesise
from openclap.teach import counter_examples, fit, suggest, teach
from openclap.teach.evaluation import cross_validate, wilson
from openclap.teach.fitting import FitProblem, TrainingSet, distinct_rows, make_prior
from openclap.watch import watch

RATE = 32_000
KINDS = ("dog bark", "rain", "bird", "snare drum", "siren", "door knock")
TAKES = 6


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini-3")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, clap: CLAP) -> Path:
    place = tmp_path_factory.mktemp("teach")
    for kind in KINDS:
        (place / "sounds" / kind).mkdir(parents=True)
        for take in range(TAKES):
            wave = synthesise(kind, np.random.default_rng(100 + take), rate=RATE, seconds=2.0)[0]
            sf.write(place / "sounds" / kind / f"{take}.wav", 0.5 * wave / np.abs(wave).max(), RATE)
    Library.open(place / "library", model=clap).add(place / "sounds")
    return place


@pytest.fixture(scope="module")
def library(place: Path, clap: CLAP) -> Library:
    return Library.open(place / "library", model=clap)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def kind_of(hit: Hit) -> str:
    return Path(hit.path).parent.name


def unit(rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return found


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model whose words are the first axis of 32, and whose sounds are noise."""
    random = np.random.default_rng(0)
    bank = ReferenceBank(unit(random.standard_normal((132, 32))), unit(random.standard_normal((56, 32))))
    monkeypatch.setattr("openclap.teach.fitting.reference_bank", lambda _: bank)
    words = np.eye(32, dtype=np.float32)[:1]
    return SimpleNamespace(
        name="ears", fingerprint="e", config=SimpleNamespace(embedding=32), encode_text=lambda texts: np.repeat(words, len(texts), 0)
    )  # fmt: skip


def clouds(yes: int, no: int, *, apart: float = 1.0, size: int = 32, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    rows = random.standard_normal((yes + no, size))
    rows[:yes, 1] += apart * np.sqrt(size)
    rows = unit(rows)
    return rows[:yes], rows[yes:]


# -- the fit ---------------------------------------------------------------------------------------------


def test_the_mode_is_a_minimum(ears: Any) -> None:
    """The gradient of loss and prior, written out for raw embeddings, is zero there."""
    yes, no = clouds(4, 7, apart=0.3)
    prior = make_prior(ears, "words")
    problem = FitProblem(prior, TrainingSet.of(yes, no, (), 32))
    weight, bias = problem.as_linear(problem.solve())
    rows, heard = np.concatenate([yes, no]).astype(np.float64), np.repeat([1.0, 0.0], [4, 7])
    v = (weight - prior.direction) * prior.radius
    b = bias - prior.start + (weight - prior.direction) @ prior.mean
    chance = 1 / (1 + np.exp(-(rows @ weight + bias + np.log(4 / 7))))
    slope = ((rows - prior.mean) / prior.radius).T @ (chance - heard) + 0.05 * v
    assert np.abs(slope).max() < 1e-3
    assert abs((chance - heard).sum() + b) < 1e-3
    assert np.abs(v).max() > 0.1


def test_few_examples_in_their_span_as_in_all_numbers(ears: Any) -> None:
    yes, no = clouds(5, 8)
    prior = make_prior(ears, "words")
    small = FitProblem(prior, TrainingSet.of(yes, no, (), 32))
    assert small._basis is not None
    again = FitProblem(prior, TrainingSet.of(np.repeat(yes, 1, 0), no, (), 32))
    again._basis = None
    centred = (again.examples.rows - prior.mean) / prior.radius
    again._features = np.column_stack([centred, np.ones(len(centred))])
    again._precision = np.r_[np.full(32, 0.05), 1.0]
    for (w, b), (w2, b2) in [(small.as_linear(small.solve()), again.as_linear(again.solve()))]:
        assert w == pytest.approx(w2, abs=1e-4)
        assert b == pytest.approx(b2, abs=1e-4)


def test_it_begins_at_the_words(ears: Any) -> None:
    """One example moves it a little: with the words ten times as strong it would not matter, with none it would be all."""
    yes, _ = clouds(1, 0, apart=3.0)
    axis = fit(ears, "x", yes).direction
    assert axis[0] > 0.7  # of the words
    assert axis[1] > 0.15  # of the example
    wordless = fit(ears, "x", yes, text="")
    assert wordless.text is None
    assert abs(wordless.direction[0]) < 0.3
    assert wordless.direction[1] > 0.6
    many = fit(ears, "x", *clouds(40, 40, apart=3.0))
    assert many.direction[1] > axis[1] + 0.2


def test_order_copies_and_seed_change_nothing(ears: Any) -> None:
    yes, no = clouds(5, 6)
    one = fit(ears, "x", yes, no)
    other = fit(ears, "x", yes[::-1], np.concatenate([no, no]))
    assert other.weight == pytest.approx(one.weight, abs=1e-4)
    assert other.examples == one.examples == {"yes": 5, "no": 6, "drawn": 0}
    assert fit(ears, "x", yes, no).report == one.report
    assert fit(ears, "x", yes, no, seed=1).weight.tolist() == one.weight.tolist()


def test_how_many_are_marked_does_not_say_how_often_it_is_heard(ears: Any) -> None:
    yes, no = clouds(10, 100, apart=0.8)
    few, many = fit(ears, "x", yes, no[:10]), fit(ears, "x", yes, no)
    assert abs(few.probability(yes).mean() - many.probability(yes).mean()) < 0.1


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if "numpy" in pool["filepath"]}


def test_a_fit_takes_one_thread_and_gives_the_others_back(ears: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the service's fits were limited: `openclap teach` took 38 s beside other work, where 0.4 s are enough."""
    seen: list[set[int]] = []
    solve = FitProblem.solve

    def look(self: FitProblem, *args: Any) -> Any:
        seen.append(blas_threads())
        return solve(self, *args)

    monkeypatch.setattr(FitProblem, "solve", look)
    with threadpool_limits(2, "blas"):
        fit(ears, "rain", *clouds(5, 6))
        assert len(seen) > 5
        assert set.union(*seen) == {1}
        assert blas_threads() == {2}
        with pytest.raises(UsageError):
            fit(ears, "rain", ())
        assert blas_threads() == {2}


def test_fits_at_once_give_the_threads_back() -> None:
    """The second took the first one's limit for the usual number, and that stayed for good."""
    with threadpool_limits(2, "blas"):
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == {2}


def test_odd_examples(ears: Any) -> None:
    yes, no = clouds(3, 3)
    with pytest.raises(UsageError, match="at least one example"):
        fit(ears, "x", [], no)
    with pytest.raises(UsageError, match=r"yes is \(3, 31\); embeddings of this model are \(N, 32\)"):
        fit(ears, "x", yes[:, :31])
    with pytest.raises(UsageError, match="no holds NaN"):
        fit(ears, "x", yes, np.full((1, 32), np.nan))
    alike = fit(ears, "x", np.repeat(yes[:1], 9, 0), np.repeat(yes[:1], 9, 0))  # a contradiction
    assert np.isfinite(alike.weight).all()
    assert alike.examples["yes"] == 1
    alone = fit(ears, "x", yes)
    assert alone.examples["no"] == 0
    assert 40 < alone.examples["drawn"] <= 56
    assert alone.report["unmarked"]
    assert fit(ears, "x", yes[:1]).report["judged"] is False
    assert fit(ears, "x", yes, judged=False).report == {}


def test_distinct_over_blocks() -> None:
    rows = unit(np.random.default_rng(0).standard_normal((3000, 8)))
    rows[2999] = rows[5]
    rows[1500] = rows[1400]
    assert distinct_rows(rows).tolist() == [i for i in range(3000) if i not in (1500, 2999)]


def test_ten_thousand_examples_in_bounded_memory(ears: Any) -> None:
    """A matrix of every example with every other would take 800 MB."""
    yes, no = clouds(5000, 5000, apart=0.5)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    detector = fit(ears, "x", yes, no)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 300
    assert detector.report["recall"]["high"] - detector.report["recall"]["low"] < 0.03
    assert detector.report["verdict"] == "better"


# -- what is said of it ----------------------------------------------------------------------------------


def test_average_precision_and_wilson_by_hand() -> None:
    heard = np.array([True, False, True, False])
    assert average_precision(np.array([4.0, 3, 2, 1]), heard) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.zeros(4), heard) == 0.5  # equal scores are one step, as everywhere
    assert wilson(1.0, 5) == pytest.approx((5 / (5 + 1.959964**2), 1.0))
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson(0.0, 0) == (0.0, 1.0)


def test_marks_without_meaning_are_seen_through(ears: Any) -> None:
    """A fit of its own examples is always perfect; what was left out tells."""
    rows = unit(np.random.default_rng(3).standard_normal((40, 32)))
    detector = fit(ears, "x", rows[:20], rows[20:])
    assert average_precision(detector.logit(rows), np.repeat([True, False], 20)) > 0.95
    report = detector.report
    assert report["average_precision"]["value"] < 0.7
    assert report["precision"]["low"] < 0.5 < report["precision"]["high"]
    assert report["verdict"] != "better"


def test_five_perfect_examples_are_not_certainty(ears: Any) -> None:
    report = fit(ears, "x", *clouds(5, 5, apart=3.0)).report
    assert report["recall"] == {"value": 1.0, "low": pytest.approx(0.5655, abs=1e-4), "high": 1.0}
    assert report["average_precision"]["low"] < 0.6
    assert report["folds"] == 5
    assert set(report["text"]) == {"precision", "recall", "average_precision"}
    assert json.loads(json.dumps(report)) == report


def test_useless_words_are_told(ears: Any) -> None:
    yes, no = clouds(15, 15, apart=2.0)
    assert fit(ears, "x", yes, no).report["verdict"] == "better"
    wordless = fit(ears, "x", yes, no, text=" ")
    assert wordless.report["text"] is wordless.report["gain"] is wordless.report["verdict"] is None


def test_left_out_means_left_out(ears: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = FitProblem(make_prior(ears, "x"), TrainingSet.of(*clouds(7, 9), clouds(0, 5, seed=9)[1], 32))
    seen: list[tuple[int, int]] = []
    fitted = FitProblem.solve

    def watched(self: FitProblem, some: Any = None) -> Any:
        left = ~some
        seen.append((int((left & self.examples.is_yes).sum()), int((left & ~self.examples.is_yes).sum())))
        assert not (left & self.examples.drawn).any()  # what nobody marked is no measure where enough is marked
        return fitted(self, some)

    monkeypatch.setattr(FitProblem, "solve", watched)
    report = cross_validate(problem)
    assert (report["yes"], report["no"], report["unmarked"]) == (7, 9, False)
    assert len(seen) == report["folds"] * report["repeats"]
    assert all(1 <= yes <= 2 and 1 <= no <= 2 for yes, no in seen)


# -- with sounds -----------------------------------------------------------------------------------------


def test_from_files_folders_and_a_bad_file(clap: CLAP, place: Path, library: Library) -> None:
    """The words are wrong on purpose: the examples must mend them."""
    sounds = place / "sounds"
    (place / "broken.wav").write_text("no sound")
    taught = teach(
        clap, "thing", yes=[sounds / "siren" / f"{i}.wav" for i in range(3)] + [place / "broken.wav", "missing.wav"],
        no=sounds / "bird", text="furniture", library=library,
    )  # fmt: skip
    detector = taught.detector
    assert detector.examples["yes"] == 3
    assert detector.examples["no"] == TAKES
    assert [Path(failure.path).name for failure in taught.failed] == ["broken.wav", "missing.wav"]
    hits = library.search(detector, 6)
    assert {kind_of(hit) for hit in hits} == {"siren"}
    assert hits[0].confidence == pytest.approx(detector.probability(library.vectors(hits))[0])
    assert hits[0].confidence is not None
    assert hits[0].confidence > 0.5
    by_words = [kind_of(hit) for hit in library.search("furniture", 6)]
    assert by_words.count("siren") < 6
    marked = {str(sounds / "siren" / f"{i}.wav") for i in range(3)} | {
        str(sounds / "bird" / f"{i}.wav") for i in range(6)
    }
    assert len(taught.suggestions) == 5
    assert not marked & {hit.path for hit in taught.suggestions}
    assert json.loads(json.dumps(taught.to_dict()))["failed"][1]["error"].startswith("no such file")


def test_indexed_files_are_not_embedded_again(clap: CLAP, place: Path, library: Library) -> None:
    yes = [place / "sounds" / "rain" / f"{i}.wav" for i in range(3)]
    fresh = teach(clap, "rain", yes=yes, library=None, no=place / "sounds" / "bird").detector
    one = library.embedding(yes[0])
    assert one is not None
    assert one == pytest.approx(clap.encode_audio(yes[0], long="windows")[0], abs=1e-5)
    copy = place / "later.wav"
    copy.write_bytes(yes[0].read_bytes())
    library.add(copy)
    assert library.embedding(copy) is not None
    os.utime(copy, (1, 1))
    assert library.embedding(copy) is None  # it was changed since
    copy.unlink()
    assert library.embedding(copy) is None
    library.add(place / "sounds")
    assert fresh.weight.shape == (clap.config.embedding,)


def test_what_cannot_be_taught(clap: CLAP, place: Path) -> None:
    rain, bird = (place / "sounds" / kind / "0.wav" for kind in ("rain", "bird"))
    with pytest.raises(UsageError, match="is among the yes and among the no"):
        teach(clap, "x", yes=[rain, bird], no=[rain])
    copy = place / "copy.wav"
    copy.write_bytes(rain.read_bytes())
    with pytest.raises(UsageError, match=r"0\.wav among the yes and .*copy\.wav among the no are the same sound"):
        teach(clap, "x", yes=[rain], no=[copy])
    with pytest.raises(UsageError, match=r"no example of 'x' can be used: .*gone\.wav: no such file"):
        teach(clap, "x", yes=["gone.wav"], no=[bird])
    (place / "nothing").mkdir(exist_ok=True)
    with pytest.raises(
        UsageError, match=r"no example of 'x' can be used: .*nothing: no sounds are in it; give sound files"
    ):
        teach(clap, "x", yes=place / "nothing")


def test_counter_examples_leave_out_what_is_very_near(clap: CLAP, place: Path, library: Library) -> None:
    yes = clap.encode_audio([place / "sounds" / "rain" / "0.wav"], long="windows")
    drawn = counter_examples(library, yes)
    assert 20 <= len(drawn) < len(KINDS) * TAKES
    assert (drawn @ yes[0]).max() < 0.97
    assert counter_examples(library, yes).tolist() == drawn.tolist()
    assert len(counter_examples(library, yes, count=4)) <= 4


def test_suggestions_are_unsure_and_various(clap: CLAP, place: Path, library: Library) -> None:
    hits = library.search("a dog barking", 4)
    detector = fit(clap, "dog", library.vectors(hits), drawn=counter_examples(library, library.vectors(hits)))
    found = suggest(library, detector, 3, marked=[hit.path for hit in hits])
    chosen = np.abs(detector.logit(library.vectors(found)))
    others = [hit for hit in library.search(detector, 100) if hit.path not in {x.path for x in [*hits, *found]}]
    assert np.median(chosen) < np.median(np.abs(detector.logit(library.vectors(others))))
    assert suggest(library, detector, 3, marked=list(library.paths())) == []
    with pytest.raises(UsageError, match="k is 0"):
        suggest(library, detector, 0)


def test_vectors_of_hits(library: Library, clap: CLAP) -> None:
    hits = library.search("rain", 3)
    text = clap.encode_text("rain")[0]
    assert library.vectors(hits) @ text == pytest.approx([hit.score for hit in hits], abs=1e-5)
    assert library.vectors([]).shape == (0, clap.config.embedding)
    with pytest.raises(LibraryError, match=r"holds no window of .* at 7 s; search again"):
        library.vectors([Hit(hits[0].path, 7.0, 9.0, 0.5)])


def test_a_detector_among_words_and_of_another_model(clap: CLAP, library: Library) -> None:
    hits = library.search("a siren", 3)
    detector = fit(clap, "siren", library.vectors(hits), judged=False)
    both = library.search([detector, "rain"], 12)
    assert {kind_of(hit) for hit in both} >= {"siren", "rain"}
    assert {kind_of(hit) for hit in library.search([detector, "rain"], 6, without="rain")} == {"siren"}
    stranger = Detector("x", None, detector.weight, 0.0, "other", "0000")
    with pytest.raises(DetectorMismatch, match=r"was taught on other \(0000\), not on mini"):
        library.search(stranger)
    with pytest.raises(DetectorMismatch):
        watch(hits[0].path, [stranger], model=clap)


def rainy(siren_at: tuple[int, ...], seconds: int) -> np.ndarray:
    random = np.random.default_rng(3)
    wave = synthesise("rain", random, rate=RATE, seconds=float(seconds))[0]
    wave *= np.float32(0.02 / wave.std())
    for place in siren_at:
        siren = synthesise("siren", random, rate=RATE, seconds=4.0)[0]
        wave[place * RATE : place * RATE + len(siren)] += np.float32(0.15 / siren.std()) * siren
    return np.clip(wave, -1, 1).astype(np.float32)


def test_moments_and_watch(clap: CLAP, library: Library, tmp_path: Path) -> None:
    hits = [hit for hit in library.search("a siren", 6) if kind_of(hit) == "siren"]
    detector = fit(clap, "my siren", library.vectors(hits), text="siren", drawn=library.sample(50))
    sf.write(tmp_path / "rainy.wav", rainy((50, 75), 100), RATE)
    found = moments_in(clap, tmp_path / "rainy.wav", detector, 2)
    assert sorted(round(moment.start / 25) for moment in found) == [2, 3]
    events = list(watch(tmp_path / "rainy.wav", [detector, "glass breaking"], model=clap))
    assert {event.alert for event in events} == {"my siren"}
    assert [48 <= event.start <= 54 or 73 <= event.start <= 79 for event in events] == [True, True]
    twice: list[list[str | Detector]] = [["my siren", detector], [detector, "my siren"]]
    for wrong in twice:
        with pytest.raises(UsageError, match="two alerts are called 'my siren'"):
            watch(hits[0].path, wrong, model=clap)
    with pytest.raises(UsageError, match="not the detector 'my siren' alone"):
        watch(hits[0].path, detector, model=clap)  # type: ignore[arg-type]


# -- on the command line ---------------------------------------------------------------------------------

Ran = tuple[int, list[str], str]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: Path, tmp_path: Path
) -> Callable[..., Ran]:
    """`openclap` in this process → exit code, lines of stdout, stderr."""
    monkeypatch.setenv("OPENCLAP_LIBRARY", str(place / "library"))
    monkeypatch.setenv("OPENCLAP_MODEL", "mini-3")
    monkeypatch.chdir(tmp_path)

    def ran(*args: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["openclap", *args])
        try:
            code = app._run()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        told = capsys.readouterr()
        return code, told.out.splitlines(), told.err

    return ran


def test_taught_and_used_on_the_command_line(run: Callable[..., Ran], place: Path, tmp_path: Path) -> None:
    sounds = place / "sounds"
    yes = [str(sounds / "siren" / f"{i}.wav") for i in range(3)]
    no = [str(sounds / kind / "1.wav") for kind in ("bird", "rain", "dog bark")]
    code, out, err = run("teach", "our siren", "--yes", *yes, "gone.wav", "--no", *no, "--text", "furniture", "--json")
    assert code == 1
    assert "gone.wav: no such file" in err
    told = json.loads(out[0])
    assert told["examples"]["yes"] == told["examples"]["no"] == 3
    assert told["report"]["judged"]
    assert len(told["failed"]) == 1
    assert Path(told["output"]) == tmp_path / "data" / "openclap" / "detectors" / "our siren.safetensors"

    assert [json.loads(line)["name"] for line in run("detectors", "--json")[1]] == ["our siren"]
    both = [str(sounds / kind / "5.wav") for kind in ("siren", "bird")]
    lines = [json.loads(line) for line in run("classify", *both, "--detector", "our siren", "--json")[1]]
    assert [line["detectors"][0]["heard"] for line in lines] == [True, False]
    assert lines[0]["labels"] == []
    assert lines[0]["detectors"][0]["probability"] > 0.5
    with_labels = run("classify", both[0], "--detector", "our siren", "--labels", "siren, rain", "--json")[1]
    assert json.loads(with_labels[0])["labels"][0]["label"] == "siren"
    found = run("search", "--detector", told["output"], "-k", "3", "--json")[1]
    assert {Path(json.loads(line)["path"]).parent.name for line in found} == {"siren"}
    sf.write(tmp_path / "rainy.wav", rainy((50,), 70), RATE)
    (moment,) = run("moments", "rainy.wav", "--detector", "our siren", "-k", "1", "--json")[1]
    assert 48 <= json.loads(moment)["start"] <= 53
    assert run("moments", "rainy.wav", "rain", "--detector", "our siren", "-k", "1")[0] == 0
    assert run("detectors", "--forget", "our siren")[0] == 0
    assert run("detectors", "--json")[1] == []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (["classify", "YES", "--detector", "nix"], "none has been taught yet"),
        (["search", "--detector", "nix"], "none has been taught yet"),
        (["detectors", "--forget", "nix"], "none has been taught yet"),
        (["teach", "../x", "--yes", "YES"], "cannot be a detector's name"),
        (["teach", "x", "--yes", "YES", "--no", "YES"], "say which it is"),
        (["teach", "x", "--yes", "gone.wav"], "no example of 'x' can be used"),
        (["teach", "x", "--yes", "YES", "-o", "YES/x"], "cannot be written"),
        (["moments", "YES"], "say what to look for"),
        (["search"], "say what to look for"),
        (["classify", "YES", "--head", "h", "--detector", "x"], "leave --head or --detector out"),
        (["classify", "YES"], "give the labels with"),
        (["teach", "x"], "--yes"),
        (["teach", "x", "y", "--yes", "YES"], "unexpected extra argument"),
    ],
)
def test_wrong_use_is_one_line(run: Callable[..., Ran], place: Path, wrong: list[str], why: str) -> None:
    sound = str(place / "sounds" / "siren" / "0.wav")
    code, out, err = run(*[word.replace("YES", sound) for word in wrong])
    assert code == 2
    assert not out
    assert why in " ".join(err.split())
    assert "Traceback" not in err


def test_tables_for_people(
    run: Callable[..., Ran], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rain = [str(place / "sounds" / "rain" / f"{i}.wav") for i in range(3)]
    code, out, err = run("teach", "rain", "--yes", *rain, "-o", "r.safetensors")
    assert code == 0, err
    assert (tmp_path / "r.safetensors").exists()
    for words in ("95 % interval", "unmarked", "words alone", "mark these next"):
        assert words in " ".join(out)
    code, out, err = run("teach", "one", "--yes", rain[0], "--library", "none")
    assert code == 2
    assert "none holds no sounds yet" in err
    monkeypatch.delenv("OPENCLAP_LIBRARY")
    assert any("not judged: 1 yes" in line for line in run("teach", "one", "--yes", rain[0])[1])
    assert any(line.startswith("one") for line in run("detectors")[1])
    assert any("heard" in line for line in run("classify", rain[1], "--detector", "r.safetensors")[1])


def test_a_stale_library_of_another_model_is_told_or_refused(
    run: Callable[..., Ran], place: Path, tokenizer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default library only helps, so another model's is left out; one that is asked for must fit."""
    small_clap(tokenizer_file).save_pretrained(tmp_path / "small")
    rain = str(place / "sounds" / "rain" / "0.wav")
    asked = ["teach", "rain", "--yes", rain, "--model", str(tmp_path / "small")]
    assert run(*asked)[0] == 2
    monkeypatch.delenv("OPENCLAP_LIBRARY")
    (tmp_path / "data" / "openclap").mkdir(parents=True)
    (tmp_path / "data" / "openclap" / "library").symlink_to(place / "library")
    code, _, err = run(*asked)
    assert code == 0
    assert "without counter-examples of your library" in err
    assert run("classify", rain, "--detector", "rain")[0] == 2  # mini, which it was not taught on


def test_watch_on_the_command_line(clap: CLAP, library: Library, tmp_path: Path) -> None:
    hits = [hit for hit in library.search("a siren", 6) if kind_of(hit) == "siren"]
    fit(clap, "our siren", library.vectors(hits), text="siren", judged=False).save(tmp_path / "s.safetensors")
    sf.write(tmp_path / "rainy.wav", rainy((50,), 70), RATE)
    done = subprocess.run(
        [sys.executable, "-m", "openclap.cli.app", "watch", "rainy.wav", "--detector", "s.safetensors"],
        capture_output=True, text=True, cwd=tmp_path, check=False, env={**os.environ, "PYTHONPATH": ":".join(sys.path), "OPENCLAP_MODEL": "mini-3"},
    )  # fmt: skip
    assert [json.loads(line)["alert"] for line in done.stdout.splitlines()] == ["our siren"], done.stderr


# -- the page of documentation ---------------------------------------------------------------------------


def test_the_page_says_what_works(run: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands and its Python, as they stand there."""
    monkeypatch.setenv("OPENCLAP_LIBRARY", str(tmp_path / "library"))
    (tmp_path / "sounds").mkdir()
    for name, kind in (("drip", "water drops"), ("rain", "rain"), ("typing", "typing"), ("clock", "clock tick")):
        for take in range(1, 5):
            wave = synthesise(kind, np.random.default_rng(take), rate=RATE, seconds=2.0)[0]
            sf.write(tmp_path / "sounds" / f"{name}-{take}.wav", 0.5 * wave / np.abs(wave).max(), RATE)
    sf.write(tmp_path / "new.wav", synthesise("water drops", np.random.default_rng(9), rate=RATE, seconds=2.0)[0], RATE)
    sf.write(tmp_path / "long.wav", rainy((), 20), RATE)
    page = (Path(__file__).parent.parent / "docs" / "teach.md").read_text(encoding="utf-8")
    lines = re.search(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert lines
    for line in lines[1].splitlines():
        words = [w for word in shlex.split(line) for w in (sorted(glob.glob(word)) if "*" in word else [word])]  # noqa: PTH207
        assert words[0] == "openclap"
        code, _, err = run(*words[1:])
        assert code == 0, (line, err)
    assert [one.name for one in list_detectors()[0]] == ["drip"]
    python = re.search(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert python
    names: dict[str, Any] = {}
    exec(python[1], names)
    assert names["taught"].failed == []
    assert names["detector"].examples["yes"] == 3
