"""A network as ONNX, every weight in it under the name that it has in torch, to be read back.

That is what `mien-train fit --from BUNDLE` starts from. So nothing is folded that a weight goes
into; onnxruntime folds batch normalisation and the like when it loads a network, and is as fast.
"""

import copy
import logging
import warnings
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx_ir.passes.common import (
    ClearMetadataAndDocStringPass,
    CommonSubexpressionEliminationPass,
    RemoveUnusedNodesPass,
)
from onnxscript import optimizer
from torch import Tensor

from mien.errors import BundleInvalid
from mien.model.embedder import INPUT, OUTPUT
from mien_training.config.recipe import Crop
from mien_training.networks.embedding import EmbeddingNetwork

OPSET = 18
COUNTER = "num_batches_tracked"
"""Of batch normalisation; no network computes with it, and no graph has it."""


def to_onnx(network: EmbeddingNetwork, crop: Crop) -> bytes:
    """The network as ONNX: "crops" uint8 [batch, H, W, 3] to "embeddings" float32 [batch, D]."""
    example = torch.zeros((2, crop.height, crop.width, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network.eval(),
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            optimize=False,
            verbose=False,
        )
    if program is None:
        raise BundleInvalid("torch exported no program; is onnxscript installed?")
    optimizer.fold_constants(
        program.model, should_fold=_unless_it_renames, onnx_shape_inference=True
    )
    CommonSubexpressionEliminationPass()(program.model)
    RemoveUnusedNodesPass()(program.model)
    # The exporter notes where its source files lie: private, and another fingerprint elsewhere.
    ClearMetadataAndDocStringPass()(program.model)
    return program.model_proto.SerializeToString()


def rounded(network: EmbeddingNetwork) -> EmbeddingNetwork:
    """A copy whose matrices and kernels hold numbers of 16 bits (IEEE 754 binary16).

    Biases, slopes and normalisation, which are few, keep their 32 bits.
    """
    copied = copy.deepcopy(network)
    with torch.no_grad():
        for weight in copied.parameters():
            if weight.ndim > 1:
                weight.copy_(weight.half().float())
    return copied


def stored_in_half(graph: bytes, network: EmbeddingNetwork) -> bytes:
    """The same graph in half the bytes: of a `rounded` network, which loses nothing by it.

    A node before each such weight makes it float32 again; onnxruntime runs it once, when it loads.
    """
    model = onnx.load_from_string(graph)
    names = {name for name, weight in network.named_parameters() if weight.ndim > 1}
    widened: dict[str, str] = {}
    for tensor in model.graph.initializer:
        if tensor.name in names:
            narrow = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(narrow, tensor.name))
            widened[tensor.name] = f"{tensor.name}.float32"
    casts = [helper.make_node("Cast", [a], [b], to=TensorProto.FLOAT) for a, b in widened.items()]
    nodes = list(model.graph.node)
    for node in nodes:
        node.input[:] = [widened.get(name, name) for name in node.input]
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend([*casts, *nodes])
    return model.SerializeToString()


def weights_of(graph: bytes, network: EmbeddingNetwork) -> dict[str, Tensor]:
    """The weights in a graph as a state of this network; float32.

    Raises BundleInvalid: a weight is not in it, or of another shape. So it is of graphs that were
    quantised, imported, or exported by a mien-train that still folded weights into others.
    """
    known = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in onnx.load_from_string(graph).graph.initializer
    }
    state = network.state_dict()
    shared = _shared(network)
    for name, value in state.items():
        if not name.endswith(COUNTER):
            state[name] = _weight(known, shared[name], value)
    return state


def _weight(known: Mapping[str, npt.NDArray[np.generic]], names: list[str], like: Tensor) -> Tensor:
    """The one weight that has these names in torch, of which the graph has one."""
    found = next((known[name] for name in names if name in known), None)
    if found is None or found.shape != tuple(like.shape) or found.dtype.kind != "f":
        what = "has no" if found is None else f"has as {found.dtype} {found.shape} the"
        raise BundleInvalid(
            f"its network {what} weight {names[0]} of {tuple(like.shape)}: it was quantised, "
            "imported, or exported by an older mien-train; start from the run that it came from"
        )
    return torch.from_numpy(found.astype(np.float32))


def _shared(network: EmbeddingNetwork) -> dict[str, list[str]]:
    """Of each name in a state all the names of the same tensor: a module may be in two places."""
    parts = [
        *network.named_parameters(remove_duplicate=False),
        *network.named_buffers(remove_duplicate=False),
    ]
    names: dict[int, list[str]] = {}
    for name, tensor in parts:
        names.setdefault(id(tensor), []).append(name)
    return {name: names[id(tensor)] for name, tensor in parts}


def _unless_it_renames(node: onnx_ir.Node) -> bool | None:
    """A slope of PReLU is shaped to its maps; the result would take the place of the weight."""
    source = node.inputs[0] if node.op_type == "Reshape" else None
    return False if source is not None and source.is_initializer() else None
