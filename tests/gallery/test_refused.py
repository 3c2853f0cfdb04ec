"""What may not come in is refused on every path before anything is written, byte by byte."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.errors import (
    GalleryExists,
    InvalidEmbedding,
    InvalidRequest,
    MienError,
    OutputExists,
    RequestIdReused,
    SnapshotInvalid,
)
from mien.gallery.galleries import Galleries
from mien.gallery.records import Enrolment
from mien.matching.metrics import Vectors
from tests.gallery.looks import DIM, MODEL, enroll, looks, sha256
from tests.gallery.test_integrity import plant

GOOD, OTHER, NEW = looks(3)

BAD = {
    "NaN": np.where(np.arange(DIM) == 3, np.float32(np.nan), NEW),
    "all NaN": np.full(DIM, np.nan, np.float32),
    "infinite": np.where(np.arange(DIM) == 3, np.float32(np.inf), NEW),
    "minus infinite": np.where(np.arange(DIM) == 3, np.float32(-np.inf), NEW),
    "zero": np.zeros(DIM, np.float32),
    "too long": NEW * np.float32(1.002),
    "too short": NEW * np.float32(0.998),
    "largest": np.full(DIM, np.finfo(np.float32).max, np.float32),
    "a value less": np.eye(DIM - 1, dtype=np.float32)[0],
    "a value more": np.eye(DIM + 1, dtype=np.float32)[0],
    "no value": np.zeros(0, np.float32),
    "of double precision": NEW.astype(np.float64),
    "of half precision": NEW.astype(np.float16),
    "of integers": np.eye(DIM, dtype=np.int32)[0],
    "of the other byte order": NEW.astype(">f4"),
    "a table": np.stack([[NEW, NEW]]),
}

Way = Callable[[Galleries, Vectors], object]


def item(vector: Vectors, subject_id: str = "ann") -> Enrolment:
    return Enrolment(subject_id, vector, "0" * 64, request_id=subject_id)


PATHS: dict[str, Way] = {
    "enroll": lambda galleries, bad: galleries.enroll("staff", "ann", bad, MODEL, "0" * 64),
    "enroll somebody new": lambda galleries, bad: galleries.enroll(
        "staff", "new", bad, MODEL, "0" * 64, request_id="new"
    ),
    "validate only": lambda galleries, bad: galleries.enroll(
        "staff", "ann", bad, MODEL, "0" * 64, validate_only=True
    ),
    "enroll many": lambda galleries, bad: galleries.enroll_many(
        "staff", [item(NEW, "new"), item(bad), item(OTHER, "new2")], MODEL
    ),
    "enroll each": lambda galleries, bad: refuse(
        galleries.enroll_each("staff", [item(bad), item(bad, "bob")], MODEL)
    ),
    "search": lambda galleries, bad: galleries.search("staff", bad, MODEL, 1),
    "search by labels": lambda galleries, bad: galleries.search(
        "staff", bad, MODEL, 1, "mean", exact=True, labels={"site": "rome"}
    ),
}


def refuse(outcomes: Sequence[object]) -> None:
    """Raise the outcomes that are errors; all of them are."""
    errors = [each for each in outcomes if isinstance(each, MienError)]
    assert len(errors) == len(outcomes)
    raise errors[0]


def refuses(way: Way, galleries: Galleries, bad: Vectors) -> bool:
    try:
        way(galleries, bad)
    except InvalidEmbedding:
        return True
    return False


@pytest.fixture
def staff(galleries: Galleries) -> Galleries:
    for subject_id, vector in (("ann", GOOD), ("bob", OTHER)):
        enroll(galleries, subject_id, vector)
    return galleries


def bytes_of(data: Path) -> dict[str, str]:
    """Hashes of all files, by another process: closing a file here would drop SQLite's locks."""
    script = (
        "import hashlib, pathlib, sys\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())"
    )
    command = [sys.executable, "-S", "-c", script, str(data)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    hashes = dict(line.rsplit(" ", 1) for line in lines)
    return {name: each for name, each in hashes.items() if not name.endswith("-shm")}


@pytest.mark.parametrize("path", PATHS)
def test_what_is_no_unit_vector_changes_no_byte(staff: Galleries, data: Path, path: str) -> None:
    before = bytes_of(data)
    assert "mien.sqlite3-wal" in before
    accepted = [name for name, bad in BAD.items() if not refuses(PATHS[path], staff, bad)]
    assert accepted == []
    assert bytes_of(data) == before
    assert staff.check().findings == ()
    assert staff.check_index("staff") == []
    (found,) = staff.search("staff", GOOD, MODEL, 1).matches
    assert found.subject_id == "ann"


def test_a_bad_item_takes_nothing_of_the_good_ones(staff: Galleries) -> None:
    """The good ones are kept as they are, each where it belongs."""
    for number, bad in enumerate(BAD.values()):
        vectors = looks(2, seed=100 + number)
        items = [item(vectors[0], f"a{number}"), item(bad), item(vectors[1], f"b{number}")]
        items = [replace(each, content_sha256=sha256(each.vector)) for each in items]
        first, refused, last = staff.enroll_each("staff", items, MODEL)
        assert isinstance(refused, InvalidEmbedding)
        for outcome, vector in ((first, vectors[0]), (last, vectors[1])):
            assert not isinstance(outcome, MienError)
            (match,) = staff.search("staff", vector, MODEL, 1).matches
            assert match.sample_id == outcome.sample.sample_id
    assert staff.get("staff").samples == 2 + 2 * len(BAD)
    assert staff.check_index("staff") == []


SIZED = {name: bad for name, bad in BAD.items() if bad.shape == (DIM,) and bad.dtype == np.float32}


@pytest.mark.parametrize("name", [*SIZED, "a value less"])
def test_a_snapshot_with_what_is_no_unit_vector_is_not_restored(
    staff: Galleries, data: Path, tmp_path: Path, name: str
) -> None:
    """Its checksums are right, as a wrong program would write them."""
    staff.snapshot("staff", tmp_path / "bad")
    plant(tmp_path / "bad", 1, BAD[name])
    before = bytes_of(data)
    for wanted in ("staff", "new"):
        with pytest.raises(SnapshotInvalid, match="vector"):
            staff.restore(tmp_path / "bad", wanted)
    assert bytes_of(data) == before


TWICE: dict[str, tuple[type[MienError], Callable[[Galleries, Path], object]]] = {
    "gallery": (GalleryExists, lambda galleries, _: galleries.create("staff", MODEL, DIM)),
    "gallery to restore": (
        GalleryExists,
        lambda galleries, folder: galleries.restore(folder / "taken", "staff"),
    ),
    "snapshot": (
        OutputExists,
        lambda galleries, folder: galleries.snapshot("staff", folder / "taken"),
    ),
    "request in a batch": (
        RequestIdReused,
        lambda galleries, _: galleries.enroll_many(
            "staff", [item(NEW, "eve"), replace(item(NEW, "eve"), subject_id="mallory")], MODEL
        ),
    ),
    "request": (
        RequestIdReused,
        lambda galleries, _: galleries.delete_subject("staff", "bob", request_id="known"),
    ),
    "subject to merge": (
        InvalidRequest,
        lambda galleries, _: galleries.merge_subjects("staff", "ann", ["bob", "bob"]),
    ),
}


@pytest.mark.parametrize("what", TWICE)
def test_an_id_that_is_there_already_changes_no_byte(
    staff: Galleries, data: Path, tmp_path: Path, what: str
) -> None:
    error, call = TWICE[what]
    staff.snapshot("staff", tmp_path / "taken")
    staff.update("staff", labels={"site": "rome"}, request_id="known")
    before, taken = bytes_of(data), hashlib.sha256((tmp_path / "taken").read_bytes()).digest()
    with pytest.raises(error):
        call(staff, tmp_path)
    assert bytes_of(data) == before
    assert hashlib.sha256((tmp_path / "taken").read_bytes()).digest() == taken
