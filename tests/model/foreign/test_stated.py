"""What was said of a network agrees with its file, or is refused."""

import pytest

from mien.errors import InvalidRequest
from mien.model.foreign.network import Foreign, Shape
from mien.model.foreign.preprocessing import SCALES, Preprocessing
from mien.model.foreign.stated import Stated
from tests.model.foreign.networks import build

ANY: Shape = ("batch", "c", "h", "w")


def foreign(shape: Shape = ("batch", 3, 112, 96)) -> Foreign:
    return Foreign(build(), "pixels", shape, "embedding")


def test_every_way_that_is_left_open_is_thought_of_once() -> None:
    ways = list(Stated().ways(foreign(ANY)))
    assert len(ways) == len(set(ways)) == 2 * 2 * len(SCALES)
    assert len(list(Stated().ways(foreign()))) == 2 * len(SCALES)


def test_what_was_said_is_not_tried_otherwise() -> None:
    stated = Stated("nhwc", "bgr", SCALES["raw"])
    assert list(stated.ways(foreign(ANY))) == [Preprocessing("nhwc", "bgr", SCALES["raw"])]
    assert stated.unknown(foreign(ANY)) == []


def test_only_what_the_file_does_not_tell_is_asked_for() -> None:
    assert Stated().unknown(foreign(ANY)) == ["--layout", "--channels", "--scale"]
    assert Stated().unknown(foreign()) == ["--channels", "--scale"]
    assert Stated(channels="rgb").unknown(foreign()) == ["--scale"]


def test_the_size_is_that_of_the_file_or_the_one_that_was_said() -> None:
    assert Stated().crop(foreign()) == (112, 96)
    assert Stated(size=(112, 96)).crop(foreign()) == (112, 96)
    assert Stated(size=(80, 64)).crop(foreign(ANY)) == (80, 64)
    assert Stated(size=(112, 64)).crop(foreign(("batch", 3, 112, "w"))) == (112, 64)


@pytest.mark.parametrize(
    ("stated", "shape", "message"),
    [
        (Stated(), ANY, "pictures of any size.*say --size HxW"),
        (Stated(size=(112, 112)), ("batch", 3, 112, 96), "--size 112x112 is not.*112x96"),
        (Stated(layout="nhwc"), ("batch", 3, 112, 96), "--layout nhwc is not that of the network"),
        (Stated(size=(9, 9)), ("batch", "c", 112, "w"), "of one size as nchw.*say --layout"),
    ],
)
def test_what_is_missing_or_contradicts_the_file_is_refused(
    stated: Stated, shape: Shape, message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        stated.crop(foreign(shape))
