"""The words of files in SQLite's full-text index (FTS5): written, read, and files found by them.

The table `words` holds a row for each file whose text was read, under the file's number. Its words were split before:
it separates them by spaces alone. Words of facts bear the name of the fact (`file_facts`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from openclap.batches import batches
from openclap.file_facts import asked_phrases, tokens_of_facts
from openclap.store.records import FileText, SearchFilter, WordMatch
from openclap.store.sqlite.rows import AT_ONCE, counts_of, key_to_path, path_to_key, placeholders
from openclap.store.validation import BrokenValue, validate_path, validate_text
from openclap.words import split_words

__all__ = [
    "UNREAD",
    "WORDS",
    "delete_file",
    "find_broken_texts",
    "match_words",
    "numbers_of",
    "text_conditions",
    "texts_of",
    "write_text",
]

WORDS = "CREATE VIRTUAL TABLE {}words USING fts5(name, folders, tags, facts, shown UNINDEXED, tokenize = 'ascii');"
UNREAD = "NOT EXISTS (SELECT 1 FROM words WHERE rowid = files.id)"  # the condition that nobody has read a file's texts
TEXTS = "{name folders tags}"  # the columns whose words are those of a file
NAMED = 0.5  # how much more a word of the name counts than one of folders or tags
TIED_MOST = 1_000  # files that are looked up at most, to order ties by name and path
A_WORD = 1_000.0  # more than all words together can be worth by their rarity

Numbers = npt.NDArray[np.int64]


def write_text(db: sqlite3.Connection, number: int, text: FileText) -> None:
    """Write the words of a file, instead of those that it had."""
    db.execute(
        "INSERT OR REPLACE INTO words (rowid, name, folders, tags, facts, shown) VALUES (?, ?, ?, ?, ?, ?)",
        [number, text.name, text.folders, text.tags, tokens_of_facts(text.facts), json.dumps(text.facts)],
    )


def delete_file(db: sqlite3.Connection, key: str | bytes) -> int:
    """Delete the file at a path, with its words → 1, or 0 where there is none.

    No trigger can do that: SQLite trusts none, of whatever file, that change such a table.
    """
    gone = db.execute("DELETE FROM files WHERE path = ? RETURNING id", [key]).fetchall()
    db.executemany("DELETE FROM words WHERE rowid = ?", gone)
    return len(gone)


def texts_of(db: sqlite3.Connection, numbers: Iterable[int]) -> Iterator[tuple[int, FileText]]:
    """The texts of files, those that have one, by number."""
    for some in batches(numbers, AT_ONCE):
        rows = db.execute(
            f"SELECT rowid, name, folders, tags, shown FROM words WHERE rowid IN ({placeholders(some)})", some
        )
        yield from ((number, validate_text(*text)) for number, *text in rows)


def numbers_of(db: sqlite3.Connection, paths: Iterable[str], also: str = "1") -> Iterator[tuple[int, str]]:
    """The numbers and paths of the files at these paths of which a condition holds."""
    for some in batches(map(path_to_key, paths), AT_ONCE):
        wanted = f"path IN ({placeholders(some)}) AND {also}"
        for number, path in db.execute(f"SELECT id, path FROM files WHERE {wanted}", some):
            yield number, validate_path(key_to_path(path))


def find_broken_texts(db: sqlite3.Connection) -> list[int]:
    """The numbers of files whose texts cannot be."""
    bad = []
    texts = "SELECT rowid, name, folders, tags, shown FROM words WHERE rowid IN (SELECT id FROM files)"
    for number, *text in db.execute(texts):
        try:
            validate_text(*text)
        except BrokenValue:
            bad.append(number)
    return bad


def text_conditions(where: SearchFilter) -> Iterator[tuple[str, str]]:
    """The conditions of a filter on texts, each with its value."""
    asked = [f"{TEXTS} : {_quote(' '.join(words))}" for words in map(split_words, where.words) if words]
    for name, value in where.facts:
        column = "folders" if name == "folder" else "facts"
        asked.append(f"{column} : ({' OR '.join(map(_quote, asked_phrases(name, value)))})")
    for query in asked:
        yield "id IN (SELECT rowid FROM words WHERE words MATCH ?)", query


def match_words(
    db: sqlite3.Connection, words: Sequence[str], k: int, allowed: npt.NDArray[np.bool_] | None
) -> list[WordMatch]:
    """The k files with most of the words, as `Store.match_words` gives them; `allowed` is a mask of file numbers."""
    asked = list(dict.fromkeys(words))
    having = [_files_with(db, f"{TEXTS} : {_quote(word)}") for word in asked]
    numbers, places = np.unique(np.concatenate([*having, np.zeros(0, np.int64)]), return_inverse=True)
    if not len(numbers):
        return []
    files = counts_of(db)[0]
    rarity = [np.log1p(files / max(1, len(some))) for some in having]
    worth = np.bincount(places, np.repeat([A_WORD + rare for rare in rarity], [len(some) for some in having]))
    for word, rare, some in zip(asked, rarity, having, strict=True):
        named = _files_with(db, f"name : {_quote(word)}") if len(some) else some
        worth = worth + NAMED * rare * np.isin(numbers, named)
    if allowed is not None:
        kept = allowed[np.minimum(numbers, len(allowed) - 1)] & (numbers < len(allowed))
        numbers, worth = numbers[kept], worth[kept]
    worth = worth.round(6)
    if k < len(worth):
        least = np.partition(worth, -k)[-k]
        best = np.flatnonzero(worth > least)
        tied = np.flatnonzero(worth == least)[:TIED_MOST]
        numbers, worth = numbers[np.concatenate([best, tied])], worth[np.concatenate([best, tied])]
    worth_of = dict(zip(numbers.tolist(), worth.tolist(), strict=True))
    rows = []
    for best_files in batches(worth_of, AT_ONCE):
        wanted = f"words.rowid = id WHERE id IN ({placeholders(best_files)})"
        found = db.execute(f"SELECT id, path, name FROM files JOIN words ON {wanted}", best_files)
        for number, path, name in found:
            rows.append((-worth_of[number], str(name).count(" "), validate_path(key_to_path(path)), number))
    rows = sorted(rows)[:k]
    matched = np.array([np.isin([row[3] for row in rows], files_with) for files_with in having])
    return [
        WordMatch(path, tuple(word for word, has in zip(asked, matched[:, i], strict=True) if has))
        for i, (_, _, path, _) in enumerate(rows)
    ]


def _files_with(db: sqlite3.Connection, query: str) -> Numbers:
    """The numbers of the files that fit a question of FTS5, read as one text, which is five times as fast as rows."""
    (joined,) = db.execute("SELECT group_concat(rowid) FROM words WHERE words MATCH ?", [query]).fetchone()
    return np.fromstring(joined or "", np.int64, sep=",")


def _quote(phrase: str) -> str:
    return '"' + phrase.replace('"', '""') + '"'
