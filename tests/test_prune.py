"""Pruning: what is cut is exactly what was chosen, what is left runs everywhere, and the report tells the truth."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
import yaml
from conftest import long_wave
from models_for_tests import HTSAT_SMALL, MOBILENET_SMALL, PANN_SMALL, WORDS, text_config
from typer.testing import CliRunner

from openclap import CLAP, CLAPConfig
from openclap.checkpoints.native import save_pretrained
from openclap.checkpoints.weights import Weights, entries_from_arrays
from openclap.cli.app import app
from openclap.config import FrontEnd, PANNConfig, TextConfig
from openclap.errors import ModelWarning, TrainingError, UsageError
from openclap.eval.datasets import read_items
from openclap.eval.zeroshot import zeroshot
from openclap.models.clap import CLAPModel
from openclap.synth import KINDS, synthesise
from openclap.train import loop
from openclap.train.pruning import Keep, calibration_sounds, prune, report
from openclap.train.pruning.cut_weights import cut_weights
from openclap.train.pruning.importance import collect_statistics
from openclap.train.pruning.units import smaller, units_of

pytestmark = pytest.mark.filterwarnings("ignore::openclap.errors.ModelWarning")  # texts of random towers are much alike

FRONT = FrontEnd(sampling_rate=16_000, clip_seconds=2.0, n_fft=512, hop=320, f_max=7000.0)
CONVS = PANNConfig(widths=(32, 32, 48), convs=2, pools=((2, 2),) * 3, output=48, dropout=0.0)
HTSAT = replace(HTSAT_SMALL, image=128, window=4)
TEXTS = ["a dog barking", "heavy rain", "the siren of an engine", "people laughing", "glass"]
MODELS = {
    "pann": (CONVS, WORDS, None),
    "pann, aff, one convolution": (replace(CONVS, convs=1), WORDS, "aff_2d"),
    "pann, iaff": (CONVS, WORDS, "iaff_2d"),
    "mobilenet, aff": (replace(MOBILENET_SMALL, width=0.5, output=48), WORDS, "aff_2d"),
    "htsat + roberta": (HTSAT, text_config("roberta"), None),
    "htsat, aff + bert": (HTSAT, text_config("bert"), "aff_2d"),
    "htsat, aff + sbert": (HTSAT, text_config("sbert"), "aff_2d"),
    "htsat, daf 1d + clip": (HTSAT, text_config("clip"), "daf_1d"),
    "htsat, channel map + roberta": (HTSAT, text_config("roberta"), "channel_map"),
}


@cache
def takes(seed: int) -> list[Any]:
    """The sounds of `quick`, made once for all models."""
    return list(synthesise_kinds(seed))


synthesise_kinds = calibration_sounds._synthesise_kinds


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight kinds of sound a second long, one of them longer than a clip; speed measured in five turns."""
    monkeypatch.setattr(calibration_sounds, "KINDS", {name: KINDS[name] for name in list(KINDS)[:8]})
    monkeypatch.setattr(calibration_sounds, "SECONDS", 1.0)
    monkeypatch.setattr(calibration_sounds, "LONG", 5.0)
    monkeypatch.setattr(calibration_sounds, "_synthesise_kinds", takes)
    monkeypatch.setattr(report, "SECONDS", 0.0)


def config_of(name: str) -> CLAPConfig:
    audio, text, fusion = MODELS[name]
    return CLAPConfig(audio=audio, text=text, front_end=FRONT, fusion=fusion, embedding=24, name="small")  # type: ignore[arg-type]


def random_model(config: CLAPConfig) -> CLAPModel:
    """A model whose batch norms have statistics, and whose biases are not zero, as in trained ones."""
    torch.manual_seed(0)
    model = CLAPModel(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(".bias"):
                weight.normal_(0, 0.1)
        for name, value in model.named_buffers():
            if name.endswith("running_mean"):
                value.uniform_(-30, -20) if name == "audio.batch_norm.running_mean" else value.normal_(0, 0.1)
            if name.endswith("running_var"):
                value.uniform_(50, 400) if name == "audio.batch_norm.running_var" else value.uniform_(0.5, 2)
    return model


def saved(config: CLAPConfig, arrays: dict[str, Any], tokenizer: Path, folder: Path) -> Path:
    save_pretrained(config, Weights(entries_from_arrays(arrays)), tokenizer, folder)
    return folder


def embedded(folder: Path, backend: str = "torch") -> np.ndarray:
    """Short sounds, long ones and texts."""
    clap = CLAP.from_pretrained(folder, backend=backend, device="cpu")
    waves = [long_wave(seconds, 16_000, seed) for seed, seconds in enumerate((0.5, 2.0, 7.0))]
    return np.concatenate([clap.encode_audio([(wave, 16_000) for wave in waves]), clap.encode_text(TEXTS * 3)])


@pytest.mark.parametrize("importance", ["taylor", "norm"])
@pytest.mark.parametrize("name", MODELS)
def test_cutting_what_is_zero_changes_nothing(name: str, importance: Any, tmp_path: Path, tokenizer_file: Path) -> None:
    """Units at random places give zeros; they are the ones that go, with their rows, columns and everything beside."""
    config = config_of(name)
    arrays = {key: value.copy() for key, value in random_model(config).arrays().items()}
    rng = np.random.default_rng(1)
    units = units_of(config, smaller(config, Keep()))
    for of in units:
        gone = np.sort(rng.permutation(of.count)[: of.count - of.kept])
        for part in of.cut:
            if part.axis == 0 and "running" not in part.name:
                arrays[part.name][part.places(gone, of.count)] = 0
    whole = saved(config, arrays, tokenizer_file, tmp_path / "whole")
    found = prune(whole, tmp_path / "pruned", importance=importance, device="cpu")
    assert all(of.kept < of.count for of in units)
    assert found.after.bytes < found.before.bytes
    assert found.after.parameters < found.before.parameters
    assert found.cosine == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(embedded(tmp_path / "pruned"), embedded(whole), atol=1e-5)


@pytest.mark.parametrize("name", [n for n in MODELS if "1d" not in n])
def test_a_pruned_model_is_the_same_on_every_backend(name: str, tmp_path: Path, tokenizer_file: Path) -> None:
    """Towers of half the heads, rows and channels: torch, the OpenVINO graphs, and numpy for a few texts."""
    config = config_of(name)
    whole = saved(config, random_model(config).arrays(), tokenizer_file, tmp_path / "whole")
    prune(whole, tmp_path / "pruned", keep=Keep(heads=0.5, mlp=0.3, channels=0.7), device="cpu")
    by_torch, by_openvino = (embedded(tmp_path / "pruned", backend) for backend in ("torch", "openvino"))
    assert (by_torch * by_openvino).sum(1).min() >= 0.99999
    few = CLAP.from_pretrained(tmp_path / "pruned", backend="openvino").encode_text(TEXTS)
    assert (few * by_torch[3:8]).sum(1).min() >= 0.99999
    if name == "htsat + roberta":
        prune(tmp_path / "pruned", tmp_path / "twice", device="cpu")
        again = CLAP.from_pretrained(tmp_path / "twice")
        assert again.name == "small-pruned"
        assert (again.config.audio.heads, again.config.audio.head_widths) == ((1, 1, 1), (4, 8, 8))  # type: ignore[attr-defined]


def test_all_kept_is_the_same_model(tmp_path: Path, tokenizer_file: Path) -> None:
    config = config_of("htsat, aff + bert")
    whole = saved(config, random_model(config).arrays(), tokenizer_file, tmp_path / "whole")
    found = prune(whole, tmp_path / "pruned", keep=1.0, device="cpu")
    before, after = (CLAP.from_pretrained(folder) for folder in (whole, tmp_path / "pruned"))
    assert before.fingerprint == after.fingerprint
    assert before.config == after.config
    assert found.cosine == pytest.approx(1, abs=1e-6)
    assert "nothing was cut" in found.notes[0]
    text = (whole / "config.json").read_text()
    assert not any(field in text for field in ("head_widths", "head_width", "mlp_rows"))  # older versions read it


def test_a_unit_is_worth_what_the_embeddings_lose_without_it() -> None:
    """The estimate by gradients orders the rows of an MLP as taking each out does."""
    config = config_of("htsat + roberta")
    model = random_model(config)
    (of,) = [u for u in units_of(config, smaller(config, Keep())) if u.reader == "audio.stages.1.blocks.0.mlp.2"]
    waves = [
        synthesise(kind, np.random.default_rng(i), rate=16_000, seconds=1.0)[0]
        for i, kind in enumerate(list(KINDS)[:8])
    ]
    clips, _ = calibration_sounds.make_clips([(wave, 16_000) for wave in waves], FRONT, fused=False)
    batches = calibration_sounds.clip_batches(clips, torch.device("cpu"))
    seen = collect_statistics(model, model.encode_audio, [of], batches, torch.Generator().manual_seed(0))[of.reader]
    weight, bias, lost = model.state_dict()[f"{of.reader}.weight"], model.state_dict()[of.bias or ""], []
    with torch.no_grad():
        expected = torch.cat([model.encode_audio(*batch) for batch in batches])
        for unit in range(of.count):
            column, constant = weight[:, unit].clone(), bias.clone()
            bias += column * float(seen.mean()[unit])
            weight[:, unit] = 0
            lost.append(float((torch.cat([model.encode_audio(*batch) for batch in batches]) - expected).square().sum()))
            weight[:, unit] = column
            bias.copy_(constant)
    worth = seen.importance(of)
    ranks = np.corrcoef(np.argsort(np.argsort(worth)), np.argsort(np.argsort(lost)))[0, 1]
    assert ranks > 0.9
    assert np.mean(worth) * len(waves) == pytest.approx(np.mean(lost), rel=0.6)


def test_those_that_stay_do_the_work_of_those_that_go() -> None:
    """Every second row of an MLP is a copy of the one before: without the copies all is nearly as it was."""
    config = config_of("htsat + roberta")
    model = random_model(config)
    (of,) = [u for u in units_of(config, smaller(config, Keep())) if u.reader == "audio.stages.0.blocks.0.mlp.2"]
    with torch.no_grad():
        for part in of.cut:
            rows = model.state_dict()[part.name]
            rows[1::2] = rows[::2]
    clips, _ = calibration_sounds.make_clips(list(calibration_sounds._synthesise_kinds(1)), FRONT, fused=False)
    batches = calibration_sounds.clip_batches(clips, torch.device("cpu"))
    seen = collect_statistics(model, model.encode_audio, [of], batches, torch.Generator().manual_seed(0))
    small = replace(config, audio=replace(HTSAT, mlp_rows=(of.kept, *(HTSAT.mlp_width(s) for s in (1, 2)))))
    kept = {of.reader: np.arange(0, of.count, 2)}

    def distance(arrays: dict[str, Any]) -> float:
        with torch.no_grad():
            pruned = CLAPModel.from_arrays(small, arrays)
            return float((pruned.encode_audio(*batches[-1]) - model.encode_audio(*batches[-1])).norm())

    good, plain = (distance(cut_weights(model.arrays(), [of], kept, what)) for what in (seen, {}))
    assert good < 0.05 * plain


@pytest.mark.parametrize("share", [0, 1.5, -0.1, float("nan"), True, "half"])
def test_shares_that_cannot_be(share: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="share above 0 and up to 1"):
        prune("mini", tmp_path / "out", keep=share)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Three kinds of sound, six takes each, and a file that is none."""
    folder = tmp_path / "labelled"
    folder.mkdir()
    lines = ["file,caption,label"]
    for number, label in enumerate(("dog bark", "rain", "siren")):
        for take in range(6):
            wave, _ = synthesise(label, np.random.default_rng((number, take)), rate=16_000, seconds=1.0)
            sf.write(folder / f"{number}{take}.wav", wave, 16_000)
            lines.append(f"{number}{take}.wav,the sound of {label},{label}")
    (folder / "9.wav").write_text("no sound")
    (folder / "metadata.csv").write_text("\n".join([*lines, "9.wav,,rain"]) + "\n")
    return folder


def test_the_command_line(tmp_path: Path, tokenizer_file: Path, labelled: Path) -> None:
    """Accuracies are those of `openclap eval zeroshot` on the sounds that were not calibrated with; a bad file is named."""
    config = config_of("pann, iaff")
    whole = saved(config, random_model(config).arrays(), tokenizer_file, tmp_path / "whole")
    asked = [
        "prune",
        str(whole),
        "-o",
        str(tmp_path / "new" / "out"),
        "--keep-channels",
        "0.5",
        "--data",
        str(labelled),
        "--json",
    ]
    done = CliRunner().invoke(app, asked)
    told = json.loads(done.stdout)
    assert done.exit_code == 1  # one sound cannot be used
    assert ["9.wav" in failure["path"] for failure in told["failed"]] == [True]
    assert told == json.loads((tmp_path / "new" / "out" / "prune.json").read_text())
    assert told["after"]["bytes"] == (tmp_path / "new" / "out" / "model.safetensors").stat().st_size
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]
    rows = (labelled / "metadata.csv").read_text().splitlines()
    (labelled / "metadata.csv").write_text("\n".join([rows[0], *rows[2::2]]) + "\n")
    for side, folder in (("before", whole), ("after", tmp_path / "new" / "out")):
        expected, _ = zeroshot(CLAP.from_pretrained(folder), read_items(labelled), draws=0)
        assert told[side]["accuracy"] == pytest.approx(expected.metrics["accuracy"].value)
    with pytest.raises(UsageError, match="holds a checkpoint; choose another folder"):
        prune(whole, tmp_path / "new" / "out")
    with pytest.raises(UsageError, match="no openclap checkpoint"):
        prune(whole, labelled, force=True)
    with pytest.raises(UsageError, match="holds the model that is to be pruned"):
        prune(whole, whole, force=True)
    (tmp_path / "wrong.yaml").write_text("epochs: 0\nsources: [{folder: .}]\n")
    with pytest.raises(TrainingError, match="epochs is 0"):
        prune(whole, tmp_path / "other", tune=tmp_path / "wrong.yaml")
    assert not (tmp_path / "other.part").exists()
    with pytest.raises(UsageError, match="seed is"):
        prune(whole, tmp_path / "other", seed=2**64)
    kept = tmp_path / "new" / "out.old" / "of the user"
    kept.parent.mkdir()
    kept.write_text("dear")
    shown = CliRunner().invoke(app, [*asked[:-3], "--force"])
    assert shown.exit_code == 0, shown.output
    assert kept.read_text() == "dear"
    beside = tmp_path / "new" / "out" / "dog.wav"
    beside.write_text("dear")
    with pytest.raises(UsageError, match=r"holds more than a checkpoint, such as dog\.wav"):
        prune(whole, tmp_path / "new" / "out", force=True)
    assert beside.read_text() == "dear"
    assert "clips a second" in shown.stdout


def test_tuning_goes_on_where_it_was_stopped(
    tmp_path: Path, tokenizer_file: Path, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped run leaves no result and what it has done; the next one gives what an uninterrupted one gives."""
    (labelled / "metadata.csv").write_text((labelled / "metadata.csv").read_text().replace("9.wav,,rain\n", ""))
    config = replace(config_of("pann"), audio=replace(PANN_SMALL, widths=(8, 32, 32)))
    whole = saved(config, random_model(config).arrays(), tokenizer_file, tmp_path / "whole")
    run = tmp_path / "run.yaml"
    run.write_text(
        yaml.safe_dump({
            "out": "ignored", "model": {}, "sources": [{"folder": "labelled"}], "epochs": 2, "batch_size": 6,
            "crop_seconds": 1.0, "learning_rate": 0.01, "threads": 1, "checkpoint_minutes": 0.0,
        })
    )  # fmt: skip
    step, count = loop._TrainingRun._step, iter(range(100))

    def stops(of: Any, *args: Any) -> float:
        if next(count) == 4:
            raise KeyboardInterrupt
        return step(of, *args)

    monkeypatch.setattr(loop._TrainingRun, "_step", stops)
    with pytest.raises(KeyboardInterrupt):
        prune(whole, tmp_path / "out", tune=run, device="cpu")
    assert not (tmp_path / "out").exists()
    found = prune(whole, tmp_path / "out", tune=run, device="cpu")
    assert found.tuned
    prune(whole, tmp_path / "at once", tune=run, device="cpu")
    prune(whole, tmp_path / "untuned", device="cpu")
    claps = [CLAP.from_pretrained(tmp_path / name) for name in ("out", "at once", "untuned")]
    assert claps[0].fingerprint == claps[1].fingerprint
    assert claps[0].fingerprint != claps[2].fingerprint
    assert claps[0].config == claps[2].config


def test_the_words_of_mini_stay_small_and_as_they_are(tmp_path: Path) -> None:
    """Its table is stored as int8; once a pruned copy would have been three times as large as the whole."""
    found = prune("mini", tmp_path / "out", device="cpu")
    assert found.after.bytes < found.before.bytes
    before, after = CLAP.from_pretrained("mini"), CLAP.from_pretrained(tmp_path / "out")
    np.testing.assert_allclose(after.encode_text(["a dog barks"]), before.encode_text(["a dog barks"]), atol=1e-6)
    assert found.cosine > 0.8


def test_only_rows_can_be_exported_to_transformers(tmp_path: Path, tokenizer_file: Path) -> None:
    config = replace(
        config_of("htsat + roberta"),
        audio=HTSAT_SMALL, front_end=FrontEnd(mel_scale="slaney", mel_norm="slaney"), text=replace(text_config("roberta"), layers=1),
    )  # fmt: skip
    whole = saved(config, random_model(config).arrays(), tokenizer_file, tmp_path / "whole")
    prune(whole, tmp_path / "rows", keep=Keep(heads=1.0), device="cpu")
    prune(whole, tmp_path / "heads", keep=Keep(mlp=1.0), device="cpu")
    rows = CLAP.from_pretrained(tmp_path / "rows")
    rows.export_transformers(tmp_path / "exported")
    given = (long_wave(3), 48_000)
    np.testing.assert_allclose(
        CLAP.from_pretrained(tmp_path / "exported").encode_audio(given), rows.encode_audio(given), atol=1e-5
    )
    with pytest.raises(UsageError, match=r"pruned of attention heads.*keep its heads"):
        CLAP.from_pretrained(tmp_path / "heads").export_transformers(tmp_path / "no")


@pytest.mark.parametrize(
    "wrong",
    [{"head_width": 5}, {"head_width": 8, "heads": 3}, {"heads": 3}, {"head_width": 0}],
)
def test_towers_that_cannot_be(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"heads|head_width"):
        CLAPConfig(text=TextConfig(**{**vars(text_config("roberta")), **wrong}))
    with pytest.raises(UsageError, match="for each of 3 stages"):
        CLAPConfig(audio=replace(HTSAT_SMALL, mlp_rows=(8, 8)))
    assert issubclass(ModelWarning, UserWarning)
