"""What is seen of a server: metrics, logs, the audit, health. None of it tells a secret."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from mien import errors, stages
from mien.client import Client, search
from mien.gallery.galleries import Galleries
from mien.matching.decision import RawThreshold
from mien.model.bundle import Bundle
from mien.server.access.table import TABLE
from mien.server.observing import metrics
from mien.server.readiness import LIVE
from mien.server.server import SERVICES, Server
from mien.server.settings import Settings
from tests.faces import encoded
from tests.processes import ServerProcess, executable
from tests.server.watched import Watched, exercised, number


class TestMetrics:
    def test_calls_refusals_stages_batches_and_galleries_are_counted(
        self, watched: Watched
    ) -> None:
        exercised(watched)
        numbers = watched.numbers()
        identify, verify = "/mien.v1.MatchService/Identify", "/mien.v1.EmbeddingService/Verify"
        assert number(numbers, "mien_calls_total", method=verify, code="OK") == 2
        assert number(numbers, "mien_calls_total", method=identify, code="OK") == 2
        refused = {"method": identify, "code": "UNAUTHENTICATED"}
        assert number(numbers, "mien_calls_total", **refused) == 1
        assert number(numbers, "mien_refusals_total", reason="UNAUTHENTICATED") == 1
        assert number(numbers, "mien_refusals_total", reason="SUBJECT_NOT_FOUND") == 1
        assert number(numbers, "mien_call_seconds_count", method=identify) == 3
        for stage in ("wait", "decode", "embed", "network", "search", "enroll"):
            assert number(numbers, "mien_stage_seconds_count", stage=stage) > 0, stage
        assert number(numbers, "mien_batch_size_count") > 0
        assert number(numbers, "mien_crops_total", what="embedded") >= 8
        assert number(numbers, "mien_queue") == 0
        assert number(numbers, "mien_calls_open") == 0
        assert number(numbers, "mien_gallery_subjects", gallery="staff") == 1
        assert number(numbers, "mien_gallery_samples", gallery="staff") == 3

    def test_labels_are_bounded(self, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(metrics, "MOST_GALLERIES", 3)
        monkeypatch.setattr(metrics, "PAGE", 2)
        with watched.client() as client:
            for gallery in range(7):
                client.create_gallery(f"g{gallery}")
                client.enroll(f"g{gallery}", "ann", encoded(1, 0))
        with grpc.insecure_channel(watched.address) as channel:
            for path in ("/mien.v1.MatchService/MadeUp", "/made.up/Call"):
                made_up: Any = channel.unary_unary(path)
                with pytest.raises(grpc.RpcError):
                    made_up(b"")
        numbers = watched.numbers()
        labels = [dict(labels) for _, labels in numbers]
        galleries = {each["gallery"] for each in labels if "gallery" in each}
        assert galleries == {"g0", "g1", "g2", metrics.OTHERS}
        assert number(numbers, "mien_gallery_samples", gallery=metrics.OTHERS) == 4
        assert {each["method"] for each in labels if "method" in each} <= set(TABLE)

    def test_who_asks_for_metrics_and_sends_nothing_is_cut_off(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(metrics, "READER_SECONDS", 0.2)
        port = metrics.MetricsPort("127.0.0.1:0", metrics.Metrics())
        try:
            with socket.create_connection(("127.0.0.1", port.port), 10) as silent:
                silent.sendall(b"GET /metrics HTTP/1.1\r\n")
                assert silent.recv(1) == b""
        finally:
            port.close()

    def test_a_port_in_use_is_refused_and_nothing_is_left(
        self, watched: Watched, bundle: Bundle, tmp_path: Path
    ) -> None:
        settings = Settings(
            bundle.folder,
            tmp_path / "other",
            port=0,
            metrics_address=f"127.0.0.1:{watched.server.metrics_port}",
        )
        before = threading.active_count()
        with pytest.raises(errors.AddressInUse, match="cannot offer metrics"):
            Server(settings)
        Server(Settings(bundle.folder, tmp_path / "other", port=0)).stop()
        assert threading.active_count() <= before + 1

    def test_who_listens_to_stages_is_told_until_he_says_no_more(self) -> None:
        heard: list[str] = []

        def listener(stage: str, seconds: float) -> None:
            assert seconds >= 0
            heard.append(stage)

        stages.listen(listener)
        with stages.timed("decode"):
            pass
        with pytest.raises(ZeroDivisionError), stages.timed("search"):
            raise ZeroDivisionError
        stages.ignore(listener)
        with stages.timed("decode"):
            pass
        assert heard == ["decode", "search"]


class TestRequestId:
    def sent(self, watched: Watched, path: str, given: str | None, key: str) -> str:
        """What the trailing metadata says."""
        metadata = [("authorization", f"Bearer {key}")]
        metadata += [("x-request-id", given)] if given is not None else []
        with grpc.insecure_channel(watched.address) as channel:
            call: Any = channel.unary_unary(path)
            try:
                _, answered = call.with_call(b"", metadata=metadata)
            except grpc.RpcError as error:
                answered = error
            return str(dict(answered.trailing_metadata())["x-request-id"])

    def test_a_sane_one_comes_back_and_others_are_replaced(self, watched: Watched) -> None:
        path = "/mien.v1.ModelService/GetModel"
        assert self.sent(watched, path, "order-66/a", watched.key) == "order-66/a"
        for odd in (None, "", "a b", "x" * 129, '{"a":1}', "-x"):
            made = self.sent(watched, path, odd, watched.key)
            assert len(made) == 32
            assert made != odd
        assert self.sent(watched, path, None, watched.key) != made

    def test_refusals_and_streams_carry_it_too(self, watched: Watched) -> None:
        path = "/mien.v1.GalleryService/GetGallery"
        assert self.sent(watched, path, "refused-1", watched.key) == "refused-1"
        assert self.sent(watched, path, "refused-2", "none") == "refused-2"
        with grpc.insecure_channel(watched.address) as channel:
            call: Any = channel.stream_stream("/mien.v1.EmbeddingService/EmbedStream")
            metadata = [("authorization", f"Bearer {watched.key}"), ("x-request-id", "s-1")]
            answers = call(iter(()), metadata=metadata)
            assert list(answers) == []
            assert dict(answers.trailing_metadata())["x-request-id"] == "s-1"

    def test_the_log_and_the_audit_have_it(self, watched: Watched) -> None:
        self.sent(watched, "/mien.v1.MatchService/Identify", "find-me", watched.key)
        logged = [json.loads(line) for line in watched.log.getvalue().splitlines()]
        (line,) = [each for each in logged if each.get("request_id") == "find-me"]
        assert (line["code"], line["reason"]) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
        assert line["who"] == f"key:{watched.key.split('_')[1]}"
        assert line["seconds"] > 0
        assert [each["method"] for each in watched.lines() if each["request_id"] == "find-me"]


class TestHealth:
    def test_it_is_live_before_it_is_ready_and_after(
        self, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from mien.server import server as module

        loading, go_on = threading.Event(), threading.Event()
        ports: list[int] = []

        def slow(path: Path, cores: int) -> object:
            loading.set()
            assert go_on.wait(30)
            return Galleries(path, cores)

        def remember(self: Server, settings: Settings) -> int:
            ports.append(listen(self, settings))
            return ports[0]

        listen = module.Server._listen
        monkeypatch.setattr(module, "Galleries", slow)
        monkeypatch.setattr(module.Server, "_listen", remember)
        started: list[Server] = []
        settings = Settings(bundle.folder, tmp_path / "data", port=0)
        thread = threading.Thread(target=lambda: started.append(Server(settings)))
        thread.start()
        assert loading.wait(30)
        with Client(f"127.0.0.1:{ports[0]}", deadline=0.05) as client:
            client._deadline = 5
            assert client.is_serving(LIVE)
            assert not any(client.is_serving(service) for service in ("", *SERVICES))
            client._deadline = 0.05
            with pytest.raises((errors.ServerUnavailable, errors.DeadlineExceeded)):
                client.model()
            go_on.set()
            thread.join()
            client._deadline = 5
            assert all(client.is_serving(service) for service in ("", LIVE, *SERVICES))
            started[0]._readiness.draining()
            assert not any(client.is_serving(service) for service in ("", *SERVICES))
            assert client.is_serving(LIVE)
        started[0].stop()

    def test_what_was_accepted_is_finished_after_sigterm(
        self, bundle: Bundle, tmp_path: Path
    ) -> None:
        process = ServerProcess(
            executable("mien"), "serve", str(bundle.folder), "--data", str(tmp_path / "data"),
            "--address", "127.0.0.1:0", "--drain-seconds", "20", "--log-level", "info",
        )  # fmt: skip

        def asked() -> Iterator[Any]:
            yield "0", search("g", encoded(0, 0), RawThreshold(0))
            process.process.terminate()
            time.sleep(0.5)
            for n in range(1, 5):
                yield str(n), search("g", encoded(n, 0), RawThreshold(0))

        with Client(process.address) as client:
            client.create_gallery("g")
            ended = [each.WhichOneof("outcome") for each in client.identify_stream(asked())]
        _, logged = process.process.communicate(timeout=30)
        assert ended == ["response"] * 5
        assert process.process.returncode == 0
        lines = [json.loads(line) for line in logged.splitlines()]
        stream = [each for each in lines if each.get("method", "").endswith("/IdentifyStream")]
        assert [each["code"] for each in stream] == ["OK"]


class TestReflection:
    def names(self, address: str, key: str | None) -> set[str]:
        with grpc.insecure_channel(address) as channel:
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            asked = reflection_pb2.ServerReflectionRequest(list_services="")
            metadata = [("authorization", f"Bearer {key}")] if key else None
            answer = next(stub.ServerReflectionInfo(iter([asked]), metadata=metadata))
            return {each.name for each in answer.list_services_response.service}

    def test_it_tells_of_every_service_to_who_has_a_key(self, watched: Watched) -> None:
        assert self.names(watched.address, watched.key) >= set(SERVICES)
        with pytest.raises(grpc.RpcError) as caught:
            self.names(watched.address, None)
        assert isinstance(caught.value, grpc.Call)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED

    def test_it_is_off_unless_asked_for(self, bundle: Bundle, tmp_path: Path) -> None:
        with Server(Settings(bundle.folder, tmp_path / "data", port=0)) as server:
            with pytest.raises(grpc.RpcError) as caught:
                self.names(f"127.0.0.1:{server.port}", None)
            assert isinstance(caught.value, grpc.Call)
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


class TestLimits:
    def test_messages_and_pictures_are_as_large_as_the_settings_say(
        self, bundle: Bundle, tmp_path: Path
    ) -> None:
        settings = Settings(
            bundle.folder,
            tmp_path / "data",
            port=0,
            max_message_bytes=100_000,
            max_image_bytes=50_000,
            max_image_pixels=48 * 48 - 1,
        )
        with Server(settings) as server, Client(f"127.0.0.1:{server.port}") as client:
            with pytest.raises(errors.ImageTooLarge, match="48×48 pixels; at most 2,303"):
                client.verify(encoded(1, 0), encoded(1, 0))
            with pytest.raises(errors.ImageTooLarge, match="at most 50,000 are accepted"):
                client.verify(b"\0" * 60_000, encoded(1, 0))
            with pytest.raises(errors.ImageTooLarge, match="too large for one message"):
                client.verify(b"\0" * 120_000, encoded(1, 0))

    def test_who_pings_too_often_is_cut_off(self, watched: Watched) -> None:
        options = [
            ("grpc.keepalive_time_ms", 1_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
        states: list[grpc.ChannelConnectivity] = []
        with grpc.insecure_channel(watched.address, options) as channel:
            channel.subscribe(states.append, try_to_connect=True)
            end = time.monotonic() + 15
            while time.monotonic() < end and not _lost(states):
                time.sleep(0.1)
        assert _lost(states), states


def _lost(states: list[grpc.ChannelConnectivity]) -> bool:
    """It was ready, and is not any more."""
    ready = grpc.ChannelConnectivity.READY
    return ready in states and any(each != ready for each in states[states.index(ready) :])
