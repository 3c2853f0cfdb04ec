"""`mien gallery snapshot`, `restore` and `export`: what goes out of a gallery and comes back."""

from pathlib import Path

import click

from mien.cli.keeping import Place, placed
from mien.cli.options import checked_id, gallery_argument
from mien.cli.plain import line, plain
from mien.cli.policy import as_json

_out = click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A new file; it is there whole or not at all.",
)


@click.command()
@gallery_argument
@_out
@placed
def snapshot(gallery: str, out: Path, place: Place, json: bool) -> None:
    """Write GALLERY as it is now to one file; writes go on meanwhile.

    The file identifies people: keep it as you keep the data directory.
    """
    with place.keeper() as keeper:
        stamp = keeper.snapshot(gallery, out)
    sentence = (
        f"{out}: {stamp.gallery_id} at revision {stamp.revision}, {stamp.subjects} subjects, "
        f"{stamp.samples} samples"
    )
    click.echo(line(plain(stamp)) if json else sentence)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as", "gallery", required=True, callback=checked_id, help="The gallery to make.")
@placed
def restore(file: Path, gallery: str, place: Place, json: bool) -> None:
    """Make a new gallery of FILE, a snapshot.

    Who was deleted after it was taken is enrolled again.
    """
    with place.keeper() as keeper:
        info = keeper.restore(file, gallery)
    sentence = (
        f"restored {info.gallery_id}: {info.subjects} subjects, {info.samples} samples, "
        f"revision {info.revision}"
    )
    click.echo(line(plain(info)) if json else sentence)


@click.command()
@gallery_argument
@click.option("--subject", default="", help="Only this subject.")
@click.option("--embeddings", is_flag=True, help="With the vectors.")
@_out
@placed
def export(
    gallery: str, subject: str, embeddings: bool, out: Path, place: Place, json: bool
) -> None:
    """Write everything that is held of the people of GALLERY, one JSON object a line.

    A line is a mien.v1.SubjectExport in protobuf's JSON, which reads it back.
    """
    from mien.files import created

    subjects = samples = 0
    with place.keeper() as keeper, created(out) as file:
        for held in keeper.export(gallery, subject, embeddings):
            file.write(as_json(held).encode() + b"\n")
            subjects, samples = subjects + 1, samples + len(held.subject.samples)
    fields = {"gallery_id": gallery, "subjects": subjects, "samples": samples}
    sentence = f"{out}: {subjects} subjects, {samples} samples of {gallery}"
    click.echo(line(fields) if json else sentence)
