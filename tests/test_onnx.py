"""Exported graphs give, in ONNX Runtime and without anything of openclap, what openclap gives."""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import long_wave
from models_for_tests import MOBILENET_SMALL, PANN_SMALL, TEXT_KINDS, WORDS, small_clap, text_config
from test_backends import AUDIO, random_model

from openclap import CLAP, CLAPConfig
from openclap.audio.clips import Clip, WindowClip, make_clip, make_windows
from openclap.audio.mel import log_mel
from openclap.backends import numpy_text
from openclap.backends.graphs.engine import opset, ov
from openclap.backends.graphs.front_end import log_mels
from openclap.backends.graphs.ops import Graph, pack_rows
from openclap.backends.onnx.graphs import onnx_graph
from openclap.backends.onnx.session import OnnxSession
from openclap.backends.onnx.translate import OPSET, translate
from openclap.backends.openvino_backend import OpenVINOBackend
from openclap.bench import compare_with_onnx
from openclap.checkpoints.compact import pack
from openclap.clap import onnx_check, onnx_export
from openclap.confidence import ReferenceBank
from openclap.config import TEXT, FrontEnd
from openclap.errors import BadCheckpoint, MissingExtra, ModelError, ModelWarning, UsageError
from openclap.normalization import normalize_rows
from openclap.synth import KINDS, synthesise

FRONT = FrontEnd(sampling_rate=16_000, n_fft=512, hop=320, f_max=7000.0)
RATE = FRONT.sampling_rate
SECONDS = (1 / RATE, 0.3, 4.7, 10.0, 10.01, 10.05, 23.3)  # one sample; a clip and half a hop; just above a clip
UNLIKE: dict[str, dict[str, Any]] = {  # front ends that differ in all that the graph must know
    "repeatpad, decibels": {"padding": "repeatpad"},
    "repeat, 16 bits": {"padding": "repeat", "quantise": "int16"},
    "pad, range": {"padding": "pad", "dynamic_range": 80.0},
    "spaced": {"padding": "spaced", "dynamic_range": 80.0},
}


def config_of(audio: str = "pann", fusion: str | None = None, **front: Any) -> CLAPConfig:
    return CLAPConfig(audio=AUDIO[audio], text=WORDS, front_end=replace(FRONT, **front), fusion=fusion, embedding=24)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("audio", "fusion", "front"),
    [
        *(("pann", None, front) for front in UNLIKE),
        ("mobilenet", "iaff_2d", "repeat, 16 bits"),
        ("htsat", None, "repeatpad, decibels"),
        ("htsat", "aff_2d", "repeatpad, decibels"),
        ("htsat", "channel_map", "repeatpad, decibels"),
        ("htsat", "iaff_1d", "repeatpad, decibels"),
        ("pann", "aff_1d", "repeatpad, decibels"),
    ],
)
def test_waves_of_any_length_give_what_openclap_gives(audio: str, fusion: str | None, front: str) -> None:
    config = config_of(audio, fusion, **UNLIKE[front])
    weights = random_model(config).arrays()
    backend = OpenVINOBackend(config, weights, threads=1, why="test")
    graph = onnx_graph(config, weights, "audio")
    onnx.checker.check_model(graph, full_check=True)
    session = OnnxSession(graph.SerializeToString(), threads=1)
    for seconds in SECONDS:
        wave = long_wave(seconds, RATE)
        expected = expected_row(backend, config, wave)
        rows = session(np.stack([wave, wave[::-1]]))
        assert np.abs(rows[0] - expected).max() < 1e-5, seconds
        assert rows.shape == (2, 24)


def expected_row(backend: OpenVINOBackend, config: CLAPConfig, wave: np.ndarray) -> np.ndarray:
    sound = wave, RATE
    long: Literal["fusion"] = "fusion"
    clips: list[Clip | WindowClip] = (
        list(make_windows(sound, config.front_end))
        if config.fusion is None
        else [make_clip(sound, config.front_end, long=long)]
    )
    longer = [isinstance(clip, Clip) and clip.longer for clip in clips]
    rows = [backend.encode_audio(clip.mel[None], np.array([far])) for clip, far in zip(clips, longer, strict=True)]
    total: np.ndarray = np.sum(rows, axis=0)[0]
    return total / np.linalg.norm(total)


@pytest.mark.parametrize(("n_fft", "hop"), [(512, 320), (1024, 480), (882, 441), (511, 100)])
def test_the_spectrum_by_products_is_the_fft(n_fft: int, hop: int) -> None:
    """For frames whose length is a power of two, has odd factors, or has no divisor in common with the hop."""
    front = replace(FRONT, n_fft=n_fft, hop=hop)
    wave = opset.parameter([-1, -1], np.float32, name="wave")
    model = ov.Model([log_mels(Graph({}), wave, front)], [wave], "mel")
    waves = np.stack([long_wave(0.5, RATE), long_wave(0.5, RATE, seed=1)])
    made = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([waves])[0]
    assert np.abs(made - log_mel(waves, front)).max() < 1e-3  # dB


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_token_ids_give_what_openclap_gives(kind: str) -> None:
    text = WORDS if kind == "words" else replace(text_config(kind), pad_id=1)
    config = CLAPConfig(audio=PANN_SMALL, text=text, front_end=FRONT, embedding=24)
    weights = random_model(config).arrays()
    ids = np.random.default_rng(2).integers(3, 60, (5, 9))
    mask = (np.arange(9) < np.array([[9], [1], [4], [9], [7]])).astype(np.int64)
    ids = np.where(mask > 0, ids, text.pad_id)
    ids[0, 4] = text.pad_id  # a text that says "<pad>"
    graph = onnx_graph(config, weights, "text")
    onnx.checker.check_model(graph, full_check=True)
    made = OnnxSession(graph.SerializeToString())(ids, mask)
    backend = OpenVINOBackend(config, weights, threads=1, why="test")
    assert np.abs(made - numpy_text.encode(config, backend.weights, ids, mask)).max() < 1e-5


def test_a_table_of_int8_stays_one_and_no_other_becomes_one() -> None:
    """As float32 mini's text tower takes 43 MB more."""
    table = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    packed = pack({"text.table.weight": table}, "words")
    stored = packed["text.table.weight"] * packed["text.table.scale"][:, None]
    levels, scale = pack_rows(stored, exact=True) or (None, None)
    assert levels is not None
    assert np.array_equal(levels, packed["text.table.weight"])
    assert np.abs(levels * scale - stored).max() < 1e-7
    assert pack_rows(table, exact=True) is None
    assert pack_rows(np.concatenate([stored, table]), exact=True) is None


# -- the folder --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, tokenizer_file: Path) -> CLAP:
    folder = tmp_path_factory.mktemp("model")
    small_clap(tokenizer_file, fusion=None).save_pretrained(folder)
    return CLAP.from_pretrained(folder, threads=1)


@pytest.fixture(scope="module", autouse=True)
def few_sounds() -> Iterator[None]:
    """Six sounds choose the ranges of int8 and check it, and not 56, which take seconds to make."""
    rng = np.random.default_rng(1)
    sounds = [(synthesise(kind, rng, rate=RATE, seconds=1.0)[0], RATE) for kind in (*onnx_check.SOUNDS, *KINDS)][:7]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_export, "synthesise_all", lambda: sounds)
        patch.setattr(onnx_check, "labels", lambda name: ["a dog", "rain"] * 8)
        yield


@pytest.fixture(scope="module")
def exported(model: CLAP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    model.export_onnx(folder)
    return folder


def test_another_program_finds_all_it_needs(model: CLAP, exported: Path) -> None:
    """What is said here is all that this reader knows: the manifest, JSON, base64 and ONNX Runtime."""
    manifest = json.loads((exported / "manifest.json").read_text())
    for name, value in {
        "model": "small", "fingerprint": model.fingerprint, "sample_rate": RATE, "clip_seconds": 10.0, "licence": "unknown",
        "window_seconds": 10.0, "hop_seconds": 5.0, "embedding_size": 24, "long": "windows", "openclap": "0.1.0",
    }.items():  # fmt: skip
        assert manifest[name] == value
    assert manifest["logit_scale"] == pytest.approx(model.logit_scale)
    assert sorted(one["file"] for one in manifest["files"]) == sorted(one.name for one in exported.glob("*.onnx"))
    check = json.loads((exported / manifest["self_check"]).read_text())
    for one in manifest["files"]:
        session = onnxruntime.InferenceSession(exported / one["file"])
        (output,) = session.get_outputs()
        assert output.name == "embedding"
        for case in check["sounds" if one["tower"] == "audio" else "texts"]:
            if one["tower"] == "audio":
                pcm = np.frombuffer(base64.b64decode(case["pcm16"]), "<i2").astype(np.float32) / 32767
                inputs = {"wave": np.resize(pcm, case["samples"])[None]}
            else:
                ids = np.array([case["input_ids"]])
                inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
            row, expected = session.run(None, inputs)[0][0], np.array(case["embedding"])
            assert row @ expected > (0.98 if one["precision"] == "int8" else 0.999999)
            if one["precision"] == "float32":
                assert np.abs(row - expected).max() < check["float32"]["largest_difference"]
    long = max(case["samples"] for case in check["sounds"])
    assert long > manifest["clip_seconds"] * RATE


def test_texts_become_ids_by_the_tokenizer_of_the_folder(model: CLAP, exported: Path) -> None:
    from tokenizers import Tokenizer

    manifest = json.loads((exported / "manifest.json").read_text())["tokenizer"]
    ids = Tokenizer.from_file(str(exported / manifest["file"])).encode("the dog", add_special_tokens=False).ids
    whole = [*manifest["begin_ids"], *ids[: manifest["max_tokens"]], *manifest["end_ids"]]
    assert whole == model.tokenizer(["the dog"])[0][0].tolist()


def test_what_stands_behind_every_text_is_in_the_manifest(tokenizer_file: Path, tmp_path: Path) -> None:
    """Microsoft's CLAP of 2023 reads a space behind each text, and has no token before it."""
    config = CLAPConfig(audio=MOBILENET_SMALL, text=text_config("gpt2"), front_end=FRONT, embedding=24)
    CLAP.from_config(config, tokenizer=tokenizer_file).export_onnx(tmp_path, int8=False)
    told = json.loads((tmp_path / "manifest.json").read_text())["tokenizer"]
    assert (told["suffix"], told["begin_ids"], told["end_ids"]) == (" ", [], [2])


def test_the_same_model_gives_the_same_bytes(model: CLAP, exported: Path, tmp_path: Path) -> None:
    model.export_onnx(tmp_path / "new" / "folder")
    names = sorted(one.name for one in exported.iterdir())
    assert names == ["audio.int8.onnx", "audio.onnx", "manifest.json", "self_check.json", "text.int8.onnx", "text.onnx", "tokenizer.json"]  # fmt: skip
    for name in names:
        assert (tmp_path / "new" / "folder" / name).read_bytes() == (exported / name).read_bytes(), name


def test_graphs_are_of_an_opset_that_the_web_runs(exported: Path) -> None:
    for file in exported.glob("*.onnx"):
        graph = onnx.load(file)
        versions = {one.domain: one.version for one in graph.opset_import}
        assert versions[""] == OPSET <= 21
        assert {one.key: one.value for one in graph.metadata_props}.get("model", "small") == "small"


def test_int8_is_left_out_where_asked_or_where_it_is_too_far(
    model: CLAP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "WORST_COSINE", 1.1)
    with pytest.warns(ModelWarning, match=r"no (audio|text)\.int8\.onnx was written, as its worst cosine"):
        made = model.export_onnx(tmp_path)
    assert {one.precision for one in made.files} == {"float32"}
    assert not list(tmp_path.glob("*int8*"))


def test_an_older_export_leaves_nothing(model: CLAP, tmp_path: Path) -> None:
    for name in ("audio.int8.onnx", "manifest.json", "confidence.json", "notes.txt"):
        (tmp_path / name).write_text("of before")
    model.export_onnx(tmp_path, int8=False)
    assert not (tmp_path / "audio.int8.onnx").exists()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["model"] == "small"
    assert manifest["confidence"] is None  # it has no curve of its own
    assert not (tmp_path / "confidence.json").exists()
    assert (tmp_path / "notes.txt").read_text() == "of before"


def test_the_confidence_of_a_cosine_is_in_the_folder(
    model: CLAP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What docs/onnx.md says of `confidence.json` gives what `ReferenceBank.confidence` gives."""
    rows = normalize_rows(np.random.default_rng(0).standard_normal((9, 24)).astype(np.float32))
    bank = ReferenceBank(rows[:3], rows[3:7])
    monkeypatch.setattr(onnx_export, "has_own_curves", lambda clap: True)
    monkeypatch.setattr(onnx_export, "reference_bank", lambda clap: bank)
    model.export_onnx(tmp_path, int8=False)
    given = json.loads((tmp_path / json.loads((tmp_path / "manifest.json").read_text())["confidence"]).read_text())
    query, window = rows[7].astype(float), rows[8].astype(float)
    a, b, c = given["words"]
    to_sounds, to_texts = np.array(given["sounds"]) @ query, np.array(given["texts"]) @ window
    logit = (
        a
        + b * (query @ window - to_sounds.mean()) / to_sounds.std()
        + c * (query @ window - to_texts.mean()) / to_texts.std()
    )
    assert 1 / (1 + np.exp(-logit)) == pytest.approx(bank.confidence(rows[7], rows[8], words=True), rel=1e-4)
    assert given["unlikely"] == bank.curves.unlikely


def test_the_command_line_exports(model: CLAP, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "openclap", "export", "--model", model.source]
    done = subprocess.run([*command, "--onnx", str(tmp_path / "out"), "--no-int8", "--json"], capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [one["file"] for one in told["files"]] == ["audio.onnx", "text.onnx"]
    assert told["folder"] == str(tmp_path / "out")
    assert "writing the text tower" in done.stderr
    (tmp_path / "file").touch()
    done = subprocess.run([*command, "--onnx", str(tmp_path / "file")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == f"error: {tmp_path / 'file'} is a file; give a folder to export to"


# -- what cannot be done -----------------------------------------------------------------------------


def test_a_full_disk_is_told_and_no_manifest_stays(
    model: CLAP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "manifest.json").write_text("of before")
    monkeypatch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))  # fmt: skip
    with pytest.raises(UsageError, match=r"cannot be written to \(No space left on device\); choose another folder"):
        model.export_onnx(tmp_path, int8=False)
    assert not list(tmp_path.iterdir())


def test_a_graph_that_differs_is_refused(model: CLAP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "EXACT", -1.0)
    with pytest.raises(ModelError, match=r"audio\.onnx differs by .* please report this"):
        model.export_onnx(tmp_path, int8=False)
    assert not (tmp_path / "manifest.json").exists()


def test_a_tower_without_a_graph_is_named(
    tokenizer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TEXT, "clip", replace(TEXT["clip"], token_graph=None))  # as one of another package
    config = CLAPConfig(audio=MOBILENET_SMALL, text=text_config("clip"), front_end=FRONT, embedding=24)
    with pytest.raises(ModelError, match="its clip text tower has no graph that reads token ids; choose another model"):
        CLAP.from_config(config, tokenizer=tokenizer_file).export_onnx(tmp_path)
    with pytest.raises(ModelError, match="half a clip of 160001 samples"):
        onnx_graph(config_of(clip_seconds=160_001 / RATE), {}, "audio")


def test_an_unknown_operator_is_named() -> None:
    wave = opset.parameter([-1, -1], np.float32, name="wave")
    with pytest.raises(ModelError, match="the graph has a Erf, which has no ONNX form here"):
        translate(ov.Model([opset.erf(wave)], [wave], "other"), {})


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_what_is_missing_is_named(package: str, model: CLAP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=f"{package} is not installed; install openclap's extra 'export'"):
        model.export_onnx(tmp_path, int8=False)


def test_a_file_that_is_cut_short_is_named(exported: Path, tmp_path: Path) -> None:
    broken = tmp_path / "audio.onnx"
    broken.write_bytes((exported / "audio.onnx").read_bytes()[:5000])
    with pytest.raises(BadCheckpoint, match=r"audio\.onnx cannot be loaded by ONNX Runtime .*; export it again"):
        OnnxSession(broken)


@pytest.mark.parametrize("fusion", [None, "aff_2d"])
def test_the_bench_compares(
    fusion: str | None, tokenizer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_clap(tokenizer_file, fusion=fusion).save_pretrained(tmp_path)
    sounds = [(long_wave(1.0, RATE, seed), RATE) for seed in range(2)]
    monkeypatch.setattr("openclap.bench.synthesise_all", lambda: sounds)
    report = compare_with_onnx(CLAP.from_pretrained(tmp_path, threads=1), threads=1)
    assert [row["stage"] for row in report["stages"]] == ["mel → vector", "wave → vector", "file → vector", "text → vector"]  # fmt: skip
    assert all(row["ms"] > 0 and row["onnxruntime_ms"] > 0 and row["ratio"] > 0 for row in report["stages"])


def test_the_example_for_node_reads_what_is_written(exported: Path) -> None:
    """It was run with onnxruntime-node, which is not at hand here; what it takes from a manifest is there."""
    example = Path(__file__).parent.parent / "docs" / "examples" / "onnx.mjs"
    manifest = json.loads((exported / "manifest.json").read_text())
    read = re.search(r"const \{ (.*) \} = manifest.tokenizer", example.read_text())
    assert read is not None
    assert set(read[1].split(", ")) <= set(manifest["tokenizer"])
    assert set(re.findall(r"\bmanifest\.(?!json)(\w+)", example.read_text())) <= set(manifest)
    beside = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    if node := shutil.which("node", path=beside):
        subprocess.run([node, "--check", example], check=True)
