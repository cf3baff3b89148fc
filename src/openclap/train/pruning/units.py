"""What can be cut of a model: attention heads, MLP rows and channels, by the weights that make and read them.

    rows of `cut`  ──▶  activations of the units  ──▶  columns of the module `reader`
    (one a unit)        its input, along `axis`

A unit goes with its rows, its columns, and whatever else is indexed by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.checkpoints.weight_shapes import REDUCTION
from openclap.config import (
    AUDIO,
    TEXT,
    CLAPConfig,
    HTSATConfig,
    MobileNetConfig,
    PANNConfig,
    TextConfig,
)
from openclap.errors import UsageError

__all__ = ["Keep", "Kind", "Slice", "Units", "smaller", "units_of"]

Kind: TypeAlias = Literal["heads", "mlp", "channels"]
Index: TypeAlias = npt.NDArray[np.intp]
TextNames: TypeAlias = tuple[str, tuple[str, ...], str, tuple[str, str]]

LANES = 16  # numbers of a vector register: maps of fewer channels are not faster, but slower (measured)


@dataclass(frozen=True)
class Keep:
    """The shares that stay, above 0 and up to 1, and which towers are pruned.

    `heads` and `mlp` are of HTSAT and of transformers for text, `channels` of the convolutions of PANN and those inside
    the blocks of MobileNet, whose last linear layers count as `mlp`. What is more than 16 is rounded to multiples of
    16, and no block is cut below 16 channels: that would not be faster.
    """

    heads: float = 0.5
    mlp: float = 0.5
    channels: float = 0.5
    audio: bool = True
    text: bool = True

    def __post_init__(self) -> None:
        for name in ("heads", "mlp", "channels"):
            share = getattr(self, name)
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
                raise UsageError(f"{name}: {share!r} cannot be kept; give a share above 0 and up to 1, like 0.5")
        if not (self.audio or self.text):
            raise UsageError("neither the audio nor the text tower is to be pruned; choose one of them or both")


@dataclass(frozen=True)
class Slice:
    """Where units lie along one axis of a weight: `parts` times one after another, with `size` places for each."""

    name: str
    axis: int = 0
    size: int = 1
    parts: int = 1

    def places(self, kept: Index, count: int) -> Index:
        """The places of the units `kept` out of `count`."""
        part = (kept[:, None] * self.size + np.arange(self.size)).reshape(-1)
        return np.concatenate([part + i * count * self.size for i in range(self.parts)])


@dataclass(frozen=True)
class Units:
    """Units of one kind in one layer, of which the least important are cut."""

    reader: str  # the name of the module that reads them
    kind: Kind
    count: int
    kept: int
    cut: tuple[Slice, ...]  # all that is indexed by units; the first slice makes them
    size: int = 1  # numbers of one unit
    axis: int = -1  # of the units in the input of the reader
    bias: str | None = None  # of the reader; None where a batch norm after it absorbs constants
    norm: str | None = None  # the batch norm after the layer that makes them

    @property
    def columns(self) -> Slice:
        """Where the units lie in the weight of the reader."""
        return Slice(f"{self.reader}.weight", 1, self.size)


def smaller(config: CLAPConfig, keep: Keep) -> CLAPConfig:
    """The configuration of the pruned model."""
    audio, text = config.audio, config.text
    cut_audio, cut_text = AUDIO[audio.kind].load("smaller"), TEXT[text.kind].load("smaller")
    if keep.audio and cut_audio is not None:
        audio = cut_audio(audio, keep)
    if keep.text and cut_text is not None:
        text = cut_text(text, keep)
    same = (audio, text) == (config.audio, config.text)
    name = config.name if same or config.name.endswith("-pruned") else f"{config.name}-pruned"
    return replace(config, audio=audio, text=text, name=name)


def smaller_pann(audio: PANNConfig, keep: Keep) -> PANNConfig:
    widths = tuple(_units_left(w, keep.channels, LANES) for w in audio.widths)
    return replace(audio, widths=widths, output=_units_left(audio.output, keep.mlp) if audio.hidden else widths[-1])


def smaller_mobilenet(audio: MobileNetConfig, keep: Keep) -> MobileNetConfig:
    inside = tuple(_units_left(b.expanded, keep.channels, LANES) if b.widened else b.expanded for b in audio.blocks)
    same = inside == tuple(b.expanded for b in audio.blocks)
    return replace(audio, expanded=audio.expanded if same else inside, output=_units_left(audio.output, keep.mlp))


def smaller_htsat(audio: HTSATConfig, keep: Keep) -> HTSATConfig:
    stages = range(len(audio.depths))
    heads = tuple(_units_left(n, keep.heads) for n in audio.heads)
    rows = tuple(_units_left(audio.mlp_width(stage), keep.mlp) for stage in stages)
    return replace(
        audio,
        heads=heads,
        head_widths=audio.head_widths if heads == audio.heads else tuple(audio.head_width(stage) for stage in stages),
        mlp_rows=audio.mlp_rows if rows == tuple(audio.mlp_width(stage) for stage in stages) else rows,
    )


def smaller_text(text: TextConfig, keep: Keep) -> TextConfig:
    heads = _units_left(text.heads, keep.heads)
    return replace(
        text,
        heads=heads,
        head_width=text.head_width if heads == text.heads else text.head_size,
        intermediate=_units_left(text.intermediate, keep.mlp),
    )


def _units_left(count: int, share: float, least: int = 1) -> int:
    """How many of `count` units stay: whole vector registers where there is more than one."""
    if share == 1:
        return count
    step = LANES if count >= 2 * LANES else 1
    return min(count, max(least, step * math.floor(count * share / step + 0.5)))


def units_of(config: CLAPConfig, pruned: CLAPConfig) -> list[Units]:
    """All units of a model that can be cut, and how many of them the pruned model has."""
    units: list[Units] = []
    of_audio, of_text = AUDIO[config.audio.kind].load("units"), TEXT[config.text.kind].load("units")
    if of_audio is not None:
        units += of_audio(config.audio, pruned.audio, config.fusion)
    if of_text is not None:
        units += of_text(config.text, pruned.text)
    if config.projection == "residual":  # it has no biases
        return [replace(unit, bias=None) if unit.reader == "audio_projection.0" else unit for unit in units]
    return units


def _linear_slices(name: str, **how: int) -> tuple[Slice, ...]:
    """The rows of a linear layer or a convolution, with their bias."""
    return Slice(f"{name}.weight", **how), Slice(f"{name}.bias", **how)


def _norm_slices(name: str) -> tuple[Slice, ...]:
    return tuple(Slice(f"{name}.{of}") for of in ("weight", "bias", "running_mean", "running_var"))


def htsat_units(audio: HTSATConfig, small: HTSATConfig, fusion: str | None) -> Iterator[Units]:
    for stage, depth in enumerate(audio.depths):
        size = audio.head_width(stage)
        for block in range(depth):
            at = f"audio.stages.{stage}.blocks.{block}."
            qkv = _linear_slices(f"{at}attention.qkv", size=size, parts=3)
            cut = (*(qkv if audio.qkv_bias else qkv[:1]), Slice(f"{at}attention.bias_table", 1))
            out = f"{at}attention.out"
            yield Units(out, "heads", audio.heads[stage], small.heads[stage], cut, size, bias=f"{out}.bias")
            yield _mlp_units(f"{at}mlp.0", f"{at}mlp.2", audio.mlp_width(stage), small.mlp_width(stage))


def _mlp_units(first: str, last: str, count: int, kept: int) -> Units:
    return Units(last, "mlp", count, kept, _linear_slices(first), bias=f"{last}.bias")


def bert_units(text: TextConfig, small: TextConfig) -> Iterator[Units]:
    """RoBERTa, BERT and Sentence-BERT."""
    for layer in range(text.layers):
        at = f"text.tower.encoder.layer.{layer}."
        makes = [f"{at}attention.self.{which}" for which in ("value", "query", "key")]
        yield _head_units(makes, f"{at}attention.output.dense", text, small)
        yield _mlp_units(f"{at}intermediate.dense", f"{at}output.dense", text.intermediate, small.intermediate)


def clip_units(text: TextConfig, small: TextConfig) -> Iterator[Units]:
    for layer in range(text.layers):
        at = f"text.tower.encoder.layers.{layer}."
        makes = [f"{at}self_attn.{which}" for which in ("v_proj", "q_proj", "k_proj")]
        yield _head_units(makes, f"{at}self_attn.out_proj", text, small)
        yield _mlp_units(f"{at}mlp.fc1", f"{at}mlp.fc2", text.intermediate, small.intermediate)


def _head_units(makes: list[str], reader: str, text: TextConfig, small: TextConfig) -> Units:
    size = text.head_size
    cut = tuple(part for name in makes for part in _linear_slices(name, size=size))
    return Units(reader, "heads", text.heads, small.heads, cut, size, bias=f"{reader}.bias")


def pann_units(audio: PANNConfig, small: PANNConfig, fusion: str | None) -> Iterator[Units]:
    """The channels of every convolution; those of the last one of the first block also go through a 2-D fusion."""
    fusion = fusion if fusion is not None and fusion.endswith("_2d") else None  # others end before the first block
    for block, (count, kept) in enumerate(zip(audio.widths, small.widths, strict=True)):
        for conv in range(audio.convs):
            at = f"audio.blocks.{block}.convs.{conv}"
            last = conv + 1 == audio.convs
            reader = f"audio.blocks.{block + last}.convs.{0 if last else conv + 1}.0"
            bias = None
            if last and block + 1 == len(audio.widths):
                reader = "audio.hidden" if audio.hidden else "audio_projection.0"
                bias = f"{reader}.bias"
            cut = (Slice(f"{at}.0.weight"), *_norm_slices(f"{at}.1"))
            if fusion is not None and last and block == 0:
                cut += (*_linear_slices("audio.local_project.0"), *_norm_slices("audio.local_project.1"))
                cut += tuple(part for name, first in _attentions(fusion) for part in _attention_slices(name, first))
            yield Units(reader, "channels", count, kept, cut, axis=1, bias=bias, norm=f"{at}.1")
    for name, first in _attentions(fusion):  # the squeezed channels inside each attention
        count, kept = audio.widths[0] // REDUCTION, small.widths[0] // REDUCTION
        cut = (*_linear_slices(f"{name}.{first}"), *_norm_slices(f"{name}.{first + 1}"))
        reader, norm = f"{name}.{first + 3}", f"{name}.{first + 1}"
        yield Units(reader, "channels", count, kept, cut, axis=1, bias=f"{reader}.bias", norm=norm)
    if audio.hidden:
        yield replace(_mlp_units("audio.hidden", "audio_projection.0", audio.output, small.output), axis=1)


def mobilenet_units(audio: MobileNetConfig, small: MobileNetConfig, fusion: str | None) -> Iterator[Units]:
    """The channels inside every block that widens; channels between blocks are added up and so must all stay."""
    for i, (block, left) in enumerate(zip(audio.blocks, small.blocks, strict=True)):
        if not block.widened:
            continue
        at = f"audio.blocks.{i}"
        cut = (Slice(f"{at}.depthwise.0.weight"), *_norm_slices(f"{at}.depthwise.1"))
        cut += (Slice(f"{at}.expand.0.weight"), *_norm_slices(f"{at}.expand.1"))
        if block.squeezed:
            cut += (Slice(f"{at}.squeeze.down.weight", 1), *_linear_slices(f"{at}.squeeze.up"))
        reader = f"{at}.project.0"
        yield Units(reader, "channels", block.expanded, left.expanded, cut, axis=1, norm=f"{at}.depthwise.1")
    yield replace(_mlp_units("audio.hidden", "audio_projection.0", audio.output, small.output), axis=1)


def _attentions(fusion: str | None) -> list[tuple[str, int]]:
    """The attentions of a fusion, and the index of their first convolution: a global one begins with its pooling."""
    rounds = {"aff": ("",), "iaff": ("", "2")}.get((fusion or "").partition("_")[0], ())
    return [(f"audio.fusion.{reach}_attention{n}", i) for n in rounds for reach, i in (("local", 0), ("global", 1))]


def _attention_slices(name: str, first: int) -> tuple[Slice, ...]:
    """The columns of the first convolution of an attention, and the rows of its last."""
    return (
        Slice(f"{name}.{first}.weight", 1),
        *_linear_slices(f"{name}.{first + 3}"),
        *_norm_slices(f"{name}.{first + 4}"),
    )
