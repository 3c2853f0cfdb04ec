"""`mien health`."""

import click

from mien.cli.options import server_option


@click.command()
@server_option
@click.pass_context
def health(ctx: click.Context, address: str) -> None:
    """Ask a server whether it serves (grpc.health.v1). Exit status 0: yes, 1: no."""
    from mien.cli.connection import connect

    with connect(address, deadline=5) as client:
        serving = client.is_serving()
    click.echo("serving" if serving else "not serving")
    ctx.exit(0 if serving else 1)
