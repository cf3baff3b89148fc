"""Evaluation: metrics against stored and hand-made numbers, every protocol in its authors' layout, heads, reports, verbs."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf
from models_for_tests import small_clap

from openclap import CLAP
from openclap.cli.app import _run
from openclap.data.items import Item
from openclap.errors import (
    DataError,
    HeadError,
    HeadMismatch,
    MissingExtra,
    OpenClapError,
    SoundError,
    UnreadableSound,
    UsageError,
)
from openclap.eval import probe as probing
from openclap.eval.datasets import Dataset, read_items
from openclap.eval.embedding import embed_items, truth_table
from openclap.eval.head import Head, classify_with_head, load_head
from openclap.eval.metrics import (
    Estimate,
    accuracy,
    bootstrap,
    confusion_matrix,
    estimate_retrieval,
    mean_average_precision,
    retrieval_metrics,
    retrieval_ranks,
    top_k,
)
from openclap.eval.probe import fit_layers, probe
from openclap.eval.protocols import PROTOCOLS, Task, _LabelNames, add_published, read_dataset
from openclap.eval.report import EvalReport, write_card, write_report
from openclap.eval.retrieval import retrieval
from openclap.eval.scoring import check_confusion, score_predictions, write_confusion
from openclap.eval.zeroshot import class_vectors, zeroshot
from openclap.labels import LISTS, labels
from openclap.results import Windows
from openclap.scores import average_precision

RATE = 16_000
GOLDEN = Path(__file__).parent / "data/golden/retrieval_metrics.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tokenizer_file: Path) -> Path:
    place = tmp_path_factory.mktemp("eval")
    small_clap(tokenizer_file).save_pretrained(place / "model")
    return place


@pytest.fixture(scope="module")
def clap(folder: Path) -> CLAP:
    return CLAP.from_pretrained(folder / "model")


def tone(path: Path, pitch: float = 440.0, seed: int = 0) -> Path:
    """A quarter of a second of a tone (of noise, where the pitch is 0) in a file, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).standard_normal(RATE // 4) * (0.2 if pitch == 0 else 0.01)
    wave = 0.3 * np.sin(2 * np.pi * pitch * np.arange(RATE // 4) / RATE) + noise
    sf.write(path, wave, RATE, format="AU" if path.suffix == ".au" else None)
    return path


def table(path: Path, rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


# -- metrics -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("definition", ["standard", "laion"])
def test_retrieval_equals_the_golden_numbers(definition: Any) -> None:
    golden = json.loads(GOLDEN.read_text())
    clip_of = np.arange(100) // 5
    matrix = np.random.RandomState(3).standard_normal((20, 100))
    matrix[clip_of, np.arange(100)] += 1.5
    found = retrieval_metrics(retrieval_ranks(matrix, clip_of), definition=definition)
    for way in ("text_to_audio", "audio_to_text"):
        assert found[way] == pytest.approx(golden[way], abs=1e-12)


def test_retrieval_by_hand() -> None:
    """Clip 0 has captions 0 and 1 at places 1 and 3 of three; clip 1 has caption 2 at place 2."""
    ranks = retrieval_ranks([[0.9, 0.1, 0.5], [0.8, 0.2, 0.7]], [0, 0, 1])
    assert [own.tolist() for own in ranks.audio_to_text] == [[0, 2], [1]]
    assert ranks.text_to_audio.tolist() == [0, 1, 0]
    found = retrieval_metrics(ranks)
    assert found["text_to_audio"]["R@1"] == pytest.approx(2 / 3)
    assert found["text_to_audio"]["mAP@10"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert found["text_to_audio"]["mean_rank"] == pytest.approx(4 / 3)
    assert found["audio_to_text"]["R@1"] == 0.5
    assert found["audio_to_text"]["R@5"] == 1
    assert found["audio_to_text"]["mAP@10"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)
    assert found["audio_to_text"]["median_rank"] == 1  # floor(0.5) + 1
    assert retrieval_metrics(ranks, np.array([0, 2]))["text_to_audio"]["R@1"] == 1  # the second clip alone


def test_one_caption_is_the_plain_definition_and_more_than_ten_are_not_laions() -> None:
    matrix = np.random.default_rng(0).standard_normal((30, 30))
    ranks = retrieval_ranks(matrix, np.arange(30))
    expected = np.mean([1 / (r + 1) if r < 10 else 0 for r in ranks.text_to_audio])
    found = retrieval_metrics(ranks)["text_to_audio"]["mAP@10"]
    assert found == pytest.approx(expected)
    perfect = retrieval_ranks(np.kron(np.eye(2), np.ones(20)), np.repeat([0, 1], 20))
    assert retrieval_metrics(perfect)["audio_to_text"]["mAP@10"] == 1
    assert retrieval_metrics(perfect, definition="laion")["audio_to_text"]["mAP@10"] == 0.5


def test_a_model_for_which_all_is_alike_is_at_chance() -> None:
    """Counting what is strictly better would put every collapsed model at 100 %."""
    found = retrieval_metrics(retrieval_ranks(np.zeros((50, 50)), np.arange(50)))
    assert found["text_to_audio"]["R@1"] == found["audio_to_text"]["R@1"] == pytest.approx(1 / 50)


@pytest.mark.parametrize(
    ("matrix", "clip_of"),
    [
        (np.ones(3), [0]),
        (np.ones((2, 2)), [0, 0]),
        (np.ones((2, 2)), [0, 1, 1]),
        ([[np.nan]], [0]),
        (np.ones((1, 2)), [0, 1]),
    ],
)
def test_a_matrix_that_cannot_be_ranked_is_refused(matrix: Any, clip_of: Any) -> None:
    with pytest.raises(UsageError):
        retrieval_ranks(matrix, clip_of)


def test_average_precision_equals_scikit_learns() -> None:
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 12, (300, 4)) / 12, rng.random((300, 4)) < 0.2  # many equal scores
    counts = np.bincount(rng.integers(300, size=300), minlength=300)
    for c in range(4):
        one, true = scores[:, c], truth[:, c]
        assert average_precision(one, true) == pytest.approx(average_precision_score(true, one), abs=1e-12)
        again = average_precision_score(np.repeat(true, counts), np.repeat(one, counts))
        assert average_precision(one, true, counts) == pytest.approx(again, abs=1e-12)
    mean = average_precision_score(truth, scores, average="macro")
    assert np.mean(mean_average_precision(scores, truth)(None)) == pytest.approx(mean, abs=1e-12)
    assert np.isnan(average_precision([0.1, 0.2], [False, False]))


def test_classification_by_hand() -> None:
    scores = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.35, 0.25]])
    truth = [0, 1, 2]
    assert accuracy(scores.argmax(1), truth) == pytest.approx(1 / 3)
    assert accuracy(scores.argmax(1), truth, np.array([2, 0, 0])) == 1
    assert top_k(scores, truth, 2).tolist() == [True, True, False]
    assert confusion_matrix(scores.argmax(1), truth, 3).tolist() == [[1, 0, 0], [0, 0, 1], [1, 0, 0]]


def test_bootstrap_is_as_wide_as_theory_says_and_repeats() -> None:
    right = np.arange(400) < 300
    found = [
        bootstrap(lambda counts: {"p": float(np.average(right, weights=counts))}, 400, draws=2000, rng=seed)["p"]
        for seed in (0, 0, 1)
    ]
    assert found[0] == found[1] != found[2]
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert found[0].value == 0.75
    assert found[0].low == pytest.approx(0.75 - half, abs=0.006)
    assert found[0].high == pytest.approx(0.75 + half, abs=0.006)
    assert bootstrap(lambda _: {"p": 1.0}, 3, draws=0)["p"] == Estimate(1.0)
    with pytest.raises(UsageError, match="level"):
        bootstrap(lambda _: {"p": 1.0}, 3, level=2)


def test_intervals_of_retrieval_draw_clips_with_their_captions() -> None:
    ranks = retrieval_ranks(np.random.default_rng(1).standard_normal((40, 200)), np.arange(200) // 5)
    found = estimate_retrieval(ranks, draws=200, rng=3)
    assert set(found) == {f"{way} {m}" for way, numbers in retrieval_metrics(ranks).items() for m in numbers}
    for estimate in found.values():
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high


# -- examples ----------------------------------------------------------------------------------------


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    rows = [
        ["file", "caption", "label", "split"],
        ["a.wav", "a dog", "dog; rain", "eval"],
        ["a.wav", "two dogs", "dog", ""],
    ]
    table(tmp_path / "metadata.csv", rows)
    with pytest.raises(DataError, match=r"a\.wav disagree"):
        read_items(tmp_path)
    rows[1][3] = rows[2][3] = "test"
    table(tmp_path / "metadata.csv", [*rows, ["b.wav", "", "rain", "train"], ["c.wav", "", "wind", "validation"]])
    data = read_items(tmp_path)
    assert (data.labels, data.multi_label) == (("dog", "rain"), True)
    assert [(e.key, e.captions, e.labels, e.split) for e in data.items] == [
        ("a.wav", ("a dog", "two dogs"), ("dog", "rain"), "test"),
        ("b.wav", (), ("rain",), "train"),
    ]
    assert [e.key for e in data.test_items] == ["a.wav"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["name"], ["a.wav"]], "no column `file`"),
        ([["file", "label"]], "no row"),
        ([["file", "label"], ["", "dog"]], "no row names a file"),
    ],
)
def test_a_table_that_is_wrong_says_how(tmp_path: Path, rows: list[list[str]], words: str) -> None:
    table(tmp_path / "metadata.csv", rows)
    with pytest.raises(DataError, match=words):
        read_items(tmp_path)


def test_a_bad_file_is_named_and_stops_nothing(tmp_path: Path, clap: CLAP) -> None:
    good = [tone(tmp_path / f"{i}.wav", 200 * i) for i in range(3)]
    (tmp_path / "bad.wav").write_text("no sound")
    paths = [good[0], tmp_path / "bad.wav", good[1], tmp_path / "missing.wav", good[2]]
    used = embed_items(clap, [Item.at(path, ("a dog",)) for path in paths])
    assert [e.sound for e in used.items] == good
    assert np.allclose(used.vectors, clap.encode_audio(good), atol=1e-5)
    assert [Path(f.path).name for f in used.failed] == ["bad.wav", "missing.wav"]
    assert len(retrieval(clap, Dataset("x", [Item.at(p, ("a dog",)) for p in paths]), draws=2).failed) == 2
    with pytest.raises(UsageError, match=r"not one of 1 sound.*no such file"):
        embed_items(clap, [Item.at(tmp_path / "missing.wav")])


# -- retrieval and zero-shot -------------------------------------------------------------------------


def test_retrieval_is_the_metrics_of_the_models_cosines(tmp_path: Path, clap: CLAP) -> None:
    captions = [("a dog", "the dog barking"), ("heavy rain",), ("glass breaking", "a siren", "people laughing")]
    paths = [tone(tmp_path / f"{i}.wav", 300 * i) for i in range(3)]
    data = Dataset("x", [Item.at(p, c) for p, c in zip(paths, captions, strict=True)])
    found = retrieval(clap, data, draws=10)
    cosines = clap.similarity(clap.encode_audio(paths), clap.encode_text([c for many in captions for c in many]))
    expected = retrieval_metrics(retrieval_ranks(cosines, [0, 0, 1, 2, 2, 2]))
    assert found.metrics["text_to_audio mean_rank"].value == expected["text_to_audio"]["mean_rank"]
    assert found.metrics["audio_to_text mAP@10"].value == expected["audio_to_text"]["mAP@10"]
    assert (found.model, found.fingerprint, found.examples) == ("small", clap.fingerprint, 3)
    with pytest.raises(UsageError, match="no captions"):
        retrieval(clap, Dataset("x", [Item.at(paths[0], labels=("dog",))], ("dog",)))


def test_zeroshot_is_classify_one_by_one(tmp_path: Path, clap: CLAP) -> None:
    names = ("dog", "rain", "siren")
    examples = [Item.at(tone(tmp_path / f"{i}.wav", 250 * i), labels=(names[i % 3],)) for i in range(6)]
    report, judged = zeroshot(clap, Dataset("x", examples, names), draws=5)
    answers = [clap.classify(e.read(), names)[0].label for e in examples]
    right = [answer == e.labels[0] for answer, e in zip(answers, examples, strict=True)]
    assert report.metrics["accuracy"].value == pytest.approx(np.mean(right))
    assert judged.confusion is not None
    assert judged.confusion.sum(axis=1).tolist() == [2, 2, 2]
    assert judged.confusion.sum(axis=0).tolist() == [answers.count(name) for name in names]


def test_an_ensemble_is_the_mean_of_unit_vectors(clap: CLAP) -> None:
    templates = ["a {}", "the sound of {}"]
    found = class_vectors(clap, ["dog", "rain"], templates)
    rows = [clap.encode_text([t.replace("{}", x) for t in templates]).mean(0) for x in ("dog", "rain")]
    assert np.allclose(found, [row / np.linalg.norm(row) for row in rows], atol=1e-6)
    for wrong in (["no place"], ["{} {}"], []):
        with pytest.raises(UsageError):
            class_vectors(clap, ["dog"], wrong)


def test_several_labels_a_sound(tmp_path: Path, clap: CLAP) -> None:
    from sklearn.metrics import average_precision_score

    names = ("dog", "rain", "siren", "glass")
    given = [("dog",), ("rain", "dog"), ("siren",), ("rain",), ()]
    examples = [Item.at(tone(tmp_path / f"{i}.wav", 250 * i), labels=given[i]) for i in range(5)]
    report, judged = zeroshot(clap, Dataset("x", examples, names, multi_label=True), draws=5)
    used = embed_items(clap, examples[:4])
    truth, scores = truth_table(used.items, names), clap.similarity(used.vectors, class_vectors(clap, names))
    expected = np.mean([average_precision_score(truth[:, c], scores[:, c]) for c in range(3)])  # glass never occurs
    assert report.metrics["mAP"].value == pytest.approx(expected)
    assert [(c.label, c.examples, c.score is None) for c in judged.classes][3] == ("glass", 0, True)
    assert report.notes == [
        "1 sound without a label was left out",
        "1 sound has several labels, so each label is judged by itself",
    ]
    with pytest.raises(UsageError, match="multi-label"):
        write_confusion(judged, tmp_path / "x.csv")


def test_folds_classes_and_confusions_by_hand(tmp_path: Path) -> None:
    names = ("dog", "rain")
    examples = [Item.at(Path(f"{i}"), labels=(names[i % 2],), fold="12"[i > 2]) for i in range(4)]
    used = embed_items(cast("CLAP", Vectors(np.eye(4))), examples)
    scores = np.array([[[1, 0], [1, 0], [1, 0], [0, 1]]])
    judged = score_predictions(used, scores, names, multi_label=False, draws=3, seed=0)
    assert judged.metrics["accuracy"].value == 0.75
    assert judged.folds == {"1": pytest.approx(2 / 3), "2": 1.0}
    assert judged.metrics["mean of folds accuracy"].value == pytest.approx(5 / 6)
    assert [(c.score, c.taken_for) for c in judged.classes] == [(1.0, None), (0.5, "dog")]
    write_confusion(judged, tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_text() == "truth,dog,rain\ndog,2,0\nrain,1,1\n"
    write_confusion(judged, tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(UsageError, match=r"\.csv or \.png"):
        write_confusion(judged, tmp_path / "c.gif")


# -- probes ------------------------------------------------------------------------------------------


class Vectors:
    """A model that hears vectors prepared beforehand: a file's name is the row's number."""

    name, fingerprint = "vectors", "0" * 16
    backend = types.SimpleNamespace(info="a test")

    def __init__(self, rows: npt.ArrayLike) -> None:
        self.rows = np.asarray(rows, np.float32)

    def encode_each(self, sounds: Sequence[Path], **_: object) -> Iterator[Windows | SoundError]:
        for sound in sounds:
            row = int(sound.name)
            broken = UnreadableSound(str(sound), "no sound")
            yield Windows(np.zeros(1), np.zeros(1), self.rows[row][None]) if row < len(self.rows) else broken


def clusters(examples: int, classes: int, spread: float, seed: int = 0) -> tuple[CLAP, Dataset]:
    """Unit vectors around one centre a class."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((classes, 16))
    truth = np.arange(examples) % classes
    rows = centres[truth] + spread * rng.standard_normal((examples, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = tuple(f"class {i}" for i in range(classes))
    data = Dataset("clusters", [Item.at(Path(f"{i}"), labels=(names[t],)) for i, t in enumerate(truth)], names)
    return cast("CLAP", Vectors(rows)), data


@pytest.mark.parametrize("multi_label", [False, True])
def test_slopes_are_those_of_finite_differences(multi_label: bool) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 4)), np.eye(3)[rng.integers(0, 3, 6)]
    layers = [
        (rng.standard_normal((5, 4)), rng.standard_normal(5)),
        (rng.standard_normal((3, 5)), rng.standard_normal(3)),
    ]

    def loss() -> float:
        z = np.maximum(x @ layers[0][0].T + layers[0][1], 0) @ layers[1][0].T + layers[1][1]
        if multi_label:
            return float((np.logaddexp(0, z) - z * y).sum(1).mean())
        return float((np.log(np.exp(z).sum(1)) - (z * y).sum(1)).mean())

    slopes = probing._gradients(cast("Any", layers), cast("Any", x), cast("Any", y), multi_label)
    for parameter, slope in zip([p for layer in layers for p in layer], slopes, strict=True):
        for place in np.ndindex(parameter.shape):
            before = parameter[place]
            parameter[place] = before + 1e-5
            up = loss()
            parameter[place] = before - 1e-5
            assert slope[place] == pytest.approx((up - loss()) / 2e-5, abs=1e-6)
            parameter[place] = before


def test_a_linear_probe_is_as_good_as_scikit_learns() -> None:
    from sklearn.linear_model import LogisticRegression

    clap, data = clusters(400, 8, 0.9)
    report, judged, _ = probe(clap, data, draws=20)
    rows, truth = cast("Vectors", clap).rows, np.arange(400) % 8
    folds = probing._draw_folds(np.eye(8, dtype=bool)[truth], 0)
    answers = np.zeros(400, int)
    for fold in set(folds):
        other = LogisticRegression(C=100, max_iter=2000).fit(rows[folds != fold], truth[folds != fold])
        answers[folds == fold] = other.predict(rows[folds == fold])
    assert report.metrics["accuracy"].value == pytest.approx(np.mean(answers == truth), abs=0.02)
    assert 0.6 < report.metrics["accuracy"].value < 1
    assert set(judged.folds) == set("12345")
    assert report.settings["judged by"] == "5 folds, drawn"


def test_a_probe_is_judged_on_what_it_has_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels drawn at random: a probe that sees its test examples would know them by heart."""
    monkeypatch.setattr(probing, "STEPS", 150)
    clap, data = clusters(200, 2, 3.0, seed=1)
    drawn = np.random.default_rng(5).permutation(200)
    examples = [Item.at(Path(f"{drawn[i]}"), labels=e.labels) for i, e in enumerate(data.items)]
    for kind in ("linear", "mlp"):
        report, _, _ = probe(clap, Dataset("x", examples, data.labels), kind=cast("Any", kind), draws=2)
        assert 0.35 < report.metrics["accuracy"].value < 0.65


def test_a_split_and_a_seed_decide() -> None:
    clap, data = clusters(60, 3, 0.5)
    splits = [replace(e, split="test" if i < 20 else "train") for i, e in enumerate(data.items)]
    split = Dataset("x", [*splits, Item.at(Path("999"), labels=("class 0",), split="test")], data.labels)
    one, two, other = (probe(clap, split, draws=5, seed=seed) for seed in (0, 0, 1))
    assert one[0] == two[0]
    assert all(
        np.array_equal(a, b)
        for x, y in zip(one[2].layers, two[2].layers, strict=True)
        for a, b in zip(x, y, strict=True)
    )
    assert not np.array_equal(one[2].layers[0][0], other[2].layers[0][0])
    assert (one[0].examples, one[0].settings["examples of the saved head"]) == (20, 40)
    assert [f.path for f in one[0].failed] == ["999"]
    with pytest.raises(UsageError, match="none says test"):
        probe(clap, Dataset("x", [e for e in splits if e.split == "train"], data.labels))
    with pytest.raises(UsageError, match="two or more"):
        probe(clap, Dataset("x", [e for e in splits if e.labels == ("class 0",)], data.labels))


def test_an_mlp_bends_where_a_line_cannot() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 2)).astype(np.float32)
    truth = np.eye(2, dtype=bool)[(x[:, 0] * x[:, 1] > 0).astype(int)]
    right = {}
    for kind in ("linear", "mlp"):
        head = Head(fit_layers(x, truth, kind=cast("Any", kind)), ("a", "b"), False, "m", "f")
        right[kind] = np.mean(head.probabilities(x).argmax(1) == truth.argmax(1))
    assert right["linear"] < 0.7
    assert right["mlp"] > 0.95


def test_several_labels_are_learnt_each_by_itself() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((120, 8)).astype(np.float32)
    truth = rows[:, :3] > 0.3
    names = ("a", "b", "c")
    examples = [
        Item.at(Path(f"{i}"), labels=tuple(n for n, t in zip(names, row, strict=True) if t))
        for i, row in enumerate(truth)
    ]
    report, _, head = probe(cast("CLAP", Vectors(rows)), Dataset("x", examples, names, multi_label=True), draws=5)
    assert report.metrics["mAP"].value > 0.9
    assert head.probabilities(np.eye(8)[:3] * 5).argmax(1).tolist() == [0, 1, 2]
    assert max(head.probabilities(np.full((1, 8), 5.0))[0]) <= 1


def test_a_few_examples_drawn_several_times() -> None:
    clap, data = clusters(100, 5, 1.2)
    report, _, _ = probe(clap, data, shots=2, few_draws=3, draws=5)
    assert report.settings["examples of the saved head"] == 10
    each = report.settings["each draw"]
    assert len(each) == 3
    assert report.metrics["accuracy"].value == pytest.approx(np.mean(each), abs=1e-3)
    assert report.metrics["accuracy"].value < probe(clap, data, draws=0)[0].metrics["accuracy"].value
    with pytest.raises(UsageError, match="1 or more"):
        probe(clap, data, shots=0)
    with pytest.raises(UsageError, match="linear, mlp"):
        probe(clap, data, kind=cast("Any", "forest"))


# -- heads -------------------------------------------------------------------------------------------


def make_head(clap: CLAP, **changes: object) -> Head:
    size = clap.config.embedding
    rng = np.random.default_rng(0)
    layers = ((rng.standard_normal((2, size)).astype(np.float32), np.zeros(2, np.float32)),)
    facts = {
        "layers": layers,
        "labels": ("dog", "雨"),
        "multi_label": False,
        "model": clap.name,
        "fingerprint": clap.fingerprint,
    }
    return Head(**{**facts, **changes})  # type: ignore[arg-type]


def test_a_head_comes_back_as_it_was(tmp_path: Path, clap: CLAP) -> None:
    head = make_head(clap)
    head.save(tmp_path / "h.safetensors")
    again = load_head(tmp_path / "h.safetensors")
    assert (again.labels, again.model, again.fingerprint, again.size) == (head.labels, "small", clap.fingerprint, 24)
    sound = tone(tmp_path / "a.wav")
    found = classify_with_head(clap, sound, again)
    assert found == head.classify(clap.encode_audio(sound)[0])
    (label, probability), other = found
    assert label in ("dog", "雨")
    assert probability + other.probability == pytest.approx(1)
    with pytest.raises(UsageError, match="cannot be written"):
        head.save(tmp_path / "nowhere/h.safetensors")


def test_a_head_of_another_model_is_refused_by_name(clap: CLAP) -> None:
    with pytest.raises(HeadMismatch, match=r"trained on other \(abc\), not on small"):
        classify_with_head(clap, "never read.wav", make_head(clap, model="other", fingerprint="abc"))
    with pytest.raises(HeadMismatch, match="24 numbers"):
        make_head(clap).classify(np.zeros(7))


def test_what_is_no_head_says_so(tmp_path: Path, clap: CLAP, folder: Path) -> None:
    from safetensors.numpy import save_file

    (tmp_path / "text").write_text("no head")
    head = make_head(clap, labels=("dog",))
    head.save(tmp_path / "labels")
    facts = {"format": "openclap-head", "version": "9"}
    save_file({"x": np.zeros(1)}, tmp_path / "version", metadata=facts)
    save_file({"x": np.zeros(1)}, tmp_path / "facts", metadata={**facts, "version": "1"})
    places = {
        "text": "cannot be read",
        "labels": "broken",
        "version": "version 9",
        "facts": "broken",
        "none": "cannot be",
    }
    for name, words in places.items():
        with pytest.raises(HeadError, match=words):
            load_head(tmp_path / name)
    with pytest.raises(HeadError, match="not a file of a classification head"):
        load_head(folder / "model/model.safetensors")


# -- protocols ---------------------------------------------------------------------------------------


def lay_esc50(place: Path) -> None:
    rows = [["filename", "fold", "target", "category", "esc10", "src_file", "take"]]
    for fold in range(1, 6):
        for category, pitch in (("dog", 300), ("sea_waves", 0)):
            rows.append([f"{fold}-{category}.wav", str(fold), "0", category, "True", "1", "A"])
            tone(place / "audio" / rows[-1][0], pitch, fold)
    table(place / "meta/esc50.csv", rows)


def lay_urbansound8k(place: Path) -> None:
    rows = [["slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"]]
    for fold in (1, 2, 10):
        for name, pitch in (("air_conditioner", 0), ("car_horn", 500)):
            rows.append([f"{fold}-{name}.wav", "1", "0", "4", "1", str(fold), "0", name])
            tone(place / f"audio/fold{fold}" / rows[-1][0], pitch, fold)
    table(place / "metadata/UrbanSound8K.csv", rows)


def lay_audiocaps(place: Path) -> None:
    head = ["audiocap_id", "youtube_id", "start_time", "caption"]
    clips = [("abc-_1", "30", "test/abc-_1_30.wav"), ("Ydef", "0", "audio/YYdef.flac"), ("ghi", "5", "103.wav")]
    rows = [[100 + i, name, start, f"a dog {j}"] for i, (name, start, _) in enumerate(clips, 1) for j in range(5)]
    table(place / "dataset/test.csv", [head, *rows])
    for i, (_, _, file) in enumerate(clips):
        tone(place / file, 300 * i)


def lay_clotho(place: Path) -> None:
    head = ["file_name", *(f"caption_{i}" for i in range(1, 6))]
    names = ["Rain, on a roof.wav", "dog.wav"]
    table(
        place / "clotho_captions_evaluation.csv",
        [head, *([n, *(f"the sound {n} {i}" for i in range(5))] for n in names)],
    )
    for i, name in enumerate(names):
        tone(place / "evaluation" / name, 300 * i)


def lay_vggsound(place: Path) -> None:
    clips = [("---g-f_I2yQ", 1, "people marching"), ("xyz", 30, "playing violin, fiddle")]
    rows = [[name, start, label, split] for name, start, label in clips for split in ("test",)]
    rows += [["aaa", 7, "people marching", "train"], ["bbb", 8, "playing violin, fiddle", "train"]]
    table(place / "vggsound.csv", rows)
    for i, file in enumerate(["---g-f_I2yQ_000001", "xyz_30000_40000", "aaa_7", "bbb_8_18"]):
        tone(place / f"clips/{file}.wav", 300 * (i % 2))


def lay_fsd50k(place: Path) -> None:
    for part, head in (("dev", ["fname", "labels", "mids", "split"]), ("eval", ["fname", "labels", "mids"])):
        rows = [["1", "Bark,Dog", "/m/1"], ["2", "Gunshot_and_gunfire", "/m/2"], ["3", "Rattle_(instrument)", "/m/3"]]
        table(place / f"FSD50K.ground_truth/{part}.csv", [head, *([*row, "train"][: len(head)] for row in rows)])
        for name, *_ in rows:
            tone(place / f"FSD50K.{part}_audio/{name}.wav", 200 * int(name), ord(part[0]))


def lay_gtzan(place: Path) -> None:
    for genre, pitch in (("blues", 0), ("rock", 700)):
        for i in range(5):
            tone(place / f"genres/{genre}/{genre}.{i:05d}.au", pitch, i)


LAYOUTS: dict[str, Callable[[Path], None]] = {p.name: globals()[f"lay_{p.name}"] for p in PROTOCOLS}
RUNS = [(p.name, task) for p in PROTOCOLS for task in p.tasks]
EXAMPLES = {  # how many; the facts of the first, of the last
    "esc50": (10, ("dog",), "1", None, ("sea waves",), "5", None),
    "urbansound8k": (6, ("air conditioner",), "1", None, ("car horn",), "10", None),
    "audiocaps": (3, (), None, None, (), None, None),
    "clotho": (2, (), None, None, (), None, None),
    "vggsound": (4, ("people marching",), None, "test", ("playing violin, fiddle",), None, "train"),
    "fsd50k": (6, ("Bark", "Dog"), None, "train", ("Rattle (instrument)",), None, "test"),
    "gtzan": (10, ("blues",), None, None, ("rock",), None, None),
}


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    places: dict[str, Path] = {}

    def place_of(name: str) -> Path:
        if name not in places:
            places[name] = tmp_path_factory.mktemp(name)
            LAYOUTS[name](places[name])
        return places[name]

    return place_of


@pytest.mark.parametrize(("name", "task"), RUNS)
def test_every_protocol_from_its_authors_layout_to_a_metric(
    laid: Callable[[str], Path], clap: CLAP, name: str, task: Task
) -> None:
    data = read_dataset(laid(name), task, name)
    assert [e.place for e in data.items if not Path(e.place).is_file()] == []
    first, last = data.items[0], data.items[-1]
    assert (len(data.items), first.labels, first.fold, first.split, last.labels, last.fold, last.split) == EXAMPLES[
        name
    ]
    if name in LISTS:
        assert data.labels == tuple(labels(name))
    if task == "retrieval":
        assert all(len(example.captions) == 5 for example in data.items)
        report = retrieval(clap, data, draws=2)
    elif task == "zeroshot":
        report = zeroshot(clap, data, draws=2)[0]
    else:
        report = probe(clap, data, draws=2)[0]
    assert report.failed == []
    report = add_published(report, name)
    assert report.protocol == name
    assert set(report.published) <= set(report.metrics)
    assert all(0 <= x.value <= 1 for metric, x in report.metrics.items() if not metric.endswith("_rank"))


def test_a_clip_that_vanished_is_counted(tmp_path: Path, clap: CLAP) -> None:
    lay_audiocaps(tmp_path)
    (tmp_path / "103.wav").unlink()
    report = retrieval(clap, read_dataset(tmp_path, "retrieval", "audiocaps"), draws=2)
    assert report.examples == 2
    assert [Path(f.path).name for f in report.failed] == ["ghi_5.wav"]


def test_no_two_labels_of_a_benchmark_are_mixed_up() -> None:
    for name in LISTS:
        if name != "audioset":
            names = _LabelNames(labels(name))
            assert [names(label) for label in names.labels] == list(names.labels)
    fsd50k = _LabelNames(labels("fsd50k"))
    assert fsd50k("Dishes_and_pots_and_pans") == "Dishes, pots, and pans"
    assert fsd50k("Livestock_and_farm_animals_and_working_animals") == "Livestock, farm animals, working animals"
    with pytest.raises(UsageError, match="no label"):
        fsd50k("Unicorn")


# -- reports -----------------------------------------------------------------------------------------


def a_report(**changes: Any) -> EvalReport:
    facts = {
        "task": "zeroshot", "dataset": "x", "protocol": "esc50", "model": "small", "fingerprint": "f", "runs_on": "cpu",
        "examples": 3, "settings": {"seed": 0}, "metrics": {"accuracy": Estimate(0.5, 0.25, 0.75)},
        "published": {"accuracy": 0.91},
    }  # fmt: skip
    return EvalReport(**{**facts, **changes})


def test_a_card_is_renewed_and_nothing_else_in_it(tmp_path: Path) -> None:
    card = tmp_path / "CARD.md"
    card.write_text("# My model\n\nTrained with love.\n")
    write_card(a_report(), card)
    write_card(a_report(protocol="gtzan"), card)
    card.write_text(card.read_text() + "\nThe end.\n")
    before = card.read_text()
    write_card(a_report(metrics={"accuracy": Estimate(0.75, 0.5, 1.0)}), card)
    after = card.read_text()
    assert "| accuracy | 50.0 % | 25.0 % to 75.0 % | 91.0 % |" in before
    assert after == before.replace("50.0 % | 25.0 % to 75.0 %", "75.0 % | 50.0 % to 100.0 %", 1)
    card.write_text("<!-- openclap eval zeroshot esc50 -->\n")
    with pytest.raises(UsageError, match="after it"):
        write_card(a_report(), card)


def test_a_report_is_json_that_names_its_format(tmp_path: Path) -> None:
    write_report(a_report(), tmp_path / "r.json")
    found = json.loads((tmp_path / "r.json").read_text())
    assert (found["format"], found["version"], found["fingerprint"]) == ("openclap-eval", 1, "f")
    assert found["metrics"] == {"accuracy": {"value": 0.5, "low": 0.25, "high": 0.75}}
    with pytest.raises(UsageError, match="cannot be written"):
        write_report(a_report(), tmp_path / "nowhere/r.json")


# -- the command line --------------------------------------------------------------------------------


@pytest.fixture
def cli(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setenv("OPENCLAP_MODEL", str(folder / "model"))

    def run(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["openclap", *map(str, args)])
        try:
            code = _run()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_one_command_from_a_benchmark_to_files(tmp_path: Path, cli: Any) -> None:
    lay_esc50(tmp_path)
    (tmp_path / "audio/1-dog.wav").write_text("no sound")
    files = {name: tmp_path / name for name in ("r.json", "card.md", "c.png", "h.safetensors")}
    places = ("--report", files["r.json"], "--card", files["card.md"], "--confusion", files["c.png"])
    code, out, err = cli(
        "eval", "probe", tmp_path, "--protocol", "esc50", *places, "--save", files["h.safetensors"], "--json"
    )
    assert code == 1
    assert "1-dog.wav" in err
    report = json.loads(out)
    assert report == json.loads(files["r.json"].read_text())
    assert (report["protocol"], report["examples"], len(report["failed"])) == ("esc50", 9, 1)
    assert set(report["folds"]) == set("12345")
    assert "openclap eval probe esc50 linear" in files["card.md"].read_text()
    code, out, _ = cli("classify", tmp_path / "audio/2-dog.wav", "--head", files["h.safetensors"], "--json", "--top", 2)
    assert code == 0
    assert [set(guess) for guess in json.loads(out)["labels"]] == [{"label", "probability"}] * 2
    assert json.loads(out)["labels"][0]["label"] == "dog"
    code, out, err = cli("classify", tmp_path / "audio/2-dog.wav", "--head", files["h.safetensors"], "--model", "mini")
    assert (code, out) == (2, "")
    assert "trained on small" in err


def test_tables_are_for_people(laid: Callable[[str], Path], cli: Any) -> None:
    code, out, err = cli(
        "eval", "zeroshot", laid("esc50"), "--protocol", "esc50", "--template", "{}", "--template", "a {}"
    )
    assert (code, err.strip()) == (0, "10 of the 2000 sounds of esc50 were judged")
    assert "accuracy" in out
    assert "91.0 %" in out
    assert "sea waves" in out
    code, out, _ = cli("eval", "retrieval", laid("clotho"), "--protocol", "clotho", "--map", "laion", "--draws", 0)
    assert code == 0
    assert "mAP@10" in out
    assert "clotho" in cli("eval", "protocols")[1]
    assert [json.loads(line)["name"] for line in cli("eval", "protocols", "--json")[1].splitlines()] == list(LAYOUTS)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("eval", "zeroshot", "nowhere"), "nothing is there"),
        (("eval", "zeroshot", "{esc50}"), "metadata.csv"),
        (("eval", "zeroshot", "{esc50}", "--protocol", "esc60"), "is no protocol"),
        (("eval", "retrieval", "{esc50}", "--protocol", "esc50"), "not for retrieval"),
        (("eval", "zeroshot", "{gtzan}", "--protocol", "esc50"), "meta/esc50.csv and audio"),
        (("eval", "zeroshot", "{esc50}", "--protocol", "esc50", "--template", "dog"), "must hold"),
        (("eval", "zeroshot", "{esc50}", "--protocol", "esc50", "--report", "/nowhere/r.json"), "does not exist"),
        (("eval", "zeroshot", "{esc50}", "--protocol", "esc50", "--confusion", "c.gif"), ".csv or .png"),
        (("eval", "zeroshot", "{fsd50k}", "--protocol", "fsd50k", "--confusion", "c.png"), "multi-label"),
        (("eval", "probe", "{esc50}", "--protocol", "esc50", "--shots", "0"), "--shots"),
        (("eval", "probe", "{esc50}", "--protocol", "esc50", "--save", "h.pt"), ".safetensors"),
        (("eval", "probe", "{esc50}", "--protocol", "esc50", "--kind", "forest"), "forest"),
        (("eval", "nonsense"), "nonsense"),
        (("classify", "x.wav", "--head", "h.safetensors", "--labels", "dog"), "has its own labels"),
        (("classify", "x.wav", "--head", "nowhere.safetensors"), "cannot be read as a classification head"),
    ],
)
def test_wrong_use_is_a_sentence(laid: Callable[[str], Path], cli: Any, args: tuple[str, ...], words: str) -> None:
    places = {f"{{{name}}}": name for name in LAYOUTS}
    code, out, err = cli(*(laid(places[arg]) if arg in places else arg for arg in args))
    assert (code, out) == (2, "")
    assert words in " ".join(err.split())
    assert "Traceback" not in err


def test_a_model_that_has_heard_the_clips_says_so() -> None:
    whole = {"examples": 2000}
    (note,) = add_published(a_report(model="mini", **whole), "esc50").notes
    assert "trained on clips of esc50" in note
    assert add_published(a_report(**whole), "esc50").notes == add_published(a_report(), None).notes == []
    assert add_published(a_report(), "esc50").notes == ["3 of the 2000 sounds of esc50 were judged"]


def test_a_missing_extra_is_told_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclap.eval.scoring.find_spec", lambda _: None)
    check_confusion(Path("c.csv"), multi_label=False)
    with pytest.raises(MissingExtra, match="matplotlib"):
        check_confusion(Path("c.png"), multi_label=False)


def test_errors_of_heads_have_their_place() -> None:
    assert issubclass(HeadMismatch, HeadError)
    assert issubclass(HeadError, OpenClapError)
    assert (HeadMismatch.exit_code, HeadMismatch.http_status) == (2, 409)


def test_the_base_install_is_enough(laid: Callable[[str], Path]) -> None:
    """Neither torch nor scikit-learn nor matplotlib is imported for a probe on the model that ships."""
    code = (
        "import sys; sys.argv = ['openclap', 'eval', 'probe', sys.argv[1], '--protocol', 'gtzan', '--draws', '9', '--json']\n"
        "from openclap.cli.app import _run\n"
        "try: _run()\n"
        "except SystemExit as leaving: assert not leaving.code, leaving.code\n"
        "print([m for m in ('torch', 'sklearn', 'matplotlib', 'scipy', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(laid("gtzan"))], capture_output=True, text=True, check=True)
    report, heavy = done.stdout.splitlines()
    assert heavy == "[]"
    assert json.loads(report)["metrics"]["accuracy"]["value"] == 1.0  # noise against a tone
