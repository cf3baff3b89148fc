"""A library of one model → the same library of another: made beside the old one, which is in use until all is done."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from openclap.confidence import reference_bank
from openclap.errors import LibraryError
from openclap.library import indexing
from openclap.library.model_identity import claim_store, has_same_front_end, model_identity
from openclap.library.reachability import is_gone
from openclap.library.removal import split_unreachable
from openclap.plurals import count_noun
from openclap.results import AddReport, Failure
from openclap.store import RememberedTags

if TYPE_CHECKING:
    from openclap.clap import CLAP
    from openclap.store import Store

__all__ = ["reembed"]


def reembed(store: Store, clap: CLAP, *, progress: bool | indexing.Progress = False, prune: bool = False) -> AddReport:
    """Embed every file of a store anew, in place; see `Library.reembed`."""
    maker = store.model_identity()
    if not maker:
        raise LibraryError(f"{store.place} holds no sounds yet; fill it with  openclap index FOLDER")
    if maker["fingerprint"] == clap.fingerprint and has_same_front_end(maker, clap):
        return AddReport(unchanged=store.stats()["files"])
    with store.lock():
        aside = store.staging(model_identity(clap))
        failed: dict[str, Failure] = {}
        done: set[str] = set()
        while True:  # what other processes add meanwhile is embedded too
            files = {file.path: file for file in store.files()}
            more = [path for path in files if path not in done and not is_gone(Path(path))]
            if not more:
                break
            report = indexing.add(aside, clap, more, claim=partial(claim_store, aside, clap), progress=progress)
            if report.added or report.updated:
                reference_bank(clap)  # takes seconds for a large model: now, not at the first search
            failed |= {failure.path: failure for failure in report.failed}
            done |= set(more)
        if not aside.stats()["files"]:
            raise LibraryError(
                f"not one of {count_noun(len(files), 'file')} of {store.place} can be used now (is a disk missing?);"
                " nothing was replaced"
            )
        if not prune:
            _refuse_to_lose(store, files)
        for tags, group in groupby(sorted(files.values(), key=lambda file: file.tags), key=lambda file: file.tags):
            aside.tag([file.path for file in group], tags)
        there = aside.find_files(files)
        left = [
            RememberedTags(file.hash, path, file.tags)
            for path, file in files.items()
            if path not in there and file.tags
        ]
        aside.remember_tags([*store.remembered_tags(), *left])
        store.swap_in(aside)
    kept = store.stats()["files"]
    return AddReport(updated=kept, removed=len(files) - kept, failed=list(failed.values()))


def _refuse_to_lose(store: Store, files: Collection[str]) -> None:
    """Replace nothing while files are missing that may only be out of reach.

    Raises
    ------
    LibraryError
        Says how many, and from where.
    """
    gone = [path for path in files if is_gone(Path(path))]
    roots = {Path(path).anchor for path in files}
    _, folders = split_unreachable(gone, files, (), (), roots)
    if folders:
        count, where = sum(folder.files for folder in folders), ", ".join(folder.path for folder in folders[:3])
        raise LibraryError(
            f"{count_noun(count, 'file')} of {store.place} {'is' if count == 1 else 'are'} missing from {where} (is a"
            " disk not mounted?), so nothing was replaced; what is done is kept: make the disk reachable and run it"
            " again, or drop what is missing with --prune"
        )
