"""One search on all cores, several on one each; the answers are the same."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.gallery.galleries import Galleries
from mien.gallery.index import scan as scans
from mien.gallery.index.nearest import nearest
from mien.gallery.index.scan import Scan
from mien.gallery.records import Enrolment
from tests.gallery.looks import DIM, looks
from tests.server.waiting import WAIT_SECONDS, wait

VECTORS, PROBES = looks(500, seed=1), looks(3, seed=2)
CORES = 3


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


def test_what_goes_wrong_in_a_part_is_raised_and_the_next_search_is_divided(
    scan: Scan, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short_of_memory(probes: np.ndarray, vectors: np.ndarray, k: int) -> Any:
        if threading.current_thread().name.startswith("mien-search"):
            raise MemoryError
        return nearest(probes, vectors, k)

    with monkeypatch.context() as patched:
        patched.setattr(scans, "nearest", short_of_memory)
        with pytest.raises(MemoryError):
            scan.nearest(PROBES, VECTORS, 9)
    scan.nearest(PROBES, VECTORS, 9)
    assert len(parts.lengths) == CORES


def test_galleries_divide_a_lone_search_among_the_cores_they_are_given(
    tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scans, "PART", 100 * DIM * 4)
    people = [Enrolment(f"person{n}", each, f"{n:064x}") for n, each in enumerate(VECTORS)]
    for cores, expected in ((CORES, [166, 167, 167]), (1, [500])):
        with Galleries(tmp_path / str(cores), cores) as galleries:
            galleries.create("people", "model", DIM)
            galleries.enroll_many("people", people, "model")
            parts.lengths.clear()
            found = galleries.search("people", VECTORS[400], "model", 3)
        assert sorted(parts.lengths) == expected
        assert found.matches[0].subject_id == "person400"
