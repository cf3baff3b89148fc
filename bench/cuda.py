"""What a GPU makes of openclap, in at most eight minutes: clips a second, training steps, and how exact each precision is.

usage: python bench/cuda.py [--seconds 480] [--device cuda]
       python bench/cuda.py --device cpu --tiny          the same in miniature, to try the script itself

    matmul     what the card's matrix products reach in each precision: the measure of all shares
    speed      HTSAT-tiny with fusion under random weights, and mini: mel → embedding, and wave → embedding
    exactness  the same clips on the CPU in float32 and on the GPU in each precision: worst and mean cosine
    training   a step of openclap beside one of a plain loop around transformers' ClapModel, on ready mels

Each section is a process of its own, with a share of the seconds; one that takes longer is stopped, and what it had measured
counts. Nothing is fetched. The tables are Markdown; the last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from child_processes import exit_on_sigterm, running

SECTIONS = {"matmul": 0.1, "speed": 0.37, "exactness": 0.2, "training": 0.3}  # shares of the seconds
WORK = 0.8  # of a section's seconds are for measuring, the rest for starting and ending
PRECISIONS = ("float32", "tf32", "bfloat16", "float16")
LEAST = 60.0  # seconds: less is not enough to load what is measured
TRAIN_BATCH = 64


def emit(**found: Any) -> None:
    """A measurement, as the parent process reads it."""
    print(json.dumps(found), flush=True)


class Machine:
    """The device, how to wait for it, and how much time is left."""

    def __init__(self, device: str, tiny: bool, seconds: float) -> None:
        import torch

        self.torch, self.device, self.tiny = torch, torch.device(device), tiny
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds of this section."""
        return self._end - time.monotonic()

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those that the device has: a CPU has no TF32, and torch no float16 for all that a CPU would need."""
        if self.device.type == "cpu":
            return ("float32", "bfloat16")
        major, _ = self.torch.cuda.get_device_capability(self.device)
        return PRECISIONS if major >= 8 else ("float32", "float16")

    @contextlib.contextmanager
    def using(self, precision: str) -> Iterator[str | None]:
        """Allow TF32, or not → the half precision of autocast, None for float32 and TF32."""
        tf32 = precision == "tf32"
        self.torch.set_float32_matmul_precision("high" if tf32 else "highest")
        self.torch.backends.cudnn.allow_tf32 = tf32
        yield None if precision in ("float32", "tf32") else precision

    def wait(self) -> None:
        """Wait until the device has done all."""
        if self.device.type == "cuda":
            self.torch.cuda.synchronize(self.device)

    def rate(self, work: Callable[[], object], seconds: float) -> float:
        """How often a second something can be done: the best of five parts of some seconds, after two tries."""
        for _ in range(2):
            work()
        self.wait()
        best, part = 0.0, 0.01 if self.tiny else max(0.01, min(seconds, self.left) / 5)
        for _ in range(5):
            begun, times = time.perf_counter(), 0
            while time.perf_counter() - begun < part:
                for _ in range(4 if self.device.type == "cuda" else 1):
                    work()
                    times += 1
                self.wait()
            best = max(best, times / (time.perf_counter() - begun))
        return best


# -- sections ----------------------------------------------------------------------------------------


def matmul(machine: Machine) -> None:
    """Square products, as large as keep a card busy."""
    torch, size = machine.torch, 256 if machine.tiny else 8192
    for precision in machine.precisions:
        with machine.using(precision) as half:
            dtype = torch.float32 if half is None else getattr(torch, half)
            a, b = (torch.randn(size, size, device=machine.device).to(dtype) for _ in range(2))
            per_second = machine.rate(lambda: a @ b, machine.left / 8)  # noqa: B023
        emit(precision=precision, tflops=2 * size**3 * per_second / 1e12)


def models(machine: Machine) -> Iterator[tuple[str, Any]]:
    """HTSAT-tiny with fusion under random weights (small ones in miniature), and mini: name and `CLAPModel`."""
    from dataclasses import replace

    from train_throughput import How, clap_config

    from openclap.checkpoints.load import load_checkpoint
    from openclap.models.clap import CLAPModel

    machine.torch.manual_seed(0)
    yield "HTSAT-tiny, fused", CLAPModel(replace(clap_config(How(tiny=machine.tiny)), fusion="aff_2d")).eval()
    mini = load_checkpoint("mini")
    yield "mini", CLAPModel.from_arrays(mini.config, mini.weights).eval()


def flops_of(machine: Machine, model: Any, mel: Any, longer: Any) -> float:
    """Operations of the audio tower for one clip, counted by torch."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, machine.torch.no_grad():
        model.encode_audio(mel[:1].cpu(), longer[:1].cpu())
    return float(counter.get_total_flops())


def speed(machine: Machine) -> None:
    """Clips a second: mels that lie on the device, and waves that come from the host, as `encode_audio` has them."""
    import numpy as np

    from openclap.backends.torch_backend import TorchBackend

    torch = machine.torch
    for name, model in models(machine):
        front, rng = model.config.front_end, np.random.default_rng(0)
        flops: dict[bool, float] = {}
        for is_long in (False, True) if model.config.fusion else (False,):
            shape = (1, 4 if is_long else 1, front.clip_frames, front.mel_bins)
            flops[is_long] = flops_of(machine, model.cpu(), torch.randn(shape), torch.tensor([is_long]))
        for precision in machine.precisions:
            with machine.using(precision) as half:
                backend = TorchBackend(model, device=str(machine.device), half=half)
                batch = 2 if machine.tiny else backend.batch
                for is_long, operations in flops.items():
                    shape = (batch, 4 if is_long else 1, front.clip_frames, front.mel_bins)
                    mel = torch.randn(shape, device=machine.device) * 10 - 40
                    longer = torch.full((batch,), is_long, device=machine.device)
                    with backend._ready_model() as ready:
                        per_second = batch * machine.rate(lambda: ready.encode_audio(mel, longer), machine.left / 12)  # noqa: B023
                    emit(
                        model=name, what="long clips" if is_long else "mel → embedding", precision=precision, batch=batch,
                        clips=per_second, gflop=operations / 1e9, tflops=per_second * operations / 1e12,
                    )  # fmt: skip
                waves = (0.1 * rng.standard_normal((batch, front.clip_samples))).astype(np.float32)
                per_second = batch * machine.rate(lambda: backend.encode_waves(waves, front), machine.left / 12)  # noqa: B023
                emit(model=name, what="wave → embedding", precision=precision, batch=batch, clips=per_second)


def exactness(machine: Machine) -> None:
    """Synthesised sounds of all kinds, short and long."""
    import numpy as np

    from openclap.audio.clips import make_clip
    from openclap.backends.torch_backend import TorchBackend
    from openclap.synth import KINDS, synthesise

    sounds = [
        (synthesise(kind, np.random.default_rng(i), rate=32_000, seconds=14.0 if i % 4 == 0 else 5.0)[0], 32_000)
        for i, kind in enumerate(list(KINDS)[: 2 if machine.tiny else 32])
    ]
    for name, model in models(machine):
        front = model.config.front_end
        how: Any = "fusion" if model.config.fusion else "head"
        clips = [make_clip(sound, front, long=how) for sound in sounds]
        views = 4 if model.config.fusion else 1
        mel = np.stack([np.broadcast_to(clip.mel, (views, *clip.mel.shape[1:])) for clip in clips])
        longer = np.array([clip.longer for clip in clips])
        with machine.using("float32"):
            expected = TorchBackend(model, device="cpu").encode_audio(mel, longer)
        for precision in machine.precisions:
            with machine.using(precision) as half:
                backend = TorchBackend(model, device=str(machine.device), half=half)
                found = backend.encode_audio(mel, longer)
                alone = np.concatenate(
                    [backend.encode_audio(mel[i : i + 1], longer[i : i + 1]) for i in range(len(mel))]
                )
            cosine = (expected * found).sum(1) / np.linalg.norm(expected, axis=1) / np.linalg.norm(found, axis=1)
            emit(
                model=name, precision=precision, clips=len(mel), worst=float(cosine.min()), mean=float(cosine.mean()),
                apart=float(np.abs(expected - found).max()), alone=float(np.abs(alone - found).max()),
            )  # fmt: skip
        model.cpu()


def training(machine: Machine) -> None:
    """Steps on ready mels, in turn a few seconds each; a batch that is too large for the memory is halved."""
    from train_throughput import How, with_openclap, with_transformers

    torch = machine.torch
    batch = 2 if machine.tiny else TRAIN_BATCH
    precisions = [one for one in machine.precisions if one != "float16"]  # which needs a scaler: another loop
    for precision in precisions:
        rates: dict[str, float] = {}
        for way, make in (("openclap", with_openclap), ("transformers", with_transformers)):
            with machine.using(precision) as half:
                how = How(str(machine.device), half or "float32", ready=True, tiny=machine.tiny)
                while True:
                    try:
                        rates[way] = batch * machine.rate(make(batch, how), machine.left / 10)
                        break
                    except torch.cuda.OutOfMemoryError:
                        batch, rates = batch // 2, {}
                        torch.cuda.empty_cache()
                        if not batch:
                            raise
        for way, per_second in rates.items():  # both or none: one alone says nothing
            emit(way=way, precision=precision, batch=batch, clips=per_second)


# -- the report --------------------------------------------------------------------------------------


def name_of(device: str) -> str:
    """The card, or the processor."""
    import platform

    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.processor() or "a CPU"


def run(section: str, args: argparse.Namespace, seconds: float) -> tuple[list[dict[str, Any]], str]:
    """What a section measured, and why it ended early if it did."""
    command = [
        sys.executable,
        __file__,
        "--section",
        section,
        "--device",
        args.device,
        "--seconds",
        f"{WORK * seconds:.1f}",
    ]
    command += ["--tiny"] * args.tiny
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            told, said = process.communicate(timeout=seconds)
            why = "" if process.returncode == 0 else (said.strip().splitlines() or ["it failed"])[-1]
        except subprocess.TimeoutExpired:
            process.kill()
            told, _ = process.communicate()
            why = f"stopped after {seconds:.0f} s"
    return [json.loads(line) for line in told.splitlines() if line.startswith("{")], why


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def show(found: dict[str, list[dict[str, Any]]]) -> None:
    peak = {one["precision"]: one["tflops"] for one in found["matmul"]}
    table("Matrix products", ["precision", "TFLOP/s"], [[p, f"{rate:.3g}"] for p, rate in peak.items()])
    rows = []
    for one in found["speed"]:
        known = "tflops" in one and one["precision"] in peak
        share = f"{100 * one['tflops'] / peak[one['precision']]:.1f} %" if known else ""
        rows.append([one["model"], one["what"], one["precision"], str(one["batch"]), f"{one['clips']:.0f}", share])
    table("Clips of 10 s", ["model", "what", "precision", "batch", "clips/s", "of the card's matrix products"], rows)
    rows = [
        [one["model"], one["precision"], str(one["clips"]), f"{one['worst']:.6f}", f"{one['mean']:.6f}",
         f"{one['apart']:.1e}", f"{one['alone']:.1e}"]
        for one in found["exactness"]
    ]  # fmt: skip
    columns = ["model", "precision", "clips", "worst cosine", "mean", "largest difference", "in a batch, and alone"]
    table("Beside float32 on the CPU", columns, rows)
    rates = {(one["way"], one["precision"]): one for one in found["training"]}
    rows = []
    for precision in dict.fromkeys(one["precision"] for one in found["training"]):
        ours, theirs = rates["openclap", precision], rates["transformers", precision]
        cells = [f"{ours['clips']:.1f}", f"{theirs['clips']:.1f}", f"{ours['clips'] / theirs['clips']:.2f}"]
        rows.append([precision, str(ours["batch"]), *cells])
    columns = ["precision", "batch", "openclap, clips/s", "transformers' ClapModel", "times as fast"]
    table("A training step (HTSAT-tiny and RoBERTa, mels ready)", columns, rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=480.0, help="for all of it")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small models: whether the script runs")
    parser.add_argument("--section", choices=list(SECTIONS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.section:
        warnings.simplefilter("ignore")
        globals()[args.section](Machine(args.device, args.tiny, args.seconds))
        return 0
    if args.device == "cpu" and not args.tiny:
        parser.error("--device cpu is for trying the script: give --tiny, too")
    if args.seconds < LEAST and not args.tiny:
        parser.error(f"--seconds {args.seconds:g}: give {LEAST:g} or more")
    begun = time.monotonic()
    import torch

    if args.device != "cpu" and not torch.cuda.is_available():
        print("no CUDA device is here, so there is nothing to measure: run this where torch sees one", file=sys.stderr)
        return 1
    date, card = datetime.datetime.now(datetime.timezone.utc).date().isoformat(), name_of(args.device)
    print(f"**{card}**, {date}, torch {torch.__version__}, CUDA {torch.version.cuda}; `python bench/cuda.py`")
    found: dict[str, list[dict[str, Any]]] = {}
    ended: dict[str, str] = {}
    for section, share in SECTIONS.items():
        left = args.seconds - (time.monotonic() - begun)
        found[section], why = run(section, args, max(0.0, min(share * args.seconds, left)))
        if why:
            ended[section] = why
    show(found)
    for section, why in ended.items():
        print(f"\n{section}: {why}; what it had measured before is above")
    facts = {"bench": "cuda", "card": card, "date": date, "torch": torch.__version__, "cuda": torch.version.cuda}
    print("\n" + json.dumps({**facts, "seconds": round(time.monotonic() - begun, 1), **found, "ended": ended}))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    exit_on_sigterm()
    sys.exit(main())
