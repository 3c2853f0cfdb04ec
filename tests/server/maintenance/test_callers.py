"""Callers who go in the midst of maintenance, and those who are too many."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mien.client import Client
from mien.errors import (
    GalleryNotFound,
    TooManyStreams,
)
from mien.maintenance import Maintenance
from mien.model.bundle import Bundle
from mien.server.maintenance import snapshots
from mien.server.server import Server
from mien.v1 import match_pb2
from tests.server.maintenance.room import PATIENCE, leftovers
from tests.server.waiting import wait

SUBJECTS, SAMPLES = 6, 17


CALLER = """
import sys, time, grpc
from mien.v1 import maintenance_pb2
from mien.v1.maintenance_pb2_grpc import MaintenanceServiceStub

address, what = sys.argv[1:]
stub = MaintenanceServiceStub(grpc.insecure_channel(address))

def pieces():
    yield maintenance_pb2.RestoreGalleryRequest(gallery_id="again")
    yield maintenance_pb2.RestoreGalleryRequest(content=b"x" * 100_000)
    print("begun", flush=True)
    time.sleep(60)

if what == "snapshot":
    responses = stub.SnapshotGallery(maintenance_pb2.SnapshotGalleryRequest(gallery_id="staff"))
    next(responses)
    print("begun", flush=True)
    time.sleep(60)
else:
    stub.RestoreGallery(pieces())
"""


@pytest.mark.parametrize("what", ["snapshot", "restore"])
def test_a_caller_that_is_killed_in_the_midst_leaves_nothing(
    server: Server,
    address: str,
    data: Path,
    client: Client,
    keeper: Maintenance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    def waiting(*_: object) -> Iterator[bytes]:
        while True:  # far more than the caller takes: the server waits for it
            yield b"x" * 2**20

    monkeypatch.setattr(snapshots, "pieces", waiting)
    streams = server.streams
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, address, what], stdout=subprocess.PIPE, text=True
    )
    assert caller.stdout
    assert caller.stdout.readline() == "begun\n"
    wait(lambda: streams.open == 1)
    if what == "restore":
        wait(lambda: len(leftovers(data)) == 1)
    caller.send_signal(signal.SIGKILL)
    caller.communicate(timeout=PATIENCE)
    wait(lambda: leftovers(data) == [] and streams.open == 0)
    with pytest.raises(GalleryNotFound):
        client.get_gallery("again")


def test_more_streams_than_the_server_serves_are_refused(
    bundle: Bundle, data: Path, keeper: Maintenance, server: Server, tmp_path: Path
) -> None:
    taken = ExitStack()
    for _ in range(server.streams._most):
        taken.enter_context(server.streams.place())
    request = match_pb2.FindDuplicatesRequest(gallery_id="staff", raw_threshold=0.8)
    for call in (
        lambda: keeper.snapshot("staff", tmp_path / "s"),
        lambda: list(keeper.export("staff")),
        lambda: list(keeper.duplicates(request)),
        lambda: keeper.restore(Path(__file__), "again"),
    ):
        with pytest.raises(TooManyStreams):
            call()
    assert not (tmp_path / "s").exists()
    taken.close()
