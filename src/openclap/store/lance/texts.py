"""The words of files in LanceDB: as columns of their windows, as conditions, and files found by them.

words   " kick 909 | drum | dry | artist·john bpm·120 "   name, folders, tags and facts; on every window, for conditions
facts   [["artist", "John"], ["bpm", "120"]]              as they are shown
named   as words, on the first window alone: LanceDB's full-text index then counts files
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from lancedb.query import MatchQuery

from openclap.file_facts import tokens_of_facts
from openclap.store.lance.conditions import any_of, has_words
from openclap.store.path_patterns import text_to_path
from openclap.store.records import FileText, WordMatch
from openclap.store.validation import BrokenValue, validate_path, validate_text

__all__ = ["NAMED", "TEXT", "find_matches", "has_texts", "rank_matches", "row_to_text", "text_to_columns"]

TEXT = ["words", "facts"]
NAMED = "named"
MATCHES_EACH, MATCHES_LEAST = 10, 1_000  # matches that are ranked for each one asked for
OF_NAME = 0.5  # how much more a word of the name counts than one of folders or tags


def has_texts(table: Any) -> bool:
    """Whether a table of windows has columns for texts; one of format 1 or 2 has none."""
    return NAMED in table.schema.names


def text_to_columns(text: FileText | None, number: int) -> dict[str, str | None]:
    """The columns of a text for the window of this number."""
    if text is None:
        return dict.fromkeys([*TEXT, NAMED])
    words = f" {text.name} | {text.folders} | {text.tags} | {tokens_of_facts(text.facts)} "
    return {"words": words, "facts": json.dumps(text.facts), NAMED: None if number else words}


def row_to_text(row: Mapping[str, Any]) -> FileText | None:
    """The text of a row with the columns TEXT; None where nobody has read it."""
    if row.get("words") is None:
        return None
    if not isinstance(row["words"], str) or row["words"].count("|") != 3:
        raise BrokenValue("the words of a file are no text")
    name, folders, tags, _ = (part.strip() for part in row["words"].split("|"))
    return validate_text(name, folders, tags, row["facts"])


def find_matches(table: Any, words: Sequence[str], k: int, condition: str) -> list[dict[str, Any]]:
    """Rows with the columns path and words that have one of the words, from which the k best are ranked.

    With a full-text index these are the best by LanceDB's measure (BM25), with rows that are newer than the index.
    """
    if not any(NAMED in index.columns for index in table.list_indices()):
        found = table.search().where(f"{condition} AND {any_of([*map(has_words, words)])}")
        return list(found.select(["path", "words"]).limit(None).to_list())
    found = table.search(MatchQuery(" ".join(words), NAMED), query_type="fts").where(condition, prefilter=True)
    return list(found.select(["path", "words", "_score"]).limit(max(MATCHES_EACH * k, MATCHES_LEAST)).to_list())


def rank_matches(rows: Sequence[Mapping[str, Any]], words: Sequence[str], k: int, files: int) -> list[WordMatch]:
    """The k best rows of `find_matches`, as `Store.match_words` gives them; the store holds so many files."""
    asked = list(dict.fromkeys(words))
    found = []
    for row in rows:
        text = str(row["words"])
        has = [word for word in asked if f" {word} " in text[: text.rfind("|")]]
        found.append((row["path"], text[: text.find("|")], has))
    counts = {word: sum(word in has for *_, has in found) for word in asked}
    rarity = {word: float(np.log1p(files / max(1, count))) for word, count in counts.items()}
    ranked = []
    for path, name, has in found:
        worth = sum(rarity[word] * (1 + OF_NAME * (f" {word} " in name)) for word in has)
        known = validate_path(text_to_path(path) if isinstance(path, str) else path)
        ranked.append((-len(has), -round(worth, 6), name.count(" "), known, tuple(has)))
    return [WordMatch(path, has) for *_, path, has in sorted(ranked)[:k] if has]
