"""Writing to a gallery: one enrolment against one fsync of the same disk, many at once, deletion.

Every enrolment is followed by an fsync of a file in the same directory, to which as many bytes were
appended as the enrolment put into the database's log, so that both see the same disk. Asserts
nothing. Reads /proc, so it runs on Linux.

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


def main() -> None:
    where = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        result = measure(Path(folder))
    print(f"{cpu()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; D={DIM}")
    print(f"one fsync after {result['bytes']:,.0f} bytes  p50 {result['fsync_ms']:8.2f} ms")
    print(f"one enrolment                p50 {result['enrol_ms']:8.2f} ms")
    print(f"of that the processor        p50 {result['enrol_cpu_ms']:8.2f} ms")
    print(f"enrolment / fsync                {result['ratio']:8.2f}")
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
    """In turns with an fsync of as many bytes."""
    log = folder / "data" / "mien.sqlite3-wal"
    enrolments, processor, fsyncs, written = [], [], [], []
    descriptor = os.open(folder / "data" / "appended", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for item in items(SINGLE, seed=1):
        before, start = log.stat().st_size, time.process_time()
        asked = ("single", item.subject_id, item.vector, MODEL, item.content_sha256)
        enrolments.append(seconds(lambda: galleries.enroll(*asked)))  # noqa: B023 - called here
        processor.append(time.process_time() - start)
        grown = log.stat().st_size - before
        if grown <= 0:  # the log was cut, and its pages moved: what comes after 4 MB
            continue
        written.append(grown)
        block = os.urandom(grown)
        fsyncs.append(seconds(lambda: append(descriptor, block)))  # noqa: B023 - called here
    os.close(descriptor)
    enrol_ms, fsync_ms = milliseconds(enrolments), milliseconds(fsyncs)
    return {
        "enrol_ms": enrol_ms,
        "enrol_cpu_ms": milliseconds(processor),
        "fsync_ms": fsync_ms,
        "ratio": enrol_ms / fsync_ms,
        "bytes": statistics.median(written),
    }


def append(descriptor: int, block: bytes) -> None:
    os.write(descriptor, block)
    os.fsync(descriptor)


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
