"""A float32 network to int8: static quantisation with QDQ nodes, measured on training crops.

Weights are signed, one scale a channel, activations unsigned with one scale a tensor (Nagel et al.
2021, "A White Paper on Neural Network Quantization", section 2). Weights take 7 bits: without VNNI
an x86 processor adds pairs of products in 16 bits, which 8 would overflow (onnxruntime,
"Quantize ONNX models", section "When and why do I need to use reduce-range"), and the same bundle
would then give other vectors there.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from mien.model.embedder import INPUT
from mien_training.data import Images

CROPS = 256
"""Crops of training from which the ranges of activations are measured."""
BATCH = 16
QUANTISED = ("Conv", "Gemm", "MatMul")
"""What holds nearly all the arithmetic; preprocessing, sums and L2 stay in float32."""


@dataclass(frozen=True)
class Quantised:
    """An int8 network of the same contract, and how it was made."""

    network: bytes
    crops: int
    """Of training, from which the ranges were measured."""
    layers: int
    """That compute in int8."""
    layers_in_all: int


def quantise(network: bytes, crops: Images, seed: int = 0) -> Quantised:
    """Quantise a bundle's network; `crops` uint8 [N, H, W, 3] are those of training.

    The first and the last layer stay in float32: they are few weights, next to the pixels and to
    the answer (docs/bundle.md has the measurement).
    """
    drawn = np.random.default_rng(seed).permutation(len(crops))[:CROPS]
    with tempfile.TemporaryDirectory() as temporary:
        prepared, quantised = (Path(temporary) / name for name in ("prepared", "int8"))
        folded = _folded(network, prepared)
        layers = _layers(folded)
        ends = {next(iter(layers)), next(reversed(layers))}
        quantize_static(
            folded,
            quantised,
            _Reader(crops[np.sort(drawn)]),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_exclude=[name for end in ends for name in layers[end]],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return Quantised(
            network=onnx.load(quantised).SerializeToString(),
            crops=len(drawn),
            layers=len(layers) - len(ends),
            layers_in_all=len(layers),
        )


def _folded(network: bytes, path: Path) -> onnx.ModelProto:
    """Constants and batch normalisation go into the weights, which are then what is quantised.

    onnxruntime can only write the folded network to a file, `path`.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    folded = onnx.load(path)
    _share_equal_weights(folded.graph)
    inferred = onnx.shape_inference.infer_shapes(folded)
    add_pre_process_metadata(inferred)
    return inferred


def _share_equal_weights(graph: onnx.GraphProto) -> None:
    """Folding gave a crop and its mirror image a copy each of the same weights."""
    first: dict[tuple[object, ...], str] = {}
    renamed: dict[str, str] = {}
    for tensor in list(graph.initializer):
        array = numpy_helper.to_array(tensor)
        kept = first.setdefault((array.dtype, array.shape, array.tobytes()), tensor.name)
        if kept != tensor.name:
            renamed[tensor.name] = kept
            graph.initializer.remove(tensor)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]


def _layers(network: onnx.ModelProto) -> dict[str, list[str]]:
    """The nodes of each layer by the name of its weights, in order of computation.

    A layer has two nodes where the network looks at a crop and at its mirror image.
    """
    layers: dict[str, list[str]] = {}
    for node in network.graph.node:
        if node.op_type in QUANTISED:
            layers.setdefault(node.input[1], []).append(node.name)
    return layers


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, crops: Images) -> None:
        self._batches: Iterator[Images] = iter(
            [crops[start : start + BATCH] for start in range(0, len(crops), BATCH)]
        )

    def get_next(self) -> dict[str, Images] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}
