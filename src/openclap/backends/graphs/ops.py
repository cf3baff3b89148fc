"""The operators of all graphs: products, norms and gathers over the named arrays of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.backends.graphs.engine import opset, ov
from openclap.config import ACTIVATIONS, CLAPConfig

__all__ = ["Graph", "Node", "join", "pack_rows"]

Node: TypeAlias = Any  # openvino.Node or one of its outputs
Array: TypeAlias = npt.NDArray[Any]

BATCH_NORM_EPS = 1e-5
LAYER_NORM_EPS = 1e-5
LEVELS = 127  # of int8, to either side
SAMPLED = 16  # rows of a table that tell most others from one that was int8


class Graph:
    """Builds operators from the names of their weights. Large weights are shared with the mapped file, not copied."""

    def __init__(self, weights: Mapping[str, Array], *, int8_rows: bool = False) -> None:
        self.weights = weights
        self._int8_rows = int8_rows  # whether tables are rounded to rows of int8
        self.marked: dict[str, Node] = {}  # what a tower can give beside its unit rows: "projected", "pooled", "frames"

    # -- constants -----------------------------------------------------------------------------------

    def constant(self, name: str) -> Node:
        """A weight of the checkpoint as a constant."""
        return ov.op.Constant(np.require(self.weights[name], np.float32, ["C", "A", "W"]), shared_memory=True)

    @staticmethod
    def number(value: float | Array) -> Node:
        """A small float32 constant."""
        return opset.constant(np.asarray(value, np.float32))

    @staticmethod
    def index(values: int | Sequence[int] | Array) -> Node:
        """An int64 constant: a shape, axes, or indices."""
        return opset.constant(np.asarray(values, np.int64))

    def whole(self, value: int) -> Node:
        """A whole number (1,) for computing with lengths that are not known before a graph runs."""
        return self.index([value])

    def rows(self, name: str, ids: Node) -> Node:
        """Rows of a table (V, D) at ids (…) → (…, D); a table that was stored as int8 stays so within the graph."""
        table = self.weights[name]
        packed = pack_rows(table, exact=not self._int8_rows)
        if packed is None:
            return opset.gather(self.constant(name), ids, self.index(0))
        levels, scale = (opset.gather(opset.constant(part), ids, self.index(0)) for part in packed)
        return opset.convert(levels, "f32") * scale

    # -- layers --------------------------------------------------------------------------------------

    def linear(self, x: Node, name: str) -> Node:
        """A linear layer (…, D) → (…, D'), without a bias where the checkpoint has none."""
        product = opset.matmul(x, self.constant(f"{name}.weight"), False, True)
        return product + self.constant(f"{name}.bias") if f"{name}.bias" in self.weights else product

    def product(self, x: Node, weight: Array, bias: Array) -> Node:
        """Compute x (…, D) @ weight (D', D).T + bias (D',), with arrays made while the graph is built."""
        return opset.matmul(x, self.number(weight), False, True) + self.number(bias)

    def activation(self, x: Node, name: str) -> Node:
        """The activation with this name of `ACTIVATIONS`."""
        kind = ACTIVATIONS[name]
        if kind == "quick_gelu":
            return x * opset.sigmoid(x * self.number(1.702))
        if kind == "silu":
            return opset.swish(x)
        return opset.relu(x) if kind == "relu" else opset.gelu(x, "tanh" if kind == "gelu_tanh" else "erf")

    def layer_norm(self, x: Node, name: str, eps: float = LAYER_NORM_EPS) -> Node:
        """A layer norm over the last axis."""
        normal = opset.mvn(x, self.index([-1]), True, eps, "inside_sqrt")
        return normal * self.constant(f"{name}.weight") + self.constant(f"{name}.bias")

    def batch_norm(self, name: str, eps: float = BATCH_NORM_EPS) -> tuple[Array, Array]:
        """(scale, shift) of a batch norm at inference, each (C,)."""
        w = self.weights
        scale = w[f"{name}.weight"] / np.sqrt(w[f"{name}.running_var"] + np.float32(eps))
        return scale, w[f"{name}.bias"] - w[f"{name}.running_mean"] * scale

    def convolution(self, x: Node, weight: Array, bias: Array, kernel: int, stride: tuple[int, int] = (1, 1)) -> Node:
        """A convolution of maps (B, C, H, W), padded so that a stride of 1 keeps their size → (B, D, …)."""
        pad = [kernel // 2, kernel // 2]
        maps = opset.convolution(x, self.number(weight), list(stride), pad, pad, [1, 1])
        return maps + self.number(bias.reshape(1, -1, 1, 1))

    def fold_batch_norm(self, conv: str, norm: str, eps: float = BATCH_NORM_EPS) -> tuple[Array, Array]:
        """The weight (C', …) and bias (C',) of a convolution with its batch norm folded in."""
        scale, shift = self.batch_norm(norm, eps)
        weight = self.weights[f"{conv}.weight"]
        bias = self.weights[f"{conv}.bias"] if f"{conv}.bias" in self.weights else np.float32(0)
        return weight * scale.reshape(-1, *(1,) * (weight.ndim - 1)), bias * scale + shift

    # -- shapes --------------------------------------------------------------------------------------

    @staticmethod
    def size(x: Node, axis: int) -> int:
        """The length of an axis, which must be static."""
        return x.output(0).get_partial_shape()[axis].get_length()

    def length(self, x: Node, axis: int) -> Node:
        """The length (1,) of an axis, which need not be known before the graph runs."""
        return opset.gather(opset.shape_of(x), self.index([axis]), self.index(0))

    def reshape(self, x: Node, *shape: int) -> Node:
        """A new shape; -1 stands for the rest, 0 keeps an axis."""
        return opset.reshape(x, self.index(shape), True)

    def transpose(self, x: Node, *axes: int) -> Node:
        """The axes in a new order."""
        return opset.transpose(x, self.index(axes))

    def take(self, x: Node, index: Array) -> Node:
        """The elements of axis 1 at these indices."""
        return opset.gather(x, opset.constant(index.astype(np.int32)), opset.constant(np.int64(1)))

    def part(self, x: Node, begin: int, end: int, axis: int = 1) -> Node:
        """A slice of one axis."""
        return opset.slice(x, self.index([begin]), self.index([end]), self.index([1]), self.index([axis]))

    def cut(self, x: Node, begin: Node, end: Node, axis: int = 1) -> Node:
        """A slice of one axis between two `whole` numbers."""
        return opset.slice(x, begin, end, self.whole(1), self.whole(axis))

    def mean(self, x: Node, *axes: int, keep: bool = False) -> Node:
        """The mean over some axes."""
        return opset.reduce_mean(x, self.index(axes), keep)

    # -- ends ----------------------------------------------------------------------------------------

    def projection(self, x: Node, name: str, config: CLAPConfig) -> Node:
        """The projection (B, D) → (B, E) unit rows (see `CLAPConfig.projection`)."""
        self.marked["pooled"] = x
        y = self.linear(x, f"{name}.0")
        if config.projection == "residual":
            y = self.layer_norm(y + self.linear(self.activation(y, "gelu"), f"{name}.2"), f"{name}.4")
        else:
            y = self.linear(opset.relu(y), f"{name}.2")
        self.marked["projected"] = y
        return self.unit(y)

    def unit(self, x: Node) -> Node:
        """Rows (…, E) → rows of length 1."""
        return opset.normalize_l2(x, self.index([-1]), 1e-24, "max")


def join(tower: Any, made: Sequence[Node]) -> Node:
    """What a tower's graph gives when its inputs are what was made before."""
    for parameter, node in zip(tower.get_parameters(), made, strict=True):
        parameter.output(0).replace(node.output(0))
    return tower.get_results()[0].input_value(0).get_node()


def pack_rows(table: Array, *, exact: bool) -> tuple[Array, Array] | None:
    """A table (V, D) as int8 rows and their scales (V, 1); None where `exact` numbers are asked for and it has others.

    A checkpoint that stores a table as int8 gives it as float32, see `openclap.checkpoints.compact`.
    """
    for part in (table[:SAMPLED], table):
        scale = (np.abs(part).max(1, keepdims=True) / LEVELS).astype(np.float32)
        levels = np.round(part / np.maximum(scale, np.finfo(np.float32).tiny)).astype(np.int8)
        if exact and not np.allclose(levels * scale, part, rtol=1e-6, atol=0):
            return None
    return levels, scale
