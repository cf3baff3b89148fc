"""Training: it learns, it resumes bit for bit, it never repeats an epoch, it tells what is wrong before it starts."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
import yaml
from models_for_tests import small_config
from ranks_for_tests import run_program, started

from openclap import CLAP
from openclap.errors import ModelWarning, SoundWarning, TrainingError
from openclap.train import loop, train
from openclap.train.batches import Batches
from openclap.train.configuration import read_settings
from openclap.train.examples import read_examples
from openclap.train.mel_cache import MelCache
from openclap.train.run_state import STATE_FILE

RATE = 16_000
SOUNDS = ("dog", "cat", "siren")


def sound(label: str, rng: np.random.Generator) -> np.ndarray:
    """Clicks, a tone, or noise: what a small CNN, nearly blind to pitch, tells apart in seconds."""
    t = np.arange(RATE * 2) / RATE
    noise = rng.standard_normal(len(t))
    tone = np.sin(2 * np.pi * rng.uniform(800, 1200) * t)
    wave = {"dog": noise * np.exp(-40 * (t % 0.2)), "cat": 3 * tone, "siren": noise}[label]
    return 0.1 * wave + 0.003 * noise


@pytest.fixture
def place(tmp_path: Path, tokenizer_file: Path) -> Path:
    """Three kinds of sound, four takes each, and a configuration that tells them apart in seconds."""
    lines = ["file,caption,label"]
    rng = np.random.default_rng(0)
    for label in SOUNDS:
        for take in range(4):
            sf.write(tmp_path / f"{take}-{label}.wav", sound(label, rng), RATE)
            lines.append(f"{take}-{label}.wav,the sound of {label},{label}")
    (tmp_path / "metadata.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "phrases.csv").write_text(
        "label,phrase\n" + "".join(f"{x},{x}\n{x},a {x} sound\n" for x in (*SOUNDS, "rain"))
    )
    model = {k: v for k, v in small_config().to_dict().items() if not k.startswith("format")}
    settings: dict[str, Any] = {
        "out": "model", "model": model, "tokenizer": str(tokenizer_file), "phrases": ["phrases.csv"],
        "sources": [{"folder": "."}], "epochs": 12, "batch_size": 6, "crop_seconds": 1.0, "extra_texts": 1,
        "learning_rate": 0.01, "average": 0.8, "threads": 1,
        "augment": {"mix_share": 0.2, "noise_share": 0.3, "equaliser_db": 1.0, "stretch": 0.1, "pitch_bins": 0.5, "time_masks": 1, "time_mask_frames": 4, "mel_masks": 1, "mel_mask_bins": 2},
    }  # fmt: skip
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def edit(place: Path, **changes: Any) -> Path:
    data = yaml.safe_load((place / "run.yaml").read_text())
    (place / "run.yaml").write_text(yaml.safe_dump({**data, **changes}))
    return place / "run.yaml"


def batches(place: Path) -> Batches:
    settings = read_settings(place / "run.yaml")
    examples = read_examples(settings)
    config = settings.config()
    return Batches(examples, MelCache(examples, config.front_end), settings, config)


def test_it_learns_to_name_sounds(place: Path) -> None:
    report = train(edit(place, epochs=40, seed=1), progress=False)
    assert report.steps == 80
    clap = CLAP.from_pretrained(place / "model")
    right = [clap.classify(p, list(SOUNDS))[0].label == p.stem.split("-")[1] for p in sorted(place.glob("*.wav"))]
    assert np.mean(right) >= 0.9
    assert not (place / "model" / STATE_FILE).exists()


def stopped(place: Path, out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is interrupted at its fourth step, in the middle of the second epoch."""
    step, count = loop._TrainingRun._step, iter(range(100))

    def stops(run: Any, *args: Any) -> float:
        if next(count) == 3:
            raise KeyboardInterrupt
        return step(run, *args)

    with monkeypatch.context() as patch:
        patch.setattr(loop._TrainingRun, "_step", stops)
        with pytest.raises(KeyboardInterrupt):
            train(place / "run.yaml", progress=False, out=out)


def test_a_stopped_run_goes_on_bit_for_bit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(place, epochs=3, checkpoint_minutes=0.0)
    train(place / "run.yaml", progress=False, out="whole")
    stopped(place, "parted", monkeypatch)
    report = train(place / "run.yaml", progress=False, out="parted")
    assert report.steps == 6
    whole, parted = (CLAP.from_pretrained(place / name).model.state_dict() for name in ("whole", "parted"))
    assert all(torch.equal(whole[key], parted[key]) for key in whole)


TRAINER = """
import signal, sys
from openclap.train import loop, train
step = loop._TrainingRun._step
def slow(run, *args):
    loss = step(run, *args)
    print(run.step, flush=True)
    if run.step >= int(sys.argv[3]):
        signal.pause()  # until it is killed
    return loss
loop._TrainingRun._step = slow
train(sys.argv[1], progress=False, out=sys.argv[2])
"""


def test_a_killed_run_goes_on_bit_for_bit(place: Path) -> None:
    """kill -9 in the middle of an epoch, twice."""
    edit(place, epochs=6, checkpoint_minutes=0.0)
    train(place / "run.yaml", progress=False, out="whole")
    for wanted in (3, 5):
        with started(TRAINER, str(place / "run.yaml"), "parted", str(wanted)) as (process, lines):
            assert any(int(line) >= wanted for line in lines)
        assert process.exitcode == -signal.SIGKILL
    report = train(place / "run.yaml", progress=False, out="parted")
    assert report.steps == 12
    whole, parted = (CLAP.from_pretrained(place / name).model.state_dict() for name in ("whole", "parted"))
    assert all(torch.equal(whole[key], parted[key]) for key in whole)


def test_two_processes_train_one_model(place: Path) -> None:
    edit(place, epochs=2, device="cpu")
    code = "import sys; from openclap.train import train; train(sys.argv[1], progress=False)"
    assert [rank.code for rank in run_program(code, str(place / "run.yaml"))] == [0, 0]
    assert len((place / "model" / "log.csv").read_text().splitlines()) == 3
    assert CLAP.from_pretrained(place / "model").encode_text("dog").shape == (1, 24)


@pytest.mark.parametrize(
    "changes", [{"loss": "sigmoid"}, {"pieces": 2}, {"freeze_norms": True}, {"precision": "bfloat16"}]
)
def test_other_ways_to_compute(place: Path, changes: dict[str, Any]) -> None:
    report = train(edit(place, epochs=8, seed=1, **changes), progress=False)
    log = [line.split(",") for line in (place / "model" / "log.csv").read_text().splitlines()[1:]]
    assert float(log[-1][2]) < float(log[0][2])
    assert report.loss == pytest.approx(float(log[-1][2]), abs=1e-3)


def test_a_few_broken_sounds_are_left_out(place: Path) -> None:
    (place / "1-cat.wav").write_text("no sound")
    with pytest.warns(SoundWarning, match=r"1 file is left out: .*1-cat\.wav"):
        train(edit(place, epochs=1, most_broken=0.1), progress=False)


def test_a_full_disk_keeps_the_last_state(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(place, epochs=3, checkpoint_minutes=0.0)
    train(place / "run.yaml", progress=False, out="whole")
    save, count = torch.save, iter(range(100))

    def full(state: Any, file: Any) -> None:
        if next(count) == 2:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        save(state, file)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match="No space left on device"):
        train(place / "run.yaml", progress=False, out="parted")
    assert not list((place / "parted").glob("*.part"))
    train(place / "run.yaml", progress=False, out="parted")
    whole, parted = (CLAP.from_pretrained(place / name).model.state_dict() for name in ("whole", "parted"))
    assert all(torch.equal(whole[key], parted[key]) for key in whole)


def test_the_state_of_another_configuration_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(place, checkpoint_minutes=0.0)
    step, count = loop._TrainingRun._step, iter(range(100))
    monkeypatch.setattr(
        loop._TrainingRun,
        "_step",
        lambda run, *a: step(run, *a) if next(count) < 2 else (_ for _ in ()).throw(KeyboardInterrupt),
    )
    with pytest.raises(KeyboardInterrupt):
        train(place / "run.yaml", progress=False)
    with pytest.raises(TrainingError, match="another configuration"):
        train(edit(place, learning_rate=0.5), progress=False)


def test_every_epoch_is_shuffled_anew(place: Path) -> None:
    """The reference loses its shuffle state in its workers: the same batches come back every epoch."""
    supply = batches(place)
    epochs = [[batch.texts for batch in supply.epoch(number)] for number in range(4)]
    assert len({str(epoch) for epoch in epochs}) == 4
    assert epochs[1] == [batch.texts for batch in supply.epoch(1)]
    resumed = [batch.mel for batch in supply.epoch(1, start=1)]
    assert torch.equal(resumed[0], list(supply.epoch(1))[1].mel)


def test_a_share_of_the_captions_is_the_sounds_own(place: Path) -> None:
    """Many phrases once drowned the name that users and benchmarks ask for."""
    said: dict[float, list[str]] = {}
    for share in (0.0, 1.0):
        edit(place, own_share=share, augment={}, extra_texts=0)
        made = batches(place)
        said[share] = [text for epoch in range(4) for batch in made.epoch(epoch) for text in batch.texts]
    own = {f"the sound of {label}" for label in SOUNDS}
    assert set(said[1.0]) == own
    assert 0 < sum(text in own for text in said[0.0]) < len(said[0.0])


def test_a_batch_always_trains_the_fusion(place: Path) -> None:
    for batch in batches(place).epoch(0):
        assert batch.longer.any()
        assert batch.mel.shape[1] == 4


def test_captions_of_one_concept_are_no_negatives(place: Path) -> None:
    for number in range(5):
        for batch in batches(place).epoch(number):
            assert torch.isfinite(batch.mel).all()
            assert len(batch.texts) == batch.positives.shape[1] == 7
            assert (batch.positives.diagonal() == 1).all()
            for row, text in zip(batch.positives, batch.texts, strict=False):
                for column, other in zip(row, batch.texts, strict=True):
                    words = {w for w in SOUNDS if w in text}
                    if len(words) == 1 and {w for w in SOUNDS if w in other} == words and " and " not in other:
                        assert column > 0


def test_what_plays_under_a_sound_is_neither_right_nor_wrong(place: Path) -> None:
    """Its name in the batch would otherwise be taught to be wrong where it can be heard."""
    edit(place, augment={}, extra_texts=0)
    alone = [batch for number in range(3) for batch in batches(place).epoch(number)]
    edit(place, augment={"under_share": 1.0, "under_snr_db": [0.0, 0.0]}, extra_texts=0)
    over = [batch for number in range(3) for batch in batches(place).epoch(number)]
    assert [batch.texts for batch in alone] == [batch.texts for batch in over]  # nothing is said of it
    ignored = 0
    for one, other in zip(alone, over, strict=True):
        assert not torch.allclose(one.mel, other.mel)
        assert torch.equal(one.positives, other.positives)
        under = other.labels.clip_concepts[:, 2]
        assert (other.labels.clip_concepts[:, 1] == -1).all()
        assert torch.equal(other.ignored & ~one.ignored, (under[:, None] == other.labels.text_concepts) & ~one.ignored)
        ignored += int((other.ignored & ~one.ignored).sum())
    assert ignored > 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"augment": {"under_share": 2.0}}, "augment: every share"),
        ({"augment": {"under_snr_db": [9.0, 3.0]}}, "under_snr_db"),
        ({"epochs": 0}, "epochs is 0"),
        ({"loss": "triplet"}, "loss"),
        ({"clip_gradient": -1.0}, "clip_gradient is -1.0"),
        ({"threads": 0}, "threads is 0"),
        ({"threads": 100_000}, "threads is 100000; it must be from 1 to 1024"),
        ({"betas": [0.9]}, "betas"),
        ({"augment": {"noise_snr_db": [20.0]}}, "two numbers"),
        ({"freeze": ["txt."]}, "no weight begins with 'txt.'"),
        ({"train_only": ["txt."]}, "no weight begins with 'txt.'"),
        ({"freeze": ["audio", "text", "logit_scale"]}, "nothing to train"),
        ({"pieces": 0}, "pieces is 0"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"device": "mps"}, "not on this machine"),
        ({"precision": "float16", "device": "cpu"}, "needs a GPU"),
        ({"own_share": 1.5}, "own_share is 1.5"),
        ({"surprise": 1}, "unknown surprise"),
        ({"sources": [{"folder": "nowhere"}]}, "metadata.csv"),
        ({"sources": []}, "at least one folder"),
        ({"batch_size": 99}, "12 examples are fewer than one batch of 99"),
        ({"phrases": ["metadata.csv"]}, "no column phrase"),
        ({"init": "nothing.safetensors"}, "is not there"),
        ({"model": {"audio": {"kind": "ear"}}}, "audio encoder 'ear', which is neither"),
        ({"templates": ["no place"]}, "with {} once"),
        ({"out": "$UNSET_VARIABLE/x"}, "not set"),
    ],
)
def test_what_is_wrong_is_told_before_the_first_step(place: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(TrainingError, match=words.replace("{", r"\{").replace("}", r"\}").replace("$", r"\$")):
        train(edit(place, **changes), progress=False)


def test_broken_sounds_are_listed(place: Path) -> None:
    (place / "1-cat.wav").write_text("no sound")
    with pytest.raises(TrainingError, match=r"1 of 12 sounds cannot be read: .*1-cat\.wav"):
        train(place / "run.yaml", progress=False)


def test_tars_and_splits_and_undescribed_sounds(place: Path) -> None:
    """Any source of the data room is one of training, too."""
    from openclap.data import open_manifest
    from openclap.data.pack import pack

    pack(open_manifest(place), place / "tars")
    settings = read_settings(edit(place, sources=[{"folder": "tars"}]))
    packed = read_examples(settings)
    assert {example.captions[0] for example in packed} == {f"the sound of {label}" for label in SOUNDS}
    lines = (place / "metadata.csv").read_text().splitlines()
    rows = [f"{line},{'test' if line.startswith('3-') else 'train'}" for line in lines[1:]]
    (place / "metadata.csv").write_text("\n".join([lines[0] + ",split", *rows, "0-dog.wav,,,other"]) + "\n")
    train_only = read_examples(read_settings(edit(place, sources=[{"folder": ".", "split": "train"}])))
    assert len(train_only) == 9
    with pytest.raises(TrainingError, match="no item is of the split 'nothing'"):
        read_examples(read_settings(edit(place, sources=[{"folder": ".", "split": "nothing"}])))


def test_start_from_a_checkpoint(place: Path) -> None:
    first = train(edit(place, epochs=2), progress=False)
    model = yaml.safe_load((place / "run.yaml").read_text())["model"]
    again = train(edit(place, epochs=1, init=first.out, learning_rate=1e-9), progress=False, out="again")
    old, new = (CLAP.from_pretrained(out).encode_text(["a dog"]) for out in (first.out, again.out))
    assert np.allclose(old, new, atol=1e-4)
    other = {**model, "embedding": 12}
    with pytest.warns(ModelWarning, match="audio_projection, text_projection do not fit"):
        train(edit(place, model=other), progress=False, out="smaller")
    with pytest.raises(TrainingError, match="init: "):
        train(edit(place, init="no/such model"), progress=False, out="none")


def test_what_does_not_fit_in_memory_is_decoded_again(place: Path) -> None:
    edit(place, epochs=2)
    train(place / "run.yaml", progress=False, out="kept")
    train(place / "run.yaml", progress=False, out="again", memory_gb=0.0)
    kept, again = (CLAP.from_pretrained(place / name).model.state_dict() for name in ("kept", "again"))
    assert all(torch.equal(kept[key], again[key]) for key in kept)


def test_too_few_readable_sounds_are_no_run(place: Path) -> None:
    (place / "1-cat.wav").write_text("no sound")
    with pytest.warns(SoundWarning), pytest.raises(TrainingError, match="fewer than one batch of 12"):
        train(edit(place, batch_size=12, most_broken=0.1), progress=False)
    assert not (place / "model").exists()


def test_sounds_broken_for_one_process_are_left_out_by_all(place: Path) -> None:
    """Each once had its own number of steps, and waited for the other for ever."""
    edit(place, epochs=1, batch_size=4, most_broken=0.1, device="cpu", augment={})
    code = (
        "import sys, os, warnings; warnings.simplefilter('ignore')\n"
        "from openclap.train import mel_cache, train\n"
        "from openclap.errors import UnreadableSound\n"
        "read = mel_cache.load_model_wave\n"
        "def broken(sound, *a, **k):\n"
        "    if os.environ['RANK'] == '1' and '1-cat' in str(sound): raise UnreadableSound(str(sound), 'broken')\n"
        "    return read(sound, *a, **k)\n"
        "mel_cache.load_model_wave = broken\n"
        "train(sys.argv[1], progress=False)\n"
    )
    assert [rank.code for rank in run_program(code, str(place / "run.yaml"))] == [0, 0]
    assert (place / "model" / "log.csv").read_text().splitlines()[1].startswith("1,2,")


def test_a_bin_that_stands_still_has_a_gradient(tmp_path: Path) -> None:
    import torch.distributed as dist

    from openclap.train.distributed import share_norms

    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    try:
        norm = torch.nn.BatchNorm2d(2)
        plain = torch.nn.BatchNorm2d(2)
        share_norms(norm)
        x = torch.cat([torch.full((12, 1, 50, 4), -79.9), torch.randn(12, 1, 50, 4)], 1)
        assert torch.allclose(norm(x), plain(x), atol=1e-3)
        assert torch.isfinite(norm(x)).all()
    finally:
        dist.destroy_process_group()
