"""transformers as oracle: its folders load here with its numbers, and ours load there with ours."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from conftest import long_wave, write_tokenizer

from openclap import CLAP, CLAPConfig
from openclap.checkpoints.huggingface import read_huggingface
from openclap.config import FrontEnd, HTSATConfig, PANNConfig, TextConfig
from openclap.errors import BadCheckpoint, UnsafeCheckpoint, UsageError

# an untrained text tower gives all texts nearly one vector, and the health check rightly says so
pytestmark = pytest.mark.filterwarnings("ignore:.*nearly the same vector:openclap.errors.ModelWarning")

TEXTS = ["a dog barking", "heavy rain", "this is the sound of a siren"]


def save_theirs(folder: Path, *, fused: bool, small: bool = False, binary: bool = False) -> transformers.ClapModel:
    audio: dict[str, object] = {
        "enable_fusion": fused,
        "fusion_type": "aff_2d" if fused else None,
        "drop_path_rate": 0.0,
    }
    text: dict[str, object] = {"pad_token_id": 1}
    if small:
        audio |= {"patch_embeds_hidden_size": 16, "hidden_size": 64, "depths": [1, 2, 1], "num_attention_heads": [2, 2, 4], "num_hidden_layers": 3}  # fmt: skip
        text |= {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}  # fmt: skip
    torch.manual_seed(0)
    model = transformers.ClapModel(transformers.ClapConfig(audio_config=audio, text_config=text)).eval()
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(50, 400, generator=torch.Generator().manual_seed(1))
    if binary:
        folder.mkdir(parents=True)
        model.config.save_pretrained(folder)
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    else:
        model.save_pretrained(folder)
    extractor(fused).save_pretrained(folder)
    write_tokenizer(folder / "tokenizer.json")
    return model


def extractor(fused: bool) -> transformers.ClapFeatureExtractor:
    return transformers.ClapFeatureExtractor(
        frequency_min=50, frequency_max=14_000, truncation="fusion" if fused else "rand_trunc"
    )


def their_audio(
    model: transformers.ClapModel, waves: list[np.ndarray], fused: bool, monkeypatch: pytest.MonkeyPatch
) -> np.ndarray:
    """transformers' embedding of each wave alone, its random crops replaced by the middle of each third."""
    monkeypatch.setattr(np.random, "choice", lambda choices: choices[len(choices) // 2])
    rows = []
    for wave in waves:
        inputs = extractor(fused)(wave, sampling_rate=48_000, return_tensors="pt")
        if len(wave) <= 480_000:
            inputs["is_longer"] = torch.zeros_like(inputs["is_longer"])  # it marks a random short clip as longer
        with torch.inference_mode():
            rows.append(model.get_audio_features(**inputs).pooler_output[0].numpy())
    stacked = np.stack(rows)
    normal: np.ndarray = stacked / np.linalg.norm(stacked, axis=1, keepdims=True)
    return normal


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "unfused"])
def test_full_size_model_agrees(fused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = save_theirs(tmp_path / "theirs", fused=fused)
    clap = CLAP.from_pretrained(tmp_path / "theirs")
    waves = [long_wave(7, seed=1), long_wave(10, seed=2), *([long_wave(23, seed=3)] if fused else [])]
    expected = their_audio(theirs, waves, fused, monkeypatch)
    got = clap.encode_audio([(wave, 48_000) for wave in waves])
    assert np.abs(got - expected).max() < 1e-4
    ids, mask = clap.tokenizer(TEXTS)
    with torch.inference_mode():
        text = theirs.get_text_features(torch.from_numpy(ids), torch.from_numpy(mask)).pooler_output.numpy()
    assert np.abs(clap.encode_text(TEXTS) - text / np.linalg.norm(text, axis=1, keepdims=True)).max() < 1e-4


def test_a_bin_file_loads_like_the_safetensors_file(tmp_path: Path) -> None:
    save_theirs(tmp_path / "a", fused=True, small=True)
    save_theirs(tmp_path / "b", fused=True, small=True, binary=True)
    a, b = (CLAP.from_pretrained(tmp_path / name) for name in "ab")
    assert np.abs(a.encode_text(TEXTS) - b.encode_text(TEXTS)).max() < 1e-6
    assert a.fingerprint == b.fingerprint


def test_front_end_follows_the_preprocessor_file(tmp_path: Path) -> None:
    """The two mel banks are 15-28 dB apart; mixing them up ruins results silently."""
    save_theirs(tmp_path / "fused", fused=True, small=True)
    save_theirs(tmp_path / "plain", fused=False, small=True)
    fused, plain = (CLAP.from_pretrained(tmp_path / name).front_end for name in ("fused", "plain"))
    assert (fused.mel_scale, fused.mel_norm, fused.f_min, fused.f_max) == ("htk", None, 50, 14_000)
    assert (plain.mel_scale, plain.mel_norm) == ("slaney", "slaney")


@pytest.mark.parametrize("fused", [True, False])
def test_export_is_loaded_by_transformers_with_the_same_embeddings(fused: bool, tmp_path: Path) -> None:
    config = CLAPConfig(
        audio=HTSATConfig(width=16, depths=(1, 2, 1), heads=(2, 2, 4)),
        text=TextConfig(vocabulary=40, width=32, layers=2, heads=2, intermediate=64),
        front_end=FrontEnd() if fused else FrontEnd(mel_scale="slaney", mel_norm="slaney"),
        fusion="aff_2d" if fused else None,
        name="exported",
    )
    ours = CLAP.from_config(config, tokenizer=write_tokenizer(tmp_path / "tokenizer.json"))
    ours.export_transformers(tmp_path / "out")
    theirs = transformers.ClapModel.from_pretrained(tmp_path / "out").eval()
    processor = transformers.ClapProcessor.from_pretrained(tmp_path / "out")
    wave = long_wave(4)
    inputs = processor(text=TEXTS, audio=wave, sampling_rate=48_000, return_tensors="pt", padding=True)
    inputs["is_longer"] = torch.zeros(1, 1, dtype=torch.bool)
    with torch.inference_mode():
        out = theirs(**inputs)
    assert np.abs(out.audio_embeds.numpy() - ours.encode_audio((wave, 48_000))).max() < 1e-4
    assert np.abs(out.text_embeds.numpy() - ours.encode_text(TEXTS)).max() < 1e-5
    again = CLAP.from_pretrained(tmp_path / "out")
    assert np.abs(again.encode_audio((wave, 48_000)) - ours.encode_audio((wave, 48_000))).max() < 1e-6


def test_export_runs_in_the_zero_shot_pipeline(tmp_path: Path) -> None:
    config = CLAPConfig(
        audio=HTSATConfig(width=16, depths=(1, 2, 1), heads=(2, 2, 4)),
        text=TextConfig(vocabulary=40, width=32, layers=2, heads=2, intermediate=64),
        front_end=FrontEnd(mel_scale="slaney", mel_norm="slaney"),
        name="exported",
    )
    ours = CLAP.from_config(config, tokenizer=write_tokenizer(tmp_path / "tokenizer.json"))
    ours.export_transformers(tmp_path / "out")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pipeline's own
        pipe = transformers.pipeline("zero-shot-audio-classification", model=str(tmp_path / "out"))
        wave = long_wave(10)
        theirs = pipe(wave, candidate_labels=["dog", "rain", "siren"], hypothesis_template="this is a sound of {}")
    mine = ours.classify((wave, 48_000), ["dog", "rain", "siren"], template="this is a sound of {}")
    assert [row["label"] for row in theirs] == [label.label for label in mine]
    assert max(abs(row["score"] - label.score) for row, label in zip(theirs, mine, strict=True)) < 1e-4


def test_what_transformers_has_no_class_for_is_refused(tokenizer_file: Path, tmp_path: Path) -> None:
    config = CLAPConfig(audio=PANNConfig(widths=(4, 8), pools=((2, 2), (2, 2)), output=8), text=TextConfig(vocabulary=40, width=32, layers=1, heads=2, intermediate=64))  # fmt: skip
    with pytest.raises(UsageError, match=r"no class in transformers.*HTSAT \+ RoBERTa"):
        CLAP.from_config(config, tokenizer=tokenizer_file).export_transformers(tmp_path)


def test_a_front_end_that_transformers_has_not_is_refused(tokenizer_file: Path, tmp_path: Path) -> None:
    """Its extractor would repeat a knock as a rattle."""
    text = TextConfig(vocabulary=40, width=32, layers=1, heads=2, intermediate=64)
    front = FrontEnd(mel_scale="slaney", mel_norm="slaney", padding="spaced")
    config = CLAPConfig(
        audio=HTSATConfig(width=8, depths=(1, 1), heads=(2, 2)), text=text, front_end=front, fusion=None
    )
    with pytest.raises(UsageError, match="neither levels a mel nor repeats with pauses"):
        CLAP.from_config(config, tokenizer=tokenizer_file).export_transformers(tmp_path)


def test_missing_and_left_over_weights_are_listed(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_theirs(tmp_path, fused=True, small=True)
    state = load_file(tmp_path / "model.safetensors")
    state["surprise.weight"] = state.pop("audio_projection.linear1.weight")
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadCheckpoint, match=r"1 missing: audio_projection\.0\.weight; 1 left over: surprise\.weight"):
        CLAP.from_pretrained(tmp_path)


def test_a_page_that_was_saved_as_weights_is_no_unsafe_pickle(tmp_path: Path) -> None:
    """What a failed download leaves was said to hold more than tensors."""
    (tmp_path / "pytorch_model.bin").write_bytes(b"<html>Not found</html>")
    with pytest.raises(BadCheckpoint, match="not a torch file") as caught:
        read_huggingface(tmp_path, {"model_type": "clap"})
    assert not isinstance(caught.value, UnsafeCheckpoint)


# -- one tower ------------------------------------------------------------------------------------------


def test_folders_of_one_tower_embed_what_they_can_and_say_so(tmp_path: Path) -> None:
    """ClapTextModelWithProjection and ClapAudioModelWithProjection were refused as "not a CLAP"."""
    model = save_theirs(tmp_path / "both", fused=True, small=True)
    both = CLAP.from_pretrained(tmp_path / "both")
    towers = {"text": transformers.ClapTextModelWithProjection, "audio": transformers.ClapAudioModelWithProjection}
    for part, tower in towers.items():
        one = tower(getattr(model.config, f"{part}_config")).eval()
        own = {name: value for name, value in model.state_dict().items() if name.startswith(part)}
        one.load_state_dict(own, strict=True)
        one.save_pretrained(tmp_path / part)
        extractor(True).save_pretrained(tmp_path / part)
        write_tokenizer(tmp_path / part / "tokenizer.json")
    sound = (long_wave(12), 48_000)
    reads, hears = (CLAP.from_pretrained(tmp_path / part) for part in towers)
    assert np.array_equal(reads.encode_text(["a dog", "rain"]), both.encode_text(["a dog", "rain"]))
    assert np.abs(hears.encode_audio(sound) - both.encode_audio(sound)).max() < 1e-6
    with pytest.raises(UsageError, match="text is a text tower alone, it embeds no sounds; load the whole model"):
        reads.encode_audio(sound)
    with pytest.raises(UsageError, match="audio is an audio tower alone, it embeds no texts; load the whole model"):
        hears.classify(sound, ["a dog", "rain"])
    hears.save_pretrained(tmp_path / "again")
    again = CLAP.from_pretrained(tmp_path / "again", backend="torch")
    assert again.fingerprint == hears.fingerprint
    assert np.abs(again.encode_audio(sound) - hears.encode_audio(sound)).max() < 1e-5
    with pytest.raises(UsageError, match="has no class in transformers"):
        hears.export_transformers(tmp_path / "theirs")
