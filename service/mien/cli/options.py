"""Options and types that several commands share."""

from pathlib import Path

import click

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
