"""Many threads at once, as under gRPC."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from mien.errors import GalleryNotFound, ModelMismatch, SubjectNotFound
from mien.gallery import gallery
from mien.gallery.galleries import Galleries
from mien.gallery.index import sample_index
from mien.gallery.index.nearest import nearest
from mien.gallery.store.store import Store
from tests.gallery.looks import DIM, MODEL, assert_index_equals_store, enroll, looks

WRITERS, SAMPLES, SUBJECTS = 4, 150, 6


@pytest.mark.parametrize("inverted_from", [10**6, 300], ids=["exact", "inverted"])
def test_enrolling_deleting_and_searching_at_once_leaves_index_and_store_equal(
    data: Path, galleries: Galleries, monkeypatch: pytest.MonkeyPatch, inverted_from: int
) -> None:
    """An inverted file misses none of the vectors that it holds when asked for by themselves."""
    monkeypatch.setattr(sample_index, "INVERTED_FROM", inverted_from)
    monkeypatch.setattr(gallery, "SAVED_FROM", 100)
    done = threading.Event()

    def write(writer: int) -> None:
        for number, look in enumerate(looks(SAMPLES, seed=writer)):
            enroll(galleries, f"w{writer}-{number % SUBJECTS}", look)
            found = galleries.search("staff", look, MODEL, 1)
            assert found.matches[0].subject_id == f"w{writer}-{number % SUBJECTS}"
            if number % 10 == 9:
                forget(f"w{writer}-{number % SUBJECTS}")

    def forget(subject_id: str) -> None:
        galleries.delete_subject("staff", subject_id)
        found = galleries.search("staff", looks(1)[0], MODEL, WRITERS * SUBJECTS)
        assert subject_id not in {match.subject_id for match in found.matches}

    def search(seed: int) -> int:
        searches = 0
        while not done.is_set():
            for probe in looks(20, seed=1000 + seed):
                found = galleries.search("staff", probe, MODEL, 5)
                assert len(found.matches) == min(5, found.subjects)
                assert galleries.get("staff").revision >= found.revision
                searches += 1
        return searches

    with ThreadPoolExecutor(WRITERS + 2) as pool:
        searchers = [pool.submit(search, seed) for seed in range(2)]
        writers = [pool.submit(write, writer) for writer in range(WRITERS)]
        try:
            for future in writers:
                future.result()
        finally:
            done.set()
        assert all(future.result() > 20 for future in searchers)
    assert_whole(galleries)
    galleries.close()
    with Galleries(data) as reopened:
        assert_whole(reopened)


def assert_whole(galleries: Galleries) -> None:
    ids = [f"w{writer}-{each}" for writer in range(WRITERS) for each in range(SUBJECTS)]
    assert_index_equals_store(galleries, [each for each in ids if lives(galleries, each)])


def lives(galleries: Galleries, subject_id: str) -> bool:
    try:
        galleries.vectors("staff", subject_id, MODEL)
    except SubjectNotFound:
        return False
    return True


def test_galleries_created_and_deleted_under_searches_never_mix(galleries: Galleries) -> None:
    """One name, again and again of another model and dimension; every one of them is searched."""
    done = threading.Event()
    answers = [0, 0]

    def search(searcher: int) -> None:
        while not done.is_set():
            for dim in (4, 5):
                probe = np.eye(dim, dtype=np.float32)[0]
                try:
                    found = galleries.search("shifting", probe, f"model-{dim}", 5)
                except (GalleryNotFound, ModelMismatch):
                    continue
                assert {match.subject_id for match in found.matches} <= {f"ann-{dim}"}
                answers[searcher] += 1

    def wait_for_answers() -> None:
        before, until = list(answers), time.monotonic() + 10
        while any(now == then for now, then in zip(answers, before, strict=True)):
            assert time.monotonic() < until, "the searchers found nothing"
            time.sleep(0.001)

    with ThreadPoolExecutor(2) as pool:
        searchers = [pool.submit(search, searcher) for searcher in range(2)]
        try:
            for turn in range(20):
                dim = 4 + turn % 2
                look = np.eye(dim, dtype=np.float32)[0]
                galleries.create("shifting", f"model-{dim}", dim)
                galleries.enroll("shifting", f"ann-{dim}", look, f"model-{dim}", "0" * 64)
                wait_for_answers()
                galleries.delete("shifting")
        finally:
            done.set()
        for searcher in searchers:
            searcher.result()


def test_the_same_sample_from_many_threads_is_kept_once(galleries: Galleries) -> None:
    look = looks(1)[0]
    with ThreadPoolExecutor(8) as pool:
        sample_ids = set(pool.map(lambda _: enroll(galleries, "ann", look), range(40)))
    assert len(sample_ids) == 1
    assert galleries.get("staff").samples == 1
    assert galleries.get("staff").dim == DIM


def test_a_search_whose_answer_is_deleted_before_it_is_named_looks_again(
    galleries: Galleries,
) -> None:
    first, second = looks(2)
    enroll(galleries, "ann", first)
    enroll(galleries, "bob", second)
    names, calls = Store.names, []

    def delete_and_name(store: Store, keys: Sequence[int]) -> dict[int, tuple[str, str]]:
        calls.append(keys)
        if len(calls) == 1:
            galleries.delete_subject("staff", "ann")
        return names(store, keys)

    with mock.patch.object(Store, "names", delete_and_name):
        found = galleries.search("staff", first, MODEL, 1)
    assert ([match.subject_id for match in found.matches], found.subjects) == (["bob"], 1)
    assert len(calls) == 2


def test_a_search_during_the_deletion_of_its_gallery_finds_no_gallery(
    galleries: Galleries,
) -> None:
    (look,) = looks(1)
    enroll(galleries, "ann", look)
    names = Store.names

    def delete_and_name(store: Store, keys: Sequence[int]) -> dict[int, tuple[str, str]]:
        galleries.delete("staff")
        return names(store, keys)

    with mock.patch.object(Store, "names", delete_and_name), pytest.raises(GalleryNotFound):
        galleries.search("staff", look, MODEL, 1)


def test_searches_do_not_wait_for_each_other(galleries: Galleries) -> None:
    """Two are inside at once, or the barrier breaks."""
    enroll(galleries, "ann", looks(1)[0])
    meeting, search = threading.Barrier(2), nearest

    def meet(*arguments: Any) -> Any:
        meeting.wait(10)
        return search(*arguments)

    with mock.patch.object(sample_index, "nearest", meet), ThreadPoolExecutor(2) as pool:
        both = [pool.submit(galleries.search, "staff", looks(1)[0], MODEL, 1) for _ in range(2)]
        assert [len(each.result().matches) for each in both] == [1, 1]
