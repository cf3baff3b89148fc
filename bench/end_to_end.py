"""File → embedding, end to end, side by side: transformers, our HTSAT-tiny (same weights), mini.

usage: python bench/end_to_end.py [FOLDER] [--clips 24] [--threads 1] [--rounds 3]

Without a folder it synthesises its own 5-s recordings. The three are interleaved clip by clip in one run, so
the machine's mood falls on all alike; read the ratios, not the milliseconds. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
from rich.console import Console
from rich.table import Table

from openclap import CLAP, CLAPConfig
from openclap.audio.clips import clip_of
from openclap.config import HTSATConfig, WordsConfig


def synthesised(folder: Path, count: int) -> list[Path]:
    rng = np.random.default_rng(0)
    files = []
    for i in range(count):
        t = np.arange(5 * 44_100) / 44_100
        wave = 0.3 * np.sin(2 * np.pi * (200 + 40 * i) * t) * np.exp(-(t % 0.5) * 6) + 0.02 * rng.standard_normal(
            len(t)
        )
        files.append(folder / f"clip_{i:02d}.ogg")
        sf.write(files[-1], wave.astype(np.float32), 44_100)
    return files


def transformers_path(htsat: CLAP) -> Callable[[Path], np.ndarray]:
    """What peers do: soundfile + resample by hand, ClapFeatureExtractor, ClapAudioModelWithProjection."""
    import soxr
    from transformers import ClapAudioConfig, ClapAudioModelWithProjection, ClapFeatureExtractor

    config = ClapAudioConfig(enable_fusion=True, fusion_type="aff_2d")
    model = ClapAudioModelWithProjection(config).eval()
    extractor = ClapFeatureExtractor(truncation="fusion", frequency_min=50, frequency_max=14_000)

    def embed(path: Path) -> np.ndarray:
        wave, rate = sf.read(path, dtype="float32", always_2d=True)
        wave = soxr.resample(wave.mean(1), rate, 48_000, quality="HQ")
        inputs = extractor(wave, sampling_rate=48_000, return_tensors="pt")
        with torch.inference_mode():
            return np.asarray(model(**inputs).audio_embeds)

    return embed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-transformers", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as aside:
        if args.folder:
            files = sorted(args.folder.rglob("*.ogg"))
            files = files[:: max(1, len(files) // args.clips)][: args.clips]
        else:
            files = synthesised(Path(aside), args.clips)
        htsat = CLAP.from_config(CLAPConfig(audio=HTSATConfig(), text=WordsConfig(vocabulary=8), fusion="aff_2d"))
        mini = CLAP.from_pretrained("mini")
        ways: dict[str, Callable[[Path], object]] = {
            "mini": mini.encode_audio,
            "HTSAT-tiny": htsat.encode_audio,
        }
        if not args.no_transformers:
            ways["transformers"] = transformers_path(htsat)

        times: dict[str, list[float]] = {name: [] for name in ways}
        stages: dict[str, list[float]] = {"mini: mel + network": [], "mini: network": []}
        for way in ways.values():
            way(files[0])
        for _ in range(args.rounds):
            for file in files:
                for name, way in ways.items():
                    start = time.perf_counter()
                    way(file)
                    times[name].append(time.perf_counter() - start)
                wave, rate = sf.read(file, dtype="float32", always_2d=True)
                from openclap.audio.load import load

                sound = (load((wave, rate), mini.front_end.sampling_rate), mini.front_end.sampling_rate)
                start = time.perf_counter()
                clip = clip_of(sound, mini.front_end, long="fusion")
                middle = time.perf_counter()
                mini.backend.encode_audio(clip.mel[None], np.array([clip.longer]))
                end = time.perf_counter()
                stages["mini: mel + network"].append(end - start)
                stages["mini: network"].append(end - middle)

    ratios = {
        name: [t / m for t, m in zip(times[name], times["mini"], strict=True)] for name in times if name != "mini"
    }
    table = Table(title=f"file → embedding, {len(files)} files × {args.rounds}, {args.threads} thread(s)")
    for column in ("what", "median ms", "10-90 %", "÷ mini (median)"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name, values in {**times, **stages}.items():
        ms = np.array(values) * 1e3
        ratio = f"{statistics.median(ratios[name]):.1f}" if name in ratios else ""
        table.add_row(name, f"{np.median(ms):.1f}", f"{np.quantile(ms, 0.1):.1f}-{np.quantile(ms, 0.9):.1f}", ratio)
    Console().print(table)
    summary = {name: round(float(np.median(v)) * 1e3, 2) for name, v in {**times, **stages}.items()}
    print(json.dumps({"ms": summary, "ratio_to_mini": {n: round(statistics.median(r), 2) for n, r in ratios.items()}}))


if __name__ == "__main__":
    main()
