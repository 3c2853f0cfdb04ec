"""EnrollBatch against the store alone: a server and its caller in processes of their own.

Vectors of one dimension, each of another subject, in turns: by the stream, with a look for others
and without, and straight into a store, in groups of as many as the stream commits at once. Asserts
nothing. Reads /proc, so it runs on Linux.

    python benchmarks/enroll_batch.py [SAMPLES]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import grpc
import numpy as np
from machine import cpu, spent
from untrained import bundle as untrained

from mien.gallery.galleries import Galleries
from mien.gallery.records import Enrolment
from mien.matching.calibration import calibrate
from mien.matching.metrics import Vectors
from mien.model.bundle import Bundle
from mien.model.sealing import calibrate as calibrated
from mien.server.enrolling.stream import GROUP
from mien.v1 import gallery_pb2, gallery_pb2_grpc, probe_pb2

SAMPLES, ROUNDS = 5_000, 3
PEOPLE, SHOTS, NOISE = 100, 4, 0.7
"""Whom the bundle is calibrated on."""
POLICIES = {
    "stream": gallery_pb2.DUPLICATE_POLICY_SKIP_IDENTICAL,
    "stream that looks for others": gallery_pb2.DUPLICATE_POLICY_UNSPECIFIED,
}


def main(samples: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        bundle = made(where / "bundle")
        vectors = unit(np.random.default_rng(2), samples, bundle.manifest.input.dim)
        rounds: list[dict[str, tuple[float, float]]] = []
        with serving(bundle, where / "served") as (process, address):
            for number in range(ROUNDS):
                each = {"store": store(bundle, where / f"store{number}", vectors)}
                for name, policy in POLICIES.items():
                    gallery = f"g{number}-{policy}"
                    each[name] = streamed(process, address, bundle, gallery, vectors, policy)
                rounds.append(each)
    result = {"cpu": cpu(), "load": os.getloadavg()[0], "samples": samples}
    print(f"{cpu()}, load {os.getloadavg()[0]:.1f}; {samples} samples, median of {ROUNDS}")
    for name in rounds[0]:
        rate, processor = (median(each[name][at] for each in rounds) for at in (0, 1))
        share = median(each[name][0] / each["store"][0] for each in rounds)
        print(f"{name:30} {rate:7,.0f} a second, {processor:4.0f} us of the processor, {share:.2f}")
        result[name] = {"rate": rate, "processor_us": processor, "of_store": share}
    print(json.dumps(result))


def made(folder: Path) -> Bundle:
    """Calibrated on people who are alike by chance alone."""
    bundle = untrained(str(folder))
    dice, dim = np.random.default_rng(1), bundle.manifest.input.dim
    looks = np.repeat(unit(dice, PEOPLE, dim), SHOTS, axis=0)
    looks = looks + NOISE * unit(dice, PEOPLE * SHOTS, dim)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    people = np.repeat(np.arange(PEOPLE), SHOTS)
    measured = calibrate(looks.astype(np.float32), people, bundle.manifest.fingerprint)
    return calibrated(bundle, measured, card="# untrained\n")


def unit(dice: np.random.Generator, count: int, dim: int) -> Vectors:
    vectors = dice.standard_normal((count, dim), np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def store(bundle: Bundle, data: Path, vectors: Vectors) -> tuple[float, float]:
    """Samples a second, and microseconds of the processor for one."""
    model = bundle.manifest.fingerprint
    items = [Enrolment(f"p{n}", vector, f"{n:064x}") for n, vector in enumerate(vectors)]
    with Galleries(data) as galleries:
        galleries.create("people", model, vectors.shape[1])
        start, before = time.monotonic(), time.process_time()
        for at in range(0, len(items), GROUP):
            galleries.enroll_each("people", items[at : at + GROUP], model)
        processor = time.process_time() - before
        return len(items) / (time.monotonic() - start), processor / len(items) * 1e6


def streamed(  # noqa: PLR0913, PLR0917 - one round of one policy
    process: "subprocess.Popen[str]",
    address: str,
    bundle: Bundle,
    gallery: str,
    vectors: Vectors,
    policy: "gallery_pb2.DuplicatePolicy.ValueType",
) -> tuple[float, float]:
    """As `store`; the processor's time is of both ends."""
    requests = [
        gallery_pb2.EnrollBatchRequest(
            seq=n,
            item=gallery_pb2.EnrollSampleRequest(
                gallery_id=gallery,
                subject_id=f"p{n}",
                embedding=probe_pb2.Embedding(
                    model_fingerprint=bundle.manifest.fingerprint,
                    f32le=vector.tobytes(),
                    dim=len(vector),
                ),
                duplicates=policy,
            ),
        )
        for n, vector in enumerate(vectors)
    ]
    with grpc.insecure_channel(address) as channel:
        stub = gallery_pb2_grpc.GalleryServiceStub(channel)
        stub.CreateGallery(gallery_pb2.CreateGalleryRequest(gallery_id=gallery))
        start, before = time.monotonic(), spent(process.pid) + time.process_time()
        answers = list(stub.EnrollBatch(iter(requests)))
        took = time.monotonic() - start
        processor = spent(process.pid) + time.process_time() - before
    assert all(each.response.sample.sample_id for each in answers)
    return len(answers) / took, processor / len(answers) * 1e6


@contextmanager
def serving(bundle: Bundle, data: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    program = str(Path(sys.executable).with_name("mien"))
    options = ["--data", str(data), "--address", "127.0.0.1:0"]
    process = subprocess.Popen(
        [program, "serve", str(bundle.folder), *options], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process, process.stdout.readline().split(" on ")[1].split(",")[0]
    finally:
        process.terminate()
        process.wait(timeout=30)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES)
