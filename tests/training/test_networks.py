"""Networks: what each of them keeps to, and the module that is exported."""

import math
from pathlib import Path
from typing import get_args

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from mien.errors import RecipeInvalid
from mien_training import networks
from mien_training.config.networks import Network, smallest_side
from mien_training.config.recipe import Crop
from mien_training.config.table import Settings
from mien_training.graph import to_onnx
from mien_training.networks.embedding import EmbeddingNetwork
from tests.training.recipes import small

ONE_OF_EACH_KIND = {
    "cnn": "network={kind='cnn', channels=[3, 4], hidden=[7], dropout=0.2, drop_connect=0.2}",
    "lenet": "network={kind='lenet'}",
    "lenet_plus": "network={kind='lenet_plus', channels=[4, 5, 6]}",
    "siamese": "network={kind='siamese', channels=[4, 6, 8], stride=1, hidden=16}",
    "residual": "network={kind='residual', channels=[8, 10, 12], blocks=[1, 2, 1]}",
    "mobile_face": "network={kind='mobile_face', width=0.1, stem_stride=1}",
    "resnet": "network={kind='resnet', drop_connect=0.1}",
    "mobilenet_v3": "network={kind='mobilenet_v3'}",
    "autoencoder": "network={kind='autoencoder', channels=[4, 5, 6]}",
}
OTHERS = {
    "one block": "network={kind='cnn', channels=[3]}",
    "deep": "network={kind='cnn', channels=[3, 4, 5, 6], convolutions=2, dropout=0.2}",
    "uneven": "network={kind='cnn', channels=[3, 4], convolutions=[1, 3]}",
    "average": "network={kind='cnn', channels=[3, 4], pooling='average', activation='tanh'}",
    "leaky": "network={kind='cnn', channels=[3, 4], activation='leaky_relu'}",
    "overlapping": "network={kind='cnn', channels=[3, 4], pooling='sum', window=3, stride=2}",
    "bare": "network={kind='cnn', channels=[3, 4], batch_normalisation=false, hidden=[9, 9]}",
    "unpadded": "network={kind='cnn', channels=[3, 4], padded=false, kernel=4}",
    "sigmoid": "network={kind='cnn', channels=[3], activation='sigmoid'}",
    "large": "network={kind='mobilenet_v3', size='large'}",
    "34": "network={kind='resnet', depth=34}",
    "50": "network={kind='resnet', depth=50}",
}
KINDS: tuple[type[Settings], ...] = get_args(get_args(Network)[0])
every_kind = pytest.mark.parametrize(
    "network", ONE_OF_EACH_KIND.values(), ids=list(ONE_OF_EACH_KIND)
)
every_network = pytest.mark.parametrize(
    "network", [*ONE_OF_EACH_KIND.values(), *OTHERS.values()], ids=[*ONE_OF_EACH_KIND, *OTHERS]
)


def build(folder: Path, *overrides: str) -> EmbeddingNetwork:
    torch.manual_seed(1)
    return networks.build(small(folder, "crop={height=26, width=21}", *overrides))


def crops(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (count, 26, 21, 3), dtype=torch.uint8, generator=generator)


def learning(module: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that learn, without those of a decoder, which no embedding goes through."""
    weights = {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
    return {name: weight for name, weight in weights.items() if ".decoder." not in name}


@every_network
def test_crops_become_unit_vectors_and_every_weight_gets_a_gradient(
    network: str, tmp_path: Path
) -> None:
    module = build(tmp_path, network).train()
    vectors = module(crops(5))
    assert vectors.shape == (5, 8)
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5))
    module(crops(5)).square().sum().backward()
    assert all(weight.grad is not None for weight in learning(module).values())


@every_kind
def test_a_step_of_learning_moves_every_layer_and_keeps_it_finite(
    network: str, tmp_path: Path
) -> None:
    module = build(tmp_path, network, "dimension=32").train()
    before = {name: weight.detach().clone() for name, weight in learning(module).items()}
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    raw = module.features(crops(6))
    nn.functional.cross_entropy(raw, torch.arange(6)).backward()
    optimiser.step()
    moved = {name for name, weight in learning(module).items() if not weight.equal(before[name])}
    assert all(weight.isfinite().all() for weight in learning(module).values())
    # A residual block starts as its shortcut, so that at first only its last scale moves.
    kernels = {name for name, weight in before.items() if weight.ndim > 1}
    assert moved >= kernels or "residual" in network


@every_kind
def test_in_evaluation_a_crop_has_one_vector_whatever_stands_beside_it(
    network: str, tmp_path: Path
) -> None:
    module = build(tmp_path, network).eval()
    assert torch.equal(module(crops(5)), module(crops(5)))
    torch.testing.assert_close(module(crops(5))[:1], module(crops(1)))


@every_kind
def test_onnx_gives_the_vectors_of_the_network_for_any_batch(network: str, tmp_path: Path) -> None:
    module = build(tmp_path, network)
    module.train()(crops(8))  # running statistics that are not those of the start
    exported = to_onnx(module, Crop(height=26, width=21))
    session = ort.InferenceSession(exported, providers=["CPUExecutionProvider"])
    for count in (1, 5):
        (vectors,) = session.run(None, {"crops": crops(count).numpy()})
        expected = module.eval()(crops(count)).detach().numpy()
        assert np.abs(vectors - expected).max() <= 1e-5


@every_kind
def test_the_smallest_crop_is_taken_and_one_pixel_less_refused(
    network: str, tmp_path: Path
) -> None:
    recipe = small(tmp_path, "crop={height=26, width=21}", network)
    side = smallest_side(recipe.network)
    assert side
    backbone = networks.build(
        recipe.model_copy(update={"crop": Crop.model_construct(height=side, width=side)})
    ).eval()
    assert backbone(torch.zeros(2, side, side, 3, dtype=torch.uint8)).shape == (2, 8)
    assert recipe.network.last_side(side - 1) < 1


@pytest.mark.parametrize(
    ("network", "side"),
    [
        ("network={kind='siamese'}", 47),
        ("network={kind='siamese', stride=2}", 29),
        ("network={kind='cnn', channels=[4, 4, 4, 4, 4]}", 32),
        ("network={kind='cnn', channels=[4, 4], padded=false, kernel=5, convolutions=2}", 28),
        ("network={kind='cnn', channels=[4, 4], padded=false, kernel=5, convolutions=[1, 3]}", 32),
    ],
)
def test_a_crop_that_is_too_small_is_refused_with_the_recipe(
    network: str, side: int, tmp_path: Path
) -> None:
    fits = f"crop={{height={side}, width={side + 9}}}"
    too_small = f"crop={{height={side - 1}, width={side + 9}}}"
    small(tmp_path, network, fits)
    with pytest.raises(RecipeInvalid, match=f"make both sides at least {side} or choose a smaller"):
        small(tmp_path, network, too_small)


def test_a_network_that_no_crop_is_large_enough_for_is_refused(tmp_path: Path) -> None:
    blocks = ", ".join(["4"] * 11)
    with pytest.raises(RecipeInvalid, match=r"network\.kind cnn; choose a smaller network"):
        small(tmp_path, f"network={{kind='cnn', channels=[{blocks}]}}")


def test_an_even_kernel_cannot_keep_the_size(tmp_path: Path) -> None:
    with pytest.raises(RecipeInvalid, match=r"network\.kernel is 4, and only an odd one keeps"):
        small(tmp_path, "network={kind='cnn', kernel=4}")


@pytest.mark.parametrize(
    ("convolutions", "refusal"),
    [
        ("[1, 3]", "names 3 blocks and network.convolutions 2; give both the same length"),
        ("0", r"network\.convolutions is 0: input should be greater"),
        ("[1, 0, 3]", r"network\.convolutions\.1 is 0: input should be greater"),
        ("'two'", r"network\.convolutions is \"two\": input should be a valid integer"),
    ],
)
def test_convolutions_are_one_number_or_one_for_each_block(
    convolutions: str, refusal: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeInvalid, match=refusal):
        small(tmp_path, f"network={{kind='cnn', channels=[4, 4, 4], convolutions={convolutions}}}")


OURS = sorted(ONE_OF_EACH_KIND.keys() - {"resnet", "mobilenet_v3"})


@pytest.mark.parametrize("kind", OURS)
def test_weights_start_as_the_recipe_says_and_biases_at_zero(kind: str, tmp_path: Path) -> None:
    key = "network.initialisation={kind='normal', deviation=0.03}"
    module = build(tmp_path, ONE_OF_EACH_KIND[kind], key, "dimension=128")
    weighted = [part for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    drawn = torch.cat([part.weight.flatten() for part in weighted])
    assert drawn.std().item() == pytest.approx(0.03, rel=0.06)
    assert drawn.mean().item() == pytest.approx(0, abs=0.002)
    biases = [weight for name, weight in module.named_parameters() if name.endswith("bias")]
    assert not any(torch.count_nonzero(bias) for bias in biases)


@pytest.mark.parametrize("kind", sorted(ONE_OF_EACH_KIND.keys() - {"lenet"}))
def test_without_a_word_about_it_the_last_layer_starts_with_the_variance_of_he(
    kind: str, tmp_path: Path
) -> None:
    module = build(tmp_path, ONE_OF_EACH_KIND[kind], "dimension=256")
    last = [part for part in module.modules() if isinstance(part, nn.Linear)][-1]
    expected = math.sqrt(2 / last.out_features)
    assert last.weight.std().item() == pytest.approx(expected, rel=0.1)


def test_a_residual_block_starts_as_its_shortcut(tmp_path: Path) -> None:
    module = build(tmp_path, ONE_OF_EACH_KIND["residual"])
    block = networks.residual.Block(4, 4, stride=1)
    block.start_as_identity()
    maps = torch.randn(2, 4, 6, 6)
    assert torch.equal(block(maps), maps)
    blocks = [part for part in module.modules() if isinstance(part, networks.residual.Block)]
    assert len(blocks) == 4
    assert all(torch.count_nonzero(block.last.weight) == 0 for block in blocks)


def test_with_flip_a_crop_and_its_mirror_image_have_one_vector(tmp_path: Path) -> None:
    module = build(tmp_path, "flip_embedding=true").eval()
    torch.testing.assert_close(module(crops(3)), module(crops(3).flip(2)))
    plain = build(tmp_path, "flip_embedding=false").eval()
    assert not torch.allclose(plain(crops(3)), plain(crops(3).flip(2)))


def test_pixels_reach_the_backbone_between_minus_one_and_one() -> None:
    class Extremes(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            assert images.shape == (1, 3, 2, 4)
            return torch.stack([images.amin(), images.amax()]).unsqueeze(0)

    black_and_white = torch.tensor([0, 255], dtype=torch.uint8).repeat(12).reshape(1, 2, 4, 3)
    raw = EmbeddingNetwork(Extremes(), flip=False).features(black_and_white)
    assert raw.tolist() == [[-1, 1]]


def test_the_tests_above_name_every_kind() -> None:
    kinds = {get_args(model.model_fields["kind"].annotation)[0] for model in KINDS}
    assert kinds == set(ONE_OF_EACH_KIND)
