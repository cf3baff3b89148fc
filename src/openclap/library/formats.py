"""Moments and hits → files that other programs open: CSV, JSON, Audacity labels and playlists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from openclap.atomic_write import write_text
from openclap.describe.formats import format_csv
from openclap.errors import UsageError
from openclap.results import Hit, Moment

__all__ = ["FORMATS", "write_moments", "write_moments_of_each", "write_playlist"]

Found: TypeAlias = Sequence[tuple[str, Sequence[Moment]]]  # queries with their moments


def write_moments(moments: Sequence[Moment], output: Path, label: str) -> None:
    """Write moments in the format of the name's ending: .csv, .json, .txt (Audacity labels) or .m3u (a playlist).

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
    make = FORMATS.get(output.suffix.lower())
    if make is None:
        raise UsageError(f"-o {output}: the name must end in {', '.join(FORMATS)} (.txt is for Audacity's labels)")
    write_text(output, make(found))


def write_playlist(hits: Sequence[Hit], output: Path) -> None:
    """Write the whole recordings of hits as an extended M3U in UTF-8, without names that hold a line break.

    Raises
    ------
    UsageError
        Another ending than .m3u or .m3u8, or a file that cannot be written.
    """
    if output.suffix.lower() not in (".m3u", ".m3u8"):
        raise UsageError(f"{output}: a playlist's name must end in .m3u or .m3u8")
    lines = ["#EXTM3U"]
    for hit in hits:
        if _fits_a_line(hit.path):
            lines += [f"#EXTINF:-1,{Path(hit.path).stem}", hit.path]
    write_text(output, "\n".join(lines) + "\n")


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


def _m3u(found: Found) -> str:
    """An extended M3U with the start and stop times that VLC reads, without names that hold a line break."""
    lines = ["#EXTM3U"]
    for label, m in ((label, m) for label, moments in found for m in moments if _fits_a_line(m.path)):
        lines += [
            f"#EXTINF:{max(1, round(m.end - m.start))},{' '.join(label.split())} {m.score:.2f}",
            f"#EXTVLCOPT:start-time={m.start:.3f}",
            f"#EXTVLCOPT:stop-time={m.end:.3f}",
            m.path,
        ]
    return "\n".join(lines) + "\n"


def _fits_a_line(path: str) -> bool:
    return "\n" not in path and "\r" not in path


FORMATS = {".csv": _csv, ".json": _json, ".txt": _audacity, ".m3u": _m3u}
