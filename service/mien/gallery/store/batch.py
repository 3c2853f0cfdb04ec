"""Writing a batch of samples, of one gallery, in one transaction."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from mien.errors import RequestIdReused
from mien.gallery.ids import new_sample_ids
from mien.gallery.records import About, Enrolled, Enrolment, Sample
from mien.gallery.store.tables import galleries, ledger, samples, subjects
from mien.gallery.store.tables.subjects import Description
from mien.gallery.times import to_moment

METHOD = "enroll"


@dataclass(frozen=True)
class Added:
    """What became of each item, and for the index the samples that are new.

    `positions` are those of the new ones among the items, `keys` their keys, ascending,
    `subjects` the keys of their subjects.
    """

    outcomes: list[Enrolled | RequestIdReused]
    positions: list[int]
    keys: list[int]
    subjects: list[int]
    revision: int

    def raise_refusal(self) -> None:
        """Raise the first RequestIdReused among the outcomes, if there is any."""
        for position, outcome in enumerate(self.outcomes):
            if isinstance(outcome, RequestIdReused):
                raise RequestIdReused(f"item {position}: {outcome}") from outcome

    def unkept(self) -> "Added":
        """The same where nothing is kept: new samples have no id, and the revision is the old."""
        outcomes = list(self.outcomes)
        for position in self.positions:
            outcome = outcomes[position]
            assert isinstance(outcome, Enrolled)  # noqa: S101 - it has a key
            outcomes[position] = Enrolled(
                replace(outcome.sample, sample_id=""), False, self.revision - 1
            )
        return Added(outcomes, [], [], [], self.revision)


class Item(NamedTuple):
    """An item that is not answered from the ledger."""

    position: int
    enrolment: Enrolment
    asked: ledger.Asked | None


def asked_of(gallery_id: str, item: Enrolment) -> ledger.Asked | None:
    """What the ledger knows an enrolment by. The content stands for its vector and quality."""
    if not item.request_id:
        return None
    about = replace(item.about, quality=None)
    return ledger.Asked.of(
        item.request_id, METHOD, gallery_id, item.subject_id, item.content_sha256, about
    )


def enrol(
    connection: sqlite3.Connection, gallery_id: str, items: Sequence[Enrolment], now: int
) -> Added:
    """Keep the items' samples, of subjects new or known, in one revision.

    An item of a known request id has its first answer, or RequestIdReused, as its outcome; one
    whose content the subject has already, that sample. Raises GalleryNotFound.
    """
    gallery, revision = galleries.place_of(connection, gallery_id)
    fresh, outcomes, repeats = _sort(connection, gallery_id, items, now)
    writing = _Writing(connection, gallery, revision, now)
    outcomes |= writing.write(fresh)
    outcomes |= {position: outcomes[first] for position, first in repeats.items()}
    return Added(
        [outcomes[position] for position in range(len(items))],
        writing.positions,
        writing.keys,
        writing.subjects,
        writing.revision,
    )


def _sort(
    connection: sqlite3.Connection, gallery_id: str, items: Sequence[Enrolment], now: int
) -> tuple[list[Item], dict[int, Enrolled | RequestIdReused], dict[int, int]]:
    """What is to be done, what is answered already, and which position repeats which."""
    fresh: list[Item] = []
    outcomes: dict[int, Enrolled | RequestIdReused] = {}
    repeats: dict[int, int] = {}
    first: dict[bytes, Item] = {}
    for position, enrolment in enumerate(items):
        item = Item(position, enrolment, asked_of(gallery_id, enrolment))
        earlier = first.setdefault(item.asked.id_hash, item) if item.asked else item
        if earlier is not item and earlier.asked == item.asked:
            repeats[position] = earlier.position
        elif earlier is not item:
            outcomes[position] = RequestIdReused(
                "the request id comes twice in this batch, for two things; use one for each"
            )
        elif (answer := _recall(connection, item.asked, now)) is not None:
            outcomes[position] = answer
        else:
            fresh.append(item)
    return fresh, outcomes, repeats


def _recall(
    connection: sqlite3.Connection, asked: ledger.Asked | None, now: int
) -> Enrolled | RequestIdReused | None:
    try:
        return ledger.recall(connection, asked, Enrolled, now)
    except RequestIdReused as error:
        return error


class _Writing:
    """One batch on its way into the tables."""

    def __init__(
        self, connection: sqlite3.Connection, gallery: int, revision: int, now: int
    ) -> None:
        self._connection = connection
        self._gallery = gallery
        self._now = now
        self.positions: list[int] = []
        self.keys: list[int] = []
        self.subjects: list[int] = []
        self.revision = revision

    def write(self, items: Sequence[Item]) -> dict[int, Enrolled]:
        """Each item's outcome by its position."""
        before = subjects.keys_of(
            self._connection, self._gallery, {item.enrolment.subject_id for item in items}
        )
        ids = {key: subject_id for subject_id, key in before.items()}
        known = {
            (ids[key], sample.content_sha256): sample
            for key, theirs in self._samples_of(ids).items()
            for sample in reversed(theirs)
        }
        new = self._new(items, known)
        keys = before | self._describe(new, before)
        self._insert(new, known, keys)
        return self._answer(items, known, keys)

    def _samples_of(self, keys: Collection[int]) -> dict[int, list[Sample]]:
        return samples.of_subjects(self._connection, keys) if keys else {}

    def _new(self, items: Sequence[Item], known: dict[tuple[str, str], Sample]) -> list[Item]:
        """The items whose content is new to their subject; their samples are now known."""
        ids = iter(new_sample_ids(len(items), self._now))
        created = to_moment(self._now)
        new = []
        for item in items:
            name = (item.enrolment.subject_id, item.enrolment.content_sha256)
            if name not in known:
                about = item.enrolment.about
                known[name] = Sample(
                    next(ids), name[1], created, about.source, about.quality, about.expires
                )
                new.append(item)
        return new

    def _describe(self, new: Sequence[Item], before: Mapping[str, int]) -> dict[str, int]:
        """Add the subjects that are new, change those of which something is said; their keys."""
        told: dict[str, list[About]] = {}
        for item in new:
            told.setdefault(item.enrolment.subject_id, []).append(item.enrolment.about)
        known = [
            before[each]
            for each, abouts in told.items()
            if each in before and any(about.describes for about in abouts)
        ]
        if known:
            self._tell(known, told)
        added = [
            _told(Description(each, "", "", self._now, None, None, {}), abouts)
            for each, abouts in told.items()
            if each not in before
        ]
        keys = subjects.insert(self._connection, self._gallery, added)
        return dict(zip((each.subject_id for each in added), keys, strict=True))

    def _tell(self, known: Sequence[int], told: Mapping[str, Sequence[About]]) -> None:
        """Change subjects that were there before."""
        changed = {
            key: _told(description, told[description.subject_id])
            for key, description in subjects.describe(self._connection, known).items()
        }
        subjects.update(self._connection, self._gallery, changed)

    def _insert(
        self,
        new: Sequence[Item],
        known: Mapping[tuple[str, str], Sample],
        keys: Mapping[str, int],
    ) -> None:
        if not new:
            return
        rows = [
            samples.New(
                keys[item.enrolment.subject_id],
                known[item.enrolment.subject_id, item.enrolment.content_sha256],
                item.enrolment.vector,
            )
            for item in new
        ]
        self.subjects = [row.subject for row in rows]
        self.keys = samples.insert(self._connection, self._gallery, rows)
        self.positions = [item.position for item in new]
        self.revision = galleries.grow(self._connection, self._gallery, self._now)

    def _answer(
        self,
        items: Sequence[Item],
        known: Mapping[tuple[str, str], Sample],
        keys: Mapping[str, int],
    ) -> dict[int, Enrolled]:
        added = set(self.positions)
        answers = {
            item.position: Enrolled(
                known[item.enrolment.subject_id, item.enrolment.content_sha256],
                item.position not in added,
                self.revision,
            )
            for item in items
        }
        self._remember(items, answers, keys)
        return answers

    def _remember(
        self,
        items: Sequence[Item],
        answers: Mapping[int, Enrolled],
        keys: Mapping[str, int],
    ) -> None:
        asked = [item for item in items if item.asked is not None]
        if not asked:
            return
        theirs = samples.keys_of(
            self._connection,
            self._gallery,
            [answers[item.position].sample.sample_id for item in asked],
        )
        entries = [
            (
                item.asked,
                ledger.Topic(
                    self._gallery,
                    keys[item.enrolment.subject_id],
                    theirs[answers[item.position].sample.sample_id],
                ),
                answers[item.position],
            )
            for item in asked
        ]
        ledger.record(self._connection, entries, self._now)


def _told(description: Description, abouts: Sequence[About]) -> Description:
    """What is kept of a subject after all of this was said, in this order."""
    for about in abouts:
        if about.describes:
            description = replace(
                description,
                display_name=about.display_name or description.display_name,
                consent_ref=about.consent_ref or description.consent_ref,
                labels={**description.labels, **about.labels},
            )
    return description
