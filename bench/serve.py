"""`openclap serve` on loopback: many clients at once against one after another, and ten times the queue.

usage: python bench/serve.py [SOUND …] [--seconds 60] [--clients 32] [--model mini]

Half of the requests are texts, half are sounds (synthesised ones of 1 to 14 s as OGG, unless some are given). Rounds of both ways take
turns in one run. Then a server with a short queue gets ten times what it holds at once, and must answer 200 or 429, and be itself
again. The last line is JSON; exit code 1 for any other answer, a ratio below 2, or a server that did not recover.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import io
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import soundfile as sf
from child_processes import exit_on_sigterm, running
from rich.console import Console
from rich.table import Table

ROUNDS = 4
ALONE = 0.25  # of the time of a round is for one after another
SHORT_QUEUE = 16


@contextmanager
def server(model: str, queue: int) -> Iterator[tuple[int, psutil.Process]]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "settings.yaml")
        settings.write_text(f"model: {json.dumps(model)}\nqueue: {queue}\nport: 0\n", encoding="utf-8")
        command = [sys.executable, "-m", "openclap", "serve", "--config", str(settings), "--json", "--library", folder]
        with running(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            yield int(json.loads(process.stdout.readline())["url"].rpartition(":")[2]), psutil.Process(process.pid)


def bodies(sounds: list[str]) -> list[bytes]:
    """Requests, texts and sounds in turn."""
    if sounds:
        data = [Path(sound).read_bytes() for sound in sounds]
    else:
        from openclap.synth import synthesise_all

        data = []
        for i, (wave, rate) in enumerate(synthesise_all()[:32]):
            file = io.BytesIO()
            sf.write(file, wave[: rate * 5 if i % 8 else None], rate, format="OGG")
            data.append(file.getvalue())
    words = [
        "a dog barking",
        "heavy rain on a roof",
        "someone plays the violin",
        "an engine starting",
        "people laughing",
    ]
    made = []
    for i, sound in enumerate(data):
        made.append(json.dumps({"input": f"{words[i % len(words)]}, take {i}"}).encode())
        made.append(json.dumps({"input": "data:audio/ogg;base64," + base64.b64encode(sound).decode()}).encode())
    return made


class Client:
    """One connection, and what was answered on it."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.seconds: list[float] = []
        self.statuses: Counter[str] = Counter()

    def ask(self, body: bytes) -> None:
        """Ask one thing, and remember what came and when."""
        begun = time.perf_counter()
        try:
            self.connection.request("POST", "/v1/embeddings", body, {"Content-Type": "application/json"})
            answer = self.connection.getresponse()
            answer.read()
            self.statuses[str(answer.status)] += 1
        except (OSError, http.client.HTTPException) as error:
            self.statuses[type(error).__name__] += 1
            self.connection.close()
        self.seconds.append(time.perf_counter() - begun)


def load(clients: list[Client], made: list[bytes], seconds: float) -> float:
    """Every client asks one thing after another → requests a second."""
    until = time.perf_counter() + seconds
    before = sum(len(client.seconds) for client in clients)

    def work(client: Client, first: int) -> None:
        for body in itertools.islice(itertools.cycle(made), first, None):
            if time.perf_counter() >= until:
                return
            client.ask(body)

    begun = time.perf_counter()
    threads = [threading.Thread(target=work, args=(client, i), daemon=True) for i, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (sum(len(client.seconds) for client in clients) - before) / (time.perf_counter() - begun)


def throughput(args: argparse.Namespace, made: list[bytes]) -> dict[str, object]:
    with server(args.model, 2 * args.clients) as (port, process):
        one, many = [Client(port)], [Client(port) for _ in range(args.clients)]
        load(many, made, 3)  # to warm up
        one, many = [Client(port)], [Client(port) for _ in range(args.clients)]
        alone, together, used = [], [], 0.0
        for _ in range(ROUNDS):
            alone.append(load(one, made, args.seconds / ROUNDS * ALONE))
            before = sum(process.cpu_times()[:2])
            together.append(load(many, made, args.seconds / ROUNDS))
            used += sum(process.cpu_times()[:2]) - before
        statuses = sum((client.statuses for client in one + many), Counter())
        waited = 1000 * np.concatenate([client.seconds for client in many])
        lonely = 1000 * np.array(one[0].seconds)
        return {
            "clients": args.clients, "requests": int(sum(statuses.values())), "statuses": dict(statuses),
            "one after another a second": round(float(np.mean(alone)), 1), "together a second": round(float(np.mean(together)), 1),
            "ratio": round(float(np.mean(together) / np.mean(alone)), 2),
            "p50 ms": round(float(np.median(waited)), 1), "p99 ms": round(float(np.quantile(waited, 0.99)), 1),
            "p50 ms alone": round(float(np.median(lonely)), 1), "p99 ms alone": round(float(np.quantile(lonely, 0.99)), 1),
            "server's CPU ms a request": round(1000 * used / len(waited), 2),
            "server MB": round(process.memory_info().rss / 1e6),
        }  # fmt: skip


def overload(args: argparse.Namespace, made: list[bytes]) -> dict[str, object]:
    """Ten times the queue at once; then a few one after another."""
    with server(args.model, SHORT_QUEUE) as (port, _):
        crowd = [Client(port) for _ in range(10 * SHORT_QUEUE)]
        start = threading.Barrier(len(crowd))

        def rush(client: Client, body: bytes) -> None:
            client.connection.connect()
            start.wait()
            client.ask(body)

        threads = [
            threading.Thread(target=rush, args=(client, made[2 * i % len(made) + 1]), daemon=True)
            for i, client in enumerate(crowd)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = Client(port)
        for body in made[:20]:
            after.ask(body)
        return {
            "at once": len(crowd),
            "crowd": dict(sum((client.statuses for client in crowd), Counter())),
            "afterwards": dict(after.statuses),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", nargs="*")
    parser.add_argument("--seconds", type=float, default=60, help="of the load together")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--model", default="mini")
    args = parser.parse_args()
    made = bodies(args.sounds)
    found = {**throughput(args, made), **overload(args, made), "cores": os.cpu_count()}
    table = Table("", "", title="openclap serve")
    for name, value in found.items():
        table.add_row(name, str(value))
    Console().print(table)
    print(json.dumps(found))
    crowd, statuses = found["crowd"], found["statuses"]
    assert isinstance(crowd, dict)
    assert isinstance(statuses, dict)
    right = set(statuses) == {"200"} and set(crowd) == {"200", "429"} and found["afterwards"] == {"200": 20}
    sys.exit(not (right and float(str(found["ratio"])) >= 2))


if __name__ == "__main__":
    exit_on_sigterm()
    main()
