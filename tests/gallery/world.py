"""What galleries should hold: dictionaries that do slowly and plainly what the store does.

A sample is a number: its vector and its content follow from it. `assert_as_expected` compares all
of a world with all of the galleries, down to the bytes of every vector and the answer of a scan.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np

from mien.errors import GalleryExists, GalleryNotFound, SubjectNotFound
from mien.gallery.galleries import Galleries
from mien.gallery.records import Found, Subject
from mien.matching.metrics import Vectors
from tests.gallery.looks import MODEL, looks, scan, scan_means, sha256

Portrait = tuple[dict[str, object], frozenset[str]]
"""All of the galleries, and the names of the snapshots, in a form that can be compared."""


@cache
def look(number: int) -> Vectors:
    (vector,) = looks(1, seed=number)
    return np.asarray(vector)


@cache
def content(number: int) -> str:
    return sha256(look(number))


@dataclass(frozen=True)
class Kept:
    """A sample; `age` grows with each that comes in, `created` may be unknown."""

    number: int
    age: int
    expires: datetime | None
    created: datetime | None = None


@dataclass
class Person:
    labels: dict[str, str] = field(default_factory=dict)
    expires: datetime | None = None
    kept: list[Kept] = field(default_factory=list)

    def copy(self) -> "Person":
        return Person(dict(self.labels), self.expires, list(self.kept))

    @property
    def numbers(self) -> list[int]:
        return [each.number for each in self.kept]

    @property
    def vectors(self) -> Vectors:
        """Oldest first, float32 [n, D]."""
        return np.stack([look(each.number) for each in self.kept])


@dataclass
class Shelf:
    """A gallery."""

    revision: int = 0
    max_age: timedelta | None = None
    people: dict[str, Person] = field(default_factory=dict)

    def copy(self) -> "Shelf":
        people = {name: person.copy() for name, person in self.people.items()}
        return Shelf(self.revision, self.max_age, people)

    @property
    def samples(self) -> int:
        return sum(len(person.kept) for person in self.people.values())

    def person(self, subject_id: str) -> Person:
        if subject_id not in self.people:
            raise SubjectNotFound(subject_id)
        return self.people[subject_id]

    def keep_only(self, stays: Mapping[str, Iterable[Kept]]) -> int:
        """Leave these samples of these people; return how many went."""
        before = self.samples
        for subject_id, kept in stays.items():
            self.people[subject_id].kept = list(kept)
        self.people = {name: person for name, person in self.people.items() if person.kept}
        gone = before - self.samples
        self.revision += gone > 0
        return gone


@dataclass
class World:
    galleries: dict[str, Shelf] = field(default_factory=dict)
    snapshots: dict[str, Shelf] = field(default_factory=dict)
    age: int = 0

    def copy(self) -> "World":
        """One that changes by itself; snapshots never change."""
        galleries = {name: shelf.copy() for name, shelf in self.galleries.items()}
        return World(galleries, dict(self.snapshots), self.age)

    def shelf(self, gallery_id: str) -> Shelf:
        if gallery_id not in self.galleries:
            raise GalleryNotFound(gallery_id)
        return self.galleries[gallery_id]

    def create(self, gallery_id: str, max_age: timedelta | None) -> Shelf:
        if gallery_id in self.galleries:
            raise GalleryExists(gallery_id)
        self.galleries[gallery_id] = Shelf(max_age=max_age)
        return self.galleries[gallery_id]

    def next_age(self) -> int:
        self.age += 1
        return self.age

    @property
    def numbers(self) -> set[int]:
        """Of every sample in any gallery."""
        people = (each for shelf in self.galleries.values() for each in shelf.people.values())
        return {number for person in people for number in person.numbers}


def portrait_of(world: World) -> Portrait:
    drawn: dict[str, object] = {
        gallery_id: (
            shelf.revision,
            {
                name: (
                    person.labels,
                    person.expires,
                    [
                        (content(each.number), look(each.number).tobytes(), each.expires)
                        for each in person.kept
                    ],
                )
                for name, person in shelf.people.items()
            },
        )
        for gallery_id, shelf in world.galleries.items()
    }
    return drawn, frozenset(world.snapshots)


def portrait_seen(galleries: Galleries, snapshots: Path) -> Portrait:
    """The same, read back. Also raises AssertionError if two ways of asking differ."""
    seen: dict[str, object] = {}
    for info in galleries.page():
        people = {each.subject_id: each for each in subjects_of(galleries, info.gallery_id)}
        samples = sum(len(each.samples) for each in people.values())
        assert (info.subjects, info.samples) == (len(people), samples)
        described = {
            name: _described(galleries, info.gallery_id, each) for name, each in people.items()
        }
        seen[info.gallery_id] = (info.revision, described)
    return seen, frozenset(path.name for path in snapshots.iterdir())


def subjects_of(galleries: Galleries, gallery_id: str) -> Iterator[Subject]:
    after = ""
    while page := galleries.subjects(gallery_id, after):
        yield from page
        after = page[-1].subject_id


def _described(galleries: Galleries, gallery_id: str, subject: Subject) -> object:
    vectors = galleries.vectors(gallery_id, subject.subject_id, MODEL)
    kept = [
        (sample.content_sha256, vector.tobytes(), sample.expires)
        for sample, vector in zip(subject.samples, vectors, strict=True)
    ]
    return dict(subject.labels), subject.expires, kept


def assert_as_expected(galleries: Galleries, world: World, snapshots: Path) -> None:
    """Store, index and world are the same, and nothing in the store is damaged."""
    assert portrait_seen(galleries, snapshots) == portrait_of(world)
    assert galleries.check().findings == ()
    for gallery_id, shelf in world.galleries.items():
        assert galleries.check_index(gallery_id) == []
        for probe in looks(2, seed=shelf.revision):
            assert_searches(galleries, gallery_id, shelf, probe[None])


def assert_searches(
    galleries: Galleries,
    gallery_id: str,
    shelf: Shelf,
    probes: Vectors,
    labels: Mapping[str, str] | None = None,
) -> None:
    """By either rule everybody is found who bears the labels, as similar as a scan says."""
    people = {
        name: person.vectors
        for name, person in shelf.people.items()
        if (labels or {}).items() <= person.labels.items()
    }
    limit = len(shelf.people) + 1
    best = dict(scan(people, probes, limit))
    found = galleries.search(gallery_id, probes, MODEL, limit, exact=True, labels=labels)
    assert_found(found, best)
    assert_names(galleries, gallery_id, found, probes)
    assert found.revision == shelf.revision
    some = galleries.search(gallery_id, probes, MODEL, 3, exact=True, labels=labels)
    # Which of equal ones comes first after the last that is asked for, nobody promises.
    assert set(some.matches) <= set(found.matches)
    assert [each.similarity for each in some.matches] == [
        each.similarity for each in found.matches[:3]
    ]
    mean = dict(scan_means(people, probes, limit))
    assert_found(
        galleries.search(gallery_id, probes, MODEL, limit, "mean", exact=True, labels=labels), mean
    )


def assert_found(found: Found, expected: Mapping[str, float]) -> None:
    """These subjects, each once, each so similar, the most similar first."""
    similarities = [match.similarity for match in found.matches]
    assert similarities == sorted(similarities, reverse=True)
    assert len(found.matches) == len(expected)
    answered = {match.subject_id: match.similarity for match in found.matches}
    assert answered.keys() == expected.keys()
    for subject_id, similarity in answered.items():
        assert abs(similarity - expected[subject_id]) < 1e-6, subject_id


def assert_names(galleries: Galleries, gallery_id: str, found: Found, probes: Vectors) -> None:
    """The sample that is named is the subject's, and is as similar as is said."""
    for match in found.matches[:3]:
        subject = galleries.get_subject(gallery_id, match.subject_id)
        position = [each.sample_id for each in subject.samples].index(match.sample_id)
        vector = galleries.vectors(gallery_id, match.subject_id, MODEL)[position]
        assert abs(float((probes @ vector).max()) - match.similarity) < 1e-6
