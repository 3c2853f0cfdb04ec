"""One search on all cores, several on one each; the answers are the same."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.gallery import gallery
from mien.gallery.galleries import Galleries
from mien.gallery.index import scan as scans
from mien.gallery.index.nearest import nearest
from mien.gallery.index.scan import Scan
from mien.gallery.records import Enrolment
from tests.gallery.looks import DIM, looks
from tests.server.waiting import WAIT_SECONDS, wait

VECTORS, PROBES = looks(500, seed=1), looks(3, seed=2)
CORES = 3


def is_helper() -> bool:
    return threading.current_thread().name.startswith("mien-search")


class Parts:
    """Stands for `nearest`: notes how many vectors are searched, and waits for `go` if `held`."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.held = False
        self.go = threading.Event()

    def __call__(self, probes: np.ndarray, vectors: np.ndarray, k: int) -> Any:
        self.lengths.append(len(vectors))
        if self.held:
            assert self.go.wait(WAIT_SECONDS)
        return nearest(probes, vectors, k)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    parts = Parts()
    monkeypatch.setattr(scans, "nearest", parts)
    return parts


@pytest.fixture
def scan(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scan]:
    """A hundred vectors are worth a thread."""
    monkeypatch.setattr(scans, "PART", 100 * DIM * 4)
    with closing(Scan(CORES)) as scan:
        yield scan


@pytest.mark.parametrize("k", [1, 9, 200, 500])
def test_the_nearest_of_all_parts_are_the_nearest_of_all(scan: Scan, parts: Parts, k: int) -> None:
    similarities, rows = scan.nearest(PROBES, VECTORS, k)
    assert sorted(parts.lengths) == [166, 167, 167]
    expected, where = nearest(PROBES, VECTORS, k)
    np.testing.assert_array_equal(rows, where)
    np.testing.assert_array_equal(similarities, expected)


def test_few_vectors_are_not_divided(scan: Scan, parts: Parts) -> None:
    scan.nearest(PROBES, VECTORS[:199], 9)
    scan.nearest(PROBES, VECTORS[:200], 9)
    assert sorted(parts.lengths) == [100, 100, 199]


def test_of_searches_beside_each_other_only_the_first_is_divided(scan: Scan, parts: Parts) -> None:
    parts.held = True
    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(scan.nearest, PROBES, VECTORS, 9)
        wait(lambda: len(parts.lengths) == CORES)
        second = callers.submit(scan.nearest, PROBES, VECTORS, 9)
        wait(lambda: len(parts.lengths) == CORES + 1)
        parts.go.set()
        np.testing.assert_array_equal(first.result()[1], second.result()[1])
    assert parts.lengths[CORES:] == [500]
    scan.nearest(PROBES, VECTORS, 9)
    assert sorted(parts.lengths[CORES + 1 :]) == [166, 167, 167]


def test_equally_similar_ones_are_in_the_same_order(scan: Scan, parts: Parts) -> None:
    twins = VECTORS.copy()
    twins[450] = twins[300] = twins[7]
    _, rows = scan.nearest(twins[7:8], twins, 9)
    assert len(parts.lengths) == CORES
    assert rows[0, :3].tolist() == nearest(twins[7:8], twins, 9)[1][0, :3].tolist()


class Trouble(Exception):
    pass


def test_what_goes_wrong_in_a_helper_is_raised_and_the_next_search_is_divided(
    scan: Scan, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Semaphore(0)

    def troubled(probes: np.ndarray, vectors: np.ndarray, k: int) -> Any:
        if is_helper():
            begun.release()
            raise Trouble
        assert begun.acquire(timeout=WAIT_SECONDS)
        return nearest(probes, vectors, k)

    with monkeypatch.context() as patched:
        patched.setattr(scans, "nearest", troubled)
        with pytest.raises(Trouble):
            scan.nearest(PROBES, VECTORS, 9)
    scan.nearest(PROBES, VECTORS, 9)
    assert len(parts.lengths) == CORES


def test_a_search_that_failed_ends_when_its_helpers_have(
    scan: Scan, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def troubled(probes: np.ndarray, vectors: np.ndarray, k: int) -> Any:
        if is_helper():
            begun.set()
            return parts(probes, vectors, k)
        assert begun.wait(WAIT_SECONDS)
        raise Trouble

    parts.held = True
    monkeypatch.setattr(scans, "nearest", troubled)
    with ThreadPoolExecutor(1) as callers:
        search = callers.submit(scan.nearest, PROBES, VECTORS, 9)
        with pytest.raises(TimeoutError):
            search.result(timeout=0.2)
        parts.go.set()
        with pytest.raises(Trouble):
            search.result(timeout=WAIT_SECONDS)


def test_what_no_helper_has_begun_the_search_does_itself(
    scan: Scan, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = threading.Event()
    for _ in range(CORES):
        scan._helpers.submit(busy.wait, WAIT_SECONDS)
    try:
        _, rows = scan.nearest(PROBES, VECTORS, 9)
    finally:
        busy.set()
    assert parts.lengths == [167, 167, 166]
    np.testing.assert_array_equal(rows, nearest(PROBES, VECTORS, 9)[1])


def test_after_the_end_a_search_is_not_divided(scan: Scan, parts: Parts) -> None:
    scan.close()
    scan.nearest(PROBES, VECTORS, 9)
    assert parts.lengths == [500]


@pytest.mark.parametrize("cores", [CORES, 1])
def test_galleries_divide_a_lone_search_among_the_cores_they_are_given(
    tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    monkeypatch.setattr(scans, "PART", 100 * DIM * 4)
    monkeypatch.setattr(gallery, "SAVED_FROM", 100)
    expected = [166, 167, 167] if cores == CORES else [500]
    people = [Enrolment(f"person{n}", each, f"{n:064x}") for n, each in enumerate(VECTORS)]
    with Galleries(tmp_path, cores) as galleries:
        galleries.create("people", "model", DIM)
        galleries.enroll_many("people", people, "model")
        assert searched(galleries, parts) == expected
    assert (tmp_path / "people.index").exists()
    with Galleries(tmp_path, cores) as reopened:
        assert searched(reopened, parts) == expected


def searched(galleries: Galleries, parts: Parts) -> list[int]:
    parts.lengths.clear()
    (found,) = galleries.search("people", VECTORS[400], "model", 1).matches
    assert found.subject_id == "person400"
    return sorted(parts.lengths)
