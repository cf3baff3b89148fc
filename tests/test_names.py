"""Names: what looks equal is equal, patterns go by the platform's rules, and what nobody wants is left out."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from libraries_for_tests import RATE
from models_for_tests import small_clap

from openclap import CLAP, Library
from openclap.errors import UsageError
from openclap.library import exclusions
from openclap.library.scan import find_sounds
from openclap.store import File, Recording, SearchFilter, open_store
from openclap.store.path_patterns import anchor_pattern, folder_matcher, path_matcher, regex_of_pattern


@pytest.fixture(scope="module")
def clap(tokenizer_file: Path) -> CLAP:
    return small_clap(tokenizer_file, name="first")


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def sound(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = np.random.default_rng([seed, *os.fsencode(path)]).standard_normal(RATE // 4) * 0.1
    sf.write(path, wave.astype(np.float32), RATE)
    return path


# -- what looks equal --------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [nfc, nfd])
def test_filters_find_what_looks_the_same(place: Path, stored: object) -> None:
    """A pattern typed on Linux found nothing of a folder that came from a Mac."""
    assert callable(stored)
    store = open_store(place)
    paths = [
        stored(path) for path in ("/nas/Café/régen 1.wav", "/nas/Café/が.wav", "/nas/Cafe/x.wav", "/nas/각/한.wav")
    ]
    row = np.eye(1, 8, dtype=np.float32)
    store.put([Recording(File(path, 1, 1, path, 1.0), np.zeros(1), np.ones(1), row) for path in paths])
    store.tag([paths[0]], [stored("nass é")])
    for typed in (nfc, nfd):
        globs = {
            "*/Café/*": paths[:2], "*/régen ?.wav": paths[:1], "*/Caf?/*": paths[:3], "*/Caf[éx]/*": paths[:2], "*/が.wav": paths[1:2],
            "*/?.wav": paths[1:], "*/Cafe/*": paths[2:3], "*/각/*": paths[3:], "*/[é]*": [],
        }  # fmt: skip
        for glob, wanted in globs.items():
            assert sorted(file.path for file in store.files(SearchFilter(path=typed(glob)))) == sorted(wanted), glob
        within = {("/nas/Café",): paths[:2], ("/nas/Café/が.wav", "/nas/Cafe"): paths[1:3], ("/nas/각/",): paths[3:]}
        for folders, wanted in within.items():
            where = SearchFilter(within=tuple(map(typed, folders)))
            assert sorted(file.path for file in store.files(where)) == sorted(wanted), folders
            others = SearchFilter(outside=tuple(map(typed, folders)))
            assert sorted(file.path for file in store.files(others)) == sorted(set(paths) - set(wanted)), folders
            assert {hit.path for hit in store.nearest(row[0], 9, where=where)} == set(wanted)
        assert [file.path for file in store.files(SearchFilter(tags=(typed("nass é"),)))] == paths[:1]


def test_tags_and_patterns_of_a_library(clap: CLAP, place: Path, tmp_path: Path) -> None:
    library = Library.open(place, model=clap)
    library.add(sound(tmp_path / nfd("Café") / "a.wav"), tags=[nfd("é")])
    library.add(tmp_path, tags=[nfc("é")])
    assert [file.tags for file in open_store(place).files()] == [(nfc("é"),)]
    assert len(library.search("rain", glob=nfc("*/Café/*"), tags=[nfd("é")])) == 1
    assert len(library.search("rain", within=[tmp_path / nfc("Café")])) == 1
    assert library.search("rain", glob=nfc("Café")) == []  # the whole path


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("*/rain/*", "C:\\Sounds\\rain\\a.wav", True),
        ("*/RAIN/*", "C:\\Sounds\\rain\\a.wav", True),
        ("*\\rain\\*", "C:\\Sounds\\Rain\\a.wav", True),
        ("C:/Sounds/*", "c:\\sounds\\rain\\a.wav", True),
        ("*/train/*", "C:\\Sounds\\rain\\a.wav", False),
        ("*/r[ai]in/*", "C:\\Sounds\\RAIN\\a.wav", True),
    ],
)
def test_patterns_on_windows(glob: str, path: str, fits: bool) -> None:
    """`--path "*/rain/*"` found nothing there, since the separator is another."""
    assert path_matcher(regex_of_pattern(glob, sep="\\", fold=True))(path) is fits


def test_patterns_elsewhere() -> None:
    def fits(glob: str, path: str) -> bool:
        return path_matcher(regex_of_pattern(glob, sep="/", fold=False))(path)

    assert fits("*/rain/*", "/sounds/rain/a.wav")
    assert not fits("*/RAIN/*", "/sounds/rain/a.wav")
    assert fits("*\\*", "/sounds/a\\b.wav")
    assert not fits("*/rain/*", "/sounds\\rain\\a.wav")
    assert folder_matcher(["C:\\Sounds"], sep="\\", fold=True)("c:\\sounds\\a.wav")
    assert not folder_matcher(["C:\\Sounds"], sep="\\", fold=True)("c:\\sounds2\\a.wav")
    assert folder_matcher(["/"], sep="/", fold=False)("/a")


def test_patterns_that_begin_at_a_root(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [anchor_pattern(glob) for glob in ("rain*", "/a/*", "*.wav", "a/b")] == ["*/rain*", "/a/*", "*.wav", "*/a/b"]
    monkeypatch.setattr(os, "sep", "\\")
    assert [anchor_pattern(glob) for glob in ("C:\\a\\*", "\\\\server\\*", "b\\c")] == [
        "C:\\a\\*",
        "\\\\server\\*",
        "*/b\\c",
    ]


# -- what is left out --------------------------------------------------------------------------------


def test_folders_of_the_system_are_left_out(clap: CLAP, tmp_path: Path) -> None:
    good = sound(tmp_path / "sounds" / "a.wav")
    system = (
        "$RECYCLE.BIN",
        "#recycle",
        "@eaDir",
        "lost+found",
        "System Volume Information",
        ".Trash-1000",
        ".Trashes",
        "@EADIR",
    )
    bad = [sound(tmp_path / "sounds" / "deep" / name / "x" / "b.wav") for name in system]
    sound(tmp_path / "sounds" / "._a.wav")
    assert find_sounds([tmp_path / "sounds"]).files == [good]
    named = tmp_path / "sounds" / "deep" / "@eaDir"
    assert find_sounds([named]).files == [named / "x" / "b.wav"]  # one that is named itself is meant
    library = Library.open(tmp_path / "lib", model=clap)
    library.add([*bad, good], tags=["kept"])  # as an earlier version indexed them
    report = library.add(tmp_path / "sounds")
    assert (report.removed, report.kept_missing, report.unchanged) == (
        len(bad) - 2,
        0,
        1,
    )  # hidden ones were named, and stay


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["outtakes"], ["a.mp3", "a.wav", "b/rain/c.wav", "b/rain/d.tmp.wav"]),
        (["*.tmp.wav", "*.mp3"], ["a.wav", "b/outtakes/e.wav", "b/rain/c.wav"]),
        (["*/rain/*"], ["a.mp3", "a.wav", "b/outtakes/e.wav"]),
        (["b/rain"], ["a.mp3", "a.wav", "b/outtakes/e.wav"]),
        (["b/"], ["a.mp3", "a.wav"]),
        (["*"], []),
        (["rain/d*", "e.wav"], ["a.mp3", "a.wav", "b/rain/c.wav"]),
    ],
)
def test_patterns_to_exclude(patterns: list[str], left: list[str], clap: CLAP, tmp_path: Path) -> None:
    root = tmp_path / "sounds"
    for name in ("a.wav", "a.mp3", "b/outtakes/e.wav", "b/rain/c.wav", "b/rain/d.tmp.wav"):
        sound(root / name) if not name.endswith("mp3") else sf.write(root / name, np.zeros(RATE), RATE)
    found = find_sounds([root], patterns)
    assert [str(path.relative_to(root)) for path in found.files] == left
    library = Library.open(tmp_path / "lib", model=clap)
    assert library.add(root).added == 5
    report = library.add(root, exclude=patterns)
    assert (report.removed, report.kept_missing, report.unchanged) == (5 - len(left), 0, len(left))
    assert library.add(root).added == 5 - len(left)


def test_a_pattern_that_is_none(clap: CLAP, tmp_path: Path) -> None:
    for bad in ("", "/"):
        with pytest.raises(UsageError, match="a pattern to exclude is"):
            Library.open(tmp_path / "lib", model=clap).add(tmp_path, exclude=[bad])


def test_a_file_that_is_named_is_taken(tmp_path: Path) -> None:
    path = sound(tmp_path / "drafts" / "a.wav")
    assert find_sounds([path], ["drafts", "*.wav"]).files == [path]


def test_ignore_files(clap: CLAP, place: Path, tmp_path: Path) -> None:
    root = tmp_path / "sounds"
    for name in (
        "a.wav",
        "b/a.wav",
        "b/keep.wav",
        "c/deep/x.wav",
        "drafts/y.wav",
        f"{nfd('é')}.wav",
        "b/deep/keep.wav",
    ):
        sound(root / name)
    (root / ".openclapignore").write_text(
        f"# mine\n/a.wav\ndrafts/\nc/**\n{nfc('é')}.wav\nkeep.wav\n", encoding="utf-8-sig"
    )
    (root / "b" / ".openclapignore").write_text("*.wav\n!/keep.wav\n")
    found = find_sounds([root])
    assert [str(path.relative_to(root)) for path in found.files] == ["b/keep.wav"]
    assert [str(path.relative_to(root)) for path in find_sounds([root / "b"]).files] == [
        "b/keep.wav"
    ]  # of folders above, too
    library = Library.open(place, model=clap)
    (root / ".openclapignore").rename(tmp_path / "aside")
    library.add(root, tags=["kept"])
    assert library.stats()["files"] == 5
    (tmp_path / "aside").rename(root / ".openclapignore")
    assert library.add(root, keep=True).removed == 0
    report = library.add(root)
    assert (report.removed, report.unchanged, report.kept_missing) == (4, 1, 0)
    (root / ".openclapignore").unlink()
    assert library.add(root).added == 4
    assert len(library.search("rain", 9, tags=["kept"])) == 5


def test_an_ignore_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = sound(tmp_path / "sounds" / "a.wav")
    (tmp_path / "sounds" / exclusions.IGNORE_FILE).mkdir()
    found = find_sounds([tmp_path / "sounds"])
    assert (found.files, [Path(f.path).name for f in found.unreadable]) == ([path], [".openclapignore"])
    (tmp_path / "sounds" / exclusions.IGNORE_FILE).rmdir()
    (tmp_path / "sounds" / exclusions.IGNORE_FILE).write_text("!\nb.wav\n[\n")
    found = find_sounds([tmp_path / "sounds"])
    assert found.files == [path]
    assert all(re.search("line 1 is no pattern", failure.error) for failure in found.unreadable)
