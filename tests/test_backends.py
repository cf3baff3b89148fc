"""Every tower gives the same vectors on every backend, from the same checkpoint."""

from __future__ import annotations

import itertools
import os
import pickle
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from models_for_tests import (
    HTSAT_SMALL,
    MOBILENET_SMALL,
    PANN_SMALL,
    TEXT_KINDS,
    WORDS,
    small_clap,
    small_config,
    text_config,
)
from platformdirs import user_cache_path

from openclap import CLAP, CLAPConfig, backends, config
from openclap.backends import compile_cache, int8, numpy_text
from openclap.backends.graphs.engine import opset, ov
from openclap.backends.openvino_backend import FEW_TEXTS, OpenVINOBackend
from openclap.backends.torch_backend import TorchBackend
from openclap.checkpoints.weight_shapes import COUNTER, shapes_of
from openclap.config import TEXT, AudioConfig, FrontEnd, Fusion, HTSATConfig
from openclap.errors import MissingExtra, ModelError, UsageError
from openclap.models.clap import CLAPModel
from openclap.synth import KINDS, synthesise

FRONT = FrontEnd(sampling_rate=16_000, n_fft=512, hop=320, f_max=7000.0)  # 501 frames: the image stretches them to 1024
AUDIO: dict[str, AudioConfig] = {
    "htsat": HTSAT_SMALL,
    "htsat of another size": HTSATConfig(width=12, depths=(2, 2), heads=(2, 3), window=4, image=128, mlp_ratio=2.0),
    "pann": PANN_SMALL,
    "pann of two convolutions": replace(PANN_SMALL, convs=2, kernel=5, pools=((2, 2), (3, 2), (1, 1))),
    "pann without a hidden layer": replace(PANN_SMALL, hidden=False),
    "mobilenet": MOBILENET_SMALL,
    "mobilenet, pruned": replace(MOBILENET_SMALL, expanded=(8, 8, 16, 16, 32, 16, 32)),
}


def random_model(config: CLAPConfig, seed: int = 0) -> CLAPModel:
    """A model whose batch norms have statistics, as trained ones do."""
    torch.manual_seed(seed)
    model = CLAPModel(config).eval()
    for name, value in model.named_buffers():
        if name.endswith("running_mean"):
            value.uniform_(-30, -20) if name == "audio.batch_norm.running_mean" else value.normal_(0, 0.1)
        if name.endswith("running_var"):
            value.uniform_(50, 400) if name == "audio.batch_norm.running_var" else value.uniform_(0.5, 2)
    return model


def pairs(towers: Iterable[str], fusions: Iterable[str | None]) -> list[tuple[str, str | None]]:
    """Those that exist: MobileNet has no 1-D fusion, and no channel map."""
    return [
        (audio, fusion)
        for audio, fusion in itertools.product(towers, fusions)
        if fusion is None or fusion in AUDIO[audio].fusions
    ]


@pytest.mark.parametrize(
    ("audio", "fusion"), pairs(AUDIO, [None, "daf_2d", "aff_2d", "iaff_2d", "iaff_1d", "channel_map"])
)
def test_audio_towers_agree(audio: str, fusion: str | None) -> None:
    front = replace(FRONT, mel_bins=32) if audio == "htsat of another size" else FRONT
    config = CLAPConfig(audio=AUDIO[audio], text=WORDS, front_end=front, fusion=fusion, embedding=24)  # type: ignore[arg-type]
    model = random_model(config)
    rng = np.random.default_rng(1)
    mel = rng.normal(-25, 15, (3, 1 if fusion is None else 4, front.clip_frames, front.mel_bins)).astype(np.float32)
    longer = np.array([False, fusion is not None, False])
    mel[~longer] = mel[~longer][:, :1]  # what a short clip's other views hold must not matter
    graph = OpenVINOBackend(config, model.arrays(), threads=1, why="test")
    module = TorchBackend(model, threads=1)
    assert np.abs(graph.encode_audio(mel, longer) - module.encode_audio(mel, longer)).max() < 2e-6
    alone = np.concatenate([graph.encode_audio(mel[i : i + 1], longer[i : i + 1]) for i in range(3)])
    assert np.abs(graph.encode_audio(mel, longer) - alone).max() < 2e-6
    short = mel[:1, :1]
    assert np.abs(graph.encode_audio(short, longer[:1]) - alone[:1]).max() < 2e-6


@pytest.mark.parametrize("kind", [kind for kind, encoder in TEXT.items() if encoder.numpy is not None])
def test_text_towers_agree(kind: str) -> None:
    text = WORDS if kind == "words" else replace(text_config(kind), pad_id=1)
    config = CLAPConfig(audio=PANN_SMALL, text=text, front_end=FRONT, embedding=24)
    model = random_model(config)
    weights = model.arrays()
    rng = np.random.default_rng(2)
    ids = rng.integers(3, 60, (5, 9))
    mask = (np.arange(9) < np.array([[9], [1], [4], [9], [7]])).astype(np.int64)
    ids = np.where(mask > 0, ids, text.pad_id)
    expected = TorchBackend(model, threads=1).encode_text(ids, mask)
    backend = OpenVINOBackend(config, weights, threads=1, why="test")
    assert np.abs(numpy_text.encode(config, backend.weights, ids, mask) - expected).max() < 2e-6
    assert np.abs(backend.encode_text(ids, mask) - expected).max() < 2e-6  # few: numpy
    many = np.tile(ids, (FEW_TEXTS, 1)), np.tile(mask, (FEW_TEXTS, 1))
    assert np.abs(backend.encode_text(*many) - np.tile(expected, (FEW_TEXTS, 1))).max() < 2e-6  # many: a graph


@pytest.mark.parametrize("text", TEXT_KINDS)
@pytest.mark.parametrize(("audio", "fusion"), pairs(["htsat", "pann of two convolutions"], [None, *get_args(Fusion)]))
def test_weights_are_those_of_the_modules(audio: str, fusion: str | None, text: str) -> None:
    """The table that checks a file without torch names exactly what the torch modules hold."""
    tower = WORDS if text == "words" else text_config(text)
    config = CLAPConfig(audio=AUDIO[audio], text=tower, front_end=FRONT, fusion=fusion, embedding=24)  # type: ignore[arg-type]
    with torch.device("meta"):
        own = CLAPModel(config).state_dict()
    assert shapes_of(config) == {k: tuple(v.shape) for k, v in own.items() if not k.endswith(COUNTER)}


def test_a_whole_model_agrees_between_backends(tokenizer_file: Path, tmp_path: Path) -> None:
    small_clap(tokenizer_file).save_pretrained(tmp_path)
    a, b = (CLAP.from_pretrained(tmp_path, backend=name) for name in ("openvino", "torch"))
    assert a.fingerprint == b.fingerprint
    waves = [(np.random.default_rng(i).standard_normal(16_000 * s).astype(np.float32), 16_000) for i, s in enumerate((2, 10, 31))]  # fmt: skip
    assert np.abs(a.encode_audio(waves) - b.encode_audio(waves)).max() < 2e-6
    assert np.abs(a.encode_text(["a dog", "rain"]) - b.encode_text(["a dog", "rain"])).max() < 2e-6
    assert a.logit_scale == pytest.approx(b.logit_scale)


@pytest.mark.parametrize("name", ["torch", "openvino"])
@pytest.mark.parametrize("dynamic_range", [None, 80.0])
def test_mels_made_on_the_device_agree(
    name: str, dynamic_range: float | None, tokenizer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU does, on the CPU: waves go to the backend, which makes the mels; long ones come as views."""
    small_clap(tokenizer_file, dynamic_range=dynamic_range).save_pretrained(tmp_path)
    clap = CLAP.from_pretrained(tmp_path, backend=name)
    sounds = [(np.random.default_rng(i).standard_normal(16_000 * s).astype(np.float32), 16_000) for i, s in enumerate((2, 10, 31, 4))]  # fmt: skip
    expected, windows = clap.encode_audio(sounds), clap.encode_windows(sounds[2])
    monkeypatch.setattr(clap.backend, "takes_waves", True)
    monkeypatch.setattr(clap.backend, "batch", 3)
    assert np.abs(clap.encode_audio(sounds, batch_size=1) - expected).max() < 1e-5
    assert np.abs(clap.encode_windows(sounds[2]).embedding - windows.embedding).max() < 1e-5


def blobs(clap: CLAP) -> list[Path]:
    return sorted((user_cache_path("openclap") / "compiled" / clap.fingerprint).glob("*.blob"))


def test_a_compiled_graph_is_kept_and_never_taken_for_another(
    tokenizer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name once depended on what else the process had built, so that every load left another copy."""
    sound = (np.random.default_rng(1).standard_normal(48_000).astype(np.float32), 16_000)
    rows: list[np.ndarray] = []
    for seed in (11, 12, 11):
        folder = tmp_path / f"{seed}"
        small_clap(tokenizer_file, seed=seed).save_pretrained(folder)
        clap = CLAP.from_pretrained(folder, backend="openvino")
        if len(rows) == 2:  # it is there already
            assert len(blobs(clap)) == 1
            monkeypatch.setattr(clap.backend, "_audio_graph", lambda: pytest.fail("built again"))
        rows.append(clap.encode_audio(sound))
        exact = CLAP.from_pretrained(folder, backend="torch").encode_audio(sound)
        assert np.abs(rows[-1] - exact).max() < 2e-6
        assert len(blobs(clap)) == 1
    assert np.array_equal(rows[0], rows[2])
    assert np.abs(rows[0] - rows[1]).max() > 1e-3


@pytest.mark.parametrize("damage", ["cut", "hole", "empty", "zeros", "foreign"])
def test_a_damaged_compiled_graph_is_made_again(damage: str, tokenizer_file: Path, tmp_path: Path) -> None:
    """4 KB of zeros inside, as a power loss leaves, once gave wrong vectors without a word."""
    sound = (np.random.default_rng(1).standard_normal(48_000).astype(np.float32), 16_000)
    small_clap(tokenizer_file, seed=21).save_pretrained(tmp_path)
    clap = CLAP.from_pretrained(tmp_path, backend="openvino")
    expected = clap.encode_audio(sound)
    (blob,) = blobs(clap)
    content = blob.read_bytes()
    middle = len(content) // 2
    if damage == "foreign":  # whole, but nothing the engine knows
        compile_cache.write_cached(blob, b"no graph at all" * 100)
    else:
        damaged = {
            "cut": content[:middle],
            "hole": content[:middle] + bytes(4096) + content[middle + 4096 :],
            "empty": b"",
            "zeros": bytes(4),
        }
        blob.write_bytes(damaged[damage])
    assert np.array_equal(CLAP.from_pretrained(tmp_path, backend="openvino").encode_audio(sound), expected)
    mended = compile_cache.map_cached(blob)
    assert mended is not None
    assert len(mended) > 1500  # a graph, not what lay there; the engine does not write the same bytes each time


def test_many_processes_start_at_once_on_an_empty_cache(tokenizer_file: Path, tmp_path: Path) -> None:
    """One in seven once died of a file that another had moved."""
    small_clap(tokenizer_file, seed=22).save_pretrained(tmp_path / "model")
    code = "import sys; from openclap import CLAP; print(CLAP.from_pretrained(sys.argv[1]).encode_audio(([0.1] * 9000, 16000))[0, :3])"
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "model")], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]  # fmt: skip
    told = [process.communicate() for process in started]
    assert {process.returncode for process in started} == {0}, told
    assert len({out for out, _ in told}) == 1


def test_a_changed_module_is_what_encodes(tokenizer_file: Path, tmp_path: Path) -> None:
    """`clap.model` once drifted from what encodes: classify used the scale of one and the vectors of the other."""
    small_clap(tokenizer_file, seed=23).save_pretrained(tmp_path / "a")
    clap = CLAP.from_pretrained(tmp_path / "a", backend="openvino")
    sound = (np.random.default_rng(1).standard_normal(48_000).astype(np.float32), 16_000)
    before, name = clap.encode_audio(sound), clap.fingerprint
    assert isinstance(clap.backend, OpenVINOBackend)
    module = clap.model
    assert isinstance(clap.backend, OpenVINOBackend)  # looking changes nothing
    with torch.no_grad():
        next(module.audio_projection.parameters()).mul_(-3)
    after = clap.encode_audio(sound)
    assert np.abs(after - before).max() > 1e-2
    assert clap.fingerprint != name
    clap.save_pretrained(tmp_path / "b")
    assert np.abs(CLAP.from_pretrained(tmp_path / "b", backend="openvino").encode_audio(sound) - after).max() < 2e-6


def test_a_model_is_sent_to_another_process(tokenizer_file: Path, tmp_path: Path) -> None:
    small_clap(tokenizer_file).save_pretrained(tmp_path)
    clap = CLAP.from_pretrained(tmp_path, threads=1)
    sent = pickle.loads(pickle.dumps(clap))
    assert np.array_equal(sent.encode_text("a dog"), clap.encode_text("a dog"))
    with pytest.raises(UsageError, match="no other process can load it; save_pretrained it first"):
        pickle.dumps(small_clap(tokenizer_file))


def test_a_batch_too_large_for_the_gpu_goes_in_halves(tokenizer_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clap = small_clap(tokenizer_file)
    mels = np.random.default_rng(0).normal(-25, 15, (5, 1, FRONT.clip_frames, 64)).astype(np.float32)
    expected = clap.backend.encode_audio(mels, np.zeros(5, bool))
    assert isinstance(clap.backend, TorchBackend)
    tensor, sizes = clap.backend._tensor, []

    def small_gpu(array: np.ndarray) -> torch.Tensor:
        sizes.append(len(array))
        if len(array) > 2:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return tensor(array)

    monkeypatch.setattr(clap.backend, "_tensor", small_gpu)
    assert np.abs(clap.backend.encode_audio(mels, np.zeros(5, bool)) - expected).max() < 1e-6
    assert max(sizes) == 5


# -- choosing ----------------------------------------------------------------------------------------


def checkpoint(tmp_path: Path, tokenizer: Path, **options: object) -> CLAP:
    small_clap(tokenizer, **options).save_pretrained(tmp_path)
    return CLAP.from_pretrained(tmp_path)


def test_cpu_runs_openvino_and_says_why(tokenizer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_has_cuda", lambda: False)
    clap = checkpoint(tmp_path, tokenizer_file)
    assert isinstance(clap.backend, OpenVINOBackend)
    assert (clap.backend.info.engine, clap.backend.info.device) == ("openvino", "cpu")


@pytest.mark.parametrize("threads", [0, -1, 5000, True, 2.5, float("nan"), "2"])
def test_threads_are_a_whole_number(threads: object) -> None:
    with pytest.raises(UsageError, match="threads is"):
        CLAP.from_pretrained("mini", threads=threads)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["bogus", "cuda:x", None, 0])
def test_a_device_has_a_name(device: object, monkeypatch: pytest.MonkeyPatch) -> None:
    here = backends._is_installed
    monkeypatch.setattr(backends, "_is_installed", lambda package: package != "torch" and here(package))
    with pytest.raises(UsageError, match="is not a device; choose auto"):
        CLAP.from_pretrained("mini", device=device)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("missing", "line"), [("openvino", "pip install openvino"), ("torch", "openclap's extra 'torch'")]
)
def test_what_is_missing_is_named_with_its_install_line(
    missing: str, line: str, tokenizer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_clap(tokenizer_file).save_pretrained(tmp_path)
    here = backends._is_installed
    monkeypatch.setattr(backends, "_is_installed", lambda package: package != missing and here(package))
    with pytest.raises(MissingExtra, match=line):
        CLAP.from_pretrained(tmp_path, backend=missing)
    assert CLAP.from_pretrained(tmp_path, device="cpu").encode_text("dog").shape == (1, 24)  # the other one runs it


def test_towers_without_a_graph_run_on_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    CLAP.from_config(small_config()).save_pretrained(tmp_path)
    monkeypatch.setitem(config.AUDIO, "pann", replace(config.AUDIO["pann"], graph=None))
    assert isinstance(CLAP.from_pretrained(tmp_path).backend, TorchBackend)
    with pytest.raises(UsageError, match=r"its pann audio tower has no graph; choose backend torch"):
        CLAP.from_pretrained(tmp_path, backend="openvino")
    monkeypatch.setattr(backends, "_is_installed", lambda package: package != "torch")
    with pytest.raises(MissingExtra, match=r"its pann audio tower has no graph.*extra 'torch'"):
        CLAP.from_pretrained(tmp_path)


def test_an_activation_without_a_graph_runs_on_torch(tokenizer_file: Path, tmp_path: Path) -> None:
    """The graph and numpy know five; a text tower with another activation was once given GELU silently."""
    config = CLAPConfig(
        audio=PANN_SMALL, text=replace(text_config("roberta"), activation="mish"), front_end=FRONT, embedding=24
    )
    CLAP.from_config(config).save_pretrained(tmp_path)
    assert isinstance(CLAP.from_pretrained(tmp_path).backend, TorchBackend)
    with pytest.raises(UsageError, match="mish has no graph"):
        CLAP.from_pretrained(tmp_path, backend="openvino")


def test_openvino_is_of_the_cpu(tokenizer_file: Path, tmp_path: Path) -> None:
    small_clap(tokenizer_file).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="openvino runs on the CPU, not on cuda"):
        CLAP.from_pretrained(tmp_path, backend="openvino", device="cuda")
    with pytest.raises(UsageError, match="'onnx' is not a backend; choose auto, torch, openvino"):
        CLAP.from_pretrained(tmp_path, backend="onnx")


def test_search_needs_no_torch(tokenizer_file: Path, tmp_path: Path) -> None:
    """The whole main job in a process where torch and transformers cannot be imported."""
    config = replace(small_config(audio="htsat"), text=text_config("roberta"))
    CLAP.from_config(config, tokenizer=tokenizer_file, seed=24).save_pretrained(tmp_path / "htsat + roberta")
    code = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hidden())
from pathlib import Path
from typing import get_args
from openclap import CLAP, Library
from openclap.synth import KINDS, write_library
folder = Path(sys.argv[1])
write_library(folder / "sounds", seed=3, kinds=("dog bark", "rain", "siren"))
for kind in [*KINDS][8:]:
    del KINDS[kind]  # a bank of eight sounds for the second model: it comes without one
clap = CLAP.from_pretrained("mini")
library = Library.open(folder / "library", model=clap)
assert library.add(folder / "sounds").added == 3
assert library.search("a puppy yapping", 1)[0].path.find("dog") >= 0
assert clap.classify(library.search("rain", 1)[0].path, ["rain", "a siren"])[0].label == "rain"
assert library.moments("siren", 1)
large = CLAP.from_pretrained(folder / "htsat + roberta")
other = Library.open(folder / "other", model=large)
assert other.add(folder / "sounds").added == 3
assert len(other.search("rain", 3)) == 3
assert large.encode_text(["rain"] * 20).shape == (20, large.config.embedding)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# -- int8 --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exact() -> CLAP:
    return CLAP.from_pretrained("mini", backend="openvino", threads=1)


def test_int8_is_near_and_kept(exact: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    rough = CLAP.from_pretrained("mini", backend="openvino", threads=1, precision="int8")
    assert rough.backend.info.dtype == "int8"
    sounds = [
        (synthesise(kind, np.random.default_rng(77), rate=32_000, seconds=6.0)[0], 32_000) for kind in list(KINDS)[:12]
    ]
    cosine = (exact.encode_audio(sounds) * rough.encode_audio(sounds)).sum(1)
    assert cosine.mean() > 0.98
    assert cosine.max() < 1 - 1e-6  # it really is another graph
    looked, map_cached = list[Path](), compile_cache.map_cached

    def look(path: Path) -> np.ndarray | None:
        looked.append(path)
        return map_cached(path)

    monkeypatch.setattr(compile_cache, "map_cached", look)
    monkeypatch.setattr(int8, "_quantise", lambda *_: pytest.fail("built again"))
    again = CLAP.from_pretrained("mini", backend="openvino", threads=1, precision="int8")
    assert np.abs(again.encode_audio(sounds) - rough.encode_audio(sounds)).max() < 1e-6
    (file,) = [path for path in looked if path.suffix == ".graph"]
    content, built = map_cached(file), list[bool]()
    assert content is not None
    whole = int8._unpack(ov.Core(), content.tobytes())

    def quantise(*_: object) -> object:
        built.append(True)
        return whole  # as it was built above

    monkeypatch.setattr(int8, "_quantise", quantise)
    file.write_bytes(file.read_bytes()[:-9])
    mended = CLAP.from_pretrained("mini", backend="openvino", threads=1, precision="int8")  # a damaged one once stayed
    assert (mended.encode_audio(sounds) * rough.encode_audio(sounds)).sum(1).min() > 0.999
    assert built
    assert map_cached(file) is not None


def test_int8_that_drifts_is_refused(exact: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    """One broken scale among many: the self-check must see it."""
    nncf = int8._nncf()
    quantize = nncf.quantize

    def broken(model: object, *args: object, **options: object) -> object:
        made = quantize(model, *args, **options)
        ranges = [op for op in made.get_ordered_ops() if op.get_type_name() == "FakeQuantize"]
        low, high = ranges[-1].input(3), ranges[-1].input(4)  # of its output; with both equal, the scale is zero
        low.replace_source_output(opset.constant(high.get_source_output().get_node().data).output(0))
        return made

    monkeypatch.setattr(nncf, "quantize", broken)
    sounds = [
        (synthesise(kind, np.random.default_rng(5), rate=32_000, seconds=4.0)[0], 32_000) for kind in list(KINDS)[:24]
    ]
    with pytest.raises(ModelError, match=r"int8 was refused: its cosine with float32"):
        CLAP.from_pretrained("mini", backend="openvino", precision="int8", calibration=sounds)


def test_int8_of_a_tower_without_convolutions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTSAT's graph has none: int8 ended in StopIteration."""
    few = [(np.random.default_rng(i).standard_normal(9000).astype(np.float32), 16_000) for i in range(12)]
    monkeypatch.setattr("openclap.synth.synthesise_all", lambda: few)  # what it calibrates with
    small_clap(audio="htsat").save_pretrained(tmp_path / "htsat")
    monkeypatch.setattr(int8, "MEAN_COSINE", -1.0)  # of random weights
    monkeypatch.setattr(int8, "WORST_COSINE", -1.0)
    rough = CLAP.from_pretrained(tmp_path / "htsat", backend="openvino", threads=1, precision="int8")
    assert rough.config.audio.kind == "htsat"
    assert rough.backend.info.dtype == "int8"


def test_int8_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="int8 runs on openvino alone"):
        CLAP.from_pretrained("mini", backend="torch", precision="int8")
    with pytest.raises(UsageError, match="choose float32, bfloat16, float16, int8, fast"):
        CLAP.from_pretrained("mini", precision="int4")  # type: ignore[arg-type]
    sounds = [(np.random.default_rng(i).standard_normal(9000).astype(np.float32), 16_000) for i in range(13)]
    with pytest.raises(UsageError, match="12 or more"):
        int8._quantise(None, [[np.zeros(3)]] * 40, lambda *_: None)  # many, but all the same
    monkeypatch.setattr("openclap.synth.synthesise_all", list)  # the sounds given are enough
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingExtra, match="openclap's extra 'int8'"):
        CLAP.from_pretrained("mini", precision="int8", calibration=sounds)
