import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import pytest

from mien.server.threads import arrange, yield_to_the_network


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


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux has SCHED_BATCH")
def test_a_thread_yields_and_those_beside_it_do_not() -> None:
    with ThreadPoolExecutor(1, initializer=yield_to_the_network) as pool:
        assert pool.submit(os.sched_getscheduler, 0).result() == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux has SCHED_BATCH")
def test_where_that_is_forbidden_a_thread_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(1, "not in this sandbox")

    monkeypatch.setattr(os, "sched_setscheduler", forbidden)
    with ThreadPoolExecutor(1, initializer=yield_to_the_network) as pool:
        assert pool.submit(os.sched_getscheduler, 0).result() == os.SCHED_OTHER
