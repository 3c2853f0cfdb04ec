"""What a benchmark tells of the machine and of its own process. Reads /proc, so it is for Linux."""

import os
from pathlib import Path


def cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.split(": ", 1)[1] for line in lines if line.startswith("model name"))


def memory_mib(field: str) -> float:
    """VmRSS is held now, VmHWM the peak; resource.getrusage also counts who started us."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(kib) / 2**10


def descendants(pid: int) -> list[int]:
    """All processes that one started, and those that they started."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except (FileNotFoundError, ProcessLookupError):  # a thread that ended as we looked
            continue
        for child in map(int, children):
            found += [child, *descendants(child)]
    return found


def spent(pid: int) -> float:
    """Seconds of the processor, of all its threads (proc(5): utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
