"""Malformed requests to a server of its own process: `python -m tests.server.fuzz`; `make fuzz`.

Every answer must be a success, or a status with a reason that is none of INTERNAL and UNKNOWN; the
server must live, its galleries be sound, and its memory stay as it is. The last line is JSON.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status

from mien.client import Client
from mien.errors import GalleryExists
from mien.maintenance import Maintenance
from tests import bundles, processes
from tests.faces import encoded
from tests.server.every_call import METHODS, path_of
from tests.server.frames import connect
from tests.server.hostile import Hostile
from tests.server.refusals import reasons_in

SOCKETS = 0.1
"""Share of requests that are bytes on a connection of their own."""
HUGE = 0.002
"""Share that is larger than a message may be."""
COMPRESSED = 0.1
ROUNDS = 25
WARM = 0.2
"""Share of the rounds after which memory is looked at first."""
HELD = 40
"""Connections that are kept half-open."""
TIMEOUT = 20.0
CALLERS = 3
GROWTH = 0.05
"""Of memory that is too much."""
OF_HEALTH: list[Any] = list(health_pb2.DESCRIPTOR.services_by_name["Health"].methods)
KINDS: list[MethodDescriptor] = [*METHODS, *OF_HEALTH]
BY_TRANSPORT = {
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"),
    (grpc.StatusCode.NOT_FOUND, ""),
}
"""What gRPC itself refuses, before there is a request, and the health protocol for a service that
there is not; they have no reasons."""


def rss(process: int) -> int:
    """MiB of memory that a process has."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4096 // 2**20


@dataclass
class Findings:
    """What became of the requests."""

    seed: int
    requests: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    rss: list[int] = field(default_factory=list)
    """MiB of the server, after each round."""
    seconds: float = 0.0

    @property
    def growth(self) -> float:
        """Of the last rounds over those after the warm-up: the medians of a third each."""
        warm = self.rss[round(WARM * len(self.rss)) :]
        some = max(1, len(warm) // 3)
        return median(warm[-some:]) / median(warm[:some]) - 1

    def as_json(self) -> str:
        fields = asdict(self) | {"outcomes": dict(self.outcomes.most_common())}
        return json.dumps(fields | {"growth": round(self.growth, 4)})


class Fuzzer:
    """Sends what `Hostile` draws, and judges what comes back."""

    def __init__(self, address: str, seed: int, findings: Findings) -> None:
        self._address, self._findings = address, findings
        with Client(address) as client:
            self._hostile = Hostile(seed, client.model().fingerprint)
        self._channels = [
            grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)])
            for _ in range(CALLERS)
        ]
        self._held: list[Any] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        for each in (*self._held, *self._channels):
            each.close()

    def run(self, requests: int) -> None:
        """So many, from several callers at once."""
        with ThreadPoolExecutor(CALLERS) as callers:
            for done in [callers.submit(self._one) for _ in range(requests)]:
                done.result()

    def _one(self) -> None:
        with self._lock:
            dice = self._hostile.dice
            kind, method, channel = dice.random(), dice.choice(KINDS), dice.choice(self._channels)
            self._findings.requests += 1
            count = dice.choice((1, 1, 2, 5)) if method.client_streaming else 1
            sent = [self._hostile.request(method) for _ in range(count)]
            frames = self._hostile.frames()
        if kind < SOCKETS:
            self._send_frames(frames)
        elif kind < SOCKETS + HUGE:
            self._call(channel, method, [bytes(17 * 2**20)], None)
        else:
            squeezed = kind < SOCKETS + HUGE + COMPRESSED
            self._call(channel, method, sent, grpc.Compression.Gzip if squeezed else None)

    def _send_frames(self, content: bytes) -> None:
        with suppress(OSError):  # the server may hang up while we send
            self._held.append(connect(self._address, content))
        self._note("bytes")
        with self._lock:
            oldest = self._held.pop(0) if len(self._held) > HELD else None
        if oldest:
            oldest.close()

    def _call(
        self, channel: grpc.Channel, method: MethodDescriptor, sent: list[bytes], squeeze: Any
    ) -> None:
        shape = [
            "stream" if many else "unary"
            for many in (method.client_streaming, method.server_streaming)
        ]
        call: Any = getattr(channel, "_".join(shape))(path_of(method))
        argument = iter(sent) if method.client_streaming else sent[0]
        try:
            answer = call(argument, timeout=TIMEOUT, compression=squeeze)
            answers = self._all(method, answer) if method.server_streaming else [answer]
        except grpc.RpcError as error:
            self._judge(method, error, sent)
            return
        self._note("OK")
        for each in answers:
            self._look_into(method, each, sent)

    def _all(self, method: MethodDescriptor, answer: Any) -> list[bytes]:
        if method.name != "Watch":
            return list(answer)
        first = next(answer)  # it would go on for ever
        answer.cancel()
        return [first]

    def _judge(self, method: MethodDescriptor, error: grpc.RpcError, sent: list[bytes]) -> None:
        call: Any = error
        code, details = call.code(), call.details() or ""
        info = error_details_pb2.ErrorInfo()
        status = rpc_status.from_call(call)
        named = bool(status and status.details and status.details[0].Unpack(info))
        ours = path_of(method).startswith("/mien.v1.") and code is grpc.StatusCode.NOT_FOUND
        transported = any(code is c and text in details for c, text in BY_TRANSPORT) and not ours
        self._note(f"{code.name} {info.reason}".strip())
        if not transported and (not named or code.name in ("INTERNAL", "UNKNOWN")):
            shown = [each[:200].hex() for each in sent]
            self._findings.wrong.append(f"{path_of(method)}: {code.name}: {details}: {shown}")

    def _look_into(self, method: MethodDescriptor, answer: bytes, sent: list[bytes]) -> None:
        """Of items that were refused, for what reasons."""
        for reason in reasons_in(GetMessageClass(method.output_type).FromString(answer)):
            self._note(f"item {reason}")
            if reason == "INTERNAL":
                shown = [each[:200].hex() for each in sent]
                self._findings.wrong.append(f"{path_of(method)}: an item: {shown}")

    def _note(self, outcome: str) -> None:
        with self._lock:
            self._findings.outcomes[outcome] += 1


def fuzz(requests: int, seed: int, folder: Path) -> Findings:
    """Start a server, send, and look at it afterwards. Raises AssertionError if it is not well."""
    bundle, log = bundles.calibrated(folder / "bundle").folder, folder / "log"
    findings, began = Findings(seed), time.monotonic()
    with (
        log.open("w") as errors,
        processes.serving(bundle, folder / "data", log=errors) as server,
        Client(server.address) as client,
    ):
        fuzzer = Fuzzer(server.address, seed, findings)
        for _ in range(ROUNDS):
            people(client)
            fuzzer.run(requests // ROUNDS)
            findings.rss.append(rss(server.process.pid))
        fuzzer.close()
        assert server.process.poll() is None, "the server is gone"
        look_at(client)
        assert server.terminate()[0] == 0
    findings.seconds = round(time.monotonic() - began, 1)
    lines = log.read_text().splitlines()
    findings.wrong += [line for line in lines if '"level": "error"' in line or "Trace" in line]
    return findings


def people(client: Client) -> None:
    """Bring back whom a request deleted: what is about nobody tests little."""
    with suppress(GalleryExists):
        client.create_gallery("people")
    for person in range(5):
        client.enroll("people", f"person-{person}", encoded(person, 0))


def look_at(client: Client) -> None:
    """It answers, and says of no gallery that anything is wrong with it."""
    assert client.is_serving()
    assert client.embed([encoded(1, 0)]).items[0].HasField("ok")
    for gallery in client.galleries():
        found = Maintenance(client).check(gallery.gallery_id, check_only=True)
        assert not found.findings, found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        findings = fuzz(told.requests, told.seed, Path(folder))
    sys.stdout.write(findings.as_json() + "\n")
    return 1 if findings.wrong or findings.growth > GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
