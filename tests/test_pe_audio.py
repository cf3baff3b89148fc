"""Meta's PE-A, through transformers: its numbers, frames, and the rest of openclap over it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from openclap import CLAP, Library
from openclap.errors import BadCheckpoint, LibraryMismatch, UsageError

pytestmark = pytest.mark.filterwarnings("ignore:.*unrelated texts get nearly the same vector")  # it is untrained

RATE, HOP = 48_000, 1920
TEXTS = ["a dog barks", "rain"]
WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "dog", "barks", "rain", "this", "is", "sound", "of"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random PE-A, as transformers saves it."""
    folder = tmp_path_factory.mktemp("pe-a")
    text = {"model_type": "modernbert", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 300}  # fmt: skip
    text |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
    codec = {"model_type": "dac", "downsampling_ratios": [2, 8, 10, 12], "encoder_hidden_size": 4, "codebook_dim": 8, "decoder_hidden_size": 32}  # fmt: skip
    audio = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 16, "dac_config": codec}  # fmt: skip
    torch.manual_seed(0)
    model = transformers.PeAudioModel(transformers.PeAudioConfig(text_config=text, audio_config=audio)).eval()
    model.save_pretrained(folder)
    transformers.PeAudioFeatureExtractor().save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])  # fmt: skip
    special: dict[str, Any] = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    return folder


@pytest.fixture
def frame_level(saved: Path, tmp_path: Path) -> Path:
    """The same as a model that was trained on its frames."""
    folder = tmp_path / "frames"
    shutil.copytree(saved, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["PeAudioFrameLevelModel"]}))
    return folder


def noise(samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(samples).standard_normal(samples)).astype(np.float32)


def theirs(folder: Path, wave: np.ndarray, *, frames: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of a sound and of TEXTS by transformers."""
    kind = transformers.PeAudioFrameLevelModel if frames else transformers.PeAudioModel
    model = kind.from_pretrained(folder).eval()
    sound = transformers.PeAudioFeatureExtractor()([wave], sampling_rate=RATE, return_tensors="pt")
    words = transformers.AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        out = model(**sound, **words)
    return out.audio_embeds.numpy(), out.text_audio_embeds.numpy()


@pytest.mark.parametrize("samples", [30, HOP, 100_000])
def test_its_numbers_are_those_of_transformers(saved: Path, samples: int) -> None:
    clap, wave = CLAP.from_pretrained(saved), noise(samples)
    sound, texts = theirs(saved, wave)
    assert np.abs(clap.encode_audio((wave, RATE), normalize=False) - sound).max() < 1e-6
    assert np.abs(clap.encode_text(TEXTS, normalize=False) - texts).max() < 1e-6
    frames, _ = theirs(saved, wave, frames=True)
    assert frames.shape[1] == -(-samples // HOP)
    assert np.abs(clap.encode_audio((wave, RATE), output="frames", normalize=False) - frames).max() < 1e-6


def test_a_sound_has_the_same_vector_beside_others(saved: Path) -> None:
    """Nothing is filled up to the longest of a batch."""
    clap, sounds = CLAP.from_pretrained(saved), [(noise(n), RATE) for n in (5000, 90_000, 5000 + HOP)]
    together = clap.encode_audio(sounds)
    alone = np.concatenate([clap.encode_audio(sound) for sound in sounds])
    assert np.abs(together - alone).max() < 1e-6
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_a_frame_level_model_compares_the_mean_of_its_frames(frame_level: Path, saved: Path) -> None:
    clap, wave = CLAP.from_pretrained(frame_level), noise(RATE)
    frames, _ = theirs(frame_level, wave, frames=True)
    windows = clap.encode_windows((wave, RATE), window=1.0, hop=1.0, normalize=False).embedding
    assert np.abs(windows - frames.mean(1)).max() < 1e-6
    assert clap.fingerprint != CLAP.from_pretrained(saved).fingerprint


def test_a_library_of_it_is_searched_and_looked_through(
    frame_level: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [(noise(20_000 + i), RATE) for i in range(6)]  # in place of 56 kinds, which take a minute
    monkeypatch.setattr("openclap.synth.synthesise_all", lambda: few)
    (tmp_path / "sounds").mkdir()
    for name in ("a", "b"):
        sf.write(tmp_path / "sounds" / f"{name}.wav", noise(70_000 + ord(name)), RATE)
    library = Library.open(tmp_path / "library", model=CLAP.from_pretrained(frame_level))
    assert library.add([tmp_path / "sounds"]).added == 2
    assert {Path(hit.path).name for hit in library.search("a dog barks", k=5, by="sound")} == {"a.wav", "b.wav"}
    assert library.moments("a dog barks", k=3)
    with pytest.raises(LibraryMismatch, match="was made by"):
        Library.open(tmp_path / "library", model="mini")


def test_what_it_cannot_do_is_said_in_a_sentence(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes no backend"):
        CLAP.from_pretrained(saved, backend="openvino")
    with pytest.raises(UsageError, match="takes no precision"):
        CLAP.from_pretrained(saved, precision="int8")
    without = tmp_path / "no words"
    shutil.copytree(saved, without, ignore=shutil.ignore_patterns("tokenizer*"))
    clap = CLAP.from_pretrained(without)
    assert clap.encode_audio((noise(4000), RATE)).shape == (1, 32)
    with pytest.raises(UsageError):
        clap.encode_text("rain")


@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_damaged_weights_are_refused(saved: Path, tmp_path: Path, damage: str) -> None:
    shutil.copytree(saved, tmp_path / "bad")
    file = tmp_path / "bad" / "model.safetensors"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    else:
        from safetensors.numpy import load_file, save_file

        weights = load_file(file)
        save_file({name: value for name, value in weights.items() if "audio_head" not in name}, file, {"format": "pt"})
    with pytest.raises(BadCheckpoint, match=re.escape("fetch it again")):
        CLAP.from_pretrained(tmp_path / "bad")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("preprocessor_config.json", '{"sampling_rate": "48k"}', "sampling_rate is '48k'"),
        ("preprocessor_config.json", '{"sampling_rate": [48000]}', "no rate in Hz"),
        ("preprocessor_config.json", '{"sampling_rate": 1e400}', "no rate in Hz"),
        ("preprocessor_config.json", "{", "cannot be read as JSON"),
        ("config.json", "[" * 100_000, "cannot be read as JSON"),
        ("tokenizer.json", "{}", "its tokenizer cannot be read"),
        ("tokenizer_config.json", "{", "its tokenizer cannot be read"),
        ("tokenizer_config.json", "{}", "names no padding"),
    ],
)
def test_damaged_settings_are_refused(saved: Path, tmp_path: Path, file: str, content: str, said: str) -> None:
    """They gave ValueError, TypeError, OverflowError, KeyError and RecursionError with a traceback."""
    shutil.copytree(saved, tmp_path / "bad")
    (tmp_path / "bad" / file).write_text(content)
    with pytest.raises(BadCheckpoint, match=re.escape(said)):
        CLAP.from_pretrained(tmp_path / "bad")


def test_weights_of_other_shapes_are_one_sentence(
    saved: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """transformers printed a row for each of the weights first, and its sentence pointed to them."""
    shutil.copytree(saved, tmp_path / "bad")
    config = json.loads((saved / "config.json").read_text())
    config["audio_config"]["hidden_size"] = 32
    (tmp_path / "bad" / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadCheckpoint, match="their shapes are not those"):
        CLAP.from_pretrained(tmp_path / "bad")
    told = capfd.readouterr()
    assert "MISMATCH" not in told.out + told.err


def test_weights_in_bin_files_have_a_fingerprint_of_their_own(saved: Path, tmp_path: Path) -> None:
    """Without .safetensors every model had the same one: a library took another model's vectors."""
    from safetensors.torch import load_file

    weights = load_file(saved / "model.safetensors")
    found = []
    for factor in (1.0, 2.0):
        folder = tmp_path / str(factor)
        shutil.copytree(saved, folder, ignore=shutil.ignore_patterns("*.safetensors"))
        name = "audio_head.layer_norm.weight"
        torch.save({**weights, name: factor * weights[name]}, folder / "pytorch_model.bin")
        found.append(CLAP.from_pretrained(folder).fingerprint)
    assert found[0] != found[1]
