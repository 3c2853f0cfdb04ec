"""Enrol people from a folder, `<person>/<picture>`, and look for somebody.

python -m examples.api.sync_client 127.0.0.1:50051 FOLDER PICTURE
"""

import sys
from pathlib import Path

from mien.client import Client, enrolment
from mien.errors import GalleryExists, MienError

GALLERY = "example"


def enrol(client: Client, folder: Path) -> None:
    """All pictures in one stream; it goes on by itself if the server is restarted."""
    samples = (
        enrolment(GALLERY, path.parent.name, path.read_bytes(), source=path.name)
        for path in sorted(folder.glob("*/*"))
    )
    for answer in client.enroll_batch(samples):
        response = answer.response
        if response.HasField("rejected"):
            print(f"{answer.seq}: refused: {response.rejected.message}")
        elif response.near_subjects:
            print(f"{answer.seq}: also looks like {response.near_subjects[0].subject_id}")


def look_for(client: Client, picture: Path) -> None:
    """Who it is, by the server's default FPIR, and what that rests on."""
    response = client.identify(GALLERY, picture.read_bytes(), explain=True)
    for face in response.faces:
        best = face.candidates[0]
        print(
            f"{best.subject_id if face.identified else 'nobody'}: similarity "
            f"{best.score.similarity:.3f}, threshold {response.applied.threshold:.3f}, "
            f"then {face.explanation.nearest_other_subject_id or 'nobody'}"
        )


def main(address: str, folder: str, picture: str) -> None:
    with Client(address) as client:
        try:
            client.create_gallery(GALLERY)
        except GalleryExists:
            print("the gallery is there already")
        enrol(client, Path(folder))
        look_for(client, Path(picture))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except MienError as error:
        sys.exit(f"{error.reason}: {error}")
