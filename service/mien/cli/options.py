"""Options and types that several commands share."""

from pathlib import Path

import click

from mien.gallery.ids import check_id


def checked_id(_context: click.Context, parameter: click.Parameter, value: str) -> str:
    """A callback that refuses, before any call, what can be no gallery."""
    check_id(parameter.name or "gallery", value)
    return value


gallery_option = click.option(
    "--gallery", required=True, callback=checked_id, help="The gallery; it must exist."
)
gallery_argument = click.argument("gallery", callback=checked_id)

picture_type = click.Path(exists=True, dir_okay=False, path_type=Path)

server_option = click.option(
    "--server",
    "address",
    default="127.0.0.1:50051",
    show_default=True,
    envvar="MIEN_SERVER",
    help="Where `mien serve` listens, HOST:PORT.",
)

threshold_option = click.option(
    "--threshold", type=click.FloatRange(-1, 1), help="A raw similarity instead of an error rate."
)

json_option = click.option("--json", is_flag=True, help="Print JSON.")

detector_option = click.option(
    "--detector-model",
    type=click.Path(path_type=Path),
    help="The face detector's file; the one that `mien models fetch yunet` brought, if left out.",
)
