"""Callers that are killed in the middle of a stream: processes of their own, and SIGKILL."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.client import Client
from mien.model.bundle import Bundle
from mien.server.server import Server
from mien.server.settings import Settings
from tests.faces import encoded
from tests.server.waiting import wait

STREAM = """
import sys
from mien.client import Client, enrolment, search
from mien.matching.decision import RawThreshold
from tests.faces import encoded

kind, address = sys.argv[1:]
numbers = range(1_000_000)
with Client(address) as client:
    answers = {
        "embed": lambda: client.embed_stream((str(n), encoded(n, 0)) for n in numbers),
        "identify": lambda: client.identify_stream(
            (str(n), search("g", encoded(n, 0), RawThreshold(0.5))) for n in numbers
        ),
        "enroll": lambda: client.enroll_batch(
            enrolment("g", f"p-{n}", encoded(n, 0)) for n in numbers
        ),
    }[kind]()
    for count, answer in enumerate(answers):
        sample = answer.response.sample.sample_id if kind == "enroll" else "-"
        print(count, sample, flush=True)
"""


@pytest.mark.parametrize("kind", ["embed", "identify", "enroll"])
def test_a_killed_caller_leaves_its_place_and_what_it_was_told(
    server: Server, client: Client, address: str, kind: str
) -> None:
    client.create_gallery("g")
    client.enroll("g", "somebody", encoded(10**6, 0))
    told = _told_until_killed(kind, address)
    wait(lambda: server.streams.open == 0)
    assert _settled(lambda: server.batcher.counts().waiting) == 0
    if kind == "enroll":
        for number, sample in told:
            held = client.get_subject("g", f"p-{number}").samples
            assert [each.sample_id for each in held] == [sample]
    assert len(list(client.embed_stream([("t", encoded(1, 0))]))) == 1


def test_a_connection_over_which_many_calls_were_given_up_is_as_good_as_new(
    bundle: Bundle, tmp_path: Path
) -> None:
    """Each was in the midst of its answers; of other calls on it, gRPC would have taken none."""
    settings = Settings(bundle.folder, tmp_path / "data", port=0, max_streams=5)
    with Server(settings) as server, Client(f"127.0.0.1:{server.port}") as client:
        for _ in range(60):
            pictures = ((str(n), encoded(n, 0)) for n in range(50))
            answers = client.embed_stream(pictures)
            next(answers)
            answers.close()  # type: ignore[attr-defined]  # it is a generator
            assert client.is_serving()


def _told_until_killed(kind: str, address: str) -> list[list[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", STREAM, kind, address],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as caller:
        assert caller.stdout
        told = [caller.stdout.readline() for _ in range(30)]
        caller.send_signal(signal.SIGKILL)
        told += [line for line in caller.stdout if line.endswith("\n")]
    return [line.split() for line in told]


def _settled(count: Callable[[], int]) -> int:
    """Once it is 0, or has had the time to be."""
    wait(lambda: count() == 0)
    return count()
