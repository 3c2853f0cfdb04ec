"""`mien verify`."""

from pathlib import Path

import click

from mien.cli.faces import (
    Target,
    multi_face_option,
    multi_face_policy,
    near_limits,
    read_picture,
    target_option,
)
from mien.cli.options import json_option, picture_type, server_option, threshold_option
from mien.cli.policy import as_json, describe, policy


@click.command()
@click.argument("a", type=picture_type)
@click.argument("b", type=picture_type)
@click.option("--target-fmr", type=float, help="False match rate that you accept, in (0, 1).")
@threshold_option
@multi_face_option(["reject", "largest"], "reject")
@target_option("--target-a", "in A")
@target_option("--target-b", "in B")
@json_option
@server_option
@click.pass_context
def verify(
    ctx: click.Context,
    a: Path,
    b: Path,
    target_fmr: float | None,
    threshold: float | None,
    multi_face: str | None,
    target_a: Target | None,
    target_b: Target | None,
    json: bool,
    address: str,
) -> None:
    """Are pictures A and B the same person? Exit status 0: yes, 1: no, 2: not answered."""
    from mien.cli.connection import connect
    from mien.matching.decision import TargetFMR

    asked = policy(TargetFMR, target_fmr, threshold, "--target-fmr")
    with connect(address) as client:
        response = client.verify(
            read_picture(a, target_a),
            read_picture(b, target_b),
            asked,
            multi_face=multi_face_policy(multi_face),
        )
    verdict = "same" if response.match else "different"
    sentence = f"{verdict}: similarity {response.score.similarity:.4f}, "
    click.echo(as_json(response) if json else sentence + describe(response.applied))
    if not json:
        for path, quality in zip((a, b), response.quality, strict=False):
            if told := near_limits(quality):
                click.echo(f"note: {path} is {told}", err=True)
    ctx.exit(0 if response.match else 1)
