"""Networks: shapes, first weights, and the module that is exported."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mien_training import networks
from mien_training.networks.embedding import EmbeddingNetwork
from tests.training.recipes import small

NETWORKS = {
    "one block": "network={kind='cnn', channels=[3]}",
    "deep": "network={kind='cnn', channels=[3, 4, 5, 6], convolutions=2, dropout=0.2}",
    "average": "network={kind='cnn', channels=[3, 4], pooling='average', activation='tanh'}",
    "leaky": "network={kind='cnn', channels=[3, 4], activation='leaky_relu'}",
    "residual": "network={kind='residual', channels=[4, 6, 8], blocks=[1, 2, 1]}",
}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


def build(folder: Path, *overrides: str) -> EmbeddingNetwork:
    torch.manual_seed(1)
    return networks.build(small(folder, "crop={height=26, width=17}", *overrides))


def crops(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (count, 26, 17, 3), dtype=torch.uint8, generator=generator)


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
    learning = [weight for weight in module.parameters() if weight.requires_grad]
    assert all(weight.grad is not None for weight in learning)


@every_network
def test_biases_start_at_zero_and_weights_with_the_variance_of_he(
    network: str, tmp_path: Path
) -> None:
    module = build(tmp_path, network, "dimension=256")
    for name, weight in module.named_parameters():
        if name.endswith("bias"):
            assert torch.count_nonzero(weight) == 0
    last = [part for part in module.modules() if isinstance(part, nn.Linear)][-1]
    assert last.weight.std().item() == pytest.approx((2 / last.out_features) ** 0.5, rel=0.05)


def test_a_residual_block_starts_as_its_shortcut(tmp_path: Path) -> None:
    module = build(tmp_path, NETWORKS["residual"])
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
