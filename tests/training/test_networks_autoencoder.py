"""The supervised autoencoder: its code, its picture, and what it adds to the losses."""

import csv
from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor

from mien_training import networks
from mien_training.config.recipe import Crop, Recipe
from mien_training.fit import fit
from mien_training.graph import to_onnx
from mien_training.losses.term import Term
from mien_training.networks.autoencoder import AutoencoderNetwork
from mien_training.networks.embedding import EmbeddingNetwork
from mien_training.networks.reconstruction import add_reconstruction
from tests.faces import folder_of_people
from tests.training.recipes import small

KIND = "network={kind='autoencoder', channels=[4, 5, 6], beta=0.5}"


def build(folder: Path, *overrides: str) -> EmbeddingNetwork:
    torch.manual_seed(1)
    return networks.build(small(folder, "crop={height=26, width=21}", KIND, *overrides))


def crops(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (count, 26, 21, 3), dtype=torch.uint8, generator=generator)


def backbone_of(network: EmbeddingNetwork) -> AutoencoderNetwork:
    assert isinstance(network.backbone, AutoencoderNetwork)
    return network.backbone


def test_a_code_becomes_a_picture_of_the_size_it_came_from(tmp_path: Path) -> None:
    network = build(tmp_path)
    picture = backbone_of(network).reconstruct(network.features(crops(4)))
    assert picture.shape == (4, 3, 26, 21)
    assert picture.abs().max() <= 1


def test_the_squared_error_times_beta_is_added_and_both_are_logged(tmp_path: Path) -> None:
    network = build(tmp_path)
    raw = network.features(crops(4))
    given = Term(torch.tensor(2.0), {"loss": 2.0, "softmax": 2.0})
    term = add_reconstruction(given, network, crops(4), raw)
    picture = backbone_of(network).reconstruct(raw).detach()
    pixels = crops(4).permute(0, 3, 1, 2) / 127.5 - 1
    error = ((picture - pixels) ** 2).sum().item() / (4 * 3 * 26 * 21)
    assert term.loss.item() == pytest.approx(2 + 0.5 * error)
    assert term.log == pytest.approx(
        {"loss": 2 + 0.5 * error, "softmax": 2.0, "reconstruction": error}
    )


def test_its_gradient_reaches_the_decoder_and_through_the_code_the_encoder(tmp_path: Path) -> None:
    network = build(tmp_path).train()
    nothing = Term(torch.tensor(0.0), {})
    add_reconstruction(nothing, network, crops(4), network.features(crops(4))).loss.backward()
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    assert all(weight.grad is not None and weight.grad.any() for weight in weights if weight.ndim)


def test_another_network_adds_nothing(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = networks.build(small(tmp_path))
    term = Term(torch.tensor(2.0), {"loss": 2.0})
    images = torch.zeros(2, 16, 16, 3, dtype=torch.uint8)
    assert add_reconstruction(term, network, images, network.features(images)) is term


def test_by_its_error_alone_it_learns_to_draw_a_picture(tmp_path: Path) -> None:
    network = build(tmp_path).train()
    backbone = backbone_of(network)
    grey = torch.tensor([0, 80, 160, 255], dtype=torch.uint8)
    images = grey[:, None, None, None].expand(4, 26, 21, 3).contiguous()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    errors = []
    for _ in range(60):
        term = add_reconstruction(
            Term(torch.tensor(0.0), {}), network, images, network.features(images)
        )
        optimiser.zero_grad()
        term.loss.backward()
        optimiser.step()
        errors.append(term.log["reconstruction"])
    assert errors[-1] < 0.2 * errors[0]
    assert backbone.beta == 0.5


def test_only_the_encoder_is_exported(tmp_path: Path) -> None:
    network = build(tmp_path)
    exported = onnx.load_from_string(to_onnx(network, Crop(height=26, width=21)))
    names = {tensor.name for tensor in exported.graph.initializer}
    assert any("encoder" in name for name in names)
    assert not any("decoder" in name for name in names)


def test_a_run_learns_and_logs_it(tmp_path: Path) -> None:
    folder = folder_of_people(tmp_path / "people", people=4, shots=3)
    recipe: Recipe = small(tmp_path, KIND)
    run = fit(folder, recipe, tmp_path / "run")
    with (run / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(0 < float(row["reconstruction"]) < 4 for row in rows)
