"""Index a folder by a Ray cluster of several nodes into S3, all on loopback, while workers, a node and the driver are killed.

usage: python bench/cluster.py [--files 2000] [--nodes 3] [--kills 4]

Sounds of 1 to 40 s are synthesised. The driver is killed once in mid-run and started again; then workers are killed, and one node
is taken away. At the end every file must be in the library once, with its windows. The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import psutil
import soundfile as sf
from child_processes import exit_on_sigterm, stop
from rich.console import Console
from rich.table import Table

RATE = 16_000
S3 = {
    "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "knows", "AWS_ALLOW_HTTP": "true",
    "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
    "RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal", "PYTHONWARNINGS": "ignore",
}  # fmt: skip


def write_sounds(folder: Path, count: int) -> int:
    """Write them → how many windows they are."""
    from openclap.config import FrontEnd

    rng = np.random.default_rng(0)
    windows, window = 0, FrontEnd().window_seconds
    for i in range(count):
        seconds = float(rng.uniform(1, 40))
        sf.write(folder / f"{i:05d}.wav", (0.1 * rng.standard_normal(int(seconds * RATE))).astype(np.float32), RATE)
        windows += 1 if seconds <= window else 1 + int(np.ceil((seconds - window) / (window / 2) - 1e-9))
    return windows


def workers() -> list[psutil.Process]:
    """The processes that hold a model."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "MapWorker" in " ".join(process.cmdline()):
                found.append(process)
    return found


def start(sounds: Path, place: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "openclap", "index", str(sounds), "--engine", "ray", "--library", place, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def committed(place: str) -> int:
    from openclap.store import open_store

    store = open_store(place)
    try:
        return int(store.stats()["files"])
    finally:
        store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--kills", type=int, default=4)
    args = parser.parse_args()
    os.environ.update(S3)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    import boto3
    from moto.server import ThreadedMotoServer
    from ray.cluster_utils import Cluster

    from openclap.store import open_store

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
    boto3.client("s3").create_bucket(Bucket="sounds")
    place = "s3://sounds/all.lance"
    small = {"object_store_memory": 80 << 20, "node_ip_address": "127.0.0.2"}  # Ray takes 127.0.0.1 for the network's
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
    nodes = [cluster.add_node(num_cpus=1, **small) for _ in range(args.nodes)]
    os.environ["RAY_ADDRESS"] = cluster.address
    found: dict[str, float] = {"files": args.files, "nodes": args.nodes}
    with tempfile.TemporaryDirectory() as aside, contextlib.ExitStack() as started:
        sounds = Path(aside)
        found["windows"] = write_sounds(sounds, args.files)
        driver = start(sounds, place)
        started.callback(stop, driver)
        while committed(place) < args.files // 8 and driver.poll() is None:
            time.sleep(0.2)
        driver.kill()
        driver.wait()
        found["before_the_driver_was_killed"] = committed(place)
        begun = time.monotonic()
        driver, killed, taken = start(sounds, place), 0, 0
        started.callback(stop, driver)
        goal = args.files // 4
        while driver.poll() is None:
            if committed(place) >= goal and killed < args.kills and (alive := workers()):
                alive[killed % len(alive)].kill()
                killed += 1
                goal += args.files // 12
                if killed == args.kills // 2 and len(nodes) > 1:
                    cluster.remove_node(nodes.pop())
                    taken += 1
            time.sleep(0.1)
        seconds = time.monotonic() - begun
        told = driver.stdout.read() if driver.stdout else b""
        report = json.loads(told) if driver.returncode == 0 else {"added": -1}
        store = open_store(place)
        stats = store.stats()
        found |= {
            "workers_killed": killed, "nodes_taken": taken, "seconds": round(seconds, 1),
            "resumed_added": report["added"], "files_in_library": stats["files"], "windows_in_library": stats["windows"],
            "damaged": len(store.check()),
        }  # fmt: skip
    cluster.shutdown()
    server.stop()
    table = Table("", "", title="a Ray cluster into S3, on loopback")
    for name, value in found.items():
        table.add_row(name.replace("_", " "), str(value))
    Console().print(table)
    print(json.dumps(found))
    whole = (found["files_in_library"], found["windows_in_library"], found["damaged"]) == (
        args.files,
        found["windows"],
        0,
    )
    sys.exit(not (whole and killed == args.kills and report["added"] >= 0))


if __name__ == "__main__":
    exit_on_sigterm()
    main()
