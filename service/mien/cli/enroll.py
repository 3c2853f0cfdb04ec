"""`mien enroll`."""

from pathlib import Path

import click

from mien.cli.options import gallery_option, server_option


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@gallery_option
@server_option
def enroll(folder: Path, gallery: str, address: str) -> None:
    """Enrol every picture of FOLDER/<subject>/<picture>.

    All pictures are read before the first is sent, so a bad one leaves the gallery as it was.
    Enrolling a folder again adds only what is new, also after an interruption.
    """
    from tqdm import tqdm

    from mien import dataset
    from mien.cli.connection import connect
    from mien.gallery.ids import check_id

    people = dataset.scan(folder)
    for person in people:
        check_id("subject", person.name)
    pictures = [(person.name, path) for person in people for path in person.pictures]
    with connect(address) as client:
        client.get_gallery(gallery)
        for _, path in tqdm(pictures, desc="read", unit="picture", disable=None):
            dataset.read(path)
        known = 0
        for subject, path in tqdm(pictures, desc="enrol", unit="picture", disable=None):
            known += client.enroll(gallery, subject, path.read_bytes()).already_existed
        info = client.get_gallery(gallery)
    click.echo(
        f"enrolled {len(pictures) - known} pictures of {len(people)} subjects, {known} known "
        f"already; {gallery} has {info.subjects} subjects, {info.samples} samples"
    )
