"""The name of a benchmark comes in; its list of labels goes out, in the index order of the data set.

README.md in this folder names the sources. `NAME.zh` is the list NAME in Chinese, line by line;
AudioSet and ESC-50 are there in German, Spanish, French and Japanese as well (`audioset.de`).
"""

from __future__ import annotations

from pathlib import Path

from openclap.errors import UsageError

__all__ = ["LANGUAGES", "LISTS", "labels"]

LISTS = ("audioset", "esc50", "fsd50k", "gtzan", "urbansound8k", "vggsound")
LANGUAGES = {"zh": LISTS} | dict.fromkeys(("de", "es", "fr", "ja"), ("audioset", "esc50"))


def labels(name: str) -> list[str]:
    """The labels of a data set, one of `LISTS`; with `.zh` after its name, in Chinese, and so on."""
    plain, dot, language = name.partition(".")
    if plain not in LISTS or (dot and plain not in LANGUAGES.get(language, ())):
        raise UsageError(
            f"{name!r} is no list of labels; choose {', '.join(LISTS)}, or one of them with .zh after it,"
            " audioset or esc50 with .de, .es, .fr or .ja"
        )
    return (Path(__file__).parent / f"{name}.txt").read_text(encoding="utf-8").splitlines()
