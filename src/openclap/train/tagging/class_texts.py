"""Which classes a text means: from a table of texts, or from the names of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from openclap.errors import TrainingError
from openclap.textfiles import read_records
from openclap.train.text_files import as_training_error

__all__ = ["ClassTexts", "read_class_texts"]

Array = npt.NDArray[np.float32]


class ClassTexts:
    """Texts, and how much each class belongs to the meaning of each text.

    Attributes
    ----------
    texts
        M texts.
    weights : (M, C)
        The share of each class in a text; rows sum to 1.
    """

    def __init__(self, texts: Sequence[str], weights: Array) -> None:
        self.texts, self.weights = list(texts), weights

    def draw(self, count: int, rng: np.random.Generator) -> tuple[list[str], Array]:
        """Draw `count` texts, or all where there are fewer, with their weights (M, C)."""
        chosen = rng.choice(len(self.texts), min(count, len(self.texts)), replace=False)
        return [self.texts[i] for i in chosen], self.weights[chosen]


@as_training_error()
def read_class_texts(files: Sequence[Path], classes: Sequence[str], templates: Sequence[str]) -> ClassTexts:
    """Read CSV files with the columns text,class or text,class,weight; a text may have several lines.

    Without files, the texts are the names of the classes in every template.

    Raises
    ------
    TrainingError
        A file cannot be read, or names a class that no tagger knows.
    """
    place = {name: i for i, name in enumerate(classes)}
    means: dict[str, dict[int, float]] = {}
    for file in files:
        for line, row in read_records(file, ("text", "class"), optional=("weight",)):
            name = row["class"]
            if name not in place:
                raise TrainingError(f"{file}: line {line}: no tagger knows the class {name!r}")
            means.setdefault(row["text"], {})[place[name]] = _number(row.get("weight"), file, line)
    if not files:
        means = {t.replace("{}", name.lower()): {i: 1.0} for name, i in place.items() for t in templates}
    weights = np.zeros((len(means), len(classes)), np.float32)
    for row_of, shares in zip(weights, means.values(), strict=True):
        for i, share in shares.items():
            row_of[i] = share
    return ClassTexts(list(means), weights / weights.sum(1, keepdims=True))


def _number(value: str | None, file: Path, line: int) -> float:
    try:
        weight = float(value) if value else 1.0
    except ValueError:
        weight = -1.0
    if not weight > 0:
        raise TrainingError(f"{file}: line {line}: weight is {value!r}; a number above 0 is expected")
    return weight
