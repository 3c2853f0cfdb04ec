"""What a server is told at its start."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import ConfigDict

from mien.errors import SettingsInvalid
from mien.model import built_in
from mien.vision.images import DEFAULT_LIMITS
from mien.wire import MAX_MESSAGE_BYTES, is_loopback

AT_LEAST_ONE = (
    "calls",
    "queue",
    "calls_burst",
    "max_message_bytes",
    "max_image_bytes",
    "max_image_pixels",
    "max_streams",
    "keepalive_seconds",
    "receive_seconds",
    "idle_seconds",
)
AT_LEAST_ZERO = (
    *("threads", "batch", "max_wait_ms", "drain_seconds"),
    *("calls_per_second", "wrong_keys_per_minute"),
)

LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True)
class Settings:
    """One server's settings. What is said of each field is what `mien serve --help` says of it.

    Raises SettingsInvalid. `mien.server.sources` reads them from a file, the environment and flags.
    """

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    bundle: Path = Path(built_in.DEFAULT)
    """The bundle to serve: a folder, or the name of one that came with mien."""
    data: Path = Path("mien-data")
    """Where the galleries are kept."""
    host: str = "127.0.0.1"
    """The name or address to listen on."""
    port: int = 50051
    """The port to listen on; 0 takes a free one."""
    insecure: bool = False
    """Allow an address that other machines can reach without encryption, or without keys."""
    certificate: Path | None = None
    """The server's certificate, with its chain, in PEM: calls are encrypted (TLS)."""
    private_key: Path | None = None
    """The key of the certificate, in PEM."""
    client_ca: Path | None = None
    """Certificates, in PEM, of the authorities of which a caller must have one (mutual TLS)."""
    keys: Path | None = None
    """The file of API keys that `mien keys` writes; each call must then carry one."""
    calls_per_second: float = 0.0
    """Calls and messages of streams that a key may send in the long run; 0 sets no limit."""
    calls_burst: int = 100
    """Calls that a key may send at once, after a pause."""
    wrong_keys_per_minute: float = 10.0
    """Calls that an address may make without an accepted key, all together 10 times; 0: any."""
    calls: int = 64
    """Answered at once; more are refused with QUEUE_FULL."""
    detector_model: Path | None = None
    """The face detector, where faces are aligned; as `mien models check` tells if left out."""
    threads: int = 0
    """Cores for inference, and for a lone search of all samples; 0 means all."""
    batch: int = 0
    """Crops in one run of the network; 0 means measured at the start."""
    queue: int = 512
    """Crops that may wait to be embedded; more are refused with QUEUE_FULL."""
    max_wait_ms: float = 2.0
    """How long crops too few for a batch wait for more while others are being embedded."""
    max_message_bytes: int = MAX_MESSAGE_BYTES
    """The largest message that is read."""
    max_image_bytes: int = DEFAULT_LIMITS.max_bytes
    """The largest picture that is decoded, as a file."""
    max_image_pixels: int = DEFAULT_LIMITS.max_pixels
    """The largest picture that is decoded, in pixels."""
    max_streams: int = 100
    """Calls that one connection may have open at once; further ones wait at the caller."""
    keepalive_seconds: float = 60.0
    """How often an idle connection is tried, and closed if nobody answers within 20 s."""
    receive_seconds: float = 30.0
    """How long a call may take to bring its first request; then it is cut off."""
    idle_seconds: float = 600.0
    """How long a stream may bring no request and take no answer; then it is cut off."""
    reflection: bool = False
    """Tell callers what services there are (for grpcurl and the like)."""
    metrics_address: str = ""
    """HOST:PORT of the metrics for Prometheus; empty means none, port 0 a free one."""
    insecure_metrics: bool = False
    """Allow a metrics address that other machines can reach: plain text, for whoever asks."""
    audit: Path | None = None
    """The file that a line is added to for everything that is asked about people."""
    log_level: LogLevel = "warning"
    """What is logged, as JSON to stderr: debug, info (each call), warning or error."""
    drain_seconds: float = 10.0
    """How long calls that were accepted may go on after the server was told to stop."""
    default_target_fmr: float = 0.01
    """The false match rate of a comparison for which none was asked."""
    default_target_fpir: float = 0.1
    """The false positive identification rate of a search for which none was asked."""
    expire_seconds: float = 3600.0
    """Seconds between two looks at who is due to be forgotten."""

    def __post_init__(self) -> None:
        self._check_ranges()
        self._check_tls()
        if not self.insecure and not is_loopback(self.host):
            self._check_exposed()
        if self.metrics_address and not self.insecure_metrics:
            self._check_metrics()

    def _check_ranges(self) -> None:
        if not self.expire_seconds > 0:
            raise SettingsInvalid(
                f"expire_seconds is {self.expire_seconds}; give the seconds between two looks at "
                "who is due to be forgotten, more than 0"
            )
        for name in AT_LEAST_ONE:
            if not getattr(self, name) >= 1:
                raise SettingsInvalid(f"{name} is {getattr(self, name)}; give 1 or more")
        for name in AT_LEAST_ZERO:
            if not getattr(self, name) >= 0:
                raise SettingsInvalid(f"{name} is {getattr(self, name)}; give 0 or more")
        for name in ("default_target_fmr", "default_target_fpir"):
            if not 0 < getattr(self, name) < 1:
                raise SettingsInvalid(
                    f"{name} is {getattr(self, name)}; an error rate is in (0, 1)"
                )

    def _check_tls(self) -> None:
        if (self.certificate is None) != (self.private_key is None):
            has, lacks = ("certificate", "private_key")[:: 1 if self.certificate else -1]
            raise SettingsInvalid(f"{has} is given without {lacks}; TLS takes both")
        if self.client_ca and not self.certificate:
            raise SettingsInvalid(
                "client_ca is given without certificate and private_key; mutual TLS takes all three"
            )

    def _check_exposed(self) -> None:
        """What other machines can reach is encrypted, and knows who calls."""
        if not self.certificate:
            raise SettingsInvalid(
                f"{self.host} can be reached from other machines, and the traffic, keys included, "
                "is not encrypted; give --certificate and --private-key, listen on 127.0.0.1, or "
                "say --insecure"
            )
        if not self.keys and not self.client_ca:
            raise SettingsInvalid(
                f"{self.host} can be reached from other machines, and anybody may call; give --keys"
                " or --client-ca, listen on 127.0.0.1, or say --insecure"
            )

    def _check_metrics(self) -> None:
        """They tell ids of galleries, and how many people are in each."""
        host, _ = parse_address(self.metrics_address)
        if not is_loopback(host):
            raise SettingsInvalid(
                f"metrics_address: {host} can be reached from other machines, and whoever asks is "
                "told the metrics, unencrypted; listen on 127.0.0.1, or say --insecure-metrics"
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
