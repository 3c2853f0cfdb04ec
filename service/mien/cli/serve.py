"""`mien serve`."""

import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mien.model.bundle import Bundle
    from mien.server.settings import Settings


ARENAS = 2
"""For all threads together."""
LOOK_SECONDS = 0.1
"""How often it is looked whether a signal came."""


class SettingsCommand(click.Command):
    """A command with a flag for every setting, made when it is needed: `mien --help` imports none.

    A flag takes text, and `mien.server.sources` reads it, as it reads the environment.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        *own, help_option = super().get_params(ctx)
        return [*own, *_flags(), help_option]


def _flags() -> list[click.Parameter]:
    from mien.server.sources import keys

    return [_flag(key) for key in keys() if key != "bundle"]


def _flag(key: str) -> click.Option:
    from mien.server.sources import default, described, flag

    name, value, about = flag(key), default(key), described(key)
    if isinstance(value, bool):
        switch = f"{name}/--no-{name.removeprefix('--')}"
        return click.Option([switch, key], default=None, help=about)
    if value not in (None, ""):
        about += f"  [default: {value}]"
    return click.Option([name, key], default=None, help=about)


@click.command(cls=SettingsCommand)
@click.argument("bundle", type=click.Path(path_type=Path), required=False)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="MIEN_CONFIG",
    help="A TOML file of settings.",
)
@click.option(
    "--show-settings", is_flag=True, help="Print every setting and where it comes from, and end."
)
def serve(config: Path | None, show_settings: bool, **flags: Any) -> None:
    """Serve BUNDLE over gRPC until SIGTERM or Ctrl-C; the built-in mien-s if none is named.

    Every setting can also be a key of a TOML file (max_streams) and a variable of the environment
    (MIEN_MAX_STREAMS). Flags come before the environment, and that before the file.
    """
    from mien.server.memory import begin_in_large_pages
    from mien.server.sources import load

    begin_in_large_pages()  # before the file of settings is read, which may be a pipe
    loaded = load(config, os.environ, flags)
    if show_settings:
        click.echo("\n".join(loaded.lines()))
        return
    run(loaded.settings)


def run(settings: "Settings") -> None:
    """Serve until a signal says to stop."""
    # The core would print its own account of a port in use beside ours; set it to see more.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from mien.server.memory import share_arenas
    from mien.server.observing.logs import log_to
    from mien.server.server import Server

    share_arenas(ARENAS)
    log_to(sys.stderr, settings.log_level)
    warnings.filterwarnings("ignore", module="PIL")  # of odd pictures, one line each, for ever
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda given, _frame: told.append(given))
    with Server(settings) as server:
        manifest = server.pipeline.bundle.manifest
        _tell_licence(server.pipeline.bundle)
        click.echo(
            f"serving {manifest.name} ({manifest.fingerprint[:12]}) on "
            f"{settings.host}:{server.port}, galleries in {settings.data}"
        )
        # The kernel may give the signal to any thread, and then nothing wakes this one, which alone
        # runs handlers; nor may a handler take a lock that it interrupted somebody with.
        while not told:
            time.sleep(LOOK_SECONDS)


def _tell_licence(bundle: "Bundle") -> None:
    """Of a bundle that nobody chose, who serves it may not know what it may be used for."""
    from mien.model.built_in import is_built_in

    if is_built_in(bundle.folder):
        click.echo(
            f"{bundle.manifest.name} came with mien; the licence of its weights: "
            f"{bundle.manifest.license} ({bundle.folder / 'MODEL_CARD.md'})",
            err=True,
        )
