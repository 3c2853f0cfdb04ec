"""Networks against tables and sums written out by hand."""

import json
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from mien_training import networks
from mien_training.config.recipe import Recipe
from mien_training.networks.siamese import ResponseNormalisation


def built(network: dict[str, object], side: int = 112, dimension: int = 128) -> nn.Module:
    """The backbone of a recipe that says no more than this."""
    tables = {
        "network": network,
        "crop": {"height": side, "width": side},
        "dimension": dimension,
        "losses": {"softmax": {}},
    }
    return networks.build(Recipe.model_validate_json(json.dumps(tables))).backbone


def shapes(network: nn.Module, images: Tensor) -> list[tuple[str, tuple[int, ...]]]:
    """Each layer that runs, in order, and the shape that it gives."""
    ran: list[tuple[str, tuple[int, ...]]] = []

    def note(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        ran.append((type(layer).__name__, tuple(output.shape)))

    for layer in network.modules():
        if not list(layer.children()):
            layer.register_forward_hook(note)
    network.eval()(images)
    return ran


def test_the_courses_siamese_network_layer_by_layer() -> None:
    assert shapes(built({"kind": "siamese"}), torch.zeros(2, 3, 112, 112)) == [
        ("Conv2d", (2, 32, 26, 26)),  # 11×11, stride 4: (112 - 11) / 4 + 1
        ("ReLU", (2, 32, 26, 26)),
        ("Conv2d", (2, 64, 22, 22)),  # 5×5
        ("ReLU", (2, 64, 22, 22)),
        ("MaxPool2d", (2, 64, 11, 11)),  # 2×2
        ("Dropout", (2, 64, 11, 11)),
        ("Conv2d", (2, 128, 9, 9)),  # 3×3
        ("ReLU", (2, 128, 9, 9)),
        ("Flatten", (2, 10368)),  # 128·9·9
        ("Linear", (2, 512)),
        ("ReLU", (2, 512)),
        ("Dropout", (2, 512)),
        ("Linear", (2, 128)),
        ("ReLU", (2, 128)),
        ("LocalResponseNorm", (2, 128, 1)),
    ]


def test_local_response_normalisation_divides_by_the_components_around_each() -> None:
    """k = 2, n = 5, α = 1e-4, β = 0.75 (Krizhevsky et al. 2012, section 3.3), in a slow loop."""
    vectors = 100 * torch.rand(3, 9, dtype=torch.float64)
    expected = torch.empty_like(vectors)
    for row in range(3):
        for i in range(9):
            neighbours = vectors[row, max(0, i - 2) : i + 3]
            expected[row, i] = vectors[row, i] / (2 + 1e-4 * (neighbours**2).sum()) ** 0.75
    torch.testing.assert_close(ResponseNormalisation()(vectors), expected)


def test_lenet_layer_by_layer_on_the_papers_32_pixels() -> None:
    assert shapes(built({"kind": "lenet"}, 32, 10), torch.zeros(2, 3, 32, 32)) == [
        ("Conv2d", (2, 6, 28, 28)),  # C1
        ("Tanh", (2, 6, 28, 28)),
        ("AvgPool2d", (2, 6, 14, 14)),  # S2
        ("Conv2d", (2, 16, 10, 10)),  # C3
        ("Tanh", (2, 16, 10, 10)),
        ("AvgPool2d", (2, 16, 5, 5)),  # S4
        ("Flatten", (2, 400)),
        ("Dropout", (2, 400)),
        ("Linear", (2, 120)),  # C5
        ("Tanh", (2, 120)),
        ("Flatten", (2, 120)),
        ("Dropout", (2, 120)),
        ("Linear", (2, 84)),  # F6
        ("Tanh", (2, 84)),
        ("Flatten", (2, 84)),
        ("Dropout", (2, 84)),
        ("Linear", (2, 10)),
    ]


def test_lenet_plus_has_six_convolutions_and_a_bottleneck_of_two() -> None:
    ran = shapes(built({"kind": "lenet_plus"}, 28, 2), torch.zeros(2, 3, 28, 28))
    assert [shape for name, shape in ran if name in {"Conv2d", "MaxPool2d", "Linear"}] == [
        (2, 32, 28, 28),
        (2, 32, 28, 28),
        (2, 32, 14, 14),
        (2, 64, 14, 14),
        (2, 64, 14, 14),
        (2, 64, 7, 7),
        (2, 128, 7, 7),
        (2, 128, 7, 7),
        (2, 128, 3, 3),
        (2, 2),
    ]


def test_blocks_may_have_different_numbers_of_convolutions() -> None:
    """The five of Krizhevsky et al. 2012: pooling after the first, the second and the fifth."""
    recipe: dict[str, object] = {"kind": "cnn", "channels": [4, 6, 8], "convolutions": [1, 1, 3]}
    ran = shapes(built(recipe, 24), torch.zeros(2, 3, 24, 24))
    assert [shape for name, shape in ran if name in {"Conv2d", "MaxPool2d"}] == [
        (2, 4, 24, 24),
        (2, 4, 12, 12),
        (2, 6, 12, 12),
        (2, 6, 6, 6),
        (2, 8, 6, 6),
        (2, 8, 6, 6),
        (2, 8, 6, 6),
        (2, 8, 3, 3),
    ]


def test_mobile_face_has_the_maps_of_the_papers_table() -> None:
    network = built({"kind": "mobile_face"})
    images = torch.zeros(2, 3, 112, 112)
    stem = network.stem.eval()(images)  # type: ignore[union-attr]
    assert stem.shape == (2, 64, 56, 56)
    maps = [stem]
    for stage in network.stages.eval()[:5]:  # type: ignore[union-attr, index]
        maps.append(stage(maps[-1]))
    assert [tuple(each.shape[1:]) for each in maps[1:]] == [
        (64, 28, 28),
        (128, 14, 14),
        (128, 14, 14),
        (128, 7, 7),
        (128, 7, 7),
    ]
    places = dict(shapes(network, images))
    assert places["Linear"] == (2, 128)


def convolution(inputs: int, outputs: int, size: int = 3) -> int:
    return inputs * outputs * size**2


def normalised(channels: int) -> int:
    """Scale and shift."""
    return 2 * channels


def prelu(channels: int) -> int:
    return channels


def biased(inputs: int, outputs: int) -> int:
    return (inputs + 1) * outputs


def head(features: int, dimension: int = 128) -> int:
    return features * dimension + normalised(dimension)


def cnn() -> int:
    widths = (3, 32, 64, 128, 256)
    pairs = pairwise(widths)
    blocks = sum(convolution(a, b) + normalised(b) + prelu(b) for a, b in pairs)
    return blocks + head(256 * 7 * 7)


def residual() -> int:
    stem = convolution(3, 32) + normalised(32) + prelu(32)
    blocks = 0
    for a, b in ((32, 32), (32, 64), (64, 128), (128, 256)):
        main = convolution(a, b) + convolution(b, b) + normalised(a) + 2 * normalised(b) + prelu(b)
        blocks += main + convolution(a, b, 1) + normalised(b)
    return stem + blocks + head(256 * 7 * 7)


def siamese() -> int:
    convolutions = biased(3 * 121, 32) + biased(32 * 25, 64) + biased(64 * 9, 128)
    return convolutions + biased(128 * 9 * 9, 512) + biased(512, 128)


def lenet_plus() -> int:
    stages = ((3, 32), (32, 64), (64, 128))
    pairs = sum(biased(25 * a, b) + biased(25 * b, b) + 2 * prelu(b) for a, b in stages)
    return pairs + biased(128 * 14 * 14, 128)


def mobile_face() -> int:
    def depthwise(channels: int) -> int:
        return 9 * channels + normalised(channels) + prelu(channels)

    def bottleneck(a: int, b: int, expansion: int) -> int:
        wide = expansion * a
        widen = convolution(a, wide, 1) + normalised(wide) + prelu(wide)
        return widen + depthwise(wide) + convolution(wide, b, 1) + normalised(b)

    stem = convolution(3, 64) + normalised(64) + prelu(64) + depthwise(64)
    stages = 5 * bottleneck(64, 64, 2) + bottleneck(64, 128, 4) + 6 * bottleneck(128, 128, 2)
    stages += bottleneck(128, 128, 4) + 2 * bottleneck(128, 128, 2)
    last = convolution(128, 512, 1) + normalised(512) + prelu(512) + 49 * 512 + normalised(512)
    return stem + stages + last + head(512)


def autoencoder() -> int:
    def layers(*widths: int) -> int:
        pairs = pairwise(widths)
        return sum(convolution(a, b) + normalised(b) + prelu(b) for a, b in pairs)

    encoder = layers(3, 32, 64, 128, 256) + head(256 * 7 * 7)
    decoder = biased(128, 256 * 7 * 7) + layers(256, 128, 64, 32, 32) + biased(9 * 32, 3)
    return encoder + decoder


# Torchvision's documented counts less its 1,000 classes (and MobileNetV3's wide layer before them).
RESNET = {18: (11_689_512, 512), 34: (21_797_672, 512), 50: (25_557_032, 2048)}
MOBILENET = {"small": (2_542_856, 576, 1024), "large": (5_483_032, 960, 1280)}


def resnet(depth: int) -> int:
    whole, features = RESNET[depth]
    return whole - biased(features, 1000) + head(features)


def mobilenet(size: str) -> int:
    whole, features, wide = MOBILENET[size]
    return whole - biased(features, wide) - biased(wide, 1000) + head(features)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ({"kind": "cnn"}, cnn()),
        ({"kind": "residual"}, residual()),
        ({"kind": "siamese"}, siamese()),
        ({"kind": "lenet_plus"}, lenet_plus()),
        ({"kind": "mobile_face"}, mobile_face()),
        ({"kind": "autoencoder"}, autoencoder()),
        *(({"kind": "resnet", "depth": depth}, resnet(depth)) for depth in RESNET),
        *(({"kind": "mobilenet_v3", "size": size}, mobilenet(size)) for size in MOBILENET),
    ],
    ids=str,
)
def test_the_number_of_weights(network: dict[str, object], expected: int) -> None:
    assert sum(weight.numel() for weight in built(network).parameters()) == expected


def test_lenet_has_the_62006_weights_known_of_it_for_32_pixels_in_colour() -> None:
    expected = biased(3 * 25, 6) + biased(6 * 25, 16)
    expected += biased(400, 120) + biased(120, 84) + biased(84, 10)
    assert expected == 62_006
    network = built({"kind": "lenet"}, 32, 10)
    assert sum(weight.numel() for weight in network.parameters()) == expected


def test_mobile_face_has_about_the_million_weights_of_the_paper() -> None:
    assert mobile_face() == pytest.approx(0.99e6, rel=0.02)
