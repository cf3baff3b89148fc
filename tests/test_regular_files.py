"""What openclap opens by itself must be a file: a pipe of that name is refused, or counts as missing, and is not waited for."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from models_for_tests import small_clap

from openclap import CLAP, Detector, Library, example_store
from openclap.array_cache import ArrayCache
from openclap.backends import compile_cache
from openclap.backends.pe_audio import is_pe_audio
from openclap.catalogue.rows import read_lines, read_rows
from openclap.catalogue.timelines import _read_timeline
from openclap.checkpoints.health import _recall
from openclap.checkpoints.load import load_checkpoint
from openclap.checkpoints.native import read_json
from openclap.checkpoints.torch_files import load_tensors
from openclap.checkpoints.weights import read_safetensors
from openclap.confidence import _load_banks
from openclap.data import open_manifest
from openclap.data.keyword_to_caption import _open_cache
from openclap.errors import BadCheckpoint, DataError, DetectorError, LibraryError, OpenClapError, UsageError
from openclap.eval.kept_rows import KeptRows
from openclap.eval.report import put_section, read_report
from openclap.regular_files import open_regular, read_regular
from openclap.store.sqlite.repair import salvage
from openclap.store.sqlite.vector_cache import VectorCache

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without named pipes")


@contextlib.contextmanager
def pipe_at(path: Path) -> Iterator[None]:
    """A pipe with nobody at its other end; whoever waits for one is set free, and the test fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    waited, over = threading.Event(), threading.Event()

    def set_free() -> None:
        while not over.wait(0.05):
            with contextlib.suppress(OSError):  # nobody reads
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
                waited.set()

    thread = threading.Thread(target=set_free)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not waited.is_set(), f"the pipe {path.name} was opened and waited for"


def as_missing(call: Callable[[Path], Any], value: Any = None) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        found = call(path)
        assert found is None if value is None else found == value

    return check


def refused(call: Callable[[Path], Any], error: type[OpenClapError]) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        with pytest.raises(error, match="pipe"):
            call(path)

    return check


def vectors(path: Path) -> bool:
    return VectorCache(path.parent, "x", 4).load()


def array_cache(path: Path) -> Any:
    cache = ArrayCache(0, 1 << 20, path)
    cache.put("a", {"x": np.zeros(1)})
    return cache.get("a")


def stored_examples(path: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example_store, "examples_folder", lambda key: path.parent)
        assert example_store.count_examples("x") == 0
        example_store.delete_examples_named("x")
        return list(example_store.load_examples("x"))


def kept_rows(path: Path) -> Any:
    return list(KeptRows(path, path.parent, long="windows")._each(small_clap(), [], 1))


OPENED: dict[str, tuple[str, Callable[[Path], None]]] = {
    "compiled model": ("a.blob", as_missing(compile_cache.map_cached)),
    "reference bank": ("a.npz", as_missing(lambda path: _load_banks(path, small_clap()))),
    "health of a checkpoint": ("a.json", as_missing(_recall)),
    "config.json": ("config.json", refused(read_json, BadCheckpoint)),
    "config.json of PE-A": ("config.json", as_missing(lambda path: is_pe_audio(path.parent), False)),
    "safetensors": ("model.safetensors", refused(read_safetensors, BadCheckpoint)),
    "torch file": ("model.bin", refused(load_tensors, BadCheckpoint)),
    "detector": ("a.safetensors", refused(Detector.load, DetectorError)),
    "examples": (example_store.INDEX, refused(stored_examples, DetectorError)),
    "library": ("library.sqlite", refused(lambda path: Library.open(path.parent).stats(), LibraryError)),
    "library of format 1": ("library.npz", refused(lambda path: Library.open(path.parent).stats(), LibraryError)),
    "broken library": ("library.sqlite", lambda path: _os_error(lambda: salvage(path, None))),  # type: ignore[arg-type]
    "generation of vectors": ("current", as_missing(vectors, False)),
    "arrays": ("arrays.sqlite", as_missing(array_cache)),
    "journal of arrays": ("arrays.sqlite-journal", as_missing(lambda path: array_cache(path.with_suffix(".sqlite")))),
    "timeline": ("a.json", as_missing(_read_timeline, {})),
    "descriptions": ("a.json", refused(read_rows, UsageError)),
    "lines of descriptions": ("a.jsonl", refused(read_lines, UsageError)),
    "report": ("a.json", as_missing(lambda path: read_report(path, "x"))),
    "model card": ("card.md", refused(lambda path: put_section(path, "a", "b"), UsageError)),
    "rows of a benchmark": ("rows.sqlite", refused(kept_rows, DataError)),
    "cache of captions": ("captions.sqlite", refused(lambda path: _open_cache(str(path)), DataError)),
    "metadata of a folder": ("Metadata.csv", lambda path: _data_error(path.parent)),
}


def _os_error(call: Callable[[], Any]) -> None:
    with pytest.raises(OSError, match="pipe"):
        call()


def _data_error(folder: Path) -> None:
    with pytest.raises(DataError):
        open_manifest(folder)


@pytest.mark.parametrize("what", OPENED)
def test_a_pipe_is_not_waited_for(what: str, tmp_path: Path) -> None:
    """A pipe in the folder of compiled models hung every start, as did one in a model's or a library's folder."""
    name, check = OPENED[what]
    with pipe_at(tmp_path / name):
        check(tmp_path / name)


def test_a_model_of_pipes(tmp_path: Path) -> None:
    small_clap().save_pretrained(tmp_path / "model")
    load_checkpoint(tmp_path / "model")
    with pipe_at(tmp_path / "model" / "model.safetensors"), pytest.raises(BadCheckpoint, match="pipe"):
        load_checkpoint(tmp_path / "model")


@pytest.mark.parametrize("name", ["library.sqlite-journal", "library.sqlite-wal"])
def test_a_pipe_beside_a_library(name: str, tmp_path: Path) -> None:
    """SQLite opens what lies beside its file under these names, and waited for the pipe's writer."""
    clap = CLAP.from_pretrained("mini-3", threads=1)
    sf.write(tmp_path / "a.wav", np.random.default_rng(0).standard_normal(4800) * 0.1, 48_000)
    library = Library.open(tmp_path / "lib", model=clap)
    library.add(tmp_path / "a.wav")
    library.close()
    with pipe_at(tmp_path / "lib" / name), pytest.raises(LibraryError, match="pipe"):
        Library.open(tmp_path / "lib", model=clap).stats()


def test_a_pipe_as_an_ignore_file(tmp_path: Path) -> None:
    """Indexing a folder with a pipe of this name hung; now it is named among what could not be used."""
    clap = CLAP.from_pretrained("mini-3", threads=1)
    sf.write(tmp_path / "a.wav", np.random.default_rng(0).standard_normal(4800) * 0.1, 48_000)
    with pipe_at(tmp_path / ".openclapignore"):
        report = Library.open(tmp_path / "lib", model=clap).add(tmp_path)
    assert report.added == 1
    assert [Path(failure.path).name for failure in report.failed] == [".openclapignore"]
    assert "pipe" in report.failed[0].error


def test_only_files_are_opened(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("a")
    assert read_regular(tmp_path / "a") == read_regular(tmp_path / "link") == b"abc"
    with open_regular(tmp_path / "a") as file:
        assert os.get_inheritable(file.fileno()) is False
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "b")
    with pytest.raises(OSError, match="pipe or a device"):
        open_regular("/dev/null")


def test_a_pipe_that_takes_the_place_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at a file and its opening it may become a pipe."""
    place = tmp_path / "a"
    place.write_bytes(b"abc")
    true_open = os.open

    def late(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if Path(path) == place and not place.is_fifo():
            place.unlink()
            os.mkfifo(place)
        return true_open(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", late)
    with pytest.raises(OSError, match="pipe"):
        open_regular(place)
