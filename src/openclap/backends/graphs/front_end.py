"""The front end as a graph: waves at the model's rate, of any length → what an audio tower takes (see `openclap.audio`).

    wave (B, S) ─ filled to a clip ─┬─ windows (B * W, clip) ─ mel (B * W, 1, T, F)            models without a fusion
                                    └─ mel (B, T', F) ─ four views (B, 4, T, F), longer (B,)   models with one

The spectrum is two matrix products, which is as fast as numpy's FFT and six times as fast as ONNX Runtime's STFT. With
n = C a + c and k = k' + A k'', where n_fft = A C:

    X[k] = Σ_c  exp(-2πi c k'' / C) · exp(-2πi c k' / n_fft) · Σ_a  exp(-2πi a k' / A) · window[n] · x[n]

The power of a real signal is symmetric, so k' up to A / 2 is enough, and the mel bank takes the bins in this order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.audio.clips import PAUSE
from openclap.audio.mel import FLOOR, FLOOR_DB, FULL_SCALE, mel_bank
from openclap.backends.graphs.engine import opset
from openclap.backends.graphs.ops import Graph, Node
from openclap.config import FrontEnd
from openclap.errors import ModelError

__all__ = ["clip_views", "log_mels", "window_mels"]

Array = npt.NDArray[Any]
VIEWS = 4


def window_mels(g: Graph, wave: Node, front: FrontEnd) -> tuple[Node, Node]:
    """Waves (B, S) → the mels (B * W, 1, T, F) of their windows, and W: a clip each, half a clip apart."""
    clip, hop = front.clip_samples, front.clip_samples // 2
    if clip != 2 * hop:
        raise ModelError(f"half a clip of {clip} samples is no whole number of them: such a model has no ONNX form")
    filled = fill_clip(g, quantised(g, wave, front), front)
    last = g.length(filled, 1) - g.whole(clip)  # the start of the window that ends with the recording
    before = opset.divide(last + g.whole(hop - 1), g.whole(hop))  # windows that start before it
    end = (before + g.whole(1)) * g.whole(hop)
    halves = g.reshape(g.cut(filled, g.whole(0), end), 0, -1, hop)
    count = g.length(halves, 1)
    pairs = [g.cut(halves, g.whole(0), count - g.whole(1)), g.cut(halves, g.whole(1), count)]
    windows = opset.concat([*pairs], 2)  # (B, W - 1, clip)
    final = opset.unsqueeze(g.cut(filled, last, last + g.whole(clip)), g.index([1]))
    windows = g.reshape(opset.concat([windows, final], 1), -1, clip)
    return opset.unsqueeze(_in_range(g, log_mels(g, windows, front), front), g.index([1])), before + g.whole(1)


def clip_views(g: Graph, wave: Node, front: FrontEnd) -> tuple[Node, Node]:
    """Waves (B, S) → the four views (B, 4, T, F) of each, and whether they are longer than a clip (B,).

    Of a recording that is not, all views are its only one.
    """
    frames = front.clip_frames
    mel = _in_range(g, log_mels(g, fill_clip(g, quantised(g, wave, front), front), front), front)  # (B, T', F)
    total = g.length(mel, 1)
    starts, n = [], total - g.whole(frames - 1)  # of the local views: the middle of each third of 0 … n - 1
    third_start = g.whole(0)
    for i in range(3):
        third = opset.divide(n + g.whole(2 - i), g.whole(3))
        start = third_start + opset.divide(third, g.whole(2))
        starts.append(opset.select(opset.greater(third, g.whole(0)), start, g.whole(0)))
        third_start = third_start + third
    local = [g.cut(mel, start, start + g.whole(frames)) for start in starts]
    views = [opset.unsqueeze(view, g.index([1])) for view in (_squeeze_frames(g, mel, total, frames), *local)]
    longer = opset.greater(total, g.whole(frames))  # (1,)
    batch = opset.gather(opset.shape_of(wave), g.index([0]), g.whole(0))
    mels = g.reshape(opset.concat(views, 1), 0, VIEWS, frames, front.mel_bins)
    return mels, opset.broadcast(longer, batch)


def quantised(g: Graph, wave: Node, front: FrontEnd) -> Node:
    """As `openclap.audio.mel.quantise_wave`."""
    if front.quantise is None:
        return wave
    steps = opset.clamp(wave, -1.0, 1.0) * g.number(FULL_SCALE)
    return opset.convert(opset.convert(steps, "i32"), "f32") / g.number(FULL_SCALE)  # truncated toward 0


def fill_clip(g: Graph, wave: Node, front: FrontEnd) -> Node:
    """As `openclap.audio.clips.pad_wave`: waves (B, S) → (B, S or a clip, whichever is more)."""
    clip = g.whole(front.clip_samples)
    if front.padding == "spaced":
        wave = _with_pause(g, wave, front.sampling_rate)
    size, in_part = g.length(wave, 1), front.padding in ("repeat", "spaced")
    if front.padding != "pad":
        up = g.whole(front.clip_samples - 1) + size if in_part else clip
        copies = opset.maximum(opset.divide(up, size), g.whole(1))
        wave = opset.tile(wave, opset.concat([g.index([1]), copies], 0))
        if in_part:
            return g.cut(wave, g.whole(0), opset.maximum(size, clip))
    missing = opset.maximum(clip - g.length(wave, 1), g.whole(0))
    return opset.pad(wave, g.index([0, 0]), opset.concat([g.index([0]), missing], 0), "constant", g.number(0))


def _with_pause(g: Graph, wave: Node, rate: int) -> Node:
    """As `openclap.audio.clips.with_pause`."""
    left = opset.maximum(g.whole(rate) - g.length(wave, 1), g.whole(0))
    pause = opset.minimum(g.whole(round(PAUSE * rate)), left)
    return opset.pad(wave, g.index([0, 0]), opset.concat([g.index([0]), pause], 0), "constant", g.number(0))


def log_mels(g: Graph, wave: Node, front: FrontEnd) -> Node:
    """As `openclap.audio.mel.log_mel`: waves (B, S), at least half a frame long → (B, T, F)."""
    n_fft, hop = front.n_fft, front.hop
    columns = _columns(n_fft)
    rows, block = n_fft // columns, math.gcd(columns, hop)
    pad = g.index([0, n_fft // 2])
    padded = opset.pad(wave, pad, pad, "reflect")
    frames = opset.divide(g.length(padded, 1) - g.whole(n_fft), g.whole(hop)) + g.whole(1)
    padded = g.cut(padded, g.whole(0), (frames - g.whole(1)) * g.whole(hop) + g.whole(n_fft))
    blocks = g.reshape(padded, 0, -1, block)
    first = opset.range(g.index(0), g.reshape(frames), g.index(1), "i64") * g.whole(hop // block)
    place = opset.unsqueeze(first, g.index([1])) + g.index(np.arange(n_fft // block)[None])  # (T, blocks of a frame)
    cut = g.reshape(opset.gather(blocks, place, g.whole(1)), 0, 0, rows, columns)
    power = _power(g, cut * g.number(_window(front).reshape(rows, columns)), rows, columns)
    mel = opset.matmul(power, g.number(_bank_by_rows(front, rows, columns)), False, False)
    return opset.log(opset.maximum(mel, g.number(FLOOR))) * g.number(10 / math.log(10))


def _power(g: Graph, frames: Node, rows: int, columns: int) -> Node:
    """Windowed frames (B, T, A, C) → the power of their bins (B, T, K * C), K = A // 2 + 1."""
    n_fft, half = rows * columns, rows // 2 + 1
    along, across = np.arange(half), np.arange(columns)
    inner = _turns(np.outer(along, np.arange(rows)), rows)
    z = opset.matmul(g.number(np.concatenate([inner.real, inner.imag])), frames, False, False)  # (B, T, 2 K, C)
    real, imag = g.part(z, 0, half, 2), g.part(z, half, 2 * half, 2)
    twiddle = _turns(np.outer(along, across), n_fft)
    cos, sin = g.number(twiddle.real), g.number(twiddle.imag)
    both = opset.concat([real * cos - imag * sin, real * sin + imag * cos], 3)  # (B, T, K, 2 C)
    outer = _turns(np.outer(across, across), columns)
    turned = np.block([[outer.real, outer.imag], [-outer.imag, outer.real]])
    spectrum = opset.matmul(both, g.number(turned), False, False)
    square = spectrum * spectrum
    return g.reshape(g.part(square, 0, columns, 3) + g.part(square, columns, 2 * columns, 3), 0, 0, half * columns)


def _bank_by_rows(front: FrontEnd, rows: int, columns: int) -> Array:
    """The mel bank (K * C, F) for bins in the order of `_power`; of a bin that comes twice the first counts."""
    bins = (np.arange(rows // 2 + 1)[:, None] + rows * np.arange(columns)).reshape(-1)
    bins = np.minimum(bins, front.n_fft - bins)
    _, first = np.unique(bins, return_index=True)
    bank = np.zeros((len(bins), front.mel_bins), np.float32)
    bank[first] = mel_bank(front)[bins[first]]
    return bank


def _window(front: FrontEnd) -> Array:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(front.n_fft) / front.n_fft)).astype(np.float32)


def _turns(steps: Array, of: int) -> Array:
    """exp(-2πi steps / of), in float64."""
    turns: Array = np.exp(-2j * np.pi * (steps % of) / of)
    return turns


def _columns(n_fft: int) -> int:
    """The largest divisor of a frame's length that is no more than its root, so that both products are small."""
    return next(c for c in range(math.isqrt(n_fft), 0, -1) if n_fft % c == 0)


def _in_range(g: Graph, mel: Node, front: FrontEnd) -> Node:
    """As `openclap.audio.mel.apply_dynamic_range`, of mels (B, T, F)."""
    if front.dynamic_range is None:
        return mel
    lowest = g.number(-front.dynamic_range)
    peak = opset.reduce_max(mel, g.index([1, 2]), True)
    return opset.select(opset.greater(peak, g.number(FLOOR_DB + 1e-3)), opset.maximum(mel - peak, lowest), lowest)


def _squeeze_frames(g: Graph, mel: Node, total: Node, frames: int) -> Node:
    """As `openclap.audio.clips._resize_frames`, with exact fractions: mels (B, T', F) → (B, frames, F)."""
    odd = g.index(2 * np.arange(frames) + 1)
    place = opset.maximum(odd * total - g.whole(frames), g.whole(0))  # in parts of a frame, 2 * frames of them
    below = opset.divide(place, g.whole(2 * frames))
    above = opset.minimum(below + g.whole(1), total - g.whole(1))
    share = opset.convert(place - below * g.whole(2 * frames), "f32") / g.number(2 * frames)
    share = opset.unsqueeze(share, g.index([0, 2]))
    low, high = (opset.gather(mel, index, g.whole(1)) for index in (below, above))
    return low * (g.number(1) - share) + high * share
