"""Scripts of bench/ that are run elsewhere or seldom: that they run, in miniature, and that the pages show what they print."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).parents[1]
BENCH = ROOT / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a script of bench/ by its name."""
    monkeypatch.syspath_prepend(str(BENCH))
    before = set(sys.modules)

    def script(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield script
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and Path(str(sys.modules[name].__file__)).parent == BENCH:
            del sys.modules[name]


def run(script: str, *args: str) -> subprocess.CompletedProcess[str]:
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(BENCH / script), *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=hidden)


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def test_an_interrupted_measurement_stops_its_server(bench: Any) -> None:
    """Ctrl-C during `bench/serve.py` left a server running, which slowed down every later measurement."""
    with contextlib.suppress(KeyboardInterrupt), bench("serve").server("mini", 4) as (_, process):
        assert process.is_running()
        raise KeyboardInterrupt
    left = not gone(process.pid)
    if left:
        process.kill()
    assert not left


MEASUREMENT = """
import signal, subprocess, sys
sys.path.insert(0, {bench!r})
from child_processes import exit_on_sigterm, running
exit_on_sigterm()
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in the background
child = "import signal, time; print('here', flush=True); time.sleep(600)"
with running([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True) as process:
    process.stdout.readline()
    print(process.pid, flush=True)
    process.wait()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_measurement_that_is_ended_ends_what_it_started(number: int) -> None:
    code = MEASUREMENT.format(bench=str(BENCH))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as own:
        assert own.stdout is not None
        child = int(own.stdout.readline())
        own.send_signal(number)
        assert own.wait() != 0
        assert gone(child)


def test_a_process_that_does_not_end_is_killed(bench: Any) -> None:
    child = "import signal, time; signal.signal(15, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    bench("child_processes").stop(process, patience=0.2)
    assert process.returncode == -signal.SIGKILL


STARTS = re.compile(r"subprocess\.(?:run|Popen)\(|\brunning\(")


def test_what_starts_processes_ends_them_on_sigterm() -> None:
    """The default is to end at once, without what clears up."""
    scripts = {path.name: path.read_text(encoding="utf-8") for path in BENCH.glob("*.py")}
    starting = {name for name, code in scripts.items() if STARTS.search(code)} - {"child_processes.py", "shape.py"}
    assert len(starting) > 10
    assert {name for name in starting if "    exit_on_sigterm()\n" not in scripts[name]} == set()


def test_the_plan_is_what_the_page_shows(bench: Any) -> None:
    plan = bench("plan")
    text = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
    assert plan.table(plan.Rates(), [1e8, 1e9], [200, 1000]) in text
    for rate in (plan.Rates().float32, plan.Rates().bfloat16):
        assert f"{rate:g} windows/s a core" in text  # measured: the table above it


def test_the_plan_by_hand(bench: Any) -> None:
    plan = bench("plan")
    found = {what: value(1e8, 100) for what, _, value in plan.rows(plan.Rates(float32=10.0, packing=100.0))}
    assert found["embedding, HTSAT-tiny, float32"] == "2 780 core-hours: 100 cores for 28 h"  # 1e8 / 10 / 3600
    assert found["packing, if it is not packed"] == "1 390 core-hours: 100 cores for 14 h"  # 5e8 s / 100 / 3600
    assert found["building the index"].startswith("17 h on two cores")  # 60 s * 1000 / 3600
    assert found["rows a search looks at"] == "400 000, 205 MB"
    assert found["a search, the index in memory"] == "0.3 s"  # ten times the rows of a million


def test_the_plan_takes_ones_own_rates() -> None:
    done = run("plan.py", "--rate", "float32=21", "--windows", "1e6", "--cores", "1")
    assert "| 13 core-hours: 1 core for 13 h |" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["rates"]["float32"] == 21
    for wrong in ("float=1", "float32=x", "float32=0"):
        done = run("plan.py", "--rate", wrong)
        assert (done.returncode, "--rate" in done.stderr, "Traceback" in done.stderr) == (2, True, False)


def test_without_cuda_one_sentence() -> None:
    done = run("cuda.py")
    assert (done.returncode, done.stdout, len(done.stderr.strip().splitlines())) == (1, "", 1)
    assert "no CUDA device is here" in done.stderr
    assert "--tiny" in run("cuda.py", "--device", "cpu").stderr


@pytest.mark.filterwarnings("ignore")
def test_every_section_of_the_gpus_script_in_miniature(bench: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody here can run it on a GPU, so all but the device is run here."""
    import torch

    cuda = bench("cuda")
    tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        for name in cuda.SECTIONS:
            getattr(cuda, name)(cuda.Machine("cpu", True, 1e6))
            found[name] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    finally:
        torch.set_float32_matmul_precision(tf32[0])
        torch.backends.cudnn.allow_tf32 = tf32[1]
    halves = ["float32", "bfloat16"]
    assert [one["precision"] for one in found["matmul"]] == halves
    assert {(one["model"], one["what"]) for one in found["speed"]} == {
        ("HTSAT-tiny, fused", "mel → embedding"),
        ("HTSAT-tiny, fused", "long clips"),
        ("HTSAT-tiny, fused", "wave → embedding"),
        ("mini", "mel → embedding"),
        ("mini", "wave → embedding"),
    }
    assert all(one["clips"] > 0 for one in found["speed"])
    exact = {(one["model"], one["precision"]): one["worst"] for one in found["exactness"]}
    for model in ("mini", "HTSAT-tiny, fused"):
        assert exact[model, "float32"] == pytest.approx(1, abs=1e-6)
    assert 0.99 < exact["HTSAT-tiny, fused", "bfloat16"] < 1 - 1e-7  # another precision indeed
    assert [(one["way"], one["precision"]) for one in found["training"]] == [
        (way, half) for half in halves for way in ("openclap", "transformers")
    ]
    cuda.show(found)
    shown = capsys.readouterr().out
    assert shown.count("|---|") >= 4
    cuda.show({**found, "matmul": [], "training": []})  # where these were stopped


def test_a_section_that_takes_too_long_is_stopped(bench: Any) -> None:
    found, why = bench("cuda").run("matmul", argparse.Namespace(device="cpu", tiny=True), 0.05)
    assert (found, why) == ([], "stopped after 0 s")
