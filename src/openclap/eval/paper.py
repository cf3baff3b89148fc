"""Every table of the paper (arXiv 2211.06687) by one call, on the benchmarks that lie in one folder.

    DATA/ESC-50 · UrbanSound8K · AudioCaps · Clotho · VGGSound · FSD50K     what is not there is named, with its source
        └─ entry by entry: rows that are kept, or embedded now ─ report ─ kept ─┬─ table: ours beside the paper's
                                                                                └─ JSON, Markdown

A report is kept with a digest of all that decides it: model, settings, and the sounds with their texts.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_data_path

from openclap.atomic_write import write_json
from openclap.checkpoints.presets import LAION_REPO, find_preset
from openclap.clap import DEFAULT_TEMPLATE
from openclap.errors import OpenClapError, UsageError
from openclap.eval.datasets import Dataset
from openclap.eval.kept_rows import KeptRows, item_facts
from openclap.eval.paper_report import VERSION, PaperReport, PaperRow, Skipped, paper_section, write_paper_card
from openclap.eval.probe import probe
from openclap.eval.protocols import PROTOCOLS, Protocol, Task, add_published, read_dataset
from openclap.eval.published import find_published, rows_of_model
from openclap.eval.report import EvalReport, read_report
from openclap.eval.retrieval import retrieval
from openclap.eval.zeroshot import check_templates, zeroshot
from openclap.plurals import count_noun

if TYPE_CHECKING:
    from openclap.clap import CLAP
    from openclap.clap.embed_audio import Long

__all__ = [
    "ENTRIES",
    "Entry",
    "PaperReport",
    "PaperRow",
    "PaperSettings",
    "Skipped",
    "check_names",
    "default_place",
    "evaluate_paper",
    "find_benchmarks",
    "long_of_paper",
    "paper_section",
    "write_paper_card",
]

T2A, A2T = "text_to_audio", "audio_to_text"
RECALLS = tuple(f"{way} {metric}" for way in (T2A, A2T) for metric in ("R@1", "R@5", "R@10", "mAP@10"))


@dataclass(frozen=True)
class Entry:
    """One benchmark and task of the paper, and the metrics to show of it."""

    benchmark: str
    task: Task
    metrics: tuple[str, ...]

    @property
    def name(self) -> str:
        """What names it: the benchmark, with the task where the benchmark has two."""
        return self.benchmark if self.task != "probe" else f"{self.benchmark}-probe"


ENTRIES = (
    Entry("audiocaps", "retrieval", RECALLS),
    Entry("clotho", "retrieval", RECALLS),
    Entry("esc50", "zeroshot", ("accuracy",)),
    Entry("urbansound8k", "zeroshot", ("accuracy",)),
    Entry("vggsound", "zeroshot", ("accuracy",)),
    Entry("vggsound", "probe", ("accuracy",)),
    Entry("fsd50k", "probe", ("mAP",)),
)


@dataclass(frozen=True)
class PaperSettings:
    """How the entries are computed.

    Attributes
    ----------
    only
        Names of entries, or of benchmarks with all their entries; none: all.
    templates
        Prompts of zero-shot classification; the default is the paper's.
    long
        How sounds longer than a clip are heard, as in `CLAP.encode_audio`; None: as the paper does, `long_of_paper`.
    restart
        Compute reports anew that are kept. Rows of sounds stay.
    """

    only: tuple[str, ...] = ()
    templates: tuple[str, ...] = (DEFAULT_TEMPLATE,)
    long: Long | None = None
    draws: int = 1000
    seed: int = 0
    restart: bool = False


def default_place(clap: CLAP) -> Path:
    """The folder that keeps a model's reports where none is named."""
    return user_data_path("openclap") / "paper" / clap.fingerprint


def long_of_paper(clap: CLAP) -> Long:
    """How the paper hears sounds longer than a clip, without what is random in it.

    Models with fusion by fusion. LAION's others heard 10 s from a random start: here the first 10 s. All other models
    as usual, by the mean of their windows.
    """
    if clap.config.fusion is not None:
        return "fusion"
    names = (
        clap.name,
        f"{clap.name}.pt",
        f"laion/{clap.name}",
    )  # as a preset; a file or a folder is called by its own name
    known = [preset for preset in map(find_preset, names) if preset is not None]
    by_laion = any(preset.repo == LAION_REPO or preset.name.startswith("laion/") for preset in known)
    return "head" if by_laion else "auto"


def check_names(only: Sequence[str]) -> tuple[Entry, ...]:
    """The entries of these names, whatever their case and signs (ESC-50 is esc50); all where there are none.

    Raises
    ------
    UsageError
        A name is neither an entry nor a benchmark.
    """
    wanted = set(map(_plain, only))
    for name in only:
        if not any(_plain(name) in (_plain(entry.name), entry.benchmark) for entry in ENTRIES):
            known = ", ".join(entry.name for entry in ENTRIES)
            raise UsageError(f"{name!r} is no benchmark of the paper; choose {known}")
    return tuple(entry for entry in ENTRIES if not only or wanted & {_plain(entry.name), entry.benchmark})


def find_benchmarks(data: Path, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Path, Dataset] | Skipped]:
    """For each entry its folder and data set, or why it is skipped.

    A folder's name begins with that of the benchmark, whatever its case and signs: ESC-50, ESC-50-master, clotho_v2.1;
    it may hold the benchmark in one more folder. A benchmark may also be unpacked into `data` itself.
    """
    protocols = {protocol.name: protocol for protocol in PROTOCOLS}
    for entry in entries:
        yield _find(data, entry, protocols[entry.benchmark])


def evaluate_paper(
    clap: CLAP,
    data: Path,
    settings: PaperSettings = PaperSettings(),
    *,
    place: Path | None = None,
    progress: bool = False,
    tell: Callable[[str], None] = lambda line: None,
    batch_size: int = 8,
) -> PaperReport:
    """Compute all numbers of the paper that the benchmarks in a folder allow.

    Parameters
    ----------
    data
        The folder that holds the benchmarks' folders.
    place
        Keeps reports and rows, so that a stopped call goes on and a finished one is not repeated; by default
        `default_place`.
    tell
        Called with a line before each entry.

    Raises
    ------
    UsageError
        There is no such folder, none of the benchmarks is in it, or `settings` names an unknown one or a wrong template.
    """
    entries = check_names(settings.only)
    check_templates(settings.templates)
    if not data.is_dir():
        what = "a file" if data.exists() else "no such folder"
        raise UsageError(f"{data}: {what}; give the one that holds the benchmarks' folders")
    place = place if place is not None else default_place(clap)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{place}: cannot be made ({error.strerror or error}); choose another folder") from None
    run = _Run(clap, settings, place, progress, batch_size)
    skipped: list[Skipped] = []
    reports: dict[str, EvalReport] = {}
    for number, found in enumerate(find_benchmarks(data, entries), 1):
        if isinstance(found, Skipped):
            skipped.append(found)
            tell(f"{number}/{len(entries)} {found.name}: {'is not here' if found.missing else 'cannot be read'}")
            continue
        entry, folder, dataset = found
        tell(f"{number}/{len(entries)} {entry.name}: {entry.task}, {count_noun(len(dataset.items), 'sound')}")
        try:
            reports[entry.name] = run.report(entry, folder, dataset)
        except OpenClapError as error:
            skipped.append(Skipped(entry.name, False, str(error), _protocol(entry).source))
    if not reports and all(one.missing for one in skipped):
        names = "; ".join(f"{p.name}: {p.layout}" for p in PROTOCOLS if any(e.benchmark == p.name for e in entries))
        raise UsageError(
            f"{data}: holds none of the paper's benchmarks; each is expected in a folder of its name ({names})"
        )
    rows = [row for entry in entries if entry.name in reports for row in _rows(entry, reports[entry.name], clap)]
    return PaperReport(
        clap.name,
        clap.fingerprint,
        str(clap.backend.info),
        str(place),
        run.settings,
        rows,
        reports,
        skipped,
        run.reused,
    )


class _Run:
    """One call of `evaluate_paper`."""

    def __init__(self, clap: CLAP, settings: PaperSettings, place: Path, progress: bool, batch_size: int) -> None:
        self._clap, self._asked, self._place = clap, settings, place
        self._progress, self._batch_size = progress, batch_size
        self._long: Long = settings.long or long_of_paper(clap)
        self.reused: list[str] = []
        self.settings: dict[str, Any] = {
            "templates": list(settings.templates),
            "long": self._long,
            "draws": settings.draws,
            "seed": settings.seed,
        }

    def report(self, entry: Entry, folder: Path, data: Dataset) -> EvalReport:
        """The report of an entry: the one that is kept, if nothing has changed, else a new one, which is kept."""
        file, key = self._place / f"{entry.name}.json", self._key(entry, folder, data)
        kept = None if self._asked.restart else read_report(file, key)
        if kept is not None:
            self.reused.append(entry.name)
            return kept
        made = self._compute(entry, folder, data)
        try:
            write_json(file, {**made.to_dict(), "key": key})
        except OSError as error:
            raise UsageError(f"{file}: cannot be written ({error.strerror or error}); choose another folder") from None
        return made

    def _compute(self, entry: Entry, folder: Path, data: Dataset) -> EvalReport:
        embed = KeptRows(self._place / "rows.sqlite", folder, long=self._long).embed
        how: dict[str, Any] = {
            "draws": self._asked.draws,
            "seed": self._asked.seed,
            "progress": self._progress,
            "batch_size": self._batch_size,
            "embed": embed,
        }
        if entry.task == "retrieval":
            made = retrieval(self._clap, data, **how)
        elif entry.task == "zeroshot":
            made = zeroshot(self._clap, data, templates=self._asked.templates, **how)[0]
        else:
            made = probe(self._clap, data, **how)[0]
        made = replace(made, settings={**made.settings, "long": self._long})
        return add_published(made, entry.benchmark)

    def _key(self, entry: Entry, folder: Path, data: Dataset) -> str:
        """A digest of all that decides a report."""
        clap, version = self._clap, importlib.metadata.version("openclap")
        facts = [VERSION, version, entry.name, clap.fingerprint, str(clap.backend.info), self.settings, data.labels]
        digest = hashlib.blake2b(json.dumps(facts).encode(), digest_size=16)
        for item in data.items:
            told = [*item_facts(item, folder), item.captions, item.labels, item.split, item.fold]
            digest.update(json.dumps(told).encode())
        return digest.hexdigest()


def _protocol(entry: Entry) -> Protocol:
    return next(protocol for protocol in PROTOCOLS if protocol.name == entry.benchmark)


def _find(data: Path, entry: Entry, protocol: Protocol) -> tuple[Entry, Path, Dataset] | Skipped:
    named = _folders_named(data, protocol.name)
    inner = [one for folder in named for one in _folders_named(folder, protocol.name)]
    errors: list[str] = []
    for folder in [*named, *inner, *([] if named else [data])]:
        try:
            return entry, folder, read_dataset(folder, entry.task, protocol.name)
        except OpenClapError as error:
            errors.append(str(error))
    if named:
        return Skipped(entry.name, False, errors[0], protocol.source)
    reason = f"no folder of that name in {data}; it is expected as {protocol.layout}, from {protocol.source}"
    return Skipped(entry.name, True, reason, protocol.source)


def _folders_named(data: Path, name: str) -> list[Path]:
    """Folders whose name begins with this one, the shortest first."""
    try:
        found = [Path(one.path) for one in os.scandir(data) if one.is_dir()]
    except OSError:
        return []
    alike = [folder for folder in found if _plain(folder.name).startswith(name)]
    return sorted(alike, key=lambda folder: (len(folder.name), folder.name))


def _plain(name: str) -> str:
    """A name without case and signs."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _rows(entry: Entry, report: EvalReport, clap: CLAP) -> Iterator[PaperRow]:
    nearest = rows_of_model(fused=clap.config.fusion is not None)
    for metric in entry.metrics:
        ours = report.metrics[metric]
        mine = entry.benchmark, entry.task, metric
        known = find_published(*mine, nearest)
        if known is None:
            yield PaperRow(*mine, ours.value, ours.low, ours.high)
        else:
            apart = round(ours.value - known.value, 9)
            yield PaperRow(*mine, ours.value, ours.low, ours.high, known.table, known.row, known.value, apart)
