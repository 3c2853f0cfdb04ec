"""What a server does for its galleries without being asked."""

import logging
import time
from datetime import timedelta
from pathlib import Path

import pytest

from mien.client import Client
from mien.errors import SettingsInvalid, StorageFull
from mien.gallery.galleries import Galleries
from mien.gallery.records import Retention
from mien.matching.decision import RawThreshold
from mien.model.bundle import Bundle
from mien.server.maintenance import upkeep
from mien.server.maintenance.upkeep import Upkeep
from mien.server.server import Server
from mien.server.settings import Settings
from mien.v1.probe_pb2 import SubjectRef
from tests.faces import encoded
from tests.gallery.looks import DIM, MODEL, enroll, looks
from tests.server.waiting import WAIT_SECONDS, wait


@pytest.fixture
def galleries(tmp_path: Path) -> Galleries:
    """Of which one, "short", keeps nobody for longer than a millisecond."""
    galleries = Galleries(tmp_path / "data")
    kept = Retention(max_age=timedelta(milliseconds=1))
    galleries.create("short", MODEL, DIM, retention=kept)
    galleries.create("long", MODEL, DIM)
    return galleries


def test_who_is_due_is_forgotten_at_once_and_again_and_again(
    galleries: Galleries, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="mien")
    enroll(galleries, "ann", looks(2)[0], "short")
    enroll(galleries, "ann", looks(2)[0], "long")
    keeping = Upkeep(galleries, expire_seconds=0.02)
    wait(lambda: galleries.get("short").samples == 0)
    enroll(galleries, "bob", looks(2)[1], "short")
    wait(lambda: galleries.get("short").samples == 0)
    keeping.stop()
    assert galleries.get("long").samples == 1
    assert "gallery short: 1 subjects and 1 samples expired" in caplog.text
    galleries.close()


def test_matches_are_made_durable_between_two_expiries(
    galleries: Galleries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "FLUSH_SECONDS", 0.02)
    enroll(galleries, "ann", looks(1)[0], "long")
    keeping = Upkeep(galleries, expire_seconds=3600)
    time.sleep(0.05)
    galleries.matched("long", ["ann"])
    wait(lambda: galleries.get_subject("long", "ann").last_match is not None)
    keeping.stop()
    galleries.close()


@pytest.mark.parametrize("error", [StorageFull("no space"), RuntimeError("no sense")])
def test_what_goes_wrong_is_logged_and_tried_again(
    galleries: Galleries,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail() -> None:
        raise error

    enroll(galleries, "ann", looks(1)[0], "short")
    with monkeypatch.context() as patch:
        patch.setattr(galleries, "expire", fail)
        keeping = Upkeep(galleries, expire_seconds=0.02)
        wait(lambda: caplog.text.count(str(error)) > 1)
    wait(lambda: galleries.get("short").samples == 0)
    keeping.stop()
    galleries.close()


def test_a_stopped_thread_does_nothing_more(galleries: Galleries) -> None:
    keeping = Upkeep(galleries, expire_seconds=3600)
    start = time.monotonic()
    keeping.stop()
    assert time.monotonic() - start < WAIT_SECONDS
    assert not keeping._thread.is_alive()
    galleries.close()


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_no_time_between_two_expiries_is_refused(seconds: float) -> None:
    with pytest.raises(SettingsInvalid, match=r"expire_seconds is .*; give the seconds"):
        Settings(Path("bundle"), Path("data"), expire_seconds=seconds)


def last_matches(server: Server) -> dict[str, bool]:
    server._galleries.flush_matches()
    return {
        each.subject_id: each.last_match is not None for each in server._galleries.subjects("g")
    }


def test_an_accepted_candidate_was_matched_and_another_was_not(
    server: Server, client: Client
) -> None:
    client.create_gallery("g")
    client.enroll("g", "ann", encoded(1, 0))
    client.enroll("g", "bob", encoded(2, 0))
    client.identify("g", encoded(3, 0), policy=RawThreshold(0.9999))
    assert last_matches(server) == {"ann": False, "bob": False}
    response = client.identify("g", encoded(1, 0), policy=RawThreshold(0.999), candidates=2)
    accepted = {each.subject_id: each.accepted for each in response.faces[0].candidates}
    assert last_matches(server) == accepted
    assert accepted["ann"]


def test_a_verified_subject_was_matched(server: Server, client: Client) -> None:
    client.create_gallery("g")
    client.enroll("g", "ann", encoded(1, 0))
    client.enroll("g", "bob", encoded(2, 0))
    ann, bob = (SubjectRef(gallery_id="g", subject_id=each) for each in ("ann", "bob"))
    assert not client.verify(encoded(1, 0), bob, RawThreshold(0.9999)).match
    assert last_matches(server) == {"ann": False, "bob": False}
    assert client.verify(ann, encoded(1, 0), RawThreshold(0.9)).match
    assert last_matches(server) == {"ann": True, "bob": False}


def test_a_server_forgets_who_fell_due_while_none_ran(bundle: Bundle, tmp_path: Path) -> None:
    with Galleries(tmp_path / "data") as galleries:
        kept = Retention(max_age=timedelta(milliseconds=1))
        galleries.create("short", MODEL, DIM, retention=kept)
        enroll(galleries, "ann", looks(1)[0], "short")
    with Server(Settings(bundle.folder, tmp_path / "data", port=0)) as server:
        wait(lambda: server._galleries.get("short").samples == 0)
