"""Processes that call a server as fast as it answers, or one after the other.

    python callers.py SEED PICTURES_A_CALL CALLERS SECONDS mien|identify|empty|http ADDRESS

Waits for a line on standard input before it begins, and prints one JSON array: of each call, when
it ended on the system's monotonic clock, and its seconds. A process of its own, so that callers do
not share the lock of the server's interpreter, nor gRPC's threads.
"""

import base64
import http.client
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
from pictures import jpegs

from mien.v1 import (
    decision_pb2,
    embedding_pb2,
    embedding_pb2_grpc,
    match_pb2,
    match_pb2_grpc,
    probe_pb2,
)
from mien.wire import MESSAGE_LIMITS

DIFFERENT = 64
"""Pictures that a process sends in turn."""


def main(numbers: list[int], seconds: float, what: str, address: str) -> None:
    seed, pictures, callers = numbers
    content = jpegs(max(DIFFERENT, pictures), seed)
    sets = [content[at : at + pictures] for at in range(0, len(content) - pictures + 1, pictures)]
    calls = [KINDS[what](address, sets) for _ in range(callers)]
    for call in calls:
        call(0)  # connected, and warm
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.monotonic() + seconds
    done: list[tuple[float, float]] = []
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(lambda call: _repeat(call, end, done), calls))  # raises what a call raised
    print(json.dumps(done))


def _repeat(call: Callable[[int], None], end: float, done: list[tuple[float, float]]) -> None:
    number = 0
    while (start := time.monotonic()) < end:
        call(number)
        now = time.monotonic()
        done.append((now, now - start))
        number += 1


def mien(address: str, sets: list[list[bytes]]) -> Callable[[int], None]:
    channel = grpc.insecure_channel(address, options=[*MESSAGE_LIMITS, *OWN_CONNECTION])
    stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
    requests = [
        embedding_pb2.EmbedRequest(images=[probe_pb2.Image(content=each) for each in some])
        for some in sets
    ]

    def call(number: int) -> None:
        response = stub.Embed(requests[number % len(requests)], timeout=60)
        assert all(item.HasField("ok") for item in response.items)

    return call


def identify(address: str, sets: list[list[bytes]]) -> Callable[[int], None]:
    """The first picture of a set in the gallery `people`."""
    channel = grpc.insecure_channel(address, options=[*MESSAGE_LIMITS, *OWN_CONNECTION])
    stub = match_pb2_grpc.MatchServiceStub(channel)
    policy = decision_pb2.DecisionPolicy(raw_threshold=0.9)
    requests = [
        match_pb2.IdentifyRequest(
            gallery_id="people",
            probe=probe_pb2.Probe(image=probe_pb2.Image(content=some[0])),
            decision=policy,
        )
        for some in sets
    ]

    def call(number: int) -> None:
        response = stub.Identify(requests[number % len(requests)], timeout=60)
        assert len(response.faces[0].candidates) == 5

    return call


def empty(address: str, _: list[list[bytes]]) -> Callable[[int], None]:
    """An empty handler with nothing to read or to do: what gRPC itself costs."""
    channel = grpc.insecure_channel(address, options=OWN_CONNECTION)
    method = channel.unary_unary("/empty/Empty")
    return lambda _: _nothing(method(b"", timeout=60))


def posted(address: str, sets: list[list[bytes]]) -> Callable[[int], None]:
    """JSON with base64 pictures, over a connection that is kept open."""
    host, port = address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    bodies = [json.dumps({"images": [base64.b64encode(x).decode() for x in some]}) for some in sets]

    def call(number: int) -> None:
        body, headers = bodies[number % len(bodies)], {"content-type": "application/json"}
        try:
            connection.request("POST", "/predict", body, headers)
            reply = connection.getresponse()
        except ConnectionError:  # uvicorn closes what was idle for 5 s while others got ready
            connection.close()
            connection.request("POST", "/predict", body, headers)
            reply = connection.getresponse()
        answer = json.loads(reply.read())
        assert reply.status == 200, answer
        assert len(answer["embeddings"]) == len(sets[0])

    return call


def _nothing(_: object) -> None:
    return None


OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
"""Callers are different people: none shares another's connection."""
KINDS = {"mien": mien, "identify": identify, "empty": empty, "http": posted}

if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:4]], float(sys.argv[4]), *sys.argv[5:])
