"""A timeline → files that other programs open: Markdown, CSV, JSON, subtitles. Knows nothing of how the spans were found."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from openclap.errors import UsageError
from openclap.results import Span

__all__ = ["FORMATS", "clock", "write_text", "write_timeline"]

VERSION = 1  # of the JSON


def write_timeline(spans: Sequence[Span], output: Path, name: str) -> None:
    """Write spans by the ending of the name: .md, .csv, .json, .srt, .vtt; `name` is the recording's.

    Raises
    ------
    UsageError
        Another ending, or a file that cannot be written.
    """
    make = FORMATS.get(output.suffix.lower())
    if make is None:
        raise UsageError(f"{output}: a timeline's name must end in {', '.join(FORMATS)} or .png")
    write_text(output, make(spans, name))


def write_text(output: Path, text: str) -> None:
    """Write aside, then rename; a fault is one sentence."""
    aside = output.with_name(output.name + ".part")
    try:
        aside.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
        os.replace(aside, output)
    except OSError as error:
        raise UsageError(f"{output} cannot be written ({error.strerror or error}); choose another place") from error


def clock(seconds: float, *, mark: str = ".") -> str:
    """Seconds as 00:01:02.500."""
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02d}:{whole // 60_000 % 60:02d}:{whole // 1000 % 60:02d}{mark}{whole % 1000:03d}"


def _said(span: Span) -> str:
    """What is heard, on one line, without what subtitles take for markup."""
    names = [tag.label for tag in span.tags] or ([span.label] if span.label else [])
    return ", ".join(" ".join(name.split()) for name in names)


def _markdown(spans: Sequence[Span], name: str) -> str:
    lines = [f"# {_cell(name)}", "", "| from | to | heard | confidence | also |", "|---|---|---|---|---|"]
    for span in spans:
        also = ", ".join(f"{tag.label} {tag.confidence:.0%}" for tag in span.tags[1:])
        sure = f"{span.score:.0%}" if span.label else ""
        lines.append(
            f"| {clock(span.start)} | {clock(span.end)} | {_cell(span.label or '–')} | {sure} | {_cell(also)} |"
        )
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")


def _csv(spans: Sequence[Span], name: str) -> str:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("path", "start", "end", "label", "score", "tags"))
    rows.writerows(
        (name, s.start, s.end, s.label or "", s.score, "; ".join(tag.label for tag in s.tags)) for s in spans
    )
    return out.getvalue()


def _json(spans: Sequence[Span], name: str) -> str:
    made = {
        "format": "openclap timeline",
        "version": VERSION,
        "path": name,
        "spans": [span.to_dict() for span in spans],
    }
    return json.dumps(made, indent=1) + "\n"


def _srt(spans: Sequence[Span], name: str) -> str:
    named = [span for span in spans if span.label]
    return "\n".join(
        f"{i}\n{clock(s.start, mark=',')} --> {clock(s.end, mark=',')}\n{_said(s)}\n" for i, s in enumerate(named, 1)
    )


def _vtt(spans: Sequence[Span], name: str) -> str:
    escaped = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
    cues = [f"{clock(s.start)} --> {clock(s.end)}\n{_said(s).translate(escaped)}\n" for s in spans if s.label]
    return "\n".join(["WEBVTT\n", *cues])


FORMATS: dict[str, Callable[[Sequence[Span], str], str]] = {
    ".md": _markdown, ".csv": _csv, ".json": _json, ".srt": _srt, ".vtt": _vtt,
}  # fmt: skip
