"""What can be done to galleries, each both to real ones (`run`) and to a world (`apply`).

`apply` returns what `told` makes of the real answer, and raises the same classes of errors.
"""

import json
from dataclasses import asdict, dataclass, is_dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Self

from mien.errors import GalleryExists, MienError, OutputExists
from mien.gallery.galleries import Galleries
from mien.gallery.records import (
    About,
    Changed,
    Deletion,
    Enrolled,
    Enrolment,
    Expired,
    GalleryInfo,
    Retention,
    Stamp,
    SubjectChange,
)
from tests.gallery.looks import DIM, MODEL
from tests.gallery.world import Kept, Person, Shelf, World, content, look


@dataclass(frozen=True)
class Operation:
    """`kind` names it; `removes` something; `again` is what repeating it without an id raises."""

    kind: ClassVar[str]
    removes: ClassVar[bool] = False
    again: ClassVar[type[MienError] | None] = None
    request_id: str = ""

    def prepared(self, galleries: Galleries) -> Self:
        """The same with the ids filled in that only the galleries know."""
        del galleries
        return self

    def run(self, galleries: Galleries) -> object:
        raise NotImplementedError

    def apply(self, world: World) -> object:
        raise NotImplementedError

    def told(self, answer: object) -> object:
        """What of an answer a world can foretell."""
        raise NotImplementedError

    def outcomes(self, world: World) -> list[World]:
        """What may be there if it was cut short, from the first of its steps to the last."""
        after = world.copy()
        self.apply(after)
        return [after]


@dataclass(frozen=True)
class Create(Operation):
    kind = "create"
    gallery_id: str = ""
    max_age: timedelta | None = None

    def run(self, galleries: Galleries) -> GalleryInfo:
        kept = Retention(max_age=self.max_age)
        return galleries.create(
            self.gallery_id, MODEL, DIM, retention=kept, request_id=self.request_id
        )

    def apply(self, world: World) -> int:
        return world.create(self.gallery_id, self.max_age).revision

    def told(self, answer: object) -> int:
        assert isinstance(answer, GalleryInfo)
        return answer.revision


@dataclass(frozen=True)
class Item:
    """A sample to enrol, and what is said with it."""

    subject_id: str
    number: int
    labels: tuple[tuple[str, str], ...] = ()
    expires: datetime | None = None

    def enrolment(self, request_id: str) -> Enrolment:
        about = About(labels=dict(self.labels), expires=self.expires)
        return Enrolment(
            self.subject_id, look(self.number), content(self.number), about, request_id
        )


@dataclass(frozen=True)
class EnrollMany(Operation):
    kind = "enroll_many"
    gallery_id: str = ""
    items: tuple[Item, ...] = ()

    def run(self, galleries: Galleries) -> list[Enrolled]:
        ids = [f"{self.request_id}-{number}" for number in range(len(self.items))]
        enrolments = [
            item.enrolment(each if self.request_id else "")
            for item, each in zip(self.items, ids, strict=True)
        ]
        return galleries.enroll_many(self.gallery_id, enrolments, MODEL)

    def apply(self, world: World) -> list[tuple[bool, int]]:
        shelf = world.shelf(self.gallery_id)
        there = [self._keep(world, shelf, item) for item in self.items]
        shelf.revision += not all(there)
        return [(each, shelf.revision) for each in there]

    def told(self, answer: object) -> list[tuple[bool, int]]:
        assert isinstance(answer, list)
        return [(each.already_existed, each.revision) for each in answer]

    @staticmethod
    def _keep(world: World, shelf: Shelf, item: Item) -> bool:
        """Whether it was there; nothing is changed then, not even a label."""
        person = shelf.people.setdefault(item.subject_id, Person())
        if item.number in person.numbers:
            return True
        person.labels |= dict(item.labels)
        person.kept.append(Kept(item.number, world.next_age(), item.expires))
        return False


@dataclass(frozen=True)
class Enroll(EnrollMany):
    kind = "enroll"

    def run(self, galleries: Galleries) -> list[Enrolled]:
        (item,) = self.items
        each = item.enrolment(self.request_id)
        return [
            galleries.enroll(
                self.gallery_id,
                each.subject_id,
                each.vector,
                MODEL,
                each.content_sha256,
                about=each.about,
                request_id=self.request_id,
            )
        ]


@dataclass(frozen=True)
class Update(Operation):
    kind = "update"
    gallery_id: str = ""
    subject_id: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    expires: datetime | None = None

    def run(self, galleries: Galleries) -> Changed:
        change = SubjectChange(labels=dict(self.labels), expires=self.expires)
        return galleries.update_subject(self.gallery_id, self.subject_id, change, self.request_id)

    def apply(self, world: World) -> int:
        shelf = world.shelf(self.gallery_id)
        person = shelf.person(self.subject_id)
        person.labels = dict(self.labels)
        person.expires = self.expires or person.expires
        shelf.revision += 1
        return shelf.revision

    def told(self, answer: object) -> int:
        assert isinstance(answer, Changed)
        return answer.revision


@dataclass(frozen=True)
class DeleteSamples(Operation):
    kind = "delete_samples"
    removes = True
    gallery_id: str = ""
    subject_id: str = ""
    numbers: tuple[int, ...] = ()
    sample_ids: tuple[str, ...] = ()

    def prepared(self, galleries: Galleries) -> Self:
        contents = {content(number) for number in self.numbers}
        samples = galleries.get_subject(self.gallery_id, self.subject_id).samples
        ids = tuple(each.sample_id for each in samples if each.content_sha256 in contents)
        return replace(self, sample_ids=ids)

    def run(self, galleries: Galleries) -> Deletion:
        return galleries.delete_samples(self.gallery_id, self.sample_ids, self.request_id)

    def apply(self, world: World) -> tuple[int, int]:
        shelf = world.shelf(self.gallery_id)
        kept = shelf.person(self.subject_id).kept
        stays = [each for each in kept if each.number not in self.numbers]
        gone = shelf.keep_only({self.subject_id: stays})
        return gone, shelf.revision

    def told(self, answer: object) -> tuple[int, int]:
        assert isinstance(answer, Deletion)
        return answer.samples, answer.revision


@dataclass(frozen=True)
class DeleteSubject(Operation):
    kind = "delete_subject"
    removes = True
    gallery_id: str = ""
    subject_id: str = ""

    def run(self, galleries: Galleries) -> Deletion:
        return galleries.delete_subject(self.gallery_id, self.subject_id, self.request_id)

    def apply(self, world: World) -> tuple[int, int]:
        shelf = world.shelf(self.gallery_id)
        shelf.person(self.subject_id)
        gone = shelf.keep_only({self.subject_id: []})
        return gone, shelf.revision

    told = DeleteSamples.told


@dataclass(frozen=True)
class DeleteGallery(Operation):
    kind = "delete_gallery"
    removes = True
    gallery_id: str = ""

    def run(self, galleries: Galleries) -> Deletion:
        return galleries.delete(self.gallery_id, self.request_id)

    def apply(self, world: World) -> tuple[int, int]:
        shelf = world.shelf(self.gallery_id)
        del world.galleries[self.gallery_id]
        return shelf.samples, shelf.revision + 1

    told = DeleteSamples.told


@dataclass(frozen=True)
class Merge(Operation):
    kind = "merge"
    removes = True
    gallery_id: str = ""
    into: str = ""
    others: tuple[str, ...] = ()

    def run(self, galleries: Galleries) -> Changed:
        return galleries.merge_subjects(self.gallery_id, self.into, self.others, self.request_id)

    def apply(self, world: World) -> int:
        shelf = world.shelf(self.gallery_id)
        people = [shelf.person(each) for each in (self.into, *self.others)]
        dates = [each.expires for each in people if each.expires]
        merged = Person(expires=min(dates, default=None), kept=_each_once(people))
        for person in people:
            merged.labels = person.labels | merged.labels
        for other in self.others:
            del shelf.people[other]
        shelf.people[self.into] = merged
        shelf.revision += 1
        return shelf.revision

    told = Update.told


def _each_once(people: list[Person]) -> list[Kept]:
    """Of samples of one content that of the first person, or else the oldest."""
    others = sorted((each for person in people[1:] for each in person.kept), key=_age)
    once: dict[int, Kept] = {}
    for each in (*people[0].kept, *others):
        once.setdefault(each.number, each)
    return sorted(once.values(), key=_age)


def _age(kept: Kept) -> int:
    return kept.age


@dataclass(frozen=True)
class Expire(Operation):
    """Of every gallery first the subjects go and then the samples, each in a step of its own."""

    kind = "expire"
    removes = True
    now: datetime | None = None

    def run(self, galleries: Galleries) -> list[Expired]:
        return galleries.expire(self.now)

    def apply(self, world: World) -> list[tuple[str, int, int, int]]:
        gone = []
        for gallery_id in sorted(world.galleries):
            shelf = world.galleries[gallery_id]
            people, samples = len(shelf.people), shelf.samples
            self._subjects(shelf)
            self._samples(shelf)
            if shelf.samples < samples:
                counts = people - len(shelf.people), samples - shelf.samples
                gone.append((gallery_id, *counts, shelf.revision))
        return gone

    def told(self, answer: object) -> list[tuple[str, int, int, int]]:
        assert isinstance(answer, list)
        return [(each.gallery_id, each.subjects, each.samples, each.revision) for each in answer]

    def outcomes(self, world: World) -> list[World]:
        worlds = [world.copy()]
        for gallery_id in sorted(world.galleries):
            for step in (self._subjects, self._samples):
                worlds.append(worlds[-1].copy())
                step(worlds[-1].galleries[gallery_id])
        return worlds

    def _subjects(self, shelf: Shelf) -> None:
        due = [name for name, person in shelf.people.items() if self._is_past(person.expires)]
        shelf.keep_only({name: [] for name in due})

    def _samples(self, shelf: Shelf) -> None:
        shelf.keep_only(
            {
                name: [each for each in person.kept if not self._is_due(shelf, each)]
                for name, person in shelf.people.items()
            }
        )

    def _is_due(self, shelf: Shelf, kept: Kept) -> bool:
        if shelf.max_age is None:
            return self._is_past(kept.expires)
        assert kept.created is not None
        return self._is_past(kept.expires) or self._is_past(kept.created + shelf.max_age)

    def _is_past(self, moment: datetime | None) -> bool:
        assert self.now is not None
        return moment is not None and moment <= self.now


@dataclass(frozen=True)
class Snapshot(Operation):
    kind = "snapshot"
    again = OutputExists
    gallery_id: str = ""
    target: Path = Path()

    def run(self, galleries: Galleries) -> Stamp:
        return galleries.snapshot(self.gallery_id, self.target)

    def apply(self, world: World) -> tuple[int, int, int]:
        if self.target.name in world.snapshots:
            raise OutputExists(self.target.name)
        shelf = world.snapshots[self.target.name] = world.shelf(self.gallery_id).copy()
        return shelf.revision, len(shelf.people), shelf.samples

    def told(self, answer: object) -> tuple[int, int, int]:
        assert isinstance(answer, Stamp)
        return answer.revision, answer.subjects, answer.samples


@dataclass(frozen=True)
class Restore(Operation):
    kind = "restore"
    again = GalleryExists
    gallery_id: str = ""
    source: Path = Path()

    def run(self, galleries: Galleries) -> GalleryInfo:
        return galleries.restore(self.source, self.gallery_id)

    def apply(self, world: World) -> tuple[int, int, int]:
        taken = world.snapshots[self.source.name].copy()
        shelf = world.galleries.get(self.gallery_id) or Shelf(max_age=taken.max_age)
        if shelf.people:
            raise GalleryExists(self.gallery_id)
        world.galleries[self.gallery_id] = shelf
        shelf.people = taken.people
        shelf.revision = 1 + max(shelf.revision, taken.revision)
        # Newer than all others, and among themselves as they were.
        for person in shelf.people.values():
            person.kept = [replace(each, age=world.age + each.age) for each in person.kept]
        world.age *= 2
        return shelf.revision, len(shelf.people), shelf.samples

    def told(self, answer: object) -> tuple[int, int, int]:
        assert isinstance(answer, GalleryInfo)
        return answer.revision, answer.subjects, answer.samples


@dataclass(frozen=True)
class SaveIndex(Operation):
    kind = "save_index"
    gallery_id: str = ""

    def run(self, galleries: Galleries) -> None:
        galleries.save_index(self.gallery_id)

    def apply(self, world: World) -> None:
        world.shelf(self.gallery_id)

    def told(self, answer: object) -> None:
        assert answer is None


@dataclass(frozen=True)
class Reopen(Operation):
    """Its answer are the galleries to go on with."""

    kind = "reopen"
    data: Path = Path()

    def run(self, galleries: Galleries) -> Galleries:
        galleries.close()
        return Galleries(self.data)

    def apply(self, world: World) -> None:
        del world

    def told(self, answer: object) -> None:
        assert isinstance(answer, Galleries)


def written(answer: object) -> str:
    """An answer as text, the same for the same."""
    return json.dumps(answer, default=_written)


def _written(each: object) -> object:
    if is_dataclass(each) and not isinstance(each, type):
        return asdict(each)
    return str(each)
