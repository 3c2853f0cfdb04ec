"""A server with all that tells of it: metrics, a log, an audit."""

import io
import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mien import errors
from mien.client import Client, enrolment, search
from mien.matching.decision import RawThreshold, TargetFMR
from mien.server.server import Server
from mien.v1.probe_pb2 import SubjectRef
from tests.faces import encoded

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
