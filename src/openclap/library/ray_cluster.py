"""New files → rows of a store, embedded by the workers of a Ray cluster, each with a model of its own.

    new files ─ shards ─ Ray Data ─┬─ worker: model, store ─ indexing.add_shard ─ one commit ─┐
                                   ├─ worker …                                               ├─ report
                                   └─ …                                                      ┘

Ray gives the shard of a worker that died to another one. Doing a shard twice does no harm: the second worker knows what
the first has committed. The paths must mean the same on every machine, and the store must be one that many machines may
write to.
"""

from __future__ import annotations

import json
import logging
import math
import os
import socket
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

from openclap import errors
from openclap.clap import CLAP
from openclap.errors import LibraryError, MissingExtra, UsageError
from openclap.library.indexing import AT_ONCE, Spread, add_shard
from openclap.results import AddReport, Failure
from openclap.store import Store, open_store

__all__ = ["cluster_spread", "spread_with_ray"]

SHARDS_EACH = 8  # for each worker, so that none waits long for the last one
RETRIES = 2  # of a shard whose worker died; after these its files are tried one by one
THIS_MACHINE = "127.0.0.1"
CONNECT_SECONDS = 5.0

Shard = list[str]


def cluster_spread(store: Store, clap: CLAP) -> Spread:
    """Who embeds new files of `indexing.add`: a Ray cluster, for a library that many machines can write to.

    Raises
    ------
    UsageError
        The library is on this machine alone, or the model is not on disk.
    """
    if not store.shared:
        raise UsageError(
            f"{store.place} is a library on this machine, which a cluster cannot write to; give one in LanceDB, as"
            " sounds.lance or s3://BUCKET/sounds.lance"
        )
    clap.recipe()  # refused before anything is written
    return lambda paths, known, roots: spread_with_ray(store.place, clap, store.model_identity(), paths, known, roots)


def spread_with_ray(
    place: str,
    clap: CLAP,
    maker: Mapping[str, Any],
    paths: Sequence[str],
    known: Collection[str],
    roots: Sequence[str] = (),
) -> Iterator[tuple[int, AddReport]]:
    """Embed files on the cluster at RAY_ADDRESS, or a new one on this machine → for each part, its files and report.

    Parameters
    ----------
    place
        The store, which every worker can write to.
    maker
        The model identity that the store has.
    known
        The files that were in the store before.
    roots
        The folders that are indexed.

    Raises
    ------
    MissingExtra
        Ray is not installed.
    UsageError
        The model is not on disk; there is no cluster at RAY_ADDRESS, or none of its machines is large enough.
    LibraryError, LibraryMismatch
        A worker does not see the library, or another model there.
    """
    recipe = clap.recipe()
    cores = recipe["threads"] or 1
    gpu = clap.backend.info.device.startswith("cuda")
    with _cluster() as ray:
        workers = _count_workers(ray, cores, gpu)
        size = max(1, min(AT_ONCE, math.ceil(len(paths) / (SHARDS_EACH * workers))))
        shards = [list(paths[i : i + size]) for i in range(0, len(paths), size)]
        task = {
            "recipe": {**recipe, "threads": cores},
            "fingerprint": clap.fingerprint,
            "place": place,
            "maker": dict(maker),
            "roots": list(roots),
        }
        resources = {"num_cpus": 0 if gpu else cores, "num_gpus": 1 if gpu else 0}

        def run(some: Sequence[Shard]) -> Iterator[tuple[int, AddReport]]:
            return _reports(ray, task, resources, min(workers, len(some)), some, known)

        yield from _until_done(shards, run)


def _until_done(
    shards: Sequence[Shard], run: Callable[[Sequence[Shard]], Iterator[tuple[int, AddReport]]]
) -> Iterator[tuple[int, AddReport]]:
    """Run shards, and those whose workers died again file by file, until the file that kills workers is known."""
    left = set(range(len(shards)))
    for number, report in run(shards):
        left.discard(number)
        yield len(shards[number]), report
    again = [[path] for number in sorted(left) if len(shards[number]) > 1 for path in shards[number]]
    for number in sorted(left):
        if len(shards[number]) == 1:
            why = f"{RETRIES + 1} workers died of it; look into the cluster's log files"
            yield 1, AddReport(failed=[Failure(shards[number][0], why)])
    if again:
        yield from _until_done(again, run)


def _reports(
    ray: Any,
    task: dict[str, Any],
    resources: dict[str, int],
    workers: int,
    shards: Sequence[Shard],
    known: Collection[str],
) -> Iterator[tuple[int, AddReport]]:
    """The numbers of shards, each with its report; a shard whose workers died again and again has none."""
    items = [{"shard": json.dumps([i, shard, [p for p in shard if p in known]])} for i, shard in enumerate(shards)]
    with warnings.catch_warnings():  # Ray warns of an argument that it will rename, without offering the new name yet
        warnings.simplefilter("ignore", DeprecationWarning)
        done = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            _Worker,
            fn_constructor_kwargs=task,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
            ray_remote_args_fn=lambda: {"max_task_retries": RETRIES},
            **resources,
        )
    try:
        for row in done.iter_rows():
            number, counted, failed, error = json.loads(row["report"])
            if error:
                raise getattr(errors, error[0], LibraryError)(error[1])
            yield number, AddReport(**counted, failed=[Failure(*failure) for failure in failed])
    except ray.exceptions.RayError as error:
        last = str(error).strip().splitlines()[-1][:200]
        raise LibraryError(f"the cluster gave up ({last}); what is done is kept, run it again to go on") from error


class _Worker:
    """An actor of the cluster, which opens the model and the store with its first shard."""

    def __init__(
        self, recipe: dict[str, Any], fingerprint: str, place: str, maker: dict[str, Any], roots: list[str]
    ) -> None:
        self.recipe, self.fingerprint, self.place, self.maker, self.roots = recipe, fingerprint, place, maker, roots
        self.opened: tuple[Store, CLAP] | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Shards → reports. An error of ours is part of a report: if it were raised, Ray would try again."""
        reports: list[Any] = []
        for number, paths, known in map(json.loads, batch["shard"]):
            try:
                self.opened = self.opened or self._open()
                report = add_shard(*self.opened, paths, set(known), self.roots)
            except errors.OpenClapError as error:
                reports.append([number, {}, [], [type(error).__name__, str(error)]])
            else:
                counted = {name: getattr(report, name) for name in ("added", "unchanged", "updated")}
                reports.append([number, counted, [[failure.path, failure.error] for failure in report.failed], None])
        return {"report": list(map(json.dumps, reports))}

    def _open(self) -> tuple[Store, CLAP]:
        from openclap.clap import CLAP

        clap = CLAP.from_pretrained(**self.recipe)
        if clap.fingerprint != self.fingerprint:
            name = self.recipe["name_or_path"]
            raise errors.LibraryMismatch(
                f"{name} is another model on a machine of the cluster ({clap.fingerprint}, not {self.fingerprint});"
                " give every machine the same"
            )
        store = open_store(self.place)
        found = store.model_identity()
        if not found:
            raise LibraryError(
                f"a machine of the cluster does not see the library at {self.place}; give a place that all of them"
                " share"
            )
        if found != self.maker:
            raise errors.LibraryMismatch(f"{self.place} was taken over by another model meanwhile; start again")
        store.claim(found)  # refuses to write once another model has taken over
        return store, clap


def _count_workers(ray: Any, cores: int, gpu: bool) -> int:
    """How many workers the cluster has room for."""
    unit, need = ("GPU", 1) if gpu else ("CPU", cores)
    workers = sum(int(node["Resources"].get(unit, 0) // need) for node in ray.nodes() if node["Alive"])
    if not workers:
        most = max((node["Resources"].get(unit, 0) for node in ray.nodes() if node["Alive"]), default=0)
        raise UsageError(
            f"a worker needs {need} {unit}, and no machine of the cluster has more than {most:.0f}; ask for"
            " other threads, or another device"
        )
    return workers


@contextmanager
def _cluster() -> Iterator[Any]:
    """Ray, connected; a cluster that was started here is stopped again."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no report over the network
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # Ray's own log files hold the rest
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtra("ray is not installed: install openclap's extra 'scale' (docs/install.md)") from None
    address = os.environ.get("RAY_ADDRESS")
    here: dict[str, Any] = {} if address else {"_node_ip_address": THIS_MACHINE, "include_dashboard": False}
    connected = ray.is_initialized()
    with redirect_stdout(sys.stderr):  # Ray reports workers that died; stdout is for our results
        try:
            if not connected:
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
            if not connected:
                ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Raise an OSError at once where nobody listens; Ray would wait for a minute."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
