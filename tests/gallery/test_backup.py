"""A gallery in a file, and back."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from mien.errors import (
    GalleryExists,
    GalleryNotFound,
    InvalidId,
    ModelMismatch,
    OutputExists,
    SnapshotInvalid,
)
from mien.gallery.galleries import Galleries
from mien.gallery.prove import prove_absent
from mien.gallery.records import About, Deletion, Enrolment, Quality, Retention, SubjectChange
from mien.gallery.store import journal
from mien.gallery.store.store import FILE_NAME
from tests.gallery.looks import DIM, MODEL, assert_index_equals_store, enroll, looks, sha256

KEPT = Retention(max_age=timedelta(days=3650))


@pytest.fixture
def staff(galleries: Galleries) -> Galleries:
    """Three people with everything that can be told, beside another gallery."""
    galleries.update("staff", labels={"site": "rome"}, retention=KEPT)
    galleries.create("visitors", MODEL, DIM)
    enroll(galleries, "zoe-the-visitor", looks(1, seed=9)[0], "visitors")
    for number, look in enumerate(looks(6)):
        about = About(
            "Somebody",
            {"n": str(number)},
            "form 17",
            f"{number}.jpg",
            Quality(score=0.5, warnings=("EXTREME_POSE",)),
            datetime(2099, 1, 1, tzinfo=UTC),
        )
        galleries.enroll(
            "staff",
            f"p{number % 3}",
            look,
            MODEL,
            sha256(look),
            about=about,
            request_id=f"r{number}",
        )
    galleries.update_subject("staff", "p1", SubjectChange(expires=datetime(2098, 1, 1, tzinfo=UTC)))
    galleries.matched("staff", ["p2"])
    return galleries


def test_a_snapshot_is_stamped_and_for_its_owner_alone(staff: Galleries, tmp_path: Path) -> None:
    before = datetime.now(UTC)
    target = tmp_path / "staff.snapshot"
    stamp = staff.snapshot("staff", target)
    info = staff.get("staff")
    assert (stamp.gallery_id, stamp.model_fingerprint, stamp.dim) == ("staff", MODEL, DIM)
    assert (stamp.revision, stamp.subjects, stamp.samples) == (info.revision, 3, 6)
    assert before <= stamp.taken <= datetime.now(UTC)
    assert target.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"data", "staff.snapshot"}
    assert {path.name for path in (tmp_path / "data").iterdir()} >= {FILE_NAME}
    assert not list((tmp_path / "data").glob("mien-copy-*"))


def test_what_is_restored_is_what_was_there(staff: Galleries, tmp_path: Path) -> None:
    target = tmp_path / "snapshot"
    staff.snapshot("staff", target)
    expected = staff.subjects("staff")
    assert expected[2].last_match is not None
    with Galleries(tmp_path / "elsewhere") as others:
        enroll_somebody(others)
        info = others.restore(target)
        assert info == others.get("staff")
        assert (info.labels, info.retention) == ({"site": "rome"}, KEPT)
        assert info.revision > staff.get("staff").revision
        assert others.subjects("staff") == expected
        for subject in expected:
            np.testing.assert_array_equal(
                others.vectors("staff", subject.subject_id, MODEL),
                staff.vectors("staff", subject.subject_id, MODEL),
            )
        assert_index_equals_store(others, ["p0", "p1", "p2"])
        assert others.check().findings == ()
        enroll(others, "p0", looks(7)[6])
    with Galleries(tmp_path / "elsewhere") as others:
        assert_index_equals_store(others, ["p0", "p1", "p2"])


def enroll_somebody(galleries: Galleries) -> None:
    """So that keys and slots are taken."""
    galleries.create("taken", MODEL, DIM)
    for number, look in enumerate(looks(5, seed=77)):
        enroll(galleries, f"s{number}", look, "taken")
    galleries.delete_subject("taken", "s2")


def test_a_gallery_can_be_restored_beside_itself(staff: Galleries, tmp_path: Path) -> None:
    target = tmp_path / "snapshot"
    staff.snapshot("staff", target)
    staff.restore(target, "copy")
    assert staff.subjects("copy") == staff.subjects("staff")
    staff.delete_subject("staff", "p0")
    assert len(staff.subjects("copy")) == 3
    assert_index_equals_store(staff, ["p0", "p1", "p2"], "copy")
    assert_index_equals_store(staff, ["p1", "p2"])
    assert staff.check().findings == ()


def test_an_empty_gallery_is_filled_and_keeps_what_is_told_of_it(
    staff: Galleries, tmp_path: Path
) -> None:
    target = tmp_path / "snapshot"
    staff.snapshot("staff", target)
    staff.create("empty", MODEL, DIM, labels={"own": "1"})
    look = looks(1)[0]
    enroll(staff, "ann", look, "empty")
    staff.delete_subject("empty", "ann")
    info = staff.restore(target, "empty")
    assert (info.labels, info.samples) == ({"own": "1"}, 6)
    assert_index_equals_store(staff, ["p0", "p1", "p2"], "empty")


def test_what_cannot_take_a_snapshot_is_refused_and_unchanged(
    staff: Galleries, tmp_path: Path
) -> None:
    target = tmp_path / "snapshot"
    staff.snapshot("staff", target)
    staff.create("other", "sha256:another", DIM)
    with pytest.raises(GalleryExists, match="'staff' has 3 subjects; restore into a new or"):
        staff.restore(target)
    with pytest.raises(ModelMismatch, match="bound to model 'sha256:another'"):
        staff.restore(target, "other")
    with pytest.raises(ModelMismatch, match="the snapshot is of model"):
        staff.restore(target, "new", "sha256:another")
    with pytest.raises(InvalidId):
        staff.restore(target, "a b")
    assert [info.gallery_id for info in staff.page()] == ["other", "staff", "visitors"]
    assert staff.get("other").samples == 0
    assert staff.restore(target, "new", MODEL).samples == 6


def test_a_snapshot_overwrites_nothing(staff: Galleries, tmp_path: Path) -> None:
    target = tmp_path / "snapshot"
    target.write_text("precious")
    with pytest.raises(OutputExists, match="is there already; choose another file"):
        staff.snapshot("staff", target)
    assert target.read_text() == "precious"


def test_an_unknown_gallery_leaves_no_file(staff: Galleries, tmp_path: Path) -> None:
    with pytest.raises(GalleryNotFound):
        staff.snapshot("stafff", tmp_path / "snapshot")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_other_galleries_and_who_was_deleted_do_not_travel(
    staff: Galleries, tmp_path: Path
) -> None:
    for number, look in enumerate(looks(200, seed=5)):
        staff.enroll("staff", f"gone-{number}", look, MODEL, sha256(look), request_id=f"q{number}")
    for number in range(200):
        staff.delete_subject("staff", f"gone-{number}")
    folder = tmp_path / "folder"
    folder.mkdir()
    staff.snapshot("staff", folder / "snapshot")
    assert prove_absent(folder, text="gone-") == []
    assert prove_absent(folder, text="zoe-the-visitor") == []
    for look in looks(200, seed=5):
        assert prove_absent(folder, look, sha256(look)) == []
    assert prove_absent(folder, looks(1)[0])


def test_changes_go_on_while_a_snapshot_is_taken(
    staff: Galleries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has each revision wholly or not at all: here every one adds a pair of samples."""
    monkeypatch.setattr(journal, "COPY_PAGES", 1)
    staff.create("pairs", MODEL, DIM)
    done = threading.Event()

    def write() -> int:
        changes = 0
        while not done.is_set():
            both = [Enrolment(f"p{changes}", each, sha256(each)) for each in looks(2, changes)]
            staff.enroll_many("pairs", both, MODEL)
            changes += 1
            if changes % 5 == 0:
                staff.delete_subject("pairs", f"p{changes - 3}")
        return changes

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        stamps = [staff.snapshot("pairs", tmp_path / f"{turn}") for turn in range(4)]
        done.set()
        assert writing.result() > 4
    assert stamps[0].revision < stamps[-1].revision
    for turn, stamp in enumerate(stamps):
        info = staff.restore(tmp_path / f"{turn}", f"copy{turn}")
        assert (info.subjects, info.samples) == (stamp.subjects, 2 * stamp.subjects)
    assert staff.check().findings == ()


def test_a_deletion_does_not_wait_for_a_snapshot(
    staff: Galleries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two steps of the copy it is carried out, and purged, and is in the copy."""
    monkeypatch.setattr(journal, "COPY_PAGES", 1)
    look = looks(1)[0]
    deleted: list[Deletion] = []
    breathe = journal.Journal._breathe

    def delete_once(self: journal.Journal, *left: int) -> None:
        if not deleted and left[1] < 10:
            with ThreadPoolExecutor(1) as pool:
                self.lock.release()
                try:
                    deleted.append(pool.submit(staff.delete_subject, "staff", "p0").result())
                finally:
                    self.lock.acquire()
        breathe(self, *left)

    monkeypatch.setattr(journal.Journal, "_breathe", delete_once)
    stamp = staff.snapshot("staff", tmp_path / "snapshot")
    assert (deleted[0].samples, stamp.subjects, stamp.revision) == (2, 2, deleted[0].revision)
    assert [each.file for each in prove_absent(tmp_path, look)] == []


def damage(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE vectors SET vector = zeroblob(64) WHERE slot = 3", "damaged in 1 places"),
        ("UPDATE subjects SET display_name = 'x' WHERE key = 2", "damaged in 1 places"),
        ("DROP TABLE snapshot", "no such table: snapshot"),
        ("PRAGMA user_version = 1", "another version of mien"),
        ("PRAGMA user_version = 99", "is of schema 99"),
    ],
)
def test_a_damaged_or_foreign_snapshot_is_refused(
    staff: Galleries, tmp_path: Path, statement: str, message: str
) -> None:
    target = tmp_path / "snapshot"
    staff.snapshot("staff", target)
    damage(target, statement)
    with pytest.raises(SnapshotInvalid, match=message):
        staff.restore(target, "new")
    with pytest.raises(GalleryNotFound):
        staff.get("new")


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough" * 50, None])
def test_what_is_no_database_is_refused(
    staff: Galleries, tmp_path: Path, content: bytes | None
) -> None:
    target = tmp_path / "snapshot"
    if content is not None:
        target.write_bytes(content)
    with pytest.raises(SnapshotInvalid):
        staff.restore(target, "new")


def test_a_truncated_snapshot_is_refused(staff: Galleries, tmp_path: Path) -> None:
    target = tmp_path / "snapshot"
    staff.snapshot("staff", target)
    content = target.read_bytes()
    target.write_bytes(content[: len(content) // 2])
    with pytest.raises(SnapshotInvalid):
        staff.restore(target, "new")


def test_what_a_crash_left_of_a_snapshot_is_removed_at_the_start(data: Path) -> None:
    Galleries(data).close()
    left = data / "mien-copy-abc"
    left.mkdir()
    (left / FILE_NAME).write_text("half a copy")
    Galleries(data).close()
    assert not left.exists()
