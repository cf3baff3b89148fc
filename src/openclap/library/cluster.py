"""New files → a store, by many workers of a Ray cluster: each holds the model, takes a shard of files, and commits it.

    new files ─ shards ─ Ray Data ─┬─ worker: model, store ─ indexing.add_shard ─ one commit ─┐
                                   ├─ worker …                                               ├─ report
                                   └─ …                                                      ┘

Ray gives the shard of a worker that died to another one, and a shard that is done twice is as if it was done once: what the
first worker committed is known to the second. The paths must mean the same on every machine, and the store must be one that
many machines may write to. Knows nothing of how a file is indexed.
"""

from __future__ import annotations

import json
import logging
import math
import os
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from openclap.errors import MissingExtra, OpenClapError, UsageError
from openclap.library.indexing import AT_ONCE, add_shard
from openclap.results import AddReport, Failure
from openclap.store import open_store

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = ["spread_with_ray"]

SHARDS_EACH = 8  # for a worker, so that none waits long for the last one
THIS_MACHINE = "127.0.0.1"


def spread_with_ray(
    place: str, clap: CLAP, paths: Sequence[str], known: Collection[str]
) -> Iterator[tuple[int, AddReport]]:
    """Have files embedded by a cluster, that of RAY_ADDRESS or one on this machine → as they are done: how many, and what came of it.

    Parameters
    ----------
    place
        Of a store that every worker can write to.
    known
        Those of the files that were in the store before.

    Raises
    ------
    MissingExtra
        Ray is not installed.
    UsageError
        The model is not on disk, or there is no cluster at RAY_ADDRESS.
    """
    recipe = clap.recipe()
    cores = recipe["threads"] or 1
    gpu = recipe["device"].startswith("cuda")
    with _cluster() as ray:
        have = ray.cluster_resources()
        workers = max(1, int(have.get("GPU", 0) if gpu else have.get("CPU", 1) // cores))
        size = max(1, min(AT_ONCE, math.ceil(len(paths) / (SHARDS_EACH * workers))))
        shards = [list(paths[i : i + size]) for i in range(0, len(paths), size)]
        items = [{"shard": json.dumps([shard, [path for path in shard if path in known]])} for shard in shards]
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        done = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            _Worker,
            fn_constructor_kwargs={
                "recipe": {**recipe, "threads": cores},
                "fingerprint": clap.fingerprint,
                "place": place,
            },
            batch_size=1,
            num_cpus=0 if gpu else cores,
            num_gpus=1 if gpu else 0,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(workers, len(items))),
        )
        try:
            for row in done.iter_rows():
                count, counted, failed = json.loads(row["report"])
                yield count, AddReport(**counted, failed=[Failure(*failure) for failure in failed])
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, OpenClapError):
                raise cause from error
            raise UsageError(
                f"the cluster gave up ({str(error).strip().splitlines()[-1][:200]}); run it again to go on"
            ) from error


class _Worker:
    """An actor of the cluster: the model and the store, opened once."""

    def __init__(self, recipe: dict[str, Any], fingerprint: str, place: str) -> None:
        from openclap.clap import CLAP

        self.clap = CLAP.from_pretrained(**recipe)
        if self.clap.fingerprint != fingerprint:
            raise UsageError(
                f"{recipe['name_or_path']} is another model on a machine of the cluster ({self.clap.fingerprint}, not {fingerprint}); give every machine the same"
            )
        self.store = open_store(place)
        self.store.claim(self.store.maker())

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Shards → reports."""
        return {"report": [self._report(*json.loads(shard)) for shard in batch["shard"]]}

    def _report(self, paths: list[str], known: list[str]) -> str:
        report = add_shard(self.store, self.clap, paths, set(known))
        counted = {name: getattr(report, name) for name in ("added", "unchanged", "updated")}
        return json.dumps([len(paths), counted, [[failure.path, failure.error] for failure in report.failed]])


@contextmanager
def _cluster() -> Iterator[Any]:
    """Ray, connected; a cluster that was started here is stopped again."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody asked for a report over the network
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # the rest is in its own log files
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtra("--engine ray needs an extra:  pip install 'openclap[scale]'") from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        yield ray
        return
    address = os.environ.get("RAY_ADDRESS")
    here: dict[str, Any] = {} if address else {"_node_ip_address": THIS_MACHINE, "include_dashboard": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **here)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"RAY_ADDRESS is {address}: there is no cluster ({error}); start one with  ray start --head"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()
