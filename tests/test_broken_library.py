"""Libraries that were prepared, or broken: one sentence from every verb, `verify` says what is wrong, `repair` mends what can be."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from libraries_for_tests import fill
from models_for_tests import small_clap

from openclap import CLAP, Library
from openclap.cli import app
from openclap.errors import LibraryError
from openclap.store import open_store

E = 24


@pytest.fixture(scope="module")
def clap(tokenizer_file: Path) -> CLAP:
    return small_clap(tokenizer_file, name="first")


@pytest.fixture(scope="module")
def model(clap: CLAP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    clap.save_pretrained(folder)
    return folder


def vector(**values: float) -> bytes:
    row = np.zeros(E, "<f4")
    row[0] = 1
    for place, value in values.items():
        row[int(place[1:])] = value
    return row.tobytes()


SQLITE: dict[str, tuple[str, list[Any]]] = {
    "infinite times": ("UPDATE windows SET end_seconds = 9e999 WHERE file = 1", []),
    "times before the start": ("UPDATE windows SET start_seconds = -9e999 WHERE file = 1", []),
    "times that are text": ("UPDATE windows SET start_seconds = 'noon' WHERE file = 1", []),
    "an infinite length": ("UPDATE files SET seconds = 9e999 WHERE id = 1", []),
    "a length that is text": ("UPDATE files SET seconds = 'long' WHERE id = 1", []),
    "a negative size": ("UPDATE files SET size = -5 WHERE id = 1", []),
    "a size that is a blob": ("UPDATE files SET size = x'ff00' WHERE id = 1", []),
    "a time that is text": ("UPDATE files SET mtime_ns = 'noon' WHERE id = 1", []),
    "a hash that is a blob": ("UPDATE files SET hash = x'ff' WHERE id = 1", []),
    "no path": ("UPDATE files SET path = '' WHERE id = 1", []),
    "a path that is a number": ("UPDATE files SET path = 7 WHERE id = 1", []),
    "a path with a NUL": ("UPDATE files SET path = ? WHERE id = 1", ["/a\0b.wav"]),
    "a path that is no UTF-8": ("UPDATE files SET path = CAST(x'2fff' AS TEXT) WHERE id = 1", []),
    "a tag that is a blob": ("UPDATE tags SET name = x'ff' WHERE file = 1", []),
    "another width": ("UPDATE windows SET embedding = x'0000803f' WHERE file = 1", []),
    "another width everywhere": ("UPDATE windows SET embedding = x'0000803f'", []),
    "no vector": ("UPDATE windows SET embedding = x'' WHERE file = 1", []),
    "a vector that is text": ("UPDATE windows SET embedding = 'long' WHERE file = 1", []),
    "NaN in a vector": ("UPDATE windows SET embedding = ? WHERE file = 1", [vector(_3=float("nan"))]),
    "an infinite vector": ("UPDATE windows SET embedding = ? WHERE file = 1", [vector(_3=float("inf"))]),
    "a vector of length 9": ("UPDATE windows SET embedding = ? WHERE file = 1", [vector(_0=9.0)]),
    "no windows": ("DELETE FROM windows WHERE file = 1", []),
    "counts that are text": ("UPDATE counts SET files = 'many'", []),
    "no counts": ("DELETE FROM counts", []),
    "a maker that is no JSON": ("UPDATE meta SET value = '{' WHERE name = 'maker'", []),
    "a maker that is a list": ("UPDATE meta SET value = '[1]' WHERE name = 'maker'", []),
    "a maker of brackets": ("UPDATE meta SET value = ? WHERE name = 'maker'", ["[" * 100_000]),
    "a maker without a fingerprint": ("UPDATE meta SET value = '{\"model\": \"x\"}' WHERE name = 'maker'", []),
    "a maker that is a blob": ("UPDATE meta SET value = x'ff' WHERE name = 'maker'", []),
    "no table of files": ("ALTER TABLE files RENAME TO others", []),
    "no column of hashes": ("ALTER TABLE files RENAME COLUMN hash TO other", []),
}  # fmt: skip
BEYOND_MENDING = ("no table of files", "no column of hashes")
STILL_FOUND = ("a vector of length 9", "no windows")  # nothing that a search would stumble over


def broken_in_sqlite(place: Path, kind: str) -> None:
    db = sqlite3.connect(place / "library.sqlite")
    db.execute("PRAGMA ignore_check_constraints = ON")
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        if kind not in BEYOND_MENDING and "tags" in name:
            db.execute(f"DROP TRIGGER {name}")
    db.execute(*SQLITE[kind])
    db.commit()
    db.close()


def windows_of(place: Path) -> Any:
    import lancedb

    db = lancedb.connect(place)
    return next(db.open_table(name) for name in db.list_tables().tables if name.startswith("windows-"))


def _set(column: str, value: str, where: str = "path LIKE '%0.wav'") -> Callable[[Path], None]:
    return lambda place: windows_of(place).update(where, values_sql={column: value})


def _about(**values: Any) -> Callable[[Path], None]:
    def change(place: Path) -> None:
        import lancedb

        lancedb.connect(place).open_table("about").update("key = 'library'", values)

    return change


LANCE: dict[str, Callable[[Path], Any]] = {
    "infinite times": _set("end", "CAST('inf' AS DOUBLE)"),
    "NaN times": _set("start", "CAST('nan' AS DOUBLE)"),
    "no times": _set("start", "NULL"),
    "an infinite length": _set("seconds", "CAST('inf' AS DOUBLE)"),
    "a negative size": _set("size", "-5"),
    "no size": _set("size", "NULL"),
    "no hash": _set("hash", "NULL"),
    "no path": _set("path", "''"),
    "a path that is null": _set("path", "NULL"),
    "a vector of length 9": lambda place: windows_of(place).update("path LIKE '%0.wav'", {"embedding": [9.0] + [0.0] * (E - 1)}),
    "a vector beyond all numbers": lambda place: windows_of(place).update("path LIKE '%0.wav'", {"embedding": [3e38] * E}),
    "no column of hashes": lambda place: windows_of(place).drop_columns(["hash"]),
    "a maker that is no JSON": _about(maker="{"),
    "a maker that is a list": _about(maker="[1]"),
    "a maker without a fingerprint": _about(maker='{"model": "x"}'),
    "a table of another place": _about(windows="../other"),
}  # fmt: skip

VERBS: dict[str, Callable[[Library, Path], Any]] = {
    "search": lambda library, _: library.search("rain", 9, missing=True),
    "search for ever so many": lambda library, _: library.search("rain", 2**70),
    "moments": lambda library, _: library.moments("rain", 9),
    "recommend": lambda library, _: library.recommend(["rain"], k=3),
    "stats": lambda library, _: library.stats(),
    "duplicates": lambda library, _: library.duplicates(),
    "verify": lambda library, _: library.verify(),
    "repair": lambda library, _: library.repair(),
    "export": lambda library, folder: library.export(folder / "all.parquet"),
    "index": lambda library, folder: library.add(folder / "sounds"),
    "paths": lambda library, _: list(library.paths()),
    "recordings": lambda library, _: list(library.recordings()),
    "sample": lambda library, _: library.sample(5),
}


def kinds() -> list[Any]:
    return [pytest.param("lib", kind, id=f"sqlite-{kind}") for kind in SQLITE] + [
        pytest.param("lib.lance", kind, id=f"lance-{kind}") for kind in LANCE
    ]


@pytest.fixture(scope="module")
def whole(clap: CLAP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sounds and a library of each kind, to be copied."""
    folder = tmp_path_factory.mktemp("whole")
    sounds = fill(folder / "sounds")
    for name in ("lib", "lib.lance"):
        library = Library.open(folder / name, model=clap)
        library.add(sounds, tags=["field"])
        library.close()
    return folder


def broken(whole: Path, folder: Path, name: str, kind: str) -> Path:
    import shutil

    shutil.copytree(whole / name, folder / name)
    (folder / "sounds").symlink_to(whole / "sounds")
    if name == "lib":
        broken_in_sqlite(folder / name, kind)
    else:
        LANCE[kind](folder / name)
    return folder / name


@pytest.mark.parametrize(("name", "kind"), kinds())
def test_every_verb_says_it_in_a_sentence(name: str, kind: str, clap: CLAP, whole: Path, tmp_path: Path) -> None:
    place = broken(whole, tmp_path, name, kind)
    refused: dict[str, str] = {}
    for verb, use in VERBS.items():
        if verb == "repair":
            continue
        try:
            found = use(Library.open(place, model=clap), tmp_path)
            json.dumps([one.to_dict() for one in found] if verb.startswith("search") else None, allow_nan=False)
        except LibraryError as error:
            refused[verb] = str(error)
    assert all(len(told) < 600 and "\n" not in told for told in refused.values()), refused
    if kind not in STILL_FOUND:
        assert refused
    try:
        damaged = Library.open(place).verify(hashes=False).damaged
    except LibraryError:
        damaged = ["refused"]
    assert damaged
    if kind in BEYOND_MENDING:
        with pytest.raises(LibraryError):
            Library.open(place).repair()
        return
    done = Library.open(place).repair()
    assert done
    assert open_store(place).check() == []
    library = Library.open(place, model=clap)
    report = library.add(whole / "sounds")
    assert report.failed == []
    assert Library.open(place).verify(hashes=False).damaged == []
    hits = library.search("rain", 99, within=[whole / "sounds"])
    assert len(hits) == 4
    assert library.search("rain", 9, tags=["field"]) or name == "lib"  # there the trigger was taken out


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("lib", "infinite times"),
        ("lib", "a maker that is no JSON"),
        ("lib", "another width"),
        ("lib.lance", "NaN times"),
        ("lib.lance", "a maker that is no JSON"),
    ],
)
def test_every_verb_of_the_command_line(
    name: str, kind: str, whole: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    place = broken(whole, tmp_path, name, kind)
    sound = str(whole / "sounds" / "1.wav")
    with_model = ["--model", str(model)]
    for verb in (
        ["search", "rain", *with_model], ["search", "rain", "-k", "9" * 30, "--missing", "--json", *with_model], ["similar", sound, *with_model],
        ["search", "rain", "--moments", *with_model], ["recommend", "--like", sound, *with_model], ["duplicates"], ["library"],
        ["library", "verify"], ["library", "export", str(tmp_path / "x.parquet")], ["index", str(whole / "sounds"), *with_model],
        ["index", "--reembed", *with_model], ["library", "repair"], ["library", "verify"], ["search", "rain", *with_model],
    ):  # fmt: skip
        monkeypatch.setattr(sys, "argv", ["openclap", *verb, "--library", str(place)])
        with pytest.raises(SystemExit) as left:
            sys.exit(app._run())
        told = capsys.readouterr()
        assert left.value.code in (0, None, 1, 2), (verb, told.err)
        assert "Traceback" not in told.err
        if left.value.code == 2:
            assert told.err.count("error:") == 1, (verb, told.err)
            assert str(place) in told.err, (verb, told.err)
        assert verb[:2] != ["library", "repair"] or left.value.code in (0, None), told.err


def test_a_cache_that_was_prepared_is_made_again(clap: CLAP, whole: Path, tmp_path: Path) -> None:
    import shutil

    right = Library.open(whole / "lib", model=clap).search("rain", 9)
    arrays: dict[str, np.ndarray] = {
        "ids": np.zeros((2, 2), np.int64), "files": np.full(4, -7, np.int64), "vectors": np.zeros((4, E), np.float64),
        "centroids": np.zeros((3, 7), np.float32),
    }  # fmt: skip
    for name, array in arrays.items():
        place = tmp_path / name
        shutil.copytree(whole / "lib", place)
        store = open_store(place)
        store.optimize()
        store.close()
        current = place / "cache" / (place / "cache" / "current").read_text()
        np.save(current / f"{name}.npy", array)
        manifest = json.loads((current / "manifest.json").read_text())
        manifest["coded"] = name == "centroids"
        (current / "manifest.json").write_text(json.dumps(manifest))
        library = Library.open(place, model=clap)
        assert [hit.path for hit in library.search("rain", 9)] == [hit.path for hit in right]
    (place / "cache" / "current").write_text("../../..")
    assert len(Library.open(place, model=clap).search("rain", 9)) == 4


def test_an_export_that_was_prepared(clap: CLAP, whole: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    Library.open(whole / "lib").export(tmp_path / "all.parquet")
    table = pq.read_table(tmp_path / "all.parquet")
    for column, value in {
        "end": float("inf"), "start": float("nan"), "size": -1, "seconds": None, "embedding": [float("nan")] * E, "hash": None, "path": b"", "tags": [None],
    }.items():  # fmt: skip
        index = table.schema.get_field_index(column)
        bad = table.set_column(
            index, table.schema.field(index), pa.array([value] * len(table), table.schema.field(index).type)
        )
        pq.write_table(bad, tmp_path / "bad.parquet")
        with pytest.raises(LibraryError, match="is damaged"):
            Library.open(tmp_path / f"into {column}").import_(tmp_path / "bad.parquet")
    for maker in ("[]", "{}", '{"model": 1}', "9" * 5000):
        about = f'{{"format": "openclap-library", "version": 1, "maker": {maker}}}'
        pq.write_table(table.replace_schema_metadata({"openclap": about}), tmp_path / "bad.parquet")
        with pytest.raises(LibraryError, match="no library that openclap has exported"):
            Library.open(tmp_path / "into none").import_(tmp_path / "bad.parquet")
