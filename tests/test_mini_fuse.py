"""A fusion that is added to a finished model: short recordings are heard as before, long ones through it, and only it learns."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "runs" / "mini"))

import fuse
import gather
import judge_long
import torch
from hear import open_sources
from models_for_tests import small_clap

from openclap import CLAP
from openclap.backends.graphs.ops import Graph
from openclap.backends.openvino_backend import OpenVINOBackend
from openclap.checkpoints.load import load_checkpoint
from openclap.config import AUDIO, CLAPConfig
from openclap.models.clap import CLAPModel

RATE = gather.RATE


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuse, "LONGEST", 21.0)
    monkeypatch.setattr(fuse, "BATCH", 4)


@pytest.fixture
def unfused(tokenizer_file: Path, tmp_path: Path) -> Path:
    small_clap(tokenizer_file, fusion=None).save_pretrained(tmp_path / "unfused")
    return tmp_path / "unfused"


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Noises of one to four seconds, each with a beat of its own."""
    rng = np.random.default_rng(0)
    noises = [rng.standard_normal((1 + i) * RATE).astype(np.float32) * 0.1 for i in range(4)]
    beaten = [wave * (np.arange(len(wave)) % (3000 * (i + 1)) < 2000) for i, wave in enumerate(noises)]
    made = [gather.Made(f"noise_{i}", wave.astype(np.float32), "noise", "noise") for i, wave in enumerate(beaten)]
    (tmp_path / "sounds").mkdir()
    gather.write(tmp_path / "sounds", "synth", made)
    return tmp_path / "sounds"


def long_wave(seconds: float) -> tuple[np.ndarray, int]:
    rng = np.random.default_rng(3)
    return (rng.standard_normal(int(seconds * RATE)) * np.linspace(0.01, 0.3, int(seconds * RATE))).astype("f4"), RATE


def test_short_recordings_are_heard_as_before(unfused: Path) -> None:
    given = load_checkpoint(unfused)
    model, before = fuse.fused(given), CLAPModel.from_arrays(given.config, given.weights)
    mel = torch.randn(3, 4, 501, 64, generator=torch.Generator().manual_seed(0)) * 10 - 40
    short, one = torch.zeros(3, dtype=torch.bool), torch.tensor([False, True, False])
    with torch.inference_mode():
        as_it_was = before.encode_audio(mel[:, :1], short)
        assert torch.equal(model.encode_audio(mel, short), as_it_was)
        mixed = model.encode_audio(mel, one)
    torch.testing.assert_close(mixed[[0, 2]], as_it_was[[0, 2]], atol=1e-6, rtol=0)
    assert (mixed[1] - as_it_was[1]).abs().max() > 1e-3


def test_it_begins_with_what_block_1_makes_of_the_local_views(unfused: Path) -> None:
    """A local view gives what block 1's convolution gives at every sixth frame and every second bin."""
    tower: Any = fuse.fused(load_checkpoint(unfused)).audio
    mel = torch.randn(1, 1, 61, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        own = torch.relu(tower.blocks[0].convs[0](mel))
        assert torch.allclose(tower.local_project(mel), own[:, :, ::6, ::2], atol=1e-6)


def piece(unfused: Path, sounds: Path, count: int) -> fuse.Piece:
    return fuse.piece_of(
        CLAP.from_pretrained(unfused, threads=1), fuse.LongSounds(open_sources(sounds, everything=False)), 0, count
    )


def test_only_the_fusion_learns_and_comes_nearer(unfused: Path, sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fuse.fused(load_checkpoint(unfused))
    with torch.no_grad():  # far from what is to be heard: an untrained tower hears all sounds much alike
        model.get_parameter("audio.local_project.0.weight").mul_(-9)
        model.get_parameter("audio.fusion.local_attention2.4.bias").fill_(-3)
    before = {name: values.clone() for name, values in model.state_dict().items()}
    some = piece(unfused, sounds, 3)
    assert some.views.shape == (3, 4, 501, 64)
    begun = fuse.nearness(model, some)
    fuse.Fusing(model, 40, 0.05).train([some])
    moved = {name for name, values in model.state_dict().items() if not torch.equal(values, before[name])}
    assert moved
    assert all(name.startswith(fuse.LEARNT) for name in moved)
    assert fuse.nearness(model, some) > begun


def test_a_stopped_run_goes_on_where_it_was(unfused: Path, sounds: Path, tmp_path: Path) -> None:
    pieces = [piece(unfused, sounds, 2)]

    class Stopped(fuse.Fusing):
        def _step(self, pieces: list[fuse.Piece], count: int) -> float:
            if self.step == 2:
                raise KeyboardInterrupt
            return super()._step(pieces, count)

    def learnt(run: fuse.Fusing, state: Path) -> dict[str, torch.Tensor]:
        run.train(pieces, state)
        return run.model.state_dict()

    def fresh() -> tuple[CLAPModel, int, float]:
        return fuse.fused(load_checkpoint(unfused)), 4, 0.02

    through = learnt(fuse.Fusing(*fresh(), every=1), tmp_path / "through.pt")
    with pytest.raises(KeyboardInterrupt):
        Stopped(*fresh(), every=1).train(pieces, tmp_path / "stopped.pt")
    again = learnt(fuse.Fusing(*fresh(), every=1), tmp_path / "stopped.pt")
    assert all(torch.equal(values, again[name]) for name, values in through.items())


def test_what_is_written_loads_and_agrees_between_backends(
    unfused: Path, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "fused"
    options = ("--sounds", str(sounds), "--recordings", "3", "--steps", "2")
    monkeypatch.setattr(sys, "argv", ["fuse.py", str(unfused), str(out), *options])
    monkeypatch.setattr(fuse, "PIECE", 2)
    fuse.main()
    before, quick, torches = (
        CLAP.from_pretrained(unfused),
        CLAP.from_pretrained(out),
        CLAP.from_pretrained(out, backend="torch"),
    )
    assert quick.config.fusion == "iaff_2d"
    short, long = long_wave(4), long_wave(23)
    np.testing.assert_allclose(quick.encode_audio([short]), before.encode_audio([short]), atol=1e-6)
    np.testing.assert_allclose(quick.encode_audio([short, long]), torches.encode_audio([short, long]), atol=2e-6)
    np.testing.assert_allclose(quick.encode_text(["a dog"]), before.encode_text(["a dog"]), atol=1e-5)
    assert np.abs(quick.encode_audio([long]) - quick.encode_audio([long], long="windows")).max() > 1e-3


def test_short_recordings_cost_no_fusion(unfused: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fused model's short clips once went through the fusion as well, up to a fifth of their time, for nothing."""
    given = load_checkpoint(unfused)
    model = fuse.fused(given)
    built: list[str | None] = []

    build = AUDIO["pann"].load("graph")

    def pann(graph: Graph, config: CLAPConfig) -> object:
        built.append(config.fusion)
        return build(graph, config)

    monkeypatch.setitem(AUDIO, "pann", replace(AUDIO["pann"], graph=pann))
    mel = np.random.default_rng(0).normal(-40, 10, (1, 4, 501, 64)).astype(np.float32)
    short, long = np.array([False]), np.array([True])
    fast = OpenVINOBackend(model.config, model.arrays(), threads=1, why="test")
    rows = fast.encode_audio(mel[:, :1], short)
    assert built == [None]
    before = OpenVINOBackend(given.config, given.weights, threads=1, why="test")
    assert np.array_equal(rows, before.encode_audio(mel[:, :1], short))
    assert np.abs(fast.encode_audio(mel, long) - rows).max() > 1e-3
    assert built == [None, None, "iaff_2d"]


def test_a_fused_model_is_refused(tokenizer_file: Path, tmp_path: Path) -> None:
    small_clap(tokenizer_file).save_pretrained(tmp_path / "model")
    with pytest.raises(SystemExit, match="unfused model"):
        fuse.fused(load_checkpoint(tmp_path / "model"))


def test_long_recordings_are_judged_in_every_way(unfused: Path) -> None:
    clap = CLAP.from_pretrained(unfused)
    wave = long_wave(13)[0]
    found = judge_long.figures(clap, [("dog", wave[:RATE]), ("cat", wave[-RATE:])], [("rain", wave)])
    assert set(found) == {"windows", "middle"}
    assert found["windows"]["long near windows"] == pytest.approx(1, abs=1e-4)
    assert found["windows"]["looped near 5 s"] > 0.9
    assert found["middle"]["long found"] == 1.0
