"""Bars, tables and timelines as HTML, in the page's own colours (`page.css`). Knows nothing of gradio, models or files."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openclap.clock import clock
from openclap.describe.spectrogram import spectrogram_png

__all__ = ["Piece", "bar", "bar_table", "card", "cosine_bar", "escape", "progress", "timeline"]


def escape(what: object) -> str:
    """What a user wrote, as text alone: also where one of gradio's templates would look for its braces."""
    escaped = html.escape(str(what), quote=True)
    for sign in "{}$`\\":
        escaped = escaped.replace(sign, f"&#{ord(sign)};")
    return escaped


def card(*parts: str) -> str:
    """A frame around some parts."""
    return f'<div class="oc-card">{"".join(parts)}</div>'


def note(words: str) -> str:
    """A line that explains; nothing where there are no words."""
    return f'<p class="oc-note">{escape(words)}</p>' if words else ""


def bar(share: float) -> str:
    """A share in [0, 1]; its number stands beside it."""
    return f'<span class="oc-bar"><i style="left:0;width:{100 * min(1.0, max(0.0, share)):.1f}%"></i></span>'


def cosine_bar(cosine: float) -> str:
    """A cosine in [-1, 1]: from the middle to the right, or to the left where it is negative."""
    width = 50 * min(1.0, abs(cosine))
    left = 50.0 if cosine >= 0 else 50 - width
    kind = "" if cosine >= 0 else " oc-minus"
    return f'<span class="oc-bar oc-signed{kind}"><i style="left:{left:.1f}%;width:{width:.1f}%"></i></span>'


def progress(words: str, share: float | None = None) -> str:
    """How far something is; without a share a bar that moves."""
    moving = '<span class="oc-bar oc-moving"><i></i></span>'
    return card(f'<p role="status">{escape(words)}</p>', moving if share is None else bar(share))


def bar_table(titles: Sequence[str], rows: Sequence[tuple[str, str, Sequence[str]]]) -> str:
    """A row for each (name, bar, numbers); the second title stands over the bar and the first number."""
    first, second, *others = titles
    head = f'<th scope="col">{escape(first)}</th><th scope="col" colspan="2">{escape(second)}</th>'
    head += "".join(f'<th scope="col">{escape(one)}</th>' for one in others)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="oc-wide">{drawn}</td>'
        + "".join(f'<td class="oc-number">{escape(number)}</td>' for number in numbers)
        + "</tr>"
        for name, drawn, numbers in rows
    )
    return f'<table class="oc-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


@dataclass(frozen=True)
class Piece:
    """A stretch of a recording in seconds, and how sure its name is."""

    start: float
    end: float
    confidence: float


def timeline(
    mel: npt.NDArray[np.float32], seconds: float, rows: Sequence[tuple[str, Sequence[Piece]]], *, title: str
) -> str:
    """A spectrogram in dB (T, F) over lines of pieces, the brighter the surer; a line for each name."""
    picture = base64.b64encode(spectrogram_png(mel.T[::-1])).decode()
    out = [
        f'<div class="oc-timeline" role="img" aria-label="{escape(title)}"><div class="oc-line"><span></span>'
        f'<span class="oc-track oc-heard"><img alt="" src="data:image/png;base64,{picture}"></span></div>'
    ]
    for number, (name, pieces) in enumerate(rows):
        colour = f"hsl({(175 + 137.5 * number) % 360:.0f} 62% 42%)"  # by the golden angle, so that neighbours differ
        out.append(f'<div class="oc-line"><span class="oc-name">{escape(name)}</span><span class="oc-track">')
        for one in pieces:
            left, width = (100 * at / seconds for at in (one.start, one.end - one.start))
            when = f"{name} {clock(one.start)}–{clock(one.end)}"
            out.append(
                f'<i title="{escape(when)}" style="left:{left:.3f}%;width:{width:.3f}%;background:{colour};'
                f'opacity:{0.4 + 0.6 * one.confidence:.2f}"></i>'
            )
        out.append("</span></div>")
    marks = "".join(
        f'<i style="left:{100 * at / seconds:.2f}%">{clock(at, 0)}</i>'
        for at in time_marks(seconds)
        if at <= 0.97 * seconds
    )
    return "".join(
        [*out, f'<div class="oc-line oc-clock"><span></span><span class="oc-track">{marks}</span></div></div>']
    )


def time_marks(seconds: float) -> list[float]:
    """Round times to write below so many seconds, ten at most."""
    step = next((step for step in (1, 2, 5, 10, 30, 60, 120, 300, 600) if seconds / step <= 9), 1800)
    return [float(at) for at in range(0, int(seconds) + 1, step)]
