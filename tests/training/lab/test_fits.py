"""One setting learned once for each seed."""

import numpy as np
import pytest
import torch

from mien_training.config.networks import Cnn
from mien_training.config.optimisation import Sgd
from mien_training.config.recipe import Crop
from mien_training.data import Crops
from mien_training.lab import digits, faces, fits, recipes
from mien_training.lab.fits import EER, ERROR, STEPS
from mien_training.lab.split import Split
from mien_training.lab.verification import Verified

SMALL = Cnn(kind="cnn", channels=(4,), batch_normalisation=False, activation="relu")


def first(crops: Crops, count: int) -> Crops:
    return Crops(crops.people, crops.images[:count], crops.labels[:count])


@pytest.fixture(scope="module")
def digit_split() -> Split:
    whole = digits.load(recipes.DIGIT_SIDE)
    return Split(first(whole.train, 100), first(whole.test, 80))


@pytest.fixture(scope="module")
def face_split() -> Split:
    return faces.load(16)


def test_digits_are_learned_once_for_each_recipe_and_measured_on_the_test_pictures(
    digit_split: Split,
) -> None:
    each = [recipes.digits(seed, 1, network=SMALL) for seed in (3, 4)]
    found = fits.on_digits(each, digit_split, batch=50)
    assert [len(fit.lesson.log) for fit in found] == [2, 2]
    assert [fit.wrong.shape for fit in found] == [(80,), (80,)]
    rows = fits.rows({"a": found}, lambda lesson: {STEPS: float(len(lesson.log))})
    assert [(row.setting, row.seed) for row in rows] == [("a", 3), ("a", 4)]
    assert rows[0].figures == {ERROR: 100 * float(found[0].wrong.mean()), STEPS: 2.0}


def test_without_a_size_all_pictures_are_one_batch(digit_split: Split) -> None:
    (found,) = fits.on_digits([recipes.digits(1, 2, network=SMALL)], digit_split, batch=None)
    assert len(found.lesson.log) == 2


def test_settings_are_compared_on_the_same_pictures_and_people(
    digit_split: Split, face_split: Split
) -> None:
    each = [recipes.digits(seed, 1, network=SMALL) for seed in (1, 2)]
    learned = {name: fits.on_digits(each, digit_split, size) for name, size in SIZES.items()}
    found = fits.errors_compared(learned, "a", "b")
    assert found.first_value == pytest.approx(np.mean([fit.error for fit in learned["a"]]))
    assert found.second_value == pytest.approx(np.mean([fit.error for fit in learned["b"]]))
    assert (found.figure, found.resampled) == (ERROR, "80 test pictures and 2 seeds")
    recipe = recipes.faces(1, 1, network=SMALL, crop=Crop(height=16, width=16))
    people = {"a": fits.on_faces([recipe], face_split)}
    same = fits.eers_compared(people, "a", "a")
    assert (same.figure, same.difference, same.resampled) == (EER, 0, "10 people")


SIZES = {"a": 50, "b": 10}


def test_parameters_are_those_of_network_and_head(digit_split: Split) -> None:
    (found,) = fits.on_digits([recipes.digits(1, 1, network=SMALL)], digit_split)
    convolution, embedding, head = 27 * 4 + 4, 4 * 8 * 8 * 32 + 32, 32 * 10 + 10
    assert fits.parameters(found.lesson) == convolution + embedding + head


def test_a_network_that_exploded_tells_nobody_apart(face_split: Split) -> None:
    recipe = recipes.faces(
        1,
        1,
        network=SMALL,
        crop=Crop(height=16, width=16),
        optimiser=Sgd(kind="sgd", learning_rate=0.01),
    )
    (found,) = fits.on_faces([recipe], face_split)
    with torch.no_grad():
        for weight in found.lesson.network.parameters():
            weight.fill_(float("nan"))
    assert Verified.by(found.lesson.network, face_split.test).eer == pytest.approx(0.5)


def test_a_curve_has_few_points_and_keeps_the_mean() -> None:
    values = list(range(400))
    pieces = fits.in_pieces(values)
    assert len(pieces) == fits.POINTS
    assert np.mean(pieces) == pytest.approx(np.mean(values))
    assert pieces == sorted(pieces)
    assert fits.in_pieces([3.0, 1.0]) == [3.0, 1.0]
    assert fits.in_pieces([]) == []


def test_curves_of_several_runs_are_averaged_as_far_as_all_went() -> None:
    assert fits.mean_of([[1.0, 2.0, 9.0], [3.0, 4.0]]) == [2, 3]
    assert fits.mean_of([[1.0, 2.0], []]) == []
