"""Who computes on how many threads, so that they do not fight for the cores; all of it here.

docs/serving.md has the measurements.

    decoding, cropping   in the thread of the call, which yields to the network; OpenCV takes no
                         threads of its own
    detecting faces      the same; YuNet has a network for each core, and the next caller waits
    inference            as many batches at once as there are cores, each on one thread; a lone
                         picture takes all cores, if nothing else is being embedded
    faiss                one thread a search (`index.nearest` tells OpenMP so)
"""

import os
from contextlib import suppress
from dataclasses import dataclass

import cv2


@dataclass(frozen=True)
class Threads:
    """One server's share of the machine."""

    cores: int
    """Batches that are embedded at once, and threads of the network for a lone picture."""


def arrange(cores: int = 0) -> Threads:
    """Tell OpenCV, for the whole process. `cores` 0 means every core that it may run on."""
    cv2.setNumThreads(1)
    return Threads(cores or len(os.sched_getaffinity(0)))


def yield_to_the_network() -> None:
    """Let this thread interrupt no other as it wakes (Linux's SCHED_BATCH, `sched(7)`).

    A call wakes several times. Each time the lane that runs on this core would stop, and find its
    weights gone from the cache; so calls wait for the end of its turn, and several run together.
    """
    if hasattr(os, "SCHED_BATCH"):
        with suppress(PermissionError):  # a sandbox may forbid it; the calls are slower then
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
