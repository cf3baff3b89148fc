"""HTSAT as a graph (see `openclap.models.htsat` and `openclap.models.swin`).

Patches lie in the order of the windows of their block. One gather between two blocks reorders them from the windows of
one to those of the next, so that folding, shifting, windowing and merging move nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from openclap.backends.graphs.engine import opset, ov
from openclap.backends.graphs.fusion import LOCAL, VIEWS, fuse_mels, fuse_tokens, select_rows
from openclap.backends.graphs.ops import Array, Graph, Node
from openclap.config import CLAPConfig, HTSATConfig

__all__ = ["htsat"]

Order = npt.NDArray[np.intp]
NEVER = -100.0  # added to the scores of patches that are no neighbours in a shifted window
CUBIC = -0.75  # the coefficient of bicubic interpolation


def htsat(g: Graph, config: CLAPConfig) -> object:
    """The graph: mels (B, V, T, F) in dB, and `longer` (B,) for models with a fusion → (B, E)."""
    audio, front = config.audio, config.front_end
    assert isinstance(audio, HTSATConfig)
    views = 1 if config.fusion is None else VIEWS
    mel = opset.parameter([-1, views, front.clip_frames, front.mel_bins], np.float32, "mel")
    inputs = [mel]
    folds = audio.image // front.mel_bins
    stretch = _stretch(front.clip_frames, folds * audio.image)
    scale, shift = g.batch_norm("audio.batch_norm")

    def pixels(level: Node) -> Node:
        """Normalised (B, V, T, F) → (B * V, frames * F), stretched to the image's frames."""
        if stretch is not None:
            level = opset.matmul(g.number(stretch), level, False, False)
        return g.reshape(level, -1, folds * audio.image * front.mel_bins)

    level = mel * g.number(scale) + g.number(shift)
    if config.fusion is None:
        x = _patches(g, pixels(level), config)
    else:
        longer = opset.parameter([-1], np.bool_, "longer")  # of a channel map not used: all rows are alike
        inputs.append(longer)
        x = _fused_patches(g, level, longer, pixels, config)
    x = g.layer_norm(x, "audio.patches.norm") if audio.patch_norm else x
    x, order = _stages(g, x, audio)
    x = g.layer_norm(x, "audio.norm")
    if audio.last_side % folds == 0:  # else no row of patches belongs to one quarter of the time alone
        g.marked["frames"] = _frames(g, x, order, folds)
    x = g.mean(x, 1)
    return ov.Model([g.projection(x, "audio_projection", config)], inputs, "audio")


# -- patches -----------------------------------------------------------------------------------------


def _fused_patches(g: Graph, level: Node, longer: Node, pixels: Callable[[Node], Node], config: CLAPConfig) -> Node:
    """Normalised views (B, 4, T, F) → tokens (B, side * side, D): a channel map, or a 1-D or 2-D fusion."""
    assert config.fusion is not None
    kind, _, dimensions = config.fusion.partition("_")
    if config.fusion == "channel_map":
        return _patches(g, pixels(level), config)
    if dimensions == "1d":
        return _patches(g, pixels(fuse_mels(g, config.fusion, level, longer)), config)
    x = _patches(g, pixels(g.part(level, 0, 1)), config)
    local = _local_patches(g, pixels(g.part(level, 1, VIEWS)), config)
    return select_rows(g, longer, fuse_tokens(g, kind, x, local, "audio.patches.fusion"), x)


def _patches(g: Graph, pixels: Node, config: CLAPConfig) -> Node:
    """Pixels (B * V, …) → tokens (B, side * side, D), in rows of the image."""
    audio, channels = config.audio, VIEWS if config.fusion == "channel_map" else 1
    assert isinstance(audio, HTSATConfig)
    size = audio.patch * audio.patch
    at = _patch_pixels(config, audio.patch, audio.patch)  # (patches, pixels of one)
    cut = g.reshape(g.take(pixels, at.reshape(-1)), -1, channels, len(at), size)
    cut = g.reshape(g.transpose(cut, 0, 2, 1, 3), 0, 0, channels * size)
    weight = g.weights["audio.patches.project.weight"].reshape(audio.width, -1)
    return g.product(cut, weight, g.weights["audio.patches.project.bias"])


def _local_patches(g: Graph, pixels: Node, config: CLAPConfig) -> Node:
    """Pixels of the local views (B * 3, …) → tokens (B, side * side, D): the views side by side, zeros at the end."""
    audio = config.audio
    assert isinstance(audio, HTSATConfig)
    side, width = audio.image // audio.patch, audio.width
    at = _patch_pixels(config, audio.patch, LOCAL * audio.patch)
    across = len(at) // side  # 21 of the 64 columns for each view
    cut = g.reshape(g.take(pixels, at.reshape(-1)), -1, len(at), at.shape[1])
    weight = g.weights["audio.patches.local_project.weight"].reshape(width, -1)
    tokens = g.product(cut, weight, g.weights["audio.patches.local_project.bias"])
    tokens = g.transpose(g.reshape(tokens, -1, LOCAL, side, across, width), 0, 2, 1, 3, 4)
    tokens = g.reshape(tokens, -1, side, LOCAL * across, width)
    end = g.index([0, 0, side - LOCAL * across, 0])
    tokens = opset.pad(tokens, g.index([0, 0, 0, 0]), end, "constant", g.number(0))
    return g.reshape(tokens, 0, side * side, width)


def _patch_pixels(config: CLAPConfig, high: int, wide: int) -> Order:
    """The places in (frames, F) of the pixels of each patch of the folded image, (patches, high * wide)."""
    assert isinstance(config.audio, HTSATConfig)
    image, bins = config.audio.image, config.front_end.mel_bins
    row, column = np.mgrid[:image, : image // wide * wide]
    place = (row // bins * image + column) * bins + row % bins  # bin f of time quarter k is row k * F + f
    return place.reshape(image // high, high, image // wide, wide).transpose(0, 2, 1, 3).reshape(-1, high * wide)


def _stretch(frames: int, target: int) -> Array | None:
    """The matrix (target, frames) of bicubic interpolation with aligned corners; None where none is needed."""
    assert frames <= target, f"at most {target} frames fit the image, not {frames}"
    if frames == target:
        return None
    at = np.arange(target) * ((frames - 1) / (target - 1))
    below = np.floor(at).astype(int)
    matrix = np.zeros((target, frames))
    for tap in (-1, 0, 1, 2):
        d = np.abs(at - below - tap)
        near = ((CUBIC + 2) * d - (CUBIC + 3)) * d * d + 1
        far = ((CUBIC * d - 5 * CUBIC) * d + 8 * CUBIC) * d - 4 * CUBIC
        np.add.at(matrix, (np.arange(target), np.clip(below + tap, 0, frames - 1)), np.where(d <= 1, near, far))
    return matrix.astype(np.float32)


# -- swin --------------------------------------------------------------------------------------------


def _stages(g: Graph, x: Node, audio: HTSATConfig) -> tuple[Node, Order]:
    """All swin blocks with the merges between their stages: tokens (B, N, D) → those of the last, and their order."""
    side = audio.image // audio.patch
    order: Order = np.arange(side * side)  # token n is patch order[n]
    for stage, depth in enumerate(audio.depths):
        width = audio.width << stage
        window = min(audio.window, side)
        for block in range(depth):
            name = f"audio.stages.{stage}.blocks.{block}"
            shift = audio.window // 2 if block % 2 and side > audio.window else 0
            wanted = _windows(side, window, shift)
            x, order = _reorder_patches(g, x, order, wanted), wanted
            normal = g.layer_norm(x, f"{name}.norm1", audio.layer_norm_eps)
            attended = _attention(
                g, normal, f"{name}.attention", audio.heads[stage], window, _mask(side, window, shift)
            )
            x = x + g.reshape(attended, -1, side * side, width)
            normal = g.layer_norm(x, f"{name}.norm2", audio.layer_norm_eps)
            hidden = g.activation(g.linear(normal, f"{name}.mlp.0"), audio.activation)
            x = x + g.linear(hidden, f"{name}.mlp.2")
        if stage + 1 < len(audio.depths):
            name = f"audio.stages.{stage}.merge"
            patches = np.arange(side * side).reshape(side, side)
            # even-even, odd-even, even-odd, odd-odd: four neighbours become one
            four = np.stack([patches[down::2, right::2] for right in (0, 1) for down in (0, 1)], -1).reshape(-1)
            x = _reorder_patches(g, x, order, four)
            side //= 2
            x = g.linear(g.layer_norm(g.reshape(x, -1, side * side, 4 * width), f"{name}.norm"), f"{name}.reduce")
            order = np.arange(side * side)
    return x, order


def _frames(g: Graph, x: Node, order: Order, folds: int) -> Node:
    """Tokens of the last stage (B, N, D) → features of each step of time, the mean over frequency: (B, T', D)."""
    side = int(len(order) ** 0.5)
    at = np.argsort(order).reshape(folds, side // folds, side)  # row r of fold k is patch (k * rows + r, column)
    x = g.take(x, at.transpose(0, 2, 1).reshape(-1))  # by fold, column, row
    return g.mean(g.reshape(x, 0, folds * side, side // folds, g.size(x, 2)), 2)


def _reorder_patches(g: Graph, x: Node, order: Order, wanted: Order) -> Node:
    """Reorder tokens from one order of patches to another."""
    place = np.argsort(order)[wanted]
    return x if (place == np.arange(len(place))).all() else g.take(x, place)


def _windows(side: int, window: int, shift: int) -> Order:
    """The order of patches window by window, after a cyclic shift."""
    rolled = np.roll(np.arange(side * side).reshape(side, side), (-shift, -shift), (0, 1))
    n = side // window
    return rolled.reshape(n, window, n, window).transpose(0, 2, 1, 3).reshape(-1)


def _mask(side: int, window: int, shift: int) -> Array | None:
    """(windows, 1, L, L): 0 for patches that were neighbours before the shift, NEVER for the others."""
    if not shift:
        return None
    band = np.zeros(side, int)
    band[-window:-shift] = 1
    band[-shift:] = 2
    n = side // window
    region = (3 * band[:, None] + band).reshape(n, window, n, window).transpose(0, 2, 1, 3).reshape(n * n, -1)
    return np.where(region[:, None, :, None] == region[:, None, None, :], 0.0, NEVER).astype(np.float32)


def _attention(g: Graph, x: Node, name: str, heads: int, window: int, mask: Array | None) -> Node:
    """Tokens in window order (B, N, D) → (B * windows, L, D)."""
    size = window * window
    weight = g.weights[f"{name}.qkv.weight"]
    inner = len(weight) // 3  # the width of the stage, less in a pruned tower
    weight = weight.reshape(3, inner, -1)
    bias = (
        g.weights[f"{name}.qkv.bias"].reshape(3, inner)
        if f"{name}.qkv.bias" in g.weights
        else np.zeros((3, inner), np.float32)
    )
    scale = (inner // heads) ** -0.5  # of the scores, multiplied into the queries

    def heads_of(which: int, factor: float = 1.0) -> Node:
        y = g.product(x, weight[which] * np.float32(factor), bias[which] * np.float32(factor))
        return g.transpose(g.reshape(y, -1, size, heads, inner // heads), 0, 2, 1, 3)  # (B * windows, H, L, D / H)

    # three products are 5 % faster than one whose result has to be split
    scores = opset.matmul(heads_of(0, scale), heads_of(1), False, True)
    position = g.weights[f"{name}.bias_table"][_relative(window)].transpose(2, 0, 1)[None]  # (1, H, L, L)
    if mask is None:
        scores = scores + g.number(np.ascontiguousarray(position))
    else:
        windows = len(mask)
        scores = g.reshape(scores, -1, windows, heads, size, size) + g.number(position + mask)
        scores = g.reshape(scores, -1, heads, size, size)
    x = opset.matmul(opset.softmax(scores, -1), heads_of(2), False, False)
    return g.linear(g.reshape(g.transpose(x, 0, 2, 1, 3), 0, 0, inner), f"{name}.out")


def _relative(window: int) -> Order:
    """The row of the bias table for every pair of patches of a window, (L, L)."""
    row, column = np.divmod(np.arange(window * window), window)
    down, right = row[:, None] - row + window - 1, column[:, None] - column + window - 1
    return down * (2 * window - 1) + right
