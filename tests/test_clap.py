"""Class CLAP through its public door: same sound, same vector; what follows from cosines; errors in words."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
from conftest import long_wave, write_tokenizer
from models_for_tests import (
    HTSAT_SMALL,
    MOBILENET_SMALL,
    PANN_SMALL,
    TEXT_KINDS,
    WORDS,
    small_clap,
    small_config,
    text_config,
)

from openclap import CLAP, CLAPConfig, Windows
from openclap.audio import channels
from openclap.config import FrontEnd
from openclap.errors import (
    BadCheckpoint,
    EmptySound,
    ModelNotHere,
    NotFiniteSound,
    SoundNotFound,
    UnknownModel,
    UnreadableSound,
    UsageError,
)
from openclap.models.clap import CLAPModel

RATE = 16_000
HTSAT_FUSIONS = (None, "daf_1d", "aff_1d", "iaff_1d", "daf_2d", "aff_2d", "iaff_2d", "channel_map")


@pytest.fixture(scope="module")
def clap(tokenizer_file: Path) -> CLAP:
    return small_clap(tokenizer_file)


def test_alone_in_a_batch_and_in_another_order(clap: CLAP) -> None:
    """LAION gave a file cosines of 0.30-0.99 with itself; transformers' short clips depended on their batch."""
    waves = [(long_wave(seconds, RATE, seed), RATE) for seed, seconds in enumerate((3, 0.4, 10, 10.01, 23, 61))]
    together = clap.encode_audio(waves)
    alone = np.concatenate([clap.encode_audio(wave) for wave in waves])
    backwards = clap.encode_audio(waves[::-1], batch_size=2)[::-1]
    assert np.abs(together - alone).max() <= 1e-5
    assert np.abs(together - backwards).max() <= 1e-5
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    assert np.abs(together[0] - together[4]).max() > 1e-3


@pytest.mark.parametrize("long", ["fusion", "windows", "head"])
def test_every_way_to_take_a_long_recording_is_deterministic(clap: CLAP, long: str) -> None:
    wave = (long_wave(27, RATE), RATE)
    first = clap.encode_audio([wave, wave], long=long)  # type: ignore[arg-type]
    assert np.abs(first[0] - first[1]).max() < 1e-6
    assert np.array_equal(clap.encode_audio(wave, long=long), clap.encode_audio(wave, long=long))  # type: ignore[arg-type]


def test_windows_are_the_mean_of_encode_windows(clap: CLAP) -> None:
    wave = (long_wave(23, RATE), RATE)
    spans = clap.encode_windows(wave)
    assert spans.start.tolist() == [0, 5, 10, 13]
    assert spans.end.tolist() == [10, 15, 20, 23]
    mean = spans.embedding.mean(0)
    assert np.abs(clap.encode_audio(wave, long="windows")[0] - mean / np.linalg.norm(mean)).max() < 1e-5


def test_short_recordings_are_the_same_whatever_long_says(clap: CLAP) -> None:
    wave = (long_wave(6, RATE), RATE)
    rows = np.concatenate([clap.encode_audio(wave, long=long) for long in ("auto", "fusion", "windows", "head")])
    assert np.abs(rows - rows[0]).max() < 1e-6


def test_every_form_of_a_sound_gives_the_same_vector(clap: CLAP, tmp_path: Path) -> None:
    path = tmp_path / "ein Klang 声音.wav"
    wave = long_wave(2, RATE)
    sf.write(path, wave, RATE, subtype="FLOAT")
    data = path.read_bytes()
    forms = [
        path,
        str(path),
        data,
        io.BytesIO(data),
        (wave, RATE),
        (wave[:, None].repeat(2, 1), RATE),
        {"array": wave, "sampling_rate": RATE},
    ]
    rows = clap.encode_audio(forms)  # type: ignore[arg-type]
    assert rows.shape == (7, 24)
    assert np.abs(rows - rows[0]).max() < 1e-6


def test_empty_list_gives_no_rows(clap: CLAP) -> None:
    assert clap.encode_audio([]).shape == (0, 24)
    assert clap.encode_text([]).shape == (0, 24)


def test_classify_is_a_softmax_of_scaled_cosines_best_first(clap: CLAP) -> None:
    wave = (long_wave(3, RATE), RATE)
    found = clap.classify(wave, ["dog", "rain", "siren"])
    cosines = clap.similarity(
        clap.encode_audio(wave),
        clap.encode_text([f"This is a sound of {x}." for x in ("dog", "rain", "siren")]),
    )[0]
    weights = np.exp(clap.logit_scale * cosines.astype(np.float64))
    expected = dict(zip(("dog", "rain", "siren"), zip(weights / weights.sum(), cosines, strict=True), strict=True))
    assert [x.score for x in found] == sorted((x.score for x in found), reverse=True)
    assert sum(x.score for x in found) == pytest.approx(1)
    for label in found:
        assert (label.score, label.similarity) == pytest.approx(expected[label.label], abs=1e-5)


def test_repeated_labels_are_embedded_once(clap: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peers' pipelines ran the text tower anew for every file."""
    wave = (long_wave(1, RATE), RATE)
    first = clap.classify(wave, ["cat", "violin"])
    monkeypatch.setattr(clap.backend, "encode_text", lambda *_: pytest.fail("embedded again"))
    assert clap.classify(wave, ["violin", "cat"]) == first


def test_match_keeps_the_order_given(clap: CLAP) -> None:
    wave = (long_wave(1, RATE), RATE)
    found = clap.match(wave, ["rain", "dog", "rain"])
    assert [m.text for m in found] == ["rain", "dog", "rain"]
    assert found[0].score == pytest.approx(found[2].score, abs=1e-6)
    assert all(-1 <= m.score <= 1 for m in found)


def test_padding_of_texts_changes_nothing(clap: CLAP) -> None:
    short = clap.encode_text("dog")
    beside = clap.encode_text(["dog", "this is the sound of a dog barking heavy rain siren"])[:1]
    assert np.abs(short - beside).max() < 1e-6


@pytest.mark.filterwarnings("ignore:.*nearly the same vector:openclap.errors.ModelWarning")  # untrained towers
@pytest.mark.parametrize(("audio", "text"), list(itertools.product(("htsat", "pann"), TEXT_KINDS)))
def test_any_combination_is_built_saved_and_reloaded_bit_for_bit(
    audio: str, text: str, tokenizer_file: Path, tmp_path: Path
) -> None:
    config = CLAPConfig(
        audio=HTSAT_SMALL if audio == "htsat" else PANN_SMALL,
        text=WORDS if text == "words" else text_config(text),
        front_end=FrontEnd(mel_scale="slaney", mel_norm="slaney"),
        embedding=16,
        name=f"{audio}-{text}",
    )
    made = CLAP.from_config(config, tokenizer=tokenizer_file, seed=3)
    made.save_pretrained(tmp_path)
    again = CLAP.from_pretrained(tmp_path)
    assert again.config == config
    assert again.fingerprint == made.fingerprint
    wave = (long_wave(2), 48_000)
    # the weights are the same bits; where they lie in memory changes the last bit of a sum
    assert np.abs(again.encode_audio(wave) - made.encode_audio(wave)).max() < 1e-6
    assert np.abs(again.encode_text(["a dog", "rain"]) - made.encode_text(["a dog", "rain"])).max() < 1e-6


@pytest.mark.parametrize(
    ("audio", "fusion"),
    [*(("htsat", f) for f in HTSAT_FUSIONS), *(("pann", f) for f in (None, "daf_2d", "aff_2d", "iaff_2d"))],
)
def test_a_row_does_not_depend_on_its_batch(audio: str, fusion: str | None) -> None:
    """Views of short rows are copies, and only long rows go through the fusion."""
    torch.manual_seed(0)
    model = CLAPModel(small_config(audio=audio, fusion=fusion)).eval()
    frames = model.config.front_end.clip_frames
    mel = torch.randn(3, 4, frames, 64) * 10 - 30
    mel[1] = mel[1, :1]
    longer = torch.tensor([True, False, True]) if fusion else torch.zeros(3, dtype=torch.bool)
    with torch.inference_mode():
        together = model.encode_audio(mel, longer)
        alone = torch.cat([model.encode_audio(mel[i : i + 1], longer[i : i + 1]) for i in range(3)])
        short = model.encode_audio(mel[1:2, :1], longer[1:2])
    assert (together - alone).abs().max() < 1e-6
    assert (together[1] - short[0]).abs().max() < 1e-6


def test_fusion_weights_get_a_gradient_even_from_a_batch_of_one() -> None:
    model = CLAPModel(small_config(fusion="aff_2d", audio="htsat")).train()
    mel = torch.randn(1, 4, model.config.front_end.clip_frames, 64)
    model.encode_audio(mel, torch.tensor([True]))[0, 0].backward()  # type: ignore[no-untyped-call]
    grads = [p.grad for name, p in model.named_parameters() if "fusion.local_attention" in name]
    assert grads
    assert all(g is not None and torch.isfinite(g).all() for g in grads)


def test_errors_name_the_sound_and_the_cause(clap: CLAP, tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("hello")
    sf.write(tmp_path / "nan.wav", np.array([0.0, np.nan, 0.1]), 8000, subtype="FLOAT")
    for name, kind in {
        "empty.wav": EmptySound,
        "text.wav": UnreadableSound,
        "nan.wav": NotFiniteSound,
        "no.wav": SoundNotFound,
    }.items():
        with pytest.raises(kind, match=name):
            clap.encode_audio(tmp_path / name)


def test_wrong_use_is_told_in_words(clap: CLAP, tokenizer_file: Path) -> None:
    wave = (np.zeros(100, np.float32) + 0.1, RATE)
    for call, words in (
        (lambda: clap.encode_audio(np.zeros(9)), "no sampling rate"),  # type: ignore[arg-type]
        (lambda: clap.encode_audio(wave, long="middle"), "choose auto, windows"),  # type: ignore[arg-type]
        (lambda: clap.classify(wave, []), "no label"),
        (lambda: clap.classify(wave, ["a"], template="sound"), "{} once"),
        (lambda: clap.match(wave, []), "no text"),
        (lambda: clap.encode_text([3]), "must be a string"),  # type: ignore[list-item]
        (lambda: clap.encode_windows(wave, window=11), "at most"),
        (lambda: clap.similarity(np.zeros((1, 3)), np.zeros((1, 4))), "3 and 4"),
        (lambda: small_clap(tokenizer_file, fusion=None).encode_audio(wave, long="fusion"), "without fusion"),
        (lambda: CLAP.from_config(small_config(), device="tpu"), "not a device"),
        (lambda: CLAPConfig(audio=MOBILENET_SMALL, fusion="aff_1d"), "'mobilenet' takes"),
    ):
        with pytest.raises(UsageError, match=words):
            call()


def test_audio_works_without_a_tokenizer_and_text_says_what_is_missing() -> None:
    clap = small_clap()
    assert clap.encode_audio((long_wave(1, RATE), RATE)).shape == (1, 24)
    with pytest.raises(ModelNotHere, match=r"tokenizer\.json"):
        clap.encode_text("dog")


def test_models_that_are_not_here(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match=r"'htsat-big' is not a model; choose one of mini, laion/clap-htsat-fused"):
        CLAP.from_pretrained("htsat-big")
    with pytest.raises(ModelNotHere, match=r"locate\.pull\('laion/clap-htsat-fused'\)"):
        CLAP.from_pretrained("laion/clap-htsat-fused")
    with pytest.raises(BadCheckpoint, match=r"no config\.json"):
        CLAP.from_pretrained(tmp_path)


def test_a_cut_weights_file_is_refused(tokenizer_file: Path, tmp_path: Path) -> None:
    small_clap(tokenizer_file).save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BadCheckpoint, match="cut short"):
        CLAP.from_pretrained(tmp_path)


def test_broken_weights_warn_and_strict_refuses(tokenizer_file: Path, tmp_path: Path) -> None:
    clap = small_clap(tokenizer_file)
    with torch.no_grad():
        next(iter(clap.model.audio_projection.parameters()))[0] = float("nan")
    clap.save_pretrained(tmp_path)
    with pytest.warns(match="NaN"):
        CLAP.from_pretrained(tmp_path)
    with pytest.raises(BadCheckpoint, match="NaN"):
        CLAP.from_pretrained(tmp_path, strict=True)


def test_a_newer_format_is_refused_by_name() -> None:
    with pytest.raises(BadCheckpoint, match="version 99"):
        CLAPConfig.from_dict({**CLAPConfig().to_dict(), "format_version": 99})
    with pytest.raises(BadCheckpoint, match="no field wings"):
        CLAPConfig.from_dict({**CLAPConfig().to_dict(), "wings": 2})


def test_nothing_of_a_local_model_touches_the_network(tokenizer_file: Path, tmp_path: Path) -> None:
    small_clap(tokenizer_file).save_pretrained(tmp_path)
    code = f"""
import socket
def refuse(*a, **k): raise AssertionError("network")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from openclap import CLAP
print(CLAP.from_pretrained({str(tmp_path)!r}).encode_text("a dog").shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(1, 24)", done.stderr


def test_the_same_open_file_may_come_twice(clap: CLAP, tmp_path: Path) -> None:
    """It has one position, which decoding threads once fought over."""
    sf.write(tmp_path / "x.wav", long_wave(2, RATE), RATE)
    expected = clap.encode_audio(tmp_path / "x.wav")
    with (tmp_path / "x.wav").open("rb") as file:
        got = clap.encode_audio([file] * 6 + [tmp_path / "x.wav"] * 2)
    assert np.abs(got - expected).max() < 1e-6


def test_what_encodes_is_the_model_as_it_is_now(tokenizer_file: Path, tmp_path: Path) -> None:
    """Batch norms are folded for speed; a copy made once would go on as it was."""
    clap = small_clap(tokenizer_file)
    wave = (long_wave(3, RATE), RATE)
    before, scale, name = clap.encode_audio(wave), clap.logit_scale, clap.fingerprint
    labels = ["dog", "rain"]
    clap.classify(wave, labels)
    with torch.no_grad():
        for parameter in clap.model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    after = clap.encode_audio(wave)
    assert np.abs(after - before).max() > 1e-3
    assert clap.logit_scale != scale
    assert clap.fingerprint != name
    clap.save_pretrained(tmp_path)
    again = CLAP.from_pretrained(tmp_path)
    assert again.fingerprint == clap.fingerprint
    assert np.abs(again.encode_audio(wave) - after).max() < 1e-5
    for mine, theirs in zip(clap.classify(wave, labels), again.classify(wave, labels), strict=True):
        assert mine.similarity == pytest.approx(theirs.similarity, abs=1e-5)


def test_nan_never_leaves_a_broken_model(tokenizer_file: Path) -> None:
    clap = small_clap(tokenizer_file)
    with torch.no_grad():
        clap.model.get_parameter("audio_projection.2.weight")[0, 0] = float("nan")
    with pytest.raises(BadCheckpoint, match="gives NaN: its weights are broken"):
        clap.encode_audio((long_wave(1, RATE), RATE))


def test_bad_sounds_among_many_keep_their_place(clap: CLAP, tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    sounds: list[Any] = [
        (long_wave(12, RATE), RATE),
        tmp_path / "empty.wav",
        (long_wave(80, RATE, 2), RATE),
        tmp_path / "no.wav",
    ]
    found = list(clap.encode_each(sounds, window=4, hop=1, batch_size=7))
    assert [type(x).__name__ for x in found] == ["Windows", "EmptySound", "Windows", "SoundNotFound"]
    for sound, windows in ((sounds[0], found[0]), (sounds[2], found[2])):
        alone = clap.encode_windows(sound, window=4, hop=1)
        assert not isinstance(windows, Exception)
        assert np.array_equal(windows.start, alone.start)
        assert np.abs(windows.embedding - alone.embedding).max() < 1e-6
    whole = list(clap.encode_each(sounds))
    assert [type(x).__name__ for x in whole] == ["Windows", "EmptySound", "Windows", "SoundNotFound"]
    assert isinstance(whole[2], Windows)
    assert np.abs(whole[2].embedding - clap.encode_audio(sounds[2])).max() < 1e-6


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    file = write_tokenizer(tmp_path / "tokenizer.json", tuple(f"<{i}>" for i in range(60)))
    with pytest.raises(BadCheckpoint, match="another model's"):
        small_clap(file).encode_text("dog")


def test_saving_over_another_model_leaves_no_tokenizer_of_it(tokenizer_file: Path, tmp_path: Path) -> None:
    small_clap(tokenizer_file).save_pretrained(tmp_path)
    small_clap().save_pretrained(tmp_path)
    with pytest.raises(ModelNotHere, match="without a tokenizer"):
        CLAP.from_pretrained(tmp_path).encode_text("dog")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"front_end": {"hop": 100}}, "frames, the image of HTSAT holds 1024"),
        ({"front_end": {"mel_scale": "foo"}}, "mel_scale is 'foo'; it must be one of htk, slaney"),
        ({"front_end": {"padding": "wrap"}}, "it must be one of repeatpad, repeat, pad"),
        ({"front_end": {"f_max": 1e9}}, "half the rate must hold"),
        ({"front_end": {"hop": "x"}}, "hop is 'x'; it must be a whole number"),
        ({"front_end": [1]}, "names and values are expected"),
        ({"audio": {"kind": "htsat", "heads": [4, 8]}}, "4 stages and 2 numbers of heads"),
        ({"audio": {"kind": "htsat", "width": -1}}, "width of HTSAT is -1"),
        ({"audio": {"kind": "pann", "pools": [[2, 2]]}}, "6 blocks and 1 pooling;"),
        ({"text": {"kind": "words"}}, "vocabulary"),
        ({"embedding": 0}, "embedding of the model is 0"),
    ],
)
def test_a_damaged_config_is_named(changes: dict[str, object], words: str) -> None:
    with pytest.raises(BadCheckpoint, match=words):
        CLAPConfig.from_dict({**CLAPConfig().to_dict(), **changes})


def test_sounds_are_listed_alike_everywhere(tokenizer_file: Path) -> None:
    """A generator and a lone path were once a TypeError, or a sound for each of its letters."""
    clap = small_clap(tokenizer_file)
    sounds = [(long_wave(1, 16_000, seed=i), 16_000) for i in range(3)]
    assert len(list(clap.encode_each(sound for sound in sounds))) == 3  # type: ignore[arg-type]
    (missing,) = clap.encode_each("/no/such.wav")
    assert isinstance(missing, SoundNotFound)


@pytest.mark.parametrize(
    ("texts", "words"), [(["\ud800"], "no Unicode"), (None, "not NoneType"), ([b"x"], "not bytes")]
)
def test_texts_that_are_none(texts: object, words: str, tokenizer_file: Path) -> None:
    with pytest.raises(UsageError, match=words):
        small_clap(tokenizer_file).encode_text(texts)  # type: ignore[arg-type]


def test_leaving_does_not_wait_for_what_is_decoded_ahead(tokenizer_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C once waited for two hours of sound to be decoded."""
    clap = small_clap(tokenizer_file)
    blocks, leaving = 0, threading.Event()
    mono = channels.to_mono

    def counting(block: np.ndarray) -> np.ndarray:
        nonlocal blocks
        blocks += 1
        if blocks > 9:
            leaving.wait(60)  # how fast this machine is decides nothing
            time.sleep(0.01)
        return mono(block)

    monkeypatch.setattr(channels, "to_mono", counting)
    before = threading.enumerate()
    hours = (np.zeros(16_000 * 3600 * 4, np.int8).astype(np.float32), 16_000)  # 480 blocks each
    each = clap.encode_each([(long_wave(1, 16_000), 16_000), hours, hours, hours], window=10.0, batch_size=1)
    next(each)
    leaving.set()
    each.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread not in before and thread.name != "MainThread":
            thread.join(60)
    assert blocks < 400
