"""Tables and lists as Excel, Windows, pandas and macOS write them: the same items, or one sentence."""

from __future__ import annotations

import json
import os
import threading
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from openclap.cli.options import read_lines
from openclap.data import open_manifest
from openclap.data.check import read_labels
from openclap.data.columns import find_columns
from openclap.data.file_lookup import FileLookup
from openclap.errors import DataError, DataWarning, TrainingError, UsageError
from openclap.eval.datasets import read_items
from openclap.sentences import make_debiaser
from openclap.textfiles import detect_encoding, is_absent, open_text_table, read_records
from openclap.textfiles import read_lines as lines_of
from openclap.train.text_files import read_phrases, read_texts

Form = Literal["NFC", "NFD"]
Said = tuple[str, tuple[str, ...], tuple[str, ...]]
EXPECTED: list[Said] = [
    ("dog/1.wav", ("a dog, barking", "barking in a yard"), ("dog", "bark")),
    ("Tür.wav", ("a door – slammed",), ("door",)),
    ("rain.wav", (), ("rain",)),
]
COMMA = 'file,caption,label\ndog/1.wav,"a dog, barking",dog;bark\ndog/1.wav,barking in a yard,\nTür.wav,a door – slammed,door\nrain.wav,,rain\n'
SEMICOLON = 'file;caption;label\r\ndog/1.wav;a dog, barking;"dog;bark"\r\ndog/1.wav;barking in a yard;\r\nTür.wav;a door – slammed;door\r\nrain.wav;;rain\r\n'
TAB = SEMICOLON.replace(";", "\t").replace('"dog\tbark"', "dog;bark")
WRITTEN: dict[str, bytes] = {
    "comma": COMMA.encode(),
    "semicolon": SEMICOLON.encode(),
    "tab": TAB.encode(),
    "bar": TAB.replace("\t", "|").encode(),
    "a mark of UTF-8": COMMA.encode("utf-8-sig"),
    "Excel's Unicode text": TAB.encode("utf-16"),
    "the other end first": b"\xfe\xff" + TAB.encode("utf-16-be"),
    "UTF-16 without a mark": TAB.encode("utf-16-le"),
    "sep=": ("sep=;\r\n" + SEMICOLON).encode(),
    "sep= in UTF-16": ("sep=;\r\n" + SEMICOLON).encode("utf-16"),
    "other names": SEMICOLON.replace("file;caption;label", "File Name; Caption ;LABELS").encode(),
    "path and text": SEMICOLON.replace("file;caption;label", "Path;text;tags").encode(),
    "audio and sentence": SEMICOLON.replace("file;caption;label", "audio;Sentence;Category").encode(),
    "blank columns and rows": SEMICOLON.replace("\r\n", ";;\r\n").replace("rain.wav", ";;;;\r\n\r\nrain.wav").encode(),
    "backslashes": COMMA.replace("dog/1.wav", ".\\dog\\1.wav").encode(),
    "cells of pandas": COMMA.replace("yard,\n", "yard,nan\n").replace("wav,,rain", "wav,N/A,rain").encode(),
    "cells of Python": COMMA.replace("yard,\n", "yard,None\n").replace("wav,,rain", "wav, NULL ,rain").encode(),
    "cells of people": COMMA.replace("yard,\n", "yard,-\n").replace("wav,,rain", "wav,–,rain").encode(),
}


def said(source: Path) -> list[Said]:
    return [(item.key, item.captions, item.labels) for item in open_manifest(source)]


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_every_program_writes_the_same_table(tmp_path: Path, written: bytes) -> None:
    """All but the first were refused, or read as captions called nan and None."""
    table = tmp_path / "metadata.csv"
    table.write_bytes(written)
    assert said(table) == said(tmp_path) == EXPECTED
    assert open_manifest(table).failed == []
    data = read_items(tmp_path)
    assert [(e.sound, e.captions, e.labels) for e in data.items] == [(tmp_path / n, c, x) for n, c, x in EXPECTED]


def test_western_windows_is_read_and_told(tmp_path: Path) -> None:
    """Excel's plain CSV: every ü was refused as no UTF-8."""
    (tmp_path / "t.csv").write_bytes(SEMICOLON.encode("cp1252"))
    with pytest.warns(DataWarning, match=r"t\.csv: is not in UTF-8, and read as cp1252"):
        assert said(tmp_path / "t.csv") == EXPECTED


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Tür.wav"), ("cp1252", "café"), ("cp1252", "niño llorando en la habitación"), ("cp1252", "“quiet”…"),
        ("gb18030", "狗.wav,一只狗在叫"), ("big5", "一隻狗在叫"), ("cp932", "ドアが閉まる音"), ("cp1251", "сильный дождь за окном"),
    ],
)  # fmt: skip
def test_old_encodings_are_guessed(tmp_path: Path, encoding: str, text: str) -> None:
    """A lone ü was taken for one sign of thousands, by the guess alone."""
    (tmp_path / "t").write_bytes(f"file,caption\n{text}\n".encode(encoding))
    with pytest.warns(DataWarning):
        found = detect_encoding(tmp_path / "t")
    assert (tmp_path / "t").read_text(encoding=found) == f"file,caption\n{text}\n"


def test_what_is_no_utf8_is_found_late_too(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"a line of ASCII\n" * 200_000 + "Tür".encode("cp1252"))
    with pytest.warns(DataWarning, match="cp1252"):
        assert lines_of(tmp_path / "t")[-1] == "Tür"
    (tmp_path / "t").write_bytes(("ü" * (1 << 20) + "x").encode())  # a sign across two blocks
    assert detect_encoding(tmp_path / "t") == "utf-8"


@pytest.mark.parametrize("name", ["t.jsonl", "t.parquet"])
def test_values_that_say_nothing(tmp_path: Path, name: str) -> None:
    rows = [
        {"File_Name": "a\\b.wav", "captions": "nan", "label": "None", "split": "N/A"},
        {"File_Name": "c.wav", "captions": "None of them barks", "label": None, "split": "test"},
        {"File_Name": "null", "captions": "x", "label": "y", "split": None},
    ]
    if name == "t.parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / name)
    else:
        (tmp_path / name).write_bytes("\r\n".join(map(json.dumps, rows)).encode("utf-16"))
    manifest = open_manifest(tmp_path / name)
    assert [(i.key, i.captions, i.labels, i.split) for i in manifest] == [
        ("a/b.wav", (), (), None), ("c.wav", ("None of them barks",), (), "test"),
    ]  # fmt: skip
    assert [f.error for f in manifest.failed] == ["names no file; fill it in, or remove the row"]


def test_lists_of_values_that_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps({"path": "a.wav", "caption_1": ["NaN", "rain"], "caption_2": "-"}))
    assert said(tmp_path / "t.jsonl") == [("a.wav", ("rain",), ())]


def test_columns_by_number_and_the_first_kind_alone(tmp_path: Path) -> None:
    """Clotho's five captions; a transcript beside them is no caption."""
    text = "file_name,caption_1,caption_2,caption_3,caption_4,caption_5,text,caption_1\na.wav,1,2,3,4,5,words,6\n"
    (tmp_path / "t.csv").write_text(text)
    assert said(tmp_path / "t.csv") == [("a.wav", ("1", "2", "3", "4", "5", "6"), ())]
    assert find_columns(("path", "File")).file == "File"
    assert find_columns(("note", "wav path")).file == "wav path"


def test_numbers_with_a_decimal_comma(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file;seconds;fold\na.wav;4,25;1,0\nb.wav;4.25;2\nc.wav;1.234,5;1,5\n")
    found = [(item.seconds, item.fold) for item in open_manifest(tmp_path / "t.csv")]
    assert found == [(4.25, "1"), (4.25, "2"), (None, "1,5")]


def test_a_cell_of_several_lines(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b'file;caption\r\na.wav;"one\r\ntwo"\r\nb.wav;x;y\r\n')
    manifest = open_manifest(tmp_path / "t.csv")
    assert [item.captions for item in manifest] == [("one\r\ntwo",)]
    assert [f.path.rpartition(": ")[2] for f in manifest.failed] == ["line 4"]


@pytest.mark.parametrize("kept", ["NFC", "NFD"])
@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_a_name_is_found_in_any_form(tmp_path: Path, kept: Form, written: Form) -> None:
    """macOS writes é as two signs; a table made there named nothing on other disks."""
    name = unicodedata.normalize(kept, "été/où/ça.wav")
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(b"x")
    (tmp_path / "t.csv").write_text(f"file,caption\n{unicodedata.normalize(written, name)},a\n{name},b\n", "utf-8")
    (item,) = open_manifest(tmp_path / "t.csv")
    assert (item.captions, item.key) == (("a", "b"), name)
    assert item.read() == tmp_path / name
    assert FileLookup(tmp_path).name_of("där.wav") == "där.wav"  # not there: as it is written


def test_a_file_that_has_a_backslash_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "a\\b.wav").write_bytes(b"x")
    places = FileLookup(tmp_path)
    assert [places.name_of(name) for name in ("a\\b.wav", "a\\c.wav", ".\\d\\..\\e.wav")] == [
        "a\\b.wav",
        "a/c.wav",
        "e.wav",
    ]


@pytest.mark.parametrize(
    ("name", "written", "words"),
    [
        ("t.csv", b"sound name;words\na;b\n", "no column `file`, found sound name, words"),
        ("t.xlsx", b"PK\3\4", r"t\.xlsx: is a workbook; save its sheet as CSV"),
        ("t.csv", b"PK\3\4rest", "is a workbook or a zip"),
        ("t.csv", b"\xd0\xcf\x11\xe0rest", "is a workbook"),
        ("t.csv", b"PAR1rest", "is a Parquet file"),
        ("t.csv", b"\0\1\2\3\xff" * 9, "is no text"),
        ("t.csv", b'file;caption\na;"never closed\n', "after line 1"),
        ("t.jsonl", b'{"fil": "a.wav", "words": "x"}\n', "no row names a file, found fil, words"),
    ],
)
def test_other_tables_are_refused_in_one_sentence(tmp_path: Path, name: str, written: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(written)
    with pytest.raises(DataError, match=words) as told:
        open_manifest(tmp_path / name)
    assert "\n" not in str(told.value)


def test_a_folder_whose_table_is_written_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "Metadata.TSV").write_bytes(TAB.encode())
    assert said(tmp_path) == EXPECTED


@pytest.mark.parametrize("read", [lambda p: read_lines(p, "labels"), read_labels, lambda p: lines_of(p, ("label",))])
def test_lists_of_labels(tmp_path: Path, read: Callable[[Path], list[str]]) -> None:
    """A list from Excel was refused, or held its header and its quotes as labels."""
    expected = ["Vehicle horn, car horn, honking", "Tür"]
    for name, written in (
        ("a.txt", "Vehicle horn, car horn, honking\r\n\r\n Tür \r\n".encode("utf-16")),
        ("b.csv", '"Vehicle horn, car horn, honking"\r\nTür\r\n'.encode("utf-8-sig")),
        ("c.csv", 'number;Label;note\n1;"Vehicle horn, car horn, honking";\n2;Tür;x\n'.encode()),
    ):
        (tmp_path / name).write_bytes(written)
        assert read(tmp_path / name) == expected
    (tmp_path / "d.txt").write_bytes(b"dog\nnan\nN/A\nrain\n")
    with pytest.warns(DataWarning, match="2 that say nothing"):
        assert read(tmp_path / "d.txt") == ["dog", "rain"]
    (tmp_path / "e.csv").write_bytes(b"a,b\n1,2\n")
    with pytest.raises((UsageError, DataError), match=r"no column label.* it has a, b"):
        read(tmp_path / "e.csv")


def test_tables_of_training_of_benchmarks_and_of_words(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("Label;PHRASE\r\ndog;a dog, loud\r\n".encode("utf-16"))
    assert read_phrases([path]) == {"dog": ["a dog, loud"]}
    assert read_texts(path) == ["a dog, loud"]
    with pytest.raises(DataError, match="no column fold; it has"):
        read_records(path, ("label", "fold"))
    assert read_records(path, ("label", "phrase")) == [(2, {"label": "dog", "phrase": "a dog, loud"})]
    path.write_text("label;phrase\ndog\n")
    with pytest.raises(TrainingError, match="line 2 has no phrase"):
        read_phrases([path])
    with pytest.raises(DataError, match="line 2 has no phrase"):
        read_records(path, ("label", "phrase"))
    path.write_bytes("Word;Instead\nhot dog;sausage\n".encode("utf-8-sig"))
    assert make_debiaser(path)("A hot dog") == "A sausage"


def test_a_text_with_commas_is_not_cut(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("label\nVehicle horn, car horn, honking\n")
    with pytest.raises(DataError, match="line 2 has more cells than the 1 columns; put texts with commas in quotes"):
        lines_of(tmp_path / "t.csv", ("label",))
    (tmp_path / "t.csv").write_text("label,phrase\na,b,c\n")
    with pytest.raises(TrainingError, match="line 2 has more cells"):
        read_phrases([tmp_path / "t.csv"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without named pipes")
def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """`--labels-file <(sort labels.txt)`."""
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes("dog\nTür\n".encode()))
    writer.start()
    assert lines_of(tmp_path / "pipe") == ["dog", "Tür"]
    writer.join()


def test_what_is_absent() -> None:
    assert all(map(is_absent, ("", " ", "nan", "NaN", "N/A", "n/a", "None", "NULL", "#N/A", "-", "—")))
    assert not any(map(is_absent, ("None of them", "nano", "a", "0", "no", "--flag")))


def test_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"")
    grid = open_text_table(tmp_path / "t.csv")
    assert (grid.names, list(grid.rows)) == ((), [])
