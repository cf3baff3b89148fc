"""Read labelled sounds, and split them into those to learn from and those to judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openclap.data import Item
from openclap.errors import SoundWarning, TrainingError
from openclap.plurals import count_noun
from openclap.results import Failure
from openclap.train.examples import Example, example_key, read_sources
from openclap.train.finetuning.settings import SupervisedSettings, check
from openclap.train.held_out import split_by_table
from openclap.train.skipped import NAMED, refuse_too_many_skipped, warn_of_skipped
from openclap.warn_caller import warn_caller

__all__ = ["LabelledSounds", "read_labelled"]


@dataclass(frozen=True)
class LabelledSounds:
    """The sounds to learn from, the sounds to judge, and the labels of the former."""

    train: list[Example]  # each repeated as its source says
    test: list[Example]
    labels: tuple[str, ...]  # sorted
    multi_label: bool
    how: str  # how the test side was chosen, for reports
    name: str  # the name of the sources, for reports
    left_out: list[Failure] = field(default_factory=list)  # sounds without a label


def read_labelled(settings: SupervisedSettings) -> LabelledSounds:
    """Read the labelled sounds of every source, in a fixed order, and split them into learnt and judged ones.

    Raises
    ------
    TrainingError
        A source cannot be read, too many sounds are missing, there are fewer than two labels, one side has no sounds,
        sounds have several labels where one is asked for, or a label is judged that is never learnt.

    Warns
    -----
    SoundWarning
        Sounds without a label are left out and named, however many there are.
    """
    supervision = settings.supervised
    check(supervision)
    everything = read_sources(settings, _example, all_splits=True)
    if not any(example.item.labels for _, example in everything.rows):
        where = ", ".join(source.folder for source in settings.sources)
        raise TrainingError(
            f"not one of {count_noun(len(everything.rows), 'sound')} of {where} has a label; a table needs a column"
            " label"
        )
    lost = everything.skipped
    said = (
        f"{len(lost)} of {count_noun(len(everything.rows) + len(lost), 'entry', 'entries')} of the sources cannot be"
        " used"
    )
    refuse_too_many_skipped(lost, len(everything.rows) + len(lost), settings.most_broken, said, "mend them")
    warn_of_skipped(lost, "entries that cannot be used")
    found = everything.without(lambda example: not example.item.labels, "no label")
    is_unusable = found.skipped[len(lost) :]
    warn_of_skipped(is_unusable, "sounds without a label")
    train, test, how = split_by_table(
        found.rows,
        split=supervision.test_split,
        folds=supervision.test_folds,
        files=supervision.test_files,
        share=supervision.test_share,
        seed=settings.seed,
    )
    learnt = [example for source, example in train for _ in range(source.repeat)]
    judged = [example for _, example in test]
    several = [e for e in (*learnt, *judged) if len(e.item.labels) > 1]
    multi = bool(several) if supervision.multi_label is None else supervision.multi_label
    if several and not multi:
        raise TrainingError(
            f"{count_noun(len({e.key for e in several}), 'sound has', 'sounds have')} several labels, the first is"
            f" {several[0].key}; give each one, or allow several (multi_label)"
        )
    counts = Counter(label for _, example in train for label in example.item.labels)
    _check(learnt, judged, counts)
    return LabelledSounds(
        learnt,
        judged,
        tuple(sorted(counts)),
        multi,
        how,
        " and ".join(Path(s.folder).name or s.folder for s in settings.sources),
        is_unusable,
    )


def _check(train: Sequence[Example], test: Sequence[Example], counts: Counter[str]) -> None:
    """Refuse labels that cannot be learnt or judged, and warn of those with a single sound."""
    if len(counts) < 2:
        raise TrainingError(
            f"{count_noun(len(train), 'sound')} to learn from {'has' if len(train) == 1 else 'have'}"
            f" {count_noun(len(counts), 'label')} ({', '.join(counts)}); a classifier needs two or more"
        )
    unseen = {label: e for e in test for label in e.item.labels if label not in counts}
    if unseen:
        label, example = next(iter(unseen.items()))
        raise TrainingError(
            f"{count_noun(len(unseen), 'label is', 'labels are')} judged that no sound to learn from has, the first is"
            f" {label!r} ({example.key}); add sounds of it, or leave it out"
        )
    rare = [label for label, count in counts.items() if count == 1]
    if rare:
        warn_caller(
            f"{count_noun(len(rare), 'label has', 'labels have')} one sound to learn from, too little to hear"
            f" elsewhere: {', '.join(sorted(rare)[:NAMED])}",
            SoundWarning,
        )


def _example(name: str, item: Item) -> Example:
    """Make an example whose labels are its captions, so that mixing two sounds joins their labels."""
    return Example(example_key(name, item), item, item.labels, "\n".join(item.labels))
