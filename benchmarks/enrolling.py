"""`mien enroll` beside a bare loop that decodes, detects and embeds with every core busy.

    python benchmarks/enrolling.py

The loop has the pictures in memory and keeps nothing: a thread for each core, a batch each, the
network on one thread. `mien enroll --data` scans, reads, hashes, does the same, commits to SQLite
with every sync, looks at the whole gallery, and writes its ledger. `mien enroll --server` sends the
pictures to a `mien serve` on the loopback, a process of its own, which does. They take turns on the
same pictures; the ratios are of the best of each, since others use the machine.
The photographs of the development data are taken where they are there, else pictures made by code.
The last line is JSON.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from machine import cpu, memory_mib
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


def bare(loaded: Bundle, contents: list[bytes], detector: Path | None) -> float:
    """Pictures a second."""
    found = YuNet(detector) if detector else None
    pipeline = Pipeline(loaded, threads=1, detector=found, multi_face="largest")
    batches = [contents[at : at + BATCH] for at in range(0, len(contents), BATCH)]
    with ThreadPoolExecutor(arrange().cores) as workers:
        started = time.perf_counter()
        list(workers.map(pipeline.faces_each, batches))
        return len(contents) / (time.perf_counter() - started)


def enrolled(loaded: Bundle, source: Path, detector: Path | None, count: int) -> float:
    """Pictures a second, from an empty gallery and without a ledger."""
    options = Options(multi_face="largest")
    with (
        tempfile.TemporaryDirectory() as folder,
        Directory(Path(folder) / "data", "g", loaded, options, detector, create=True) as place,
        Ledger(Path(folder) / "ledger") as ledger,
    ):
        place.create()
        items = (item for item in Source(source).items() if isinstance(item, Entry))
        started = time.perf_counter()
        Run(ledger, place, options, Silent()).go(islice(items, count))
        return count / (time.perf_counter() - started)


def sent(address: str, gallery: str, source: Path, count: int) -> float:
    """Pictures a second, into an empty gallery of a server and without a ledger."""
    options = Options(multi_face="largest")
    with (
        tempfile.TemporaryDirectory() as folder,
        Client(address) as client,
        Ledger(Path(folder) / "ledger") as ledger,
    ):
        place = Service(client, gallery, options)
        place.create()
        items = (item for item in Source(source).items() if isinstance(item, Entry))
        started = time.perf_counter()
        Run(ledger, place, options, Silent()).go(islice(items, count))
        return count / (time.perf_counter() - started)


@contextmanager
def serving(bundle: Path, data: Path, detector: Path | None) -> Iterator[str]:
    """The address of a server."""
    program = str(Path(sys.executable).with_name("mien"))
    options = ["--data", str(data), "--address", "127.0.0.1:0"]
    if detector:
        options += ["--detector-model", str(detector)]
    command = [program, "serve", str(bundle), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().split(" on ")[1].split(",")[0]
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
        rates: dict[str, list[float]] = {"bare": [], "data": [], "server": []}
        with serving(loaded.folder, Path(folder) / "served", detector) as address:
            for turn in range(asked.rounds):
                rates["bare"].append(bare(loaded, contents, detector))
                rates["data"].append(enrolled(loaded, source, detector, len(contents)))
                rates["server"].append(sent(address, f"g{turn}", source, len(contents)))
                print({name: round(each[-1], 1) for name, each in rates.items()}, flush=True)
    best = {name: max(each) for name, each in rates.items()}
    result = {
        "benchmark": "enrolling",
        "pictures": len(contents),
        "of": "photographs" if detector else "made by code",
        "bare_per_second": round(best["bare"], 1),
        "data_per_second": round(best["data"], 1),
        "data_ratio": round(best["data"] / best["bare"], 3),
        "server_per_second": round(best["server"], 1),
        "server_ratio": round(best["server"] / best["bare"], 3),
        "wanted": WANTED,
        "peak_mib": round(memory_mib("VmHWM")),
        "cpu": cpu(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
