"""`mien gallery stats`, `fsck` and `expire`: how galleries are."""

from typing import TYPE_CHECKING

import click

from mien.cli.keeping import Place, placed
from mien.cli.options import gallery_argument
from mien.cli.plain import line, plain

if TYPE_CHECKING:
    from mien.v1.maintenance_pb2 import CheckGalleryResponse, GalleryStats

CLEAN, FOUND, DAMAGED = 0, 1, 3
"""Exit statuses of fsck; 2 is a refusal, as of every command."""


@click.command()
@gallery_argument
@placed
def stats(gallery: str, place: Place, json: bool) -> None:
    """What GALLERY holds and how it is searched."""
    with place.keeper() as keeper:
        found = keeper.stats(gallery)
    fields = plain(found)
    click.echo(line({**fields.pop("gallery"), **fields}) if json else _described(found))


@click.command()
@gallery_argument
@click.option("--check-only", is_flag=True, help="Only look; repair nothing.")
@placed
@click.pass_context
def fsck(ctx: click.Context, gallery: str, check_only: bool, place: Place, json: bool) -> None:
    """Compare the store, the index and the saved index of GALLERY; repair what is derived.

    Exit status 0: all is well, 1: something was found (and repaired, where it says so), 3: the
    store itself is damaged; restore a snapshot. The store is looked at with all its galleries.
    With --data an index file that does not fit is made anew on opening, even with --check-only.
    """
    from mien.gallery.condition import is_damage

    with place.keeper() as keeper:
        found = keeper.check(gallery, check_only)
    click.echo(line(plain(found)) if json else _told(gallery, found))
    if any(is_damage(finding.what) for finding in found.findings):
        ctx.exit(DAMAGED)
    ctx.exit(FOUND if found.findings else CLEAN)


@click.command()
@placed
def expire(place: Place, json: bool) -> None:
    """Let go of whoever is due, now rather than at the server's next look; say what went."""
    with place.keeper() as keeper:
        expired = keeper.expire()
    if json:
        click.echo(line(plain(expired)))
        return
    for each in expired.galleries:
        click.echo(
            f"{each.gallery_id}: {each.subjects} subjects and {each.samples} samples went; "
            f"revision {each.revision}"
        )
    if not expired.galleries:
        click.echo("nobody is due")


def _described(found: "GalleryStats") -> str:
    gallery = found.gallery
    index = found.index
    if found.HasField("recall"):
        index += (
            f", {found.probes} of {found.lists} lists opened, recall {found.recall:.4f} measured"
        )
    return "\n".join(
        (
            f"{gallery.gallery_id}: {gallery.subjects} subjects, {gallery.samples} samples, "
            f"revision {gallery.revision}",
            f"model {gallery.model_fingerprint[:12]}, {gallery.dim} values a vector, "
            f"{found.vector_bytes:,} bytes of them",
            f"index: {index}",
        )
    )


def _told(gallery: str, found: "CheckGalleryResponse") -> str:
    lines = [
        f"{finding.what}: {finding.message}{'; repaired' if finding.repaired else ''}"
        for finding in found.findings
    ]
    counted = f"{found.subjects} subjects, {found.samples} samples were looked at"
    return "\n".join([*lines, f"{gallery}: {len(lines)} findings; {counted}"])
