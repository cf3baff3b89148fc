"""bfloat16 and "fast": which backend computes in them, when they are refused, and libraries, which take one alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from models_for_tests import small_clap
from typer.testing import CliRunner

from openclap import CLAP, Library, backends
from openclap.backends import half
from openclap.cli.app import app
from openclap.errors import LibraryMismatch, ModelError, UsageError

SOUND = (np.random.default_rng(1).standard_normal(48_000).astype(np.float32), 16_000)


@pytest.fixture
def model(tokenizer_file: Path, tmp_path: Path) -> Path:
    small_clap(tokenizer_file, audio="htsat").save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(autouse=True)
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if on a CPU with bfloat16, whatever this one has; without, OpenVINO computes the same in float32."""
    monkeypatch.setattr(backends, "native_halves", lambda: ("bfloat16",))


def test_torch_computes_where_the_cpu_does_not(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "native_halves", lambda: ())
    exact = CLAP.from_pretrained(model, backend="torch")
    rough = CLAP.from_pretrained(model, precision="bfloat16", device="cpu")
    assert (rough.backend.info.engine, rough.backend.info.dtype) == ("torch", "bfloat16")
    one, other = exact.encode_audio(SOUND), rough.encode_audio(SOUND)
    assert one[0] @ other[0] > 0.999
    assert np.abs(one - other).max() > 1e-6
    with pytest.raises(UsageError, match="this CPU does not compute in bfloat16; choose backend torch"):
        CLAP.from_pretrained(model, backend="openvino", precision="bfloat16")


def test_openvino_is_near_and_its_check_is_kept(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = CLAP.from_pretrained(model, backend="openvino")
    rough = CLAP.from_pretrained(model, precision="bfloat16")
    assert (rough.backend.info.engine, rough.backend.info.dtype) == ("openvino", "bfloat16")
    assert exact.encode_audio(SOUND)[0] @ rough.encode_audio(SOUND)[0] > 0.9995
    assert np.array_equal(exact.encode_text("rain"), rough.encode_text("rain"))
    monkeypatch.setattr(type(rough.backend), "_worst_cosine", lambda *_: pytest.fail("compared again"))
    assert CLAP.from_pretrained(model, precision="fast").backend.info.dtype == "bfloat16"


def test_what_differs_too_much_is_refused_and_fast_takes_float32(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half, "WORST_COSINE", 1.1)
    with pytest.raises(ModelError, match=r"bfloat16 was refused: the worst cosine .* is (0\.9|1\.0).*; use float32"):
        CLAP.from_pretrained(model, precision="bfloat16")
    fast = CLAP.from_pretrained(model, precision="fast")
    assert fast.backend.info.dtype == "float32"
    assert np.array_equal(fast.encode_audio(SOUND), CLAP.from_pretrained(model, backend="openvino").encode_audio(SOUND))


def test_fast_means_the_same_elsewhere(model: Path) -> None:
    """A worker of a cluster whose CPU is another must not decide for itself."""
    assert CLAP.from_pretrained(model, precision="fast").recipe()["precision"] == "bfloat16"


def test_a_library_takes_vectors_of_one_precision(model: Path, tmp_path: Path) -> None:
    sounds, place = tmp_path / "sounds", tmp_path / "library"
    sounds.mkdir()
    sf.write(sounds / "one.wav", *SOUND)
    of = ["--model", str(model), "--library", str(place)]
    run = CliRunner().invoke
    assert run(app, ["index", str(sounds), "--fast", *of]).exit_code == 0
    assert Library.open(place).precision == "bfloat16"
    exact, rough = CLAP.from_pretrained(model), CLAP.from_pretrained(model, precision="bfloat16")
    sf.write(sounds / "two.wav", SOUND[0][::-1], SOUND[1])
    with pytest.raises(LibraryMismatch, match=r"computed in bfloat16, this model computes in float32; load it with"):
        Library.open(place, model=exact).add(sounds)
    assert len(Library.open(place, model=exact).search("rain")) == 1
    assert Library.open(place, model=rough).add(sounds).added == 1
    sf.write(sounds / "three.wav", SOUND[0] / 2, SOUND[1])  # a search adds as the library was made
    assert run(app, ["search", "rain", str(sounds), *of]).exit_code == 0
    assert Library.open(place).stats()["files"] == 3
    assert Library.reembed(place, exact).updated == 3
    assert Library.open(place).precision == "float32"
    assert isinstance(run(app, ["index", str(sounds), "--fast", "--precision", "int8", *of]).exception, UsageError)
