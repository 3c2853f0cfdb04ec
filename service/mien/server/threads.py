"""Who computes on how many threads, so that they do not fight for the cores; all of it here.

docs/serving.md has the measurements.

    decoding, cropping   in the thread of the call, which yields to the network as gRPC's own do;
                         OpenCV takes no threads of its own; of a stream that enrols, in a
                         thread for each core, which yields, too
    detecting faces      the same; YuNet has a network for each core, and the next caller waits
    inference            as many batches at once as there are cores, each on one thread; a lone
                         picture takes all cores, if nothing else is being embedded, each thread
                         kept on one of its own, since Linux may put two on one
    searches             one thread for each (`index.nearest` tells faiss's OpenMP so); of all
                         samples, while there is no other, all cores, whose threads yield, too
                         (`index.scan`)
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import cv2


@dataclass(frozen=True)
class Threads:
    """One server's share of the machine."""

    cores: int
    """Batches that are embedded at once, and threads of the network for a lone picture."""
    apart: tuple[int, ...]
    """The cores on which these threads are kept, one each. Empty if these are not all that the
    process may run on: another server might keep to the same ones."""


def arrange(cores: int = 0) -> Threads:
    """Tell OpenCV, for the whole process. `cores` 0 means every core that it may run on."""
    cv2.setNumThreads(1)
    allowed = tuple(sorted(os.sched_getaffinity(0)))
    return Threads(cores or len(allowed), allowed if cores in (0, len(allowed)) else ())


@contextmanager
def yielding_to_the_network() -> Iterator[None]:
    """Threads that begin inside, and those that they begin, interrupt no other as they wake.

    That is Linux's SCHED_BATCH (`sched(7)`), which a thread has from the one that began it. A call
    wakes several times, and gRPC's threads with it. Each time the lane that runs on this core would
    stop, and find its weights gone from the cache; so calls wait for the end of its turn, and
    several run together.
    """
    if not hasattr(os, "SCHED_BATCH") or os.sched_getscheduler(0) != os.SCHED_OTHER:
        yield  # who chose another policy for the server keeps it
        return
    _schedule(os.SCHED_BATCH)
    try:
        yield
    finally:
        _schedule(os.SCHED_OTHER)


def _schedule(policy: int) -> None:
    with suppress(PermissionError):  # a sandbox may forbid it; calls are slower then
        os.sched_setscheduler(0, policy, os.sched_param(0))
