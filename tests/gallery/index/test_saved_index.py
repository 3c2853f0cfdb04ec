"""Indexes that outlive the process: what is believed of them, and what is gone from them."""

import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from mien.errors import SettingsInvalid, StorageFull, StoreInvalid
from mien.gallery import gallery as gallery_module
from mien.gallery.galleries import Galleries
from mien.gallery.index import index_file, sample_index
from mien.gallery.store.store import FILE_NAME, Store
from tests.gallery.looks import DIM, MODEL, assert_index_equals_store, enroll, looks
from tests.gallery.people import people
from tests.gallery.test_deletion import traces

COUNT = 400
_, VECTORS = people(COUNT)
NAMES = [f"person{row // 5}" for row in range(COUNT)]
PEOPLE = sorted(set(NAMES))


@pytest.fixture(autouse=True, params=["exact", "inverted file"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small galleries are saved, too; with an inverted file from 300 samples on, or without."""
    monkeypatch.setattr(gallery_module, "SAVED_FROM", 20)
    if request.param != "exact":
        monkeypatch.setattr(sample_index, "INVERTED_FROM", 300)
    return str(request.param)


@pytest.fixture
def enrolled(data: Path, tmp_path_factory: pytest.TempPathFactory, kind: str) -> Path:
    """A data directory in which 400 samples of 80 people were enrolled, closed."""
    made = MADE.get(kind)
    if made is None:
        made = MADE[kind] = tmp_path_factory.mktemp("made") / "data"
        with Galleries(made) as galleries:
            galleries._store.journal.connection.execute(
                "PRAGMA synchronous = OFF"
            )  # nothing is killed
            galleries.create("staff", MODEL, DIM)
            for name, vector in zip(NAMES, VECTORS, strict=True):
                enroll(galleries, name, vector)
    shutil.copytree(made, data)
    return data


MADE: dict[str, Path] = {}


@pytest.fixture
def galleries(enrolled: Path) -> Iterator[Galleries]:
    with Galleries(enrolled) as galleries:
        yield galleries


def read_from_store(data: Path) -> int:
    """How many samples a start reads from the store; and the index equals the store."""
    rows = []
    contents = Store.contents

    def counting(*arguments: object) -> object:
        for batch in contents(*arguments):  # type: ignore[arg-type]
            rows.append(len(batch.keys))
            yield batch

    with mock.patch.object(Store, "contents", counting), Galleries(data) as galleries:
        subjects = galleries._store.journal.connection.execute("SELECT subject_id FROM subjects")
        assert_index_equals_store(galleries, [each for (each,) in subjects])
    return sum(rows)


def die_after(data: Path, changes: str) -> None:
    """Make changes to `galleries` in a process that is killed then."""
    script = [
        "import os, signal, sys",
        "from pathlib import Path",
        "from mien.gallery.galleries import Galleries",
        "from tests.gallery.looks import MODEL, enroll, looks",
        "galleries = Galleries(Path(sys.argv[1]))",
        changes,
        "os.kill(os.getpid(), signal.SIGKILL)",
    ]
    child = subprocess.run([sys.executable, "-c", "\n".join(script), str(data)], check=False)
    assert child.returncode == -signal.SIGKILL


def test_an_index_is_saved_on_closing_and_used_on_opening(enrolled: Path, kind: str) -> None:
    assert (enrolled / "staff.index").stat().st_mode & 0o777 == 0o600
    assert read_from_store(enrolled) == 0
    with Galleries(enrolled) as galleries:
        assert galleries.index_stats("staff").kind == kind
        assert galleries.index_stats("staff").revision == COUNT


def test_an_index_that_did_not_change_is_not_saved_again(enrolled: Path) -> None:
    before = (enrolled / "staff.index").stat()
    with Galleries(enrolled) as galleries:
        galleries.search("staff", VECTORS[0], MODEL, 1)
    after = (enrolled / "staff.index").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_small_index_is_not_saved_unless_asked_for(data: Path) -> None:
    with Galleries(data) as galleries:
        galleries.create("staff", MODEL, DIM)
        for number, look in enumerate(looks(19)):
            enroll(galleries, f"person{number}", look)
    assert not (data / "staff.index").exists()
    with Galleries(data) as galleries:
        galleries.save_index("staff")
    assert read_from_store(data) == 0


def test_what_came_after_it_was_saved_is_read_from_the_store(enrolled: Path) -> None:
    die_after(enrolled, "for n in range(7): enroll(galleries, f'new{n}', looks(7, seed=9)[n])")
    assert read_from_store(enrolled) == 7


def test_what_went_after_it_was_saved_is_dropped(enrolled: Path) -> None:
    die_after(enrolled, "for n in range(9): galleries.delete_subject('staff', f'person{n}')")
    assert read_from_store(enrolled) == 0
    assert not any(traces(enrolled, vector) for vector in VECTORS[:45])


def test_any_order_of_changes_after_it_was_saved_is_caught_up_with(
    enrolled: Path, tmp_path: Path
) -> None:
    """The file is put back as it was, as after a crash that lost nothing but it."""
    dice, living = np.random.default_rng(0), list(PEOPLE)
    for turn in range(3):
        shutil.copy(enrolled / "staff.index", tmp_path / "old")
        with Galleries(enrolled) as galleries:
            for number, look in enumerate(looks(30, seed=50 + turn)):
                if number % 3 == 2:
                    galleries.delete_subject("staff", living.pop(dice.integers(len(living))))
                else:
                    name = dice.choice([*living, f"new{turn}-{number}"])
                    enroll(galleries, str(name), look)
                    living = sorted({*living, str(name)})
        shutil.copy(tmp_path / "old", enrolled / "staff.index")
        assert read_from_store(enrolled) <= 20


def test_what_was_deleted_goes_from_every_file(galleries: Galleries, enrolled: Path) -> None:
    assert set(traces(enrolled, VECTORS[0])) == {"mien.sqlite3", "staff.index"}
    for number in range(0, 80, 3):
        galleries.delete_subject("staff", f"person{number}")
        gone = VECTORS[5 * number : 5 * number + 5]
        assert [traces(enrolled, vector) for vector in gone] == [[]] * 5
    assert set(traces(enrolled, VECTORS[5])) == {"mien.sqlite3", "staff.index"}


def test_what_a_crash_kept_from_going_goes_on_the_next_start(
    enrolled: Path, tmp_path: Path
) -> None:
    """The store forgot, and the process died before the file did."""
    shutil.copy(enrolled / "staff.index", tmp_path / "old")
    with Galleries(enrolled) as galleries:
        galleries.delete_subject("staff", "person3")
    shutil.copy(tmp_path / "old", enrolled / "staff.index")
    assert traces(enrolled, VECTORS[15])
    with Galleries(enrolled):
        assert not traces(enrolled, VECTORS[15])
    assert not traces(enrolled, VECTORS[15])


def test_a_deleted_gallery_takes_its_file_along(galleries: Galleries, enrolled: Path) -> None:
    galleries.delete("staff")
    assert not (enrolled / "staff.index").exists()
    assert not any(traces(enrolled, vector) for vector in VECTORS[::20])


def test_files_of_no_gallery_and_half_written_ones_are_removed_on_opening(enrolled: Path) -> None:
    for name in ("ghost.index", "staff.index.partial"):
        shutil.copy(enrolled / "staff.index", enrolled / name)
    with Galleries(enrolled):
        assert not list(enrolled.glob("ghost*"))
        assert not list(enrolled.glob("*.partial"))
    assert read_from_store(enrolled) == 0


def damage(path: Path, kind: str) -> None:
    content = bytearray(path.read_bytes())
    if kind == "flipped":
        content[len(content) // 2] ^= 4
    path.write_bytes(content[: len(content) // 3] if kind == "cut" else content)
    if kind == "missing":
        path.unlink()


@pytest.mark.parametrize("how", ["flipped", "cut", "missing"])
def test_what_is_damaged_is_built_anew_and_said(
    enrolled: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(enrolled / "staff.index", how)
    with caplog.at_level(logging.WARNING):
        assert read_from_store(enrolled) == COUNT
    said = [record.getMessage() for record in caplog.records]
    assert ["staff.index is built anew" in each for each in said] == [True] * (how != "missing")
    assert read_from_store(enrolled) == 0


def test_a_file_from_before_a_restored_store_is_not_believed(
    enrolled: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(enrolled / FILE_NAME, tmp_path / "backup")
    with Galleries(enrolled) as galleries:
        enroll(galleries, "mallory", looks(1, seed=5)[0])
    shutil.copy(tmp_path / "backup", enrolled / FILE_NAME)
    assert read_from_store(enrolled) == COUNT
    assert f"it is of revision {COUNT + 1}, and the store is at {COUNT}" in caplog.text


def test_a_file_of_a_gallery_of_the_same_name_is_not_believed(
    enrolled: Path, tmp_path: Path
) -> None:
    shutil.copy(enrolled / "staff.index", tmp_path / "old")
    with Galleries(enrolled) as galleries:
        galleries.delete("staff")
        galleries.create("staff", MODEL, DIM)
        for number in range(COUNT + 9):
            enroll(galleries, f"new{number}", looks(1, seed=1000 + number)[0])
    shutil.copy(tmp_path / "old", enrolled / "staff.index")
    assert read_from_store(enrolled) == COUNT + 9


def test_a_file_that_lacks_a_sample_is_not_believed(
    enrolled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is whole, of this gallery and this revision, and wrong all the same."""
    with Galleries(enrolled) as galleries:
        gallery = galleries._gallery("staff")
        gallery.index.remove(np.array([7]), COUNT)
        gallery.save()
    assert read_from_store(enrolled) == COUNT
    assert "it has 399 of the 400 samples that it should have" in caplog.text


def test_a_file_from_which_nothing_can_be_erased_is_removed(
    galleries: Galleries, enrolled: Path
) -> None:
    with mock.patch.object(index_file, "erase", side_effect=OSError(errno.EIO, "broken")):
        galleries.delete_subject("staff", "person3")
    assert not (enrolled / "staff.index").exists()
    assert not traces(enrolled, VECTORS[15])


def test_bytes_that_cannot_be_removed_are_said(galleries: Galleries, enrolled: Path) -> None:
    broken = OSError(errno.EIO, "broken")
    with (
        mock.patch.object(index_file, "erase", side_effect=broken),
        mock.patch.object(index_file, "remove", side_effect=broken),
        pytest.raises(StoreInvalid, match=r"staff.index may hold what was deleted .* remove it"),
    ):
        galleries.delete_subject("staff", "person3")
    found = galleries.search("staff", VECTORS[15], MODEL, 80)
    assert "person3" not in {match.subject_id for match in found.matches}


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StorageFull), (errno.EROFS, SettingsInvalid)]
)
def test_an_index_that_cannot_be_saved_is_said_when_it_was_asked_for(
    galleries: Galleries, number: int, error: type[Exception]
) -> None:
    failing = mock.patch.object(os, "fsync", side_effect=OSError(number, os.strerror(number)))
    with failing, pytest.raises(error, match=r"staff\.index"):
        galleries.save_index("staff")
    galleries.save_index("staff")


def test_an_index_that_cannot_be_saved_on_closing_is_logged_and_built_again(
    enrolled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    galleries = Galleries(enrolled)
    enroll(galleries, "new", looks(1, seed=9)[0])
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with mock.patch.object(index_file, "write", side_effect=full):
        galleries.close()
    assert "staff.index was not saved" in caplog.text
    assert read_from_store(enrolled) == 1


def test_an_index_is_saved_when_an_inverted_file_was_built(data: Path, kind: str) -> None:
    """What took long would be lost by a crash."""
    with Galleries(data) as galleries:
        galleries._store.journal.connection.execute("PRAGMA synchronous = OFF")
        galleries.create("staff", MODEL, DIM)
        for name, vector in zip(NAMES[:301], VECTORS, strict=False):
            enroll(galleries, name, vector)
        assert (data / "staff.index").exists() == (kind != "exact")


def test_searches_go_on_while_an_index_is_saved(galleries: Galleries) -> None:
    enroll(galleries, "new", looks(1, seed=9)[0])
    write, found = index_file.write, []

    def search_and_write(*arguments: object) -> None:
        found.append(galleries.search("staff", VECTORS[0], MODEL, 1).matches[0].subject_id)
        write(*arguments)  # type: ignore[arg-type]

    with mock.patch.object(index_file, "write", search_and_write):
        galleries.save_index("staff")
    assert found == ["person0"]
