"""Recordings of any length → clips: repeat-padding, fusion views, windows."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf

from openclap.audio.clips import fusion_views, make_clip, make_windows, pad_wave, repeat_pad, window_starts
from openclap.audio.mel import apply_dynamic_range, log_mel
from openclap.config import FrontEnd
from openclap.errors import EmptySound, NotFiniteSound, SoundNotFound, UsageError

FUSED = FrontEnd()
SMALL = FrontEnd(sampling_rate=8_000, n_fft=256, hop=80, f_max=4_000.0, mel_bins=16)  # 1001 frames, six times faster
Wave = npt.NDArray[np.float32]


def noise(seconds: float, rate: int = 8_000, seed: int = 0) -> Wave:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate), dtype=np.float32)


# -- up to a clip -------------------------------------------------------------------------------------


def test_repeatpad() -> None:
    np.testing.assert_array_equal(repeat_pad(np.array([1, 2, 3], np.float32), 8), [1, 2, 3, 1, 2, 3, 0, 0])
    np.testing.assert_array_equal(repeat_pad(np.array([1, 2], np.float32), 4), [1, 2, 1, 2])
    np.testing.assert_array_equal(repeat_pad(np.array([1, 2, 3], np.float32), 3), [1, 2, 3])
    np.testing.assert_array_equal(repeat_pad(np.array([1], np.float32), 3), [1, 1, 1])


def test_a_sound_under_a_second_is_repeated_with_pauses() -> None:
    """0.3 s of pause, and at most a second in all: a knock again and again at once is a rattle."""
    spaced = replace(SMALL, padding="spaced")
    for seconds, period in ((0.2, 0.5), (0.9, 1.0), (1.0, 1.0), (4.0, 4.0)):
        wave = noise(seconds)
        again = np.resize(np.pad(wave, (0, round(8000 * period) - len(wave))), spaced.clip_samples)
        np.testing.assert_array_equal(pad_wave(wave, spaced), again)
    np.testing.assert_array_equal(pad_wave(noise(10), spaced), noise(10))


@pytest.mark.parametrize("long", ["fusion", "head"])
@pytest.mark.parametrize("seconds", [1 / 8000, 0.3, 3.0, 9.999, 10.0])
def test_short_recordings_are_one_view(seconds: float, long: Any) -> None:
    wave = noise(seconds)
    clip = make_clip((wave, 8_000), SMALL, long=long)
    assert not clip.longer
    assert clip.mel.shape == (1, 1001, 16)
    np.testing.assert_array_equal(clip.mel[0], log_mel(repeat_pad(wave, 80_000), SMALL))


def test_just_over_a_clip_is_not_longer() -> None:
    """Less than a hop over 10 s makes no frame more: nothing to fuse. One frame more is longer."""
    wave = noise(11)
    clip = make_clip((wave[:80_079], 8_000), SMALL, long="fusion")
    assert (clip.longer, clip.mel.shape) == (False, (1, 1001, 16))
    np.testing.assert_array_equal(clip.mel[0], log_mel(wave[:80_079], SMALL))
    clip = make_clip((wave[:80_080], 8_000), SMALL, long="fusion")
    assert (clip.longer, clip.mel.shape) == (True, (4, 1001, 16))


def test_head_is_the_first_clip() -> None:
    wave = noise(40)
    clip = make_clip((wave, 8_000), SMALL, long="head")
    assert not clip.longer
    np.testing.assert_array_equal(clip.mel[0], log_mel(wave[:80_000], SMALL))


# -- fusion -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "starts"),
    [
        (1002, (0, 1, 0)),  # two starts: thirds [0], [1], []
        (1003, (0, 1, 2)),
        (1004, (1, 2, 3)),  # thirds [0 1], [2], [3]
        (4001, (500, 1501, 2501)),  # thirds of 1001, 1000, 1000 starts, from 0, 1001 and 2001
    ],
)
def test_each_local_view_is_the_middle_of_its_third(frames: int, starts: tuple[int, int, int]) -> None:
    mel = np.repeat(np.arange(frames, dtype=np.float32)[:, None], 4, axis=1)
    views = fusion_views(mel, 1001)
    assert views.shape == (4, 1001, 4)
    for view, start in zip(views[1:], starts, strict=True):
        np.testing.assert_array_equal(view, mel[start : start + 1001])


def test_the_global_view_squeezes_evenly() -> None:
    """A ramp stays a ramp: frame i of 1001 is at (i + 0.5) * T / 1001 - 0.5."""
    mel = np.repeat(np.arange(3003, dtype=np.float32)[:, None], 2, axis=1)
    np.testing.assert_allclose(fusion_views(mel, 1001)[0, :, 0], np.arange(1001) * 3 + 1, rtol=1e-6)


@pytest.mark.parametrize("frames", [1002, 1500, 4001, 30_000])
def test_the_global_view_is_torchs_resize(frames: int) -> None:
    torch = pytest.importorskip("torch")
    mel = np.random.default_rng(0).standard_normal((frames, 64), dtype=np.float32) * 20 - 40
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(mel).double()[None, None], size=(1001, 64), mode="bilinear", align_corners=False
    )
    # torch takes the floor of the place in float32: 24 499.9995 of 30 000 frames becomes 24 500.
    tolerance = 2e-5 if frames < 10_000 else 0.1
    np.testing.assert_allclose(fusion_views(mel, 1001)[0], expected[0, 0].numpy(), atol=tolerance)


def test_fusion_is_that_of_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its three starts are drawn; with the draw replaced by the middle the four views are ours."""
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("needs transformers")
    from transformers import ClapFeatureExtractor

    extractor = ClapFeatureExtractor(truncation="fusion", frequency_min=50, frequency_max=14_000)
    monkeypatch.setattr(np.random, "choice", lambda starts: starts[len(starts) // 2])
    for seconds in (4.0, 10.0, 10.005, 10.5, 23.0):
        wave = noise(seconds, 48_000)
        theirs = extractor(wave, sampling_rate=48_000, return_tensors="np")
        clip = make_clip((wave, 48_000), FUSED, long="fusion")
        expected = theirs["input_features"][0]
        assert expected.shape == (4, 1001, 64)
        np.testing.assert_allclose(np.broadcast_to(clip.mel, expected.shape), expected, atol=0.02)
        # Theirs marks a random clip longer where a batch has none, so only one way can be compared.
        assert clip.longer == (seconds > 10.01)
        assert bool(np.ravel(theirs["is_longer"])[0]) >= clip.longer


def test_fusion_of_a_file_is_streamed_and_the_same(tmp_path: Path) -> None:
    wave = noise(95, 44_100)
    sf.write(tmp_path / "a.wav", wave, 44_100, subtype="FLOAT")
    from openclap.audio.load import load

    clip = make_clip(tmp_path / "a.wav", SMALL, long="fusion")
    whole = log_mel(load((wave, 44_100), 8_000), SMALL)
    np.testing.assert_array_equal(clip.mel, fusion_views(whole, 1001))
    np.testing.assert_array_equal(clip.mel, make_clip((wave, 44_100), SMALL, long="fusion").mel)


def test_levels_of_fusion_are_those_of_the_recording() -> None:
    """A quiet first half stays quiet beside the loud second one: one loudest bin for all four views."""
    ranged = replace(SMALL, dynamic_range=60.0)
    wave = np.concatenate([noise(30) * np.float32(0.01), noise(30)])
    mel = make_clip((wave, 8_000), ranged, long="fusion").mel
    np.testing.assert_array_equal(mel, fusion_views(apply_dynamic_range(log_mel(wave, ranged), ranged), 1001))
    assert mel[1].max() < -30
    assert mel[3].max() > -5
    windows = list(make_windows((wave, 8_000), ranged))
    assert all(w.mel.max() == 0.0 for w in windows)  # each by its own


# -- windows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "starts", "ends"),
    [
        (23, [0, 5, 10, 13], [10, 15, 20, 23]),
        (20, [0, 5, 10], [10, 15, 20]),
        (20.5, [0, 5, 10, 10.5], [10, 15, 20, 20.5]),
        (10, [0], [10]),
        (10.0001, [0, 0.000125], [10, 10.000125]),
        (3, [0], [3]),
        (0.5, [0], [0.5]),
    ],
)
def test_windows(seconds: float, starts: list[float], ends: list[float]) -> None:
    wave = noise(seconds)
    windows = list(make_windows((wave, 8_000), SMALL))
    assert [w.start for w in windows] == pytest.approx(starts)
    assert [w.end for w in windows] == pytest.approx(ends)
    for window in windows:
        span = wave[round(window.start * 8000) : round(window.end * 8000)]
        np.testing.assert_array_equal(window.mel, log_mel(repeat_pad(span, 80_000), SMALL)[None])


@pytest.mark.parametrize(("window", "hop"), [(2.5, 0.7), (1.0, 3.0), (10.0, 10.0), (0.3, 1 / 3), (4.0, 4.0), (10, 5)])
@pytest.mark.parametrize("seconds", [0.2, 4.0, 12.34, 31.0])
def test_windows_of_other_sizes(seconds: float, window: float, hop: float) -> None:
    """Streamed in blocks or counted from the length: the same windows, without a gap up to the end."""
    wave = noise(seconds)
    got = list(make_windows((wave, 8_000), SMALL, window=window, hop=hop))
    starts = [round(w.start * 8_000) for w in got]
    assert starts == window_starts(len(wave), round(window * 8_000), hop * 8_000)
    assert starts == sorted(set(starts))
    assert starts[:-1] == [round(k * hop * 8_000) for k in range(len(starts) - 1)]
    assert got[-1].end == pytest.approx(seconds, abs=1e-4)
    first, last = got[0], got[-1]
    assert first.mel.shape == (1, 1001, 16)
    for w in (first, last):
        span = wave[round(w.start * 8_000) : round(w.end * 8_000)]
        assert len(span) == min(round(window * 8_000), len(wave))
        np.testing.assert_array_equal(w.mel, log_mel(repeat_pad(span, 80_000), SMALL)[None])


def test_starts_of_fractions_of_samples_do_not_drift() -> None:
    """A hop of 0.1234567 s at 44.1 kHz is 5444.44 samples: each multiple is rounded, none is added up."""
    assert window_starts(10_000_000, 44_100, 5444.44)[1000] == 5_444_440


def test_windows_are_streamed() -> None:
    """The first window is there before the second minute is read."""
    read = 0

    class Watched:
        """Five minutes of 8 kHz WAV that counts what is read of it."""

        def __init__(self) -> None:
            import io

            self.file = io.BytesIO()
            sf.write(self.file, noise(300), 8_000, format="WAV")
            self.file.seek(0)

        def read(self, size: int = -1) -> bytes:
            nonlocal read
            data = self.file.read(size)
            read += len(data)
            return data

        def seek(self, offset: int, whence: int = 0) -> int:
            return self.file.seek(offset, whence)

        def tell(self) -> int:
            return self.file.tell()

        closed = False

    windows = make_windows(Watched(), SMALL)  # type: ignore[arg-type]
    next(windows)
    assert read < 2 * 8_000 * 70
    assert len(list(windows)) == 58


def test_a_window_holds_no_more_than_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the recording: what `_spans` keeps is a window and a block at most."""
    from openclap.audio import clips

    largest = 0
    concatenate = np.concatenate

    def watched(arrays: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal largest
        joined = concatenate(arrays, *args, **kwargs)
        largest = max(largest, joined.nbytes)
        return joined

    monkeypatch.setattr(np, "concatenate", watched)
    blocks = (np.zeros(30_000, np.float32) for _ in range(500))
    count = sum(1 for _ in clips._window_waves(blocks, 80_000, 40_000))
    assert count == math.ceil((500 * 30_000 - 80_000) / 40_000) + 1
    assert largest <= 4 * (80_000 + 40_000 + 30_000)


@pytest.mark.parametrize("window", [0, -1, 10.5, math.nan, math.inf, "10"])
def test_windows_refused(window: Any) -> None:
    with pytest.raises(UsageError, match="window"):
        make_windows((noise(20), 8_000), SMALL, window=window)


@pytest.mark.parametrize("hop", [0, -1, 1e-9, math.nan, math.inf, None])
def test_hops_refused(hop: Any) -> None:
    """A hop below half a sample never advanced."""
    with pytest.raises(UsageError, match="hop"):
        make_windows((noise(20), 8_000), SMALL, hop=hop)


def test_faults_come_through(tmp_path: Path) -> None:
    wave = noise(40)
    wave[-5] = np.nan
    with pytest.raises(NotFiniteSound):
        list(make_windows((wave, 8_000), SMALL))
    with pytest.raises(NotFiniteSound):
        make_clip((wave, 8_000), SMALL, long="fusion")
    with pytest.raises(EmptySound):
        make_clip((np.zeros(0), 8_000), SMALL, long="head")
    with pytest.raises(SoundNotFound):
        make_clip(tmp_path / "no.wav", SMALL, long="fusion")
    with pytest.raises(UsageError, match="fusion or head"):
        make_clip((noise(1), 8_000), SMALL, long="windows")  # type: ignore[arg-type]
