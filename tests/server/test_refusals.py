"""Every call × {success, each refusal that docs/api.md lists for it}, over a real socket.

UNAUTHENTICATED, PERMISSION_DENIED and RATE_LIMITED are of tests that have keys: `access` has
every call, `test_rates` the limits.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from mien.client import Client
from mien.deadline import Deadline
from mien.gallery.store.connections import translated
from mien.gallery.store.journal import Journal
from mien.maintenance import Maintenance
from mien.model.bundle import Bundle
from mien.server.server import Server
from mien.server.settings import Settings
from mien.v1 import gallery_pb2, probe_pb2
from tests import bundles
from tests.faces import encoded
from tests.server.every_call import make, raw, refusal
from tests.server.galleries import falls_due, filled
from tests.server.gated import gated
from tests.server.refusals import ALL_STREAMS, GALLERY, NAMES, documented, replaced, sound
from tests.server.refusals import reasons_in as rejected
from tests.server.waiting import wait

REFUSALS = [(name, reason) for name, found in documented().items() for reason in sorted(found)]
UNSUPPORTED = 1e-9
"""A rate that no calibration of tests supports."""


@dataclass
class World:
    """A server with a little in it, and one without a calibration."""

    server: Server
    channel: grpc.Channel
    client: Client
    uncalibrated: grpc.Channel
    snapshot: bytes
    foreign: bytes

    def request(self, name: str) -> Any:
        return sound(self.client, self.snapshot, name)


def put_people(client: Client) -> None:
    client.create_gallery(GALLERY, request_id="used")
    for person in range(3):
        for shot in range(2):
            client.enroll(GALLERY, f"person-{person}", encoded(person, shot))


def snapshot_of(client: Client, gallery: str, path: Path) -> bytes:
    Maintenance(client).snapshot(gallery, path)
    return path.read_bytes()


@contextmanager
def small_world(bundle: Bundle, folder: Path) -> Iterator[World]:
    filled(folder / "data", "f" * 64, "foreign")
    falls_due(folder / "data", "f" * 64, "foreign")
    bare = bundles.uncalibrated(folder / "bare").folder
    with ExitStack() as stack:
        server = stack.enter_context(Server(Settings(bundle.folder, folder / "data", port=0)))
        other = stack.enter_context(Server(Settings(bare, folder / "other", port=0)))
        addresses = [f"127.0.0.1:{each.port}" for each in (server, other)]
        client, second = (stack.enter_context(Client(each)) for each in addresses)
        channels = [stack.enter_context(grpc.insecure_channel(each)) for each in addresses]
        put_people(client)
        put_people(second)
        yield World(
            server,
            channels[0],
            client,
            channels[1],
            snapshot_of(client, GALLERY, folder / "s"),
            snapshot_of(client, "foreign", folder / "f"),
        )


@pytest.fixture(scope="module")
def world(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """For refusals only, which change nothing. Who is due stays: nobody looks for him."""
    patched = pytest.MonkeyPatch()
    patched.setattr("mien.server.maintenance.upkeep.Upkeep._try_to_expire", lambda _: None)
    with small_world(bundle, tmp_path_factory.mktemp("world")) as made:
        yield made
    patched.undo()


def reason_of(channel: grpc.Channel, name: str, *requests: Any) -> set[str]:
    """Why a call or an item of it was refused; nothing if it was not."""
    try:
        answers = make(channel, NAMES[name], *requests)
    except grpc.RpcError as error:
        return {refusal(error)[1]}
    return {reason for answer in answers for reason in rejected(answer)}


def test_each_is_answered(bundle: Bundle, tmp_path: Path) -> None:
    """What ends the most at the end."""
    last = ("DeleteSamples", "MergeSubjects", "DeleteSubject", "DeleteGallery")
    with small_world(bundle, tmp_path) as fresh:
        for name in [*(name for name in NAMES if name not in last), *last]:
            assert reason_of(fresh.channel, name, fresh.request(name)) == set(), name


# Reasons that come by the request.


def _with_probe(world: World, name: str, **source: Any) -> Any:
    """With another picture, vector or subject."""
    request = world.request(name)
    if name == "Embed":
        request.images[0].CopyFrom(source["image"])
    elif name == "Verify":
        request.a.CopyFrom(probe_pb2.Probe(**source))
    elif name == "EmbedStream":
        request.image.CopyFrom(source["image"])
    else:
        (kind, value), inner = next(iter(source.items())), request
        for step in ("request", "item", "probe"):
            inner = getattr(inner, step, inner)
        getattr(inner, kind).CopyFrom(value)
    return request


def _picture(content: bytes) -> Callable[[World, str], Any]:
    return lambda world, name: _with_probe(world, name, image=probe_pb2.Image(content=content))


def _vector(model: str | None, content: bytes) -> Callable[[World, str], Any]:
    def of(world: World, name: str) -> Any:
        fingerprint = model or world.client.model().fingerprint
        vector = probe_pb2.Embedding(model_fingerprint=fingerprint, f32le=content, dim=16)
        return _with_probe(world, name, embedding=vector)

    return of


def _decision(world: World, name: str) -> Any:
    """An error rate that is too small."""
    request = world.request(name)
    inner = getattr(request, "request", getattr(request, "item", request))
    if name == "FindDuplicates":
        inner.ClearField("raw_threshold")
        inner.target_fmr = UNSUPPORTED
    elif name.startswith("Enroll"):
        inner.duplicates = gallery_pb2.DUPLICATE_POLICY_WARN_OTHER_SUBJECT
        inner.duplicate_fmr = UNSUPPORTED
    elif name == "Verify":
        inner.decision.target_fmr = UNSUPPORTED
    elif name != "GetCalibration":
        inner.decision.target_fpir = UNSUPPORTED
    return request


def _model_mismatch(world: World, name: str) -> Any:
    if name == "RestoreGallery":
        return replaced(world.request(name), "content", world.foreign)
    return _vector("0" * 64, bytes(64))(world, name)


def _subject_missing(world: World, name: str) -> Any:
    if name in ("Verify", "Identify", "IdentifyStream"):
        nobody = probe_pb2.SubjectRef(gallery_id=GALLERY, subject_id="nobody")
        return _with_probe(world, name, subject=nobody)
    field = "into_subject_id" if name == "MergeSubjects" else "subject_id"
    return replaced(world.request(name), field, "nobody")


def _exists(world: World, name: str) -> Any:
    return replaced(world.request(name), "gallery_id", GALLERY)


def _known_face(world: World, name: str) -> Any:
    request = _with_probe(world, name, image=probe_pb2.Image(content=encoded(2, 0)))
    inner = getattr(request, "item", request)
    inner.duplicates = gallery_pb2.DUPLICATE_POLICY_REJECT_OTHER_SUBJECT
    inner.duplicate_fmr = 0.05
    return request


def _behind(world: World, name: str) -> Any:
    request = world.request(name)
    getattr(request, "request", request).min_revision = 10**6
    return request


def _set(field: str, value: Any) -> Callable[[World, str], Any]:
    """With a field, within whatever message has one."""

    def of(world: World, name: str) -> Any:
        request = world.request(name)
        setattr(getattr(request, "item", request), field, value)
        return request

    return of


def _other_gallery(gallery: str) -> Callable[[World, str], Any]:
    return lambda world, name: replaced(world.request(name), "gallery_id", gallery)


def _used_id(world: World, name: str) -> Any:
    """Where it was used: GALLERY was made under it, without labels."""
    request = _set("request_id", "used")(world, name)
    if name == "CreateGallery":
        request.gallery_id, request.labels["a"] = GALLERY, "b"
    return request


BY_REQUEST: dict[str, Callable[[World, str], Any]] = {
    "IMAGE_UNDECODABLE": _picture(b"no picture"),
    "IMAGE_TOO_LARGE": _picture(bytes(11 * 2**20)),
    "MODEL_MISMATCH": _model_mismatch,
    "INVALID_EMBEDDING": _vector(None, b"\xff" * 60),
    "UNSUPPORTED_OPERATING_POINT": _decision,
    "GALLERY_NOT_FOUND": _other_gallery("nowhere"),
    "INVALID_ID": _other_gallery("../nowhere"),
    "SUBJECT_NOT_FOUND": _subject_missing,
    "GALLERY_EXISTS": _exists,
    "DUPLICATE_OTHER_SUBJECT": _known_face,
    "REVISION_NOT_REACHED": _behind,
    "MODEL_NOT_FOUND": _set("model_id", "other"),
    "CALIBRATION_NOT_FOUND": _set("calibration_id", "other"),
    "SNAPSHOT_INVALID": _set("content", b"no snapshot"),
    "REQUEST_ID_REUSED": _used_id,
}


# Reasons that come by what happens to the server.


def _bytes(world: World, name: str, _: pytest.MonkeyPatch) -> set[str]:
    """Others than the call's message: what is wrong with messages has tests of its own."""
    with pytest.raises(grpc.RpcError) as caught:
        raw(world.channel, NAMES[name], b"\xff")
    return {refusal(caught.value)[1]}


def _without_calibration(world: World, name: str, _: pytest.MonkeyPatch) -> set[str]:
    return reason_of(world.uncalibrated, name, _decision(world, name))


def _full_house(world: World, name: str, _: pytest.MonkeyPatch) -> set[str]:
    with ExitStack() as places:
        while world.server.streams.open < world.server.streams._most:
            places.enter_context(world.server.streams.place())
        return reason_of(world.channel, name, world.request(name))


def _too_late(world: World, name: str, patched: pytest.MonkeyPatch) -> set[str]:
    """By the server's clock; with the caller's own there would be nobody to read the reason."""
    request = world.request(name)
    patched.setattr("mien.server.calls.admission.deadline_of", lambda _: Deadline(at=0.0))
    return reason_of(world.channel, name, request)


def _unforeseen(world: World, name: str, patched: pytest.MonkeyPatch) -> set[str]:
    def fail(_: object) -> None:
        raise ZeroDivisionError("secret")

    request = world.request(name)
    patched.setattr("mien.server.calls.admission.deadline_of", fail)
    return reason_of(world.channel, name, request)


def _broken_store(code: int) -> Callable[[World, str, pytest.MonkeyPatch], set[str]]:
    """As SQLite says it when the next transaction begins."""

    def reasons(world: World, name: str, patched: pytest.MonkeyPatch) -> set[str]:
        @contextmanager
        def transaction(self: Journal, keep: bool = True) -> Iterator[sqlite3.Connection]:
            with translated(self._path):
                error = sqlite3.OperationalError("as it happens")
                error.sqlite_errorcode = code
                raise error
            yield self.connection

        request = world.request(name)
        patched.setattr(Journal, "transaction", transaction)
        return reason_of(world.channel, name, request)

    return reasons


BY_FAULT: dict[str, Callable[[World, str, pytest.MonkeyPatch], set[str]]] = {
    "INVALID_REQUEST": _bytes,
    "NOT_CALIBRATED": _without_calibration,
    "TOO_MANY_STREAMS": _full_house,
    "DEADLINE_EXCEEDED": _too_late,
    "INTERNAL": _unforeseen,
    "STORAGE_FULL": _broken_store(sqlite3.SQLITE_FULL),
    "STORE_INVALID": _broken_store(sqlite3.SQLITE_CORRUPT),
    "DATA_DIRECTORY_LOCKED": _broken_store(sqlite3.SQLITE_BUSY),
}
APART = {"QUEUE_FULL"}
"""Of a server that is busy: below."""


def test_every_reason_of_the_table_has_a_case() -> None:
    wanted = {reason for _, reason in REFUSALS}
    assert wanted == set(BY_REQUEST) | set(BY_FAULT) | APART


@pytest.mark.parametrize(
    ("name", "reason"),
    [pytest.param(*each, id="-".join(each)) for each in REFUSALS if each[1] not in APART],
)
def test_it_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    if reason in BY_REQUEST:
        found = reason_of(world.channel, name, BY_REQUEST[reason](world, name))
    else:
        found = BY_FAULT[reason](world, name, monkeypatch)
    assert found == {reason}


def test_a_busy_server_refuses_each_single_call(bundle: Bundle, tmp_path: Path) -> None:
    listed = {name for name, reason in REFUSALS if reason == "QUEUE_FULL"}
    assert listed == set(NAMES) - ALL_STREAMS
    with gated(bundle, tmp_path / "data", calls=1) as one, Client(one.address) as client:
        one.gate.open.set()
        put_people(client)
        requests = {name: sound(client, b"", name) for name in listed}
        one.gate.open.clear()
        begun = len(one.gate.runs)
        waiting = one.callers.submit(client.embed, [encoded(1, 0)])
        wait(lambda: len(one.gate.runs) > begun)
        with grpc.insecure_channel(one.address) as channel:
            for name, request in requests.items():
                assert reason_of(channel, name, request) == {"QUEUE_FULL"}, name
        one.gate.open.set()
        assert waiting.result().items[0].HasField("ok")
