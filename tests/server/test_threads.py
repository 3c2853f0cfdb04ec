import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien import stages
from mien.client import Client
from mien.model.bundle import Bundle
from mien.server.server import Server
from mien.server.settings import Settings
from mien.server.threads import arrange, yielding_to_the_network
from tests.faces import encoded


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


def test_threads_are_kept_on_cores_only_if_the_server_has_all_of_them() -> None:
    mine = tuple(sorted(os.sched_getaffinity(0)))
    assert arrange().apart == arrange(len(mine)).apart == mine
    assert arrange(len(mine) + 1).apart == ()


linux = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux has SCHED_BATCH")


def _policy_of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(os.sched_getscheduler, 0).result()


@linux
def test_threads_begun_inside_yield_and_those_begun_later_do_not() -> None:
    with yielding_to_the_network():
        assert _policy_of_a_new_thread() == os.SCHED_BATCH
    assert _policy_of_a_new_thread() == os.SCHED_OTHER


@linux
def test_where_that_is_forbidden_the_server_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(1, "not in this sandbox")

    monkeypatch.setattr(os, "sched_setscheduler", forbidden)
    with yielding_to_the_network():
        assert _policy_of_a_new_thread() == os.SCHED_OTHER


@linux
def test_who_chose_another_policy_keeps_it() -> None:
    def begun_in_the_background() -> tuple[int, int]:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        with yielding_to_the_network():
            inside = _policy_of_a_new_thread()
        return inside, os.sched_getscheduler(0)

    with ThreadPoolExecutor(1) as pool:
        policies = pool.submit(begun_in_the_background).result()
    assert policies == (os.SCHED_IDLE, os.SCHED_IDLE)


@linux
def test_threads_of_calls_yield_and_lanes_do_not(bundle: Bundle, tmp_path: Path) -> None:
    policies: dict[str, int] = {}

    def embed(crops: np.ndarray) -> np.ndarray:
        policies["lane"] = os.sched_getscheduler(0)
        return narrow(crops)

    def decoded(stage: str, _seconds: float) -> None:
        if stage == "decode":
            policies["call"] = os.sched_getscheduler(0)

    before = set(threading.enumerate())
    with Server(Settings(bundle=bundle.folder, data=tmp_path / "data", port=0)) as server:
        (serving,) = (
            each for each in set(threading.enumerate()) - before if "(_serve)" in each.name
        )
        assert serving.native_id
        policies["gRPC"] = os.sched_getscheduler(serving.native_id)
        narrow = server.batcher._narrow
        server.batcher._narrow = server.batcher._wide = embed
        stages.listen(decoded)
        try:
            with Client(f"127.0.0.1:{server.port}") as client:
                client.embed([encoded(0, 0)])
        finally:
            stages.ignore(decoded)
    assert policies == {
        "gRPC": os.SCHED_BATCH,
        "call": os.SCHED_BATCH,
        "lane": os.SCHED_OTHER,
    }
