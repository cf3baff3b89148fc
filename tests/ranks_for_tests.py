"""Processes that train together, or are killed: each forked from one that has imported torch and the trainer, which takes seconds.

pytest ── server (imports once, starts nothing) ─┬─ rank 0
                                                 └─ rank 1
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

__all__ = ["Rank", "Streams", "run_program", "run_ranks", "started"]

IMPORTED = [
    "torch.distributed.fsdp",
    "peft",
    "openclap.train",
    "openclap.train.finetuning",
    "openclap.train.distillation",
]
PATIENCE = 250  # seconds; a busy machine is slow, what waits for another for ever never comes back
_processes: Any = multiprocessing.get_context("forkserver" if "fork" in multiprocessing.get_all_start_methods() else "spawn")  # fmt: skip
if hasattr(_processes, "set_forkserver_preload"):
    _processes.set_forkserver_preload(IMPORTED)


@dataclass(frozen=True)
class Streams:
    """Where a process writes what it says."""

    out: Path
    err: Path


@dataclass(frozen=True)
class Rank:
    """A process that has ended: its exit code (negative where a signal ended it) and what it said."""

    code: int
    out: str
    err: str


def run_ranks(call: Callable[..., None], *arguments: Any, world: int = 2) -> list[Rank]:
    """`call(rank, *arguments)` in each of some processes, until all have ended."""
    with TemporaryDirectory() as folder:
        streams = [Streams(Path(folder, f"{rank}.out"), Path(folder, f"{rank}.err")) for rank in range(world)]
        processes = [_start(call, (rank, *arguments), os.environ, told) for rank, told in enumerate(streams)]
        return [_ended(process, told) for process, told in zip(processes, streams, strict=True)]


def run_program(program: str, *arguments: str) -> list[Rank]:
    """What `torchrun --nproc-per-node 2 -c program arguments` would do, on the CPU."""
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    return run_ranks(_program, {**os.environ, **meeting}, program, arguments)


@contextmanager
def started(program: str, *arguments: str) -> Iterator[tuple[Any, Iterator[str]]]:
    """One process with a program → the process, which is killed at the end, and the lines that it prints, as they come."""
    receiver, sender = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_piped, args=(sender, {**os.environ}, program, arguments))
    process.start()
    sender.close()
    with receiver, open(receiver.fileno(), encoding="utf-8", closefd=False) as lines:
        try:
            yield process, iter(lines)
        finally:
            process.kill()
            process.join()


def _start(call: Callable[..., None], arguments: tuple[Any, ...], environment: Any, told: Streams) -> Any:
    process = _processes.Process(target=_told, args=(told, dict(environment), call, arguments))
    process.start()
    return process


def _ended(process: Any, told: Streams) -> Rank:
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        process.join()
    return Rank(process.exitcode, told.out.read_text(encoding="utf-8"), told.err.read_text(encoding="utf-8"))


# -- in the process -----------------------------------------------------------------------------------------


def _told(told: Streams, environment: dict[str, str], call: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    for number, place in ((1, told.out), (2, told.err)):
        with place.open("wb") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    _take_one_thread()
    call(*arguments)
    sys.stdout.flush()


def _piped(sender: Any, environment: dict[str, str], program: str, arguments: tuple[str, ...]) -> None:
    os.dup2(sender.fileno(), 1)
    os.environ.update(environment)
    _take_one_thread()
    _run(program, arguments)


def _take_one_thread() -> None:
    """Processes with threads for all cores wait for each other longer than they compute."""
    import torch

    torch.set_num_threads(1)


def _program(rank: int, environment: dict[str, str], program: str, arguments: tuple[str, ...]) -> None:
    os.environ.update({**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)})
    _run(program, arguments)


def _run(program: str, arguments: tuple[str, ...]) -> None:
    sys.argv = ["-c", *arguments]
    exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})


def _free_port() -> int:
    """A port below those that the system gives to whoever asks for any: nobody takes it before the ranks do."""
    for port in range(20_000 + os.getpid() % 10_000, 32_768):
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
    raise OSError("every port up to 32768 is taken")
