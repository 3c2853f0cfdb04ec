"""`mien verify`."""

from pathlib import Path

import click

from mien.cli.options import json_option, picture_type, server_option, threshold_option
from mien.cli.policy import as_json, describe, policy


@click.command()
@click.argument("a", type=picture_type)
@click.argument("b", type=picture_type)
@click.option("--target-fmr", type=float, help="False match rate that you accept, in (0, 1).")
@threshold_option
@json_option
@server_option
@click.pass_context
def verify(
    ctx: click.Context,
    a: Path,
    b: Path,
    target_fmr: float | None,
    threshold: float | None,
    json: bool,
    address: str,
) -> None:
    """Are pictures A and B the same person? Exit status 0: yes, 1: no, 2: not answered."""
    from mien.cli.connection import connect
    from mien.matching.decision import TargetFMR

    asked = policy(TargetFMR, target_fmr, threshold, "--target-fmr")
    with connect(address) as client:
        response = client.verify(a.read_bytes(), b.read_bytes(), asked)
    verdict = "same" if response.match else "different"
    sentence = f"{verdict}: similarity {response.score.similarity:.4f}, "
    click.echo(as_json(response) if json else sentence + describe(response.applied))
    ctx.exit(0 if response.match else 1)
