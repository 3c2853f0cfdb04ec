"""Who may call what, on every call, over a real socket."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from mien import errors
from mien.client import Client
from mien.matching.decision import RawThreshold
from mien.model.bundle import Bundle
from mien.server.access import keyring, keys
from mien.server.access.keys import Role
from mien.server.access.table import TABLE, galleries_in
from mien.server.server import Server
from mien.server.settings import Settings
from mien.v1 import embedding_pb2, gallery_pb2, match_pb2
from mien.v1.probe_pb2 import Image, Probe, SubjectRef
from tests.faces import encoded
from tests.server.every_call import IDS, METHODS, make, path_of, refusal, request_of

UNAUTHENTICATED = (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
DENIED = (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
EVERY_ROLE = frozenset(Role)

every_call = pytest.mark.parametrize("method", METHODS, ids=IDS)


@dataclass
class Guarded:
    """A server that wants keys, with the galleries "mine" and "theirs"."""

    address: str
    file: Path
    root: str

    def key(self, *roles: Role, galleries: set[str] | None = None, days: float = 1) -> str:
        scope = None if galleries is None else frozenset(galleries)
        expires = datetime.now(UTC) + timedelta(days=days)
        _, text = keys.create(self.file, frozenset(roles), scope, expires)
        self.noticed()
        return text

    def noticed(self) -> None:
        """Wait until the server has read the file again."""
        time.sleep(1.1 * keyring.LOOK_SECONDS)

    def client(self, key: str | None) -> Client:
        return Client(self.address, api_key=key)


@pytest.fixture(scope="module")
def guarded(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    patched = pytest.MonkeyPatch()
    patched.setattr(keyring, "LOOK_SECONDS", 0.05)
    folder = tmp_path_factory.mktemp("guarded")
    file = folder / "keys.json"
    _, root = keys.create(file, EVERY_ROLE)
    settings = Settings(bundle.folder, folder / "data", port=0, keys=file, wrong_keys_per_minute=0)
    with Server(settings) as server:
        guarded = Guarded(f"127.0.0.1:{server.port}", file, root)
        with guarded.client(root) as client:
            for gallery in ("mine", "theirs"):
                client.create_gallery(gallery)
                client.enroll(gallery, "ann", encoded(1, 0))
        yield guarded
    patched.undo()


@pytest.fixture(scope="module")
def channel(guarded: Guarded) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(guarded.address) as connected:
        yield connected


@pytest.fixture(scope="module")
def outdated(guarded: Guarded) -> dict[str, str]:
    """Keys that are not accepted, each for its own reason, and why."""
    expired, revoked = guarded.key(*Role, days=-1), guarded.key(*Role)
    keys.revoke(guarded.file, revoked.split("_")[1])
    guarded.noticed()
    id_, secret = guarded.root.split("_", 2)[1:]
    return {
        "expired": expired,
        "revoked": revoked,
        "another's secret": f"mien_{id_}_{secret[:-2]}AA",
        "an id that never was": f"mien_{'0' * 12}_{secret}",
        "no key": "letmein",
        "no secret": f"mien_{id_}_",
        "no prefix": f"nein_{id_}_{secret}",
    }


def refused(
    channel: grpc.Channel, method: MethodDescriptor, key: str | None, gallery: str = "mine"
) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        make(channel, method, request_of(method, gallery), key=key)
    return refusal(caught.value)


def test_every_call_of_every_service_is_in_the_table() -> None:
    health = health_pb2.DESCRIPTOR.services_by_name.values()
    reflected = reflection_pb2.DESCRIPTOR.services_by_name.values()
    others = {path_of(m) for service in (*health, *reflected) for m in service.methods}
    assert set(TABLE) == {path_of(method) for method in METHODS} | others


def test_only_health_is_open() -> None:
    assert {path.split("/")[1] for path, access in TABLE.items() if not access.roles} == {
        "grpc.health.v1.Health"
    }


@every_call
def test_without_a_key_no_call_is_answered(channel: grpc.Channel, method: MethodDescriptor) -> None:
    assert refused(channel, method, None) == UNAUTHENTICATED


@every_call
def test_a_key_that_is_not_accepted_is_refused_in_the_same_words_whatever_is_wrong(
    channel: grpc.Channel, outdated: dict[str, str], method: MethodDescriptor
) -> None:
    messages: set[str | None] = set()
    for why, key in outdated.items():
        with pytest.raises(grpc.RpcError) as caught:
            make(channel, method, request_of(method, "mine"), key=key)
        assert refusal(caught.value) == UNAUTHENTICATED, why
        assert isinstance(caught.value, grpc.Call)
        messages.add(caught.value.details())
    assert len(messages) == 1


def code_of_call(channel: grpc.Channel, method: MethodDescriptor, key: str) -> grpc.StatusCode:
    """How a call ends that names a gallery which is not there."""
    try:
        make(channel, method, request_of(method, "no-such"), key=key)
    except grpc.RpcError as error:
        call: Any = error
        return call.code()  # type: ignore[no-any-return]
    return grpc.StatusCode.OK


@pytest.fixture(scope="module")
def by_role(guarded: Guarded) -> dict[Role, str]:
    return {role: guarded.key(role) for role in Role}


@every_call
def test_a_key_of_another_role_is_refused_and_of_the_right_one_is_not(
    channel: grpc.Channel, by_role: dict[Role, str], method: MethodDescriptor
) -> None:
    access = TABLE[path_of(method)]
    for role, key in by_role.items():
        if role not in access.roles:
            assert refused(channel, method, key) == DENIED, role
            continue
        assert code_of_call(channel, method, key) not in (DENIED[0], UNAUTHENTICATED[0]), role


@pytest.fixture(scope="module")
def scoped(guarded: Guarded) -> str:
    """A key of every role, for the gallery "mine"."""
    return guarded.key(*Role, galleries={"mine"})


@every_call
def test_a_key_for_some_galleries_reaches_no_other_and_none_over_all(
    channel: grpc.Channel, scoped: str, method: MethodDescriptor
) -> None:
    names = galleries_in(request_of(method, "theirs"))
    if names or TABLE[path_of(method)].over_all:
        assert refused(channel, method, scoped, "theirs") == DENIED
        assert refused(channel, method, scoped, "no-such") == DENIED
    else:
        assert method.name in {
            *("Embed", "EmbedStream", "GetModel", "GetCalibration", "ListGalleries")
        }


def test_a_gallery_is_found_however_deep_a_request_names_it() -> None:
    subject = Probe(subject=SubjectRef(gallery_id="b", subject_id="x"))
    request = match_pb2.IdentifyRequest(gallery_id="a", probe=subject)
    assert galleries_in(match_pb2.IdentifyStreamRequest(request=request)) == {"a", "b"}
    assert galleries_in(embedding_pb2.VerifyRequest(b=subject)) == {"b"}
    update = gallery_pb2.UpdateGalleryRequest(gallery=gallery_pb2.Gallery(gallery_id="c"))
    assert galleries_in(update) == {"c"}
    assert galleries_in(match_pb2.IdentifyRequest()) == set()


def test_requests_name_galleries_in_no_other_field() -> None:
    """Or the guard would not see them."""
    seen, left = set(), [method.input_type for method in METHODS]
    while left:
        kind = left.pop()
        if kind.full_name in seen:
            continue
        seen.add(kind.full_name)
        for field in kind.fields:
            if field.message_type:
                left.append(field.message_type)
            elif "gallery" in field.name:
                assert field.name == "gallery_id", f"{kind.full_name}.{field.name}"


class TestScope:
    def test_verify_with_somebody_of_another_gallery(self, guarded: Guarded, scoped: str) -> None:
        mine, theirs = (SubjectRef(gallery_id=g, subject_id="ann") for g in ("mine", "theirs"))
        with guarded.client(scoped) as client:
            assert client.verify(mine, encoded(1, 1), RawThreshold(-1)).match
            for other in (mine, encoded(1, 1)):
                with pytest.raises(errors.PermissionDenied, match="not for gallery 'theirs'"):
                    client.verify(other, theirs, RawThreshold(-1))
                with pytest.raises(errors.PermissionDenied, match="not for gallery 'theirs'"):
                    client.verify(theirs, other, RawThreshold(-1))

    def test_each_message_of_a_stream_is_looked_at(
        self, channel: grpc.Channel, scoped: str
    ) -> None:
        method = match_pb2.DESCRIPTOR.services_by_name["MatchService"].methods_by_name[
            "IdentifyStream"
        ]
        asked = [
            match_pb2.IdentifyStreamRequest(
                tag=gallery,
                request=match_pb2.IdentifyRequest(
                    gallery_id=gallery, probe=Probe(image=Image(content=encoded(1, 1)))
                ),
            )
            for gallery in ("mine", "theirs", "mine")
        ]
        for request in asked:
            request.request.decision.raw_threshold = 0
        assert len(make(channel, method, asked[0], key=scoped)) == 1
        with pytest.raises(grpc.RpcError) as caught:
            make(channel, method, *asked, key=scoped)
        assert refusal(caught.value) == DENIED

    def test_a_request_id_of_another_gallery_is_neither_told_nor_taken_away(
        self, guarded: Guarded, scoped: str
    ) -> None:
        theirs = guarded.key(*Role, galleries={"theirs"})
        with guarded.client(theirs) as other, guarded.client(scoped) as client:
            other.enroll("theirs", "bob", encoded(2, 0), request_id="r-1")
            mine = client.enroll("mine", "bob", encoded(2, 0), request_id="r-1")
            assert not mine.already_existed
            other.delete_subject("theirs", "bob")
            again = client.enroll("mine", "bob", encoded(2, 0), request_id="r-1")
            assert again.sample.sample_id == mine.sample.sample_id
            with pytest.raises(errors.RequestIdReused):
                other.enroll("theirs", "bob", encoded(2, 0), request_id="r-1")

    def test_the_list_shows_what_the_key_is_for(self, guarded: Guarded) -> None:
        with guarded.client(guarded.root) as client:
            assert [each.gallery_id for each in client.galleries()] == ["mine", "theirs"]
        key = guarded.key(Role.VERIFY, galleries={"theirs", "yet-to-be-made", "mine"})
        with guarded.client(key) as client:
            for size in (1, 2, 100):
                listed = [each.gallery_id for each in client.galleries(page_size=size)]
                assert listed == ["mine", "theirs"]
        with guarded.client(guarded.key(Role.VERIFY, galleries={"theirs"})) as client:
            assert [each.gallery_id for each in client.galleries(page_size=1)] == ["theirs"]

    def test_no_other_gallery_is_suggested(self, guarded: Guarded) -> None:
        key = guarded.key(*Role, galleries={"their"})
        with guarded.client(key) as client:
            with pytest.raises(errors.GalleryNotFound) as caught:
                client.get_gallery("their")
            assert "theirs" not in str(caught.value)
            with pytest.raises(errors.GalleryNotFound) as caught:
                client.identify("their", encoded(1, 1), RawThreshold(0))
            assert "theirs" not in str(caught.value)
        suggesting = pytest.raises(errors.GalleryNotFound, match="did you mean 'theirs'")
        with guarded.client(guarded.root) as client, suggesting:
            client.get_gallery("their")


class TestKeysOfARunningServer:
    def test_a_new_key_is_noticed_and_a_revoked_one(self, guarded: Guarded) -> None:
        key = guarded.key(Role.VERIFY)
        with guarded.client(key) as client:
            client.model()
            keys.revoke(guarded.file, key.split("_")[1])
            guarded.noticed()
            with pytest.raises(errors.Unauthenticated):
                client.model()

    def test_a_key_expires_while_it_is_used(self, guarded: Guarded) -> None:
        with guarded.client(guarded.key(Role.VERIFY, days=1 / 86400)) as client:
            client.model()
            time.sleep(1.1)
            with pytest.raises(errors.Unauthenticated):
                client.model()

    def test_a_damaged_file_lets_nobody_in_until_it_is_mended(self, guarded: Guarded) -> None:
        content = guarded.file.read_bytes()
        with guarded.client(guarded.root) as client:
            for damaged in (b"{", None):
                if damaged is None:
                    guarded.file.unlink()
                else:
                    guarded.file.write_bytes(damaged)
                guarded.noticed()
                with pytest.raises(errors.Unauthenticated):
                    client.model()
            guarded.file.write_bytes(content)
            guarded.file.chmod(0o600)
            guarded.noticed()
            client.model()

    def test_health_wants_no_key(self, guarded: Guarded) -> None:
        with guarded.client(None) as client:
            assert client.is_serving()

    def test_two_authorizations_are_none(self, guarded: Guarded, channel: grpc.Channel) -> None:
        call: Any = channel.unary_unary("/mien.v1.ModelService/GetModel")
        twice = [("authorization", f"Bearer {guarded.root}")] * 2
        with pytest.raises(grpc.RpcError) as caught:
            call(b"", metadata=twice)
        assert refusal(caught.value) == UNAUTHENTICATED
