"""Servers as processes of their own, and the load that callers put on them."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from machine import descendants, spent

from mien.model.bundle import Bundle

PROCESSES = 4
RAMP = 0.5
"""Seconds of calls before what is counted: calls are then under way at its start and at its end."""
HERE = Path(__file__).parent

Result: TypeAlias = dict[str, Any]


@dataclass
class Served:
    """A server's process; `kind` is how callers speak to it."""

    process: "subprocess.Popen[str]"
    kind: str
    address: str

    def load(self, pictures: int, callers: int, seconds: float) -> Result:
        """Pictures a second, milliseconds of a call, and of the processor for a picture."""
        processes = min(PROCESSES, callers)
        command = [sys.executable, "callers.py"]
        arguments = [(n, pictures, callers // processes, RAMP + seconds) for n in range(processes)]
        with ExitStack() as stack:
            started = [
                stack.enter_context(
                    subprocess.Popen(
                        [*command, *map(str, numbers), self.kind, self.address],
                        cwd=HERE,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        text=True,
                    )
                )
                for numbers in arguments
            ]
            for each in started:
                if each.stdout.readline() != "ready\n":
                    raise SystemExit("a caller failed; what it wrote is above")
            start, before = time.monotonic(), processor_seconds([self.process, *started])
            for each in started:
                each.stdin.write("\n")
                each.stdin.flush()
            lines = [each.stdout.readline() for each in started]
            spent = processor_seconds([self.process, *started]) - before
            if not all(lines):
                raise SystemExit("a call failed; what it wrote is above")
            done = [tuple(call) for line in lines for call in json.loads(line)]
        return summary(done, start, seconds, pictures, spent)


def summary(
    done: list[tuple[float, ...]], start: float, seconds: float, pictures: int, spent: float
) -> Result:
    """Calls that ended after the ramp make the rate; all of them the rest."""
    counted = sum(start + RAMP < end <= start + RAMP + seconds for end, _ in done)
    rate = counted * pictures / seconds
    took = np.array([each for _, each in done]) * 1e3
    return {
        "rate": rate,
        "p50_ms": float(np.percentile(took, 50)),
        "p99_ms": float(np.percentile(took, 99)),
        "processor_ms": spent * 1e3 / (len(done) * pictures),
    }


@contextmanager
def serving(bundle: Bundle, data: Path) -> Iterator[Served]:
    program = str(Path(sys.executable).with_name("mien"))
    options = ["--data", str(data), "--address", "127.0.0.1:0"]
    with running([program, "serve", str(bundle.folder), *options]) as process:
        line = process.stdout.readline()
        yield Served(process, "mien", line.split(" on ")[1].split(",")[0])


@contextmanager
def floor_server(bundle: Bundle) -> Iterator[Served]:
    with running([sys.executable, "floor.py", str(bundle.folder.resolve())]) as process:
        yield Served(process, "mien", process.stdout.readline().strip())


@contextmanager
def empty_server(pause: float = 0.0) -> Iterator[Served]:
    with running([sys.executable, "empty.py", str(pause)]) as process:
        yield Served(process, "empty", process.stdout.readline().strip())


@contextmanager
def rival(name: str, bundle: Bundle) -> Iterator[Served]:
    spec = bundle.manifest.input
    port = free_port()
    size = map(str, (spec.crop_height, spec.crop_width, port))
    command = [sys.executable, "rivals.py", name, str(bundle.network.resolve()), *size]
    with running(command) as process:
        wait_for(port)
        yield Served(process, "http", f"127.0.0.1:{port}")


@contextmanager
def running(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        command, cwd=HERE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        for each in [process.pid, *descendants(process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGTERM)
        process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            time.sleep(2)  # LitServe listens before its worker has loaded the network
            return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port}")


def processor_seconds(processes: "list[subprocess.Popen[str]]") -> float:
    """Of processes and all that they started."""
    pids = [pid for each in processes for pid in (each.pid, *descendants(each.pid))]
    return sum(spent(pid) for pid in pids)
