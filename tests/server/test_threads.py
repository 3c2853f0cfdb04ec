import os
from collections.abc import Iterator

import cv2
import pytest

from mien.server.threads import arrange


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def test_opencv_takes_no_threads_of_its_own() -> None:
    cv2.setNumThreads(2)
    arrange()
    assert cv2.getNumThreads() == 1


def test_a_server_takes_the_cores_that_it_may_run_on() -> None:
    assert arrange().cores == len(os.sched_getaffinity(0))
    assert arrange(3).cores == 3
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(mine)})
    try:
        assert arrange().cores == 1
    finally:
        os.sched_setaffinity(0, mine)
