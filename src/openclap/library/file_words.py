"""The path and the tags of a sound file → its words for a store, and facts such as artist and tempo.

    Drums/Kicks/KickDrum_909-120bpm.wav, tags: artist Jo      name     kick drum 909 120 bpm kickdrum
                                                              folders  drum kick
                                                              facts    artist Jo, bpm 120

Only folders below the one that was indexed count: those above it, such as a user's name, are nobody's business. Names
of the Universal Category System, `CATsub_Name_Creator_Source`, also give the words of their category, and the creator.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from openclap.audio.file_tags import FileTags, read_tags
from openclap.file_facts import FACTS
from openclap.store import FileText
from openclap.textfiles import read_records
from openclap.words import text_words

__all__ = ["file_text", "read_text", "text_at"]

FOLDERS = 4  # the innermost ones, whose names count
MOST_WORDS = 300  # of a field
MOST_SIGNS = 200  # of a fact, as it is shown
BPM_IN_NAME = re.compile(r"(?<![\d.])(\d{2,3})[ _-]?bpm(?![a-z])", re.IGNORECASE)
KEY_IN_NAME = re.compile(r"(?<![A-Za-z])([A-G][#b]?(?:min|maj|m))(?![A-Za-z])")  # counts beside a tempo only
CATEGORY = re.compile("([A-Z]{2,5})(?=[A-Z][a-z])[A-Z][A-Za-z]+")


def read_text(path: str, roots: Iterable[str] = ()) -> FileText:
    """The words and facts of a file, whose tags are read; `roots` are the absolute paths of folders that are indexed."""
    return file_text(path, read_tags(path), roots)


def text_at(text: FileText, old: str, new: str) -> FileText:
    """The text of a file that is at another path now: with as many folders as it had, and read anew by another name."""
    before, after = Path(old), Path(new)
    depths = range(FOLDERS + 1)
    depth = next((n for n in depths if _words(_innermost(before, n)) == text.folders), None)
    folders = text.folders if depth is None else _words(_innermost(after, depth))
    return replace(text if before.name == after.name else read_text(new), folders=folders)


def file_text(path: str, tags: FileTags, roots: Iterable[str] = ()) -> FileText:
    """The words and facts of a file at an absolute path."""
    stem, folders = Path(path).stem, _folders_below(path, roots)
    catid, name, creator, source = _ucs_parts(stem)
    catid = catid or tags.catid
    texts = (tags.title, tags.description, tags.keywords, _category_words(catid), tags.category, tags.subcategory)
    said = (*texts, tags.genre, tags.artist or creator, tags.album or source, tags.comment)
    tempo = BPM_IN_NAME.search(stem)
    key = KEY_IN_NAME.search(stem) if tempo else None
    shown = {
        **{name: str(getattr(tags, name, None) or "") for name in FACTS},
        "artist": tags.artist or creator,
        "album": tags.album or source,
        "ucs": catid,
        "bpm": f"{tags.bpm:g}" if tags.bpm else tempo[1] if tempo else "",
        "key": tags.key or (key[1] if key else ""),
    }
    facts = tuple((name, shown[name][:MOST_SIGNS]) for name in FACTS if shown[name])
    return FileText(_words([name]), _words(folders), _words(said), facts)


def _innermost(path: Path, count: int) -> list[str]:
    """The names of so many folders around a file, the outer ones first."""
    return [folder.name for folder in reversed(list(path.parents)[:count])]


def _words(texts: Iterable[str]) -> str:
    return " ".join(text_words(texts).split(" ")[:MOST_WORDS])


def _folders_below(path: str, roots: Iterable[str]) -> list[str]:
    """The names of the innermost folders between a file and the outermost of the roots that it lies in."""
    around = [root for one in roots if path.startswith(root := one.rstrip(os.sep) + os.sep)]
    return list(Path(path[len(min(around, key=len)) :]).parent.parts[-FOLDERS:]) if around else []


def _ucs_parts(stem: str) -> tuple[str, str, str, str]:
    """The category, name, creator and source in a name of the Universal Category System; others are a name alone."""
    first, *rest = stem.split("_")
    catid = first.partition("-")[0]
    if not rest or not _category_words(catid):
        return "", stem, "", ""
    name, creator, source = (*rest, "", "")[:3]
    return catid, " ".join([name, *rest[3:]]), creator, source


def _category_words(catid: str) -> str:
    found = CATEGORY.fullmatch(catid)
    table = _ucs_table() if found else {}
    return f"{table[found[1]]} {table.get(catid, '')}" if found and found[1] in table else ""


@lru_cache(1)
def _ucs_table() -> dict[str, str]:
    """The words of categories, `AMB`, and of some subcategories, `AMBForst`."""
    return {row["id"]: row["words"] for _, row in read_records(Path(__file__).with_name("ucs.csv"), ("id", "words"))}
