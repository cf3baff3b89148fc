"""The front end: against the released extractor, numpy against torch, blocks against the whole."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from openclap.audio import mel
from openclap.audio.mel import FRAMES_AT_ONCE, apply_dynamic_range, log_mel, mel_bank, mel_blocks
from openclap.config import FrontEnd

FUSED = FrontEnd()
UNFUSED = FrontEnd(mel_scale="slaney", mel_norm="slaney")
SMALL = FrontEnd(sampling_rate=32_000, hop=640)
Wave = npt.NDArray[np.float32]


def noise(samples: int, seed: int = 0) -> Wave:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples, dtype=np.float32)


def sounds() -> dict[str, Wave]:
    """Loud and near-silent, broad and narrow: what float32 finds easy and hard."""
    t = np.arange(96_000) / 48_000
    chirp = np.sin(2 * np.pi * (200 * t + 3000 * t**2))
    return {
        "noise": noise(96_000),
        "whisper": noise(96_000) * np.float32(1e-4),
        "tone": (0.8 * np.sin(2 * np.pi * 1000 * t)).astype(np.float32),
        "fading chirp": (chirp * np.exp(-8 * t)).astype(np.float32),
        "click": np.eye(1, 48_000, 20_000, dtype=np.float32)[0],
        "silence": np.zeros(48_000, np.float32),
    }


@pytest.fixture(scope="module")
def extractor() -> Any:
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("needs transformers")
    from transformers import ClapFeatureExtractor

    return ClapFeatureExtractor(frequency_min=50, frequency_max=14_000)


@pytest.mark.parametrize(("front_end", "theirs"), [(FUSED, "mel_filters"), (UNFUSED, "mel_filters_slaney")])
def test_the_released_extractor_gives_the_same(extractor: Any, front_end: FrontEnd, theirs: str) -> None:
    """Both banks. It computes in float64: in near-silent bins float32 differs, elsewhere hardly."""
    bank = getattr(extractor, theirs)
    np.testing.assert_allclose(mel_bank(front_end), bank, atol=1e-7 * bank.max())
    for name, wave in sounds().items():
        expected = extractor._np_extract_fbank_features(wave, bank)
        mel = log_mel(wave, front_end)
        assert mel.dtype == np.float32
        assert mel.shape == expected.shape == (len(wave) // 480 + 1, 64)
        error = np.abs(mel - expected)
        assert error[expected > expected.max() - 80].max() < 2e-3, name
        # A pure tone leaves the other bins 140 dB below it, where float32 has nothing left to say.
        assert error[expected > expected.max() - 120].max() < 0.24, name
        assert np.median(error) < (0.24 if name == "tone" else 1e-3), name


def test_the_two_banks_are_far_apart() -> None:
    """Mixing them up ruins results silently: 15-28 dB (reference: both on one noise)."""
    apart = log_mel(noise(48_000), FUSED).mean() - log_mel(noise(48_000), UNFUSED).mean()
    assert 15 < apart < 35


def test_a_tone_lands_in_its_bin_at_its_power() -> None:
    """A sine on a bin of the FFT is 256 there, half the sum of the window, and 128 on both sides."""
    t = np.arange(48_000) / 48_000
    front_end = replace(FUSED, mel_bins=64)
    bank = mel_bank(front_end)
    k = int(np.argmax(bank.max(axis=1)))  # the FFT bin nearest to a triangle's tip
    mel = log_mel(np.sin(2 * np.pi * k * 48_000 / 1024 * t).astype(np.float32), front_end)[50]
    power = bank[k - 1] * 128**2 + bank[k] * 256**2 + bank[k + 1] * 128**2
    assert mel.max() == pytest.approx(10 * math.log10(power.max()), abs=1e-3)
    assert mel.argmax() == power.argmax()


def test_silence_is_the_floor() -> None:
    np.testing.assert_allclose(log_mel(np.zeros(4800, np.float32), FUSED), -100.0, atol=1e-5)


@pytest.mark.parametrize("front_end", [FUSED, UNFUSED, SMALL])
def test_numpy_and_torch_agree(front_end: FrontEnd) -> None:
    torch = pytest.importorskip("torch")
    for name, wave in sounds().items():
        ours = log_mel(wave, front_end)
        theirs = log_mel(torch.from_numpy(wave), front_end)
        assert theirs.dtype == torch.float32
        error = np.abs(theirs.numpy() - ours)
        assert error[ours > ours.max() - 80].max() < 2e-3, name
        ranged = replace(front_end, dynamic_range=70.0)
        np.testing.assert_allclose(
            apply_dynamic_range(theirs, ranged).numpy(), apply_dynamic_range(ours, ranged), atol=2e-3
        )


def test_torch_batches_and_gradients() -> None:
    torch = pytest.importorskip("torch")
    waves = torch.from_numpy(np.stack([noise(48_000, 1), noise(48_000, 2)])).requires_grad_()
    mel = log_mel(waves, SMALL)
    assert mel.shape == (2, 76, 64)
    torch.testing.assert_close(mel[1], log_mel(waves[1], SMALL), atol=1e-4, rtol=0)
    mel.mean().backward()
    assert waves.grad is not None
    assert torch.isfinite(waves.grad).all()


def test_a_batch_is_its_rows() -> None:
    waves = np.stack([noise(48_000, 1), noise(48_000, 2)])
    np.testing.assert_array_equal(log_mel(waves, FUSED), np.stack([log_mel(wave, FUSED) for wave in waves]))


@pytest.mark.parametrize("samples", [1, 2, 3, 100, 479, 512, 513, 514, 1024, 1025, 5000, 64 * 480, 100_000])
@pytest.mark.parametrize("front_end", [FUSED, SMALL])
def test_blocks_give_the_whole_bit_for_bit(samples: int, front_end: FrontEnd) -> None:
    wave = noise(samples)
    whole = log_mel(wave, front_end)
    assert whole.shape == (samples // front_end.hop + 1, 64)
    for size in (37, 513, 20_000, 10**6) if samples < 10_000 else (997, 48_000, 10**6):
        blocks = [wave[i : i + size] for i in range(0, samples, size)]
        np.testing.assert_array_equal(np.concatenate(list(mel_blocks(blocks, front_end))), whole)


def test_blocks_come_while_the_wave_does() -> None:
    fed = 0

    def feed() -> Any:
        nonlocal fed
        for _ in range(50):
            fed += 1
            yield noise(48_000)

    next(mel_blocks(feed(), FUSED))
    assert fed <= 2
    assert FRAMES_AT_ONCE < 100


@pytest.mark.parametrize("samples", [1, 2, 5, 512, 513, 2000])
def test_short_waves_are_reflected_as_often_as_it_takes(samples: int) -> None:
    """numpy's own padding and a plain float64 transform, written out."""
    wave = noise(samples) + np.float32(0.2)
    padded = np.pad(wave.astype(np.float64), 512, mode="reflect" if samples > 1 else "edge")
    window = np.hanning(1025)[:-1]
    frames = np.stack([padded[i * 480 : i * 480 + 1024] for i in range(samples // 480 + 1)])
    power = np.abs(np.fft.rfft(frames * window)) ** 2 @ mel_bank(FUSED).astype(np.float64)
    expected = 10 * np.log10(np.maximum(power, 1e-10))
    error = np.abs(log_mel(wave, FUSED) - expected)
    assert error[expected > expected.max() - 80].max() < 2e-3


def test_level() -> None:
    mel = np.array([[-20.0, -50.0], [-30.0, -95.0]], np.float32)
    assert apply_dynamic_range(mel, FUSED) is mel
    ranged = replace(FUSED, dynamic_range=60.0)
    np.testing.assert_array_equal(apply_dynamic_range(mel, ranged), [[0.0, -30.0], [-10.0, -60.0]])
    np.testing.assert_array_equal(
        apply_dynamic_range(mel[None] - 7, ranged)[0], apply_dynamic_range(mel, ranged)
    )  # loudness does not matter
    several = apply_dynamic_range(np.stack([mel, mel - 10]), ranged)  # each clip by its own loudest bin
    np.testing.assert_array_equal(several[0], several[1])


def test_level_of_silence_is_not_that_of_loud_noise() -> None:
    """Silence is 0 dB below its own loudest bin everywhere: as a white noise is, which it then resembled."""
    ranged = replace(FUSED, dynamic_range=60.0)
    np.testing.assert_array_equal(apply_dynamic_range(log_mel(np.zeros(4800, np.float32), ranged), ranged), -60.0)


@pytest.mark.parametrize("front_end", [FUSED, UNFUSED, SMALL])
def test_products_are_too_small_for_threads(front_end: FrontEnd) -> None:
    """OpenBLAS threads, which spin after each product, once took the cores from the model: 76 ms a clip, not 49."""
    _, groups = mel._constants(front_end, mel.BANDS_AT_ONCE)
    assert max(FRAMES_AT_ONCE * bank.size for _, _, bank in groups) <= 65536 * 4  # OpenBLAS's threshold
    joined = np.zeros((front_end.n_fft // 2 + 1, front_end.mel_bins), np.float32)
    for i, (low, high, bank) in enumerate(groups):
        joined[low:high, i * mel.BANDS_AT_ONCE : (i + 1) * mel.BANDS_AT_ONCE] = bank
    assert np.array_equal(joined, mel_bank(front_end))
