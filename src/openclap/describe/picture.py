"""Draws a timeline as a picture: the spectrogram, and under it the labelled spans.

8 kHz ▒▓██▒░░▒▓█▒░░   a mel spectrogram, pooled to the picture's width while the recording is streamed
50 Hz ▓▓▒▒░░▒▒▓▓▒░░
dog        ▆▆▆    ▆    one row for each label, in the order of their first spans
rain  ▆▆▆▆     ▆▆▆
      0:00   0:30  1:00
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.audio.load import Sound
from openclap.describe.spectrogram import FRONT, assign_rows, spectrogram
from openclap.errors import MissingExtra, UsageError
from openclap.results import Span

__all__ = ["check_picture", "draw_timeline"]

RANGE = 60.0  # dB below the loudest that are shown
LETTERS = 60  # the most of a name that is shown
CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
    "Noto Serif CJK JP",
    "Arial Unicode MS",
)
COLOURS = (
    "#4cc9f0",
    "#f72585",
    "#ffd166",
    "#06d6a0",
    "#f8961e",
    "#b388eb",
    "#90be6d",
    "#ef476f",
    "#5e60ce",
    "#c9ada7",
    "#2ec4b6",
    "#ff9f1c",
    "#a0c4ff",
    "#e07a5f",
)
INK, DIM, PAPER, LINES, STRIPE = "#e6e8ee", "#9aa0b4", "#12141c", "#2a2e3d", "#181b26"


def check_picture() -> None:
    """Check that a picture can be drawn, before the work of describing.

    Raises
    ------
    MissingExtra
        matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtra(
            "a picture needs matplotlib: install openclap's extra 'eval' (docs/install.md)  (or leave the .png out)"
        )


def draw_timeline(
    sound: Sound,
    spans: Sequence[Span],
    output: Path,
    *,
    title: str = "",
    begin: float = 0.0,
    end: float | None = None,
    truth: Sequence[Span] = (),
) -> None:
    """Draw a recording and its spans, or the part between `begin` and `end` in seconds, as a .png.

    A span is the brighter the surer it is; where `truth` is given, what was really there is outlined.

    Raises
    ------
    MissingExtra, SoundError
    UsageError
        The picture cannot be written there.
    """
    check_picture()
    from matplotlib.figure import Figure

    mel, seconds = spectrogram(sound)
    seconds = max(spans[-1].end if spans else seconds, 1e-3)  # a recording of one sample has a width as well
    last = min(seconds, end or seconds)
    rows = assign_rows([*spans, *truth])
    figure = Figure(figsize=(14, 3.6 + 0.26 * max(3, len(rows))), facecolor=PAPER, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 0.26 * max(3, len(rows)) + 0.4))
    _draw_spectrogram(above, mel, seconds)
    _draw_spans(below, spans, rows)
    for span in truth:
        row = rows.get(span.label or "", rows.get("others", 0))
        below.broken_barh(
            [(span.start, span.end - span.start)], (row - 0.38, 0.76), facecolor="none", edgecolor=INK, linewidth=0.7
        )
    note = "the brighter a span, the surer" + ("; outlined: what was played" if truth else "")
    below.text(1.0, -0.1, note, transform=below.transAxes, color=DIM, fontsize=8.5, ha="right", va="top")
    below.set_xlim(begin, last)
    _clock_axis(below, last - begin)
    if title:
        above.set_title(
            _plain(title),
            color=INK,
            fontsize=13,
            loc="left",
            pad=10,
            fontweight="bold",
            family=_fonts(),
            parse_math=False,
        )
    try:
        figure.savefig(output, dpi=110, facecolor=PAPER)
    except OSError as error:
        raise UsageError(f"{output} cannot be written ({error.strerror or error}); choose another place") from error


def _draw_spectrogram(axes: Any, mel: npt.NDArray[np.float32], seconds: float) -> None:
    top = float(np.percentile(mel, 99.7))
    axes.imshow(
        mel.T,
        origin="lower",
        aspect="auto",
        extent=(0, seconds, 0, mel.shape[1]),
        cmap="magma",
        vmin=top - RANGE,
        vmax=top,
        interpolation="bilinear",
    )
    marks = (100, 500, 1000, 2000, 5000, 10_000)
    axes.set_yticks([_bin(hz) for hz in marks], [f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz" for hz in marks])
    _quiet_frame(axes)
    axes.tick_params(axis="x", length=0)


def _draw_spans(axes: Any, spans: Sequence[Span], rows: dict[str, int]) -> None:
    for row in range(0, len(rows), 2):
        axes.axhspan(row - 0.5, row + 0.5, color=STRIPE, linewidth=0)
    for span in spans:
        if span.label:
            row = rows.get(span.label, rows.get("others", 0))
            alpha = 0.45 + 0.55 * span.score
            axes.broken_barh(
                [(span.start, span.end - span.start)],
                (row - 0.38, 0.76),
                color=COLOURS[row % len(COLOURS)],
                alpha=alpha,
                linewidth=0,
            )
    axes.set_yticks(range(len(rows)), [_plain(label) for label in rows], family=_fonts(), parse_math=False)
    for tick, row in zip(axes.get_yticklabels(), rows.values(), strict=True):
        tick.set_color(COLOURS[row % len(COLOURS)])
        tick.set_fontweight("bold")
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.grid(axis="x", color=LINES, linewidth=0.8)
    axes.set_axisbelow(True)
    _quiet_frame(axes)


def _clock_axis(axes: Any, seconds: float) -> None:
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    step = next((s for s in (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800) if seconds / s <= 12), 3600)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(
        FuncFormatter(
            lambda at, _: f"{int(at // 60)}:{at % 60:04.1f}" if step < 1 else f"{int(at // 60)}:{int(at % 60):02d}"
        )
    )
    axes.set_xlabel("min:sec", color=DIM, fontsize=9)


def _quiet_frame(axes: Any) -> None:
    axes.set_facecolor(PAPER)
    axes.tick_params(colors=INK, labelsize=9, length=3)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _bin(hz: float) -> float:
    """The place of a frequency among the mel bins, on the HTK mel scale."""
    mel = [2595 * np.log10(1 + f / 700) for f in (FRONT.f_min, FRONT.f_max, hz)]
    return float((mel[2] - mel[0]) / (mel[1] - mel[0]) * FRONT.mel_bins)


def _fonts() -> list[str]:
    """The default font, followed by the installed ones with Chinese characters."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in CHINESE_FONTS if name in installed)]


def _plain(text: str) -> str:
    """A text on one line, cut to the room there is, without lone surrogates, which no font can show."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return line if len(line) <= LETTERS else f"{line[: LETTERS - 1]}…"
