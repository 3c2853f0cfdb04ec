import numpy as np
import pytest

from mien.errors import ImageUndecodable
from mien.model.bundle import Bundle
from mien.model.pipeline import Pipeline
from tests.faces import encoded


def test_pictures_of_one_person_are_more_alike_than_of_two(bundle: Bundle) -> None:
    pipeline = Pipeline(bundle)
    same, other, again = (pipeline.embed(encoded(*who)) for who in ((1, 0), (2, 0), (1, 1)))
    assert same @ again > same @ other


def test_each_picture_has_its_own_outcome(bundle: Bundle) -> None:
    pipeline = Pipeline(bundle)
    first, bad, last = pipeline.embed_each([encoded(1, 0), b"rubbish", encoded(2, 0)])
    assert isinstance(bad, ImageUndecodable)
    for outcome, person in ((first, 1), (last, 2)):
        alone = pipeline.embed(encoded(person, 0))
        assert isinstance(outcome, np.ndarray)
        assert np.abs(outcome - alone).max() < 1e-6


def test_nothing_but_rubbish_gives_nothing_but_refusals(bundle: Bundle) -> None:
    outcomes = Pipeline(bundle).embed_each([b"", b"x"])
    assert all(isinstance(outcome, ImageUndecodable) for outcome in outcomes)
    assert Pipeline(bundle).embed_each([]) == []


def test_one_picture_that_is_none_is_raised(bundle: Bundle) -> None:
    with pytest.raises(ImageUndecodable):
        Pipeline(bundle).embed(b"rubbish")
