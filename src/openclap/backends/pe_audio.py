"""Meta's PE-A (`pe_audio` in transformers): its own modules, which take waves of any length, as a `CustomModel`.

    wave ─ filled up to a whole number of frames by reflection ─ encoder ─┬─ pooled (B, D) ─────┬─ head ─ (B, E)
                                                                          └─ frames (B, T, D) ──┘  or mean over T
    text ─ tokenizer ─ ModernBERT ─ state of the first token ─ head ─ (M, E)

A checkpoint of the kind "frame level" was trained on its frames: there a window is the mean of them, which is what a search
for moments compares. Source: transformers' `PeAudioModel` and `PeAudioFrameLevelModel`, whose numbers these are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.checkpoints.native import read_json
from openclap.config import CustomModel
from openclap.errors import BadCheckpoint, MissingExtra
from openclap.regular_files import open_regular, read_regular

__all__ = ["is_pe_audio", "load_pe_audio"]

MODEL_TYPES = ("pe_audio", "pe_audio_video")  # of the second, transformers loads the audio part
FRAME_LEVEL = "PeAudioFrameLevelModel"  # among "architectures"
PIECE_SECONDS = 30.0  # it was trained on pieces of this length
MAX_TOKENS = 512
RATE = 48_000  # Hz
LOWEST, HIGHEST = 8_000, 384_000  # Hz
Rows = npt.NDArray[np.float32]


def is_pe_audio(folder: Path) -> bool:
    """Whether a folder holds a PE-A as transformers saves it."""
    try:
        config = json.loads(read_regular(folder / "config.json").decode())
    except (OSError, ValueError, RecursionError):  # said by whatever opens it
        return False
    return isinstance(config, dict) and config.get("model_type") in MODEL_TYPES


def load_pe_audio(folder: Path, *, name: str, device: str = "auto", threads: int | None = None) -> CustomModel:
    """Load a folder of transformers.

    Raises
    ------
    MissingExtra
        torch or transformers is not installed.
    BadCheckpoint
        Weights, settings or tokenizer are missing or damaged, or the weights are not those of its configuration.
    """
    try:
        import torch
        import transformers
    except ImportError:
        raise MissingExtra(
            f"{name} is a PE-A, which transformers and torch compute: install openclap's extra 'torch' (docs/install.md)"
        ) from None
    from openclap.backends.torch_backend import choose_device

    if threads is not None:
        torch.set_num_threads(threads)
    rate = _sampling_rate(folder / "preprocessor_config.json")
    architectures = read_json(folder / "config.json").get("architectures")
    by_frames = isinstance(architectures, list) and FRAME_LEVEL in architectures
    on, _ = choose_device(device)
    model: Any
    with _quiet(transformers):
        try:
            model, found = transformers.PeAudioModel.from_pretrained(
                folder, local_files_only=True, output_loading_info=True, dtype=torch.float32, weights_only=True
            )
        except Exception as error:  # transformers raises a dozen classes
            raise BadCheckpoint(
                f"{folder}: transformers cannot load its weights ({_in_a_line(error)}); fetch it again"
            ) from error
    if found["missing_keys"]:
        some = ", ".join(sorted(found["missing_keys"])[:3])
        raise BadCheckpoint(
            f"{folder}: {len(found['missing_keys'])} weights are missing, among them {some}; fetch it again"
        )
    model = model.eval().to(on)
    hop = math.prod(model.config.audio_config.dac_config.downsampling_ratios)  # samples of a frame
    tokenizer = _tokenizer(folder, transformers)

    def states(waves: Rows) -> Any:
        filled = np.pad(waves, ((0, 0), (0, -waves.shape[1] % hop)), "reflect" if waves.shape[1] > 1 else "edge")
        return model.audio_encoder(input_values=torch.from_numpy(filled)[:, None].to(on), return_dict=True)

    @torch.inference_mode()
    def embed_frames(waves: Rows) -> Any:
        return model.audio_head(states(waves).last_hidden_state)

    @torch.inference_mode()
    def embed_waves(waves: Rows) -> Any:
        if by_frames:
            return embed_frames(waves).mean(1)
        return model.audio_head(states(waves).pooler_output)

    @torch.inference_mode()
    def embed_texts(texts: list[str]) -> Any:
        given = tokenizer(texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt").to(on)
        read = model.text_model(
            input_ids=given["input_ids"], attention_mask=given["attention_mask"], output_hidden_states=True
        )
        return model.text_audio_head(read.hidden_states[-1][:, 0])

    return CustomModel(
        embed_waves=embed_waves,
        embed_frames=embed_frames,
        embed_texts=embed_texts if tokenizer is not None else None,
        sampling_rate=rate,
        clip_seconds=PIECE_SECONDS,
        embedding=int(model.text_model.config.hidden_size),
        fingerprint=_fingerprint(folder, by_frames),
        padding="none",
        device=str(on),
    )


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without the progress bar of transformers, and its list of every weight that does not fit."""
    shown, verbosity = transformers.logging.is_progress_bar_enabled(), transformers.logging.get_verbosity()
    transformers.logging.disable_progress_bar()  # a few seconds
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    try:
        yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        if shown:
            transformers.logging.enable_progress_bar()


def _sampling_rate(file: Path) -> int:
    """The rate in Hz that the file of settings names; that of all PE-A where there is no such file."""
    rate = read_json(file).get("sampling_rate", RATE) if file.is_file() else RATE
    if (
        isinstance(rate, bool)
        or not isinstance(rate, int | float)
        or not LOWEST <= rate <= HIGHEST
        or rate != int(rate)
    ):
        raise BadCheckpoint(f"{file}: sampling_rate is {rate!r}, which is no rate in Hz; fetch it again")
    return int(rate)


def _tokenizer(folder: Path, transformers: Any) -> Any:
    """Its tokenizer; None where the folder has none: sounds alone can be embedded then."""
    if not (folder / "tokenizer.json").is_file():
        return None
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizers of many makers raise whatever they like
        raise BadCheckpoint(f"{folder}: its tokenizer cannot be read ({_in_a_line(error)}); fetch it again") from error
    if tokenizer.pad_token_id is None:
        raise BadCheckpoint(
            f"{folder}: its tokenizer names no padding, as tokenizer_config.json does; fetch that file again"
        )
    return tokenizer


def _fingerprint(folder: Path, by_frames: bool) -> str:
    digest = hashlib.blake2b(b"frames" if by_frames else b"pooled", digest_size=8)
    for file in sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin")):  # as transformers chooses
        with open_regular(file) as content:
            while piece := content.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()


def _in_a_line(error: Exception) -> str:
    if "ignore_mismatched_sizes" in str(error):  # its sentence points to the list that `_quiet` keeps away
        return "their shapes are not those of config.json"
    return " ".join(str(error).split())[:160]
