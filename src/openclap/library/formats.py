"""Moments → files that other programs open: CSV, JSON, Audacity labels and playlists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from openclap.atomic_write import write_text
from openclap.describe.formats import format_csv
from openclap.errors import UsageError
from openclap.library.playlist import ENDINGS, moment_entries, save_playlist
from openclap.results import Moment

__all__ = ["FORMATS", "write_moments"]


def write_moments(moments: Sequence[Moment], output: Path, label: str) -> None:
    """Write moments in the format of the name's ending: .csv, .json, .txt (Audacity labels), .m3u or .m3u8 (a playlist).

    Raises
    ------
    UsageError
        Another ending, Audacity labels of several recordings, or a file that cannot be written.
    """
    if output.suffix.lower() in ENDINGS:
        save_playlist(moment_entries(moments, label), output)
        return
    make = FORMATS.get(output.suffix.lower())
    if make is None:
        endings = ", ".join((*FORMATS, *ENDINGS))
        raise UsageError(f"-o {output}: the name must end in {endings} (.txt is for Audacity's labels)")
    write_text(output, make(moments, label))


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


FORMATS = {".csv": _csv, ".json": _json, ".txt": _audacity}
