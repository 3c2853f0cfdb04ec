"""`mien serve`."""

import os
import signal
import threading
import warnings
from pathlib import Path

import click


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path("mien-data"),
    show_default=True,
    help="Where the galleries are kept.",
)
@click.option(
    "--address",
    default="127.0.0.1:50051",
    show_default=True,
    envvar="MIEN_ADDRESS",
    help="HOST:PORT to listen on; port 0 takes a free one.",
)
@click.option("--insecure", is_flag=True, help="Allow an address that other machines can reach.")
@click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Cores for one network call; 0 means all.",
)
@click.option(
    "--expire-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=3600.0,
    show_default=True,
    help="Seconds between two looks at who is due to be forgotten.",
)
def serve(
    bundle: Path, data: Path, address: str, insecure: bool, threads: int, expire_seconds: float
) -> None:
    """Serve BUNDLE over gRPC until SIGTERM or Ctrl-C."""
    # The core would print its own account of a port in use beside ours; set it to see more.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from mien.server.server import Server
    from mien.server.settings import Settings, parse_address

    host, port = parse_address(address)
    settings = Settings(
        bundle, data, host, port, insecure=insecure, threads=threads, expire_seconds=expire_seconds
    )
    warnings.filterwarnings("ignore", module="PIL")  # of odd pictures, one line each, for ever
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    with Server(settings) as server:
        manifest = server.pipeline.bundle.manifest
        click.echo(
            f"serving {manifest.name} ({manifest.fingerprint[:12]}) on {host}:{server.port}, "
            f"galleries in {data}"
        )
        told.wait()
