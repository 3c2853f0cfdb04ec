"""What happens on a full disk and in folders that are read-only, for a process of its own.

`python -m tests.gallery.faults full|purge|new FOLDER` where FOLDER is a file system of 2 MiB,
`limited FOLDER` in any folder, and `readonly FOLDER` in any that everybody can reach: it gives up
being root.
"""

import os
import resource
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.errors import SettingsInvalid, StorageFull
from mien.gallery.galleries import Galleries
from mien.gallery.prove import prove_absent
from tests.gallery.looks import DIM, MODEL, enroll, looks
from tests.gallery.operations import Create, EnrollMany, Item
from tests.gallery.world import World, assert_as_expected, content, look

NOBODY = 65534
KIB = 1024
BATCH = 50


class Filling:
    """A gallery to which batches are added, and the world that says what is in it."""

    def __init__(self, folder: Path) -> None:
        self.data, self.snapshots = folder / "data", folder / "snapshots"
        self.snapshots.mkdir()
        self.galleries, self.world = Galleries(self.data), World()
        Create(gallery_id="staff").run(self.galleries)
        Create(gallery_id="staff").apply(self.world)
        self._next = 0

    def add(self) -> None:
        numbers = range(self._next, self._next + BATCH)
        batch = EnrollMany("", "staff", tuple(Item(f"p{each}", each) for each in numbers))
        batch.run(self.galleries)
        batch.apply(self.world)
        self._next += BATCH

    def add_for_ever(self) -> None:
        while True:
            self.add()

    def check(self) -> None:
        assert_as_expected(self.galleries, self.world, self.snapshots)


def full(folder: Path) -> None:
    """Whatever does not fit is refused and changes nothing, and there it goes on with room."""
    filling = Filling(folder)
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    with pytest.raises(StorageFull, match=r"no space is left for .*; nothing was changed; make ro"):
        filling.add_for_ever()
    galleries = filling.galleries
    calls: list[Callable[[], object]] = [
        filling.add,
        lambda: galleries.save_index("staff"),
        lambda: galleries.snapshot("staff", filling.snapshots / "new"),
        lambda: galleries.delete("staff"),
    ]
    filler = folder / "filler"
    fill(filler)
    for call in calls:
        with pytest.raises(StorageFull, match="nothing was changed"):
            call()
        filling.check()
    assert not [path for path in filling.data.iterdir() if "copy" in path.name]
    ballast.unlink()
    filler.unlink()
    filling.add()
    filling.check()
    galleries.close()


def purge(folder: Path) -> None:
    """Where there is room to delete but none to move the log, it says that the bytes remain."""
    filling = Filling(folder)
    for _ in range(12):
        filling.add()
    filler = folder / "filler"
    fill(filler, leave=64 * 1024)
    with pytest.raises(StorageFull, match=r"^deleted, but no space is left"):
        filling.galleries.delete_subject("staff", "p0", "request")
    del filling.world.galleries["staff"].people["p0"]
    filling.world.galleries["staff"].revision += 1
    filling.check()
    with pytest.raises(StorageFull, match=r"^deleted, but no space is left"):
        filling.galleries.delete_subject("staff", "p0", "request")
    filler.unlink()
    assert filling.galleries.delete_subject("staff", "p0", "request").samples == 1
    filling.check()
    filling.galleries.close()
    assert prove_absent(filling.data, look(0), content(0)) == []


def new(folder: Path) -> None:
    """What is not there yet is not to be restored from a copy."""
    for free in (0, 4, 8, 16, 24, 32, 64, 128, 200):
        fill(folder / "filler", leave=free * KIB)
        with pytest.raises(StorageFull, match=r"no space is left|look whether it is full"):
            begin(folder / f"of {free}")
        (folder / "filler").unlink()
        begin(folder / f"of {free}")
        shutil.rmtree(folder / f"of {free}")


def limited(folder: Path) -> None:
    """As `new`, where it is a limit of the process that files cannot grow beyond."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (0, 1, 4, 8, 32, 60, 100):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit * KIB, most))
        told = rf"may write {limit * KIB:,} bytes to a file at most.*raise that limit \(ulimit -f\)"
        with pytest.raises(StorageFull, match=told):
            begin(folder / f"of {limit}")
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        begin(folder / f"of {limit}")


def begin(data: Path) -> None:
    """A gallery in a data directory that was not there before, or of which little was."""
    with Galleries(data) as galleries:
        galleries.create("staff", MODEL, DIM)


def fill(path: Path, leave: int = 0) -> None:
    """Take all that is free, but so many bytes."""
    free = shutil.disk_usage(path.parent).free - leave
    path.write_bytes(bytes(max(0, free)))


def readonly(folder: Path) -> None:
    """It is said which folder is to be made writable; what needs no new file goes on."""
    data, snapshots, closed = (folder / name for name in ("data", "snapshots", "closed"))
    for each in (data, snapshots, closed):
        each.mkdir()
        if os.geteuid() == 0:
            os.chown(each, NOBODY, NOBODY)
    if os.geteuid() == 0:
        import_all(folder / "warm")
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    with Galleries(data) as galleries:
        galleries.create("staff", MODEL, DIM)
        enroll(galleries, "ann", looks(1)[0])
        closed.chmod(0o555)
        refuses(lambda: galleries.snapshot("staff", closed / "new"), "closed/new")
        refuses(lambda: galleries.snapshot("staff", folder / "none" / "new"), "none/new")
        data.chmod(0o555)
        refuses(lambda: galleries.snapshot("staff", snapshots / "new"), "data")
        refuses(lambda: galleries.save_index("staff"), "staff.index")
        enroll(galleries, "bob", looks(2)[1])
        assert galleries.delete_subject("staff", "ann").samples == 1
        assert list(closed.iterdir()) == list(snapshots.iterdir()) == []
    data.chmod(0o755)
    Galleries(data).close()  # takes the log along that could not be removed
    data.chmod(0o555)
    refuses(lambda: Galleries(data), "data")
    refuses(lambda: Galleries(data / "new"), "data/new")
    data.chmod(0o755)
    (data / "mien.sqlite3").chmod(0o400)
    refuses(lambda: Galleries(data), "data")
    (data / "mien.sqlite3").chmod(0o600)
    with Galleries(data) as galleries:
        assert [each.subject_id for each in galleries.subjects("staff")] == ["bob"]
        assert galleries.check().findings == ()


def import_all(data: Path) -> None:
    """Nobody may not be able to read where Python's modules are, some of which come late."""
    with Galleries(data) as galleries:
        galleries.create("staff", MODEL, DIM)
        enroll(galleries, "ann", looks(1)[0])
        galleries.snapshot("staff", data / "snapshot")
        galleries.save_index("staff")
        galleries.delete_subject("staff", "ann")
        galleries.check()


def refuses(call: Callable[[], object], what: str) -> None:
    with pytest.raises(SettingsInvalid, match=rf"{what}.*make it writable"):
        call()


if __name__ == "__main__":
    {each.__name__: each for each in (full, purge, new, limited, readonly)}[sys.argv[1]](
        Path(sys.argv[2])
    )
