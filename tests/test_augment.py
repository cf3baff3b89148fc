"""Variation of training clips does what its settings say, on power, and nothing where it is not asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from openclap.train import augment as vary
from openclap.train.settings import Augment

ROWS, VIEWS, FRAMES, BINS = 6, 4, 50, 16


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def power() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).gamma(2.0, 1.0, (ROWS, VIEWS, FRAMES, BINS)).astype(np.float32))


def test_a_room_adds_a_tail_of_the_power_that_was_asked_for(rng: np.random.Generator) -> None:
    click = torch.zeros(ROWS, 1, FRAMES, BINS)
    click[:, :, 10] = 1.0
    augment = Augment(room_share=1.0, room_seconds=(0.5, 0.5), room_db=(0.0, 0.0))
    heard = vary.add_reverb(click, augment, 50.0, rng)
    assert torch.equal(heard[:, :, :10], torch.zeros(ROWS, 1, 10, BINS))  # nothing is heard before it sounds
    assert torch.allclose(heard.sum(2), torch.full((ROWS, 1, BINS), 2.0), atol=1e-5)  # as much again
    tail = 10 * torch.log10(heard[0, 0, 11:, 0] / heard[0, 0, 11, 0])
    assert tail[20] == pytest.approx(-60 * 20 / 25, abs=1e-2)  # 60 dB in 25 frames


def test_rooms_are_for_a_share_of_the_clips(power: torch.Tensor, rng: np.random.Generator) -> None:
    heard = vary.add_reverb(power, Augment(room_share=0.5), 50.0, rng)
    changed = [not torch.allclose(a, b, rtol=1e-4) for a, b in zip(power, heard, strict=True)]
    assert 0 < sum(changed) < ROWS


def test_gain_is_one_factor_a_clip_and_within_bounds(power: torch.Tensor, rng: np.random.Generator) -> None:
    factor = 10 * torch.log10(vary.change_gain(power, 6.0, rng) / power)
    assert torch.allclose(factor, factor[:, :1, :1, :1].expand_as(factor), atol=1e-4)
    assert factor.abs().max() <= 6.0
    assert factor[:, 0, 0, 0].std() > 1.0


def test_noise_has_the_level_that_was_asked_for(power: torch.Tensor, rng: np.random.Generator) -> None:
    heard = vary.add_noise(power, Augment(noise_share=1.0, noise_snr_db=(10.0, 10.0)), rng)
    added = (heard - power).mean((1, 2, 3)) / power.mean((1, 2, 3))
    assert torch.allclose(10 * added.log10(), torch.full((ROWS,), -10.0), atol=0.6)


def test_an_equaliser_is_one_curve_over_time(power: torch.Tensor, rng: np.random.Generator) -> None:
    curve = 10 * torch.log10(vary.equalise(power, 4.0, rng) / power)
    assert torch.allclose(curve, curve[:, :1, :1].expand_as(curve), atol=1e-4)
    assert curve[:, 0, 0].std() > 1.0


def test_masks_are_stripes_of_zeros(power: torch.Tensor, rng: np.random.Generator) -> None:
    masked = vary.spec_augment(Augment(time_masks=1, time_mask_frames=10, mel_masks=1, mel_mask_bins=4), rng)
    assert masked is not None
    heard = masked(power)
    gone = heard == 0
    assert gone.any()
    assert torch.equal(heard[~gone], power[~gone])
    rows, columns = gone.all(3)[:, 0].sum(1), gone.all(2)[:, 0].sum(1)
    assert rows.max() <= 10
    assert columns.max() <= 4
    assert vary.spec_augment(Augment(), rng) is None


def test_a_crop_reads_on_from_the_start_and_shifts_the_mel_axis() -> None:
    mel = torch.arange(20.0)[:, None].expand(20, 4) + 100 * torch.arange(4.0)
    assert torch.equal(vary.crop(mel, 6, 17.0, 1.0, 0.0)[:, 0], torch.tensor([17.0, 18.0, 19.0, 0.0, 1.0, 2.0]))
    assert torch.equal(vary.crop(mel, 3, 0.0, 2.0, 0.0)[:, 0], torch.tensor([0.0, 2.0, 4.0]))
    assert torch.equal(vary.crop(mel, 1, 0.0, 1.0, 1.0)[0], torch.tensor([0.0, 0.0, 100.0, 200.0]))


def test_what_never_changes_is_steady(rng: np.random.Generator) -> None:
    """Rain, a click and silence: what plays under others is rather the rain."""
    rain = torch.from_numpy(rng.gamma(50.0, 1.0, (1, 1, FRAMES, BINS)).astype(np.float32))
    click = torch.full((1, 1, FRAMES, BINS), 1e-6)
    click[:, :, 10] = 1.0
    steady = vary.steadiness(torch.cat([rain, click, torch.zeros(1, 1, FRAMES, BINS)]))
    assert steady[0] > 0.98
    assert 0 < steady[1] < 0.01
    assert 0 < steady[2] <= 1
