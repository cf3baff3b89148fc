"""Audio as Hugging Face, torchcodec and torch hand it over; torchcodec is not installed, so stand-ins have its members."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf
import torch
from models_for_tests import small_clap

from openclap import CLAP
from openclap.audio.load import Sound, duration, is_sound, load, sound_name
from openclap.errors import SoundNotFound, UnreadableSound, UsageError

RATE = 16_000
MONO = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
STEREO = np.stack([MONO, MONO * 0.5], 1)  # (S, channels)


class Decoder:
    """torchcodec.decoders.AudioDecoder: `get_all_samples` alone."""

    def __init__(self, wave: npt.NDArray[np.float32], path: str | None = None) -> None:
        self._data = torch.from_numpy(np.ascontiguousarray(np.atleast_2d(wave.T)))  # (channels, S)
        self._hf_encoded = {"path": path, "bytes": None}

    def get_all_samples(self) -> Any:
        return SimpleNamespace(data=self._data, sample_rate=RATE, pts_seconds=0.0)


class DatasetsDecoder(Decoder):
    """That of `datasets` 4 and later, which has two keys as well."""

    def __getitem__(self, key: str) -> Any:
        if key == "array":
            return self._data.numpy().mean(0)
        if key == "sampling_rate":
            return RATE
        raise TypeError("object is not subscriptable")


class Keyed:
    """What has the two keys and nothing else."""

    def __getitem__(self, key: str) -> Any:
        return {"array": MONO, "sampling_rate": RATE}[key]


class Broken(Decoder):
    """A file that FFmpeg cannot read."""

    def get_all_samples(self) -> Any:
        raise RuntimeError("Could not open\ninput file")


def coded(wave: npt.NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    sf.write(file, wave, RATE, format="WAV", subtype="FLOAT")
    return file.getvalue()


@pytest.fixture(scope="module")
def clap(tokenizer_file: Path) -> CLAP:
    return small_clap(tokenizer_file)


OBJECTS: dict[str, Any] = {
    "torchcodec": Decoder(STEREO),
    "datasets": DatasetsDecoder(STEREO),
    "one channel": Decoder(MONO),
    "two keys": Keyed(),
    "samples": Decoder(STEREO).get_all_samples(),
    "bytes": {"bytes": coded(STEREO), "path": None},
    "bytes before path": {"bytes": coded(STEREO), "path": "was/here.wav"},
    "view": {"bytes": memoryview(coded(STEREO)), "path": None},
    "array": {"array": MONO, "sampling_rate": RATE, "path": "x.wav"},
    "tensor in a dict": {"array": torch.from_numpy(STEREO.T.copy()), "sampling_rate": torch.tensor(RATE)},
    "tensor (S,)": (torch.from_numpy(MONO), RATE),
    "tensor (channels, S)": (torch.from_numpy(STEREO.T.copy()), RATE),
    "tensor (S, channels)": (torch.from_numpy(STEREO), RATE),
    "tensor with gradient": (torch.from_numpy(MONO).requires_grad_(), RATE),
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_it_is_heard_as_its_wave_is(kind: str, clap: CLAP) -> None:
    """`encode_audio(dataset[0]["audio"])` was a KeyError, or refused."""
    sound: Sound = OBJECTS[kind]
    mono = kind in ("one channel", "two keys", "array", "tensor (S,)", "tensor with gradient")
    expected = MONO if mono else STEREO.mean(1)
    assert is_sound(sound)
    assert np.allclose(load(sound, RATE), expected, atol=1e-7)
    assert duration(sound) == pytest.approx(1.0)
    row = clap.encode_audio((expected, RATE))
    assert np.allclose(clap.encode_audio(sound), row, atol=1e-6)
    assert np.allclose(clap.encode_audio([sound, sound])[1], row[0], atol=1e-6)
    assert clap.match(sound, "rain")[0].score == pytest.approx(clap.match((expected, RATE), "rain")[0].score, abs=1e-6)
    assert len(clap.classify(sound, ["rain", "dog"])) == 2
    assert len(clap.encode_windows(sound).start) == 1


def test_half_precision_and_paths(tmp_path: Path) -> None:
    assert np.abs(load((torch.from_numpy(MONO).bfloat16(), RATE), RATE) - MONO).max() < 2e-3
    (tmp_path / "a.wav").write_bytes(coded(STEREO))
    for path in (str(tmp_path / "a.wav"), tmp_path / "a.wav"):
        assert np.allclose(load({"bytes": None, "path": path}, RATE), STEREO.mean(1), atol=1e-7)
        assert np.allclose(load({"path": path}, RATE), STEREO.mean(1), atol=1e-7)


def test_names_in_messages(tmp_path: Path) -> None:
    assert sound_name(Decoder(MONO)) == "<Decoder>"
    assert sound_name(Decoder(MONO, "clips/a.mp3")) == "clips/a.mp3"
    assert sound_name({"bytes": b"x", "path": "a.mp3"}) == "a.mp3"
    assert sound_name({"array": MONO, "sampling_rate": RATE}) == "<wave of shape (16000,) at 16000 Hz>"


def test_one_broken_object_stops_no_other(clap: CLAP) -> None:
    with pytest.raises(
        UnreadableSound, match=r"a.mp3: the Broken that holds it cannot decode it \(Could not open input file\)"
    ):
        clap.encode_audio(Broken(MONO, "a.mp3"))
    found = list(clap.encode_each([Decoder(MONO), Broken(MONO), {"path": "gone.wav"}, OBJECTS["bytes"]]))
    assert [type(each).__name__ for each in found] == ["Windows", "UnreadableSound", "SoundNotFound", "Windows"]
    with pytest.raises(SoundNotFound, match=r"gone\.wav"):
        duration({"bytes": None, "path": "gone.wav"})


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        ({"bytes": None, "path": None}, "needs 'array' and 'sampling_rate', or 'bytes' or 'path' that are not None"),
        ({"audio": {"bytes": b"x"}, "text": "rain"}, "this one has 'audio', 'text'"),
        ({"array": None, "sampling_rate": RATE}, "needs 'array'"),
        ({"array": MONO}, "needs 'array' and 'sampling_rate'"),
        ({"bytes": "text", "path": None}, "'bytes' of a sound given as a dict is str"),
        ({"bytes": None, "path": 7}, "'path' of a sound given as a dict is int"),
        (torch.from_numpy(MONO), "a bare array has no sampling rate"),
        (torch.from_numpy(STEREO), "a bare array has no sampling rate"),
        ([torch.from_numpy(MONO)], "a bare array has no sampling rate"),
        ((torch.zeros(2, 2, RATE), RATE), "a wave of shape"),
        ((np.zeros((16, RATE), np.float32), RATE), "looks like (channels, S)"),
        ((torch.zeros(RATE, dtype=torch.complex64), RATE), "samples are floats"),
    ],
)
def test_what_is_no_sound_is_refused_with_a_sentence(thing: Any, words: str, clap: CLAP) -> None:
    with pytest.raises(UsageError) as caught:
        clap.encode_audio(thing)
    assert words in str(caught.value)


def test_columns_of_datasets_are_many_sounds(clap: CLAP) -> None:
    """A column has keys as well, and is no sound."""
    datasets = pytest.importorskip("datasets")
    rows = {"audio": [{"bytes": coded(MONO), "path": None}, {"bytes": coded(STEREO), "path": "b.wav"}]}
    column = datasets.Dataset.from_dict(rows)["audio"]
    assert not is_sound(column)
    assert clap.encode_audio(column).shape == (2, 24)
