"""Every kind of model on every backend: how exact, how fast, how much memory, and whether it needs torch.

usage: python bench/backends.py [--threads 1] [--rounds 3] [--models NAME …]

Full-size models with random weights (mini with its own). Each model × backend runs in a process of its own: five seconds of sound
→ mel → vector, and eight tokens → vector, after the first dozen texts. Milliseconds are of processor time, which other work
disturbs least; processes of a model run in turns. "Exact to" is the largest difference of a number of a unit row from torch's. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from child_processes import exit_on_sigterm
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from openclap import CLAP
from openclap.audio.clips import make_clip
from openclap.config import CLAPConfig, FrontEnd, HTSATConfig, PANNConfig, TextConfig

MSCLAP = FrontEnd(
    sampling_rate=44_100, hop=320, f_min=50.0, f_max=14_000.0, mel_scale="slaney", mel_norm="slaney", padding="repeat"
)
WAVCAPS = FrontEnd(sampling_rate=32_000, hop=320, mel_scale="slaney", mel_norm="slaney", padding="pad")
FIRST_TOKEN = replace(TextConfig.preset("bert"), pooler=False)  # whose state is taken
MICROSOFT: dict[str, Any] = {"embedding": 1024, "projection": "residual", "max_logit_scale": None}
MODELS: dict[str, CLAPConfig | None] = {
    "mini": None,  # as it ships
    "HTSAT, fused + RoBERTa (clap-htsat-fused)": CLAPConfig(fusion="aff_2d"),
    "HTSAT + RoBERTa (clap-htsat-unfused)": CLAPConfig(),
    "HTSAT-base + RoBERTa (larger_clap_general)": CLAPConfig(HTSATConfig(width=128)),
    "PANN-14 + RoBERTa (LAION)": CLAPConfig(PANNConfig(), front_end=FrontEnd(hop=480)),
    "PANN-14 + BERT (msclap 2022)": CLAPConfig(
        PANNConfig(), FIRST_TOKEN, replace(MSCLAP, clip_seconds=5.0), **MICROSOFT
    ),
    "HTSAT + GPT-2 (msclap 2023)": CLAPConfig(
        HTSATConfig(), TextConfig.preset("gpt2"), replace(MSCLAP, clip_seconds=7.0, mel_rate=32_000), **MICROSOFT
    ),
    "HTSAT + BERT (WavCaps)": CLAPConfig(HTSATConfig(), FIRST_TOKEN, WAVCAPS, embedding=1024),
    "HTSAT + CLIP": CLAPConfig(text=TextConfig.preset("clip")),
}
BACKENDS = ("torch", "openvino", "bfloat16", "onnxruntime")
CALLS = 7
Call = Callable[[], Any]
TOKENS = 8
FIRST_TEXTS = 16  # the first dozen is embedded by numpy, before a graph is worth compiling


def a_sound(rate: int) -> np.ndarray:
    """Five seconds: decaying tones and noise."""
    t, rng = np.arange(5 * rate) / rate, np.random.default_rng(0)
    made = 0.3 * np.sin(2 * np.pi * 440 * t) * np.exp(-(t % 0.5) * 6) + 0.02 * rng.standard_normal(len(t))
    return made.astype(np.float32)


def child(model: str, backend: str, threads: int) -> None:
    """One model on one backend: rows, milliseconds and memory, printed as JSON."""
    precision: Any = "bfloat16" if backend == "bfloat16" else "float32"
    engine: Any = "torch" if backend == "torch" else "openvino"
    clap = CLAP.from_pretrained(model, backend=engine, threads=threads, precision=precision)
    rate = clap.config.front_end.sampling_rate
    clip = make_clip((a_sound(rate), rate), clap.config.front_end, long="head")
    rng = np.random.default_rng(1)
    ids = rng.integers(5, 200, (1, TOKENS))
    text: Any = clap.config.text
    if hasattr(text, "begin_id"):
        ids[0, 0], ids[0, -1] = text.begin_id, text.end_id
    mask = np.ones_like(ids)
    mels, longer = clip.mel[None], np.array([clip.longer])
    audio: Call = partial(clap.backend.encode_audio, mels, longer)
    words: Call = partial(clap.backend.encode_text, ids, mask)
    if backend == "onnxruntime":
        from openclap.backends.onnx.graphs import onnx_graph
        from openclap.backends.onnx.session import OnnxSession

        config, weights = clap.config, clap.checkpoint.weights
        hears, reads = (OnnxSession(onnx_graph(config, weights, part).SerializeToString(), threads=threads) for part in ("mels", "text"))  # fmt: skip
        given = (np.repeat(mels, 4, 1), longer) if config.fusion else (mels,)
        audio, words = partial(hears, *given), partial(reads, ids, mask)
    report: dict[str, Any] = {}
    for name, call, before in (("audio", audio, 1), ("text", words, FIRST_TEXTS)):
        took = []
        with threadpool_limits(threads, user_api="blas"):
            for _ in range(before):
                row = call()
            for _ in range(CALLS):
                begun = time.process_time()
                call()
                took.append(time.process_time() - begun)
        report[name] = np.asarray(row, np.float64)[0].tolist()
        report[f"{name}_ms"] = 1e3 * float(np.median(took))
    report["mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report["torch"] = "torch" in sys.modules
    print(json.dumps(report))


def measured(model: str, backend: str, threads: int) -> dict[str, Any] | str:
    """What `child` prints, or the last line of why there is nothing."""
    command = [sys.executable, __file__, "--child", model, backend, "--threads", str(threads)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1].partition(": ")[2]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        name, folder = args.make
        config = MODELS[name]
        assert config is not None
        CLAP.from_config(config).save_pretrained(folder)  # in a process of its own: it takes much memory
        return
    if args.child:
        model, backend = args.child
        child(model, backend, args.threads)
        return
    table = Table(title=f"model × backend, {args.threads} thread(s), median of {args.rounds} processes")
    for column in ("model", "backend", "exact to", "cosine", "sound CPU ms", "text CPU ms", "peak MB", "needs torch"):
        table.add_column(column, justify="left" if column in ("model", "backend") else "right")
    report: dict[str, dict[str, Any]] = {}
    for name in args.models:
        config = MODELS[name]
        with tempfile.TemporaryDirectory() as place:
            if config is not None:
                subprocess.run([sys.executable, __file__, "--make", name, place], check=True)
            runs: dict[str, list[dict[str, Any] | str]] = {backend: [] for backend in BACKENDS}
            for _ in range(args.rounds):
                for backend, seen in runs.items():
                    if not seen or not isinstance(seen[0], str):  # what was refused once is refused again
                        seen.append(measured(place if config is not None else "mini", backend, args.threads))
        like = runs["torch"][0]
        for backend, seen in runs.items():
            if isinstance(seen[0], str) or isinstance(like, str):
                table.add_row(name, backend, str(seen[0])[:60], *[""] * 5)
                report.setdefault(name, {})[backend] = {"refused": seen[0]}
                continue
            good: Any = seen
            pairs = [(np.array(seen[0][part]), np.array(like[part])) for part in ("audio", "text")]
            row = {
                "exact_to": float(max(np.abs(a - b).max() for a, b in pairs)),
                "cosine": float(min(a @ b for a, b in pairs)),
                "sound_ms": round(float(np.median([one["audio_ms"] for one in good])), 1),
                "text_ms": round(float(np.median([one["text_ms"] for one in good])), 1),
                "mb": round(float(np.median([one["mb"] for one in good]))),
                "torch": good[0]["torch"],
            }
            report.setdefault(name, {})[backend] = row
            table.add_row(name, backend, f"{row['exact_to']:.0e}", f"{row['cosine']:.5f}", *(str(row[key]) for key in ("sound_ms", "text_ms", "mb")), "yes" if row["torch"] else "no")  # fmt: skip
    Console(width=140).print(table)
    print(json.dumps(report))


if __name__ == "__main__":
    exit_on_sigterm()
    main()
