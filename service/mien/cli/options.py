"""Options and types that several commands share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mien.gallery.ids import check_id
from mien.model import built_in

Command = TypeVar("Command", bound=Callable[..., Any])

CONNECTION = "mien.connection"
"""How the names of what a connection takes begin, in a context's `meta`."""


def checked_id(_context: click.Context, parameter: click.Parameter, value: str) -> str:
    """A callback that refuses, before any call, what can be no gallery."""
    check_id(parameter.name or "gallery", value)
    return value


gallery_option = click.option(
    "--gallery", required=True, callback=checked_id, help="The gallery; it must exist."
)
gallery_argument = click.argument("gallery", callback=checked_id)


class BundleType(click.Path):
    """A folder, or the name of a bundle that came with mien."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return built_in.find(Path(os.fsdecode(super().convert(value, param, ctx))))


bundle_type = BundleType()
bundle_argument = click.argument("bundle", type=bundle_type, default=built_in.DEFAULT)

picture_type = click.Path(exists=True, dir_okay=False, path_type=Path)

detector_option = click.option(
    "--detector-model",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The face detector, for a bundle that aligns faces; else as `mien models check` tells.",
)

_address_option = click.option(
    "--server",
    "address",
    default="127.0.0.1:50051",
    show_default=True,
    envvar="MIEN_SERVER",
    help="Where `mien serve` listens, HOST:PORT.",
)


def server_option(command: Command) -> Command:
    """The parameter `address`, and for `mien.cli.connection` what else a connection takes."""
    for option in reversed((_address_option, *_credential_options())):
        command = option(command)
    return command


def _credential_options() -> list[Callable[[Command], Command]]:
    file = click.Path(exists=True, dir_okay=False, path_type=Path)
    return [
        _kept("--tls", is_flag=True, help="Encrypt, and trust the usual authorities."),
        _kept("--tls-ca", type=file, help="Encrypt, and trust the authorities in this PEM file."),
        _kept("--tls-cert", type=file, help="The certificate to show, in PEM (mutual TLS)."),
        _kept("--tls-key", type=file, help="The key of that certificate, in PEM."),
        _kept("--api-key-file", type=file, help="A file of the API key; else MIEN_API_KEY is it."),
        _kept("--insecure", is_flag=True, help="Send the API key unencrypted if need be."),
    ]


def _kept(name: str, **attributes: Any) -> Callable[[Command], Command]:
    """An option that no command takes as a parameter: it is for the connection."""

    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        context.meta[f"{CONNECTION}.{parameter.name}"] = value

    variable = None if name == "--insecure" else "MIEN_" + name[2:].replace("-", "_").upper()
    return click.option(name, expose_value=False, callback=keep, envvar=variable, **attributes)


threshold_option = click.option(
    "--threshold", type=click.FloatRange(-1, 1), help="A raw similarity instead of an error rate."
)

json_option = click.option("--json", is_flag=True, help="Print JSON.")

detector_option = click.option(
    "--detector-model",
    type=click.Path(path_type=Path),
    help="The face detector's file; the one that `mien models fetch yunet` brought, if left out.",
)
