"""`mien keys`."""

import json as json_format
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien.cli.group import Group
from mien.cli.options import json_option

if TYPE_CHECKING:
    from mien.server.access.keys import Key

ROLES = ("verify", "enroll", "admin")
"""`mien.server.access.keys.Role`; named here so that `--help` need not import it."""

file_option = click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    envvar="MIEN_KEYS",
    help="The file of keys that `mien serve --keys` reads.",
)


@click.group(cls=Group)
def keys() -> None:
    """Make, list and revoke API keys. A running server notices within seconds."""


@keys.command()
@file_option
@click.option(
    "--role",
    "roles",
    type=click.Choice(ROLES),
    multiple=True,
    required=True,
    help="What it allows for; may be repeated, since none includes another.",
)
@click.option("--gallery", "galleries", multiple=True, help="Only for these; may be repeated.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="It expires then.")
@click.option("--note", default="", help="What it is for.")
def create(
    path: Path, roles: tuple[str, ...], galleries: tuple[str, ...], days: float | None, note: str
) -> None:
    """Make a key. It is printed once, to stdout, and kept nowhere: only its hash is."""
    from mien.server.access.keys import Role
    from mien.server.access.keys import create as create_key

    expires = datetime.now(UTC) + timedelta(days=days) if days else None
    scope = frozenset(galleries) if galleries else None
    key, text = create_key(path, frozenset(map(Role, roles)), scope, expires, note)
    click.echo(f"made {_described(key)}", err=True)
    click.echo(text)


@keys.command("list")
@file_option
@json_option
def list_keys(path: Path, json: bool) -> None:
    """List the keys, without what they are; with --json, one object a line."""
    from mien.server.access.keys import read

    for key in read(path).values():
        shown = key.model_dump(mode="json", exclude={"sha256"})
        click.echo(json_format.dumps(shown) if json else _described(key))


@keys.command()
@file_option
@click.argument("key_id")
def revoke(path: Path, key_id: str) -> None:
    """Refuse a key from now on, by its id: the second part of mien_ID_SECRET."""
    from mien.server.access.keys import revoke as revoke_key

    click.echo(f"revoked {_described(revoke_key(path, key_id))}")


def _described(key: "Key") -> str:
    """One line."""
    scope = "all galleries" if key.galleries is None else ", ".join(sorted(key.galleries))
    expiry = "never expires"
    if key.expires:
        word = "expired" if key.is_expired(datetime.now(UTC)) else "expires"
        expiry = f"{word} {key.expires:%Y-%m-%d %H:%M} UTC"
    note = f"  {key.note}" if key.note else ""
    return f"{key.id}  {', '.join(sorted(key.roles))}  {scope}  {expiry}{note}"
