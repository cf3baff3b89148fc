"""Text files and tables as people's programs write them, in any usual encoding and with any usual separator → texts.

encodings    UTF-8, with or without a byte order mark; UTF-16; otherwise a western, Chinese, Japanese or Russian code
             page of Windows, which charset-normalizer guesses and a warning names
separators   comma, semicolon, tab or bar: the one that a first line `sep=;` names, otherwise the one that gives the
             most known names of columns
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

from openclap.errors import DataError, DataWarning
from openclap.plurals import count_noun
from openclap.warn_caller import warn_caller

if TYPE_CHECKING:
    from charset_normalizer import CharsetMatch

__all__ = [
    "WORKBOOKS",
    "TextTable",
    "detect_encoding",
    "format_csv",
    "guess_code_page",
    "is_absent",
    "normalize_column_name",
    "open_text",
    "open_text_table",
    "read_lines",
    "read_records",
    "reason_of",
]

WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers")
TABLES = (".csv", ".tsv", ".tab")
SEPARATORS = ",;\t|"
# what stands, in lower case, in a cell without a value; the last ones are what people type
ABSENT = frozenset(("", "nan", "-nan", "n/a", "#n/a", "na", "#na", "<na>", "none", "null", "-", "--", "–", "—"))
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
BINARY = ((b"PK\x03\x04", "a workbook or a zip"), (b"\xd0\xcf\x11\xe0", "a workbook"), (b"PAR1", "a Parquet file"))
# code pages of Windows, which Excel's plain "CSV" uses; among more of them, short texts could not be told apart
WESTERN = "cp1252"
OTHERS = ("gb18030", "big5", "cp932", "cp1251")
LETTERS = re.compile("[\u0400-\u04ff]+|[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]+")
BLOCK, SAMPLE = 1 << 20, 1 << 16  # bytes


@dataclass(frozen=True)
class TextTable:
    """A table of texts: the names of its columns as written, and its rows, each with the line on which it ends."""

    names: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]


def normalize_column_name(name: str) -> str:
    """A column's name without case, spaces, `_` and `-`: `File Name`, `file_name` and `filename` are the same."""
    return re.sub(r"[\s_\-]+", "", name.casefold())


def is_absent(cell: str) -> bool:
    """Whether a cell holds no value: it is empty, `nan`, `N/A`, `None`, `NULL` or `-`."""
    return cell.strip().casefold() in ABSENT


@contextmanager
def open_text(path: Path, *, newline: str | None = None) -> Iterator[TextIO]:
    """Open a text file, or a pipe, in whatever encoding for reading.

    Raises
    ------
    DataError
        It cannot be read, or is not a text.

    Warns
    -----
    DataWarning
        It is not in Unicode, so its encoding was guessed.
    """
    try:
        with path.open("rb") if path.is_file() else io.BytesIO(path.read_bytes()) as file:
            encoding = _encoding_of(file, path)
            file.seek(0)
            yield io.TextIOWrapper(file, encoding=encoding, newline=newline)
    except (OSError, UnicodeError) as error:
        raise DataError(f"{path}: {reason_of(error)}; give a text file in UTF-8") from None


def detect_encoding(path: Path) -> str:
    """The encoding of a text file; errors and warnings are those of `open_text`."""
    with open_text(path) as file:
        return str(file.encoding)


def _encoding_of(file: BinaryIO, path: Path) -> str:
    head = file.read(BLOCK)
    mark = next((name for mark, name in MARKS if head.startswith(mark)), None)
    if mark is not None:
        return mark
    what = next((what for magic, what in BINARY if head.startswith(magic)), None)
    if what is not None:
        raise DataError(f"{path}: is {what}, no text; save it as CSV (UTF-8)")
    if b"\0" in head:
        return _guess_encoding(path, head[:SAMPLE])
    odd = _not_utf8(head, file)
    return "utf-8" if odd is None else _guess_encoding(path, odd)


def _not_utf8(head: bytes, file: BinaryIO) -> bytes | None:
    """The lines that are not ASCII around the first place that is not UTF-8; None where all of a file is UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    block = head
    while True:
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            seen: bytes = error.object  # this block, and what was left of the one before
            lines = seen[max(0, error.start - SAMPLE) : error.start + SAMPLE].splitlines()
            return b"\n".join(line for line in lines if not line.isascii())
        if not block:
            return None
        block = file.read(BLOCK)


def _guess_encoding(path: Path, sample: bytes) -> str:
    if b"\0" in sample:
        found = _likely_encodings(sample, ["utf_16_le", "utf_16_be"])
        if not found:
            raise DataError(f"{path}: is no text; save it as CSV or text in UTF-8")
        return found[0]
    guess = guess_code_page(sample)
    warn_caller(
        f"{path}: is not in UTF-8, and read as {guess}; where letters look wrong, save it as UTF-8", DataWarning
    )
    return guess


def guess_code_page(sample: bytes) -> str:
    """The most likely code page of Windows for a text that is not UTF-8; the western one where none is likely."""
    return next(iter(_likely_encodings(sample, [WESTERN, *OTHERS])), WESTERN)


def _likely_encodings(sample: bytes, candidates: list[str]) -> list[str]:
    from charset_normalizer import from_bytes

    return [match.encoding for match in from_bytes(sample, cp_isolation=candidates) if _is_likely(match)]


def _is_likely(match: CharsetMatch) -> bool:
    """Whether a guess is likely: letters of a western text that are wrongly read as Chinese or Russian stand alone."""
    if match.encoding not in OTHERS:
        return True
    runs = [len(run) for run in LETTERS.findall(str(match))]
    return 2 * sum(n for n in runs if n > 1) > sum(runs)


def read_lines(path: Path, columns: Sequence[str] = ()) -> list[str]:
    """Read a list of texts, one a line, without spaces around them; order and repetitions stay.

    Parameters
    ----------
    path
        A text file. Of a .csv or .tsv, the cells of the first of `columns` that it has are read; of a table of one
        column, all cells, whatever its name.
    columns
        Names, as `normalize_column_name` gives them.

    Raises
    ------
    DataError
        It cannot be read, or is a table of several columns without one of these.

    Warns
    -----
    DataWarning
        Lines such as `nan` or `N/A` were left out.
    """
    if path.suffix.lower() in TABLES:
        grid = open_text_table(path, columns)
        names = [normalize_column_name(name) for name in grid.names]
        place = next((names.index(column) for column in columns if column in names), None)
        if place is None and len(names) > 1:
            raise DataError(
                f"{path}: no column {' or '.join(columns)}; it has {', '.join(grid.names)}: rename one, or give one"
                " text a line"
            )
        cells = [row[place or 0] for _, row in _check_widths(path, grid) if len(row) > (place or 0)]
        found = [*(grid.names if place is None else ()), *cells]
    else:
        with open_text(path) as file:
            found = file.read().splitlines()
    texts = [text.strip() for text in found if text.strip()]
    said = [text for text in texts if not is_absent(text)]
    if len(said) < len(texts):
        left = len(texts) - len(said)
        warn_caller(
            f"{path}: {count_noun(left, 'that says', 'that say')} nothing (nan, N/A, None, -)"
            f" {'is' if left == 1 else 'are'} left out",
            DataWarning,
        )
    return said


def open_text_table(path: Path, known: Collection[str] = ()) -> TextTable:
    """Open a table with a header, whatever separates its cells; rows are read when they are asked for.

    Parameters
    ----------
    known
        Names that columns may have, as `normalize_column_name` gives them; they tell which separator is right.

    Raises
    ------
    DataError
        It cannot be read, is not a text, or ends within quotes; raised now, or when rows are read.
    """
    rows = _rows(path, known)
    try:
        _, names = next(rows)
    except StopIteration:
        names = []
    return TextTable(tuple(name.strip() for name in names), rows)


def _rows(path: Path, known: Collection[str]) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of every row that is not blank, the header first."""
    line = 0
    with open_text(path, newline="") as file:
        start = file.read(SAMPLE)
        file.seek(0)
        told = re.match(r"\s*\"?sep=(.)\"?\r?\n", start, re.IGNORECASE)
        if told:
            file.readline()
        reader = csv.reader(file, delimiter=told.group(1) if told else _detect_separator(start, known), strict=True)
        try:
            for row in reader:
                line = reader.line_num + bool(told)
                if any(map(str.strip, row)):
                    yield line, row
        except (UnicodeError, csv.Error) as error:
            where = f"after line {line}, " if line else ""
            raise DataError(f"{path}: {where}{reason_of(error)}; a CSV in UTF-8 is expected") from None


def _check_widths(path: Path, grid: TextTable) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table; refuses one with more cells than columns, as a text with commas without quotes makes it."""
    for line, row in grid.rows:
        if any(map(str.strip, row[len(grid.names) :])):
            raise DataError(
                f"{path}: line {line} has more cells than the {len(grid.names)} columns; put texts with commas in"
                " quotes"
            )
        yield line, row


def _detect_separator(start: str, known: Collection[str]) -> str:
    """The separator that gives the most known names in the header, and of several the most cells."""

    def worth(separator: str) -> tuple[int, int]:
        try:
            header = next((row for row in csv.reader(io.StringIO(start, newline=""), delimiter=separator) if row), [])
        except csv.Error:
            return (0, 0)
        return sum(normalize_column_name(name) in known for name in header), len(header)

    return max(SEPARATORS, key=worth)


def read_records(
    path: Path, columns: Sequence[str], *, optional: Sequence[str] = (), filled: Sequence[str] | None = None
) -> list[tuple[int, dict[str, str]]]:
    """Read a small table → for each row its line, and its cells by column.

    Parameters
    ----------
    columns
        Columns that must be there; rows have them by these names, however the header writes them.
    optional
        Columns that may be there, in the same way. Rows have others by the names of the header.
    filled
        Columns whose cells must not be empty; by default those of `columns`.

    Raises
    ------
    DataError
        As for `open_text_table`; or a column is missing, a cell is empty, a row has more cells than columns.
    """
    grid = open_text_table(path, [normalize_column_name(column) for column in (*columns, *optional)])
    asked = {normalize_column_name(column): column for column in (*columns, *optional)}
    names = [asked.get(normalize_column_name(name), name) for name in grid.names]
    missing = [column for column in columns if column not in names]
    if missing:
        raise DataError(
            f"{path}: no column {', '.join(missing)}; it has {', '.join(names) or 'none'}, and {', '.join(columns)} are"
            " expected"
        )
    found = []
    for line, cells in _check_widths(path, grid):
        row = dict(zip(names, cells, strict=False))
        empty = [column for column in (columns if filled is None else filled) if not row.get(column, "").strip()]
        if empty:
            raise DataError(f"{path}: line {line} has no {', '.join(empty)}; fill it in, or remove the line")
        found.append((line, row))
    return found


def reason_of(error: Exception) -> str:
    """Why something could not be read, in one line."""
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0]


def format_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV; all cells are quoted where one holds a carriage return, which `csv` would leave unquoted."""
    rows = list(rows)
    carriage_return = any(isinstance(cell, str) and "\r" in cell for row in rows for cell in row)
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL if carriage_return else csv.QUOTE_MINIMAL)
    table.writerow(columns)
    table.writerows(rows)
    return out.getvalue()
