"""`eval paper`: the benchmarks of one folder, in their authors' layouts and of synthesised sounds, beside what the paper prints."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from models_for_tests import small_config

from openclap import CLAP
from openclap.cli.app import _run
from openclap.errors import DataError, UsageError
from openclap.eval import kept_rows
from openclap.eval.embedding import embed_items
from openclap.eval.kept_rows import KeptRows
from openclap.eval.paper import ENTRIES, PaperSettings, evaluate_paper, long_of_paper
from openclap.eval.paper_report import metric_name, paper_section, write_paper_card
from openclap.eval.probe import probe
from openclap.eval.protocols import PROTOCOLS, read_dataset
from openclap.eval.published import FILE, find_published, published_scores, rows_of_model
from openclap.eval.report import read_report
from openclap.eval.retrieval import retrieval
from openclap.eval.zeroshot import zeroshot
from openclap.synth import synthesise

RATE = 16_000
DRAWS = PaperSettings(draws=5)


def sound(path: Path, kind: str, seed: int = 0) -> None:
    """A second of a synthesised sound in a file, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave, _ = synthesise(kind, np.random.default_rng(seed), rate=RATE, seconds=1.0)
    sf.write(path, wave, RATE)


def table(path: Path, rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def lay_esc50(place: Path) -> None:
    rows: list[list[object]] = [["filename", "fold", "target", "category"]]
    for fold in (1, 2):
        for kind in ("rain", "siren"):
            sound(place / f"audio/{fold}-{kind}.wav", kind, fold)
            rows.append([f"{fold}-{kind}.wav", fold, 0, kind])
    table(place / "meta/esc50.csv", rows)


def lay_urbansound8k(place: Path) -> None:
    rows: list[list[object]] = [["slice_file_name", "fold", "class"]]
    for fold in (1, 2):
        sound(place / f"audio/fold{fold}/{fold}.wav", "siren", fold)
        rows.append([f"{fold}.wav", fold, "siren"])
    table(place / "metadata/UrbanSound8K.csv", rows)


def lay_audiocaps(place: Path) -> None:
    rows: list[list[object]] = [["audiocap_id", "youtube_id", "start_time", "caption"]]
    for i, kind in enumerate(("rain", "siren")):
        sound(place / f"test/{kind}_30.wav", kind, i)
        rows += [[i, kind, 30, f"{kind} is heard {j}"] for j in range(5)]
    table(place / "test.csv", rows)


def lay_clotho(place: Path) -> None:
    rows: list[list[object]] = [["file_name", *(f"caption_{i}" for i in range(1, 6))]]
    for i, kind in enumerate(("rain", "siren", "wind")):
        sound(place / f"evaluation/{kind}.wav", kind, i)
        rows.append([f"{kind}.wav", *(f"{kind} is heard {j}" for j in range(5))])
    table(place / "clotho_captions_evaluation.csv", rows)


def lay_vggsound(place: Path) -> None:
    rows: list[list[object]] = []
    for split in ("train", "test"):
        for start, (kind, label) in enumerate((("rain", "raining"), ("siren", "police car (siren)"))):
            sound(place / f"clips/{kind}-{split}_{start:06d}.wav", kind, len(rows))
            rows.append([f"{kind}-{split}", start, label, split])
    table(place / "vggsound.csv", rows)


def lay_fsd50k(place: Path) -> None:
    for part in ("dev", "eval"):
        rows: list[list[object]] = [["fname", "labels", "mids"]]
        for i, (kind, label) in enumerate((("rain", "Rain"), ("siren", "Siren"))):
            sound(place / f"FSD50K.{part}_audio/{i}.wav", kind, i + 10 * len(part))
            rows.append([i, label, ""])
        table(place / f"FSD50K.ground_truth/{part}.csv", rows)


LAYOUTS: dict[str, tuple[str, Callable[[Path], None]]] = {  # as their archives are called, unpacked
    "esc50": ("ESC-50-master", lay_esc50),
    "urbansound8k": ("UrbanSound8K", lay_urbansound8k),
    "audiocaps": ("AudioCaps", lay_audiocaps),
    "clotho": ("clotho_v2.1", lay_clotho),
    "vggsound": ("vggsound", lay_vggsound),
    "fsd50k": ("FSD50K", lay_fsd50k),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every benchmark of the paper."""
    data = tmp_path_factory.mktemp("benchmarks")
    for name, lay in LAYOUTS.values():
        lay(data / name)
    return data


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with two benchmarks."""
    for benchmark in ("esc50", "clotho"):
        name, lay = LAYOUTS[benchmark]
        lay(tmp_path / "data" / name)
    return tmp_path / "data"


@pytest.fixture(scope="module")
def mini() -> CLAP:
    return CLAP.from_pretrained("mini", threads=1)


def test_the_miniatures_give_every_number_of_the_paper(whole: Path, tmp_path: Path, mini: CLAP) -> None:
    lines: list[str] = []
    found = evaluate_paper(mini, whole, DRAWS, place=tmp_path / "kept", tell=lines.append)
    assert found.skipped == []
    assert list(found.reports) == [entry.name for entry in ENTRIES]
    assert len(lines) == len(ENTRIES)
    assert [row.metric for row in found.rows] == [metric for entry in ENTRIES for metric in entry.metrics]
    with FILE.open(encoding="utf-8", newline="") as file:
        printed = list(csv.DictReader(file))
    shown = {(row.benchmark, row.task, row.metric) for row in found.rows}
    assert {(one["benchmark"], one["task"], one["metric"]) for one in printed} <= shown
    assert {(row.table, row.benchmark) for row in found.rows if row.table} >= {
        (int(one["table"]), one["benchmark"]) for one in printed
    }
    for row in found.rows:
        if row.published is not None:
            assert row.difference == pytest.approx(row.value - row.published)
    # each is what its own verb computes
    alone = {
        "clotho": retrieval(mini, read_dataset(whole / "clotho_v2.1", "retrieval", "clotho"), draws=0),
        "esc50": zeroshot(mini, read_dataset(whole / "ESC-50-master", "zeroshot", "esc50"), draws=0)[0],
        "fsd50k-probe": probe(mini, read_dataset(whole / "FSD50K", "probe", "fsd50k"), draws=0)[0],
    }
    for name, report in alone.items():
        assert {m: e.value for m, e in found.reports[name].metrics.items()} == {
            m: pytest.approx(e.value) for m, e in report.metrics.items()
        }
    assert "2 of the 8732 sounds of urbansound8k were judged" in found.reports["urbansound8k"].notes


def test_what_is_done_is_not_done_again(
    data: Path, tmp_path: Path, mini: CLAP, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Path] = []
    encode = CLAP.encode_each

    def counted(self: CLAP, sounds: Any, **options: Any) -> Any:
        heard.extend(sounds)
        return encode(self, sounds, **options)

    monkeypatch.setattr(CLAP, "encode_each", counted)
    place = tmp_path / "kept"
    first = evaluate_paper(mini, data, DRAWS, place=place)
    assert (len(heard), first.reused) == (7, [])
    again = evaluate_paper(mini, data, DRAWS, place=place)
    assert (len(heard), again.reused) == (7, ["clotho", "esc50"])
    assert (again.rows, again.reports) == (first.rows, first.reports)
    sound(data / "ESC-50-master/audio/1-rain.wav", "wind", 9)  # one file is another now: it alone is heard
    changed = evaluate_paper(mini, data, DRAWS, place=place)
    assert (len(heard), changed.reused) == (8, ["clotho"])
    shutil.move(data, tmp_path / "moved")
    other = evaluate_paper(mini, tmp_path / "moved", replace(DRAWS, seed=1, restart=True), place=place)
    assert (len(heard), other.reused) == (8, [])  # other settings: the rows are kept all the same
    evaluate_paper(mini, tmp_path / "moved", replace(DRAWS, long="head"), place=place)
    assert len(heard) == 15


def test_a_stop_in_mid_benchmark_keeps_the_rows(
    data: Path, tmp_path: Path, mini: CLAP, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand clips of VGGSound are hours on a CPU."""
    monkeypatch.setattr(kept_rows, "AT_ONCE", 2)
    items = read_dataset(data / "ESC-50-master", "zeroshot", "esc50").items
    encode, calls = CLAP.encode_each, [0]

    def stopped(self: CLAP, sounds: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise KeyboardInterrupt
        return encode(self, sounds, **options)

    monkeypatch.setattr(CLAP, "encode_each", stopped)
    rows = KeptRows(tmp_path / "rows.sqlite", data, long="auto")
    with pytest.raises(KeyboardInterrupt):
        rows.embed(mini, items, progress=False, batch_size=8)
    used = rows.embed(mini, items, progress=False, batch_size=8)
    assert calls == [3]  # the second pair alone
    monkeypatch.undo()
    assert np.array_equal(used.vectors, embed_items(mini, items, batch_size=8).vectors)


def test_what_is_missing_or_broken_is_named(data: Path, tmp_path: Path, mini: CLAP) -> None:
    (data / "FSD50K").mkdir()
    (data / "clotho_v2.1/evaluation/wind.wav").write_text("no sound")
    found = evaluate_paper(mini, data, DRAWS, place=tmp_path / "kept")
    assert [one.name for one in found.missing] == ["audiocaps", "urbansound8k", "vggsound", "vggsound-probe"]
    (broken,) = found.broken
    assert broken.name == "fsd50k-probe"
    sources = {protocol.name: protocol.source for protocol in PROTOCOLS}
    for one in found.skipped:
        assert sources[one.name.removesuffix("-probe")] in one.reason
    assert [Path(failure.path).name for failure in found.reports["clotho"].failed] == ["wind.wav"]
    section = paper_section(found)
    assert "- fsd50k-probe: not measured" in section
    assert "- clotho: 1 sound could not be used" in section
    for settings, words in (
        (replace(DRAWS, only=("esc51",)), "choose audiocaps"),
        (replace(DRAWS, templates=("dog",)), "must hold"),
        (replace(DRAWS, only=("VGG-Sound",)), "holds none of the paper's benchmarks"),
    ):
        with pytest.raises(UsageError, match=words):
            evaluate_paper(mini, data, settings, place=tmp_path / "kept")


def test_a_benchmark_unpacked_where_it_stands(data: Path, tmp_path: Path, mini: CLAP) -> None:
    """FSD50K's and Clotho's archives have no folder of their own; ESC-50's may be unpacked into one of its name."""
    only = replace(DRAWS, only=("esc50",))
    found = evaluate_paper(mini, data / "ESC-50-master", only, place=tmp_path / "kept")
    assert list(found.reports) == ["esc50"]
    shutil.move(data / "ESC-50-master", tmp_path / "inner")
    (data / "ESC-50").mkdir()
    shutil.move(tmp_path / "inner", data / "ESC-50/ESC-50-master")
    assert evaluate_paper(mini, data, only, place=tmp_path / "kept").reused == ["esc50"]


def test_kept_files_of_others_are_not_taken(data: Path, tmp_path: Path, mini: CLAP) -> None:
    place = tmp_path / "kept"
    only = replace(DRAWS, only=("esc50",))
    first = evaluate_paper(mini, data, only, place=place)
    text = (place / "esc50.json").read_text()
    for wrong in (
        "",
        "[]",
        "{}",
        text.replace('"key": "', '"key": "0'),
        text.replace('"metrics": {', '"metrics": {"x": 1,'),
    ):
        (place / "esc50.json").write_text(wrong)
        assert read_report(place / "esc50.json", json.loads(text)["key"]) is None
        again = evaluate_paper(mini, data, only, place=place)
        assert (again.reused, again.rows) == ([], first.rows)
    (place / "rows.sqlite").write_bytes(b"no database" * 100)
    (found,) = evaluate_paper(mini, data, replace(only, restart=True), place=place).skipped
    assert "delete it" in found.reason
    with pytest.raises(DataError, match=r"rows\.sqlite: cannot be used"):
        KeptRows(place / "rows.sqlite", data, long="auto").embed(
            mini, read_dataset(data / "ESC-50-master", "zeroshot", "esc50").items, progress=False, batch_size=8
        )


def test_long_sounds_are_heard_as_in_the_paper(mini: CLAP) -> None:
    class Model:
        def __init__(self, name: str, fusion: str | None) -> None:
            self.name, self.config = name, small_config(fusion=fusion)

    for name, fusion, expected in (
        ("laion/clap-htsat-fused", "aff_2d", "fusion"),
        ("of my own", "aff_2d", "fusion"),
        ("laion/clap-htsat-unfused", None, "head"),
        ("630k-audioset-best.pt", None, "head"),
        ("630k-audioset-best", None, "head"),  # from a path: a file is called without its ending
        ("clap-htsat-unfused", None, "head"),
        ("microsoft/msclap-2023", None, "auto"),
        ("of my own", None, "auto"),
    ):
        assert long_of_paper(Model(name, fusion)) == expected  # type: ignore[arg-type]
    halves = [synthesise(k, np.random.default_rng(0), rate=RATE, seconds=12.0)[0] for k in ("rain", "siren")]
    long = (np.concatenate(halves), RATE)
    for how in ("head", "windows"):
        (found,) = mini.encode_each([long], long=how)
        assert np.allclose(found.embedding, mini.encode_audio([long], long=how), atol=1e-6)  # type: ignore[union-attr]


def test_a_fused_model_has_rows_of_its_own() -> None:
    fused, plain = rows_of_model(fused=True), rows_of_model(fused=False)
    asked = "clotho", "retrieval", "text_to_audio R@1"
    assert [find_published(*asked, rows).value for rows in (fused, plain)] == [0.182, 0.161]  # type: ignore[union-attr]
    assert find_published("audiocaps", "retrieval", "text_to_audio R@1", plain).value == 0.361  # type: ignore[union-attr]
    assert find_published("clotho", "retrieval", "text_to_audio mean_rank", fused) is None
    assert published_scores("esc50") == {"zeroshot": {"accuracy": 0.91}}
    assert "probe" not in published_scores("vggsound")  # fine-tuned in the paper: no score of a probe


def test_the_verb(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cli(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["openclap", "eval", "paper", *map(str, args)])
        try:
            code = _run()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        told = capsys.readouterr()
        return code, told.out, " ".join(told.err.split())

    monkeypatch.setenv("OPENCLAP_MODEL", "mini")
    place, card, report = tmp_path / "kept", tmp_path / "CARD.md", tmp_path / "r.json"
    code, out, err = cli(data, "-o", place, "--draws", 5, "--card", card, "--report", report)
    assert code == 0
    for words in ("zero-shot accuracy", "91.0", "4, K2C", "text → audio R@1", "3, K2C"):
        assert words in out
    for words in ("audiocaps: not measured", "https://github.com/cdjkim/audiocaps", "2/7 clotho", "kept in"):
        assert words in err
    assert "| esc50 | zero-shot accuracy |" in card.read_text()
    assert json.loads(report.read_text())["format"] == "openclap-paper"
    code, out, _ = cli(data, "-o", place, "--draws", 5, "--card", card, "--json", "--only", "esc50")
    found = json.loads(out)
    assert (code, found["reused"], [row["metric"] for row in found["rows"]]) == (0, ["esc50"], ["accuracy"])
    assert card.read_text().count("<!-- openclap eval paper mini -->") == 1
    (data / "ESC-50-master/audio/1-rain.wav").write_text("no sound")
    code, _, err = cli(data, "-o", place, "--draws", 5, "--only", "esc50")
    assert (code, "1-rain.wav" in err) == (1, True)
    for args, words in (
        ((tmp_path / "nowhere",), "no such folder"),
        ((data, "--only", "esc51"), "no benchmark of the paper"),
        ((data, "--card", tmp_path / "no/where.md"), "does not exist"),
        ((data, "-o", card), "cannot be made"),
    ):
        code, out, err = cli(*args)
        assert (code, out) == (2, ""), err
        assert words in err


def test_names_of_metrics_and_cards(data: Path, tmp_path: Path, mini: CLAP) -> None:
    found = evaluate_paper(mini, data, DRAWS, place=tmp_path / "kept")
    assert {metric_name(row) for row in found.rows} >= {"zero-shot accuracy", "audio → text mAP@10"}
    (tmp_path / "CARD.md").write_text("# mine\n")
    write_paper_card(found, tmp_path / "CARD.md")
    before = (tmp_path / "CARD.md").read_text()
    write_paper_card(found, tmp_path / "CARD.md")
    assert (tmp_path / "CARD.md").read_text() == before
    assert before.startswith("# mine\n")
