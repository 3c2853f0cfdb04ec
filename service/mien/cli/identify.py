"""`mien identify`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien.cli.faces import (
    Target,
    multi_face_option,
    multi_face_policy,
    near_limits,
    read_picture,
    target_option,
)
from mien.cli.options import (
    gallery_option,
    json_option,
    picture_type,
    server_option,
    threshold_option,
)
from mien.cli.policy import as_json, describe, policy

if TYPE_CHECKING:
    from mien.v1.match_pb2 import IdentifyResponse
    from mien.v1.probe_pb2 import Box


@click.command()
@click.argument("picture", type=picture_type)
@gallery_option
@click.option(
    "--target-fpir", type=float, help="Share of strangers that may be taken for somebody."
)
@click.option(
    "--candidates",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    help="How many subjects to show.",
)
@threshold_option
@multi_face_option(["reject", "largest", "all"], "all are searched for")
@target_option("--target", "that is searched for")
@json_option
@server_option
@click.pass_context
def identify(
    ctx: click.Context,
    picture: Path,
    gallery: str,
    target_fpir: float | None,
    candidates: int,
    threshold: float | None,
    multi_face: str | None,
    target: Target | None,
    json: bool,
    address: str,
) -> None:
    """Who in a gallery is on PICTURE? Exit status 0: somebody, 1: nobody, 2: not answered."""
    from mien.cli.connection import connect
    from mien.matching.decision import TargetFPIR

    asked = policy(TargetFPIR, target_fpir, threshold, "--target-fpir")
    with connect(address) as client:
        response = client.identify(
            gallery,
            read_picture(picture, target),
            asked,
            candidates,
            multi_face=multi_face_policy(multi_face),
        )
    click.echo(as_json(response) if json else _lines(response))
    ctx.exit(0 if any(face.identified for face in response.faces) else 1)


def _lines(response: "IdentifyResponse") -> str:
    lines = [describe(response.applied)]
    for face in response.faces:
        verdict = "identified" if face.identified else "nobody in the gallery"
        told = near_limits(face.quality)
        place = _place(face.box) if face.HasField("box") else ""
        lines.append(verdict + place + (f", {told}" if told else ""))
        lines += [
            f"{candidate.rank:3d}  {candidate.score.similarity:7.4f}  "
            f"{'*' if candidate.accepted else ' '} {candidate.subject_id}"
            for candidate in face.candidates
        ]
    lines += [
        f"not searched for{_place(refused.box)}: {refused.rejected.message}"
        for refused in response.refused
    ]
    return "\n".join(lines)


def _place(box: "Box") -> str:
    """Where a face's middle is in the picture."""
    return f", the face at {box.left + box.width / 2:.0%} × {box.top + box.height / 2:.0%}"
