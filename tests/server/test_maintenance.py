"""MaintenanceService and FindDuplicates over a real socket: answers, refusals, callers who go."""

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import numpy as np
import pytest

from mien.client import Client
from mien.errors import (
    GalleryExists,
    GalleryNotFound,
    InvalidEmbedding,
    InvalidId,
    InvalidRequest,
    MienError,
    ModelMismatch,
    NotCalibrated,
    OutputExists,
    SnapshotInvalid,
    StorageFull,
    SubjectNotFound,
    TooManyStreams,
    UnsupportedOperatingPoint,
)
from mien.gallery.galleries import Galleries
from mien.gallery.store.journal import LEFTOVER
from mien.maintenance import Maintenance
from mien.matching.decision import TargetFMR
from mien.matching.metrics import Vectors
from mien.model.bundle import Bundle
from mien.server import snapshots
from mien.server.duplicates import find_duplicates
from mien.server.server import Server
from mien.server.settings import Settings
from mien.v1 import maintenance_pb2, match_pb2, probe_pb2
from mien.v1.maintenance_pb2_grpc import MaintenanceServiceStub
from tests.gallery.looks import looks, sha256
from tests.server.galleries import DIM, DUE, falls_due, filled, person

PATIENCE = 20
SUBJECTS, SAMPLES = 6, 17


@pytest.fixture
def data(tmp_path: Path, bundle: Bundle) -> Path:
    fingerprint = bundle.manifest.fingerprint
    filled(tmp_path / "data", fingerprint)
    filled(tmp_path / "data", "sha256:other", "other")
    falls_due(tmp_path / "data", "sha256:other", "other")
    return tmp_path / "data"


@pytest.fixture
def server(bundle: Bundle, data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """It does not look by itself who is due."""
    monkeypatch.setattr("mien.server.upkeep.Upkeep._try_to_expire", lambda _: None)
    with Server(Settings(bundle.folder, data, port=0)) as serving:
        yield serving


@pytest.fixture
def keeper(client: Client) -> Maintenance:
    return Maintenance(client, deadline=PATIENCE)


def leftovers(data: Path) -> list[str]:
    return [path.name for path in data.iterdir() if path.name.startswith(LEFTOVER)]


def eventually(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    return true()


class TestStats:
    def test_tell_what_a_gallery_holds_and_how_it_is_searched(self, keeper: Maintenance) -> None:
        stats = keeper.stats("staff")
        gallery = stats.gallery
        assert (gallery.subjects, gallery.samples, gallery.revision) == (SUBJECTS, SAMPLES, 1)
        assert (gallery.dim, stats.index, stats.vector_bytes) == (DIM, "exact", 4 * DIM * SAMPLES)
        assert not stats.HasField("recall")

    def test_of_a_missing_gallery_are_refused(self, keeper: Maintenance) -> None:
        with pytest.raises(GalleryNotFound):
            keeper.stats("none")
        with pytest.raises(InvalidId):
            keeper.stats("../x")


class TestCheck:
    def test_finds_nothing_wrong(self, keeper: Maintenance) -> None:
        found = keeper.check("staff")
        assert (list(found.findings), found.subjects, found.samples) == ([], SUBJECTS, SAMPLES)

    @pytest.mark.parametrize("check_only", [True, False])
    def test_a_wrong_index_is_told_and_repaired_unless_only_looked_at(
        self, keeper: Maintenance, server: Server, check_only: bool
    ) -> None:
        server._galleries._gallery("staff").index.rows.vectors[0] *= -1
        found = keeper.check("staff", check_only=check_only)
        assert [(f.what, f.repaired) for f in found.findings] == [("index", not check_only)]
        assert len(keeper.check("staff", check_only=True).findings) == check_only

    def test_of_a_missing_gallery_is_refused(self, keeper: Maintenance) -> None:
        with pytest.raises(GalleryNotFound):
            keeper.check("none")


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
            assert eventually(lambda: client.get_gallery("busy").samples > 5)
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


class TestExport:
    def test_has_everybody_in_order(self, keeper: Maintenance) -> None:
        people = list(keeper.export("staff"))
        assert [each.subject.subject_id for each in people] == [f"p{n}" for n in range(SUBJECTS)]
        assert sum(len(each.subject.samples) for each in people) == SAMPLES
        assert not any(each.embeddings for each in people)

    def test_has_vectors_if_asked(self, keeper: Maintenance) -> None:
        (one,) = keeper.export("staff", "p1", embeddings=True)
        vectors = [np.frombuffer(each.f32le, "<f4") for each in one.embeddings]
        np.testing.assert_array_equal(vectors, person(1))

    def test_of_more_than_a_page_has_all(
        self, keeper: Maintenance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mien.server.maintenance.PAGE", 2)
        assert len(list(keeper.export("staff"))) == SUBJECTS

    def test_leaves_out_who_is_deleted_meanwhile(
        self, server: Server, keeper: Maintenance, client: Client
    ) -> None:
        export = server._galleries.export_subject

        def deleting(gallery: str, subject: str) -> object:
            if subject == "p1":
                server._galleries.delete_subject(gallery, subject)
            return export(gallery, subject)

        server._galleries.export_subject = deleting  # type: ignore[method-assign,assignment]
        assert [each.subject.subject_id for each in keeper.export("staff")] == [
            "p0",
            "p2",
            "p3",
            "p4",
            "p5",
        ]

    def test_of_who_is_missing_is_refused(self, keeper: Maintenance) -> None:
        with pytest.raises(GalleryNotFound):
            list(keeper.export("none"))
        with pytest.raises(SubjectNotFound):
            list(keeper.export("staff", "nobody"))


class TestDuplicates:
    def ask(
        self, keeper: Maintenance, gallery: str = "staff", **asked: float
    ) -> tuple[
        list[match_pb2.DuplicatePair],
        list[match_pb2.Misfit],
        match_pb2.FindDuplicatesResponse.Summary,
    ]:
        request = match_pb2.FindDuplicatesRequest(gallery_id=gallery, **asked)  # type: ignore[arg-type]
        *found, last = keeper.duplicates(request)
        kinds = [str(each.WhichOneof("finding")) for each in found]
        assert kinds == sorted(kinds, reverse=True)  # pairs come first
        return (
            [each.pair for each in found if each.HasField("pair")],
            [each.misfit for each in found if each.HasField("misfit")],
            last.summary,
        )

    def test_are_pairs_of_one_person_and_samples_of_another(self, keeper: Maintenance) -> None:
        pairs, misfits, summary = self.ask(keeper, raw_threshold=0.8)
        first, second = pairs[0], pairs[-1]
        assert {(p.subject_a, p.subject_b) for p in pairs} >= {("p4", "p5")}
        assert first.score.similarity >= second.score.similarity > 0.8
        assert [(m.subject_id, m.nearest_subject_id) for m in misfits] == [("p0", "p1")]
        assert (summary.subjects, summary.samples) == (SUBJECTS, SAMPLES)
        assert (summary.gallery_revision, summary.truncated) == (1, False)
        assert summary.applied.threshold == pytest.approx(0.8)

    def test_at_a_rate_tell_how_many_are_expected_to_be_false(self, keeper: Maintenance) -> None:
        pairs, _, summary = self.ask(keeper, target_fmr=0.05)
        assert ("p4", "p5") in [(each.subject_a, each.subject_b) for each in pairs]
        assert summary.applied.fpir_at_n <= 0.05
        assert summary.expected_false_pairs == pytest.approx(15 * summary.applied.fpir_at_n)
        assert all(pair.score.HasField("expected_fmr") for pair in pairs)

    def test_by_default_are_decided_at_the_servers_rate(self, bundle: Bundle, data: Path) -> None:
        with Galleries(data) as galleries:
            request = match_pb2.FindDuplicatesRequest(gallery_id="staff")
            asked = [
                list(find_duplicates(galleries, bundle.calibration, each, rate, lambda: None))[-1]
                for each, rate in (
                    (request, TargetFMR(0.1)),
                    (
                        match_pb2.FindDuplicatesRequest(gallery_id="staff", target_fmr=0.1),
                        TargetFMR(0.5),
                    ),
                )
            ]
        assert asked[0] == asked[1]

    def test_of_more_than_are_wanted_the_first_are_told(self, keeper: Maintenance) -> None:
        pairs, _, summary = self.ask(keeper, raw_threshold=-1, max_findings=3)
        everyone, _, whole = self.ask(keeper, raw_threshold=-1)
        assert (len(pairs), len(everyone)) == (3, 15)
        assert pairs == everyone[:3]
        assert (summary.truncated, whole.truncated) == (True, False)

    @pytest.mark.parametrize(
        ("gallery", "asked", "expected"),
        [
            ("none", {"target_fmr": 0.1}, GalleryNotFound),
            ("../x", {"target_fmr": 0.1}, InvalidId),
            ("staff", {"target_fmr": 1.5}, InvalidRequest),
            ("staff", {"target_fmr": 1e-6}, UnsupportedOperatingPoint),
            ("staff", {"raw_threshold": 2}, InvalidRequest),
            ("staff", {"raw_threshold": 0.5, "target_fmr": 0.1}, InvalidRequest),
            ("staff", {"max_findings": 10_001}, InvalidRequest),
            ("other", {"target_fmr": 0.1}, ModelMismatch),
        ],
    )
    def test_that_cannot_be_decided_are_refused(
        self,
        keeper: Maintenance,
        gallery: str,
        asked: dict[str, float],
        expected: type[MienError],
    ) -> None:
        with pytest.raises(expected):
            self.ask(keeper, gallery, **asked)

    def test_of_another_model_are_found_by_a_threshold(self, keeper: Maintenance) -> None:
        pairs, _, summary = self.ask(keeper, "other", raw_threshold=0.8)
        assert ("p4", "p5") in [(each.subject_a, each.subject_b) for each in pairs]
        assert not summary.HasField("expected_false_pairs")
        assert not summary.applied.HasField("fmr")

    def test_without_a_calibration_need_a_threshold(self, data: Path) -> None:
        with Galleries(data) as galleries:
            request = match_pb2.FindDuplicatesRequest(gallery_id="staff", target_fmr=0.1)
            with pytest.raises(NotCalibrated):
                list(find_duplicates(galleries, None, request, TargetFMR(0.1), lambda: None))

    def test_of_nobody_are_none(self, keeper: Maintenance, client: Client) -> None:
        client.create_gallery("empty")
        pairs, misfits, summary = self.ask(keeper, "empty", target_fmr=0.1)
        assert (pairs, misfits, summary.subjects) == ([], [], 0)
        assert summary.expected_false_pairs == 0

    def test_by_the_mean_are_found_by_the_mean(self, data: Path, bundle: Bundle) -> None:
        assert bundle.calibration
        calibration = bundle.calibration.model_copy(update={"fusion": "mean"})
        request = match_pb2.FindDuplicatesRequest(gallery_id="staff", raw_threshold=0.8)
        with Galleries(data) as galleries:
            rate = TargetFMR(0.1)
            *found, last = find_duplicates(galleries, calibration, request, rate, lambda: None)
        # One strange sample of four makes p0 no p1 on average.
        assert [(f.pair.subject_a, f.pair.subject_b) for f in found if f.HasField("pair")] == [
            ("p4", "p5")
        ]
        assert last.HasField("summary")


class TestExpire:
    def test_lets_go_of_who_is_due_and_says_so(self, keeper: Maintenance, client: Client) -> None:
        (expired,) = keeper.expire().galleries
        assert (expired.gallery_id, expired.subjects, expired.samples) == ("other", 1, 1)
        assert expired.revision == client.get_gallery("other").revision
        assert list(keeper.expire().galleries) == []
        with pytest.raises(SubjectNotFound):
            list(keeper.export("other", DUE))


class TestProveAbsent:
    def request(
        self, vector: Vectors | None = None, content_sha256: str = "", text: str = ""
    ) -> maintenance_pb2.ProveAbsentRequest:
        request = maintenance_pb2.ProveAbsentRequest(content_sha256=content_sha256, text=text)
        if vector is not None:
            request.embedding.f32le, request.embedding.dim = vector.tobytes(), len(vector)
        return request

    def test_finds_who_is_there(self, keeper: Maintenance) -> None:
        vector = person(1)[0]
        found = keeper.prove_absent(self.request(vector, text="p1"))
        assert {trace.what for trace in found.traces} >= {"vector from value 0", "text"}
        assert all(trace.file.startswith("mien.sqlite3") for trace in found.traces)
        assert found.files >= 2
        assert found.bytes > 4 * DIM * SAMPLES

    def test_finds_nothing_of_who_is_gone(self, keeper: Maintenance, client: Client) -> None:
        client.delete_subject("staff", "p2")
        client.delete_gallery("other")
        for vector in person(2):
            asked = self.request(vector, content_sha256=sha256(vector))
            assert list(keeper.prove_absent(asked).traces) == []

    def test_of_nothing_or_of_what_is_none_is_refused(self, keeper: Maintenance) -> None:
        with pytest.raises(InvalidRequest, match="nothing to look for"):
            keeper.prove_absent(self.request())
        with pytest.raises(InvalidRequest, match="64 hexadecimal digits"):
            keeper.prove_absent(self.request(content_sha256="ABC"))
        bad = self.request(person(1)[0])
        bad.embedding.dim = 3
        with pytest.raises(InvalidEmbedding):
            keeper.prove_absent(bad)

    def test_the_server_goes_on_as_before(self, keeper: Maintenance, client: Client) -> None:
        keeper.prove_absent(self.request(text="nobody"))
        client.delete_subject("staff", "p3")
        assert client.get_gallery("staff").subjects == SUBJECTS - 1


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
    assert eventually(lambda: streams.open == 1)
    assert what == "snapshot" or eventually(lambda: len(leftovers(data)) == 1)
    caller.send_signal(signal.SIGKILL)
    caller.communicate(timeout=PATIENCE)
    assert eventually(lambda: leftovers(data) == [] and streams.open == 0)
    with pytest.raises(GalleryNotFound):
        client.get_gallery("again")


def test_what_a_killed_server_left_of_a_snapshot_goes_at_the_next_start(data: Path) -> None:
    left = data / f"{LEFTOVER}x"
    left.mkdir()
    (left / "upload").write_bytes(b"somebody")
    with Galleries(data):
        assert not left.exists()


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


def test_a_search_for_duplicates_ends_when_nobody_waits(
    keeper: Maintenance, client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def endless(*_: object, alive: Callable[[], None], **__: object) -> None:
        begun.set()
        try:
            while True:
                alive()
                time.sleep(0.01)
        finally:
            ended.set()

    monkeypatch.setattr("mien.server.duplicates.duplicates.find", endless)
    request = match_pb2.FindDuplicatesRequest(gallery_id="staff", raw_threshold=0.8)
    call = keeper._match.FindDuplicates(request)
    assert begun.wait(PATIENCE)
    call.cancel()
    assert ended.wait(PATIENCE)
