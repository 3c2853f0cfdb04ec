"""Any order of changes, searches and restarts, against a world of dictionaries.

hypothesis chooses the orders, always the same ones, so that a failure is there again; it shortens
one to what is needed to see it.
"""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mien.errors import MienError
from mien.gallery.galleries import Galleries
from mien.gallery.records import Enrolled
from tests.gallery.looks import looks
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
    written,
)
from tests.gallery.plans import DAY, START
from tests.gallery.world import (
    World,
    assert_as_expected,
    assert_searches,
    portrait_of,
    portrait_seen,
)

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder in it is ours
"""Nothing is killed here, so that nothing need be on a disk: shortening a failure takes long."""

pytestmark = pytest.mark.timeout(900)
"""hypothesis may take five minutes to shorten a failure; there being none takes seconds."""

WHICH = st.integers(0, 11)
"""Of those that are there; the last one is somebody who is not."""

NAMES = st.sampled_from(["a", "b", "c", "d"])
PEOPLE = st.sampled_from([f"p{number}" for number in range(5)])
NUMBERS = st.integers(0, 11)
LABELS = st.dictionaries(st.sampled_from(["site", "team"]), st.sampled_from(["x", "y"]))
DATES = st.none() | st.integers(1, 6).map(lambda day: START + day * DAY)
SNAPSHOTS = st.sampled_from(["one", "two", "three"])
ITEMS = st.builds(
    Item, PEOPLE, NUMBERS, LABELS.map(lambda labels: tuple(sorted(labels.items()))), DATES
)


class AnyOrder(RuleBasedStateMachine):
    """Real galleries and a world, to which the same is done; both refuse the same."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self._data = Path(self._folder.name) / "data"
        self._snapshots = Path(self._folder.name) / "snapshots"
        self._snapshots.mkdir()
        self._galleries = Galleries(self._data)
        self._world, self._requests = World(), 0

    def do(self, operation: Operation) -> object:
        """The answers, or the errors, are what the world says; a repetition has the same answer."""
        expected = _outcome(lambda: operation.apply(self._world))
        answer = _outcome(lambda: operation.prepared(self._galleries).run(self._galleries))
        if isinstance(answer, type):
            assert answer == expected
            return None
        assert operation.told(answer) == expected
        return answer

    def do_once(self, operation: Operation) -> object:
        """The same under a request id, asked for twice."""
        self._requests += 1
        operation = replace(operation, request_id=f"request-{self._requests}")
        prepared = _outcome(lambda: operation.prepared(self._galleries))
        answer = self.do(operation)
        if answer is not None and isinstance(prepared, Operation):
            assert written(prepared.run(self._galleries)) == written(answer)
        return answer

    @initialize(items=st.lists(ITEMS, min_size=8, max_size=16))
    def begin(self, items: list[Item]) -> None:
        """One gallery that keeps people for ever, one that does not."""
        for name, days in (("a", None), ("b", 2)):
            self.create(name, days)
            self._learn(name, items, self.do(EnrollMany("", name, tuple(items))))

    def gallery(self, which: int) -> str:
        return _pick(self._world.galleries, which)

    def subject(self, gallery: str, which: int) -> str:
        shelf = self._world.galleries.get(gallery)
        return _pick(shelf.people if shelf else (), which)

    @rule(gallery=NAMES, days=st.none() | st.integers(1, 5))
    def create(self, gallery: str, days: int | None) -> None:
        self.do_once(Create(gallery_id=gallery, max_age=None if days is None else days * DAY))

    @rule(which=WHICH, item=ITEMS)
    def enroll(self, which: int, item: Item) -> None:
        gallery = self.gallery(which)
        self._learn(gallery, (item,), self.do_once(Enroll(gallery_id=gallery, items=(item,))))

    @rule(which=WHICH, items=st.lists(ITEMS, min_size=1, max_size=8))
    def enroll_many(self, which: int, items: list[Item]) -> None:
        gallery = self.gallery(which)
        self._learn(gallery, items, self.do_once(EnrollMany(gallery_id=gallery, items=(*items,))))

    @rule(which=WHICH, who=WHICH, labels=LABELS, expires=DATES)
    def update(
        self, which: int, who: int, labels: dict[str, str], expires: datetime | None
    ) -> None:
        gallery = self.gallery(which)
        subject = self.subject(gallery, who)
        self.do_once(Update("", gallery, subject, tuple(labels.items()), expires))

    @rule(which=WHICH, who=WHICH, share=st.floats(0, 1))
    def delete_samples(self, which: int, who: int, share: float) -> None:
        gallery = self.gallery(which)
        subject = self.subject(gallery, who)
        if subject != NOBODY:
            numbers = self._world.galleries[gallery].people[subject].numbers
            some = numbers[: max(1, round(share * len(numbers)))]
            self.do_once(DeleteSamples("", gallery, subject, tuple(some)))

    @rule(which=WHICH, who=WHICH)
    def delete_subject(self, which: int, who: int) -> None:
        gallery = self.gallery(which)
        self.do_once(DeleteSubject("", gallery, self.subject(gallery, who)))

    @rule(which=WHICH)
    def delete_gallery(self, which: int) -> None:
        self.do_once(DeleteGallery("", self.gallery(which)))

    @rule(which=WHICH, who=st.lists(WHICH, min_size=2, max_size=3))
    def merge(self, which: int, who: list[int]) -> None:
        gallery = self.gallery(which)
        subjects = list(dict.fromkeys(self.subject(gallery, each) for each in who))
        if len(subjects) > 1:
            self.do_once(Merge("", gallery, subjects[0], tuple(subjects[1:])))

    @rule(day=st.integers(0, 6))
    def expire_by_dates(self, day: int) -> None:
        """Where a gallery keeps nobody for ever everybody is older than these dates."""
        self.do(Expire(now=START + day * DAY))

    @rule(data=st.data())
    def expire_by_age(self, data: st.DataObject) -> None:
        """At the very moment at which a sample falls due, or a microsecond before."""
        due = sorted(
            each.created + shelf.max_age
            for shelf in self._world.galleries.values()
            for person in shelf.people.values()
            for each in person.kept
            if shelf.max_age and each.created
        )
        if due:
            early = timedelta(microseconds=data.draw(st.integers(0, 1)))
            self.do(Expire(now=due[data.draw(st.integers(0, len(due) - 1))] - early))

    @rule(which=WHICH, name=SNAPSHOTS)
    def snapshot(self, which: int, name: str) -> None:
        self.do(Snapshot(gallery_id=self.gallery(which), target=self._snapshots / name))

    @rule(name=SNAPSHOTS, gallery=NAMES)
    def restore(self, name: str, gallery: str) -> None:
        if name in self._world.snapshots:
            self.do(Restore(gallery_id=gallery, source=self._snapshots / name))

    @rule(which=WHICH)
    def save_index(self, which: int) -> None:
        self.do(SaveIndex(gallery_id=self.gallery(which)))

    @rule()
    def reopen(self) -> None:
        galleries = self.do(Reopen(data=self._data))
        assert isinstance(galleries, Galleries)
        self._galleries = galleries

    @rule(which=WHICH, seed=st.integers(0, 3), count=st.integers(1, 3), labels=LABELS)
    def search(self, which: int, seed: int, count: int, labels: dict[str, str]) -> None:
        gallery = self.gallery(which)
        if gallery in self._world.galleries:
            shelf = self._world.galleries[gallery]
            assert_searches(self._galleries, gallery, shelf, looks(count, seed=seed), labels)

    @invariant()
    def store_and_world_are_the_same(self) -> None:
        assert portrait_seen(self._galleries, self._snapshots) == portrait_of(self._world)

    @rule()
    def look_at_everything(self) -> None:
        assert_as_expected(self._galleries, self._world, self._snapshots)

    def teardown(self) -> None:
        self._galleries.close()
        self._folder.cleanup()

    def _learn(self, gallery: str, items: Iterable[Item], answer: object) -> None:
        """When samples were created only the store knows."""
        if not isinstance(answer, list):
            return
        for item, enrolled in zip(items, answer, strict=True):
            assert isinstance(enrolled, Enrolled)
            person = self._world.galleries[gallery].people[item.subject_id]
            person.kept = [
                replace(each, created=enrolled.sample.created)
                if each.number == item.number
                else each
                for each in person.kept
            ]


NOBODY = "nobody"


def _pick(names: Iterable[str], which: int) -> str:
    known = sorted(names)
    return known[which % len(known)] if known and which < 11 else NOBODY


def _outcome(call: Callable[[], object]) -> object:
    """What a call returns, or the class of what it refuses with."""
    try:
        return call()
    except MienError as error:
        return type(error)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    derandomize=True,
    deadline=None,
    max_examples=30,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow],
)
