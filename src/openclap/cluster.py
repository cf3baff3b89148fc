"""Work in parts on the machines of a Ray cluster; the only module that knows Ray.

    connected ─ count_workers ─┬─ map_shards   actors, which keep something open (a model), by Ray Data
                               └─ map_parts    a function, for parts that are made while others are worked on

Ray gives a part of a worker that died to another one, so doing it twice must do no harm. Our own errors travel as values:
if they were raised in a worker, they would come back as Ray's.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, TypeVar

from openclap import errors
from openclap.errors import MissingExtra, OpenClapError, UsageError

__all__ = ["RETRIES", "connected", "count_workers", "map_parts", "map_shards", "result_or_error"]

T = TypeVar("T")

RETRIES = 2  # of a part whose worker died
AHEAD = 2  # parts that wait or are worked on, for each worker
THIS_MACHINE = "127.0.0.1"
CONNECT_SECONDS = 5.0


@contextmanager
def connected() -> Iterator[Any]:
    """Ray, connected to the cluster at RAY_ADDRESS, or to a new one on this machine, which is stopped again.

    Raises
    ------
    MissingExtra
        Ray is not installed.
    UsageError
        There is no cluster at RAY_ADDRESS.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no report over the network
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # Ray's own log files hold the rest
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtra("ray is not installed: install openclap's extra 'scale' (docs/install.md)") from None
    address = os.environ.get("RAY_ADDRESS")
    here: dict[str, Any] = {} if address else {"_node_ip_address": THIS_MACHINE, "include_dashboard": False}
    before_us = ray.is_initialized()
    with redirect_stdout(sys.stderr):  # Ray reports workers that died; stdout is for our results
        try:
            if not before_us:
                _check_reachable(address)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **here)
        except (OSError, RuntimeError, ValueError) as error:
            raise UsageError(
                f"RAY_ADDRESS is {address}: there is no cluster ({error}); start one with  ray start --head"
            ) from error
        log, context = logging.getLogger("ray.data"), ray.data.DataContext.get_current()
        before = log.level, context.enable_progress_bars, context.max_errored_blocks
        log.setLevel(logging.CRITICAL)  # Ray reports every shard that is given up at length
        context.enable_progress_bars, context.max_errored_blocks = False, -1
        try:
            yield ray
        finally:
            context.enable_progress_bars, context.max_errored_blocks = before[1:]
            log.setLevel(before[0])
            if not before_us:
                ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Raise an OSError at once where nobody listens; Ray would wait for a minute."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


def count_workers(ray: Any, cores: int = 1, *, gpu: bool = False) -> int:
    """How many workers the cluster has room for.

    Raises
    ------
    UsageError
        None of its machines is large enough for one.
    """
    unit, need = ("GPU", 1) if gpu else ("CPU", cores)
    workers = sum(int(node["Resources"].get(unit, 0) // need) for node in ray.nodes() if node["Alive"])
    if not workers:
        most = max((node["Resources"].get(unit, 0) for node in ray.nodes() if node["Alive"]), default=0)
        raise UsageError(
            f"a worker needs {need} {unit}, and no machine of the cluster has more than {most:.0f}; ask for"
            " other threads, or another device"
        )
    return workers


# -- actors ------------------------------------------------------------------------------------------


def map_shards(
    ray: Any,
    worker: type,
    task: Mapping[str, Any],
    shards: Sequence[str],
    *,
    workers: int,
    resources: Mapping[str, int],
    gave_up: type[OpenClapError],
) -> Iterator[Any]:
    """What the workers make of shards, in any order; a shard whose workers died again and again has no result.

    Parameters
    ----------
    worker
        A class, made of `task` once in each worker. It is called with {"shard": [str, …]}, and gives {"report": [str,
        …]} with the JSON of what `result_or_error` gives.
    resources
        `num_cpus` and `num_gpus` of a worker.
    gave_up
        The error for a cluster that cannot go on.
    """
    with warnings.catch_warnings():  # Ray warns of an argument that it will rename, without offering the new name yet
        warnings.simplefilter("ignore", DeprecationWarning)
        items = [{"shard": shard} for shard in shards]
        done = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            worker,
            fn_constructor_kwargs=dict(task),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
            ray_remote_args_fn=lambda: {"max_task_retries": RETRIES},
            **resources,
        )
    try:
        for row in done.iter_rows():
            yield _unwrap(json.loads(row["report"]), gave_up)
    except ray.exceptions.RayError as error:
        last = str(error).strip().splitlines()[-1][:200]
        raise gave_up(f"the cluster gave up ({last}); what is done is kept, run it again to go on") from error


def result_or_error(work: Callable[[], Any]) -> list[Any]:
    """Call a function in a worker → its result, or its error if that is one of ours, as plain values."""
    try:
        return ["done", work()]
    except OpenClapError as error:
        return ["error", type(error).__name__, str(error)]


def _unwrap(told: Sequence[Any], gave_up: type[OpenClapError]) -> Any:
    """The result that `result_or_error` gave in a worker; an error is raised here."""
    kind, *rest = told
    if kind == "error":
        raise getattr(errors, rest[0], gave_up)(rest[1])
    if kind == "system":
        raise OSError(*rest)
    return rest[0]


# -- a function --------------------------------------------------------------------------------------


def map_parts(
    ray: Any, function: Callable[[T], Any], parts: Iterable[T], *, workers: int, gave_up: type[OpenClapError]
) -> Iterator[tuple[T, Any]]:
    """Call a function with each part on the cluster, one core each → parts with their results, as they get ready.

    Parameters
    ----------
    parts
        Taken as workers get free, so that they need not fit in memory.
    gave_up
        The error where a part's workers died again and again.
    """
    remote = ray.remote(max_retries=RETRIES, num_cpus=1)(_call)
    waiting: dict[Any, T] = {}

    def next_done() -> tuple[T, Any]:
        (done,), _ = ray.wait(list(waiting), num_returns=1)
        part = waiting.pop(done)
        try:
            return part, _unwrap(ray.get(done), gave_up)
        except ray.exceptions.RayError as error:
            last = str(error).strip().splitlines()[-1][:200]
            raise gave_up(
                f"the cluster gave up on {part} ({last}); what is done is kept, run it again to go on"
            ) from error

    try:
        for part in parts:
            waiting[remote.remote(function, part)] = part
            while len(waiting) >= AHEAD * workers:
                yield next_done()
        while waiting:
            yield next_done()
    finally:  # also on Ctrl-C: nothing is left at work
        for task in waiting:
            ray.cancel(task, force=True)


def _call(function: Callable[[T], Any], part: T) -> list[Any]:
    try:
        return result_or_error(lambda: function(part))
    except OSError as error:  # such as a full disk: trying again would not help
        return ["system", error.errno, error.strerror or str(error)]
