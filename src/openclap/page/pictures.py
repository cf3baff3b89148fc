"""Bars, waveforms, spectrograms and maps as HTML and SVG strings. Knows nothing of gradio, models or files.

Everything is drawn in the page's own colours (`page.css`) and with the browser's own fonts, so any script can be
written in it. What users wrote goes through `text`, which leaves nothing that a browser or gradio's templates would
take for code.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openclap.clock import clock

__all__ = [
    "Piece",
    "Track",
    "bar",
    "cosine_bar",
    "map_of",
    "painted",
    "spectrogram",
    "text",
    "timeline",
    "tracks",
    "waveform",
]

Numbers = npt.NDArray[np.float32]

# dark blue → violet → orange → light yellow, equally spaced; lightness grows evenly, so it reads in grey as well
RAMP = np.array(
    [
        (8, 10, 36),
        (50, 20, 96),
        (105, 30, 118),
        (163, 45, 110),
        (214, 70, 85),
        (244, 118, 62),
        (253, 180, 80),
        (252, 244, 178),
    ],
    np.float64,
)
RANGE_DB = 80.0  # below the loudest


def text(what: object) -> str:
    """What a user wrote, as text alone: also where a template would look for its braces."""
    escaped = html.escape(str(what), quote=True)
    for sign in "{}$`\\":
        escaped = escaped.replace(sign, f"&#{ord(sign)};")
    return escaped


def bar(share: float, *, label: str = "") -> str:
    """A share in [0, 1]."""
    width = 100 * min(1.0, max(0.0, share))
    return (
        f'<span class="oc-bar" role="img" aria-label="{text(label)}"><i style="left:0;width:{width:.1f}%"></i></span>'
    )


def cosine_bar(cosine: float) -> str:
    """A cosine in [-1, 1]: from the middle to the right, or to the left where it is negative."""
    width = 50 * min(1.0, abs(cosine))
    left = 50.0 if cosine >= 0 else 50 - width
    kind = "" if cosine >= 0 else " oc-minus"
    return (
        f'<span class="oc-bar oc-signed{kind}" role="img" aria-label="{cosine:+.3f}"><i'
        f' style="left:{left:.1f}%;width:{width:.1f}%"></i></span>'
    )


def spectrogram(
    mel: Numbers, seconds: float, edges: Sequence[tuple[float, float]], *, time: str, frequency: str, alt: str
) -> str:
    """A log-mel (T, F) in dB as a picture with axes; `edges` are (Hz, row) of the frequencies to write down."""
    picture = painted(mel)
    width, height, left, below = 640, 200, 52, 44
    out = [
        (
            f'<svg class="oc-picture" viewBox="0 0 {left + width + 14} {height + below + 8}" role="img"'
            f' aria-label="{text(alt)}">'
        ),
        f'<image x="{left}" y="6" width="{width}" height="{height}" preserveAspectRatio="none" href="{picture}"/>',
    ]
    bands = mel.shape[1]
    for hz, row in edges:
        y = 6 + height * (1 - row / bands)
        out.append(f'<text class="oc-axis" x="{left - 5}" y="{y + 4:.1f}" text-anchor="end">{hz / 1000:g}</text>')
    for second in ticks(seconds):
        x = left + width * second / seconds
        out.append(f'<text class="oc-axis" x="{x:.1f}" y="{height + 24}" text-anchor="middle">{second:g}</text>')
    out.append(f'<text class="oc-axis" x="{left + width}" y="{height + 44}" text-anchor="end">{text(time)} →</text>')
    out.append(f'<text class="oc-axis" x="0" y="{height + 44}">↑ {text(frequency)}</text></svg>')
    return "".join(out)


def painted(mel: Numbers) -> str:
    """A log-mel (T, F) in dB as the address of a PNG that holds itself, low bands below."""
    from PIL import Image

    level = np.clip((mel.T[::-1] - mel.max() + RANGE_DB) / RANGE_DB, 0, 1) * 255
    at = np.arange(256) * (len(RAMP) - 1) / 255
    colours = np.stack([np.interp(at, np.arange(len(RAMP)), RAMP[:, i]) for i in range(3)], axis=-1)
    rows = level.astype(np.uint8)
    picture = Image.frombytes("P", (rows.shape[1], rows.shape[0]), rows.tobytes())
    picture.putpalette(colours.astype(np.uint8).tobytes())
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


@dataclass(frozen=True)
class Piece:
    """A named stretch of a recording: seconds, how sure, the token of its sound, what it is called when it plays."""

    start: float
    end: float
    score: float
    token: str
    name: str


def timeline(
    mel: Numbers,
    seconds: float,
    edges: Sequence[tuple[float, float]],
    rows: Sequence[tuple[str, Sequence[Piece]]],
    *,
    alt: str,
) -> str:
    """A log-mel (T, F) over lines of pieces that can be clicked, the brighter the surer; a line a name.

    HTML, so names wrap.
    """
    out = [
        f'<div class="oc-timeline" role="group" aria-label="{text(alt)}"><div class="oc-line"><span class="oc-hertz">'
    ]
    for hz, row in edges:
        out.append(f'<i style="bottom:{100 * row / mel.shape[1]:.1f}%">{hz / 1000:g} kHz</i>')
    out.append(f'</span><span class="oc-track oc-heard"><img alt="" src="{painted(mel)}"></span></div>')
    for number, (name, pieces) in enumerate(rows):
        colour = colour_of(number)
        out.append(
            f'<div class="oc-line"><span class="oc-name" style="color:{colour}">{text(name)}</span><span'
            ' class="oc-track">'
        )
        for one in pieces:
            left, wide = (100 * s / seconds for s in (one.start, one.end - one.start))
            said = f"{one.name} {clock(one.start)}–{clock(one.end)}"
            out.append(
                f'<button type="button" class="oc-piece" data-source="{text(one.token)}" data-name="{text(said)}"'
                f' title="{text(said)}" aria-label="{text(said)}" '
                f'style="left:{left:.3f}%;width:{wide:.3f}%;background:{colour};opacity:{0.4 + 0.6 * one.score:.2f}"></button>'
            )
        out.append("</span></div>")
    out.append('<div class="oc-line oc-clock"><span></span><span class="oc-track">')
    out += [
        f'<i style="left:{100 * at / seconds:.2f}%">{tick(at, seconds)}</i>'
        for at in ticks(seconds)
        if at <= 0.97 * seconds
    ]
    return "".join([*out, "</span></div></div>"])


@dataclass(frozen=True)
class Track:
    """A name's confidences (N,) over time, the one that is written down, and the spans in seconds in which it was heard."""

    name: str
    levels: Numbers
    shown: float
    spans: Sequence[tuple[float, float]]


def tracks(times: Numbers, rows: Sequence[Track], begin: float, end: float, on: float, *, alt: str) -> str:
    """Confidences at `times` (N,) in seconds, a line a name, with what was heard behind and the least confidence `on` dashed. HTML."""
    length = max(end - begin, 1e-3)
    x = np.clip(100 * (times - begin) / length, 0, 100)
    out = [f'<div class="oc-timeline oc-tracks" role="group" aria-label="{text(alt)}">']
    for number, one in enumerate(rows):
        colour = colour_of(number)
        drawn = [f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" style="fill:{colour}" aria-hidden="true">']
        for start, stop in one.spans:
            left, right = (min(max(100 * (at - begin) / length, 0.0), 100.0) for at in (start, stop))
            if right > left:
                drawn.append(f'<rect x="{left:.2f}" y="0" width="{right - left:.2f}" height="100"/>')
        if len(x):
            points = " ".join(f"{a:.2f},{100 * (1 - b):.1f}" for a, b in zip(x, one.levels, strict=True))
            drawn.append(f'<polygon points="{x[0]:.2f},100 {points} {x[-1]:.2f},100"/>')
        drawn.append(f'<line x1="0" x2="100" y1="{100 * (1 - on):.1f}" y2="{100 * (1 - on):.1f}"/></svg>')
        out.append(
            f'<div class="oc-line"><span class="oc-name" style="color:{colour}">{text(one.name)}</span><span'
            f' class="oc-track">{"".join(drawn)}</span><span class="oc-number">{100 * one.shown:.0f} %</span></div>'
        )
    marks = "".join(
        f'<i style="left:{100 * (at - begin) / length:.2f}%">{tick(at, length)}</i>'
        for at in _times_between(begin, end)
    )
    return "".join(
        [*out, f'<div class="oc-line oc-clock"><span></span><span class="oc-track">{marks}</span></div></div>']
    )


def _times_between(begin: float, end: float) -> list[float]:
    """Round times to write down, not at the very end."""
    marks = ticks(end - begin)
    step = marks[1] if len(marks) > 1 else end - begin
    first = np.ceil(begin / step - 1e-6) * step if step else begin
    return [float(at) for at in np.arange(first, end - 0.03 * (end - begin), step)] if step else [begin]


def colour_of(number: int) -> str:
    """A colour a line; by the golden angle, so neighbours differ. Readable on light and dark."""
    return f"hsl({(175 + 137.5 * number) % 360:.0f} 62% 42%)"


def waveform(peaks: Numbers, seconds: float, spans: Sequence[tuple[float, float, str]], *, alt: str) -> str:
    """Peaks (P, 2), least and greatest sample of equal parts, with spans (start, end, label) that can be clicked; first is best."""
    width, height = 1000.0, 150.0
    middle = height / 2
    scale = 0.95 * middle / max(float(np.abs(peaks).max(initial=0.0)), 1e-6)
    x = (np.arange(len(peaks)) + 0.5) * width / max(1, len(peaks))
    top = [f"{a:.1f},{middle - b * scale:.1f}" for a, b in zip(x, peaks[:, 1], strict=True)]
    low = [f"{a:.1f},{middle - b * scale:.1f}" for a, b in zip(x[::-1], peaks[::-1, 0], strict=True)]
    out = [
        (
            f'<svg class="oc-picture oc-wave" viewBox="0 0 {width:g} {height + 26:g}" role="group"'
            f' aria-label="{text(alt)}">'
        ),
        f'<polygon points="{" ".join(top + low)}"/>',
    ]
    for number, (start, end, label) in enumerate(spans):
        left, right = (min(max(s / seconds, 0.0), 1.0) * width for s in (start, end))
        wide = max(right - left, 6.0)
        out.append(
            f'<g class="oc-span" data-play="{number}" tabindex="0" role="button"'
            f' aria-label="{text(label)}"><title>{text(label)}</title><rect x="{min(left, width - wide):.1f}" y="0"'
            f' width="{wide:.1f}" height="{height:g}" rx="3"/><text x="{min(left, width - wide) + wide / 2:.1f}" y="16"'
            f' text-anchor="middle">{number + 1}</text></g>'
        )
    for second in ticks(seconds):
        at = width * second / seconds
        anchor = "start" if second == 0 else "end" if at > 0.96 * width else "middle"
        out.append(
            f'<text class="oc-axis" x="{at:.1f}" y="{height + 18:g}"'
            f' text-anchor="{anchor}">{tick(second, seconds)}</text>'
        )
    out.append("</svg>")
    return "".join(out)


def map_of(places: Numbers, names: Sequence[str], sources: Sequence[str], *, alt: str) -> str:
    """Places (N, 2) as points that can be clicked; the colour follows the place, so that neighbours look alike."""
    low, high = places.min(axis=0), places.max(axis=0)
    at = (places - low) / np.maximum(high - low, 1e-9)
    width, height, edge = 640, 420, 14
    radius = 6.0 if len(places) <= 300 else 4.0 if len(places) <= 1000 else 3.0
    out = [f'<svg class="oc-picture oc-map" viewBox="0 0 {width} {height}" role="group" aria-label="{text(alt)}">']
    for (x, y), name, source in zip(at, names, sources, strict=True):
        hue = 360 * ((np.arctan2(y - 0.5, x - 0.5) / (2 * np.pi)) % 1)
        out.append(
            f'<circle cx="{edge + x * (width - 2 * edge):.1f}" cy="{edge + (1 - y) * (height - 2 * edge):.1f}"'
            f' r="{radius:g}" fill="hsl({hue:.0f} 65% 52%)" data-source="{text(source)}" data-name="{text(name)}"'
            f' tabindex="0" role="button" aria-label="{text(name)}"><title>{text(name)}</title></circle>'
        )
    out.append("</svg>")
    return "".join(out)


def ticks(seconds: float) -> list[float]:
    """Round times to write down, ten at most; fewer where they are longer to write."""
    steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
    step = next((s for s in steps if seconds / s <= (9 if s >= 1 else 6)), steps[-1])
    return [round(i * step, 3) for i in range(int(seconds / step * 1.0001) + 1)]


def tick(at: float, seconds: float) -> str:
    """A time of `ticks` of so many seconds, as fine as they are apart: 1:05, of short sounds 0:00.2."""
    marks = ticks(seconds)
    step = marks[1] if len(marks) > 1 else 1.0
    digits = 0 if step >= 1 else 1 if step >= 0.1 else 2
    return clock(at, digits)
