"""A network in int8 does nearly what it did in float32."""

import numpy as np
import onnx
import pytest
import torch

from mien.model.embedder import Embedder
from mien.model.manifest import InputSpec
from mien_training import quantise as module
from mien_training.graph import to_onnx
from mien_training.loading import load_recipe
from mien_training.networks import build
from mien_training.quantise import Quantised, quantise

SPEC = InputSpec(crop_height=32, crop_width=24, alignment="none", dim=16)
CROPS = np.random.default_rng(3).integers(256, size=(40, 32, 24, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def network() -> bytes:
    sizes = ["crop.height=32", "crop.width=24", "dimension=16", "network.channels=[8,8,16]"]
    recipe = load_recipe("center", sizes)
    torch.manual_seed(0)
    return to_onnx(build(recipe).eval(), recipe.crop)


@pytest.fixture(scope="module")
def quantised(network: bytes) -> Quantised:
    return quantise(network, CROPS)


def test_its_vectors_are_near_those_of_the_network(network: bytes, quantised: Quantised) -> None:
    before = Embedder(network, SPEC).embed(CROPS)
    after = Embedder(quantised.network, SPEC, precision="int8").embed(CROPS)
    assert np.sum(before * after, axis=1).min() > 0.995
    assert np.abs(before - after).max() > 1e-6


def test_it_is_the_same_each_time(network: bytes, quantised: Quantised) -> None:
    assert quantise(network, CROPS).network == quantised.network


def test_all_layers_but_the_ends_are_quantised(quantised: Quantised) -> None:
    assert (quantised.layers, quantised.layers_in_all, quantised.crops) == (2, 4, 40)


def test_no_more_crops_are_measured_than_asked_for(
    network: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CROPS", 5)
    assert quantise(network, CROPS).crops == 5


def test_weights_have_seven_bits(quantised: Quantised) -> None:
    """-64 to 64: two products of 8 × 7 bits fit into 16 (see the module)."""
    weights = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.load_from_string(quantised.network).graph.initializer
        if tensor.name.endswith("weight_quantized") or tensor.data_type == onnx.TensorProto.INT8
    ]
    kernels = [each for each in weights if each.ndim == 4]
    assert len(kernels) == 2
    assert all(each.dtype == np.int8 for each in kernels)
    assert max(int(np.abs(each.astype(int)).max()) for each in kernels) <= 64
