"""Mixed load for a while, and whether memory grows: `python -m tests.server.soak`; `make soak`.

Callers embed, verify, identify, enrol, delete, list, export, stream and vanish, on loopback, for so
many seconds and no longer. Every answer is one that was to be expected. The last line is JSON.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median

import grpc

from mien.client import Client, enrolment, search
from mien.errors import GalleryNotFound, MienError, SubjectNotFound
from mien.maintenance import Maintenance
from mien.matching.decision import RawThreshold
from mien.v1.gallery_pb2 import DUPLICATE_POLICY_SKIP_IDENTICAL as SKIP
from mien.v1.gallery_pb2 import EnrollSampleRequest
from mien.v1.probe_pb2 import SubjectRef
from tests import bundles, processes
from tests.faces import encoded
from tests.server.frames import begun, connect
from tests.server.fuzz import look_at, rss

SECONDS = 900.0
CALLERS = 3
SUBJECTS, SHOTS = 60, 5
"""Of one gallery, at most: what is enrolled anew was deleted before, so that it does not grow."""
SAMPLE_SECONDS = 2.0
WARM = 0.2
"""Share of the time after which memory is looked at."""
GROWTH = 0.05
"""Of memory that is too much."""
PAUSE_SECONDS = 0.002
"""Between two operations of a caller: others use the machine, too."""
GALLERY = "soak"


@dataclass
class Findings:
    """What was done, and how much memory the server had meanwhile."""

    seconds: float
    operations: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    rss: list[int] = field(default_factory=list)
    """MiB, each SAMPLE_SECONDS."""

    @property
    def growth(self) -> float:
        """The median of the last third over that of the first third after the warm-up."""
        warm = self.rss[round(WARM * len(self.rss)) :]
        some = max(1, len(warm) // 3)
        return median(warm[-some:]) / median(warm[:some]) - 1

    def as_json(self) -> str:
        return json.dumps(
            {
                "seconds": self.seconds,
                "operations": self.operations.total(),
                "each": dict(self.operations.most_common()),
                "rss_mib": self.rss[:: max(1, len(self.rss) // 20)],
                "growth": round(self.growth, 4),
                "wrong": self.wrong,
            }
        )


class Caller:
    """One of those who call, until `end`."""

    def __init__(self, address: str, seed: int, end: float, findings: Findings) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - no secret
        self._address, self._end, self._findings = address, end, findings
        self._operations = {
            self.embed: 5,
            self.verify: 5,
            self.identify: 5,
            self.enrol: 6,
            self.delete: 3,
            self.look: 2,
            self.export: 1,
            self.stream: 1,
            self.batch: 1,
            self.vanish: 1,
            self.stall: 1,
        }

    def run(self) -> None:
        names, weights = list(self._operations), list(self._operations.values())
        with Client(self._address) as self._client:
            while time.monotonic() < self._end:
                (operation,) = self._dice.choices(names, weights)
                try:
                    operation()
                    self._findings.operations[operation.__name__] += 1
                except (SubjectNotFound, GalleryNotFound):
                    self._findings.operations["not there"] += 1  # another caller deleted it
                except MienError as error:
                    self._findings.wrong.append(f"{operation.__name__}: {error!r}")
                time.sleep(PAUSE_SECONDS)

    def _subject(self) -> int:
        return self._dice.randrange(SUBJECTS)

    def _picture(self) -> bytes:
        return encoded(self._subject(), self._dice.randrange(SHOTS))

    def embed(self) -> None:
        for item in self._client.embed([self._picture(), b"no picture"]).items[:1]:
            assert item.HasField("ok")

    def verify(self) -> None:
        one = self._subject()
        subject = SubjectRef(gallery_id=GALLERY, subject_id=f"p-{one}")
        self._client.verify(subject, encoded(one, 0), RawThreshold(0.5), explain=True)

    def identify(self) -> None:
        self._client.identify(GALLERY, self._picture(), RawThreshold(0.5), explain=True)

    def enrol(self) -> None:
        one, shot = self._subject(), self._dice.randrange(SHOTS)
        self._client.enroll(
            GALLERY, f"p-{one}", encoded(one, shot), labels={"shot": str(shot)}, duplicates=SKIP
        )

    def delete(self) -> None:
        self._client.delete_subject(GALLERY, f"p-{self._subject()}", allow_missing=True)

    def look(self) -> None:
        for _ in islice(self._client.subjects(GALLERY, page_size=20), 40):
            pass
        list(self._client.galleries())
        self._client.get_subject(GALLERY, f"p-{self._subject()}")

    def export(self) -> None:
        self._client.export_subject(GALLERY, f"p-{self._subject()}", include_embeddings=True)
        Maintenance(self._client).stats(GALLERY)

    def stream(self) -> None:
        pictures = [(str(number), self._picture()) for number in range(20)]
        assert len(list(self._client.embed_stream(pictures))) == 20
        searches = [(tag, search(GALLERY, picture)) for tag, picture in pictures[:5]]
        assert len(list(self._client.identify_stream(searches))) == 5

    def batch(self) -> None:
        assert len(list(self._client.enroll_batch(self._samples()))) == 20

    def _samples(self) -> Iterator[EnrollSampleRequest]:
        for _ in range(20):
            one, shot = self._subject(), self._dice.randrange(SHOTS)
            yield enrolment(GALLERY, f"p-{one}", encoded(one, shot), duplicates=SKIP)

    def vanish(self) -> None:
        """In the middle of a stream, with answers under way."""
        with Client(self._address) as other:
            answers = other.embed_stream((str(n), self._picture()) for n in range(50))
            next(answers)
        with suppress(MienError, ValueError, grpc.RpcError):
            list(answers)

    def stall(self) -> None:
        """In the middle of a request, without a word."""
        connect(self._address, begun(b"/mien.v1.EmbeddingService/Embed")).close()


def soak(seconds: float, seed: int, folder: Path) -> Findings:
    """Start a server, load it, and look at it afterwards. Raises AssertionError if it is not well.

    The server is stopped under what load there is, and must leave nothing undone.
    """
    bundle, log = bundles.calibrated(folder / "bundle").folder, folder / "log"
    findings = Findings(seconds)
    with (
        log.open("w") as errors,
        processes.serving(bundle, folder / "data", log=errors) as server,
        Client(server.address) as client,
    ):
        client.create_gallery(GALLERY)
        end = time.monotonic() + seconds
        callers = [Caller(server.address, seed + n, end, findings) for n in range(CALLERS)]
        threads = [threading.Thread(target=each.run) for each in callers]
        for each in threads:
            each.start()
        while time.monotonic() < end:
            time.sleep(min(SAMPLE_SECONDS, max(0.0, end - time.monotonic())))
            findings.rss.append(rss(server.process.pid))
        for each in threads:
            each.join()
        try:
            look_at(client)
        except MienError as error:  # what was found before is not lost for it
            findings.wrong.append(f"afterwards: {error!r}")
        assert server.terminate()[0] == 0
    findings.wrong += [line for line in log.read_text().splitlines() if "error" in line]
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        findings = soak(told.seconds, told.seed, Path(folder))
    sys.stdout.write(findings.as_json() + "\n")
    return 1 if findings.wrong or findings.growth > GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
