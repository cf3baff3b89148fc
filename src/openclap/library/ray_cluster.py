"""New files → rows of a store, embedded by the workers of a Ray cluster, each with a model of its own.

    new files ─ shards ─ Ray Data ─┬─ worker: model, store ─ indexing.add_shard ─ one commit ─┐
                                   ├─ worker …                                               ├─ report
                                   └─ …                                                      ┘

Doing a shard twice does no harm: the second worker knows what the first has committed. Files of a shard whose workers
died again and again are tried one by one. The paths must mean the same on every machine, and the store must be one that
many machines may write to.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from openclap import errors
from openclap.clap import CLAP
from openclap.cluster import RETRIES, connected, count_workers, map_shards, result_or_error
from openclap.errors import LibraryError, UsageError
from openclap.library.indexing import AT_ONCE, Spread, add_shard
from openclap.results import AddReport, Failure
from openclap.store import Store, open_store

__all__ = ["cluster_spread", "spread_with_ray"]

SHARDS_EACH = 8  # for each worker, so that none waits long for the last one

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
    with connected() as ray:
        workers = count_workers(ray, cores, gpu=gpu)
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
    told = [json.dumps([i, shard, [p for p in shard if p in known]]) for i, shard in enumerate(shards)]
    for number, counted, failed in map_shards(
        ray, _Worker, task, told, workers=workers, resources=resources, gave_up=LibraryError
    ):
        yield number, AddReport(**counted, failed=[Failure(*failure) for failure in failed])


class _Worker:
    """An actor of the cluster, which opens the model and the store with its first shard."""

    def __init__(
        self, recipe: dict[str, Any], fingerprint: str, place: str, maker: dict[str, Any], roots: list[str]
    ) -> None:
        self.recipe, self.fingerprint, self.place, self.maker, self.roots = recipe, fingerprint, place, maker, roots
        self.opened: tuple[Store, CLAP] | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Shards → reports."""
        return {"report": [json.dumps(result_or_error(partial(self._add, *json.loads(one)))) for one in batch["shard"]]}

    def _add(self, number: int, paths: Shard, known: list[str]) -> list[Any]:
        self.opened = self.opened or self._open()
        report = add_shard(*self.opened, paths, set(known), self.roots)
        counted = {name: getattr(report, name) for name in ("added", "unchanged", "updated")}
        return [number, counted, [[failure.path, failure.error] for failure in report.failed]]

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
