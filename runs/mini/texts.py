"""What is said of sounds, and which of the teacher's classes each text means: labels in phrases and templates, captions, lists.

usage: python runs/mini/texts.py OUT --teachers TEACHERS --captions FILE [--data DATA] [--most N]
  OUT        gets texts.npz: texts (M,), weights (M, 527), of each text over the teacher's classes

A text's weights are a softmax over the cosines of its MiniLM vector with those of the classes' names: asked so, by words alone, the
teacher itself names what it hears best.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from minilm import encode

__all__ = ["TAU", "TEMPLATES", "gather_texts", "weights_of"]

HERE = Path(__file__).parent
LABELS = HERE.parents[1] / "src" / "openclap" / "labels"
TAU = 0.03
TEMPLATES = (
    "{}",
    "This is a sound of {}.",
    "the sound of {}",
    "a recording of {}",
    "I can hear {}",
    "{} in the distance",
    "sounds like {}",
    "{}, recorded outdoors",
    "loud {}",
)
PAIRS = ("{} and {}", "{} while {}", "{} with {} in the background", "{}, then {}", "{} followed by {}")
PAIRED = 800  # texts of each
MEANT = 0.75  # of a phrase's weight is its class's
Array = npt.NDArray[np.float32]


def weights_of(vectors: Array, labels: Array) -> Array:
    """MiniLM vectors (M, 384) of texts and (527, 384) of classes → (M, 527), each row summing to 1."""
    near = vectors @ labels.T / TAU
    near = np.exp(near - near.max(1, keepdims=True))
    return np.asarray(near / near.sum(1, keepdims=True), np.float32)


def phrases(names: Sequence[str]) -> Iterator[str]:
    """Names of classes and what they are made of: "Baby cry, infant cry" is two phrases, "Fire engine, fire truck (siren)" three."""
    for name in names:
        plain = name.lower()
        yield plain
        yield from (part.strip() for part in plain.replace("(", ",").replace(")", "").split(",") if part.strip())
    for file in sorted(LABELS.glob("*.txt")):
        if "." not in file.stem:
            yield from (line.lower().strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())


def gather_texts(names: Sequence[str], captions: Path, data: Path | None, most: int) -> list[str]:
    """All texts, each once: phrases in every template, phrases of mini's captions, `most` captions of AudioCaps, captions of recordings."""
    found = [t.format(p) for p in dict.fromkeys(phrases(names)) for t in TEMPLATES]
    for file in ("captions.csv", "more_captions.csv"):
        with (HERE / file).open(encoding="utf-8", newline="") as rows:
            found += [row["phrase"] for row in csv.DictReader(rows)]
    for table in sorted(data.glob("*/metadata.csv")) if data is not None else ():
        with table.open(encoding="utf-8", newline="") as rows:
            named = dict.fromkeys(row["caption"] for row in csv.DictReader(rows))
        found += [t.format(c) for c in named for t in TEMPLATES[:3]]
    lines = [line.strip().strip("'\"").rstrip() for line in captions.read_text(encoding="utf-8").splitlines()]
    chosen = np.random.default_rng(0).permutation(len(lines))[:most]
    found += [lines[i] for i in sorted(chosen.tolist()) if lines[i]]
    return list(dict.fromkeys(found))


def spoken(names: Sequence[str]) -> dict[str, list[str]]:
    """What people say when they mean a class: class_phrases.txt."""
    found = {}
    for line in (HERE / "class_phrases.txt").read_text(encoding="utf-8").splitlines():
        name, _, said = line.partition(" | ")
        assert name in names, name
        found[name] = [name.lower(), *said.split("; ")]
    return found


def said_of_classes(names: Sequence[str], vectors: Callable[[Sequence[str]], Array]) -> dict[str, Array]:
    """Phrases in some templates, and two of different classes at once → weights (527,): what is meant, and some of what is near."""
    place, phrases_of = {name: i for i, name in enumerate(names)}, spoken(names)
    every = [(phrase, place[name]) for name, some in phrases_of.items() for phrase in some]
    near = dict(zip([p for p, _ in every], vectors([p for p, _ in every]), strict=True))
    found: dict[str, Array] = {}
    for phrase, number in every:
        weights = (1 - MEANT) * near[phrase]
        weights[number] += MEANT
        for template in TEMPLATES[:4]:
            found[template.format(phrase)] = weights
    rng = np.random.default_rng(1)
    for template in np.repeat(PAIRS, PAIRED):
        (one, _), (two, _) = (every[int(i)] for i in rng.choice(len(every), 2, replace=False))
        found[template.format(one, two)] = (found[one] + found[two]) / np.float32(2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--teachers", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--most", type=int, default=50_000)
    args = parser.parse_args()
    with (args.teachers / "audioset_labels.csv").open(encoding="utf-8", newline="") as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    classes = encode(names)
    texts = gather_texts(names, args.captions, args.data, args.most)
    kept: dict[str, Array] = {}
    if (args.out / "texts.npz").exists():  # what was read before
        stored = np.load(args.out / "texts.npz")
        kept = dict(zip(stored["texts"].tolist(), stored["weights"], strict=True))
    new = [text for text in texts if text not in kept]
    print(f"{len(texts)} texts, {len(new)} of them new", flush=True)
    kept.update(zip(new, weights_of(encode(new), classes) if new else [], strict=True))
    found = {text: kept[text] for text in texts}
    found.update(said_of_classes(names, lambda some: weights_of(encode(some), classes)))
    np.savez(
        args.out / "texts.npz", texts=np.array(list(found)), weights=np.stack(list(found.values())).astype(np.float16)
    )
    print(f"{len(found)} with what is said of classes", flush=True)


if __name__ == "__main__":
    main()
