"""Any order of changes, searches and restarts, against a world of dictionaries.

hypothesis chooses the orders, always the same ones, so that a failure is there again; it shortens
one to what is needed to see it.
"""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

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

GALLERIES = st.sampled_from(["a", "b", "c"])
PEOPLE = st.sampled_from([f"p{number}" for number in range(5)])
NUMBERS = st.integers(0, 11)
LABELS = st.dictionaries(st.sampled_from(["site", "team"]), st.sampled_from(["x", "y"]))
DATES = st.none() | st.integers(1, 6).map(lambda day: START + day * DAY)
SNAPSHOTS = st.sampled_from(["one", "two"])
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

    @initialize(items=st.lists(ITEMS, min_size=3, max_size=12))
    def begin(self, items: list[Item]) -> None:
        self.do_once(Create(gallery_id="a"))
        self.enroll_many("a", items)

    @rule(gallery=GALLERIES, days=st.none() | st.integers(1, 5))
    def create(self, gallery: str, days: int | None) -> None:
        self.do_once(Create(gallery_id=gallery, max_age=None if days is None else days * DAY))

    @rule(gallery=GALLERIES, item=ITEMS)
    def enroll(self, gallery: str, item: Item) -> None:
        self._learn(gallery, (item,), self.do_once(Enroll(gallery_id=gallery, items=(item,))))

    @rule(gallery=GALLERIES, items=st.lists(ITEMS, min_size=1, max_size=8))
    def enroll_many(self, gallery: str, items: list[Item]) -> None:
        self._learn(gallery, items, self.do_once(EnrollMany(gallery_id=gallery, items=(*items,))))

    @rule(gallery=GALLERIES, subject=PEOPLE, labels=LABELS, expires=DATES)
    def update(
        self, gallery: str, subject: str, labels: dict[str, str], expires: datetime | None
    ) -> None:
        self.do_once(Update("", gallery, subject, tuple(labels.items()), expires))

    @rule(gallery=GALLERIES, subject=PEOPLE, share=st.floats(0, 1))
    def delete_samples(self, gallery: str, subject: str, share: float) -> None:
        shelf = self._world.galleries.get(gallery)
        if shelf and subject in shelf.people:
            numbers = shelf.people[subject].numbers
            some = numbers[: max(1, round(share * len(numbers)))]
            self.do_once(DeleteSamples("", gallery, subject, tuple(some)))

    @rule(gallery=GALLERIES, subject=PEOPLE)
    def delete_subject(self, gallery: str, subject: str) -> None:
        self.do_once(DeleteSubject("", gallery, subject))

    @rule(gallery=GALLERIES)
    def delete_gallery(self, gallery: str) -> None:
        self.do_once(DeleteGallery("", gallery))

    @rule(gallery=GALLERIES, subjects=st.lists(PEOPLE, min_size=2, max_size=3, unique=True))
    def merge(self, gallery: str, subjects: list[str]) -> None:
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

    @rule(gallery=GALLERIES, name=SNAPSHOTS)
    def snapshot(self, gallery: str, name: str) -> None:
        self.do(Snapshot(gallery_id=gallery, target=self._snapshots / name))

    @rule(name=SNAPSHOTS, gallery=GALLERIES)
    def restore(self, name: str, gallery: str) -> None:
        if name in self._world.snapshots:
            self.do(Restore(gallery_id=gallery, source=self._snapshots / name))

    @rule(gallery=GALLERIES)
    def save_index(self, gallery: str) -> None:
        self.do(SaveIndex(gallery_id=gallery))

    @rule()
    def reopen(self) -> None:
        galleries = self.do(Reopen(data=self._data))
        assert isinstance(galleries, Galleries)
        self._galleries = galleries

    @rule(gallery=GALLERIES, seed=st.integers(0, 3), count=st.integers(1, 3), labels=LABELS)
    def search(self, gallery: str, seed: int, count: int, labels: dict[str, str]) -> None:
        if gallery in self._world.galleries:
            shelf = self._world.galleries[gallery]
            assert_searches(self._galleries, gallery, shelf, looks(count, seed=seed), labels)

    @invariant()
    def store_and_world_are_the_same(self) -> None:
        assert portrait_seen(self._galleries, self._snapshots) == portrait_of(self._world)

    def teardown(self) -> None:
        assert_as_expected(self._galleries, self._world, self._snapshots)
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
