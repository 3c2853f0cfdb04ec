"""Real faces, where the development data lies beside the checkout; it is never part of it."""

from pathlib import Path

import pytest

from mien.dataset import read, scan

DATA = Path(__file__).parent.parent.parent / "shared" / "data"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"the development data is not at {DATA}; it cannot be distributed"
)


def test_the_training_crops_are_scanned_as_their_readme_counts_them() -> None:
    people = scan(DATA / "crops")
    assert len(people) == 1095
    assert sum(len(person.pictures) for person in people) == 22_554


@pytest.mark.parametrize(("folder", "step"), [("crops", 300), ("photos", 40)])
def test_real_pictures_are_decoded(folder: str, step: int) -> None:
    pictures = [path for person in scan(DATA / folder) for path in person.pictures]
    shapes = [read(path).shape for path in pictures[::step]]
    assert all(channels == 3 for _, _, channels in shapes)
    assert folder != "crops" or set(shapes) == {(112, 112, 3)}
