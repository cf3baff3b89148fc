"""Every field of a transformers folder is honoured, irrelevant or refused; nothing is ignored, and nothing is a raw error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from conftest import long_wave, write_tokenizer

from openclap import CLAP
from openclap.audio.clips import make_clip
from openclap.checkpoints.huggingface_config import FIELDS
from openclap.checkpoints.load import load_checkpoint
from openclap.config import ACTIVATIONS
from openclap.doctor import examine_installation
from openclap.errors import BadCheckpoint, LanguageWarning, ModelWarning

pytestmark = pytest.mark.filterwarnings("ignore:.*nearly the same vector:openclap.errors.ModelWarning")

AUDIO = {"patch_embeds_hidden_size": 16, "hidden_size": 64, "depths": [1, 2, 1], "num_attention_heads": [2, 2, 4], "num_hidden_layers": 3,
         "spec_size": 128, "num_mel_bins": 32}  # fmt: skip
TEXT = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
TEXTS = ["a dog barking", "heavy rain", "this is the sound of a siren"]


def save(folder: Path, audio: dict[str, Any], text: dict[str, Any] | None = None) -> transformers.ClapModel:
    """A random ClapModel whose weights are large enough for its activations and norms to matter."""
    torch.manual_seed(0)
    config = transformers.ClapConfig(audio_config={**AUDIO, **audio}, text_config={**TEXT, **(text or {})})
    model = transformers.ClapModel(config).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim > 1:
                value.normal_(0, 0.5 if "projection" not in name else 0.2)
            elif name.endswith("bias"):
                value.normal_(0, 0.3)
        for name, value in model.named_buffers():
            if name.endswith("running_var"):
                value.uniform_(50, 400)
    model.save_pretrained(folder)
    fused = bool(audio.get("enable_fusion"))
    bins = model.config.audio_config.num_mel_bins
    transformers.ClapFeatureExtractor(
        frequency_min=50, truncation="fusion" if fused else "rand_trunc", feature_size=bins, hop_length=960
    ).save_pretrained(folder)
    write_tokenizer(folder / "tokenizer.json")
    return model


def theirs(model: transformers.ClapModel, mel: np.ndarray, longer: bool) -> np.ndarray:
    with torch.inference_mode():
        row = model.get_audio_features(torch.from_numpy(mel)[None], is_longer=torch.tensor([[longer]])).pooler_output[0]
    unit: np.ndarray = (row / row.norm()).numpy()
    return unit


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "gelu_new, eps": ({"hidden_act": "gelu_new", "layer_norm_eps": 0.1}, {"hidden_act": "gelu_new", "layer_norm_eps": 0.05}),
    "quick_gelu, no qkv bias": ({"hidden_act": "quick_gelu", "qkv_bias": False}, {"hidden_act": "quick_gelu"}),
    "relu, no patch norm": ({"hidden_act": "relu", "enable_patch_layer_norm": False}, {"hidden_act": "relu"}),
    "silu, aff_block_r": ({"hidden_act": "silu", "enable_fusion": True, "fusion_type": "aff_2d", "aff_block_r": 2}, {"hidden_act": "silu"}),
    "a fusion_type that transformers ignores": ({"enable_fusion": True, "fusion_type": "iaff_2d"}, {}),
    "ratio, window, bins, an end in a list": ({"mlp_ratio": 2.5, "window_size": 4, "num_mel_bins": 16, "spec_size": 128}, {"eos_token_id": [2]}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_fields_are_honoured_on_both_backends(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hidden_act` and `layer_norm_eps` of the audio tower were ignored, other fields "incomplete… download it again"."""
    audio, text = CASES[case]
    model = save(tmp_path, audio, text)
    fused = bool(audio.get("enable_fusion"))
    waves = [(long_wave(seconds, seed=seconds), 48_000) for seconds in ((4, 13) if fused else (4,))]
    for backend in ("openvino", "torch"):
        clap = CLAP.from_pretrained(tmp_path, backend=backend)
        clips = [make_clip(wave, clap.front_end, long="fusion" if fused else "head") for wave in waves]
        four = [np.broadcast_to(clip.mel, (4 if fused else 1, *clip.mel.shape[1:])).copy() for clip in clips]
        expected = np.stack([theirs(model, mel, clip.longer) for mel, clip in zip(four, clips, strict=True)])
        assert np.abs(clap.encode_audio(waves) - expected).max() < 2e-5
        ids, mask = clap.tokenizer(TEXTS)
        with torch.inference_mode():
            rows = model.get_text_features(torch.from_numpy(ids), torch.from_numpy(mask)).pooler_output.numpy()
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        assert np.abs(clap.encode_text(TEXTS) - rows).max() < 2e-5
        assert np.abs(clap.encode_text(TEXTS * 8)[-3:] - rows).max() < 2e-5  # so many go through the graph
    again = tmp_path / "again"
    if "ignores" not in case:
        clap.export_transformers(again)  # and are written back
        assert CLAP.from_pretrained(again).fingerprint == clap.fingerprint
    clap.save_pretrained(tmp_path / "own")
    assert load_checkpoint(tmp_path / "own").config.audio == clap.config.audio


def test_every_field_of_the_installed_transformers_is_known() -> None:
    """A field that a new version brings must be honoured, refused or found irrelevant before it can change a result."""
    classes = {
        "audio_config": transformers.models.clap.configuration_clap.ClapAudioConfig,
        "text_config": transformers.models.clap.configuration_clap.ClapTextConfig,
        "config": transformers.ClapConfig,
    }
    for part, cls in classes.items():
        own = {name for name in vars(cls)["__annotations__"] if not name.startswith("_")}
        fields = FIELDS[part]
        known = {*fields.honoured, *fields.taken, *fields.irrelevant}
        assert own == known, (part, own ^ known)
        defaults = transformers.ClapConfig()
        theirs = defaults if part == "config" else getattr(defaults, part)
        for name, value in fields.honoured.items():
            said = getattr(theirs, name)
            assert (list(said) if isinstance(said, tuple) else said) == value, (part, name)
        for name, values in fields.taken.items():
            assert getattr(theirs, name) in values
    said = transformers.ClapFeatureExtractor().to_dict()
    derived = {"nb_max_samples", "nb_frequency_bins", "padding_side"}  # padding_side: it pads by itself, at the right
    fields = FIELDS["extractor"]
    assert set(said) - derived == {*fields.honoured, *fields.taken, *fields.irrelevant}
    assert {name: said[name] for name in fields.honoured} == fields.honoured
    assert set(ACTIVATIONS) <= set(transformers.activations.ACT2FN)


@pytest.mark.parametrize(
    ("part", "field", "value", "words"),
    [
        ("audio_config", "hidden_act", "mish", "hidden_act is 'mish'; openclap knows 'gelu'"),
        ("text_config", "hidden_act", "mish", "hidden_act is 'mish'"),
        ("audio_config", "patch_stride", [2, 2], "square patches beside each other"),
        ("audio_config", "patch_size", [4, 2], "square patches"),
        ("audio_config", "patch_embed_input_channels", 3, "openclap knows 1"),
        ("audio_config", "flatten_patch_embeds", False, "openclap knows True"),
        ("audio_config", "fusion_type", "channel_map", "fusion_type is 'channel_map'"),
        ("audio_config", "num_mel_bins", 64, "num_mel_bins is 64"),
        ("audio_config", "depths", "two", "depths is 'two'; it must be a whole number"),
        ("text_config", "eos_token_id", [2, 3], "one token is expected"),
        ("text_config", "hidden_size", {}, "width is {}; it must be a whole number"),
        ("text_config", "max_position_embeddings", 3, "no room for a text"),
        ("config", "projection_hidden_act", "gelu", "openclap knows 'relu'"),
        ("config", "audio_config", [1], "names and values are expected"),
        ("extractor", "truncation", "middle", "openclap knows 'fusion' or 'rand_trunc'"),
        ("extractor", "padding", "max_length", "padding is 'max_length'"),
        ("extractor", "feature_extractor_type", "WhisperFeatureExtractor", "feature_extractor_type"),
        ("extractor", "sampling_rate", "fast", "sampling_rate is 'fast'"),
    ],
)
def test_what_is_not_known_is_refused_by_name(part: str, field: str, value: Any, words: str, tmp_path: Path) -> None:
    save(tmp_path, {})
    file = tmp_path / ("preprocessor_config.json" if part == "extractor" else "config.json")
    data = json.loads(file.read_text())
    (data[part] if part.endswith("_config") else data)[field] = value
    file.write_text(json.dumps(data))
    with pytest.raises(BadCheckpoint) as caught:
        load_checkpoint(tmp_path)
    assert words in str(caught.value)
    assert "download it again" not in str(caught.value)


def test_fewer_positions_than_a_text_has_tokens(tmp_path: Path) -> None:
    """It was an IndexError from the table of positions."""
    model = save(tmp_path, {}, {"max_position_embeddings": 10})
    for backend in ("openvino", "torch"):
        clap = CLAP.from_pretrained(tmp_path, backend=backend)
        with pytest.warns(LanguageWarning, match="47 tokens is cut to the first 8 tokens"):
            got = clap.encode_text("the sound of a dog " * 9)[0]
        ids, mask = clap.tokenizer(["the sound of a dog " * 9])
        assert ids.shape == (1, 8)
        with torch.inference_mode():
            row = model.get_text_features(torch.from_numpy(ids), torch.from_numpy(mask)).pooler_output[0]
        assert np.abs(got - (row / row.norm()).numpy()).max() < 2e-5


# -- the extractor's files ---------------------------------------------------------------------------

FULL = {"feature_extractor_type": "ClapFeatureExtractor", "sampling_rate": 32_000, "frequency_min": 20, "frequency_max": 8_000,
        "feature_size": 32, "hop_length": 640, "max_length_s": 10, "fft_window_size": 1024, "truncation": "rand_trunc", "padding": "repeat"}  # fmt: skip


def write(folder: Path, **files: dict[str, Any] | None) -> Path:
    usual = not files  # the bins and the image of transformers' and LAION's defaults
    save(folder, {"spec_size": 256, "num_mel_bins": 64} if usual else {})
    (folder / "preprocessor_config.json").unlink()
    for name, data in files.items():
        if data is not None:
            (folder / f"{name}.json").write_text(json.dumps(data))
    return folder


@pytest.mark.parametrize(
    "processor",
    [
        {"processor_class": "ClapProcessor"},
        {"processor_class": "ClapProcessor", "feature_extractor": {}},
        {"processor_class": "ClapProcessor", "feature_extractor": None},
        {"feature_extractor": {"feature_extractor_type": "ClapFeatureExtractor", "processor_class": "ClapProcessor"}},
    ],
    ids=["class alone", "empty", "null", "nested class alone"],
)
def test_what_one_file_leaves_out_another_states(processor: dict[str, Any], tmp_path: Path) -> None:
    """A processor_config.json that holds only the class hid the whole preprocessor_config.json: 8 000 Hz became 14 000 Hz."""
    front = load_checkpoint(write(tmp_path, processor_config=processor, preprocessor_config=FULL)).config.front_end
    assert (front.sampling_rate, front.f_min, front.f_max, front.hop) == (32_000, 20.0, 8_000.0, 640)
    assert (front.mel_scale, front.padding) == ("slaney", "repeat")


def test_key_by_key(tmp_path: Path) -> None:
    """What is nested counts first, then the extractor's own file, then what lies beside the processor's class."""
    nested = {"feature_extractor": {"frequency_max": 9_000}, "frequency_max": 1, "hop_length": 1}
    less = {k: v for k, v in FULL.items() if k != "padding"}
    with pytest.warns(
        ModelWarning, match=r"preprocessor_config.json and processor_config.json leave out .* padding repeatpad$"
    ):
        front = load_checkpoint(
            write(tmp_path / "a", processor_config=nested, preprocessor_config=less)
        ).config.front_end
    assert (front.f_max, front.hop, front.padding) == (9_000.0, 640, "repeatpad")
    front = load_checkpoint(write(tmp_path / "b", processor_config=FULL)).config.front_end  # flat, and alone
    assert (front.sampling_rate, front.f_max) == (32_000, 8_000.0)
    front = load_checkpoint(write(tmp_path / "c", processor_config={"audio_processor": FULL})).config.front_end
    assert (front.sampling_rate, front.f_max) == (32_000, 8_000.0)


def test_defaults_are_named(tmp_path: Path) -> None:
    """Where nothing states the lowest frequency, transformers takes 0 Hz, and all released models were trained with 50."""
    less = {k: v for k, v in FULL.items() if k not in ("frequency_min", "truncation")}
    with pytest.warns(ModelWarning, match=r"defaults of transformers: frequency_min 0, truncation fusion$"):
        front = load_checkpoint(write(tmp_path / "a", preprocessor_config=less)).config.front_end
    assert (front.f_min, front.mel_scale) == (0.0, "htk")
    with pytest.warns(
        ModelWarning, match=r"no preprocessor_config.json; taken are the defaults of LAION's models: .*frequency_min 50"
    ) as told:
        clap = CLAP.from_pretrained(write(tmp_path / "b"))
    assert len([w for w in told if "preprocessor" in str(w.message)]) == 1
    assert told[0].filename == __file__  # it names who loaded it
    assert (clap.front_end.f_min, clap.front_end.mel_scale) == (50.0, "slaney")
    assert any(
        "no preprocessor_config.json" in f["what"] for f in examine_installation(str(tmp_path / "b"))["findings"]
    )
