"""The operators before and after a foreign network that make it keep a bundle's contract.

    crops uint8 [batch, H, W, 3] --(pixel - mean) / std, order, layout--> the network
        --flattened--> L2 --> embeddings float32 [batch, D]

They are those that mean the same in every opset from 7 to today's, since a graph has one.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from mien.model.embedder import INPUT, OUTPUT
from mien.model.foreign.batch import with_any_batch
from mien.model.foreign.network import Foreign
from mien.model.foreign.preprocessing import Preprocessing

ORIGINAL = "network/"
"""Before the names of the foreign network's own values."""


def wrap(
    foreign: Foreign, preprocessing: Preprocessing, height: int, width: int, flip: bool
) -> tuple[bytes, int]:
    """ONNX that keeps the contract of a bundle, and the dimension of its vectors.

    With `flip` a vector is the direction of the sum of the outputs for the crop and its mirror
    image.

    Raises BundleInvalid: the network does not run on such crops, gives no vectors, or is made for a
    fixed number of pictures and cannot be made to take another.
    """
    nchw = preprocessing.layout == "nchw"
    network, dim = with_any_batch(foreign, (3, height, width) if nchw else (height, width, 3))
    before = _model(_before(preprocessing, height, width, flip), network)
    rank = len(network.graph.output[0].type.tensor_type.shape.dim)
    after = _model(_after(dim, rank, flip), network)
    inner = compose.add_prefix(network, ORIGINAL)
    joined = compose.merge_models(before, inner, io_map=[("pixels", ORIGINAL + foreign.takes)])
    whole = compose.merge_models(joined, after, io_map=[(ORIGINAL + foreign.gives, "raw")])
    whole.graph.name = "embedder"
    return whole.SerializeToString(), dim


def _before(preprocessing: Preprocessing, height: int, width: int, flip: bool) -> onnx.GraphProto:
    """Crops to what the network takes; with `flip`, the mirror images after the crops."""
    constants: dict[str, npt.NDArray[np.generic]] = {
        "mean": np.array(preprocessing.scale.mean, np.float32),
        "std": np.array(preprocessing.scale.std, np.float32),
    }
    nodes = [
        helper.make_node("Cast", [INPUT], ["plain"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["plain", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], ["scaled"]),
    ]
    last = "scaled"
    if preprocessing.channels == "bgr":
        constants["blue_first"] = np.array([2, 1, 0])
        nodes.append(helper.make_node("Gather", [last, "blue_first"], ["ordered"], axis=3))
        last = "ordered"
    if flip:
        constants["mirrored"] = np.arange(width)[::-1].copy()
        nodes.append(helper.make_node("Gather", [last, "mirrored"], ["mirror_image"], axis=2))
        nodes.append(helper.make_node("Concat", [last, "mirror_image"], ["both"], axis=0))
        last = "both"
    order = [0, 3, 1, 2] if preprocessing.layout == "nchw" else [0, 1, 2, 3]
    nodes.append(helper.make_node("Transpose", [last], ["pixels"], perm=order))
    return _graph(
        "before",
        nodes,
        (INPUT, TensorProto.UINT8, ["batch", height, width, 3]),
        ("pixels", TensorProto.FLOAT, [None] * 4),
        constants,
    )


def _after(dim: int, rank: int, flip: bool) -> onnx.GraphProto:
    """The network's output, of `rank` axes, to unit vectors.

    With `flip`, the first half of its rows is added to the second.
    """
    constants: dict[str, npt.NDArray[np.generic]] = {"rows": np.array([-1, dim])}
    nodes = [helper.make_node("Reshape", ["raw", "rows"], ["vectors"])]
    last = "vectors"
    if flip:
        constants |= {"halves": np.array([2, -1, dim]), "zero": np.array(0), "one": np.array(1)}
        nodes += [
            helper.make_node("Reshape", ["vectors", "halves"], ["pairs"]),
            helper.make_node("Gather", ["pairs", "zero"], ["of_crop"], axis=0),
            helper.make_node("Gather", ["pairs", "one"], ["of_mirror_image"], axis=0),
            helper.make_node("Add", ["of_crop", "of_mirror_image"], ["sum"]),
        ]
        last = "sum"
    nodes.append(helper.make_node("LpNormalization", [last], [OUTPUT], axis=1, p=2))
    return _graph(
        "after",
        nodes,
        ("raw", TensorProto.FLOAT, [None] * rank),
        (OUTPUT, TensorProto.FLOAT, ["batch", dim]),
        constants,
    )


def _graph(
    name: str,
    nodes: list[onnx.NodeProto],
    takes: tuple[str, int, Sequence[int | str | None]],
    gives: tuple[str, int, Sequence[int | str | None]],
    constants: dict[str, npt.NDArray[np.generic]],
) -> onnx.GraphProto:
    return helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(*takes)],
        [helper.make_tensor_value_info(*gives)],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )


def _model(graph: onnx.GraphProto, like: onnx.ModelProto) -> onnx.ModelProto:
    """Of the same versions, which two models must be of to be joined."""
    return helper.make_model(graph, opset_imports=like.opset_import, ir_version=like.ir_version)
