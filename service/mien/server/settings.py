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
    workers: int = 8
    threads: int = 0
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
