"""The audit, and what may be in no log."""

import json
import logging
import threading
from pathlib import Path

import pytest

from mien import errors
from mien.matching.decision import RawThreshold
from mien.server.access.audit import Audit
from mien.server.calls.call import Call
from mien.server.observing import logs
from mien.server.observing.logs import JsonFormatter, without_secrets
from tests.faces import encoded
from tests.server.waiting import wait
from tests.server.watched import Watched, exercised


class TestAudit:
    def test_it_says_who_asked_what_of_which_gallery_and_what_came_of_it(
        self, watched: Watched
    ) -> None:
        exercised(watched)
        who = f"key:{watched.key.split('_')[1]}"
        told = [
            (each["method"].split("/")[2], each["galleries"], each["outcome"], each["who"])
            for each in watched.lines()
        ]
        assert told == [
            ("CreateGallery", ["staff"], "answered", who),
            ("EnrollSample", ["staff"], "enrolled", who),
            ("Verify", [], told[2][2], who),
            ("Verify", ["staff"], told[3][2], who),
            ("Identify", ["staff"], "identified", who),
            ("Identify", ["staff"], "nobody", who),
            *(("IdentifyStream", each[1], each[2], who) for each in told[6:10]),
            ("EnrollBatch", ["staff"], "streamed", who),
            ("DeleteSubject", ["staff"], "refused", who),
            ("DeleteSubject", ["staff"], "deleted", who),
            ("Identify", [], "refused", "peer:127.0.0.1"),
        ]
        assert {each[2] for each in told[6:9]} == {"identified", "nobody", "refused"}
        lines = watched.lines()
        assert lines[2]["asked"] == {"target_fmr": 0.05}
        assert lines[2]["fmr"] <= 0.05
        assert lines[4]["asked"] == {"raw_threshold": -1}
        assert lines[10]["messages"] == {"enrolled": 3, "refused": 1}
        assert lines[11]["reasons"] == ["SUBJECT_NOT_FOUND"]
        assert lines[-1]["reasons"] == ["UNAUTHENTICATED"]
        assert lines[-1]["peer"] == "127.0.0.1"

    def test_it_is_added_to_and_only_its_owner_reads_it(self, tmp_path: Path) -> None:
        path = tmp_path / "audit.jsonl"
        path.write_text("before\n")
        path.chmod(0o600)
        audit = Audit(path)

        def write() -> None:
            for _ in range(50):
                audit.write(Call("m", "r", "p"), "x" * 500, {})

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        audit.close()
        first, *lines = path.read_text().splitlines()
        assert first == "before"
        assert len([json.loads(line) for line in lines]) == 200
        other = tmp_path / "new.jsonl"
        Audit(other).close()
        assert other.stat().st_mode & 0o777 == 0o600

    def test_calls_that_are_too_many_have_a_line_together(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mien.server.access.audit.MOST_COUNTED", 2)
        monkeypatch.setattr("mien.server.access.audit.SYNC_SECONDS", 0.01)
        path = tmp_path / "audit.jsonl"
        audit = Audit(path)
        for number in range(10):
            call = Call("m", f"r-{number}", "p", who=f"key:{min(number, 5) % 4}")
            audit.count(call, "refused", {"reasons": ["RATE_LIMITED"]})
        assert not path.read_text(), "a minute has not passed"
        monkeypatch.setattr("mien.server.access.audit.COUNT_SECONDS", 0.0)
        wait(lambda: len(path.read_text().splitlines()) == 3)
        monkeypatch.setattr("mien.server.access.audit.COUNT_SECONDS", 1e9)
        audit.count(Call("m", "last", "p", who="key:9"), "refused", {})
        audit.close()
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        told = [(each["who"], each["times"], each["request_id"]) for each in lines]
        assert told == [
            ("key:0", 2, "r-0"),
            ("key:1", 6, "r-1"),
            ("others", 2, "r-2"),
            ("key:9", 1, "last"),
        ]

    def test_a_full_disk_does_not_end_the_counting(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        audit = Audit(tmp_path / "audit.jsonl")
        audit.count(Call("m", "r", "p", who="key:1"), "refused", {})
        monkeypatch.setattr("mien.server.access.audit.os.write", lambda *_: 0)
        audit.close()
        assert "the audit lacks that 1 calls were refused" in caplog.text

    def test_it_is_on_the_disk_soon(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced = threading.Event()
        monkeypatch.setattr("mien.server.access.audit.SYNC_SECONDS", 0.01)
        monkeypatch.setattr("mien.server.access.audit.os.fsync", lambda _: synced.set())
        audit = Audit(tmp_path / "audit.jsonl")
        assert not synced.wait(0.1)
        audit.write(Call("m", "r", "p"), "x", {})
        assert synced.wait(5)
        audit.close()

    def test_what_cannot_be_audited_is_not_answered(
        self, watched: Watched, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        with watched.client() as client:
            client.create_gallery("staff")
            monkeypatch.setattr("mien.server.access.audit.os.write", full)
            with pytest.raises(errors.Internal):
                client.identify("staff", encoded(1, 1), RawThreshold(0))
            client.model()


class TestSecrets:
    def test_no_picture_vector_or_key_is_in_the_log_or_the_audit(
        self, watched: Watched, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with watched.client() as client:
            vector = client.embed([encoded(3, 0)]).items[0].ok.embedding
        exercised(watched)
        with watched.client() as client:
            client.verify(vector, encoded(3, 0))
            with pytest.raises(errors.InvalidId):
                client.get_gallery(f"../{watched.key}")

            def fail(*_: object) -> None:
                raise RuntimeError(f"with {watched.key}")

            monkeypatch.setattr("mien.server.servicers.model.messages.write_model", fail)
            with pytest.raises(errors.Internal):
                client.model()
        text = watched.log.getvalue() + watched.audit.read_text()
        assert "RuntimeError: with mien_" in text
        assert watched.key.split("_", 2)[2] not in text
        for secret in (encoded(3, 0), encoded(1, 0), vector.f32le):
            for form in (secret.hex(), repr(secret[:16])[2:-1], json.dumps(list(secret[:16]))):
                assert form[:24] not in text

    def test_a_key_in_a_text_is_cut_down_to_its_id(self) -> None:
        text = f"a mien_0123456789ab_{'A-_z' * 8} b"
        assert without_secrets(text) == "a mien_0123456789ab_... b"

    def test_a_record_is_one_line_whatever_is_in_it(self) -> None:
        record = logging.LogRecord("mien", logging.INFO, "f", 1, "a\n%s", ('b"\n',), None)
        record.facts = {"more": 1}
        (line,) = JsonFormatter().format(record).splitlines()
        read = json.loads(line)
        assert (read["message"], read["level"], read["more"]) == ('a\nb"\n', "info", 1)
        assert logs.FACTS == "facts"
