"""Galleries as files over a real socket: snapshots and what is made of them."""

import shutil
import threading
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from mien.client import Client
from mien.errors import (
    GalleryExists,
    GalleryNotFound,
    InvalidId,
    InvalidRequest,
    MienError,
    ModelMismatch,
    OutputExists,
    SnapshotInvalid,
    StorageFull,
)
from mien.gallery.galleries import Galleries
from mien.gallery.store.journal import LEFTOVER
from mien.maintenance import Maintenance
from mien.model.bundle import Bundle
from mien.server.maintenance import snapshots
from mien.server.server import Server
from mien.v1 import maintenance_pb2, probe_pb2
from mien.v1.maintenance_pb2_grpc import MaintenanceServiceStub
from tests.gallery.looks import looks
from tests.server.galleries import DIM, person
from tests.server.maintenance.room import leftovers
from tests.server.waiting import wait

SUBJECTS, SAMPLES = 6, 17


class TestSnapshot:
    def test_comes_back_as_it_was(
        self, keeper: Maintenance, client: Client, tmp_path: Path, bundle: Bundle, data: Path
    ) -> None:
        stamp = keeper.snapshot("staff", tmp_path / "s")
        assert (stamp.gallery_id, stamp.revision, stamp.samples) == ("staff", 1, SAMPLES)
        assert stamp.model_fingerprint == bundle.manifest.fingerprint
        assert leftovers(data) == []
        restored = keeper.restore(tmp_path / "s", "again")
        assert (restored.gallery_id, restored.subjects, restored.samples) == (
            "again",
            SUBJECTS,
            SAMPLES,
        )
        assert restored.revision > stamp.revision
        exported = [list(keeper.export(each, embeddings=True)) for each in ("staff", "again")]
        for one, other in zip(*exported, strict=True):
            assert one.subject == other.subject
            assert one.embeddings == other.embeddings

    def test_larger_than_a_message_comes_in_pieces(
        self, keeper: Maintenance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(snapshots, "PIECE", 1000)
        monkeypatch.setattr("mien.maintenance.PIECE", 700)
        keeper.snapshot("staff", tmp_path / "s")
        assert (tmp_path / "s").stat().st_size > 10_000
        assert keeper.restore(tmp_path / "s", "again").samples == SAMPLES

    def test_has_no_name_while_it_is_sent(
        self, channel: grpc.Channel, data: Path, server: Server
    ) -> None:
        request = maintenance_pb2.SnapshotGalleryRequest(gallery_id="staff")
        responses = MaintenanceServiceStub(channel).SnapshotGallery(request)
        assert next(responses).HasField("stamp")
        assert leftovers(data) == []
        assert next(responses).content

    def test_is_of_one_moment_while_writes_go_on(
        self, keeper: Maintenance, client: Client, tmp_path: Path, bundle: Bundle
    ) -> None:
        client.create_gallery("busy")
        stop, vectors = threading.Event(), looks(2000, dim=DIM)

        def enrol() -> None:
            for number, vector in enumerate(vectors):
                if stop.is_set():
                    return
                embedding = probe_pb2.Embedding(
                    model_fingerprint=bundle.manifest.fingerprint,
                    f32le=vector.tobytes(),
                    dim=DIM,
                )
                client.enroll("busy", f"s{number:04}", embedding)

        writer = threading.Thread(target=enrol)
        writer.start()
        try:
            wait(lambda: client.get_gallery("busy").samples > 5)
            stamps = [keeper.snapshot("busy", tmp_path / f"{each}") for each in range(3)]
        finally:
            stop.set()
            writer.join()
        assert client.get_gallery("busy").revision > stamps[0].revision
        for number, stamp in enumerate(stamps):
            keeper.restore(tmp_path / f"{number}", f"again{number}")
            subjects = [each.subject.subject_id for each in keeper.export(f"again{number}")]
            assert subjects == [f"s{each:04}" for each in range(stamp.revision)]
            assert list(keeper.check(f"again{number}", check_only=True).findings) == []

    def test_never_replaces_a_file(self, keeper: Maintenance, tmp_path: Path) -> None:
        (tmp_path / "s").write_bytes(b"old")
        with pytest.raises(OutputExists):
            keeper.snapshot("staff", tmp_path / "s")
        assert (tmp_path / "s").read_bytes() == b"old"

    def test_of_a_missing_gallery_leaves_no_file(self, keeper: Maintenance, tmp_path: Path) -> None:
        with pytest.raises(GalleryNotFound):
            keeper.snapshot("none", tmp_path / "s")
        assert not (tmp_path / "s").exists()

    def test_that_breaks_off_leaves_no_file(
        self, keeper: Maintenance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(_: object) -> Iterator[bytes]:
            yield b"half"
            raise GalleryNotFound("gone in the midst")

        monkeypatch.setattr(snapshots, "pieces", broken)
        with pytest.raises(GalleryNotFound, match="in the midst"):
            keeper.snapshot("staff", tmp_path / "s")
        assert [path.name for path in tmp_path.iterdir()] == ["data"]


class TestRestore:
    @pytest.fixture
    def snapshot(self, keeper: Maintenance, tmp_path: Path) -> Path:
        keeper.snapshot("staff", tmp_path / "s")
        return tmp_path / "s"

    @pytest.fixture(autouse=True)
    def _leaves_nothing(self, data: Path) -> Iterator[None]:
        yield
        assert leftovers(data) == []

    @pytest.mark.parametrize("gallery", ["staff", "empty"])
    def test_into_a_gallery_that_is_there_is_refused(
        self, keeper: Maintenance, client: Client, snapshot: Path, gallery: str
    ) -> None:
        client.create_gallery("empty")
        with pytest.raises(GalleryExists, match="restore under another id"):
            keeper.restore(snapshot, gallery)

    @pytest.mark.parametrize("kept", [0, 10, 5000, -1000])
    def test_of_a_truncated_snapshot_is_refused(
        self, keeper: Maintenance, client: Client, snapshot: Path, kept: int
    ) -> None:
        snapshot.write_bytes(snapshot.read_bytes()[:kept])
        with pytest.raises(SnapshotInvalid, match="no snapshot that can be restored"):
            keeper.restore(snapshot, "again")
        with pytest.raises(GalleryNotFound):
            client.get_gallery("again")

    def test_of_a_damaged_snapshot_is_refused(self, keeper: Maintenance, snapshot: Path) -> None:
        content = bytearray(snapshot.read_bytes())
        at = content.index(person(2)[0].tobytes())
        content[at] ^= 1
        snapshot.write_bytes(content)
        with pytest.raises(SnapshotInvalid, match="checksum differs"):
            keeper.restore(snapshot, "again")

    def test_of_another_models_snapshot_is_refused(
        self, keeper: Maintenance, tmp_path: Path
    ) -> None:
        keeper.snapshot("other", tmp_path / "o")
        with pytest.raises(ModelMismatch, match="sha256:other"):
            keeper.restore(tmp_path / "o", "again")

    def test_where_the_disk_has_no_room_is_refused(
        self, keeper: Maintenance, snapshot: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
        with pytest.raises(StorageFull, match="make room"):
            keeper.restore(snapshot, "again")

    @pytest.mark.parametrize(
        ("requests", "expected"),
        [
            ([], InvalidRequest),
            ([("../x", b"")], InvalidId),
            ([("a", b""), ("b", b"")], InvalidRequest),
        ],
        ids=["nothing", "bad id", "two ids"],
    )
    def test_of_requests_that_the_client_would_not_make_is_refused(
        self,
        keeper: Maintenance,
        requests: list[tuple[str, bytes]],
        expected: type[MienError],
    ) -> None:
        messages = (
            maintenance_pb2.RestoreGalleryRequest(gallery_id=gallery, content=content)
            for gallery, content in requests
        )
        with pytest.raises(expected):
            keeper._call(keeper._stub.RestoreGallery, messages)


def test_what_a_killed_server_left_of_a_snapshot_goes_at_the_next_start(data: Path) -> None:
    left = data / f"{LEFTOVER}x"
    left.mkdir()
    (left / "upload").write_bytes(b"somebody")
    with Galleries(data):
        assert not left.exists()
