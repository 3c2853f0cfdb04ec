"""PReLU in evaluation, against torch's own."""

import pytest
import torch

from mien_training.networks.layers import PReLU


@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 4, 3)])
def test_evaluation_computes_what_training_does(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    maps = torch.randn(shape, generator=generator)
    layer = PReLU(5)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([-0.5, 0.0, 0.25, 1.0, 2.0]))

    learned, used = layer.train()(maps), layer.eval()(maps)

    assert torch.equal(learned, torch.nn.functional.prelu(maps, layer.weight))
    assert torch.allclose(used, learned, atol=1e-6)


def test_the_graph_has_no_prelu() -> None:
    graph = torch.onnx.export(PReLU(3).eval(), (torch.zeros(1, 3, 2, 2),), dynamo=True)

    assert graph is not None
    assert "PRelu" not in {node.op_type for node in graph.model.graph}
