"""Full disks, folders that are read-only, and bits that flip in files."""

import errno
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mien.errors import (
    DataDirectoryLocked,
    MienError,
    SettingsInvalid,
    SnapshotInvalid,
    StorageFull,
    StoreInvalid,
)
from mien.gallery.galleries import Galleries
from mien.gallery.integrity import check_file
from mien.gallery.store.connections import translated
from tests.gallery.looks import looks
from tests.gallery.operations import (
    Create,
    EnrollMany,
    Item,
    Merge,
    Operation,
    Restore,
    Snapshot,
    Update,
)
from tests.gallery.test_integrity import flip
from tests.gallery.world import (
    World,
    assert_as_expected,
    assert_searches,
    portrait_of,
    portrait_seen,
)

ITEMS = tuple(
    Item(f"person{number % 12}", number, (("site", "rome"), ("n", str(number))))
    for number in range(30)
)
FLIPS = 60


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("refused")
    error.sqlite_errorcode = code
    return error


@pytest.fixture
def disk(tmp_path: Path) -> list[str]:
    """Runs a command in a folder that is a disk of 2 MiB."""
    mount = f"mount -t tmpfs -o size=2m tmpfs {tmp_path}"
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if not shutil.which("unshare"):
        pytest.skip("unshare (util-linux) is not installed, so that no small disk can be made")
    if subprocess.run([*command, mount], check=False, capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a small disk in a namespace of users")
    return [*command, f'{mount} && exec "$@"', "sh"]


@pytest.mark.parametrize("what", ["full", "purge", "new"])
def test_a_full_disk(disk: list[str], tmp_path: Path, what: str) -> None:
    """`tests.gallery.faults` says what is looked at."""
    subprocess.run(
        [*disk, sys.executable, "-m", "tests.gallery.faults", what, str(tmp_path)], check=True
    )


def test_a_limit_of_the_size_of_files(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "tests.gallery.faults", "limited", str(tmp_path)], check=True
    )


def test_folders_that_are_read_only() -> None:
    """As somebody who is not root, for whom nothing is read-only."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        command = [sys.executable, "-m", "tests.gallery.faults", "readonly", folder]
        subprocess.run(command, check=True)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def snapshots(tmp_path: Path) -> Path:
    folder = tmp_path / "snapshots"
    folder.mkdir()
    return folder


@pytest.fixture
def staff(data: Path, snapshots: Path, world: World) -> Iterator[Galleries]:
    """Twelve people of whom two became one, in a gallery and in a snapshot of it."""
    operations: list[Operation] = [
        Create(gallery_id="staff"),
        EnrollMany("", "staff", ITEMS),
        Merge("", "staff", "person1", ("person2",)),
        Snapshot(gallery_id="staff", target=snapshots / "taken"),
    ]
    with Galleries(data) as galleries:
        for operation in operations:
            operation.run(galleries)
            operation.apply(world)
        yield galleries


MORE = EnrollMany("", "staff", tuple(Item(f"new{number}", 100 + number) for number in range(200)))
FILLING: list[Callable[[Path], Operation]] = [
    lambda _: MORE,
    lambda folder: Restore(gallery_id="copy", source=folder / "taken"),
    lambda _: Update("", "staff", "person3", tuple((f"n{each}", "x" * 200) for each in range(60))),
]


@pytest.mark.parametrize("filling", FILLING)
def test_what_does_not_fit_into_the_file_changes_nothing(
    staff: Galleries, world: World, snapshots: Path, filling: Callable[[Path], Operation]
) -> None:
    """The same as a full disk, by SQLite's own limit, where no small disk can be mounted."""
    operation = filling(snapshots)
    connection = staff._store.journal.connection
    (most,) = connection.execute("PRAGMA max_page_count").fetchone()
    connection.execute("PRAGMA max_page_count = 1")  # which SQLite takes for as many as there are
    with pytest.raises(StorageFull, match="nothing was changed; make room"):
        operation.run(staff)
    assert_as_expected(staff, world, snapshots)
    connection.execute(f"PRAGMA max_page_count = {most}")
    assert operation.told(operation.run(staff)) == operation.apply(world)
    assert_as_expected(staff, world, snapshots)


def test_a_bit_that_flips_in_a_snapshot_is_refused_or_harmless(
    staff: Galleries, data: Path, world: World, snapshots: Path
) -> None:
    """Whatever is restored is what was taken; what is refused leaves nothing."""
    dice, refused, path = random.Random(0), 0, snapshots / "taken"  # noqa: S311 - no secret
    for number in range(FLIPS):
        bit = dice.randrange(8 * path.stat().st_size)
        flip(path, bit)
        restore = Restore(gallery_id=f"copy{number}", source=path)
        try:
            told = restore.told(restore.run(staff))
        except SnapshotInvalid:
            refused += 1
        else:
            assert told == restore.apply(world), f"bit {bit} of byte {bit // 8}"
            assert portrait_seen(staff, snapshots) == portrait_of(world)
            staff.delete(restore.gallery_id)
            del world.galleries[restore.gallery_id]
        flip(path, bit)
    assert_as_expected(staff, world, snapshots)
    assert refused > FLIPS // 10


def test_a_bit_that_flips_in_the_store_is_refused_or_said_or_harmless(
    staff: Galleries, data: Path, world: World, snapshots: Path
) -> None:
    """Opening refuses, or reading does, or a check says it, or all answers are right."""
    staff.close()
    (path,) = data.glob("*.sqlite3")
    sound, dice, noticed = path.read_bytes(), random.Random(1), 0  # noqa: S311 - no secret
    for _ in range(FLIPS):
        bit = dice.randrange(8 * len(sound))
        flip(path, bit)
        try:
            with Galleries(data) as galleries:
                if galleries.check().findings:
                    noticed += 1
                else:
                    assert portrait_seen(galleries, snapshots) == portrait_of(world), bit
                    assert_searches(galleries, "staff", world.galleries["staff"], looks(1, seed=7))
        except StoreInvalid:
            noticed += 1
        path.write_bytes(sound)
    assert noticed > FLIPS // 10


def test_a_name_that_is_no_text_is_refused_and_said(
    staff: Galleries, data: Path, snapshots: Path
) -> None:
    """SQLite's message quotes it, and Python cannot decode the message."""
    staff.close()
    (path,) = data.glob("*.sqlite3")
    for file in (path, snapshots / "taken"):
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(
                "UPDATE sqlite_schema SET name = CAST(x'73CE28' AS TEXT), sql = 'CREATE x'"
                " WHERE name = 'samples_of_subject'"
            )
            connection.commit()
        findings = check_file(file).findings
        assert {each.what for each in findings} == {"unreadable"}
    with pytest.raises(StoreInvalid, match="cannot be used as the database of galleries"):
        Galleries(data)
    with (
        Galleries(data.with_name("new")) as galleries,
        pytest.raises(SnapshotInvalid, match="no snapshot that can be restored"),
    ):
        galleries.restore(snapshots / "taken")


ERRORS: list[tuple[Exception, type[MienError]]] = [
    (OSError(errno.ENOSPC, "full"), StorageFull),
    (OSError(errno.EDQUOT, "full"), StorageFull),
    (OSError(errno.EFBIG, "too large"), StorageFull),
    (OSError(errno.EROFS, "read-only"), SettingsInvalid),
    (PermissionError(errno.EACCES, "denied"), SettingsInvalid),
    (FileNotFoundError(errno.ENOENT, "none"), SettingsInvalid),
    (OSError(errno.EIO, "broken"), StoreInvalid),
    (sqlite_error(sqlite3.SQLITE_FULL), StorageFull),
    (sqlite_error(sqlite3.SQLITE_IOERR_WRITE), StorageFull),
    (sqlite_error(sqlite3.SQLITE_IOERR_SHMSIZE), StorageFull),
    (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), DataDirectoryLocked),
    (sqlite_error(sqlite3.SQLITE_READONLY_DIRECTORY), SettingsInvalid),
    (sqlite_error(sqlite3.SQLITE_CORRUPT), StoreInvalid),
    (sqlite_error(sqlite3.SQLITE_IOERR_READ), StoreInvalid),
    (sqlite3.ProgrammingError("closed"), StoreInvalid),
]


@pytest.mark.parametrize(("error", "ours"), ERRORS)
def test_what_the_system_refuses_is_one_of_our_errors(
    error: Exception, ours: type[MienError]
) -> None:
    with pytest.raises(ours, match="store"), translated(Path("store")):
        raise error
