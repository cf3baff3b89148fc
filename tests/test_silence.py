"""Silence is silence, and so is the hiss of an empty room: nothing is heard in either."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from openclap import CLAP
from openclap.audio.levels import is_silent
from openclap.describe import Describer, timeline
from openclap.describe.english import SILENCE

RATE = 32_000


@pytest.fixture(scope="module")
def mini() -> CLAP:
    return CLAP.from_pretrained("mini")


def noise(decibel: float, power: float = 0.0, seconds: int = 3) -> npt.NDArray[np.float32]:
    """White (0), pink (1) or brown (2) noise of a level in dB of full scale."""
    rng = np.random.default_rng(5)
    spectrum = np.fft.rfft(rng.standard_normal(seconds * RATE))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (power / 2)
    spectrum[: 20 * seconds] = 0  # below 20 Hz
    wave = np.fft.irfft(spectrum)
    return np.asarray(wave / wave.std() * 10 ** (decibel / 20), np.float32)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0], ids=["white", "pink", "brown"])
def test_noise_of_minus_70_decibels_is_nothing(mini: CLAP, power: float) -> None:
    """It was tagged as whatever noise resembles: a model that normalises loudness cannot tell."""
    sound = (noise(-70.0, power), RATE)
    made = mini.describe(sound)
    assert (made.tags, made.sentence) == ([], "Silence.")
    assert [span.label for span in timeline(Describer(mini, ["rain", "hiss"]), sound)] == [SILENCE]


def test_digital_silence_is_nothing(mini: CLAP) -> None:
    made = mini.describe((np.zeros(RATE, np.float32), RATE))
    assert (made.tags, made.sentence) == ([], "Silence.")


def test_what_is_quiet_is_heard_all_the_same() -> None:
    assert not is_silent((noise(-60.0), RATE))
    late = np.concatenate([noise(-70.0), noise(-40.0, seconds=1)])
    assert not is_silent((late, RATE))
    click = np.zeros(RATE, np.float32)
    click[RATE // 2] = 0.01  # -40 dB for a sample, -74 dB over 50 ms
    assert not is_silent((click, RATE))


def test_a_sound_shorter_than_a_frame_is_judged_whole() -> None:
    assert is_silent((noise(-70.0)[:100], RATE))
    assert not is_silent((noise(-30.0)[:100], RATE))
