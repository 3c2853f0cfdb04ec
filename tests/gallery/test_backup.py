"""A gallery in a file, and back."""

import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
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
from mien.gallery import backup
from mien.gallery.galleries import Galleries
from mien.gallery.prove import prove_absent
from mien.gallery.records import About, Deletion, Enrolment, Quality, Retention, SubjectChange
from mien.gallery.store import checksum, journal
from mien.gallery.store.store import FILE_NAME
from mien.matching.metrics import Vectors
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


def test_a_snapshot_overwrites_nothing_that_appears_while_it_is_taken(
    staff: Galleries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "snapshot"
    fill = backup._fill

    def filled(whole: sqlite3.Connection, gallery_id: str) -> None:
        fill(whole, gallery_id)
        target.write_text("of somebody else")

    monkeypatch.setattr(backup, "_fill", filled)
    with pytest.raises(OutputExists, match="is there already"):
        staff.snapshot("staff", target)
    assert target.read_text() == "of somebody else"
    assert {path.name for path in tmp_path.iterdir()} == {"data", "snapshot"}


def test_of_snapshots_to_one_file_at_once_one_is_taken(staff: Galleries, tmp_path: Path) -> None:
    """The others are refused, and what is there is whole."""
    target, start = tmp_path / "snapshot", threading.Barrier(4)

    def take() -> int:
        start.wait()
        try:
            return staff.snapshot("staff", target).revision
        except OutputExists:
            return 0

    with ThreadPoolExecutor(4) as pool:
        taken = sorted(future.result() for future in [pool.submit(take) for _ in range(4)])
    assert taken == [0, 0, 0, staff.get("staff").revision]
    assert backup.read(target).info.samples == 6
    assert {path.name for path in tmp_path.iterdir()} == {"data", "snapshot"}


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


def files_with(data: Path, vector: Vectors) -> list[str]:
    """Files below the directory that have the vector, of those that are there long enough."""
    found = []
    for folder, _, names in os.walk(data):
        for path in (Path(folder, name) for name in names):
            with suppress(FileNotFoundError):
                found += [path.name] if vector.tobytes() in path.read_bytes() else []
    return found


@pytest.mark.parametrize("when", ["copying", "extracting", "reading"])
def test_who_is_deleted_while_a_snapshot_is_taken_is_in_no_file_of_the_directory(
    staff: Galleries, data: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Though what was copied before is in the snapshot, which may be written elsewhere."""
    look = looks(1)[0]
    found: list[list[str]] = []

    def delete() -> None:
        if not found:
            assert files_with(data, look) == [f"{FILE_NAME}-wal"]
            staff.delete_subject("staff", "p0")
            found.append(files_with(data, look))

    breathe, fill = journal.Journal._breathe, backup._fill
    if when == "copying":
        monkeypatch.setattr(journal, "COPY_PAGES", 1)

        def breathe_and_delete(self: journal.Journal, *left: int) -> None:
            breathe(self, *left)
            if left[0] < 3:
                delete()

        monkeypatch.setattr(journal.Journal, "_breathe", breathe_and_delete)
    if when == "extracting":

        def fill_and_delete(whole: sqlite3.Connection, gallery_id: str) -> None:
            fill(whole, gallery_id)
            delete()

        monkeypatch.setattr(backup, "_fill", fill_and_delete)
    with staff.open_snapshot("staff") as (stamp, file):
        delete()
        content = file.read()
    assert found == [[]]
    assert stamp.subjects == (2 if when == "copying" else 3)
    assert (look.tobytes() in content) == (when != "copying")
    assert not list(data.glob("mien-copy-*"))


def test_an_opened_snapshot_is_the_same_as_one_that_is_written(
    staff: Galleries, tmp_path: Path
) -> None:
    written = staff.snapshot("staff", tmp_path / "written")
    with staff.open_snapshot("staff") as (stamp, file):
        (tmp_path / "read").write_bytes(file.read())
    assert replace(stamp, taken=written.taken) == written
    for name in ("written", "read"):
        staff.restore(tmp_path / name, name)
    assert staff.subjects("written") == staff.subjects("read") == staff.subjects("staff")
    with pytest.raises(GalleryNotFound), staff.open_snapshot("stafff"):
        pass


SEALS = (
    "UPDATE subjects SET crc = crc_of_subject(subject_id, display_name, consent_ref, created,"
    " expires, (SELECT '{' || group_concat('\"' || name || '\": \"' || value || '\"', ', ') || '}'"
    " FROM subject_labels WHERE subject = key))",
    "UPDATE samples SET crc = (SELECT crc_of_sample(sample_id, created, source, quality, expires,"
    " content_sha256, vector) FROM vectors WHERE vectors.slot = samples.slot)",
    "UPDATE galleries SET crc = crc_of_gallery(gallery_id, model_fingerprint, dim, created,"
    " max_age, since_last_match,"
    " (SELECT '{' || group_concat('\"' || name || '\": \"' || value || '\"', ', ') || '}'"
    " FROM gallery_labels WHERE gallery = key))",
)
"""Checksums anew, as whoever can write to a file can write them."""


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
        ("DROP TABLE snapshot", "its tables are not those of a snapshot"),
        ("CREATE TABLE more (a)", "its tables are not those of a snapshot"),
        ("CREATE VIEW v AS SELECT 1", "its tables are not those of a snapshot"),
        (
            "CREATE TRIGGER t AFTER INSERT ON subjects BEGIN DELETE FROM galleries; END",
            "its tables are not those of a snapshot",
        ),
        ("DELETE FROM snapshot", "not of what its stamp says"),
        ("UPDATE snapshot SET gallery_id = 'stafg'", "not of what its stamp says"),
        ("UPDATE snapshot SET model_fingerprint = 'x'", "not of what its stamp says"),
        ("UPDATE snapshot SET dim = dim + 1", "not of what its stamp says"),
        ("UPDATE snapshot SET revision = revision + 1", "not of what its stamp says"),
        ("UPDATE snapshot SET samples = samples + 1", "not of what its stamp says"),
        ("UPDATE galleries SET revision = revision + 1", "not of what its stamp says"),
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


NEVER_LET_IN = [
    ("UPDATE subjects SET subject_id = '../x' WHERE key = 1", "subject '../x' holds what is never"),
    ("UPDATE subjects SET display_name = char(0) WHERE key = 1", "leave out NUL"),
    ("UPDATE subjects SET created = 9e18", "date value out of range"),
    ("UPDATE subject_labels SET value = printf('%300d', 1) WHERE subject = 1", "has 300 char"),
    ("UPDATE subject_labels SET gallery = 7", "3 rows of subject_labels are of another gallery"),
    ("UPDATE samples SET sample_id = 'a b' WHERE key = 1", "sample 'a b' holds what is never"),
    ("UPDATE samples SET created = 'x' WHERE key = 1", "holds what is never let in"),
    ("UPDATE samples SET quality = '{no' WHERE key = 1", "holds what is never let in"),
    ("UPDATE samples SET gallery = 7", "samples refers to no row of galleries"),
    ("UPDATE samples SET key = 9223372036854775000 WHERE key = 1", "a key or a revision of 922"),
    ("UPDATE samples SET key = -9223372036854775000 WHERE key = 1", "a key or a revision of 922"),
    ("UPDATE galleries SET revision = 1 << 62", "not of what its stamp says"),
    ("UPDATE vectors SET content_sha256 = x'0102' WHERE slot = 1", "give 64 hexadecimal digits"),
    ("UPDATE galleries SET max_age = -5", "keeps nobody"),
]


@pytest.mark.parametrize(("statement", "message"), NEVER_LET_IN)
def test_a_snapshot_with_what_is_never_let_in_is_refused_though_its_checksums_are_right(
    staff: Galleries, tmp_path: Path, statement: str, message: str
) -> None:
    target = tmp_path / "snapshot"
    staff.snapshot("staff", target)
    with closing(sqlite3.connect(target)) as connection:
        checksum.teach(connection)
        connection.execute(statement)
        for seal in SEALS:
            connection.execute(seal)
        connection.commit()
    with pytest.raises(SnapshotInvalid, match=message):
        staff.restore(target, "new")
    assert staff.check().findings == ()
    assert [info.gallery_id for info in staff.page()] == ["staff", "visitors"]


def test_keys_do_not_double_when_a_gallery_comes_back_again_and_again(
    staff: Galleries, tmp_path: Path
) -> None:
    """After 60 doublings there would be none left."""
    for turn in range(70):
        staff.snapshot("staff", tmp_path / f"{turn}")
        staff.delete("staff")
        staff.restore(tmp_path / f"{turn}")
    rows = staff._store.journal.connection
    assert rows.execute("SELECT max(key) FROM samples").fetchone()[0] < 70 * 10
    assert len(staff.subjects("staff")) == 3
    assert_index_equals_store(staff, ["p0", "p1", "p2"])


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
