"""Searching, deleting from and starting large galleries, against bare faiss in the same run.
Asserts nothing. Reads /proc, so it runs on Linux. A million samples take 1.5 GB of disk, and some
minutes.

    python benchmarks/gallery_search.py [SAMPLES]     # of the large gallery; a million if left out

The vectors are made to look like embeddings: every person is a direction in 128 dimensions, of
which some vary more than others (standard deviations fall as the 0.3th power; as many as 65 equal
ones would vary), so that strangers' cosines have a standard deviation of 0.12; five samples of each
have a cosine of 0.7 with each other. Probes are further samples of people who are enrolled.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import faiss
import numpy as np
from machine import cpu, memory_mib

from mien.gallery.galleries import Galleries
from mien.gallery.gallery import path_of
from mien.gallery.index import sample_index as index_module
from mien.gallery.index.nearest import nearest
from mien.gallery.index.sample_index import SampleIndex
from mien.gallery.store.checksum import of_sample, of_subject
from mien.gallery.store.store import FILE_NAME
from mien.matching.metrics import Vectors

DIM, MODEL, GALLERY = 128, "sha256:benchmark", "people"
PEOPLE_SAMPLES, LIKENESS, DECAY = 5, 0.7, 0.3
SMALL, LARGE = 100_000, 1_000_000
SIZES = (25_000, 50_000, 100_000, 200_000, 400_000)
LIMIT = 5
TURN, ROUNDS, SLOW_ROUNDS = 10, 300, 60
PROBES = 1000
DELETIONS = 20
BATCH = 50_000
START = "--start"

Result: TypeAlias = dict[str, Any]
Search: TypeAlias = Callable[[Vectors], object]


def main(samples: int) -> None:
    print(f"{cpu()}, {os.cpu_count()} cores, shared; load {load()}; one thread a search")
    with tempfile.TemporaryDirectory() as folder:
        result: Result = {"cpu": cpu(), "cores": os.cpu_count(), "load_before": load()}
        result["small"] = small(Path(folder) / "small")
        result["sizes"] = [of_size(size) for size in SIZES]
        result["large"] = large(Path(folder) / "large", samples)
    result["load_after"] = load()
    print(json.dumps(result))


def small(data: Path) -> Result:
    """The exact search of a gallery against bare faiss."""
    vectors = fill(data, SMALL)
    bare = faiss.IndexFlatIP(DIM)
    bare.add(vectors)
    probes = more_samples(SMALL, ROUNDS)
    with Galleries(data) as galleries:
        ours, theirs = in_turns(partial(search, galleries), partial(bare_search, bare), probes)
        rows = galleries._gallery(GALLERY).index.rows
        large_pages, _ = in_turns(
            lambda probe: nearest(probe[None], rows.vectors, LIMIT),
            partial(search, galleries),
            probes,
        )
    print(f"{SMALL} samples: {ours:.2f} ms, bare faiss {theirs:.2f} ms, {ours / theirs:.3f} times")
    print(f"faiss over the gallery's own memory, in large pages: {large_pages:.2f} ms")
    return {
        "samples": SMALL,
        "gallery_ms": ours,
        "faiss_ms": theirs,
        "ratio": ours / theirs,
        "faiss_large_pages_ms": large_pages,
    }


def of_size(samples: int) -> Result:
    """From which size on an inverted file is worth its building."""
    index_module.INVERTED_FROM = 1
    vectors, people = samples_of(samples)
    index = SampleIndex(DIM, 0)
    index.add(np.arange(1, samples + 1), people, vectors, 1)
    building = timed(index.tend)
    exact, inverted = in_turns(
        lambda probe: index.search(probe[None], LIMIT, exact=True),
        lambda probe: index.search(probe[None], LIMIT),
        more_samples(samples, ROUNDS),
    )
    stats = index.stats()
    print(
        f"{samples} samples: exact {exact:.2f} ms, inverted {inverted:.2f} ms"
        f" ({stats.probes} of {stats.lists} lists), built in {building:.1f} s"
    )
    return {"samples": samples, "exact_ms": exact, "inverted_ms": inverted} | {
        "lists": stats.lists,
        "probes": stats.probes,
        "recall": stats.recall,
        "build_s": building,
    }


def large(data: Path, samples: int) -> Result:
    fill(data, samples)
    first_start = timed(lambda: Galleries(data).close())
    size = path_of(GALLERY, data).stat().st_size / 2**20
    print(f"{samples} samples: first start, built and saved in {first_start:.1f} s, {size:.0f} MiB")
    result: Result = {"samples": samples, "first_start_s": first_start, "file_mib": size}
    result |= child(START, data)
    with Galleries(data) as galleries:
        result |= recall_and_speed(galleries, samples) | deletions(galleries)
    return result


def recall_and_speed(galleries: Galleries, samples: int) -> Result:
    """Of the inverted file against exact searches; recall: the share of equal first answers."""
    probes = more_samples(samples, PROBES)
    exact, inverted = in_turns(
        partial(search, galleries, exact=True), partial(search, galleries), probes[:SLOW_ROUNDS]
    )
    firsts = [(first(galleries, probe, True), first(galleries, probe, False)) for probe in probes]
    recall = sum(mine == truth for truth, mine in firsts) / len(firsts)
    stats = galleries.index_stats(GALLERY)
    print(
        f"exact {exact:.2f} ms, inverted {inverted:.2f} ms, {exact / inverted:.1f} times faster, "
        f"recall@1 {recall:.4f} ({stats.probes} of {stats.lists} lists; {stats.recall:.4f} said)"
    )
    return {"exact_ms": exact, "inverted_ms": inverted, "faster": exact / inverted} | {
        "recall_at_1": recall,
        "recall_said": stats.recall,
        "lists": stats.lists,
        "probes": stats.probes,
    }


def deletions(galleries: Galleries) -> Result:
    """Of subjects of one sample each: the whole, and the part of the index in memory."""
    for number, vector in enumerate(more_samples(7, DELETIONS)):
        galleries.enroll(GALLERY, f"fresh{number}", vector, MODEL, f"{number:064x}")
    index = galleries._gallery(GALLERY).index
    some = index.rows.keys[: 2 * DELETIONS : 2].copy()
    whole = [timed(galleries.delete_subject, GALLERY, f"fresh{each}") for each in range(DELETIONS)]
    part = [timed(index.remove, key[None], 0) for key in some]
    result = {"delete_ms": median(whole) * 1e3, "delete_in_index_ms": median(part) * 1e3}
    print(f"deletion {result['delete_ms']:.1f} ms; {result['delete_in_index_ms']:.1f} in the index")
    return dict(result)


def child(option: str, data: Path) -> Result:
    command = [sys.executable, __file__, option, str(data)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: Result = json.loads(output)
    print(output, end="")
    return result


def start(data: Path) -> None:
    """Of a process of its own: seconds to start from the file, and memory over the vectors."""
    began = time.perf_counter()
    galleries = Galleries(data)
    seconds = time.perf_counter() - began
    samples = galleries.get(GALLERY).samples
    for probe in more_samples(7, 20):
        search(galleries, probe)
    vectors = 4 * DIM * samples / 2**20
    resident = memory_mib("VmRSS")
    print(
        json.dumps(
            {
                "start_s": seconds,
                "resident_mib": resident,
                "resident_over_vectors": resident / vectors,
                "peak_over_vectors": memory_mib("VmHWM") / vectors,
            }
        )
    )
    os._exit(0)  # closing is not what is measured


def search(galleries: Galleries, probe: Vectors, exact: bool = False) -> object:
    return galleries.search(GALLERY, probe, MODEL, LIMIT, exact=exact)


def first(galleries: Galleries, probe: Vectors, exact: bool) -> tuple[str, str]:
    match = galleries.search(GALLERY, probe, MODEL, 1, exact=exact).matches[0]
    return match.subject_id, match.sample_id


def bare_search(bare: faiss.IndexFlatIP, probe: Vectors) -> object:
    faiss.omp_set_num_threads(1)
    return bare.search(probe[None], LIMIT)


def fill(data: Path, samples: int) -> Vectors:
    """A gallery of so many samples, written to its tables at once; its vectors."""
    vectors, people = samples_of(samples)
    with Galleries(data) as galleries:
        galleries.create(GALLERY, MODEL, DIM)
    write_tables(data / FILE_NAME, vectors, people)
    return vectors


def samples_of(samples: int) -> tuple[Vectors, np.ndarray]:
    """Vectors [samples, DIM], and whose each is [samples], 1 and up."""
    people = 1 + np.arange(samples) // PEOPLE_SAMPLES
    return looks(people, people_of(samples), seed=2), people


def more_samples(samples: int, count: int) -> Vectors:
    """Of people of whom a gallery of so many samples has some."""
    centres = people_of(samples)
    people = 1 + np.random.default_rng(3).integers(0, len(centres), count)
    return looks(people, centres, seed=4)


def people_of(samples: int) -> Vectors:
    return unit(normal(-(-samples // PEOPLE_SAMPLES), np.random.default_rng(1)))


def looks(people: np.ndarray, centres: Vectors, seed: int) -> Vectors:
    dice = np.random.default_rng(seed)
    made = np.empty((len(people), DIM), np.float32)
    for some in batches(len(people)):
        noise = unit(normal(len(people[some]), dice))
        made[some] = np.sqrt(LIKENESS) * centres[people[some] - 1] + np.sqrt(1 - LIKENESS) * noise
        made[some] = unit(made[some])
    return made


def normal(count: int, dice: np.random.Generator) -> Vectors:
    deviations = (1 + np.arange(DIM, dtype=np.float32)) ** -DECAY
    return dice.standard_normal((count, DIM), dtype=np.float32) * deviations


def unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def batches(count: int) -> Iterator[slice]:
    return (slice(at, min(at + BATCH, count)) for at in range(0, count, BATCH))


def write_tables(path: Path, vectors: Vectors, people: np.ndarray) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO subjects (key, gallery, subject_id, crc) VALUES (?, 1, ?, ?)",
            (
                (each, f"person{each}", of_subject(f"person{each}", "", "", 0, None, "{}"))
                for each in range(1, int(people.max()) + 1)
            ),
        )
        for some in batches(len(vectors)):
            rows = range(some.start + 1, some.stop + 1)
            connection.executemany(
                "INSERT INTO vectors (slot, content_sha256, vector) VALUES (?, ?, ?)",
                (
                    (row, row.to_bytes(32, "big"), vector.tobytes())
                    for row, vector in zip(rows, vectors[some], strict=True)
                ),
            )
            connection.executemany(
                "INSERT INTO samples"
                " (key, gallery, subject, slot, sample_id, created, source, crc)"
                " VALUES (?, 1, ?, ?, ?, 0, '', ?)",
                (
                    (row, int(person), row, f"{row:032x}", crc_of(row, vector))
                    for row, person, vector in zip(rows, people[some], vectors[some], strict=True)
                ),
            )


def in_turns(mine: Search, other: Search, probes: Vectors) -> tuple[float, float]:
    """Median milliseconds of two ways to search, in turns of TURN.

    The first search of a turn does not count: the other way has had the caches.
    """
    seconds: tuple[list[float], list[float]] = [], []
    for start in range(0, len(probes), TURN):
        some = probes[start : start + TURN]
        for run, took in zip((mine, other), seconds, strict=True):
            run(some[0])
            took += [timed(run, probe) for probe in some]
    first, second = map(median, seconds)
    return first * 1e3, second * 1e3


def crc_of(row: int, vector: Vectors) -> int:
    digest, content = row.to_bytes(32, "big"), vector.tobytes()
    return of_sample(f"{row:032x}", 0, "", None, None, digest, content)


def timed(run: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - start


def load() -> float:
    return round(os.getloadavg()[0], 2)


if __name__ == "__main__":
    if START in sys.argv:
        start(Path(sys.argv[-1]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else LARGE)
