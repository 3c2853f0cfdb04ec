import os
import resource
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mien.enrolling.items import Refusal
from mien.enrolling.ledger import COMMIT_EVERY, Ledger, Row
from mien.enrolling.ledger_file import default_path, opened
from mien.errors import DataDirectoryLocked, StorageFull, StoreInvalid

ROW = Row(
    "a/1.jpg",
    "anna",
    "Anna",
    stamp="3 1 1 9",
    sha256="ab",
    said="x",
    outcome="enrolled",
    refusal=Refusal("R", "m\ud800"),
    sample_id="S1",
    warnings=(Refusal("W", "w"),),
    misfit="far",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "ledger"


def begun(path: Path) -> Ledger:
    ledger = Ledger(path)
    ledger.begin("staff")
    return ledger


def test_what_was_seen_is_found_again(path: Path) -> None:
    odd = replace(ROW, key="b\udcff\ud800")
    with begun(path) as ledger:
        for row in (ROW, odd):
            ledger.see(row)
    kept = replace(ROW, run=1, refusal=Refusal("R", "m?"))
    with begun(path) as ledger:
        assert ledger.find("a/1.jpg", "anna") == kept
        assert ledger.find(odd.key, "anna") == replace(kept, key=odd.key)
        assert ledger.find("a/1.jpg", "ben") is None
        assert list(ledger.walk()) == []


def test_walking_is_in_the_order_of_seeing(path: Path) -> None:
    with begun(path) as ledger:
        for number in (3, 1, 2):
            ledger.see(replace(ROW, key=str(number)))
        ledger.settle(replace(ROW, key="3", outcome="refused"))
        assert [row.key for row in ledger.walk(step=2)] == ["3", "1", "2"]
        assert ledger.counts() == {("enrolled", "R"): 2, ("refused", "R"): 1}
        assert ledger.subjects() == 1


def test_a_twin_is_the_first_of_this_run_with_the_same_content(path: Path) -> None:
    with begun(path) as ledger:
        for key in ("z", "y"):
            ledger.see(replace(ROW, key=key))
    with begun(path) as ledger:
        assert ledger.twin(replace(ROW, key="x")) is None
        ledger.see(replace(ROW, key="y"))
        ledger.see(replace(ROW, key="a", sha256=""))
        twin = ledger.twin(replace(ROW, key="x"))
        assert twin is not None
        assert twin.key == "y"
        assert ledger.twin(replace(ROW, key="y")) is None
        assert ledger.twin(replace(ROW, key="b", sha256="")) is None


def test_a_ledger_of_another_gallery_is_forgotten(path: Path) -> None:
    with begun(path) as ledger:
        ledger.see(ROW)
    with Ledger(path) as ledger:
        ledger.begin("another")
        assert ledger.find(ROW.key, ROW.subject_id) is None


def test_what_is_missing_leaves_unless_another_picture_has_the_sample(path: Path) -> None:
    with begun(path) as ledger:
        for key, sample in (("a", "S1"), ("b", "S2"), ("c", "S3"), ("d", "")):
            ledger.see(replace(ROW, key=key, sample_id=sample))
    with begun(path) as ledger:
        ledger.see(replace(ROW, key="a"))
        ledger.see(replace(ROW, key="copy of b", sample_id="S2"))
        ledger.remove_missing("removed", Refusal("NOT_IN_SOURCE", "gone"))
        assert ledger.leaving(9) == ["S3"]
        removed = [row.key for row in ledger.walk() if row.outcome == "removed"]
        assert removed == ["b", "c"]
        ledger.left(["S3"])
        assert ledger.leaving(9) == []
        ledger.forget_gone()
        assert ledger.find("d", "anna") is None


def test_more_are_missing_than_are_held_at_once(path: Path) -> None:
    with begun(path) as ledger:
        for number in range(2500):
            ledger.see(replace(ROW, key=str(number), sample_id=f"S{number:04}"))
    with begun(path) as ledger:
        ledger.remove_missing("removed", Refusal("NOT_IN_SOURCE", "gone"))
        assert len(ledger.leaving(9999)) == 2500
        assert ledger.counts() == {("removed", "NOT_IN_SOURCE"): 2500}


def test_what_is_to_leave_outlives_a_kill(path: Path) -> None:
    ledger = begun(path)
    ledger.see(ROW)
    ledger.exchange(replace(ROW, sample_id="", outcome="refused"), "S1")
    assert ledger.leaving(9) == ["S1"]
    ledger._db.close()  # without a commit, as a kill ends it
    with Ledger(path) as again:
        assert again.leaving(9) == ["S1"]
        found = again.find(ROW.key, ROW.subject_id)
        assert found is not None
        assert found.outcome == "refused"


def test_a_kill_undoes_few_changes(path: Path) -> None:
    ledger = begun(path)
    for number in range(COMMIT_EVERY + 10):
        ledger.see(replace(ROW, key=str(number)))
    ledger._db.close()
    with Ledger(path) as again:
        assert sum(again.counts().values()) == COMMIT_EVERY


def test_unchecked_stays_until_it_was_looked(path: Path) -> None:
    with begun(path) as ledger:
        assert not ledger.unchecked()
        assert ledger.unchecked(True)
    with begun(path) as ledger:
        assert ledger.unchecked()
        assert not ledger.unchecked(False)


def test_one_process_at_a_time(path: Path) -> None:
    with begun(path), pytest.raises(DataDirectoryLocked, match="another mien enroll works"):
        Ledger(path)
    Ledger(path).close()


@pytest.mark.parametrize("content", [b"I am no database" * 100, b"SQLite format 3\0" + b"\1" * 200])
def test_a_damaged_ledger_is_refused(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreInvalid, match="--afresh"):
        Ledger(path)
    with opened(path, afresh=True) as ledger:
        ledger.begin("staff")


def test_a_ledger_of_a_later_format_is_refused(path: Path) -> None:
    begun(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(StoreInvalid, match="has format 9"):
        Ledger(path)


def test_a_copy_to_try_things_on_changes_nothing(path: Path) -> None:
    with begun(path) as ledger:
        ledger.see(ROW)
    with opened(path, tries=True) as copy:
        copy.begin("staff")
        assert copy.find(ROW.key, "anna") is not None
        copy.see(replace(ROW, key="new"))
    with Ledger(path) as ledger:
        assert ledger.run == 1
        assert ledger.find("new", "anna") is None
    with opened(path, tries=True, afresh=True) as copy:
        copy.begin("staff")
        assert copy.find(ROW.key, "anna") is None
    assert path.exists()


TRY = """
import sys
from dataclasses import replace
from pathlib import Path
from mien.enrolling.ledger_file import opened
from tests.enrolling.test_ledger import ROW
with opened(Path(sys.argv[1]), tries=True) as copy:
    copy.begin("staff")
    for number in range(20_000):
        copy.see(replace(ROW, key=f"ann/{number}.jpg"))
    copy.commit()
    print("held", flush=True)
    sys.stdin.read()
"""


def test_what_is_tried_leaves_nothing_when_it_is_killed(path: Path, tmp_path: Path) -> None:
    """More than fits in SQLite's memory, so that there is a file, which has no name."""
    begun(path).close()
    (temporary := tmp_path / "temporary").mkdir()
    before = path.read_bytes()
    with subprocess.Popen(
        [sys.executable, "-c", TRY, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary), "SQLITE_TMPDIR": str(temporary)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        held = [str(each.readlink()) for each in Path(f"/proc/{process.pid}/fd").iterdir()]
        assert [each for each in held if each.startswith(str(temporary))]
        assert list(temporary.iterdir()) == []
        process.kill()
    assert list(temporary.iterdir()) == []
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == before


def test_each_source_place_and_gallery_has_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    told = {
        default_path(Path(source), place, gallery)
        for source in ("/a", "/b")
        for place in ("server x", "data x")
        for gallery in ("g", "h")
    }
    assert len(told) == 8
    assert all(each.is_relative_to(tmp_path / "mien" / "enrolling") for each in told)
    monkeypatch.delenv("XDG_STATE_HOME")
    assert default_path(Path("/a"), "x", "g").is_relative_to(Path.home() / ".local" / "state")


def see_many(ledger: Ledger) -> None:
    for number in range(1000):
        ledger.see(replace(ROW, key=f"ann/{number}.jpg"))
    ledger.commit()


def test_a_ledger_that_cannot_grow_is_not_to_be_begun_anew(path: Path) -> None:
    """What would come of that is that everything is looked at again, and does not fit either."""
    endless, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    with begun(path) as ledger:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (16 * 1024, most))
            with pytest.raises(StorageFull, match=r"for the ledger .*; raise that limit \(ulimit"):
                see_many(ledger)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (endless, most))
