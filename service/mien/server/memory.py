"""How the C library keeps memory that many threads take and give back."""

import ctypes
import os
import sys

M_ARENA_MAX = -8
"""`mallopt(3)` of glibc."""
M_MMAP_THRESHOLD = -3
M_TRIM_THRESHOLD = -1

TUNABLES = "GLIBC_TUNABLES"
"""A variable of the environment, which glibc reads once, as a program starts."""
LARGE_PAGES = "glibc.malloc.hugetlb"
"""At 1, memory in large pages is asked of Linux (glibc 2.35 on; others take no notice)."""

LARGE = 4 * 2**20
"""Bytes that are asked of the system and given back to it at once. glibc would move this limit up
to 32 MiB as larger blocks are freed, and Pillow takes 16 MiB at a time for what it decodes."""

KEPT = 8 * 2**20
"""Bytes at the end of an arena that are kept when they are free. glibc would keep twice the limit
above while that moves, but since it is set only 128 KiB: then what a photograph needs is given
back and asked anew for each, page by page, which costs a twentieth of its time."""


def share_arenas(most: int) -> bool:
    """Let all threads share so many arenas, and keep little else.

    False where the C library has no such setting.

    glibc gives up to eight for each core, each of which keeps what it once held. With two cores and
    25,000 malformed requests (`make fuzz`) a server grew from 162 to 207 MiB without end in sight,
    and with two arenas from 150 to 160 MiB, flat.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    settings = {M_ARENA_MAX: most, M_MMAP_THRESHOLD: LARGE, M_TRIM_THRESHOLD: KEPT}
    return mallopt is not None and all(mallopt(*each) for each in settings.items())


def begin_in_large_pages() -> None:
    """Begin this program anew, as the same process, unless somebody set `LARGE_PAGES` already.

    A network goes through all its weights for every batch; in small pages the processor looks up
    where each lies. docs/serving.md has what that costs.
    """
    tunables = os.environ.get(TUNABLES, "")
    if sys.platform == "linux" and LARGE_PAGES not in tunables:
        os.environ[TUNABLES] = ":".join(filter(None, (tunables, f"{LARGE_PAGES}=1")))
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # itself
