"""One model of a data set: what training reads, evaluation reads, in the same way; and tables of whatever program everywhere."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from openclap import CLAP
from openclap.data import open_manifest
from openclap.data.items import SIDES, side_of
from openclap.errors import DataError, SoundError, TrainingError, UnreadableSound
from openclap.eval.datasets import read_items
from openclap.eval.probe import probe
from openclap.eval.protocols import read_dataset
from openclap.eval.retrieval import retrieval
from openclap.results import Windows
from openclap.train.tagging.class_texts import read_class_texts
from openclap.train.tagging.taggers import read_classes

ROWS = [
    {"file": f"{i}.wav", "caption": f"a {'dog' if i % 2 else 'cat'}, number {i}", "label": "dog" if i % 2 else "cat",
     "split": "test" if i > 7 else "train"}
    for i in range(12)
]  # fmt: skip


class Listener:
    """A model for which a sound is the number in its name or its bytes: dogs point one way, cats another."""

    name, fingerprint, config = "listener", "f" * 16, SimpleNamespace(embedding=3)
    backend = SimpleNamespace(info="a test")

    def encode_each(self, sounds: Sequence[Path | bytes], **_: object) -> Iterator[Windows | SoundError]:
        for sound in sounds:
            number = int(sound.stem if isinstance(sound, Path) else sound)
            if number == 3:
                yield UnreadableSound("3.wav", "broken")
            else:
                row = np.array([[number % 2, 1 - number % 2, 0.01 * number]], np.float32)
                yield Windows(np.zeros(1), np.ones(1), row / np.linalg.norm(row))

    def encode_text(self, texts: Sequence[str]) -> Any:
        return np.array([["dog" in text, "cat" in text, 0] for text in texts], np.float32)

    def similarity(self, a: Any, b: Any) -> Any:
        return a @ b.T


def in_a_table(place: Path) -> Path:
    table = place / "sounds.tsv"
    table.write_text("".join("\t".join(line) + "\r\n" for line in (ROWS[0], *(row.values() for row in ROWS))), "utf-16")
    return table


def in_a_folder(place: Path) -> Path:
    (place / "metadata.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    return place


def in_tars(place: Path) -> Path:
    for split in ("train", "test"):
        (place / split).mkdir()
        with tarfile.open(place / split / "000000.tar", "w") as tar:
            for i, row in enumerate(ROWS):
                if row["split"] == split:
                    about = json.dumps({"text": [row["caption"]], "tag": [row["label"]]})
                    for name, data in ((f"{i}.wav", str(i).encode()), (f"{i}.json", about.encode())):
                        info = tarfile.TarInfo(name)
                        info.size = len(data)
                        tar.addfile(info, io.BytesIO(data))
    return place


@pytest.mark.parametrize("lay", [in_a_table, in_a_folder, in_tars])
def test_what_training_reads_is_judged(tmp_path: Path, lay: Any) -> None:
    """`openclap eval` took a folder with a metadata.csv and nothing else: a packed data set could be learnt from, not judged."""
    source = lay(tmp_path)
    data = read_dataset(source, "probe")
    assert (data.labels, data.multi_label, len(data.items), len(data.test_items)) == (("cat", "dog"), False, 12, 4)
    assert [(i.captions, i.labels) for i in data.items] == [(i.captions, i.labels) for i in open_manifest(source)]
    clap = cast("CLAP", Listener())
    report, _, head = probe(clap, data, draws=0)
    assert (report.examples, report.metrics["accuracy"].value, head.labels) == (4, 1.0, ("cat", "dog"))
    assert [Path(failure.path.removesuffix(".wav")).name for failure in report.failed] == ["3"]
    assert retrieval(clap, data, draws=0).metrics["text_to_audio mean_rank"].value == 1.5


def test_a_row_that_says_nothing_is_named_and_stops_nothing(tmp_path: Path) -> None:
    """It was refused by eval, and left out by name by all others."""
    table = in_a_table(tmp_path)
    with table.open("a", encoding="utf-16-le") as file:
        file.write("\ta bird\tbird\ttest\r\n")
    data = read_items(table)
    assert [failure.error for failure in data.failed] == ["names no file; fill it in, or remove the row"]
    assert len(probe(cast("CLAP", Listener()), data, draws=0)[0].failed) == 2


def test_a_file_is_not_learnt_from_and_judged(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,label,split\na.wav,dog,Training\na.wav,dog,dev\na.wav,dog,valid\n")
    assert [item.split for item in read_items(tmp_path / "t.csv").items] == ["Training", "dev"]
    (tmp_path / "t.csv").write_text("file,label,split\na.wav,dog,train\na.wav,dog,eval\n")
    with pytest.raises(DataError, match=r"a\.wav disagree on its split"):
        read_items(tmp_path / "t.csv")


def test_rows_that_disagree_on_a_fold_are_told(tmp_path: Path) -> None:
    """Training took the first in silence."""
    (tmp_path / "t.csv").write_text("file,label,fold\na.wav,dog,1\na.wav,dog,1.0\na.wav,,\na.wav,dog,2\n")
    manifest = open_manifest(tmp_path / "t.csv")
    assert [item.fold for item in manifest] == ["1"]
    (told,) = manifest.failed
    assert told.path.endswith("line 5")
    assert told.error == "a.wav is in fold 1 by an earlier row, and in 2 by this one; the first holds"


def test_what_a_split_is_for() -> None:
    assert {side_of(name.upper()) for name in SIDES["test"]} == {"test"}
    assert [side_of(name) for name in (" dev ", "validation", None, "Extra")] == ["train", "valid", "", "extra"]


def test_tables_of_taggers_are_those_of_any_program(tmp_path: Path) -> None:
    """They were read as UTF-8 with commas alone; from Excel, `text;class` was one column."""
    classes, words = tmp_path / "classes.csv", tmp_path / "words.csv"
    classes.write_bytes("index;Display Name\r\n0;Dog, small\r\n1;None\r\n".encode("utf-16"))
    assert read_classes(classes) == ("Dog, small", "None")
    words.write_bytes(b"Text;CLASS;weight\r\na dog, loud;Dog, small;3\r\na dog, loud;None;1\r\nnothing;None;\r\n")
    read = read_class_texts([words], ("Dog, small", "None"), ())
    assert (read.texts, read.weights.tolist()) == (["a dog, loud", "nothing"], [[0.75, 0.25], [0.0, 1.0]])
    words.write_text("text,class\n,None\n")
    with pytest.raises(TrainingError, match="line 2 has no text"):
        read_class_texts([words], ("None",), ())
    classes.write_text("index,name\n0,dog\n1\n")
    with pytest.raises(TrainingError, match="line 3 has no name"):
        read_classes(classes)
    classes.write_text("index\n0\n")
    with pytest.raises(TrainingError, match="no column display_name, name, class, label"):
        read_classes(classes)
