"""`openclap serve` against what means harm: mutated files of every format, hours in kilobytes, too much, all at once; clients that are slow or leave; what takes long; and its memory afterwards.

usage: python bench/hostile.py [--mutations 2400] [--seed 0]

The server may open 1 024 files. While 1 100 half heads and 200 half bodies are open, 500 clients leave in mid-body, or one long job is in work
(128 texts of 8 192 Chinese characters, 64 sounds of two minutes), somebody else asks for the labels of a short sound again and again: each is
answered, and none waits for more than a second.

Mutations go through several connections, as uploads and as data URIs in turn, between sounds that are well. Every answer must be 200, or 4xx
with one sentence and no traceback; the sounds that are well must get the embedding they had before; memory must come back. The last
line is JSON; exit code 1 where something of that is not so, or memory is not within 10 % of what it was.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from child_processes import exit_on_sigterm, running
from hostile_sounds import mutations, silence, sound_of
from slow_clients import Patient, head_of, opened, vanish

CLIENTS = 4
WELL_EVERY = 10  # mutations
ALLOWED = 1.1  # of the memory before, afterwards
FILES = 1024  # that the server may open
HEADS, BODIES, LEAVING = 1100, 200, 500
WAIT = 1.0  # seconds that a short request may take while any other is in work
FAULTS = (400, 413, 415, 422)


class Judge:
    """What was answered, and what was wrong with it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []
        self.slowest = 0.0
        self.well = sound_of("WAV", (0.2 * np.random.default_rng(9).standard_normal(16_000)).astype(np.float32))
        self.right = self.ask(httpx.Client(timeout=120), {"files": {"input": self.well}}, "well").json()["data"][0][
            "embedding"
        ]

    def ask(self, client: httpx.Client, request: dict[str, object], what: str) -> httpx.Response:
        """Ask, and look at the answer."""
        begun = time.perf_counter()
        answer = client.post(self.url + "/v1/embeddings", **request)  # type: ignore[arg-type]
        self.slowest = max(self.slowest, time.perf_counter() - begun)
        self.statuses[answer.status_code] += 1
        if answer.status_code != 200:
            sentence = answer.json()["error"]["message"]
            if (
                answer.status_code not in FAULTS
                or "\n" in sentence
                or "Traceback" in answer.text
                or ".py" in answer.text
            ):
                self.wrong.append(f"{what}: {answer.status_code} {answer.text[:200]}")
        return answer

    def mutated(self, part: list[tuple[str, bytes]]) -> None:
        """Some mutations, with sounds that are well between."""
        with httpx.Client(timeout=120) as client:
            for i, (what, data) in enumerate(part):
                if i % 2:
                    uri = "data:audio/x;base64," + base64.b64encode(data).decode()
                    self.ask(client, {"json": {"input": uri}}, what)
                else:
                    self.ask(client, {"files": {"input": data}}, what)
                if i % WELL_EVERY == 0:
                    found = self.ask(client, {"files": {"input": self.well}}, "well").json()["data"][0]["embedding"]
                    if not np.allclose(found, self.right, atol=1e-5):
                        self.wrong.append(f"after {what} a sound that is well got another embedding")


def pieces(size: int) -> Iterator[bytes]:
    for _ in range(size >> 16):
        yield b" " * (1 << 16)


def attack(judge: Judge, count: int, seed: int) -> None:
    many = list(mutations(count, seed))
    threads = [threading.Thread(target=judge.mutated, args=(many[i::CLIENTS],)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with httpx.Client(timeout=120) as client:
        for kind, hours in (("FLAC", 24), ("OPUS", 24)):
            bomb = silence(kind, hours)
            judge.ask(client, {"files": {"input": bomb}}, f"{hours} h of silence in {len(bomb)} bytes of {kind}")
        for body in (
            b"[" * 10_000_000,
            b'{"input": ["' + b'a", "' * 1_000_000 + b'"]}',
            b'{"input": "' + b"a" * 20_000_000 + b'"}',
        ):
            judge.ask(client, {"content": body, "headers": {"content-type": "application/json"}}, "much JSON")
    try:
        judge.ask(
            httpx.Client(timeout=120),
            {"content": pieces(1 << 28), "headers": {"content-type": "application/json"}},
            "256 MB in pieces",
        )
    except httpx.TransportError:  # closed while more was on its way
        judge.statuses[413] += 1


def long_texts(url: str) -> int:
    rng = np.random.default_rng(3)
    some = [
        "".join(chr(sign) for sign in rng.integers(0x4E00, 0x9FA5, 8)) + "远处的狗叫和下雨声" * 910 for _ in range(128)
    ]
    return httpx.post(url + "/v1/embeddings", json={"input": [text[:8192] for text in some]}, timeout=300).status_code


def long_sounds(url: str) -> int:
    wave = (0.1 * np.random.default_rng(4).standard_normal(120 * 8000)).astype(np.float32)
    uri = "data:audio/x;base64," + base64.b64encode(sound_of("OGG", wave)).decode()
    return httpx.post(url + "/v1/embeddings", json={"input": [uri] * 16}, timeout=300).status_code


def beside(judge: Judge) -> dict[str, float]:
    """The longest that a short request took beside each of what is slow, half or long."""
    url, port = judge.url, int(judge.url.rpartition(":")[2])
    uri = "data:audio/wav;base64," + base64.b64encode(judge.well).decode()
    short = {"audio": uri, "labels": ["dog bark", "rain"]}

    def heads() -> int:
        with opened(port, HEADS):
            httpx.get(url + "/health")
        return 200

    def bodies() -> int:
        with opened(port, BODIES, head_of(1000) + b"{"):
            httpx.get(url + "/health")
        return 200

    def leaving() -> int:
        vanish(port, LEAVING, head_of(1000) + b"{")
        return 200

    jobs: dict[str, Callable[[], int]] = {"half heads": heads, "half bodies": bodies, "leaving clients": leaving, "long texts": lambda: long_texts(url), "long sounds": lambda: long_sounds(url)}  # fmt: skip
    found: dict[str, float] = {}
    for name, job in jobs.items():
        with Patient(url + "/v1/classify", short) as patient:
            begun = time.perf_counter()
            status = job()
            took = time.perf_counter() - begun
        judge.wrong += [f"beside {name}: {what}" for what in patient.wrong] + (
            [] if status == 200 else [f"{name}: {status}"]
        )
        found[name] = round(max(patient.seconds), 2)
        print(f"{name}: {took:.1f} s, {len(patient.seconds)} short requests beside it, the longest {found[name]} s", file=sys.stderr)  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(folder, "log").open("w+", encoding="utf-8") as log,
        contextlib.ExitStack() as started,
    ):
        settings = Path(folder, "settings.yaml")
        settings.write_text("audio_seconds: 120\n", encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "openclap",
            "serve",
            "--port",
            "0",
            "--json",
            "--library",
            folder,
            "--config",
            str(settings),
        ]
        limited = ["bash", "-c", f'ulimit -n {FILES}; exec "$@"', "server", *command]
        process = started.enter_context(running(limited, stdout=subprocess.PIPE, stderr=log, text=True))
        assert process.stdout is not None
        judge = Judge(json.loads(process.stdout.readline())["url"])
        memory = psutil.Process(process.pid)
        # a first round of all: what any use needs is loaded now, and each buffer has been as large as it gets
        attack(judge, 120, args.seed + 1)
        beside(judge)
        time.sleep(3)  # memory is given back when nobody has asked for a second
        before = memory.memory_info().rss
        begun = time.perf_counter()
        attack(judge, args.mutations, args.seed)
        waits = beside(judge)
        seconds = time.perf_counter() - begun
        time.sleep(3)
        after = memory.memory_info().rss
        alive = process.poll() is None
        process.terminate()
        code = process.wait()
        process.stdout.close()
        log.seek(0)
        unexpected = [line for line in log if '"traceback"' in line or '"level": "error"' in line or line[:1] != "{"]
    found = {
        "mutations": args.mutations, "statuses": dict(sorted(judge.statuses.items())), "wrong": len(judge.wrong), "seconds": round(seconds, 1),
        "slowest answer, s": round(judge.slowest, 2), **{f"a short request beside {name}, s": wait for name, wait in waits.items()}, "MB before": round(before / 1e6), "MB after": round(after / 1e6),
        "alive": alive, "exit": code, "unexpected in the log": len(unexpected),
    }  # fmt: skip
    table = Table("", "", title="hostile input")
    for name, value in found.items():
        table.add_row(name, str(value))
    Console().print(table)
    for line in [*judge.wrong[:10], *unexpected[:10]]:
        print(line[:300])
    print(json.dumps(found))
    slow = max(waits.values()) > WAIT
    sys.exit(bool(judge.wrong or unexpected or not alive or code or slow or after > ALLOWED * before))


if __name__ == "__main__":
    exit_on_sigterm()
    main()
