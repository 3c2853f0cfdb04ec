"""Sources made by code, and enrolling them in this process."""

import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mien.client import Client
from mien.enrolling.directory import Directory
from mien.enrolling.ledger import Ledger, Row
from mien.enrolling.options import Options
from mien.enrolling.place import Place
from mien.enrolling.run import Run
from mien.enrolling.service import Service
from mien.enrolling.source import Source
from mien.errors import GalleryExists
from mien.gallery.galleries import Galleries
from mien.model.bundle import Bundle
from tests.faces import encoded, folder_of_people

GALLERY = "staff"
FMR = 0.06
"""What a calibration on the 40 people of the tests' bundle supports."""


@dataclass
class Count:
    """A progress bar that only counts."""

    done: int = 0

    def update(self) -> None:
        self.done += 1


@dataclass
class Enrolling:
    """A data directory, a ledger beside it, and runs of one source into it."""

    folder: Path
    bundle: Bundle
    notes: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    def run(self, source: Path, options: Options | None = None) -> list[Row]:
        """What became of everything in the source, in its order."""
        options = options or Options()
        with (
            Directory(self.data, GALLERY, self.bundle, options, create=True) as place,
            Ledger(self.ledger) as ledger,
        ):
            with suppress(GalleryExists):
                place.create()
            return self.go(source, place, ledger, options)

    def serve(self, address: str, source: Path, options: Options | None = None) -> list[Row]:
        """The same over a server."""
        options = options or Options()
        with Client(address) as client, Ledger(self.ledger) as ledger:
            return self.go(source, Service(client, GALLERY, options), ledger, options)

    def go(self, source: Path, place: Place, ledger: Ledger, options: Options) -> list[Row]:
        run = Run(ledger, place, options, Count())
        try:
            run.go(Source(source).items())
        finally:
            self.notes = run.notes
        return list(ledger.walk())

    def held(self) -> dict[str, object]:
        return held(self.data)


def held(data: Path) -> dict[str, object]:
    """Everybody in the gallery: what is said of them, and their samples by content."""
    with Galleries(data) as galleries:
        return {
            subject.subject_id: (
                subject.display_name,
                dict(subject.labels),
                subject.consent_ref,
                sorted(
                    (each.content_sha256, each.source, each.expires)
                    for each in galleries.get_subject(GALLERY, subject.subject_id).samples
                ),
            )
            for subject in galleries.subjects(GALLERY, limit=1000)
        }


def outcomes(rows: list[Row]) -> dict[str, str]:
    """What became of each, by name: the reason where there is one."""
    return {row.key: row.refusal.reason if row.refusal else str(row.outcome) for row in rows}


def mixed(folder: Path, people: int = 6, shots: int = 4) -> Path:
    """Sound pictures, and one of each kind that is doubtful or none."""
    folder_of_people(folder, people, shots)
    (folder / "person-0").rename(folder / "Zoë Ødegård")
    (folder / "person-1" / "broken.jpg").write_bytes(b"no picture")
    (folder / "person-1" / "notes.txt").write_text("not looked at")
    shutil.copy(folder / "person-2" / "0.png", folder / "person-2" / "again.png")
    shutil.copy(folder / "person-2" / "1.png", folder / "person-3" / "of-another.png")
    (folder / "person-4" / "stranger.png").write_bytes(encoded(77, 0))
    return folder


def altered(folder: Path) -> Path:
    """The same source, later: somebody gone, a picture gone, one changed, one new."""
    shutil.rmtree(folder / "person-5")
    (folder / "person-3" / "3.png").unlink()
    (folder / "person-1" / "0.png").write_bytes(encoded(1, 50))
    (folder / "person-1" / "new.png").write_bytes(encoded(1, 51))
    return folder
