"""`mien enroll` beside a bare loop that decodes, detects and embeds with every core busy.

    python benchmarks/enrolling.py

The loop has the pictures in memory and keeps nothing: a thread for each core, a batch each, the
network on one thread. `mien enroll --data` scans, reads, hashes, does the same, commits to SQLite
with every sync, looks at the whole gallery, and writes its ledger. `mien enroll --server` sends
the pictures to a `mien serve` on the loopback, a process of its own, which does. They take turns on
the same pictures; the ratios are of the best of each, since others use the machine. What keeps both
cores busy is as fast as it is thrifty, so that the processor's time a picture, of both ends, tells
what a quiet machine would do.
The photographs of the development data are taken where they are there, else pictures made by code.
The last line is JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from operator import itemgetter
from pathlib import Path

from machine import cpu, memory_mib, spent
from pictures import jpegs
from untrained import bundle

from mien.client import Client
from mien.enrolling.directory import BATCH, Directory
from mien.enrolling.items import Entry
from mien.enrolling.ledger import Ledger
from mien.enrolling.options import Options
from mien.enrolling.run import Run
from mien.enrolling.service import Service
from mien.enrolling.source import Source
from mien.model.bundle import Bundle
from mien.model.pipeline import Pipeline
from mien.server.threads import arrange
from mien.vision.yunet import YuNet

SHARED = Path(__file__).parents[2] / "shared"
PHOTOS = SHARED / "data" / "photos"
DETECTOR = SHARED / "models" / "face_detection_yunet.onnx"
WANTED = 0.85


class Silent:
    def update(self) -> None:
        """Nobody looks."""


class Spent:
    """Pictures a second, and milliseconds of the processor for one, of one turn."""

    def __init__(self, pictures: int, other: int | None = None) -> None:
        """`other` is the process that does the work beside this one."""
        self._pictures, self._other = pictures, other
        self._began, self._before = time.perf_counter(), self._processor()

    def told(self) -> tuple[float, float]:
        took = time.perf_counter() - self._began
        processor = self._processor() - self._before
        return self._pictures / took, 1000 * processor / self._pictures

    def _processor(self) -> float:
        return time.process_time() + (spent(self._other) if self._other else 0)


def bare(loaded: Bundle, contents: list[bytes], detector: Path | None) -> tuple[float, float]:
    """As `Spent` tells."""
    found = YuNet(detector) if detector else None
    pipeline = Pipeline(loaded, threads=1, detector=found, multi_face="largest")
    batches = [contents[at : at + BATCH] for at in range(0, len(contents), BATCH)]
    with ThreadPoolExecutor(arrange().cores) as workers:
        measured = Spent(len(contents))
        list(workers.map(pipeline.faces_each, batches))
        return measured.told()


def enrolled(
    loaded: Bundle, source: Path, detector: Path | None, count: int
) -> tuple[float, float]:
    """Into an empty gallery and without a ledger. As `Spent` tells."""
    options = Options(multi_face="largest")
    with (
        tempfile.TemporaryDirectory() as folder,
        Directory(Path(folder) / "data", "g", loaded, options, detector, create=True) as place,
        Ledger(Path(folder) / "ledger") as ledger,
    ):
        place.create()
        items = (item for item in Source(source).items() if isinstance(item, Entry))
        measured = Spent(count)
        Run(ledger, place, options, Silent()).go(islice(items, count))
        return measured.told()


def sent(server: tuple[int, str], gallery: str, source: Path, count: int) -> tuple[float, float]:
    """Into an empty gallery of a server, its process and address. As `Spent` tells."""
    process, address = server
    options = Options(multi_face="largest")
    with (
        tempfile.TemporaryDirectory() as folder,
        Client(address) as client,
        Ledger(Path(folder) / "ledger") as ledger,
    ):
        place = Service(client, gallery, options)
        place.create()
        items = (item for item in Source(source).items() if isinstance(item, Entry))
        measured = Spent(count, process)
        Run(ledger, place, options, Silent()).go(islice(items, count))
        return measured.told()


@contextmanager
def serving(bundle: Path, data: Path, detector: Path | None) -> Iterator[tuple[int, str]]:
    """A server's process and address."""
    program = str(Path(sys.executable).with_name("mien"))
    options = ["--data", str(data), "--address", "127.0.0.1:0"]
    if detector:
        options += ["--detector-model", str(detector)]
    command = [program, "serve", str(bundle), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.pid, process.stdout.readline().split(" on ")[1].split(",")[0]
        finally:
            process.terminate()


def made(folder: Path, count: int) -> Path:
    """A folder of people whose pictures are made by code."""
    for number, content in enumerate(jpegs(count)):
        home = folder / f"person-{number // 16:04}"
        home.mkdir(parents=True, exist_ok=True)
        (home / f"{number}.jpg").write_bytes(content)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    detector = DETECTOR if PHOTOS.is_dir() and DETECTOR.is_file() else None
    with tempfile.TemporaryDirectory() as folder:
        loaded = bundle(f"{folder}/bundle", "arcface-5" if detector else "none")
        source = PHOTOS if detector else made(Path(folder) / "people", asked.pictures)
        paths = [item.path for item in Source(source).items() if isinstance(item, Entry)]
        contents = [path.read_bytes() for path in paths[: asked.pictures]]
        turns: dict[str, list[tuple[float, float]]] = {"bare": [], "data": [], "server": []}
        with serving(loaded.folder, Path(folder) / "served", detector) as server:
            for turn in range(asked.rounds):
                turns["bare"].append(bare(loaded, contents, detector))
                turns["data"].append(enrolled(loaded, source, detector, len(contents)))
                turns["server"].append(sent(server, f"g{turn}", source, len(contents)))
                print({name: [round(n, 1) for n in each[-1]] for name, each in turns.items()})
    rate = {name: max(each)[0] for name, each in turns.items()}
    processor = {name: min(each, key=itemgetter(1))[1] for name, each in turns.items()}
    result = {
        "benchmark": "enrolling",
        "pictures": len(contents),
        "of": "photographs" if detector else "made by code",
        "per_second": {name: round(each, 1) for name, each in rate.items()},
        "processor_ms": {name: round(each, 1) for name, each in processor.items()},
        "ratio": {name: round(rate[name] / rate["bare"], 3) for name in rate},
        "ratio_of_processor": {
            name: round(processor["bare"] / processor[name], 3) for name in rate
        },
        "wanted": WANTED,
        "peak_mib": round(memory_mib("VmHWM")),
        "load": os.getloadavg()[0],
        "cpu": cpu(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
