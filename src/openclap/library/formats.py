"""Moments and hits → files that other programs open: CSV, JSON, Audacity labels and playlists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from openclap.atomic_write import write_text
from openclap.describe.formats import format_csv
from openclap.errors import UsageError
from openclap.results import Hit, Moment

__all__ = ["FORMATS", "write_moments", "write_playlist"]


def write_moments(moments: Sequence[Moment], output: Path, label: str) -> None:
    """Write moments in the format of the name's ending: .csv, .json, .txt (Audacity labels) or .m3u (a playlist).

    Raises
    ------
    UsageError
        Another ending, Audacity labels of several recordings, or a file that cannot be written.
    """
    make = FORMATS.get(output.suffix.lower())
    if make is None:
        raise UsageError(f"-o {output}: the name must end in {', '.join(FORMATS)} (.txt is for Audacity's labels)")
    write_text(output, make(moments, label))


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


def _csv(moments: Sequence[Moment], label: str) -> str:
    rows = (
        (m.path, m.start, m.end, round(m.score, 6), label, "" if m.confidence is None else round(m.confidence, 4))
        for m in moments
    )
    return format_csv(("path", "start", "end", "score", "query", "confidence"), rows)


def _json(moments: Sequence[Moment], label: str) -> str:
    return json.dumps({"query": label, "moments": [moment.to_dict() for moment in moments]}, indent=1) + "\n"


def _audacity(moments: Sequence[Moment], label: str) -> str:
    """Audacity's format: start, end and label, separated by tabs, in order of time."""
    if len({moment.path for moment in moments}) > 1:
        raise UsageError(
            "Audacity's labels belong to one recording, and these moments are of several; choose .csv or .m3u"
        )
    plain = " ".join(label.split())
    return "".join(
        f"{m.start:.6f}\t{m.end:.6f}\t{plain} {m.score:.2f}\n" for m in sorted(moments, key=lambda m: m.start)
    )


def _m3u(moments: Sequence[Moment], label: str) -> str:
    """An extended M3U with the start and stop times that VLC reads, without names that hold a line break."""
    plain = " ".join(label.split())
    lines = ["#EXTM3U"]
    for m in (moment for moment in moments if _fits_a_line(moment.path)):
        lines += [
            f"#EXTINF:{max(1, round(m.end - m.start))},{plain} {m.score:.2f}",
            f"#EXTVLCOPT:start-time={m.start:.3f}",
            f"#EXTVLCOPT:stop-time={m.end:.3f}",
            m.path,
        ]
    return "\n".join(lines) + "\n"


def _fits_a_line(path: str) -> bool:
    return "\n" not in path and "\r" not in path


FORMATS = {".csv": _csv, ".json": _json, ".txt": _audacity, ".m3u": _m3u}
