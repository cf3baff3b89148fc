"""Reads the field's benchmarks as their authors distribute them: sounds, labels, captions and folds.

Nothing is fetched: a protocol names its source, and reads the folder that the user has unpacked it into.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from openclap.data.file_lookup import FileLookup
from openclap.data.items import Item
from openclap.errors import DataError, UsageError
from openclap.eval.datasets import Dataset, read_items
from openclap.eval.published import published_scores
from openclap.eval.report import EvalReport
from openclap.labels import labels
from openclap.library.scan import EXTENSIONS
from openclap.textfiles import open_text_table, read_records

__all__ = ["PROTOCOLS", "Protocol", "Task", "add_published", "read_dataset"]

Task: TypeAlias = Literal["retrieval", "zeroshot", "probe"]


@dataclass(frozen=True)
class Protocol:
    """One benchmark: its tasks, its source, the layout of its folder, and what the paper reports for each task."""

    name: str
    tasks: tuple[Task, ...]
    source: str
    layout: str
    judged: int  # how many sounds a score is about, if none is missing
    read: Callable[[Path], Dataset] = field(repr=False)
    heard_by: tuple[str, ...] = ()  # models that were trained on clips of it

    @property
    def published(self) -> dict[str, dict[str, float]]:
        """What the paper reports for each task: its model with keyword-to-caption, without fusion."""
        return published_scores(self.name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, ready for `json.dumps`."""
        facts = asdict(self)
        del facts["read"]
        return {**facts, "published": self.published}


def read_dataset(source: str | os.PathLike[str], task: Task, protocol: str | None = None) -> Dataset:
    """Read a benchmark's folder by its protocol or, without one, any source that `open_manifest` takes.

    Raises
    ------
    UsageError
        There is no such folder or protocol, the protocol is for another task, or the folder has another layout.
    DataError
        As in `openclap.eval.datasets.read_items`.
    """
    if protocol is None:
        return read_items(source)
    known = {p.name: p for p in PROTOCOLS}
    if protocol not in known:
        raise UsageError(f"{protocol!r} is no protocol; choose {', '.join(known)}, or give the folder a metadata.csv")
    chosen = known[protocol]
    if task not in chosen.tasks:
        raise UsageError(f"{protocol} is for {' and '.join(chosen.tasks)}, not for {task}")
    folder = Path(source)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the one that the data was unpacked into")
    try:
        data = chosen.read(folder)
        if not data.items:
            raise UsageError(f"{folder}: its table has no row")
        return data
    except (DataError, UsageError) as error:
        raise UsageError(f"{error}; {protocol} is expected as {chosen.layout}, from {chosen.source}") from None


def add_published(report: EvalReport, protocol: str | None) -> EvalReport:
    """Add the published results of a protocol and task to a report, with notes where they cannot be compared.

    They cannot where sounds are missing, or where the model was trained on the benchmark's clips.
    """
    known = next((p for p in PROTOCOLS if p.name == protocol), None)
    if known is None:
        return report
    notes = list(report.notes)
    if report.examples < known.judged:
        notes.append(f"{report.examples} of the {known.judged} sounds of {known.name} were judged")
    if report.model in known.heard_by:
        notes.append(
            f"{report.model} was trained on clips of {known.name}, so this is no score on sounds it has not heard"
        )
    return replace(report, protocol=known.name, published=known.published.get(report.task, {}), notes=notes)


# -- reading -----------------------------------------------------------------------------------------


def _read_esc50(folder: Path) -> Dataset:
    rows = read_records(folder / "meta/esc50.csv", ("filename", "fold", "category"))
    names = _LabelNames(labels("esc50"))
    items = [
        Item.at(folder / "audio" / row["filename"], labels=(names(row["category"]),), fold=row["fold"])
        for _, row in rows
    ]
    return Dataset("ESC-50", items, names.labels)


def _read_urbansound8k(folder: Path) -> Dataset:
    rows = read_records(folder / "metadata/UrbanSound8K.csv", ("slice_file_name", "fold", "class"))
    names = _LabelNames(labels("urbansound8k"))
    items = [
        Item.at(
            folder / "audio" / f"fold{row['fold']}" / row["slice_file_name"],
            labels=(names(row["class"]),),
            fold=row["fold"],
        )
        for _, row in rows
    ]
    return Dataset("UrbanSound8K", items, names.labels)


def _read_audiocaps(folder: Path) -> Dataset:
    """Rows of one clip are its captions. Files of clips are named by id and start, id, or number, as downloaders do."""
    table = _first_existing(folder, ("test.csv", "dataset/test.csv", "csv/test.csv"))
    sounds = _index_by_stem(folder)
    captions: dict[tuple[str, str], list[str]] = {}
    numbers: dict[tuple[str, str], list[str]] = {}
    for _, row in read_records(table, ("youtube_id", "start_time", "caption")):
        clip = row["youtube_id"], row["start_time"]
        captions.setdefault(clip, []).append(row["caption"])
        numbers.setdefault(clip, []).append(row.get("audiocap_id") or "")
    items = [
        Item.at(_find_clip(sounds, _youtube_stems(*clip, numbers[clip]), folder), captions=tuple(texts))
        for clip, texts in captions.items()
    ]
    return Dataset("AudioCaps", items)


def _read_clotho(folder: Path) -> Dataset:
    columns = [f"caption_{i}" for i in range(1, 6)]
    rows = read_records(folder / "clotho_captions_evaluation.csv", ("file_name", *columns))
    places = (
        "evaluation",
        "clotho_audio_evaluation/evaluation",
        "clotho_audio_evaluation",
        "clotho_audio_files/evaluation",
    )
    place = _first_existing(folder, places)
    sounds = FileLookup(place)
    items = [Item.at(sounds.path_of(row["file_name"]), captions=tuple(row[c] for c in columns)) for _, row in rows]
    return Dataset("Clotho", items)


def _read_vggsound(folder: Path) -> Dataset:
    """The table has no header: YouTube id, start in seconds, label, split."""
    table = _first_existing(folder, ("vggsound.csv", "data/vggsound.csv"))
    names = _LabelNames(labels("vggsound"))
    sounds = _index_by_stem(folder)
    grid = open_text_table(table)
    rows = [list(grid.names), *(row for _, row in grid.rows)] if grid.names else []
    if not rows or any(len(row) != 4 for row in rows):
        raise UsageError(f"{table}: every line needs four columns")
    items = [
        Item.at(_find_clip(sounds, _youtube_stems(identity, start), folder), labels=(names(label),), split=split)
        for identity, start, label, split in rows
    ]
    return Dataset("VGGSound", items, names.labels)


def _read_fsd50k(folder: Path) -> Dataset:
    names = _LabelNames(labels("fsd50k"))
    items = [
        Item.at(
            folder / f"FSD50K.{part}_audio" / f"{row['fname']}.wav",
            labels=tuple(names(label) for label in row["labels"].split(",")),
            split=split,
        )
        for part, split in (("dev", "train"), ("eval", "test"))
        for _, row in read_records(folder / f"FSD50K.ground_truth/{part}.csv", ("fname", "labels"))
    ]
    return Dataset("FSD50K", items, names.labels, multi_label=True)


def _read_gtzan(folder: Path) -> Dataset:
    """Each genre has a folder. No folds were published, so a probe draws its own."""
    place = _first_existing(folder, ("genres", "genres_original", "Data/genres_original", "blues/.."))
    genres = tuple(labels("gtzan"))
    items = [
        Item.at(path, labels=(genre,))
        for genre in genres
        for path in sorted((place / genre).glob("*"))
        if path.suffix.lower() in (".wav", ".au")
    ]
    if not items:
        raise UsageError(f"{place}: holds no folder of a genre with .wav or .au files")
    return Dataset("GTZAN", items, genres)


# -- finding -----------------------------------------------------------------------------------------


class _LabelNames:
    """Finds our spelling of a benchmark's label; case, underscores, commas and "and" do not matter.

    FSD50K writes "Livestock_and_farm_animals" where AudioSet, and our list, has "Livestock, farm animals".
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.labels = tuple(names)
        self._known = {self._key(name): name for name in names}
        assert len(self._known) == len(names), "two labels have one key"

    def __call__(self, name: str) -> str:
        try:
            return self._known[self._key(name)]
        except KeyError:
            raise UsageError(f"{name!r} is no label of this data set") from None

    @staticmethod
    def _key(name: str) -> tuple[str, ...]:
        return tuple(word for word in re.split(r"[\s_,]+", name.lower()) if word not in ("and", ""))


def _first_existing(folder: Path, places: Iterable[str]) -> Path:
    tried = [folder / place for place in places]
    for place in tried:
        if place.exists():
            return place.resolve() if place.name == ".." else place
    raise UsageError(f"{tried[0]}: not there")


def _index_by_stem(folder: Path) -> dict[str, Path]:
    """All sound files below a folder, by their name without the ending."""
    return {path.stem: path for path in sorted(folder.rglob("*")) if path.suffix[1:].lower() in EXTENSIONS}


def _youtube_stems(identity: str, start: str, numbers: Sequence[str] = ()) -> list[str]:
    """The names that downloaded clips of videos may have; the first is the form of the authors' scripts.

    "abc_30", "abc_000030", "abc_30000_40000" (milliseconds), "Yabc" and "abc", with ten seconds from 30 on.
    """
    try:
        seconds = int(float(start.replace(",", ".")))
    except ValueError:
        raise UsageError(f"the start of {identity} is {start!r}, which is no number of seconds") from None
    milliseconds = f"{identity}_{1000 * seconds}_{1000 * (seconds + 10)}"
    padded = f"{identity}_{seconds:06d}"
    ends = f"{identity}_{seconds}_{seconds + 10}"
    return [f"{identity}_{seconds}", padded, milliseconds, ends, f"Y{identity}", identity, *filter(None, numbers)]


def _find_clip(sounds: dict[str, Path], stems: Sequence[str], folder: Path) -> Path:
    """The first of these files that exists; else a path that does not, so that the clip counts as missing."""
    return next((sounds[stem] for stem in stems if stem in sounds), folder / f"{stems[0]}.wav")


# The numbers of sounds are from memory of the data sets' descriptions; they were not counted in a download.
# The supervised results of the paper fine-tune the audio tower, so they are not compared with probes.
PROTOCOLS = (
    Protocol(
        "esc50",
        ("zeroshot", "probe"),
        "https://github.com/karolpiczak/ESC-50",
        "meta/esc50.csv and audio/*.wav",
        2000,
        _read_esc50,
        ("mini",),
    ),
    Protocol(
        "urbansound8k",
        ("zeroshot", "probe"),
        "https://zenodo.org/records/1203745",
        "metadata/UrbanSound8K.csv and audio/fold1 … fold10",
        8732,
        _read_urbansound8k,
    ),
    Protocol(
        "audiocaps",
        ("retrieval",),
        "https://github.com/cdjkim/audiocaps",
        "test.csv or dataset/test.csv, and the clips anywhere beside it as <youtube id>_<start>.wav or the like",
        975,
        _read_audiocaps,
    ),
    Protocol(
        "clotho",
        ("retrieval",),
        "https://zenodo.org/records/4783391",
        "clotho_captions_evaluation.csv and evaluation/*.wav",
        1045,
        _read_clotho,
    ),
    Protocol(
        "vggsound",
        ("zeroshot", "probe"),
        "https://www.robots.ox.ac.uk/~vgg/data/vggsound",
        "vggsound.csv, and the clips anywhere beside it as <youtube id>_<start, six digits>.wav or the like",
        15446,
        _read_vggsound,
    ),
    Protocol(
        "fsd50k",
        ("zeroshot", "probe"),
        "https://zenodo.org/records/4060432",
        "FSD50K.ground_truth/{dev,eval}.csv, FSD50K.dev_audio/*.wav and FSD50K.eval_audio/*.wav",
        10231,
        _read_fsd50k,
    ),
    Protocol(
        "gtzan",
        ("zeroshot", "probe"),
        "G. Tzanetakis and P. Cook, 2002; https://www.tensorflow.org/datasets/catalog/gtzan",
        "genres/blues/blues.00000.au … (or genres_original/… .wav)",
        1000,
        _read_gtzan,
    ),
)
