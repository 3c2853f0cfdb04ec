"""What serving costs: Embed and Identify over gRPC against bare loops, and two other servers.

The bare loop decodes and runs onnxruntime, in the better of two ways: both cores in one run, or a
thread on each core with its own runs; each at its best batch. Everything of a round is measured
right after each other, so that ratios hold on a machine that others use, too; servers and callers
are processes of their own. Asserts nothing; the last line is one JSON object that says of each
bound of the service what was measured, and whether it is met. The line before it has every round.
About eight minutes on a quiet machine. Linux; needs `mien[bench]`.

    python benchmarks/serving.py [BUNDLE]     # an untrained network if left out
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import cv2
import faiss
import numpy as np
from bare import CORES, Bare
from machine import cpu
from served import Served, empty_server, floor_server, rival, serving

from mien.gallery.galleries import Galleries
from mien.gallery.records import Enrolment
from mien.model import bundle as bundles
from mien.model.bundle import Bundle

CALLERS, PICTURES = 16, 16
SECONDS, ROUNDS, RIVAL_ROUNDS = 2.0, 9, 5
PAUSE = 0.05
"""Seconds of a handler that does nothing, for callers to call it about as often as Embed."""
SAMPLES, GALLERY = 100_000, "people"
RIVALS = ("litserve", "fastapi")

Result: TypeAlias = dict[str, Any]


def main(given: list[str]) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        bundle = bundles.load(Path(given[0])) if given else untrained(Path(folder) / "bundle")
        machine: Result = {"cpu": cpu(), "cores": CORES, "load_before": load()}
        result: Result = {}
        print(f"{cpu()}, {CORES} cores, load {load()}; {bundle.manifest.name}, median of {ROUNDS}")
        bare = Bare(bundle)
        probe_vectors = fill(Path(folder) / "data", bundle)
        with serving(bundle, Path(folder) / "data") as mien:
            with empty_server() as empty, floor_server(bundle) as floor:
                result |= against_bare(bare, mien, empty, floor)
            result |= beside_network(bare)
            result |= one_caller(bare, mien)
            result |= identify(bare, mien, probe_vectors)
            for name in RIVALS:
                with rival(name, bundle) as other:
                    result[name] = beside(mien, other, name)
    machine["load_after"] = load()
    print(f"load afterwards {load()}")
    print(json.dumps(result))
    print(json.dumps(machine | {"bounds": bounds(result)}))


def bounds(result: Result) -> Result:
    """What is promised of the service, what was measured, and whether that is within it."""
    least = {
        "16 callers, 16 pictures a call: of the bare rate": ("16x16_ratio", 0.93),
        "16 callers, 1 picture a call: of what gRPC leaves": ("16x1_ratio", 0.90),
    }
    most = {
        "one caller: p50 over bare, ms": ("one_caller_over_ms", 3.0),
        f"Identify among {SAMPLES}: p50 over embed and faiss, ms": ("identify_over_ms", 3.0),
    }
    told = {what: bound(result[key], at_least=limit) for what, (key, limit) in least.items()}
    told |= {what: bound(result[key], at_most=limit) for what, (key, limit) in most.items()}
    for name in RIVALS:
        for load, measured in result[name].items():
            told[f"{name} {load}: times its rate"] = bound(measured["rate_ratio"], at_least=1.0)
            told[f"{name} {load}: times its p99"] = bound(measured["p99_ratio"], at_most=1.0)
    return told


def bound(value: float, at_least: float = -math.inf, at_most: float = math.inf) -> Result:
    limit = {"at_least": at_least} if at_most == math.inf else {"at_most": at_most}
    return {"value": round(value, 3), **limit, "met": at_least <= value <= at_most}


def untrained(folder: Path) -> Bundle:
    subprocess.run(
        [sys.executable, "-c", f"import untrained; untrained.bundle({str(folder)!r})"],
        cwd=Path(__file__).parent,
        check=True,
        capture_output=True,
    )  # of its own, since torch's threads and memory are not what is measured
    return bundles.load(folder)


def against_bare(bare: Bare, mien: Served, empty: Served, floor: Served) -> Result:
    """Rounds of everything, each after the other; ratios within a round.

    `floor` does what Embed does, with nothing around it (`floor.py`): what it misses of what an
    empty call leaves is not this service's to give.

    Besides rates, the processor's time for a picture, of server and callers together: on a machine
    that others use, the system shares out cores, and rates depend on how many processes ask.
    """
    rounds = []
    for _ in range(ROUNDS):
        alone = bare.rate(SECONDS)
        many, one = mien.load(PICTURES, CALLERS, SECONDS), mien.load(1, CALLERS, SECONDS)
        least, nothing = floor.load(1, CALLERS, SECONDS), empty.load(1, CALLERS, SECONDS)
        left = 1 / (1 / alone["rate"] + 1 / nothing["rate"])
        rounds.append(
            {"bare": alone, "16x16": many, "16x1": one, "floor": least, "empty": nothing}
            | {"16x16_ratio": many["rate"] / alone["rate"], "16x1_ratio": one["rate"] / left}
            | {"floor_ratio": least["rate"] / left, "16x1_floor": one["rate"] / least["rate"]}
            | processor_ratios(alone, many, one, nothing)
        )
    for name in ("bare", "16x16", "16x1", "floor", "empty"):
        rate, processor = (
            median(each[name][what] for each in rounds) for what in ("rate", "processor_ms")
        )
        tail = ""
        if name != "bare":
            p50, p99 = (
                median(each[name][what] for each in rounds) for what in ("p50_ms", "p99_ms")
            )
            tail = f", p50 {p50:.1f} ms, p99 {p99:.1f} ms a call"
        print(f"{name:6} {rate:8.1f} a second, {processor:.2f} ms of the processor for each{tail}")
    result: Result = {"rounds": rounds}
    for name, what in RATIOS.items():
        each = [one[name] for one in rounds]
        result[name] = median(each)
        print(f"{median(each):.3f} {what} ({min(each):.3f} to {max(each):.3f})")
    return result


RATIOS = {
    "16x16_ratio": "of the bare rate, 16 callers with 16 pictures a call",
    "16x1_ratio": "of what gRPC leaves of it, 16 callers with one",
    "floor_ratio": "of it that a server reaches which does nothing else",
    "16x1_floor": "of what that one reaches, 16 callers with one",
    "16x16_processor": "bare over served processor time, 16 callers with 16 pictures a call",
    "16x1_processor": "bare and empty call over served processor time, 16 callers with one",
}


def processor_ratios(alone: Result, many: Result, one: Result, nothing: Result) -> Result:
    bare = min(way["processor_ms"] for way in alone["ways"].values())
    return {
        "16x16_processor": bare / many["processor_ms"],
        "16x1_processor": (bare + nothing["processor_ms"]) / one["processor_ms"],
    }


def beside_network(bare: Bare) -> Result:
    """What an empty call costs that comes as seldom as pictures do, while a network runs beside.

    Calls one after the other find gRPC's code and threads warm; these do not. The network runs in
    this process, whose time is not counted.
    """
    with empty_server(PAUSE) as paced, bare.at_work():
        each = [paced.load(1, CALLERS, SECONDS)["processor_ms"] for _ in range(ROUNDS)]
    print(
        f"empty, about {CALLERS / PAUSE:.0f} calls a second beside a network: {median(each):.2f} "
        f"ms of the processor for each ({min(each):.2f} to {max(each):.2f})"
    )
    return {"empty_beside_network": each}


def one_caller(bare: Bare, mien: Served) -> Result:
    """p50 of a call with one picture, in turns with the bare call."""
    pairs = []
    for _ in range(ROUNDS):
        alone = p50_ms(bare.one, SECONDS / 2)
        pairs.append((mien.load(1, 1, SECONDS / 2)["p50_ms"], alone))
    over = [ours - alone for ours, alone in pairs]
    print(
        f"one caller   {median(x for x, _ in pairs):.2f} ms, bare {median(x for _, x in pairs):.2f}"
        f" ms, over it {median(over):.2f} ms ({min(over):.2f} to {max(over):.2f})"
    )
    return {"one_caller": pairs, "one_caller_over_ms": median(over)}


def identify(bare: Bare, mien: Served, vectors: np.ndarray) -> Result:
    """p50 of Identify with a picture, in turns with the bare call and a bare search, one thread."""
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    faiss.omp_set_num_threads(1)
    caller = Served(mien.process, "identify", mien.address)
    rounds = []
    for _ in range(ROUNDS):
        embedding = p50_ms(bare.one, SECONDS / 2)
        search = p50_ms(lambda n: flat.search(vectors[n : n + 1], 5), SECONDS / 4)
        ours = caller.load(1, 1, SECONDS / 2)["p50_ms"]
        rounds.append((ours, embedding, search))
    over = [ours - embedding - search for ours, embedding, search in rounds]
    mine, embedding, search = (median(each) for each in zip(*rounds, strict=True))
    print(
        f"identify     {mine:.2f} ms, bare {embedding:.2f} + faiss {search:.2f} ms, over them "
        f"{median(over):.2f} ms ({min(over):.2f} to {max(over):.2f}); {len(vectors)} samples"
    )
    return {"identify": rounds, "identify_over_ms": median(over)}


def beside(mien: Served, other: Served, name: str) -> Result:
    """Another server in turns with ours."""
    result: Result = {}
    for pictures in (PICTURES, 1):
        pairs = [
            (mien.load(pictures, CALLERS, SECONDS), other.load(pictures, CALLERS, SECONDS))
            for _ in range(RIVAL_ROUNDS)
        ]
        faster = median(ours["rate"] / theirs["rate"] for ours, theirs in pairs)
        p99 = median(ours["p99_ms"] / theirs["p99_ms"] for ours, theirs in pairs)
        mine, others = (
            [median(each[what] for each in side) for what in ("rate", "p50_ms", "p99_ms")]
            for side in zip(*pairs, strict=True)
        )
        print(
            f"{name:9} {CALLERS}x{pictures:<3} {spoken(others)}; mien {spoken(mine)}: "
            f"rate {faster:.2f} times, p99 {p99:.2f} times"
        )
        result[f"{CALLERS}x{pictures}"] = {"pairs": pairs, "rate_ratio": faster, "p99_ratio": p99}
    return result


def spoken(numbers: list[float]) -> str:
    return "{:6.1f} a second, p50 {:.0f} ms, p99 {:.0f} ms".format(*numbers)


def fill(data: Path, bundle: Bundle) -> np.ndarray:
    """A gallery of SAMPLES people; their vectors."""
    manifest = bundle.manifest
    made = np.random.default_rng(1).standard_normal((SAMPLES, manifest.input.dim), np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    with Galleries(data) as galleries:
        galleries.create(GALLERY, manifest.fingerprint, manifest.input.dim)
        for at in range(0, SAMPLES, 5000):
            batch = [Enrolment(f"person{n}", made[n], f"{n:064x}") for n in range(at, at + 5000)]
            galleries.enroll_many(GALLERY, batch, manifest.fingerprint)
    return made


def p50_ms(run: Callable[[int], object], seconds: float) -> float:
    end, took = time.monotonic() + seconds, []
    while (start := time.monotonic()) < end:
        run(len(took))
        took.append(time.monotonic() - start)
    return median(took) * 1e3


def load() -> float:
    return round(os.getloadavg()[0], 2)


if __name__ == "__main__":
    main(sys.argv[1:])
