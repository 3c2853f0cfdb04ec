"""Processes to be killed, started without waiting for their imports.

`python -m tests.gallery.nursery` imports everything once. For each line that it reads (JSON: data
directory, file of the plan, file of the log) it starts a child that carries out the plan, and says
when and how that ended.

The log has a line before and a line after each operation; a line counts when it is whole. What is
printed is a bell only: who hears that an operation begins may kill the child in the midst of it.
"""

import json
import os
import pickle
import sys
import time
import traceback
from pathlib import Path
from typing import BinaryIO

from mien.gallery.galleries import Galleries
from mien.gallery.store import journal
from tests.gallery.operations import DeleteSamples, Operation, written

LONG = 600.0

LOG_BYTES = 2**15
"""So short that it is often begun anew in place between two deletions, each of which cuts it."""


def live(data: Path, plan: Path, log: BinaryIO) -> None:
    """Open, carry out the plan, and wait for the end."""
    operations: list[Operation] = pickle.loads(plan.read_bytes())  # noqa: S301 - our own
    tell(log, "hello")
    galleries = Galleries(data)
    tell(log, "open")
    for number, operation in enumerate(operations):
        prepared = operation.prepared(galleries)
        ids = prepared.sample_ids if isinstance(prepared, DeleteSamples) else ()
        tell(log, "intent", number, list(ids))
        answer = prepared.run(galleries)
        told = written(prepared.told(answer))
        if isinstance(answer, Galleries):
            galleries, answer = answer, None
        tell(log, "ack", number, [written(answer), told])
    time.sleep(LONG)


def tell(log: BinaryIO, what: str, number: int = 0, more: object = None) -> None:
    log.write(json.dumps([what, number, time.monotonic(), more]).encode() + b"\n")
    os.write(1, f"{what} {number}\n".encode())


def bear(data: str, plan: str, log: str) -> int:
    """Start a child; return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        with Path(log).open("wb", buffering=0) as file:
            live(Path(data), Path(plan), file)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


if __name__ == "__main__":
    journal.LOG_BYTES = LOG_BYTES
    for line in sys.stdin:
        child = bear(*json.loads(line))
        os.write(1, f"born {child}\n".encode())
        _, status = os.waitpid(child, 0)
        os.write(1, f"dead {os.waitstatus_to_exitcode(status)}\n".encode())
