"""`mien gallery`."""

import click

from mien.cli.group import Group
from mien.cli.options import json_option, server_option
from mien.cli.policy import as_json


@click.group(cls=Group)
def gallery() -> None:
    """Create, list and delete galleries."""


@gallery.command()
@click.argument("name")
@server_option
def create(name: str, address: str) -> None:
    """Create an empty gallery, bound to the model that is served."""
    from mien.client import Client

    with Client(address) as client:
        info = client.create_gallery(name)
    click.echo(f"created {info.gallery_id}, bound to model {info.model_fingerprint[:12]}")


@gallery.command("list")
@json_option
@server_option
def list_galleries(json: bool, address: str) -> None:
    """List the galleries with their counts; with --json, one object a line."""
    from mien.client import Client

    with Client(address) as client:
        for info in client.galleries():
            line = f"{info.gallery_id}  {info.subjects} subjects, {info.samples} samples"
            click.echo(as_json(info) if json else line)


@gallery.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@server_option
def delete(name: str, yes: bool, address: str) -> None:
    """Delete a gallery and everybody in it."""
    from mien.client import Client

    with Client(address) as client:
        info = client.get_gallery(name)
        if not yes:
            click.confirm(f"delete {name} with its {info.subjects} subjects?", abort=True)
        receipt = client.delete_gallery(name)
    click.echo(f"deleted {name}: {receipt.samples_deleted} samples")
