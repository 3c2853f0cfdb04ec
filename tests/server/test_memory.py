"""Memory of many threads: in a process of its own, since it is for good."""

import subprocess
import sys

import pytest

MANY = """
import re, threading
from pathlib import Path
from mien.server.memory import share_arenas
import ctypes
if {most}:
    assert share_arenas({most})
barrier = threading.Barrier(16)
kept = []
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def take():
    barrier.wait()
    kept.append([libc.malloc(1000) for _ in range(100)])
    barrier.wait()
threads = [threading.Thread(target=take) for _ in range(16)]
[each.start() for each in threads]
[each.join() for each in threads]
print(sum(pointer >> 26 != kept[0][0] >> 26 for (pointer, *_) in kept))
print(len({{pointer >> 26 for (pointer, *_) in kept}}))
"""
"""An arena begins at a multiple of 64 MiB."""


def arenas(most: int) -> int:
    printed = subprocess.run(
        [sys.executable, "-c", MANY.format(most=most)], capture_output=True, text=True, check=True
    ).stdout
    return int(printed.split()[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_threads_share_so_many_arenas() -> None:
    assert arenas(2) <= 2 < arenas(0)
