"""File → embedding, end to end, side by side: openclap on OpenVINO and on torch, ONNX Runtime with the exported graph, transformers with the same weights, mini.

usage: python bench/end_to_end.py [FOLDER] [--clips 24] [--threads 1] [--rounds 3]

FOLDER is searched for recordings; without one it synthesises its own of 5 s. A full-size fused HTSAT-tiny + RoBERTa with
random weights is saved by transformers and loaded by all. The ways are interleaved file by file in one run, so the machine's
mood falls on all alike: read the ratios, not the milliseconds. "In one call" is a file's share when all are given at once. Peak memory is that of a process of its own for each way.
The floor is the arithmetic of the graph at the rate this machine reaches in a large matrix product. A last table has openclap beside ONNX Runtime, mel → embedding
and file → embedding, one by one and eight at once, by the clock and by the CPU time of the process. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from child_processes import exit_on_sigterm
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from openclap import CLAP
from openclap.audio.clips import make_clip
from openclap.audio.load import load
from openclap.backends.onnx.graphs import onnx_graph
from openclap.backends.onnx.session import OnnxSession
from openclap.clap import Precision
from openclap.library.scan import find_sounds

WAYS = (
    "mini",
    "mini int8",
    "mini onnxruntime",
    "openclap",
    "openclap fast",
    "openclap int8",
    "openclap torch",
    "onnxruntime",
    "transformers",
)
GFLOP = 11.82  # of HTSAT-tiny for one clip, products and convolutions
REST = 0.05  # seconds: the threads of the way before spin for a while when they are done
Embed = Callable[[list[Path]], np.ndarray]


def synthesised(folder: Path, count: int) -> list[Path]:
    rng = np.random.default_rng(0)
    t = np.arange(5 * 44_100) / 44_100
    files = []
    for i in range(count):
        wave = 0.3 * np.sin(2 * np.pi * (200 + 40 * i) * t) * np.exp(-(t % 0.5) * 6)
        files.append(folder / f"clip_{i:02d}.ogg")
        sf.write(files[-1], (wave + 0.02 * rng.standard_normal(len(t))).astype(np.float32), 44_100)
    return files


def save_weights(folder: Path) -> None:
    """A full-size fused model with random weights, as transformers saves it."""
    import torch
    import transformers

    torch.manual_seed(0)
    audio = {"enable_fusion": True, "fusion_type": "aff_2d", "drop_path_rate": 0.0}
    model = transformers.ClapModel(transformers.ClapConfig(audio_config=audio)).eval()
    for name, value in model.state_dict().items():
        if name.endswith("batch_norm.running_var"):
            value.uniform_(50, 400)
        if name.endswith("batch_norm.running_mean"):
            value.uniform_(-40, -20)
    model.save_pretrained(folder)
    transformers.ClapFeatureExtractor(truncation="fusion", frequency_min=50, frequency_max=14_000).save_pretrained(
        folder
    )


def save_graphs(weights: Path) -> None:
    """The audio towers of both models as `openclap export --onnx` writes them, front end included."""
    for name, model in (("mini onnxruntime", "mini"), ("onnxruntime", weights)):
        clap = CLAP.from_pretrained(model)
        content = onnx_graph(clap.config, clap.checkpoint.weights, "audio").SerializeToString(deterministic=True)
        (weights / f"{name}.onnx").write_bytes(content)


def with_onnxruntime(name: str, weights: Path, threads: int) -> Embed:
    """What runs the exported graph elsewhere: decode, resample, and ONNX Runtime."""
    session, rate = OnnxSession(weights / f"{name}.onnx", threads=threads), 32_000 if "mini" in name else 48_000
    return lambda paths: np.concatenate([session(load(path, rate)[None]) for path in paths])


def way_of(name: str, weights: Path, threads: int) -> Embed:
    """A function files → embeddings."""
    if name == "transformers":
        return with_transformers(weights, threads)
    if name.endswith("onnxruntime"):
        return with_onnxruntime(name, weights, threads)
    model = "mini" if name.startswith("mini") else weights
    last = name.rsplit(maxsplit=1)[-1]
    precision: Precision = last if last in ("fast", "int8") else "float32"  # type: ignore[assignment]
    clap = CLAP.from_pretrained(
        model, backend="torch" if "torch" in name else "openvino", threads=threads, precision=precision
    )
    return clap.encode_audio


def with_transformers(weights: Path, threads: int) -> Embed:
    """What peers do: soundfile and soxr by hand, ClapFeatureExtractor, ClapModel."""
    import soxr
    import torch
    from transformers import ClapFeatureExtractor, ClapModel

    torch.set_num_threads(threads)
    model = ClapModel.from_pretrained(weights).eval()
    extractor = ClapFeatureExtractor.from_pretrained(weights)

    def embed(path: Path) -> np.ndarray:
        wave, rate = sf.read(path, dtype="float32", always_2d=True)
        wave = soxr.resample(wave.mean(1), rate, 48_000, quality="HQ")
        inputs = extractor(wave, sampling_rate=48_000, return_tensors="pt")
        inputs["is_longer"] = torch.tensor([[len(wave) > 480_000]])  # it marks a lone short clip as longer
        with torch.inference_mode():
            row = model.get_audio_features(**inputs).pooler_output[0].numpy()
        unit: np.ndarray = row / np.linalg.norm(row)
        return unit

    return lambda paths: np.stack([embed(path) for path in paths])


def peak_of(name: str, weights: Path, files: list[Path], threads: int) -> float:
    """MB at the peak of a process that embeds the files in this way and does nothing else."""
    options = ["--only", name, "--weights", str(weights), "--threads", str(threads)]
    return float(again(*options, "--files", *map(str, files)).split()[-1])


def again(*options: str) -> str:
    """Run this script in a process of its own; give back what it prints."""
    return subprocess.run([sys.executable, __file__, *options], stdout=subprocess.PIPE, text=True, check=True).stdout


def only(name: str, weights: Path, files: list[Path], threads: int) -> None:
    import resource

    embed = way_of(name, weights, threads)
    for file in files:
        embed([file])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 * (1 if sys.platform != "darwin" else 1 / 1024))


def product_rate(threads: int) -> float:
    """GFLOP/s of float32 matrix products of 1024 x 1024 in numpy."""
    a = np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32)
    times = []
    with threadpool_limits(threads, user_api="blas"):
        for _ in range(40):
            start = time.perf_counter()
            _ = a @ a
            times.append(time.perf_counter() - start)
    return 2 * 1024**3 / float(np.median(times)) / 1e9


def stages(clap: CLAP, files: list[Path]) -> dict[str, list[float]]:
    """Seconds of decoding with resampling, of mel, and of the model, for each file."""
    rate = clap.front_end.sampling_rate
    times: dict[str, list[float]] = {"decode, resample": [], "mel": [], "model": []}
    for file in files:
        t0 = time.perf_counter()
        wave = load(file, rate)
        t1 = time.perf_counter()
        clip = make_clip((wave, rate), clap.front_end, long="fusion")
        t2 = time.perf_counter()
        clap.backend.encode_audio(clip.mel[None], np.array([clip.longer]))
        t3 = time.perf_counter()
        for name, seconds in zip(times, (t1 - t0, t2 - t1, t3 - t2), strict=True):
            times[name].append(seconds)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=WAYS)
    parser.add_argument("--only", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--save", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--files", type=Path, nargs="*", help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.save:
        save_weights(args.weights)
        save_graphs(args.weights)
        return
    if args.only:
        only(args.only, args.weights, args.files, args.threads)
        return
    with tempfile.TemporaryDirectory() as aside:
        weights = Path(aside, "weights")
        again(
            "--save", "--weights", str(weights)
        )  # a process starts with the peak of its parent, which must stay small
        files = find_sounds([args.folder]).files if args.folder else synthesised(Path(aside), args.clips)
        if not files:
            sys.exit(f"{args.folder} holds no recordings")
        files = files[:: max(1, len(files) // args.clips)][: args.clips]
        memory = {name: peak_of(name, weights, files[:8], args.threads) for name in args.ways}
        report(args, weights, files, memory)


def engines(args: argparse.Namespace, weights: Path, files: list[Path], console: Console) -> list[dict[str, Any]]:
    """Openclap beside ONNX Runtime, in turn: each row is a stage of a model with so many clips at once."""
    table = Table(title=f"openclap beside ONNX Runtime, {args.threads} thread(s), a call")
    for column in ("what", "clips", "ms", "ONNX Runtime ms", "÷", "10-90 %", "by CPU time"):
        table.add_column(column, justify="left" if column == "what" else "right")
    found = []
    for model, name in (("mini", "mini onnxruntime"), (weights, "onnxruntime")):
        clap = CLAP.from_pretrained(model, threads=args.threads, backend="openvino")
        whole = with_onnxruntime(name, weights, args.threads)
        graph = onnx_graph(clap.config, clap.checkpoint.weights, "mels")
        tower = OnnxSession(graph.SerializeToString(), threads=args.threads)
        fused = clap.config.fusion is not None
        for clips in (1, 8):
            groups = [files[i : i + clips] for i in range(0, len(files) - clips + 1, clips)]
            stages: dict[str, list[tuple[Callable[[], object], Callable[[], object]]]] = {"mel": [], "file": []}
            for some in groups:
                made = [make_clip(file, clap.front_end, long="head").mel for file in some]
                mels, longer = np.stack(made), np.zeros(clips, bool)
                given = (np.repeat(mels, 4, 1), longer) if fused else (mels,)
                stages["mel"].append((partial(clap.backend.encode_audio, mels, longer), partial(tower, *given)))
                stages["file"].append((partial(clap.encode_audio, some), partial(whole, some)))
            for stage, pairs in stages.items():
                for call in pairs[0]:
                    call()
                took = np.array([[cost_of(call) for call in pair] for _ in range(args.rounds) for pair in pairs])
                ratio, cpu = (took[:, 1] / took[:, 0]).T
                ms, other = np.median(took[:, :, 0], axis=0) * 1e3
                spread = "-".join(f"{q:.2f}" for q in np.quantile(ratio, (0.1, 0.9)))
                what = f"{name.partition('onnxruntime')[0] or 'HTSAT '}{stage} → embedding"
                table.add_row(what, str(clips), f"{ms:.1f}", f"{other:.1f}", f"{np.median(ratio):.2f}", spread, f"{np.median(cpu):.2f}")  # fmt: skip
                found.append({"what": what, "clips": clips, "ms": round(ms, 2), "onnxruntime_ms": round(other, 2), "ratio": round(float(np.median(ratio)), 2), "cpu_ratio": round(float(np.median(cpu)), 2)})  # fmt: skip
    console.print(table)
    return found


def cost_of(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of CPU time."""
    time.sleep(REST)
    start, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start, time.process_time() - cpu


def difference(rows: list[np.ndarray], like: list[np.ndarray]) -> tuple[float, float]:
    """The largest difference of a number, and the least cosine."""
    a, b = np.stack(rows), np.stack(like)
    return float(np.abs(a - b).max()), float((a * b).sum(1).min())


def report(args: argparse.Namespace, weights: Path, files: list[Path], memory: dict[str, float]) -> None:
    ways = {name: way_of(name, weights, args.threads) for name in args.ways}
    rows: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    times: dict[str, list[float]] = {name: [] for name in ways}
    in_one_call: dict[str, list[float]] = {name: [] for name in ways}  # seconds a file
    for way in ways.values():
        way(files[:2])
    for round_ in range(args.rounds):
        for file in files:
            for name, way in ways.items():
                time.sleep(REST)
                start = time.perf_counter()
                (row,) = way([file])
                times[name].append(time.perf_counter() - start)
                if round_ == 0:
                    rows[name].append(row)
        for name, way in ways.items():
            time.sleep(REST)
            start = time.perf_counter()
            way(files)
            in_one_call[name].append((time.perf_counter() - start) / len(files))
    base = "transformers" if "transformers" in ways else next(iter(ways))
    table = Table(title=f"file → embedding, {len(files)} files × {args.rounds} rounds, {args.threads} thread(s)")
    for column in (
        "what",
        "median ms",
        "10-90 %",
        f"{base} ÷ it",
        "10-90 %",
        "in one call",
        "peak MB",
        "max |d|",
        "least cosine",
    ):
        table.add_column(column, justify="left" if column == "what" else "right")
    summary: dict[str, Any] = {}
    for name, values in times.items():
        ms = np.array(values) * 1e3
        ratio = np.array(times[base]) / np.array(values)
        reference = "mini" if name.startswith("mini") else base
        once = float(np.median(in_one_call[name])) * 1e3
        apart, cosine = difference(rows[name], rows[reference]) if reference in rows else (float("nan"),) * 2
        spread = "-".join(f"{q:.2f}" for q in np.quantile(ratio, (0.1, 0.9)))
        table.add_row(
            name, f"{np.median(ms):.1f}", f"{np.quantile(ms, 0.1):.1f}-{np.quantile(ms, 0.9):.1f}", f"{np.median(ratio):.2f}",
            spread, f"{once:.1f}", f"{memory[name]:.0f}", f"{apart:.1e}", f"{cosine:.5f}",
        )  # fmt: skip
        summary[name] = {"ms": round(float(np.median(ms)), 2), "ratio": round(float(np.median(ratio)), 2), "in_one_call_ms": round(once, 2), "peak_mb": round(memory[name]), "max_difference": apart, "least_cosine": cosine}  # fmt: skip
    console = Console(width=120)
    console.print(table)
    rate = product_rate(args.threads)
    floors = Table(title=f"stages; a large float32 product runs at {rate:.0f} GFLOP/s on {args.threads} thread(s) here")
    for column in ("what", "decode, resample ms", "mel ms", "model ms", "arithmetic alone ms"):
        floors.add_column(column, justify="left" if column == "what" else "right")
    for name, model in (("mini", "mini"), ("openclap", weights)):
        clap = CLAP.from_pretrained(model, threads=args.threads, backend="openvino")
        stages(clap, files[:2])
        found = {k: float(np.median(v)) * 1e3 for k, v in stages(clap, files).items()}
        floor = f"{GFLOP / rate * 1e3:.0f}" if name == "openclap" else ""
        floors.add_row(name, *(f"{v:.1f}" for v in found.values()), floor)
        summary[f"{name} stages"] = {k: round(v, 2) for k, v in found.items()}
    console.print(floors)
    summary["engines"] = engines(args, weights, files, console)
    print(json.dumps({"threads": args.threads, "gflops": round(rate, 1), **summary}))


if __name__ == "__main__":
    exit_on_sigterm()
    main()
