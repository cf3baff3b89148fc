"""The model that ships: small, sound, and able to hear what it was taught in other words."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from openclap import CLAP, demo
from openclap.checkpoints.locate import packaged_folder
from openclap.synth import KINDS, synthesise

RATE = 32_000
SEED = 5_000_000  # takes that no training run has drawn


@pytest.fixture(scope="module")
def mini() -> CLAP:
    return CLAP.from_pretrained("mini", strict=True)


@pytest.fixture(scope="module")
def takes(mini: CLAP) -> dict[str, np.ndarray]:
    """One new take of every kind, embedded."""
    sounds = [
        (synthesise(kind, np.random.default_rng((SEED, i)), rate=RATE, seconds=5.0)[0], RATE)
        for i, kind in enumerate(KINDS)
    ]
    return dict(zip(KINDS, mini.encode_audio(sounds), strict=True))


def test_all_its_files_are_small() -> None:
    assert sum(file.stat().st_size for file in packaged_folder("mini").iterdir()) <= 32_000_000


def test_it_is_healthy_and_complete(mini: CLAP) -> None:
    assert mini.config.name == "mini"
    assert mini.examine(fresh=True) == ()


def test_it_names_new_takes_of_synthesised_sounds(mini: CLAP, takes: dict[str, np.ndarray]) -> None:
    prompts = mini.encode_text([f"This is a sound of {kind}." for kind in takes])
    right = (np.stack(list(takes.values())) @ prompts.T).argmax(1) == np.arange(len(takes))
    assert right.mean() > 0.6  # of 56 kinds; chance is 0.02


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("a puppy yapping", {"dog bark"}),
        ("the fire alarm went off", {"smoke alarm"}),
        ("a guitarist playing", {"guitar"}),
        ("a crowing cockerel", {"rooster"}),
        ("chopper in the sky", {"helicopter", "airplane prop"}),
    ],
)
def test_it_answers_in_other_words_than_its_labels(
    mini: CLAP, takes: dict[str, np.ndarray], query: str, kinds: set[str]
) -> None:
    scores = np.stack(list(takes.values())) @ mini.encode_text(query)[0]
    best = [list(takes)[i] for i in np.argsort(-scores)[:3]]
    assert kinds & set(best), best


def test_a_recording_a_little_over_half_a_clip_is_not_half_silence(mini: CLAP) -> None:
    """5.01 s fits into 10 s once; filled up with silence, rain and helicopters were taken for sneezes."""
    wave, _ = synthesise("rain", np.random.default_rng(1), rate=RATE, seconds=5.01)
    rows = mini.encode_audio([(wave, RATE), (wave[: 5 * RATE], RATE)])
    assert rows[0] @ rows[1] > 0.99


def test_the_demo_runs_and_finds(mini: CLAP, tmp_path: Path) -> None:
    page = io.StringIO()
    demo.run(mini, tmp_path, Console(file=page, width=80))
    text = page.getvalue()
    assert text.count("✓") >= 3
    assert "\x1b" not in text
    assert (tmp_path / "library" / "library.sqlite").exists()
