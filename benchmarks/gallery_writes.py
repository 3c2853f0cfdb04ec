"""Writing to a gallery: one enrolment against one fsync of the same disk, many at once, deletion.

Every enrolment is followed by two syncs of files in the same directory, after as many bytes as the
enrolment wrote, so that all see the same disk: an fsync of a file that they were appended to, as a
plain log would do, and an fdatasync of one that has had them before, the least that SQLite needs
where its log is written in place. Asserts nothing. Reads /proc, so it runs on Linux.

    python benchmarks/gallery_writes.py [DIRECTORY]
"""

import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import cpu

from mien.gallery.galleries import Galleries
from mien.gallery.records import Enrolment
from mien.matching.metrics import Vectors

DIM, MODEL = 128, "sha256:benchmark"
SINGLE, DELETED = 500, 100
BATCHES, BATCH = 20, 5_000
LARGEST = 4 * 2**20
"""Bytes of the file that is written in place; the enrolment that moves the log writes more."""


def main() -> None:
    where = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        result = measure(Path(folder))
    print(f"{cpu()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; D={DIM}")
    print(f"{result['bytes']:,.0f} bytes appended, fsync   p50 {result['fsync_ms']:8.2f} ms")
    print(f"the same in place, fdatasync p50 {result['in_place_ms']:8.2f} ms")
    print(f"one enrolment                p50 {result['enrol_ms']:8.2f} ms")
    print(f"of that the processor        p50 {result['enrol_cpu_ms']:8.2f} ms")
    print(f"enrolment / fsync                {result['ratio']:8.2f}")
    print(f"enrolment / fdatasync in place   {result['in_place_ratio']:8.2f}")
    print(f"batches of {BATCH:,}                 {result['vectors_per_second']:8,.0f} vectors/s")
    print(f"one deletion of {BATCHES * BATCH:,}       p50 {result['delete_ms']:8.2f} ms")
    machine = {"cpu": cpu(), "cores": os.cpu_count(), "load": os.getloadavg()[0], "dim": DIM}
    print(json.dumps({**machine, "batch": BATCH, **result}))


def measure(folder: Path) -> dict[str, float]:
    with Galleries(folder / "data") as galleries:
        galleries.create("single", MODEL, DIM)
        result = measure_single(galleries, folder)
        galleries.create("many", MODEL, DIM)
        result["vectors_per_second"] = measure_batches(galleries)
        result["delete_ms"] = measure_deletions(galleries)
        return result


def measure_single(galleries: Galleries, folder: Path) -> dict[str, float]:
    """In turns with syncs of as many bytes."""
    enrolments, processor, written = [], [], []
    appended, in_place = Appended(folder / "data"), InPlace(folder / "data")
    for item in items(SINGLE, seed=1):
        before, start = bytes_written(), time.process_time()
        asked = ("single", item.subject_id, item.vector, MODEL, item.content_sha256)
        enrolments.append(seconds(lambda: galleries.enroll(*asked)))  # noqa: B023 - called here
        processor.append(time.process_time() - start)
        written.append(min(bytes_written() - before, LARGEST))
        block = os.urandom(written[-1])
        appended.sync(block)
        in_place.sync(block)
    enrol_ms, fsync_ms = milliseconds(enrolments), milliseconds(appended.took)
    in_place_ms = milliseconds(in_place.took)
    return {
        "enrol_ms": enrol_ms,
        "enrol_cpu_ms": milliseconds(processor),
        "fsync_ms": fsync_ms,
        "ratio": enrol_ms / fsync_ms,
        "in_place_ms": in_place_ms,
        "in_place_ratio": enrol_ms / in_place_ms,
        "bytes": statistics.median(written),
    }


def bytes_written() -> int:
    """By this process, to any file, until now."""
    return int(Path("/proc/self/io").read_text().split("wchar: ")[1].split()[0])


class Appended:
    """A file that grows, and how long each growth took until it was on the disk."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "appended").open("wb", buffering=0)
        self.took: list[float] = []

    def sync(self, block: bytes) -> None:
        self.took.append(seconds(lambda: self._write(block)))

    def _write(self, block: bytes) -> None:
        self._file.write(block)
        os.fsync(self._file.fileno())


class InPlace:
    """A file that has its size, written from front to end and again, likewise."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "in-place").open("wb", buffering=0)
        self._file.write(bytes(LARGEST))
        os.fsync(self._file.fileno())
        self.took: list[float] = []

    def sync(self, block: bytes) -> None:
        if self._file.tell() + len(block) > LARGEST or not self.took:
            self._file.seek(0)
        self.took.append(seconds(lambda: self._write(block)))

    def _write(self, block: bytes) -> None:
        self._file.write(block)
        os.fdatasync(self._file.fileno())


def measure_batches(galleries: Galleries) -> float:
    """Vectors a second, each of a subject of its own, durable and searchable."""
    took = 0.0
    for turn in range(BATCHES):
        batch = items(BATCH, seed=100 + turn)
        took += seconds(lambda: galleries.enroll_many("many", batch, MODEL))  # noqa: B023
    return BATCHES * BATCH / took


def measure_deletions(galleries: Galleries) -> float:
    """Milliseconds until a subject is out of every answer and every file."""
    subjects = galleries.subjects("many", limit=DELETED)
    return milliseconds(
        [
            seconds(lambda: galleries.delete_subject("many", each.subject_id))  # noqa: B023
            for each in subjects
        ]
    )


def items(count: int, seed: int) -> list[Enrolment]:
    return [
        Enrolment(f"s{seed}-{number}", look, hashlib.sha256(look.tobytes()).hexdigest())
        for number, look in enumerate(looks(count, seed))
    ]


def looks(count: int, seed: int) -> Vectors:
    """Random unit vectors, float32 [count, DIM]."""
    raw = np.random.default_rng(seed).standard_normal((count, DIM), np.float32)
    unit: Vectors = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return unit


def seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def milliseconds(times: list[float]) -> float:
    return 1e3 * statistics.median(times)


if __name__ == "__main__":
    main()
