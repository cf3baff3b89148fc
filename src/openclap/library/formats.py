"""Moments → files that other programs open: CSV, JSON, Audacity labels and playlists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from openclap.atomic_write import write_text
from openclap.errors import UsageError
from openclap.library.playlist import ENDINGS, moment_entries, save_playlist
from openclap.results import Moment
from openclap.textfiles import format_csv

__all__ = ["FORMATS", "write_moments", "write_moments_of_each"]

Found: TypeAlias = Sequence[tuple[str, Sequence[Moment]]]  # queries with their moments


def write_moments(moments: Sequence[Moment], output: Path, label: str) -> None:
    """Write moments in the format of the name's ending: .csv, .json, .txt (Audacity labels), .m3u or .m3u8 (a playlist).

    Raises
    ------
    UsageError
        Another ending, Audacity labels of several recordings, or a file that cannot be written.
    """
    write_moments_of_each([(label, moments)], output)


def write_moments_of_each(found: Found, output: Path) -> None:
    """Write the moments of several queries, each with its name, into one file as `write_moments` does.

    Raises
    ------
    UsageError
        As `write_moments`.
    """
    if output.suffix.lower() in ENDINGS:
        save_playlist([entry for label, moments in found for entry in moment_entries(moments, label)], output)
        return
    make = FORMATS.get(output.suffix.lower())
    if make is None:
        endings = ", ".join((*FORMATS, *ENDINGS))
        raise UsageError(f"-o {output}: the name must end in {endings} (.txt is for Audacity's labels)")
    write_text(output, make(found))


def _csv(found: Found) -> str:
    rows = (
        (m.path, m.start, m.end, round(m.score, 6), label, "" if m.confidence is None else round(m.confidence, 4))
        for label, moments in found
        for m in moments
    )
    return format_csv(("path", "start", "end", "score", "query", "confidence"), rows)


def _json(found: Found) -> str:
    """One query as an object, several as a list of such objects under "queries"."""
    groups = [{"query": label, "moments": [moment.to_dict() for moment in moments]} for label, moments in found]
    return json.dumps(groups[0] if len(groups) == 1 else {"queries": groups}, indent=1) + "\n"


def _audacity(found: Found) -> str:
    """Audacity's format: start, end and label, separated by tabs, in order of time."""
    if len({moment.path for _, moments in found for moment in moments}) > 1:
        raise UsageError(
            "Audacity's labels belong to one recording, and these moments are of several; choose .csv or .m3u"
        )
    lines = [(m.start, m.end, f"{' '.join(label.split())} {m.score:.2f}") for label, moments in found for m in moments]
    return "".join(f"{start:.6f}\t{end:.6f}\t{text}\n" for start, end, text in sorted(lines))


FORMATS = {".csv": _csv, ".json": _json, ".txt": _audacity}
