"""OpenVINO graphs → ONNX, operator by operator: the towers are defined once, in `openclap.backends.graphs`.

A row of `OPERATORS` says how one is written. The same graph gives the same bytes: values are named by their place in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.errors import MissingExtra, ModelError

if TYPE_CHECKING:
    import onnx

__all__ = ["OPSET", "require", "translate"]

OPSET = 20  # the first that has Gelu; ONNX Runtime for the web runs it
IR_VERSION = 10
MOST_BYTES = 2**31 - 2**20  # of a protobuf message, less what names and shapes may take
Array: TypeAlias = npt.NDArray[Any]


def require(package: str) -> Any:
    """Import onnx or onnxruntime; MissingExtra, with the line that installs it, where it is missing."""
    try:
        return __import__(package)
    except ImportError:
        raise MissingExtra(f"{package} is not installed; install openclap's extra 'export' (docs/install.md)") from None


def translate(model: Any, facts: dict[str, str]) -> onnx.ModelProto:
    """An OpenVINO model as an ONNX model of opset `OPSET`, with `facts` as its metadata.

    Raises
    ------
    MissingExtra
        onnx is not installed.
    ModelError
        The graph has an operator without a row here, or is too large for one file.
    """
    helper = require("onnx").helper
    writer = _Writer(require("onnx"))
    for op in (*model.get_parameters(), *model.get_ordered_ops()):
        writer.write(op)
    size = sum(map(len, (one.raw_data for one in writer.constants)))
    if size > MOST_BYTES:
        raise ModelError(
            f"a graph with {size / 1e9:.1f} GB of weights does not fit into an ONNX file, which holds 2 GB"
        )
    graph = helper.make_graph(writer.nodes, model.get_friendly_name(), writer.inputs, writer.outputs, writer.constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    made.producer_name = "openclap"
    helper.set_model_props(made, facts)
    return made


@dataclass
class _Writer:
    """Collects the nodes of a graph; every value has a name."""

    onnx: Any
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # of the output of each operator, by the operator's own name
    known: dict[bytes, str] = field(default_factory=dict)  # small constants, each written once
    held: dict[str, Any] = field(default_factory=dict)  # operators that become part of the one behind them
    prefix: str = ""  # of the names of the nodes that are written now

    def write(self, op: Any) -> None:
        """Write an operator, unless it is part of the next one."""
        name, kind = op.get_friendly_name(), op.get_type_name()
        if name in self.names:  # an input, which was written first
            return
        if kind == "Constant":
            self.held[name] = op
            return
        self.prefix = f"{name.split(' ')[0]}_" if " " in name else ""
        if kind == "Parameter":
            self._input(op)
        elif kind == "Result":
            self._output(op)
        elif kind not in OPERATORS:
            raise ModelError(f"the graph has a {kind}, which has no ONNX form here; export a model without it")
        elif _joins_next(op):
            self.held[name] = op
        else:
            self.names[name] = OPERATORS[kind](self, op)

    # -- values --------------------------------------------------------------------------------------

    def value(self, op: Any, index: int) -> str:
        """The name of an input of an operator."""
        source = op.input_value(index).get_node()
        name = source.get_friendly_name()
        if name not in self.names:
            self.names[name] = self.constant(_data(self.held[name]))
        return self.names[name]

    def constant(self, array: npt.ArrayLike) -> str:
        """The name of a constant; equal small ones have one."""
        array = np.asarray(array, order="C")
        key = f"{array.dtype}{array.shape}".encode() + array.tobytes() if array.size <= 4096 else b""
        if key and key in self.known:
            return self.known[key]
        name = f"c{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        if key:
            self.known[key] = name
        return name

    def index(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Write a node; the name of its output."""
        name = f"{self.prefix}{kind}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    # -- ends ----------------------------------------------------------------------------------------

    def _input(self, op: Any) -> None:
        name = op.get_friendly_name()
        shape = op.get_output_partial_shape(0)
        axes = ("batch", "samples" if name == "wave" else "tokens")
        sizes = [d.get_length() if d.is_static else axes[min(i, 1)] for i, d in enumerate(shape)]
        kind = self.element(op.get_output_element_type(0))
        self.inputs.append(self.onnx.helper.make_tensor_value_info(name, kind, sizes))
        self.names[name] = name

    def _output(self, op: Any) -> None:
        rows = op.input_value(0)
        last = self.nodes[-1]
        assert last.output[0] == self.value(op, 0), "the output is the last node"
        last.output[0] = "embedding"
        sizes = ["batch", rows.get_partial_shape()[1].get_length()]
        self.outputs.append(
            self.onnx.helper.make_tensor_value_info("embedding", self.element(rows.get_element_type()), sizes)
        )

    def element(self, kind: Any) -> int:
        """The number that ONNX has for a type of OpenVINO."""
        number: int = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind.to_dtype()))
        return number


def _data(op: Any) -> Array:
    array: Array = op.data
    return array


def _constant_of(op: Any, index: int) -> Array | None:
    source = op.input_value(index).get_node()
    return _data(source) if source.get_type_name() == "Constant" else None


def _only_user(op: Any) -> Any:
    """The one operator that takes the output of this one; None where several do."""
    users = list(op.output(0).get_target_inputs())
    return users[0].get_node() if len(users) == 1 else None


def _joins_next(op: Any) -> bool:
    """Whether an operator is written with the one behind it: a convolution with its bias, a layer norm in three parts."""
    user = _only_user(op)
    if user is None:
        return False
    kind, behind = op.get_type_name(), user.get_type_name()
    if kind in CONVOLUTIONS:
        return behind == "Add" and _is_bias(_constant_of(user, 1))
    if kind == "MVN":
        added = _only_user(user) if behind == "Multiply" and _constant_of(user, 1) is not None else None
        return added is not None and added.get_type_name() == "Add" and _constant_of(added, 1) is not None
    return kind == "Multiply" and op.input_value(0).get_node().get_type_name() == "MVN" and _joins_next(op.input_value(0).get_node())  # fmt: skip


def _is_bias(value: Array | None) -> bool:
    return value is not None and value.ndim == 4 and value.size == value.shape[1]


# -- operators ---------------------------------------------------------------------------------------


def _same(kind: str) -> Callable[[_Writer, Any], str]:
    """One that takes the same inputs and has no attributes."""
    return lambda w, op: w.node(kind, *(w.value(op, i) for i in range(op.get_input_size())))


def _add(w: _Writer, op: Any) -> str:
    before = op.input_value(0).get_node()
    if before.get_friendly_name() in w.held and before.get_type_name() in CONVOLUTIONS:
        bias = _constant_of(op, 1)
        assert bias is not None
        return _convolution(w, before, w.constant(bias.reshape(-1)))
    if before.get_friendly_name() in w.held and before.get_type_name() == "Multiply":
        norm = before.input_value(0).get_node()
        return w.node(
            "LayerNormalization", w.value(norm, 0), w.value(before, 1), w.value(op, 1), epsilon=_eps(norm), axis=-1
        )
    return _same("Add")(w, op)


def _convolution(w: _Writer, op: Any, bias: str = "") -> str:
    at = op.get_attributes()
    weight = _constant_of(op, 1)
    assert weight is not None
    groups = 1
    if op.get_type_name() == "GroupConvolution":
        groups = len(weight)
        weight = weight.reshape(-1, *weight.shape[2:])
    pads = [*at["pads_begin"], *at["pads_end"]]
    inputs = [w.value(op, 0), w.constant(weight), *([bias] if bias else [])]
    return w.node(
        "Conv",
        *inputs,
        strides=list(at["strides"]),
        pads=pads,
        dilations=list(at["dilations"]),
        group=groups,
        kernel_shape=list(weight.shape[2:]),
    )


def _matmul(w: _Writer, op: Any) -> str:
    at = op.get_attributes()
    sides = []
    for i, turn in enumerate((at["transpose_a"], at["transpose_b"])):
        constant = _constant_of(op, i)
        if not turn:
            sides.append(w.value(op, i))
        elif constant is not None:
            sides.append(w.constant(constant.swapaxes(-1, -2)))
        else:
            rank = op.get_input_partial_shape(i).rank.get_length()
            sides.append(w.node("Transpose", w.value(op, i), perm=[*range(rank - 2), rank - 1, rank - 2]))
    return w.node("MatMul", *sides)


def _mvn(w: _Writer, op: Any) -> str:
    size = op.get_input_partial_shape(0)[-1].get_length()
    ones, zeros = w.constant(np.ones(size, np.float32)), w.constant(np.zeros(size, np.float32))
    return w.node("LayerNormalization", w.value(op, 0), ones, zeros, epsilon=_eps(op), axis=-1)


def _eps(norm: Any) -> float:
    at, axes = norm.get_attributes(), _constant_of(norm, 1)
    assert axes is not None, "of a graph of ours"
    if axes.tolist() != [-1] or not at["normalize_variance"]:
        raise ModelError("the graph has an MVN over other axes than the last, which has no ONNX form here")
    return float(at["eps"])


def _reduce(kind: str) -> Callable[[_Writer, Any], str]:
    return lambda w, op: w.node(kind, w.value(op, 0), w.value(op, 1), keepdims=int(op.get_attributes()["keep_dims"]))


def _unit(w: _Writer, op: Any) -> str:
    at = op.get_attributes()
    square = w.node("ReduceSumSquare", w.value(op, 0), w.value(op, 1), keepdims=1)
    eps = w.constant(np.float32(at["eps"]))
    bounded = w.node("Max" if at["eps_mode"] == "max" else "Add", square, eps)
    return w.node("Div", w.value(op, 0), w.node("Sqrt", bounded))


def _pad(w: _Writer, op: Any) -> str:
    ends = w.node("Concat", w.value(op, 1), w.value(op, 2), axis=0)
    fill = [w.value(op, 3)] if op.get_input_size() > 3 else []
    return w.node("Pad", w.value(op, 0), ends, *fill, mode=op.get_attributes()["pad_mode"])


def _average(w: _Writer, op: Any) -> str:
    at = op.get_attributes()
    if at["rounding_type"] != "floor":
        raise ModelError("the graph has an AvgPool that rounds up, which has no ONNX form here")
    pads = [*at["pads_begin"], *at["pads_end"]]
    shape = {"kernel_shape": list(at["kernel"]), "strides": list(at["strides"]), "pads": pads}
    return w.node("AveragePool", w.value(op, 0), **shape, count_include_pad=int(not at["exclude-pad"]))


def _convert(w: _Writer, op: Any) -> str:
    return w.node("Cast", w.value(op, 0), to=w.element(op.get_output_element_type(0)))


def _swish(w: _Writer, op: Any) -> str:
    return w.node("Mul", w.value(op, 0), w.node("Sigmoid", w.value(op, 0)))


def _gather(w: _Writer, op: Any) -> str:
    axis = _constant_of(op, 2)
    assert axis is not None
    return w.node("Gather", w.value(op, 0), w.value(op, 1), axis=int(axis.reshape(-1)[0]))


def _slice(w: _Writer, op: Any) -> str:
    x, begin, end, step, axes = (w.value(op, i) for i in range(5))
    return w.node("Slice", x, begin, end, axes, step)


def _gelu(w: _Writer, op: Any) -> str:
    mode = str(op.get_attributes()["approximation_mode"]).lower()
    return w.node("Gelu", w.value(op, 0), approximate="tanh" if "tanh" in mode else "none")


def _transpose(w: _Writer, op: Any) -> str:
    order = _constant_of(op, 1)
    assert order is not None
    return w.node("Transpose", w.value(op, 0), perm=[int(axis) for axis in order])


def _softmax(w: _Writer, op: Any) -> str:
    return w.node("Softmax", w.value(op, 0), axis=int(op.get_attributes()["axis"]))


def _concat(w: _Writer, op: Any) -> str:
    parts: Sequence[str] = [w.value(op, i) for i in range(op.get_input_size())]
    return w.node("Concat", *parts, axis=int(op.get_attributes()["axis"]))


def _clamp(w: _Writer, op: Any) -> str:
    at = op.get_attributes()
    low, high = (w.constant(np.float32(at[name])) for name in ("min", "max"))
    return w.node("Clip", w.value(op, 0), low, high)


def _not_equal(w: _Writer, op: Any) -> str:
    return w.node("Not", _same("Equal")(w, op))


CONVOLUTIONS = ("Convolution", "GroupConvolution")
OPERATORS: dict[str, Callable[[_Writer, Any], str]] = {
    "Add": _add,
    "AvgPool": _average,
    "Broadcast": _same("Expand"),
    "Clamp": _clamp,
    "Concat": _concat,
    "Convert": _convert,
    "Convolution": _convolution,
    "CumSum": _same("CumSum"),
    "Divide": _same("Div"),
    "Equal": _same("Equal"),
    "Gather": _gather,
    "Gelu": _gelu,
    "Greater": _same("Greater"),
    "GroupConvolution": _convolution,
    "HSwish": _same("HardSwish"),
    "Less": _same("Less"),
    "Log": _same("Log"),
    "MVN": _mvn,
    "MatMul": _matmul,
    "Maximum": _same("Max"),
    "Minimum": _same("Min"),
    "Multiply": _same("Mul"),
    "NormalizeL2": _unit,
    "NotEqual": _not_equal,
    "Pad": _pad,
    "Power": _same("Pow"),
    "Range": _same("Range"),
    "ReduceMax": _reduce("ReduceMax"),
    "ReduceMean": _reduce("ReduceMean"),
    "ReduceSum": _reduce("ReduceSum"),
    "Relu": _same("Relu"),
    "Reshape": _same("Reshape"),
    "Select": _same("Where"),
    "ShapeOf": _same("Shape"),
    "Sigmoid": _same("Sigmoid"),
    "Slice": _slice,
    "SoftPlus": _same("Softplus"),
    "Softmax": _softmax,
    "Sqrt": _same("Sqrt"),
    "Subtract": _same("Sub"),
    "Swish": _swish,
    "Tanh": _same("Tanh"),
    "Tile": _same("Tile"),
    "Transpose": _transpose,
    "Unsqueeze": _same("Unsqueeze"),
}
