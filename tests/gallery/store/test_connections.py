"""No reader waits for a writer, and no deletion for a reader that is brief."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mien.errors import StoreInvalid
from mien.gallery.galleries import Galleries
from mien.gallery.records import About, Enrolment
from mien.gallery.store import journal
from mien.gallery.store.journal import LOG_BYTES
from mien.gallery.store.pages import logged
from tests.gallery.looks import DIM, MODEL, enroll, looks, sha256
from tests.gallery.test_deletion import traces


@pytest.fixture
def staff(galleries: Galleries) -> Galleries:
    look = looks(1)[0]
    about = About(labels={"a": "1"})
    galleries.enroll("staff", "ann", look, MODEL, sha256(look), about=about)
    return galleries


READS: dict[str, Callable[[Galleries], object]] = {
    "search": lambda g: g.search("staff", looks(1)[0], MODEL, 1).matches[0].subject_id,
    "filtered": lambda g: g.search("staff", looks(1)[0], MODEL, 1, labels={"a": "1"}).subjects,
    "get": lambda g: g.get("staff").samples,
    "page": lambda g: len(g.page()),
    "get_subject": lambda g: g.get_subject("staff", "ann").subject_id,
    "subjects": lambda g: len(g.subjects("staff")),
    "vectors": lambda g: len(g.vectors("staff", "ann", MODEL)),
    "export_subject": lambda g: len(g.export_subject("staff", "ann").vectors),
    "matched": lambda g: g.matched("staff", ["ann"]),
}


@pytest.mark.parametrize("name", READS)
def test_a_read_does_not_wait_for_a_long_write(staff: Galleries, name: str) -> None:
    """Nor sees half of it."""
    before = READS[name](staff)
    with ThreadPoolExecutor(1) as pool, staff._change, staff._store.journal.transaction() as writer:
        writer.execute("UPDATE galleries SET revision = 99")
        writer.execute("DELETE FROM subject_labels")
        assert pool.submit(READS[name], staff).result(timeout=5) == before
        writer.rollback()


def test_searches_go_on_while_many_are_enrolled(staff: Galleries) -> None:
    many = [Enrolment(f"p{n}", look, sha256(look)) for n, look in enumerate(looks(5000, seed=1))]
    slowest, done = 0.0, threading.Event()

    def search() -> int:
        nonlocal slowest
        searches = 0
        while not done.is_set():
            start = time.perf_counter()
            found = staff.search("staff", looks(1)[0], MODEL, 1)
            slowest = max(slowest, time.perf_counter() - start)
            assert found.samples in (1, 5001)  # all of them or none
            searches += 1
        return searches

    with ThreadPoolExecutor(1) as pool:
        searching = pool.submit(search)
        start = time.perf_counter()
        staff.enroll_many("staff", many, MODEL)
        took = time.perf_counter() - start
        done.set()
        assert searching.result() > 3
    assert slowest < took


def test_every_acknowledged_write_is_seen_by_the_next_read(staff: Galleries) -> None:
    for number, look in enumerate(looks(30, seed=2)):
        enroll(staff, f"p{number}", look)
        assert staff.get_subject("staff", f"p{number}").samples
        assert staff.get("staff").samples == number + 2
        assert staff.search("staff", look, MODEL, 1).matches[0].subject_id == f"p{number}"


def test_a_deletion_succeeds_under_readers_that_never_pause(staff: Galleries, data: Path) -> None:
    done = threading.Event()

    def read() -> int:
        reads = 0
        while not done.is_set():
            staff.subjects("staff", limit=1000)
            reads += 1
        return reads

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            for number, look in enumerate(looks(20, seed=3)):
                enroll(staff, f"p{number}", look)
                staff.delete_subject("staff", f"p{number}")
                assert traces(data, look) == []
        finally:
            done.set()
        assert all(reader.result() > 5 for reader in readers)


def test_one_read_is_of_one_moment(staff: Galleries) -> None:
    with staff._store.reading() as connection:
        first = connection.execute("SELECT revision FROM galleries").fetchone()
        enroll(staff, "bob", looks(2)[1])
        assert connection.execute("SELECT revision FROM galleries").fetchone() == first
        assert connection.execute("SELECT count(*) FROM samples").fetchone() == (1,)
    assert staff.get("staff").samples == 2


def test_a_reader_cannot_write(staff: Galleries) -> None:
    with pytest.raises(StoreInvalid, match="readonly"), staff._store.reading() as connection:
        connection.execute("DELETE FROM samples")
    assert staff.get("staff").samples == 1


def test_connections_are_used_again(staff: Galleries) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: staff.get("staff"), range(200)))
    assert len(staff._store._readers._idle) <= 4


def test_after_closing_nothing_is_read(data: Path) -> None:
    with Galleries(data) as galleries:
        galleries.create("staff", MODEL, DIM)
    with pytest.raises(StoreInvalid, match="the store is closed"):
        galleries.get("staff")


def enrol_at_once(galleries: Galleries, count: int, seed: int) -> None:
    many = [Enrolment(f"p{n}", each, sha256(each)) for n, each in enumerate(looks(count, seed))]
    galleries.enroll_many("staff", many, MODEL)


def test_the_log_does_not_grow_for_ever(staff: Galleries, data: Path) -> None:
    log = data / "mien.sqlite3-wal"
    for turn in range(6):
        enrol_at_once(staff, 3000, turn)
        assert log.stat().st_size < 2 * LOG_BYTES
    assert (data / "mien.sqlite3").stat().st_size > LOG_BYTES / 2


LOG, LONGEST = 2**18, 2**20


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, data: Path) -> Iterator[Galleries]:
    """A gallery whose log is moved early."""
    monkeypatch.setattr(journal, "LOG_BYTES", LOG)
    monkeypatch.setattr(journal, "LONGEST_LOG", LONGEST)
    with Galleries(data) as galleries:
        galleries.create("staff", MODEL, DIM)
        yield galleries


def test_a_long_log_is_begun_anew_in_place(short: Galleries, data: Path) -> None:
    """Bytes that are written in place are synced without a change of the file's size."""
    log = data / "mien.sqlite3-wal"
    enrol_at_once(short, 3000, seed=1)
    size, count = log.stat().st_size, len(logged(log))
    assert size > LOG
    for number, look in enumerate(looks(5, seed=2)):
        enroll(short, f"q{number}", look)
    assert log.stat().st_size == size
    assert len(logged(log)) < count / 10


def test_what_writes_nothing_moves_no_log(
    short: Galleries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that was begun anew looks as long as before until somebody writes."""
    look = looks(1)[0]
    short.enroll("staff", "ann", look, MODEL, sha256(look), request_id="asked")
    enrol_at_once(short, 3000, seed=1)
    moved: list[str] = []
    move = short._store.journal._move

    def counted(end: str, patience: float) -> bool:
        moved.append(end)
        return move(end, patience)

    monkeypatch.setattr(short._store.journal, "_move", counted)
    short.enroll("staff", "ann", look, MODEL, sha256(look), request_id="asked")
    short.enroll_each("staff", [Enrolment("new", look, sha256(look))], MODEL, validate_only=True)
    assert short.expire() == []
    assert moved == []
    enrol_at_once(short, 3000, seed=2)
    assert moved == ["RESTART"]


def test_a_log_that_a_large_batch_made_long_is_cut_when_it_is_begun_anew(
    short: Galleries, data: Path
) -> None:
    log = data / "mien.sqlite3-wal"
    enrol_at_once(short, 4000, seed=1)
    assert log.stat().st_size > LONGEST
    enroll(short, "ben", looks(2)[1])
    assert log.stat().st_size <= LONGEST


def test_a_deletion_cuts_what_an_older_log_left_behind_the_newer_one(
    short: Galleries, data: Path
) -> None:
    look = looks(1, seed=9)[0]
    enroll(short, "gone", look)
    enrol_at_once(short, 3000, seed=1)
    enroll(short, "new", looks(1, seed=2)[0])  # begins the log anew; older pages lie behind
    log = data / "mien.sqlite3-wal"
    assert log.stat().st_size > LOG
    short.delete_subject("staff", "gone")
    assert log.stat().st_size == 0
    assert traces(data, look) == []


def test_what_is_in_a_log_that_was_begun_anew_survives_a_crash(
    short: Galleries, data: Path, tmp_path: Path
) -> None:
    """A crash leaves the files as they are: copied while they are open."""
    enrol_at_once(short, 3000, seed=1)
    enroll(short, "new", looks(1, seed=2)[0])
    short._store.journal.settle()  # nothing of `new` is in the log
    enrol_at_once(short, 3000, seed=3)
    enroll(short, "newest", looks(1, seed=4)[0])
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("mien.sqlite3", "mien.sqlite3-wal"):
        shutil.copy(data / name, crashed / name)
    with Galleries(crashed) as galleries:
        assert galleries.get("staff").samples == short.get("staff").samples == 6002
        assert galleries.get_subject("staff", "newest").samples
        assert galleries.check().findings == ()
