"""What a server is told at its start."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from mien.errors import SettingsInvalid


@dataclass(frozen=True)
class Settings:
    """One server's settings."""

    bundle: Path
    data: Path
    host: str = "127.0.0.1"
    port: int = 50051
    insecure: bool = False
    calls: int = 64
    """Answered at once; more are refused with QUEUE_FULL."""
    threads: int = 0
    """Cores for inference; 0 means all."""
    batch: int = 0
    """Crops in one run of the network; 0 means measured at the start."""
    queue: int = 512
    """Crops that may wait to be embedded; more are refused with QUEUE_FULL."""
    max_wait_ms: float = 2.0
    """How long crops too few for a batch wait for more while others are being embedded."""
    drain_seconds: float = 10.0
    """How long calls that were accepted may go on after the server was told to stop."""
    default_target_fmr: float = 0.01
    default_target_fpir: float = 0.1
    expire_seconds: float = 3600.0
    """How often it is looked who is due to be forgotten."""

    def __post_init__(self) -> None:
        if not self.expire_seconds > 0:
            raise SettingsInvalid(
                f"expire_seconds is {self.expire_seconds}; give the seconds between two looks at "
                "who is due to be forgotten, more than 0"
            )
        for name in ("calls", "queue"):
            if getattr(self, name) < 1:
                raise SettingsInvalid(f"{name} is {getattr(self, name)}; give 1 or more")
        for name in ("threads", "batch", "max_wait_ms", "drain_seconds"):
            if not getattr(self, name) >= 0:
                raise SettingsInvalid(f"{name} is {getattr(self, name)}; give 0 or more")
        if not self.insecure and not _is_loopback(self.host):
            raise SettingsInvalid(
                f"{self.host} can be reached from other machines, and the traffic is neither "
                "encrypted nor authenticated; listen on 127.0.0.1, or say --insecure"
            )

    @property
    def address(self) -> str:
        return _join(self.host, self.port)


def parse_address(address: str) -> tuple[str, int]:
    """Split "HOST:PORT", "[IPV6]:PORT"; port 0 means any free one. Raises SettingsInvalid."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise SettingsInvalid(f"{address!r} is no HOST:PORT, such as 127.0.0.1:50051")
    return host, int(port)


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
