"""What is done next to galleries, at random and so that it can be done."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.gallery.operations import (
    Create,
    DeleteGallery,
    DeleteSamples,
    DeleteSubject,
    Enroll,
    EnrollMany,
    Expire,
    Item,
    Merge,
    Operation,
    Reopen,
    Restore,
    SaveIndex,
    Snapshot,
    Update,
)
from tests.gallery.world import World

KINDS = {
    "create": 1,
    "enroll": 8,
    "enroll_many": 4,
    "update": 2,
    "delete_samples": 4,
    "delete_subject": 2,
    "delete_gallery": 1,
    "merge": 2,
    "expire": 1,
    "snapshot": 1,
    "restore": 1,
    "save_index": 2,
    "reopen": 1,
}
"""How often each kind is done beside the others."""

START = datetime(2040, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MOST_GALLERIES, MOST_SAMPLES, PEOPLE, BATCH = 4, 400, 20, 60


@dataclass(frozen=True)
class Plan:
    """Operations, of which that at `target` is of the kind that was asked for."""

    operations: list[Operation]
    target: int


class Planner:
    """Draws from one dice, so that the same seed plans the same."""

    def __init__(self, dice: random.Random, data: Path, snapshots: Path) -> None:
        self._dice = dice
        self._data, self._snapshots = data, snapshots
        self._made = 0
        self._day = 0

    def plan(self, world: World, kind: str) -> Plan:
        """Some operations, one of that kind, and some more, each possible after those before."""
        world, operations = world.copy(), list[Operation]()

        def go_on(wanted: str) -> None:
            for operation in self._toward(world, wanted):
                operation.apply(world)
                operations.append(operation)

        for _ in range(self._dice.randrange(10)):
            go_on(self._any())
        go_on(kind)
        target = len(operations) - 1
        for _ in range(self._dice.randrange(1, 4)):
            go_on(self._any())
        return Plan(operations, target)

    def _any(self) -> str:
        return self._dice.choices(list(KINDS), list(KINDS.values()))[0]

    def _toward(self, world: World, kind: str) -> Iterator[Operation]:
        """What has to come before one of that kind, and it; each is to be applied to the world."""
        while lacking := self._lacking(world, kind):
            yield lacking
        makers: dict[str, Callable[[World], Operation]] = {
            "create": self._create,
            "enroll": self._enroll,
            "enroll_many": self._enroll_many,
            "update": self._update,
            "delete_samples": self._delete_samples,
            "delete_subject": self._delete_subject,
            "delete_gallery": self._delete_gallery,
            "merge": self._merge,
            "expire": self._expire,
            "snapshot": self._snapshot,
            "restore": self._restore,
            "save_index": self._save_index,
            "reopen": self._reopen,
        }
        yield makers[kind](world)

    def _lacking(self, world: World, kind: str) -> Operation | None:
        """What is to be done first, if anything."""
        if not world.galleries:
            return self._create(world) if kind != "create" else None
        peopled = [each for each in world.galleries.values() if len(each.people) > 1]
        if not peopled and kind not in {"create", "enroll", "enroll_many"}:
            return self._enroll_many(world)
        if kind in {"create", "restore"} and len(world.galleries) >= MOST_GALLERIES:
            return self._delete_gallery(world)
        if kind == "restore" and not world.snapshots:
            return self._snapshot(world)
        large = [name for name, each in world.galleries.items() if each.samples > MOST_SAMPLES]
        if kind in {"enroll", "enroll_many"} and large:
            return DeleteGallery(self._id(), large[0])
        return None

    def _id(self) -> str:
        self._made += 1
        return f"request-{self._made}"

    def _gallery(self, world: World) -> str:
        """One with at least two people, if there is any."""
        peopled = [name for name, each in world.galleries.items() if len(each.people) > 1]
        return self._dice.choice(sorted(peopled or world.galleries))

    def _subject(self, world: World, gallery_id: str) -> str:
        return self._dice.choice(sorted(world.galleries[gallery_id].people))

    def _new_name(self, world: World) -> str:
        free = {f"gallery{n}" for n in range(MOST_GALLERIES + 1)} - set(world.galleries)
        return self._dice.choice(sorted(free))

    def _labels(self) -> tuple[tuple[str, str], ...]:
        return (("site", self._dice.choice(["rome", "oslo"])), ("n", str(self._dice.randrange(9))))

    def _item(self, world: World, gallery_id: str) -> Item:
        """A new sample, mostly; sometimes one that the subject has, or another one."""
        subject_id = f"person{self._dice.randrange(PEOPLE)}"
        people = world.galleries[gallery_id].people
        if people and self._dice.random() < 0.15:
            whose = self._dice.choice(sorted(people))
            whose = subject_id if subject_id in people and self._dice.random() < 0.5 else whose
            return Item(subject_id, self._dice.choice(people[whose].numbers))
        expires = START + (self._day + self._dice.randrange(1, 5)) * DAY
        self._made += 1
        return Item(
            subject_id,
            self._made,
            self._labels() if self._dice.random() < 0.3 else (),
            expires if self._dice.random() < 0.3 else None,
        )

    def _create(self, world: World) -> Operation:
        return Create(self._id(), self._new_name(world))

    def _enroll(self, world: World) -> Operation:
        gallery_id = self._dice.choice(sorted(world.galleries))
        return Enroll(self._id(), gallery_id, (self._item(world, gallery_id),))

    def _enroll_many(self, world: World) -> Operation:
        gallery_id = self._dice.choice(sorted(world.galleries))
        count = self._dice.randrange(10, BATCH)
        items = [self._item(world, gallery_id) for _ in range(count)]
        return EnrollMany(self._id(), gallery_id, tuple(items))

    def _update(self, world: World) -> Operation:
        gallery_id = self._gallery(world)
        expires = START + (self._day + self._dice.randrange(1, 5)) * DAY
        chosen = expires if self._dice.random() < 0.5 else None
        subject_id = self._subject(world, gallery_id)
        return Update(self._id(), gallery_id, subject_id, self._labels(), chosen)

    def _delete_samples(self, world: World) -> Operation:
        gallery_id = self._gallery(world)
        subject_id = self._subject(world, gallery_id)
        numbers = world.galleries[gallery_id].people[subject_id].numbers
        some = self._dice.sample(numbers, self._dice.randint(1, min(5, len(numbers))))
        return DeleteSamples(self._id(), gallery_id, subject_id, tuple(some))

    def _delete_subject(self, world: World) -> Operation:
        gallery_id = self._gallery(world)
        return DeleteSubject(self._id(), gallery_id, self._subject(world, gallery_id))

    def _delete_gallery(self, world: World) -> Operation:
        return DeleteGallery(self._id(), self._dice.choice(sorted(world.galleries)))

    def _merge(self, world: World) -> Operation:
        gallery_id = self._gallery(world)
        people = sorted(world.galleries[gallery_id].people)
        into, *others = self._dice.sample(people, self._dice.randint(2, min(4, len(people))))
        return Merge(self._id(), gallery_id, into, tuple(others))

    def _expire(self, world: World) -> Operation:
        del world
        self._day += self._dice.randrange(1, 3)
        return Expire(now=START + self._day * DAY)

    def _snapshot(self, world: World) -> Operation:
        self._made += 1
        target = self._snapshots / f"snapshot{self._made}"
        return Snapshot(gallery_id=self._gallery(world), target=target)

    def _restore(self, world: World) -> Operation:
        source = self._snapshots / self._dice.choice(sorted(world.snapshots))
        return Restore(gallery_id=self._new_name(world), source=source)

    def _save_index(self, world: World) -> Operation:
        return SaveIndex(gallery_id=self._gallery(world))

    def _reopen(self, world: World) -> Operation:
        del world
        return Reopen(data=self._data)
