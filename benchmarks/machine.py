"""What a benchmark tells of the machine and of its own process. Reads /proc, so it is for Linux."""

from pathlib import Path


def cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.split(": ", 1)[1] for line in lines if line.startswith("model name"))


def memory_mib(field: str) -> float:
    """VmRSS is held now, VmHWM the peak; resource.getrusage also counts who started us."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(kib) / 2**10
