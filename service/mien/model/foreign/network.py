"""A foreign network as its file tells of it: one input, and the output that is wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import onnx
from onnx import TensorProto, helper

from mien.errors import BundleInvalid, InvalidRequest
from mien.model.embedder import session
from mien.model.foreign.preprocessing import LAYOUTS, Layout
from mien.model.manifest import Precision

Shape: TypeAlias = tuple[int | str | None, ...]
"""A number where a size is fixed."""

_CHANNEL_AT: dict[Layout, int] = {"nchw": 1, "nhwc": 3}
_QUANTISED = {
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "QLinearConv",
    "QLinearMatMul",
    "ConvInteger",
    "MatMulInteger",
}


@dataclass(frozen=True)
class Foreign:
    """A foreign network with one float32 input of four dimensions and one output."""

    model: onnx.ModelProto
    takes: str
    shape: Shape
    """Of what it takes."""
    gives: str

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Those that the shape of its input admits: three channels, first or last.

        A fixed 3 is that of the channels: crops three pixels high or wide show nobody.
        """
        sizes = {layout: self.shape[_CHANNEL_AT[layout]] for layout in LAYOUTS}
        fixed = tuple(layout for layout in LAYOUTS if sizes[layout] == 3)
        return fixed or tuple(each for each in LAYOUTS if not isinstance(sizes[each], int))

    def size(self, layout: Layout) -> tuple[int | None, int | None]:
        """Height and width of its crops, None where the shape leaves it open."""
        height, width = self.shape[2:] if layout == "nchw" else self.shape[1:3]
        return (
            height if isinstance(height, int) else None,
            width if isinstance(width, int) else None,
        )

    @property
    def precision(self) -> Precision:
        kinds = {node.op_type for node in self.model.graph.node}
        return "int8" if kinds & _QUANTISED else "float32"


def read(path: Path, output: str | None = None) -> Foreign:
    """Read an ONNX file; `output` names the output that is the embedding if there are several.

    Raises BundleInvalid: no network, or one that takes other than pictures; InvalidRequest: no such
    file, the output is not named, or there is none of that name.
    """
    if not path.is_file():
        raise InvalidRequest(f"{path} is no file; name an ONNX network")
    loaded = session(str(path))
    takes = [(value.name, value.type, tuple(value.shape)) for value in loaded.get_inputs()]
    if len(takes) != 1 or takes[0][1] != "tensor(float)" or len(takes[0][2]) != 4:
        raise BundleInvalid(
            f"{path} takes {takes}; only a network with one float32 input of four dimensions, "
            "pictures, can be imported"
        )
    gives = _chosen(path, {value.name: value.shape for value in loaded.get_outputs()}, output)
    name, _, shape = takes[0]
    foreign = Foreign(_only(onnx.load(path), gives), name, shape, gives)
    if not foreign.layouts:
        raise BundleInvalid(
            f"{path} takes pictures of shape {list(shape)}, neither [batch, 3, H, W] nor "
            "[batch, H, W, 3]; only a network for colour pictures can be imported"
        )
    return foreign


def _chosen(path: Path, outputs: dict[str, list[int | str | None]], wanted: str | None) -> str:
    if wanted is None and len(outputs) == 1:
        return next(iter(outputs))
    if wanted is None or wanted not in outputs:
        listed = ", ".join(f"{name} {shape}" for name, shape in outputs.items())
        problem = "has several outputs" if wanted is None else f"has no output {wanted!r}"
        raise InvalidRequest(f"{path} {problem}: {listed}; name the embedding's with --output")
    return wanted


def _only(model: onnx.ModelProto, output: str) -> onnx.ModelProto:
    """The nodes and weights behind one output, without notes on shapes."""
    nodes, wanted = _behind(model.graph.node, output)
    weights = {tensor.name for tensor in model.graph.initializer}
    graph = helper.make_graph(
        nodes,
        model.graph.name or "network",
        [value for value in model.graph.input if value.name not in weights],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [tensor for tensor in model.graph.initializer if tensor.name in wanted],
        sparse_initializer=list(model.graph.sparse_initializer),
    )
    return helper.make_model(
        graph,
        opset_imports=model.opset_import,
        functions=list(model.functions),
        ir_version=max(model.ir_version, 4),  # 3 and before list weights among the inputs
    )


def _behind(nodes: Sequence[onnx.NodeProto], output: str) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that an output needs, in order, and the names of all that they take."""
    kept: list[onnx.NodeProto] = []
    wanted = {output}
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= _taken(node)
    return kept[::-1], wanted


def _taken(node: onnx.NodeProto) -> set[str]:
    """Names that a node takes, also from inside the bodies of its loops and branches."""
    inner = [
        name
        for attribute in node.attribute
        if attribute.type == onnx.AttributeProto.GRAPH
        for body in (attribute.g,)
        for name in {
            *(value.name for value in body.output),
            *(name for child in body.node for name in _taken(child)),
        }
    ]
    return {*node.input, *inner}
