"""What no well-behaved client sends, and what the status of a refusal carries."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from mien.client import Client
from mien.errors import AddressInUse, DataDirectoryLocked, Internal, InvalidRequest, NotCalibrated
from mien.matching.decision import RawThreshold
from mien.model.bundle import Bundle
from mien.server.server import SERVICES, Server
from mien.server.settings import Settings
from mien.v1 import decision_pb2, embedding_pb2, gallery_pb2, match_pb2, model_pb2
from mien.v1.embedding_pb2_grpc import EmbeddingServiceStub
from mien.v1.gallery_pb2_grpc import GalleryServiceStub
from mien.v1.match_pb2_grpc import MatchServiceStub
from mien.v1.model_pb2_grpc import ModelServiceStub
from tests import bundles
from tests.faces import encoded
from tests.server.sent import refusal


def test_a_refusal_carries_code_reason_and_domain(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        GalleryServiceStub(channel).GetGallery(gallery_pb2.GetGalleryRequest(gallery_id="none"))
    assert refusal(caught.value) == (grpc.StatusCode.NOT_FOUND, "GALLERY_NOT_FOUND", "mien")


@pytest.mark.parametrize("method", ["Verify", "Identify", "EnrollSample"])
def test_empty_requests_are_refused(channel: grpc.Channel, client: Client, method: str) -> None:
    client.create_gallery("g")
    calls: dict[str, Callable[[], object]] = {
        "Verify": lambda: EmbeddingServiceStub(channel).Verify(embedding_pb2.VerifyRequest()),
        "Identify": lambda: MatchServiceStub(channel).Identify(
            match_pb2.IdentifyRequest(gallery_id="g")
        ),
        "EnrollSample": lambda: GalleryServiceStub(channel).EnrollSample(
            gallery_pb2.EnrollSampleRequest(gallery_id="g", subject_id="s")
        ),
    }
    with pytest.raises(grpc.RpcError) as caught:
        calls[method]()
    assert refusal(caught.value)[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


def test_verify_takes_no_fpir(channel: grpc.Channel) -> None:
    request = embedding_pb2.VerifyRequest(decision=decision_pb2.DecisionPolicy(target_fpir=0.1))
    with pytest.raises(grpc.RpcError, match="target_fpir is for Identify"):
        EmbeddingServiceStub(channel).Verify(request)


def test_another_model_is_not_found(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ModelServiceStub(channel).GetModel(model_pb2.GetModelRequest(model_id="other"))
    assert refusal(caught.value)[:2] == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")


@pytest.mark.parametrize("token", ["%%%", "ü", "AAA", "/w=="])
def test_a_token_that_no_page_came_with_is_refused(client: Client, token: str) -> None:
    stub = GalleryServiceStub(client._channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.ListGalleries(gallery_pb2.ListGalleriesRequest(page_token=token))
    assert refusal(caught.value)[1] == "INVALID_REQUEST"
    with pytest.raises(InvalidRequest, match="1001 is more than 1000"):
        list(client.galleries(page_size=1001))


def test_bytes_that_are_no_message_leave_the_server_serving(
    channel: grpc.Channel, client: Client
) -> None:
    raw: Any = channel.unary_unary("/mien.v1.EmbeddingService/Verify")
    for rubbish in (b"\xff" * 50, b"\x0a\xff\xff\xff\xff\x0f"):
        with pytest.raises(grpc.RpcError):
            raw(rubbish, timeout=10)
    assert client.is_serving()


def test_a_message_over_16_mebibytes_is_refused(channel: grpc.Channel) -> None:
    raw: Any = channel.unary_unary("/mien.v1.EmbeddingService/Embed")
    with pytest.raises(grpc.RpcError) as caught:
        raw(b"\0" * (17 * 2**20), timeout=10)
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_unforeseen_failure_tells_the_caller_nothing_and_the_log_everything(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("mien.server.servicers.model.messages.write_model", fail)
    with caplog.at_level(logging.ERROR), pytest.raises(Internal) as caught:
        client.model()
    assert "secret" not in str(caught.value)
    assert "ZeroDivisionError: secret" in caplog.text


def test_every_service_is_healthy(client: Client) -> None:
    assert all(client.is_serving(service) for service in ("", *SERVICES))


def test_a_port_in_use_is_refused(server: Server, bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(AddressInUse, match=f"127.0.0.1:{server.port}: it is in use"):
        Server(Settings(bundle.folder, tmp_path / "other", port=server.port))


def test_a_data_directory_in_use_is_refused(server: Server, bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryLocked):
        Server(Settings(bundle.folder, tmp_path / "data", port=0))


def test_without_a_calibration_only_a_raw_threshold_decides(tmp_path: Path) -> None:
    folder = bundles.uncalibrated(tmp_path / "bundle").folder
    with Server(Settings(folder, tmp_path / "data", port=0)) as server:  # noqa: SIM117
        with Client(f"127.0.0.1:{server.port}") as client:
            with pytest.raises(NotCalibrated):
                client.verify(encoded(1, 0), encoded(1, 1))
            response = client.verify(encoded(1, 0), encoded(1, 1), RawThreshold(0.1))
            assert not response.applied.HasField("fmr")
            present = {field.name for field, _ in response.applied.ListFields()}
            assert present == {"threshold", "n"}
            assert {field.name for field, _ in response.score.ListFields()} == {"similarity"}
            assert not client.model().HasField("smallest_supported_fmr")
            assert not client.model().HasField("calibration_identities")
            assert client.model().fusion == "max"
