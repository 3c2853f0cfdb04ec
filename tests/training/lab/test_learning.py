"""The loop that all experiments share, and what looks into it."""

import numpy as np
import pytest
import torch
from torch import nn

from mien_training.config.layers import Normal
from mien_training.config.losses import Losses, Softmax, SquaredError, Triplet
from mien_training.config.networks import Cnn
from mien_training.config.optimisation import Adam, Sgd
from mien_training.config.recipe import Batches, Recipe
from mien_training.data import Crops
from mien_training.lab import classes, digits, recipes
from mien_training.lab.layers import spreads
from mien_training.lab.learning import Shuffled, learn
from mien_training.learner import Learner

FAST = Adam(kind="adam", learning_rate=0.01)


def recipe(epochs: int = 2, **changed: object) -> Recipe:
    known = {"batches": Batches(people=5, pictures=2), "optimiser": FAST}
    return recipes.digits(1, epochs, **(known | changed))


@pytest.fixture(scope="module")
def train() -> Crops:
    found = digits.load(recipes.DIGIT_SIDE).train
    return Crops(found.people, found.images[:200], found.labels[:200])


def test_every_picture_is_seen_once_an_epoch(train: Crops) -> None:
    source = Shuffled(train, 64, seed=1)
    batches = list(source.epoch(1))
    assert len(source) == len(batches) == 4
    assert [len(labels) for _, labels in batches] == [64, 64, 64, 8]
    seen = torch.cat([images for images, _ in batches]).flatten(1)
    assert sorted(map(bytes, seen.numpy())) == sorted(map(bytes, train.images.reshape(200, -1)))


def test_the_order_is_of_seed_and_epoch(train: Crops) -> None:
    orders = [
        torch.cat([labels for _, labels in Shuffled(train, 64, seed).epoch(epoch)])
        for seed, epoch in ((1, 1), (1, 1), (1, 2), (2, 1))
    ]
    assert torch.equal(orders[0], orders[1])
    assert not any(torch.equal(orders[0], other) for other in orders[2:])


def test_the_whole_set_is_one_batch(train: Crops) -> None:
    source = Shuffled(train, None, seed=1)
    assert len(source) == 1
    ((images, labels),) = source.epoch(1)
    assert len(images) == len(labels) == 200


def test_it_learns_and_tells_of_every_step(train: Crops) -> None:
    looks: list[tuple[int, float]] = []

    def look(learner: Learner, steps: int) -> None:
        looks.append((steps, float(classes.wrong(learner, train).mean())))

    lesson = learn(recipe(epochs=5), train, Shuffled(train, 20, 1), look)
    assert [steps for steps, _ in looks] == list(range(51))
    assert looks[0][1] > 0.7
    assert looks[-1][1] < 0.2
    losses = lesson.column("loss")
    assert len(losses) == len(lesson.seconds) == 50
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) / 2
    assert all(np.diff(lesson.seconds) > 0)
    assert lesson.stopped is None
    assert not lesson.network.training


def test_looking_changes_nothing(train: Crops) -> None:
    def look(learner: Learner, _steps: int) -> None:
        classes.wrong(learner, train)
        classes.loss(learner, train)

    both = [learn(recipe(), train, Shuffled(train, 50, 1), each) for each in (None, look)]
    assert both[0].column("loss") == both[1].column("loss")


def test_without_a_source_it_takes_the_recipes_batches(train: Crops) -> None:
    lesson = learn(recipe(epochs=1, losses=Losses(triplet=Triplet())), train)
    assert lesson.column("active_triplets")
    with pytest.raises(ValueError, match="none of the losses triplet has a class head"):
        classes.wrong(lesson.learner, train)


def test_what_diagnose_stops_ends_there_and_says_why(train: Crops) -> None:
    steep = recipe(
        epochs=50,
        losses=Losses(squared_error=SquaredError()),
        optimiser=Sgd(kind="sgd", learning_rate=1e4),
        network=Cnn(kind="cnn", channels=(8,), batch_normalisation=False),
    )
    lesson = learn(steep, train, Shuffled(train, 50, 1))
    assert lesson.stopped
    assert lesson.stopped.startswith("stopped at step")
    assert 0 < len(lesson.log) < 200


def test_the_loss_in_evaluation_is_that_of_all_pictures(train: Crops) -> None:
    learner = learn(recipe(), train, Shuffled(train, 50, 1)).learner
    raw = classes.embeddings(learner, train)
    (head,) = [module for module in learner.losses.modules() if isinstance(module, nn.Linear)]
    by_hand = nn.functional.cross_entropy(head(raw), torch.from_numpy(train.labels))
    assert classes.loss(learner, train) == pytest.approx(by_hand.item(), rel=1e-5)
    assert learner.network.training
    assert learner.losses.training


@pytest.mark.parametrize("kind", ["cosface", "arcface"])
def test_a_class_is_told_without_the_margin(kind: str, train: Crops) -> None:
    losses = Losses.model_validate({"softmax": Softmax.model_validate({"head": {"kind": kind}})})
    learner = learn(recipe(12, losses=losses), train, Shuffled(train, 50, 1)).learner
    assert classes.wrong(learner, train).mean() < 0.5


def test_spreads_are_those_of_each_layer(train: Crops) -> None:
    deep = Cnn(
        kind="cnn",
        channels=(4,),
        hidden=(32, 32),
        activation="relu",
        batch_normalisation=False,
        initialisation=Normal(kind="normal", deviation=0.1),
    )
    seen: list[tuple[list[float], float]] = []
    images, labels = torch.from_numpy(train.images[:50]), torch.from_numpy(train.labels[:50])

    def look(learner: Learner, steps: int) -> None:
        if steps:
            return
        found = spreads(learner, images, labels)
        assert [each.layer for each in found] == ["1 Conv2d", "2 Linear", "3 Linear", "4 Linear"]
        raw = learner.network.features(images)
        raw.retain_grad()
        learner.losses(raw, labels).loss.backward()
        last = found[-1]
        assert raw.grad is not None
        assert last.activation == pytest.approx(raw.std(correction=0).item(), rel=1e-5)
        assert last.gradient == pytest.approx(raw.grad.std(correction=0).item(), rel=1e-5)
        seen.append(([each.weight_gradient for each in found], last.activation))
        learner.optimiser.zero_grad()

    learn(recipe(epochs=1, network=deep), train, Shuffled(train, 50, 1), look)
    assert all(gradient > 0 for gradient in seen[0][0])
