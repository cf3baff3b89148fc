"""Writes a timeline as a file that other programs open: Markdown, CSV, JSON or subtitles."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from openclap.atomic_write import write_text
from openclap.errors import UsageError
from openclap.results import Span
from openclap.textfiles import format_csv

__all__ = ["EXPORTS", "FORMATS", "HEAD", "write_timeline"]

HEAD = {"format": "openclap timeline", "version": 1}  # the first fields of the JSON file


def write_timeline(spans: Sequence[Span], output: Path, name: str) -> None:
    """Write spans in the format of the file's ending: .md, .csv, .json, .srt or .vtt; `name` is the recording's.

    Raises
    ------
    UsageError
        It is another ending, or the file cannot be written.
    """
    make = FORMATS.get(output.suffix.lower())
    if make is None:
        raise UsageError(f"{output}: a timeline's name must end in {', '.join(FORMATS)} or .png")
    write_text(output, make(spans, name))


def format_clock(seconds: float, *, mark: str = ".") -> str:
    """Seconds as text like 00:01:02.500."""
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02d}:{whole // 60_000 % 60:02d}:{whole // 1000 % 60:02d}{mark}{whole % 1000:03d}"


def _cue_text(span: Span) -> str:
    """The labels of a span on one line, without the arrow of a cue's times."""
    names = [tag.label for tag in span.tags] or ([span.label] if span.label else [])
    return ", ".join(" ".join(name.split()) for name in names).replace("-->", "→")


def _markdown(spans: Sequence[Span], name: str) -> str:
    lines = [f"# {_cell(name)}", "", "| from | to | heard | confidence | also |", "|---|---|---|---|---|"]
    for span in spans:
        also = ", ".join(f"{tag.label} {tag.confidence:.0%}" for tag in span.tags[1:])
        sure = f"{span.score:.0%}" if span.label else ""
        lines.append(
            f"| {format_clock(span.start)} | {format_clock(span.end)} | {_cell(span.label or '–')} | {sure} |"
            f" {_cell(also)} |"
        )
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """A text on one line, with everything escaped that Markdown would take for a cell's end, HTML, a link or code."""
    return re.sub(r"([\\|<>\[\]`])", r"\\\1", " ".join(text.split()))


def _csv(spans: Sequence[Span], name: str) -> str:
    rows = ((name, s.start, s.end, s.label or "", s.score, "; ".join(tag.label for tag in s.tags)) for s in spans)
    return format_csv(("path", "start", "end", "label", "score", "tags"), rows)


def _json(spans: Sequence[Span], name: str) -> str:
    return json.dumps({**HEAD, "path": name, "spans": [span.to_dict() for span in spans]}, indent=1) + "\n"


def _srt(spans: Sequence[Span], name: str) -> str:
    named = [span for span in spans if span.label]
    return "\n".join(
        f"{i}\n{format_clock(s.start, mark=',')} --> {format_clock(s.end, mark=',')}\n{_cue_text(s)}\n"
        for i, s in enumerate(named, 1)
    )


def _vtt(spans: Sequence[Span], name: str) -> str:
    escaped = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
    cues = [
        f"{format_clock(s.start)} --> {format_clock(s.end)}\n{_cue_text(s).translate(escaped)}\n"
        for s in spans
        if s.label
    ]
    return "\n".join(["WEBVTT\n", *cues])


def _audacity(spans: Sequence[Span], name: str) -> str:
    return "".join(f"{s.start:.6f}\t{s.end:.6f}\t{_cue_text(s)}\n" for s in spans if s.label)


FORMATS: dict[str, Callable[[Sequence[Span], str], str]] = {
    ".md": _markdown,
    ".csv": _csv,
    ".json": _json,
    ".srt": _srt,
    ".vtt": _vtt,
}
EXPORTS = {**FORMATS, ".txt": _audacity}  # labels of Audacity too
