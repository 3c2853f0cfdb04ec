import pytest

from mien.errors import MultipleFaces, NoFace
from mien.vision.selection import MOST_FACES, MultiFace, select
from tests.vision.portraits import face

LARGE, MIDDLE, SMALL = face(400, 300, 3), face(100, 300, 2), face(100, 90, 1)
UNSURE = face(300, 300, 4, score=0.62)
TINY = face(10, 10, 0.2)


@pytest.mark.parametrize("policy", ["reject", "largest", "all"])
def test_the_only_face_is_taken_by_every_policy(policy: MultiFace) -> None:
    assert select([MIDDLE], policy) == [MIDDLE]


@pytest.mark.parametrize("policy", ["reject", "largest", "all"])
def test_no_face_is_refused_by_every_policy(policy: MultiFace) -> None:
    with pytest.raises(NoFace, match="no face that the detector finds"):
        select([], policy)


def test_of_several_faces_each_policy_does_what_it_is_called() -> None:
    faces = [SMALL, LARGE, MIDDLE]
    with pytest.raises(MultipleFaces, match="3 faces and one was asked for"):
        select(faces, "reject")
    assert select(faces, "largest") == [LARGE]
    assert select(faces, "all") == [LARGE, MIDDLE, SMALL]


@pytest.mark.parametrize("policy", ["reject", "largest"])
def test_what_cannot_be_used_does_not_count_beside_what_can(policy: MultiFace) -> None:
    assert select([UNSURE, MIDDLE, TINY], policy) == [MIDDLE]


@pytest.mark.parametrize("policy", ["reject", "largest"])
def test_where_none_can_be_used_the_largest_says_why(policy: MultiFace) -> None:
    assert select([TINY, UNSURE], policy) == [UNSURE]


def test_all_are_all_also_those_that_cannot_be_used() -> None:
    assert select([TINY, MIDDLE, UNSURE], "all") == [UNSURE, MIDDLE, TINY]


def test_all_of_too_many_are_refused_rather_than_cut_short() -> None:
    crowd = [face(10 * number, 300, 1) for number in range(MOST_FACES + 1)]
    assert len(select(crowd[1:], "all")) == MOST_FACES
    with pytest.raises(MultipleFaces, match="101 faces, and all of at most 100"):
        select(crowd, "all")
    assert select(crowd, "largest")
