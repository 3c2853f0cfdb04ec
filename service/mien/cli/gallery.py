"""`mien gallery`."""

import click

from mien.cli.gallery_absence import prove_absent
from mien.cli.gallery_condition import expire, fsck, stats
from mien.cli.gallery_copies import export, restore, snapshot
from mien.cli.gallery_duplicates import duplicates
from mien.cli.group import Group
from mien.cli.options import gallery_argument, json_option, server_option
from mien.cli.policy import as_json


@click.group(cls=Group)
def gallery() -> None:
    """Create, list, check, copy and delete galleries."""


for command in (stats, fsck, snapshot, restore, export, duplicates, prove_absent, expire):
    gallery.add_command(command)


@gallery.command()
@gallery_argument
@server_option
def create(gallery: str, address: str) -> None:
    """Create an empty gallery, bound to the model that is served."""
    from mien.cli.connection import connect

    with connect(address) as client:
        info = client.create_gallery(gallery)
    click.echo(f"created {info.gallery_id}, bound to model {info.model_fingerprint[:12]}")


@gallery.command("list")
@json_option
@server_option
def list_galleries(json: bool, address: str) -> None:
    """List the galleries with their counts; with --json, one object a line."""
    from mien.cli.connection import connect

    with connect(address) as client:
        for info in client.galleries():
            line = f"{info.gallery_id}  {info.subjects} subjects, {info.samples} samples"
            click.echo(as_json(info) if json else line)


@gallery.command()
@gallery_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@server_option
def delete(gallery: str, yes: bool, address: str) -> None:
    """Delete a gallery and everybody in it."""
    from mien.cli.connection import connect

    with connect(address) as client:
        info = client.get_gallery(gallery)
        if not yes:
            click.confirm(f"delete {gallery} with its {info.subjects} subjects?", abort=True)
        receipt = client.delete_gallery(gallery)
    click.echo(f"deleted {gallery}: {receipt.samples_deleted} samples")
