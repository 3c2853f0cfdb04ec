"""Whole photographs to a folder of crops that a network learns from: `mien-train prepare`.

The crops are cut by `mien.vision.cropper`, as the service will cut them. `prepare.jsonl` in the
folder of crops is a ledger: its first line says how they were made, and each line after it what
became of one picture. A run that was killed goes on from it.
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from mien.dataset import Person, scan
from mien.errors import InvalidArgument, OutputExists
from mien.files import replaced
from mien.vision.cropper import Cropper, Cut
from mien.vision.faces import Detector
from mien.vision.images import RGB
from mien.vision.selection import OneFace

LEDGER = "prepare.jsonl"
CROPPED, UNREADABLE = "CROPPED", "UNREADABLE"
"""Outcomes of a picture; the others are reasons of MienError."""
AT_A_TIME = 256
"""Pictures handed to the threads at once, so that a folder of a million needs no more memory."""


@dataclass(frozen=True)
class Order:
    """What is asked for."""

    size: tuple[int, int] = (112, 112)
    """Height and width of a crop."""
    multi_face: OneFace = "reject"
    jobs: int = 2
    """Pictures worked on at a time."""


DEFAULT = Order()


@dataclass(frozen=True)
class Way:
    """How crops are made. Another way needs another folder."""

    height: int
    width: int
    detector: str
    multi_face: OneFace
    alignment: str = "arcface-5"
    mien: str = field(default_factory=lambda: version("mien"))


@dataclass(frozen=True)
class Job:
    """One picture and where its crop goes."""

    name: str
    """"person/file"."""
    source: Path
    crop: Path


@dataclass(frozen=True)
class Entry:
    """What became of a picture: a line of the ledger."""

    picture: str
    sha256: str
    outcome: str
    message: str = ""
    warnings: tuple[str, ...] = ()
    quality: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Prepared:
    """What became of a folder."""

    outcomes: Mapping[str, int]
    """Pictures by outcome."""
    known: int
    """Of them, those of which an earlier run told the same."""
    people: int
    without_crop: tuple[str, ...]
    """People none of whose pictures gave a crop."""
    orphans: int
    """Pictures of the ledger that are gone from the folder; their crops are still there."""

    @property
    def pictures(self) -> int:
        return sum(self.outcomes.values())

    @property
    def cropped(self) -> int:
        return self.outcomes.get(CROPPED, 0)


def prepare(folder: Path, out: Path, detector: Detector, order: Order = DEFAULT) -> Prepared:
    """Cut the face out of every picture of `<folder>/<person>/`, into `<out>/<person>/`, as PNG.

    What is finished and unchanged is not done again.

    Raises DatasetInvalid as `mien.dataset.scan`, and OutputExists: `out` holds something else, or
    crops that were made otherwise.
    """
    people = scan(folder)
    way = Way(*order.size, detector.name, order.multi_face)
    cropper = Cropper(*order.size, "arcface-5", detector)
    work = [job for person in people for job in _jobs(person, out)]
    known = _open_ledger(out, way)
    entries: list[Entry] = []
    with (
        (out / LEDGER).open("a", encoding="utf-8") as ledger,
        tqdm(total=len(work), desc="prepare", unit="picture", disable=None) as bar,
    ):
        for entry in _done(work, cropper, order, known):
            if known.get(entry.picture) != entry:
                ledger.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
                ledger.flush()
            entries.append(entry)
            bar.update()
    return _summary(people, entries, known)


def _jobs(person: Person, out: Path) -> Iterator[Job]:
    """`a.jpg` becomes `a.png`, and where there is an `a.bmp` too, `a.jpg.png`."""
    stems = Counter(path.stem.casefold() for path in person.pictures)
    for path in person.pictures:
        stem = path.stem if stems[path.stem.casefold()] == 1 else path.name
        yield Job(f"{person.name}/{path.name}", path, out / person.name / f"{stem}.png")


def _done(
    work: Sequence[Job], cropper: Cropper, order: Order, known: Mapping[str, Entry]
) -> Iterator[Entry]:
    """In order; what decodes, detects and aligns lets go of Python's lock, so threads do."""
    with ThreadPoolExecutor(order.jobs, thread_name_prefix="prepare") as pool:
        for start in range(0, len(work), AT_A_TIME):
            yield from pool.map(
                lambda job: _one(job, cropper, order.multi_face, known.get(job.name)),
                work[start : start + AT_A_TIME],
            )


def _one(job: Job, cropper: Cropper, multi_face: OneFace, before: Entry | None) -> Entry:
    try:
        content = job.source.read_bytes()
    except OSError as error:
        return _refused(job, Entry(job.name, "", UNREADABLE, error.strerror or str(error)))
    sha256 = hashlib.sha256(content).hexdigest()
    if before and before.sha256 == sha256 and job.crop.is_file() == (before.outcome == CROPPED):
        return before
    try:
        (cut,) = cropper.cut(content, multi_face).taken
    except InvalidArgument as error:
        return _refused(job, Entry(job.name, sha256, error.reason, str(error)))
    job.crop.parent.mkdir(parents=True, exist_ok=True)
    with replaced(job.crop) as file:
        file.write(_png(cut.crop))
    return _cropped(job, sha256, cut)


def _refused(job: Job, entry: Entry) -> Entry:
    """A crop of what the file was before would be taken for a crop of what it is."""
    job.crop.unlink(missing_ok=True)
    return entry


def _cropped(job: Job, sha256: str, cut: Cut) -> Entry:
    quality = asdict(cut.quality) if cut.quality else {}
    return Entry(
        picture=job.name,
        sha256=sha256,
        outcome=CROPPED,
        warnings=tuple(warning.reason for warning in cut.warnings),
        quality={name: round(value, 4) for name, value in quality.items()},
    )


def _png(crop: RGB) -> bytes:
    file = io.BytesIO()
    Image.fromarray(crop).save(file, "PNG")
    return file.getvalue()


def _open_ledger(out: Path, way: Way) -> dict[str, Entry]:
    """The entries of earlier runs, by picture; a new ledger where there is none.

    A last line that a kill cut short is taken off.
    """
    path = out / LEDGER
    if not path.exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise OutputExists(f"{out} has no {LEDGER} but something else; choose another folder")
        out.mkdir(parents=True, exist_ok=True)
        with replaced(path) as file:
            file.write(json.dumps(asdict(way)).encode() + b"\n")
        return {}
    lines = path.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        with replaced(path) as file:
            file.writelines(lines[:-1])
        lines.pop()
    return _entries(path, lines, way)


def _entries(path: Path, lines: Sequence[bytes], way: Way) -> dict[str, Entry]:
    try:
        first, *rest = [json.loads(line) for line in lines]
        entries = [_entry(line) for line in rest]
    except (ValueError, TypeError) as error:
        raise OutputExists(f"{path} is damaged ({error}); choose another folder") from None
    if first != asdict(way):
        changed = [key for key, value in asdict(way).items() if first.get(key) != value]
        told = ", ".join(f"{key} was {first.get(key)!r}" for key in changed)
        raise OutputExists(
            f"{path.parent} holds crops that were made otherwise ({told}); choose another folder"
        )
    return {entry.picture: entry for entry in entries}


def _entry(line: dict[str, Any]) -> Entry:
    return Entry(**line | {"warnings": tuple(line["warnings"])})


def _summary(
    people: Sequence[Person], entries: Sequence[Entry], known: Mapping[str, Entry]
) -> Prepared:
    with_crop = {entry.picture.partition("/")[0] for entry in entries if entry.outcome == CROPPED}
    now = {entry.picture for entry in entries}
    return Prepared(
        outcomes=dict(Counter(entry.outcome for entry in entries).most_common()),
        known=sum(known.get(entry.picture) == entry for entry in entries),
        people=len(people),
        without_crop=tuple(p.name for p in people if p.name not in with_crop),
        orphans=len(known.keys() - now),
    )
