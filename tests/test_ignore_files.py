"""`.openclapignore` files: what git would leave out, in whatever encoding an editor writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclap.errors import DataWarning
from openclap.library.exclusions import IGNORE_FILE
from openclap.library.scan import find_sounds

FILES = ("x.wav", "a/x.wav", "a/b/x.wav", "a/b/y.wav", "b/x.wav", "b/a/y.wav")


def left(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in find_sounds([root]).files]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("lines", "expected"),  # as `git ls-files --others --exclude-standard` prints
    [
        (["*", "!*/", "!x.wav"], ["a/b/x.wav", "a/x.wav", "b/x.wav", "x.wav"]),  # all folders are looked into
        (["*", "!*.wav", "!*/"], sorted(FILES)),
        (["/*", "!/a/"], ["a/b/x.wav", "a/b/y.wav", "a/x.wav"]),
        (["*", "!a/", "!*.wav"], ["a/x.wav", "x.wav"]),
        (["a/**", "!a/x.wav"], ["a/x.wav", "b/a/y.wav", "b/x.wav", "x.wav"]),
        (["a", "!/a/"], ["a/b/x.wav", "a/b/y.wav", "a/x.wav", "b/x.wav", "x.wav"]),
        (["b/*", "!b/a/"], ["a/b/x.wav", "a/b/y.wav", "a/x.wav", "b/a/y.wav", "x.wav"]),
    ],
)
def test_what_git_leaves_out(root: Path, lines: list[str], expected: list[str]) -> None:
    (root / IGNORE_FILE).write_text("\n".join(lines))
    assert left(root) == expected


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_any_encoding(root: Path, encoding: str) -> None:
    (root / IGNORE_FILE).write_bytes("# meine\r\na/\r\nb/\r\n".encode(encoding))
    assert left(root) == ["x.wav"]


def test_a_code_page_is_guessed_and_told(root: Path) -> None:
    (root / "Möwe.wav").touch()
    (root / IGNORE_FILE).write_bytes("a/\r\nb/\r\nMöwe.wav\r\n".encode("cp1252"))
    with pytest.warns(DataWarning, match="read as cp1252"):
        assert left(root) == ["x.wav"]


def test_what_is_no_text_is_told(root: Path) -> None:
    (root / IGNORE_FILE).write_bytes(b"\xff\xfe\0")
    found = find_sounds([root])
    assert len(found.files) == len(FILES)
    assert ["nothing is left out by it" in failure.error for failure in found.unreadable] == [True]
