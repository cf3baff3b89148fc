"""The name of a benchmark comes in; its list of labels goes out, in the index order of the data set.

README.md in this folder names the sources. `NAME.zh` is the list NAME in Chinese, line by line.
"""

from __future__ import annotations

from pathlib import Path

from openclap.errors import UsageError

__all__ = ["LANGUAGES", "LISTS", "labels"]

LISTS = ("audioset", "esc50", "fsd50k", "gtzan", "urbansound8k", "vggsound")
LANGUAGES = ("zh",)


def labels(name: str) -> list[str]:
    """The labels of a data set, one of `LISTS`; with `.zh` after its name, in Chinese."""
    plain, dot, language = name.partition(".")
    if plain not in LISTS or (dot and language not in LANGUAGES):
        raise UsageError(f"{name!r} is no list of labels; choose {', '.join(LISTS)}, or one of them with .zh after it")
    return (Path(__file__).parent / f"{name}.txt").read_text(encoding="utf-8").splitlines()
