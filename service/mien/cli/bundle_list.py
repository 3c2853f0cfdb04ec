"""`mien bundle list`."""

import json as jsons
from typing import Any

import click

from mien.cli.options import json_option


@click.command("list")
@json_option
def list_bundles(json: bool) -> None:
    """List the bundles that came with mien: what they are, their licence, and where they lie."""
    from mien.model import built_in
    from mien.model.bundle import load

    found = [_told(load(built_in.FOLDER / name)) for name in built_in.names()]
    if json:
        click.echo(jsons.dumps(found))
    elif not found:
        click.echo("no bundle came with this installation of mien")
    else:
        click.echo("\n".join(map(_line, found)))


def _told(bundle: Any) -> dict[str, Any]:
    from mien.model import built_in
    from mien.model.summary import summary

    whole = summary(bundle)
    kept = ("name", "fingerprint", "crop", "alignment", "dim", "precision", "license")
    return {
        **{key: whole[key] for key in kept},
        "bytes": sum(whole["bytes"].values()),
        "folder": str(bundle.folder),
        "default": bundle.folder.name == built_in.DEFAULT,
    }


def _line(told: dict[str, Any]) -> str:
    crop = told["crop"]
    default = ", taken where none is named" if told["default"] else ""
    return (
        f"{told['name']}  {told['fingerprint'][:12]}  crops of {crop['height']}×{crop['width']} "
        f"({told['alignment']})  {told['dim']} numbers  {told['bytes'] / 1e6:.1f} MB  "
        f"{told['license']}  {told['folder']}{default}"
    )
