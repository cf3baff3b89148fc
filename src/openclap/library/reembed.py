"""A library of one model → the same library of another, made beside the old one, which stays in use meanwhile."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path

from openclap.clap import CLAP
from openclap.confidence import reference_bank
from openclap.errors import Hint, LibraryError
from openclap.library import indexing
from openclap.library.index_progress import Progress
from openclap.library.model_identity import claim_store, has_same_front_end, model_identity, precision_of
from openclap.library.reachability import is_gone
from openclap.library.removal import split_unreachable
from openclap.plurals import count_noun
from openclap.results import AddReport, Failure
from openclap.store import RememberedTags, Store

__all__ = ["merge_reports", "reembed"]


def reembed(store: Store, clap: CLAP, *, progress: bool | Progress = False, prune: bool = False) -> AddReport:
    """Embed every file of a store anew with another model, in place; see `Library.reembed`."""
    maker = store.model_identity()
    if not maker:
        raise LibraryError(f"{store.place} holds no sounds yet", Hint("fill"))
    same = maker["fingerprint"] == clap.fingerprint and precision_of(maker) == clap.backend.info.dtype
    if same and has_same_front_end(maker, clap) and store.has_levels():
        return AddReport(unchanged=store.stats()["files"])
    with store.lock():
        staging = store.staging(model_identity(clap))
        failed: dict[str, Failure] = {}
        done: set[str] = set()
        while True:  # again, for files that other processes add meanwhile
            files = {file.path: file for file in store.files()}
            more = [path for path in files if path not in done and not is_gone(Path(path))]
            if not more:
                break
            claim = partial(claim_store, staging, clap)
            report = indexing.add(staging, clap, more, claim=claim, progress=progress, texts=False)
            if report.added or report.updated:
                reference_bank(clap)  # made now: it takes seconds for a large model, and would delay the first search
            failed |= {failure.path: failure for failure in report.failed}
            done |= set(more)
        if not staging.stats()["files"]:
            raise LibraryError(
                f"not one of {count_noun(len(files), 'file')} of {store.place} can be used now (is a disk missing?);"
                " nothing was replaced"
            )
        if not prune:
            _refuse_to_lose(store, files)
        for tags, group in groupby(sorted(files.values(), key=lambda file: file.tags), key=lambda file: file.tags):
            staging.tag([file.path for file in group], tags)
        staging.note_texts(store.texts(files))
        there = staging.find_files(files)
        left = [
            RememberedTags(file.hash, path, file.tags)
            for path, file in files.items()
            if path not in there and file.tags
        ]
        staging.remember_tags([*store.remembered_tags(), *left])
        store.swap_in(staging)
    kept = store.stats()["files"]
    return AddReport(updated=kept, removed=len(files) - kept, failed=list(failed.values()))


def merge_reports(reembedded: AddReport, added: AddReport) -> AddReport:
    """The report of files that were first embedded anew and then brought up to date, which counts none as unchanged."""
    again = {failure.path for failure in added.failed}
    failed = [failure for failure in reembedded.failed if failure.path not in again]
    return replace(
        added,
        updated=reembedded.updated + added.updated,
        unchanged=0,
        removed=reembedded.removed + added.removed,
        failed=[*failed, *added.failed],
    )


def _refuse_to_lose(store: Store, files: Collection[str]) -> None:
    """Raise while files are missing whose disk may not be mounted.

    Raises
    ------
    LibraryError
        Says how many files, and from where.
    """
    gone = [path for path in files if is_gone(Path(path))]
    roots = {Path(path).anchor for path in files}
    _, folders = split_unreachable(gone, files, (), (), roots)
    if folders:
        count, where = sum(folder.files for folder in folders), ", ".join(folder.path for folder in folders[:3])
        raise LibraryError(
            f"{count_noun(count, 'file')} of {store.place} {'is' if count == 1 else 'are'} missing from {where} (is a"
            " disk not mounted?), so nothing was replaced; what is done is kept: make the disk reachable and run it"
            " again, or drop what is missing (prune)"
        )
