"""What was deleted is in no answer and in no file."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mien.errors import DataDirectoryLocked, GalleryNotFound, SubjectNotFound
from mien.gallery import times
from mien.gallery.galleries import Galleries
from mien.gallery.records import Deletion, Enrolment, GalleryInfo
from mien.gallery.store.store import FILE_NAME, Store
from mien.matching.metrics import Vectors
from tests.gallery.looks import DIM, MODEL, assert_index_equals_store, enroll, looks, sha256

PIECE = 16
"""Bytes of which not even a part of a vector may stay."""


def traces(data: Path, vector: Vectors) -> list[str]:
    """Files in which a piece of the vector's bytes or its hash, raw or in digits, is found."""
    content = vector.tobytes()
    pieces = [content[at : at + PIECE] for at in range(0, len(content), PIECE)]
    hashes = [bytes.fromhex(sha256(vector)), sha256(vector).encode()]
    return [
        path.name
        for path in data.iterdir()
        if any(piece in path.read_bytes() for piece in pieces + hashes)
    ]


def test_a_deletion_says_what_went(galleries: Galleries) -> None:
    for look in looks(3):
        enroll(galleries, "ann", look)
    enroll(galleries, "bob", looks(4)[3])
    assert galleries.delete_subject("staff", "ann") == Deletion(samples=3, revision=5)
    assert galleries.delete("staff") == Deletion(samples=1, revision=6)


def test_a_deleted_subject_is_found_no_more(galleries: Galleries) -> None:
    for number, look in enumerate(looks(30)):
        enroll(galleries, f"person{number % 3}", look)
    galleries.delete_subject("staff", "person1")
    for look in looks(30):
        found = galleries.search("staff", look, MODEL, 5)
        assert {match.subject_id for match in found.matches} == {"person0", "person2"}
    with pytest.raises(SubjectNotFound):
        galleries.vectors("staff", "person1", MODEL)
    assert_index_equals_store(galleries, ["person0", "person2"])


def test_a_deleted_gallery_is_found_no_more(galleries: Galleries) -> None:
    look = looks(1)[0]
    enroll(galleries, "ann", look)
    galleries.delete("staff")
    calls: list[Callable[[], object]] = [
        lambda: galleries.get("staff"),
        lambda: galleries.search("staff", look, MODEL, 5),
        lambda: galleries.vectors("staff", "ann", MODEL),
    ]
    for call in calls:
        with pytest.raises(GalleryNotFound):
            call()


def test_a_deleted_subject_may_come_back_under_another_sample_id(galleries: Galleries) -> None:
    look = looks(1)[0]
    first = enroll(galleries, "ann", look)
    galleries.delete_subject("staff", "ann")
    assert enroll(galleries, "ann", look) != first
    assert_index_equals_store(galleries, ["ann"])


def test_the_bytes_of_each_deleted_subject_are_in_no_file(galleries: Galleries, data: Path) -> None:
    people = looks(120).reshape(40, 3, DIM)
    for number, vectors in enumerate(people):
        for vector in vectors:
            enroll(galleries, f"person{number}", vector)
    assert all(traces(data, vector) for vector in people[0])
    for number, vectors in enumerate(people[:20]):
        galleries.delete_subject("staff", f"person{number}")
        assert [traces(data, vector) for vector in vectors] == [[]] * 3
    assert not any(traces(data, vector) for vector in people[:20].reshape(-1, DIM))
    assert all(traces(data, vector) for vector in people[20:].reshape(-1, DIM))


def test_the_bytes_of_a_deleted_gallery_are_in_no_file(galleries: Galleries, data: Path) -> None:
    galleries.create("keep", MODEL, DIM)
    kept = looks(1, seed=8)[0]
    enroll(galleries, "ann", kept, "keep")
    for number, look in enumerate(looks(50)):
        enroll(galleries, f"person{number % 7}", look)
    galleries.delete("staff")
    assert not any(traces(data, look) for look in looks(50))
    assert traces(data, kept) == [FILE_NAME]


def test_a_gallery_that_is_created_again_is_empty(galleries: Galleries, data: Path) -> None:
    enroll(galleries, "ann", looks(1)[0])
    galleries.delete("staff")
    galleries.create("staff", "sha256:another", 3)
    probe = np.eye(3, dtype=np.float32)[0]
    found = galleries.search("staff", probe, "sha256:another", 5)
    assert (found.matches, found.subjects, found.revision) == ((), 0, 0)


def gallery(gallery_id: str, dim: int) -> GalleryInfo:
    now = datetime.now(UTC)
    return GalleryInfo(gallery_id, MODEL, dim, subjects=0, samples=0, revision=0, created=now)


def tag(number: int, count: int) -> bytes:
    """Bytes that can be told from all others in every aligned or unaligned word of four."""
    return np.full(count, TAG + number, dtype="<u4").tobytes()


TAG, TAGS = 0xABC00000, 2000
WHEN = 1_764_000_000_000_000
"""Microseconds since 1970. Not now: the bytes of some moments end in a tag."""


def tags_in(path: Path) -> set[int]:
    """The numbers of all tags of which one word is anywhere in a file."""
    content = np.fromfile(path, np.uint8)
    words = [
        content[shift : len(content) - (len(content) - shift) % 4].view("<u4") for shift in range(4)
    ]
    numbers = np.concatenate(words) - np.uint32(TAG)  # wraps below TAG
    return set(numbers[numbers < TAGS].tolist())


@pytest.mark.parametrize("dim", [4, 32, 128, 1500])
def test_no_word_of_a_deleted_vector_or_hash_is_left_by_any_order_of_changes(
    tmp_path: Path, dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """secure_delete alone fails this: SQLite forgets a copy where it moves rows between pages."""
    monkeypatch.setattr(times, "wall", lambda: WHEN)
    path, dice = tmp_path / FILE_NAME, np.random.default_rng(dim)
    living: list[int] = []
    with closing(Store(path)) as store:
        store.journal.connection.execute("PRAGMA synchronous = OFF")  # nothing is killed here

        def delete_one() -> None:
            gone = living.pop(dice.integers(len(living)))
            store.delete_subject("staff", f"person{gone}")

        store.create_gallery(gallery("staff", dim))
        for number in range(TAGS):
            vector = np.frombuffer(tag(number, dim), dtype=np.float32)
            store.enrol("staff", [Enrolment(f"person{number}", vector, tag(number, 8).hex())])
            living.append(number)
            if dice.random() < 0.45:
                delete_one()
        while len(living) > TAGS // 8:
            delete_one()
        store.purge()
        assert tags_in(path) == set(living)


def test_zeroed_slots_are_filled_again_before_the_file_grows(galleries: Galleries) -> None:
    rows = galleries._store.journal.connection
    for number, look in enumerate(looks(30)):
        enroll(galleries, f"person{number % 3}", look)
    galleries.delete_subject("staff", "person0")
    for look in looks(10, seed=4):
        enroll(galleries, "new", look)
    assert rows.execute("SELECT count(*) FROM vectors").fetchone() == (30,)
    assert rows.execute("SELECT count(*) FROM free_slots").fetchone() == (0,)
    assert_index_equals_store(galleries, ["person1", "person2", "new"])


DELETE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from mien.gallery.records import Enrolment, GalleryInfo
from mien.gallery.store.store import Store
Store(Path(sys.argv[1])).delete_subject("staff", "ann")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_deletion_cut_short_before_its_purge_is_purged_on_opening(data: Path) -> None:
    look = looks(1)[0]
    with Galleries(data) as galleries:
        galleries.create("staff", MODEL, DIM)
        enroll(galleries, "ann", look)
    child = subprocess.run(
        [sys.executable, "-c", DELETE_AND_DIE, str(data / FILE_NAME)], check=False
    )
    assert child.returncode == -signal.SIGKILL
    assert traces(data, look)
    with Galleries(data) as galleries:
        assert traces(data, look) == []
        assert galleries.get("staff").samples == 0


def test_a_foreign_reader_that_holds_the_old_bytes_is_said(
    galleries: Galleries, data: Path
) -> None:
    first, second = looks(2)
    enroll(galleries, "ann", first)
    enroll(galleries, "bob", second)
    with closing(sqlite3.connect(data / FILE_NAME)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM vectors").fetchall()
        with pytest.raises(DataDirectoryLocked, match="deleted, but another process reads"):
            galleries.delete_subject("staff", "ann")
    assert_index_equals_store(galleries, ["bob"])
    galleries.delete_subject("staff", "bob")
    assert traces(data, first) == traces(data, second) == []
