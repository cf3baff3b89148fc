"""Read the sources of a run as examples: a sound with its captions and its concept, and list what was left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from openclap.data import Item, make_captions, open_manifest
from openclap.data.tables import find_metadata
from openclap.errors import DataError, TrainingError
from openclap.library.scan import EXTENSIONS, find_sounds
from openclap.plurals import count_noun
from openclap.results import Failure
from openclap.train.settings import Settings, Source
from openclap.train.skipped import refuse_too_many_skipped, warn_of_skipped
from openclap.train.text_files import read_phrases

__all__ = ["Example", "ExampleSet", "example_key", "read_examples", "read_items", "read_sources"]


@dataclass(frozen=True)
class Example:
    """A recording, its captions, and the concept it belongs to."""

    key: str  # unique in a run
    item: Item
    captions: tuple[str, ...]
    concept: str  # clips of one concept describe each other, so they are no negatives of each other


@dataclass(frozen=True)
class ExampleSet:
    """The examples of all sources, in a fixed order, and what was left out, with the reason."""

    parts: list[tuple[Source, list[Example]]]
    skipped: list[Failure]

    @property
    def rows(self) -> list[tuple[Source, Example]]:
        """Each example once, with its source."""
        return [(source, example) for source, some in self.parts for example in some]

    @property
    def visits(self) -> list[Example]:
        """The examples of an epoch: each repeated as its source says."""
        return [example for source, some in self.parts for example in some * source.repeat]

    def without(self, is_unusable: Callable[[Example], bool], why: str) -> ExampleSet:
        """The same set without the examples for which `is_unusable` is true; `why` is the reason that is noted."""
        failed = [Failure(example.key, why) for _, example in self.rows if is_unusable(example)]
        parts = [(source, [example for example in some if not is_unusable(example)]) for source, some in self.parts]
        return ExampleSet(parts, [*self.skipped, *failed])


def example_key(name: str, item: Item) -> str:
    """The key of an item, which is unique in a run."""
    return f"{name}:{item.split or ''}:{item.key}"


def read_sources(
    settings: Settings,
    example_of: Callable[[str, Item], Example],
    *,
    all_splits: bool = False,
    plain_sounds: bool = False,
) -> ExampleSet:
    """Read the items of every source that match its patterns, as examples.

    Parameters
    ----------
    example_of
        Makes an example from the name of a source and an item.
    all_splits
        Also read the splits that the source does not name.
    plain_sounds
        Also accept a folder that holds only sounds.

    Raises
    ------
    TrainingError
        A source that cannot be read.
    """
    parts, failed = [], []
    for source in settings.sources:
        name = str(settings.resolve(source.folder))
        try:
            items, lost = read_items(name, split=None if all_splits else source.split, plain_sounds=plain_sounds)
        except DataError as error:
            raise TrainingError(f"sources: {error}") from error
        failed += lost
        if all_splits and source.split is not None and source.split not in {item.split for item in items}:
            known = sorted({item.split or "none" for item in items})
            raise TrainingError(
                f"sources: {name}: no item is of the split {source.split!r}; there are: {', '.join(known) or 'none'}"
            )
        parts.append((source, [example_of(name, item) for item in items if _is_wanted(item, source)]))
    return ExampleSet(parts, failed)


def read_examples(settings: Settings, *, described: bool = True) -> list[Example]:
    """Read the examples of every source, in a fixed order, each repeated as its source says.

    Parameters
    ----------
    described
        Every example needs a caption or a label. Otherwise a folder that holds only sounds is accepted, too.

    Raises
    ------
    TrainingError
        A source cannot be read, too many items have no caption or label, or too few examples are left.
    """
    phrases = read_phrases([settings.resolve(p) for p in settings.phrases])
    found = read_sources(settings, partial(_make_example, phrases), plain_sounds=not described)
    if described:
        found = found.without(lambda example: not example.captions, "neither caption nor label")
    visits, lost = found.visits, found.skipped
    is_unusable = "not there or have neither caption nor label"
    refuse_too_many_skipped(
        lost,
        len(visits) + len(lost),
        settings.most_broken,
        f"{count_noun(len(lost), 'sound is not there or has', 'sounds are not there or have')} neither caption nor"
        " label",
        "describe them",
    )
    warn_of_skipped(lost, f"sounds that are {is_unusable}")
    if len(visits) < settings.batch_size:
        raise TrainingError(
            f"{count_noun(len(visits), 'example is', 'examples are')} fewer than one batch of {settings.batch_size};"
            " add sounds or lower batch_size"
        )
    return visits


def _make_example(phrases: Mapping[str, list[str]], name: str, item: Item) -> Example:
    captions = make_captions(item)
    label = item.labels[0] if len(item.labels) == 1 else captions[0] if captions else ""
    return Example(example_key(name, item), item, captions, _concept(captions[0], label, phrases) if captions else "")


def _concept(caption: str, label: str, phrases: Mapping[str, list[str]]) -> str:
    """The concept of a sound: its caption, or its label where phrases are known for the label alone."""
    return caption if caption in phrases or label not in phrases else label


def read_items(
    source: str, *, split: str | None = None, plain_sounds: bool = False
) -> tuple[list[Item], list[Failure]]:
    """Read the items of a source, and what could not become an item.

    Parameters
    ----------
    plain_sounds
        Also accept a sound, or a folder that holds only sounds, where no split is asked for and no table is there.

    Raises
    ------
    DataError
        See `openclap.data.open_manifest`.
    """
    path = Path(source).expanduser()
    is_plain = (path.is_dir() and find_metadata(path) is None) or (
        path.is_file() and path.suffix[1:].lower() in EXTENSIONS
    )
    if plain_sounds and not split and is_plain:
        folder = (path if path.is_dir() else path.parent).absolute()
        items = [Item(file.relative_to(folder).as_posix(), file) for file in find_sounds([path]).files]
        if items:
            return items, []
    manifest = open_manifest(source, split=split)
    return list(manifest), manifest.failed


def _is_wanted(item: Item, source: Source) -> bool:
    """Whether the file name of an item matches the patterns of its source."""
    file = Path(item.key).name
    return any(fnmatch(file, p) for p in source.include) and not any(fnmatch(file, p) for p in source.exclude)
