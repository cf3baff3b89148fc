"""Taggers of AudioSet as teachers: mn04 of EfficientAT in this project's own MobileNet tower, and YAMNet through OpenVINO.

Neither file is part of what ships, nor is a weight of one: a student learns only what they answer. Where a stranger gets
them is in sources.csv.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from openclap.config import FrontEnd, MobileNetConfig
from openclap.models.mobilenet import MobileNet

__all__ = ["MN04", "MN04_RATE", "QuickMN04", "YAMNet", "kaldi_bank", "mn04_names", "read_classes"]

Array = npt.NDArray[np.float32]

MN04_RATE = 32_000  # Hz
PRE_EMPHASIS = 0.97
N_FFT, WINDOW, HOP = 1024, 800, 320  # samples
BANDS, TOP = 128, 15_000.0  # Hz
CLASSES = 527


class MN04(nn.Module):
    """Waves at 32 kHz → 527 logits and an embedding of 384, as EfficientAT's `mn04_as` gives them."""

    def __init__(self, weights: Path, *, fold: bool = True) -> None:
        super().__init__()
        foreign: Mapping[str, Tensor] = torch.load(weights, map_location="cpu", weights_only=True)
        tower = MobileNet(MobileNetConfig.preset("mn04"), FrontEnd(sampling_rate=MN04_RATE, mel_bins=BANDS, f_max=15e3))
        own, head = mn04_names(foreign, tower.state_dict())
        tower.load_state_dict(own)
        self.head = nn.Linear(tower.hidden.out_features, CLASSES)
        self.head.load_state_dict(head)
        self.tower = tower.fold_batch_norms() if fold else tower
        self.eval()
        self.bank = torch.from_numpy(kaldi_bank())
        self.window = torch.hann_window(WINDOW, periodic=False)

    def mel(self, wave: Tensor) -> Tensor:
        """(B, S) at 32 kHz → (B, T, 128)."""
        emphasised = wave[:, 1:] - PRE_EMPHASIS * wave[:, :-1]
        spectrum = torch.stft(
            emphasised, N_FFT, HOP, WINDOW, self.window.to(wave), center=True, pad_mode="reflect", return_complex=True
        )
        power = (spectrum.real**2 + spectrum.imag**2).transpose(1, 2)  # (B, T, 513)
        return ((power @ self.bank.to(power) + 1e-5).log() + 4.5) / 5

    @torch.inference_mode()
    def pooled(self, mel: Tensor) -> Tensor:
        """Mels (B, T, 128) → embeddings (B, 384)."""
        return self.tower.pool_features(mel[:, None], torch.zeros(len(mel), dtype=torch.bool))

    @torch.inference_mode()
    def frames(self, wave: Tensor) -> Tensor:
        """(B, S) → (B, T', 384), an embedding every 0.32 s; their mean is that of all."""
        maps = self.tower.feature_maps(
            self.mel(wave)[:, None], torch.zeros(len(wave), dtype=torch.bool, device=wave.device)
        )
        return maps.mean(3).transpose(1, 2)

    @torch.inference_mode()
    def logits(self, pooled: Tensor) -> Tensor:
        """Embeddings (…, 384) → logits (…, 527)."""
        found: Tensor = self.head(F.hardswish(self.tower.hidden(pooled)))
        return found

    @torch.inference_mode()
    def forward(self, wave: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S) → logits (B, 527), embeddings (B, 384)."""
        pooled = self.pooled(self.mel(wave))
        return self.logits(pooled), pooled


class QuickMN04:
    """The same through OpenVINO, twenty times as fast on a CPU: waves → embeddings every 0.32 s.

    The embedding of a whole wave is their mean, for the tower averages over time; `logits` reads either.
    """

    def __init__(self, weights: Path, threads: int = 1) -> None:
        from openclap.backends.graphs.engine import opset, ov
        from openclap.backends.graphs.mobilenet import mobilenet_frames
        from openclap.backends.graphs.ops import Graph

        teacher = MN04(weights, fold=False)
        tower = {f"audio.{name}": values.numpy() for name, values in teacher.tower.state_dict().items()}
        g = Graph(tower)
        mel = opset.parameter([-1, -1, BANDS], np.float32, "mel")
        frames = mobilenet_frames(g, opset.unsqueeze(mel, g.index([1])), MobileNetConfig.preset("mn04"))
        settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        self._net = ov.Core().compile_model(ov.Model([frames], [mel], "mn04"), "CPU", settings)
        self._mel = teacher.mel
        self.hidden = (tower["audio.hidden.weight"], tower["audio.hidden.bias"])
        self.classes = (teacher.head.weight.detach().numpy(), teacher.head.bias.detach().numpy())

    def frames(self, waves: Array) -> Array:
        """(B, S) at 32 kHz → (B, T', 384), a frame each 0.32 s."""
        with torch.inference_mode():
            mel = self._mel(torch.from_numpy(np.ascontiguousarray(waves))).numpy()
        found: Array = np.asarray(self._net(mel)[0])
        return found

    def logits(self, embedding: Array) -> Array:
        """(…, 384) → (…, 527)."""
        hidden = embedding @ self.hidden[0].T + self.hidden[1]
        hidden *= np.clip(hidden + 3, 0, 6) / 6
        found: Array = hidden @ self.classes[0].T + self.classes[1]
        return found


class YAMNet:
    """Waves at 16 kHz → 521 probabilities, the mean over its windows of 0.975 s."""

    SAMPLES = 15_600
    HOP = 7_800
    RATE = 16_000

    def __init__(self, file: Path, threads: int = 1) -> None:
        import openvino

        core = openvino.Core()
        self._model = core.compile_model(core.read_model(str(file)), "CPU", {"INFERENCE_NUM_THREADS": threads})

    def frames(self, wave: Array) -> Array:
        """(S,) → (windows, 521); the last window is moved back to end with the wave, a short wave is padded."""
        if len(wave) < self.SAMPLES:
            wave = np.pad(wave, (0, self.SAMPLES - len(wave)))
        starts = list(range(0, len(wave) - self.SAMPLES + 1, self.HOP))
        return np.stack([self._one(wave[s : s + self.SAMPLES]) for s in starts])

    def _one(self, wave: Array) -> Array:
        answer = self._model(np.ascontiguousarray(wave, np.float32))
        found: Array = np.asarray(answer[self._model.output(0)]).reshape(-1)
        return found.copy()


def mn04_names(foreign: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """EfficientAT's names → the tower's, and those of its classes. Its images are (F, T), the tower's (T, F)."""
    blocks = sorted({int(name.split(".")[1]) for name in foreign if ".block." in name})
    rules = {"features.0": "stem", f"features.{blocks[-1] + 1}": "last", "classifier.2": "hidden"}
    for number in blocks:
        has = {name.split(".")[3] for name in foreign if name.startswith(f"features.{number}.block.")}
        squeezes = any(f"features.{number}.block.{i}.conc_se_layers" in n for i in has for n in foreign)
        parts = ["depthwise", *(["squeeze"] if squeezes else []), "project"]
        parts = (["expand"] if len(parts) < len(has) else []) + parts
        for i, part in enumerate(parts):
            rules[f"features.{number}.block.{i}"] = f"blocks.{number - 1}.{part}"
    found = {}
    for name, values in foreign.items():
        prefix = next((p for p in rules if name.startswith(p + ".")), None)
        if prefix is None:
            continue
        rest = name[len(prefix) + 1 :].replace("conc_se_layers.0.fc1", "down").replace("conc_se_layers.0.fc2", "up")
        found[f"{rules[prefix]}.{rest}"] = values.transpose(2, 3) if values.ndim == 4 else values
    level = {n: v for n, v in own.items() if n.startswith("batch_norm.")}  # mn04 has none before its stem
    level["batch_norm.weight"] = (level["batch_norm.running_var"] + 1e-5).sqrt()
    left = {n for n in foreign if not n.startswith("classifier.5.")} - {
        n for n in foreign if any(n.startswith(p + ".") for p in rules)
    }
    assert not left, f"weights without a place: {sorted(left)}"
    return {**found, **level}, {n: foreign[f"classifier.5.{n}"] for n in ("weight", "bias")}


@lru_cache(maxsize=1)
def kaldi_bank() -> Array:
    """(513, 128): triangles that are straight on Kaldi's mel scale, from 0 Hz to 15 kHz; nothing at Nyquist."""

    def mel(hz: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
        return np.asarray(1127.0 * np.log(1.0 + np.asarray(hz) / 700.0))

    corners = np.linspace(float(mel(0.0)), float(mel(TOP)), BANDS + 2)
    bins = mel(np.arange(N_FFT // 2) * MN04_RATE / N_FFT)[:, None]
    rising = (bins - corners[:-2]) / np.diff(corners)[:-1]
    falling = (corners[2:] - bins) / np.diff(corners)[1:]
    bank = np.maximum(0.0, np.minimum(rising, falling))
    return np.pad(bank, ((0, 1), (0, 0))).astype(np.float32)


def read_classes(file: Path) -> list[tuple[str, str]]:
    """(mid, name) of each class, in order."""
    with file.open(encoding="utf-8", newline="") as rows:
        return [(row["mid"], row["display_name"]) for row in csv.DictReader(rows)]
