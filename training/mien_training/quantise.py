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
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

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
        quant_pre_process(onnx.load_from_string(network), prepared)
        layers = _layers(onnx.load(prepared))
        quantize_static(
            prepared,
            quantised,
            _Reader(crops[np.sort(drawn)]),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_exclude=[layers[0], layers[-1]],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return Quantised(
            network=onnx.load(quantised).SerializeToString(),
            crops=len(drawn),
            layers=len(layers) - 2,
            layers_in_all=len(layers),
        )


def _layers(network: onnx.ModelProto) -> list[str]:
    return [node.name for node in network.graph.node if node.op_type in QUANTISED]


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, crops: Images) -> None:
        self._batches: Iterator[Images] = iter(
            [crops[start : start + BATCH] for start in range(0, len(crops), BATCH)]
        )

    def get_next(self) -> dict[str, Images] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}
