"""Memory of many threads: in a process of its own, since it is for good."""

import os
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


ANEW = """
import os, sys
from mien.server.memory import begin_in_large_pages
print("begun", os.getpid(), *sys.argv[1:], flush=True)
begin_in_large_pages()
print("goes on with", os.environ.get("GLIBC_TUNABLES"))
"""


def begun(tunables: str | None) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    return subprocess.run(
        [sys.executable, "-c", ANEW, "serve", "two words"],
        env=environment | ({"GLIBC_TUNABLES": tunables} if tunables is not None else {}),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="large pages are asked of Linux")
@pytest.mark.parametrize("other", ["", "glibc.malloc.arena_max=1"])
def test_a_program_begins_anew_once_as_the_same_process(other: str) -> None:
    first, second, last = begun(other)
    assert first == second
    assert first.endswith("serve two words")
    assert last.removeprefix("goes on with ").split(":")[-1] == "glibc.malloc.hugetlb=1"
    assert other in last


@pytest.mark.parametrize("said", ["glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=1"])
def test_who_said_what_pages_he_wants_gets_them_at_once(said: str) -> None:
    _, last = begun(said)
    assert last == f"goes on with {said}"


FREED = """
import ctypes, sys
from mien.server.memory import share_arenas
assert share_arenas(2)
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.sbrk.restype, libc.sbrk.argtypes = ctypes.c_void_p, [ctypes.c_ssize_t]
blocks = [libc.malloc(2**16) for _ in range({mib} * 16)]
full = libc.sbrk(0)
for block in reversed(blocks):
    libc.free(block)
print(full - libc.sbrk(0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
@pytest.mark.parametrize(("mib", "given_back"), [(6, False), (16, True)])
def test_what_a_picture_needs_is_kept_for_the_next(mib: int, given_back: bool) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", FREED.format(mib=mib)], capture_output=True, text=True, check=True
    ).stdout
    assert (int(printed) > 0) == given_back
