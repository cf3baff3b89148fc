"""`openclap serve` against what means harm: mutated files of every format, hours in kilobytes, too much, all at once; and its memory afterwards.

usage: python bench/hostile.py [--mutations 2400] [--seed 0]

Mutations go through several connections, as uploads and as data URIs in turn, between sounds that are well. Every answer must be 200, or 4xx
with one sentence and no traceback; the sounds that are well must get the embedding they had before; memory must come back. The last
line is JSON; exit code 1 where something of that is not so.
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from hostile_sounds import mutations, silence, sound_of

CLIENTS = 4
WELL_EVERY = 10  # mutations
ALLOWED_MB = 100  # more than before, afterwards
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w+", encoding="utf-8") as log:
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
            "--max-seconds",
            "120",
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        judge = Judge(json.loads(process.stdout.readline())["url"])
        memory = psutil.Process(process.pid)
        judge.mutated(list(mutations(120, args.seed + 1)))  # what any use needs is loaded now
        before = memory.memory_info().rss
        begun = time.perf_counter()
        attack(judge, args.mutations, args.seed)
        seconds = time.perf_counter() - begun
        time.sleep(3)
        after = memory.memory_info().rss
        alive = process.poll() is None
        process.terminate()
        code = process.wait()
        process.stdout.close()
        log.seek(0)
        unexpected = [line for line in log if '"traceback"' in line or not line.startswith("{")]
    found = {
        "mutations": args.mutations, "statuses": dict(sorted(judge.statuses.items())), "wrong": len(judge.wrong), "seconds": round(seconds, 1),
        "slowest answer, s": round(judge.slowest, 2), "MB before": round(before / 1e6), "MB after": round(after / 1e6),
        "alive": alive, "exit": code, "unexpected in the log": len(unexpected),
    }  # fmt: skip
    table = Table("", "", title="hostile input")
    for name, value in found.items():
        table.add_row(name, str(value))
    Console().print(table)
    for line in [*judge.wrong[:10], *unexpected[:10]]:
        print(line[:300])
    print(json.dumps(found))
    sys.exit(bool(judge.wrong or unexpected or not alive or code or after - before > 1e6 * ALLOWED_MB))


if __name__ == "__main__":
    main()
