"""What is seen of a server: metrics, logs, the audit, health. None of it tells a secret."""

import io
import json
import logging
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from mien import errors, stages
from mien.client import Client, enrolment, search
from mien.gallery.galleries import Galleries
from mien.matching.decision import RawThreshold, TargetFMR
from mien.model.bundle import Bundle
from mien.server import logs, metrics
from mien.server.access import TABLE
from mien.server.audit import Audit
from mien.server.call import Call
from mien.server.keys import Role, create
from mien.server.logs import JsonFormatter, log_to, without_secrets
from mien.server.readiness import LIVE
from mien.server.server import SERVICES, Server
from mien.server.settings import Settings
from mien.v1.probe_pb2 import SubjectRef
from tests.faces import encoded
from tests.processes import ServerProcess, executable
from tests.server.gated import wait

Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Watched:
    server: Server
    key: str
    audit: Path
    log: io.StringIO

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def client(self, key: str | None = None) -> Client:
        return Client(self.address, api_key=key or self.key)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]

    def numbers(self) -> Numbers:
        """Every sample that Prometheus would get, by name and labels."""
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.server.metrics_port}/metrics", timeout=10
        ) as page:
            families = text_string_to_metric_families(page.read().decode())
            return {
                (each.name, frozenset(each.labels.items())): each.value
                for family in families
                for each in family.samples
            }


@pytest.fixture
def watched(bundle: Bundle, tmp_path: Path) -> Iterator[Watched]:
    file, log = tmp_path / "keys.json", io.StringIO()
    _, key = create(file, frozenset(Role))
    settings = Settings(
        bundle.folder,
        tmp_path / "data",
        port=0,
        keys=file,
        audit=tmp_path / "log" / "audit.jsonl",
        metrics_address="127.0.0.1:0",
        reflection=True,
    )
    logger = logging.getLogger("mien")
    level = logger.level
    handler = log_to(log, "debug")
    assert settings.audit
    with Server(settings) as server:
        yield Watched(server, key, settings.audit, log)
    logging.getLogger().removeHandler(handler)
    logger.setLevel(level)


def number(numbers: Numbers, name: str, **labels: str) -> float:
    return numbers.get((name, frozenset(labels.items())), 0.0)


def exercised(watched: Watched) -> None:
    """A little of everything, with refusals."""
    with watched.client() as client:
        client.create_gallery("staff")
        client.enroll("staff", "ann", encoded(1, 0))
        client.embed([encoded(1, 0), b"none"])
        client.verify(encoded(1, 0), encoded(1, 1), TargetFMR(0.05))
        client.verify(SubjectRef(gallery_id="staff", subject_id="ann"), encoded(2, 0))
        client.identify("staff", encoded(1, 1), RawThreshold(-1))
        client.identify("staff", encoded(1, 1), RawThreshold(1))
        asked = [(str(n), search("staff", encoded(n, 0), RawThreshold(0.9))) for n in (1, 2)]
        list(client.identify_stream([*asked, ("x", search("nobody", b"", RawThreshold(0)))]))
        samples = [enrolment("staff", "ben", encoded(2, shot)) for shot in range(3)]
        list(client.enroll_batch([*samples, enrolment("staff", "ben", b"none")]))
        with pytest.raises(errors.SubjectNotFound):
            client.delete_subject("staff", "carl")
        client.delete_subject("staff", "ann")
    with watched.client("mien_000000000000_x") as client, pytest.raises(errors.Unauthenticated):
        client.identify("staff", encoded(1, 1))


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
        monkeypatch.setattr("mien.server.audit.MOST_COUNTED", 2)
        monkeypatch.setattr("mien.server.audit.SYNC_SECONDS", 0.01)
        path = tmp_path / "audit.jsonl"
        audit = Audit(path)
        for number in range(10):
            call = Call("m", f"r-{number}", "p", who=f"key:{min(number, 5) % 4}")
            audit.count(call, "refused", {"reasons": ["RATE_LIMITED"]})
        assert not path.read_text(), "a minute has not passed"
        monkeypatch.setattr("mien.server.audit.COUNT_SECONDS", 0.0)
        wait(lambda: len(path.read_text().splitlines()) == 3)
        monkeypatch.setattr("mien.server.audit.COUNT_SECONDS", 1e9)
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
        monkeypatch.setattr("mien.server.audit.os.write", lambda *_: 0)
        audit.close()
        assert "the audit lacks that 1 calls were refused" in caplog.text

    def test_it_is_on_the_disk_soon(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced = threading.Event()
        monkeypatch.setattr("mien.server.audit.SYNC_SECONDS", 0.01)
        monkeypatch.setattr("mien.server.audit.os.fsync", lambda _: synced.set())
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
            monkeypatch.setattr("mien.server.audit.os.write", full)
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


class TestHealth:
    def test_it_is_live_before_it_is_ready_and_after(
        self, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from mien.server import server as module

        loading, go_on = threading.Event(), threading.Event()
        ports: list[int] = []

        def slow(path: Path) -> object:
            loading.set()
            assert go_on.wait(30)
            return Galleries(path)

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
