"""What was told of people who are deleted is in no file either."""

import json
import random
import re
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mien.gallery.galleries import Galleries
from mien.gallery.integrity import check_file
from mien.gallery.prove import prove_absent
from mien.gallery.records import About, Enrolment, GalleryInfo, Quality, SubjectChange
from mien.gallery.store.pages import Scrubber
from mien.gallery.store.store import FILE_NAME, Store
from mien.gallery.store.tables.ledger import Asked
from tests.gallery.looks import DIM, MODEL, looks, sha256

PEOPLE = 3000


def tag(number: int) -> str:
    return f"T{number:05}T"


def tags_in(folder: Path) -> set[int]:
    """The numbers of all tags in all files of a folder."""
    found: set[int] = set()
    for path in folder.iterdir():
        content = path.read_bytes()
        found |= {int(each) for each in re.findall(rb"T(\d{5})T", content)}
    return found


class History:
    """People who come, are changed, are merged and go, in a store whose every text is tagged."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.dice = random.Random(seed)  # noqa: S311 - no secret
        self.living: dict[int, list[int]] = {}
        """Person → whose texts are under that person's id: its own, and of those merged into it."""
        self.samples: dict[int, list[str]] = {}
        now = datetime.now(UTC)
        info = GalleryInfo("staff", MODEL, DIM, subjects=0, samples=0, revision=0, created=now)
        store.create_gallery(info)

    def id_of(self, number: int) -> str:
        """Ids in no order, so that they are put in between others."""
        return f"{number * 7919 % 10007}-{tag(number)}"

    def about(self, number: int) -> About:
        def text(most: int) -> str:
            return tag(number) * self.dice.randrange(most)

        labels = {f"k{n}": text(30) for n in range(self.dice.randrange(5))}
        quality = Quality(warnings=(tag(number),)) if self.dice.random() < 0.3 else None
        return About(text(30), labels, text(30), text(100), quality)

    def enrol(self, number: int) -> None:
        vectors = looks(1 + self.dice.randrange(2), seed=number)
        items = [
            Enrolment(self.id_of(number), each, sha256(each), self.about(number), f"r{each[0]}")
            for each in vectors
        ]
        outcomes = self.store.enrol("staff", items).outcomes
        self.living[number] = [number]
        self.samples[number] = [each.sample.sample_id for each in outcomes]  # type: ignore[union-attr]

    def change(self, number: int) -> None:
        about = self.about(number)
        change = SubjectChange(about.display_name, about.labels, about.consent_ref)
        asked = Asked.of(
            f"c{self.dice.random()}", "update_subject", "staff", self.id_of(number), change
        )
        self.store.change_subject("staff", self.id_of(number), change, asked)

    def merge(self, into: int, other: int) -> None:
        asked = Asked.of(f"m{self.dice.random()}", "merge", "staff", into, other)
        self.store.merge("staff", self.id_of(into), [self.id_of(other)], asked)
        self.living[into] += self.living.pop(other)
        self.samples[into] += self.samples.pop(other)

    def delete(self, number: int) -> None:
        if self.dice.random() < 0.5:
            self.store.delete_samples("staff", self.samples[number])
        else:
            asked = Asked.of(f"d{self.dice.random()}", "delete", "staff", self.id_of(number))
            self.store.delete_subject("staff", self.id_of(number), asked)
        del self.living[number]

    def anybody(self) -> int:
        return self.dice.choice(list(self.living))

    def happen(self, number: int) -> None:
        self.enrol(number)
        if self.dice.random() < 0.3:
            self.change(self.anybody())
        if self.dice.random() < 0.05 and len(self.living) > 1:
            into, other = self.dice.sample(list(self.living), 2)
            self.merge(into, other)
        if self.dice.random() < 0.5:
            self.delete(self.anybody())
        if self.dice.random() < 0.02:
            self.store.purge()

    @property
    def known(self) -> set[int]:
        return set(flat(self.living.values()))


def flat(lists: Iterable[list[int]]) -> list[int]:
    return [each for some in lists for each in some]


def test_no_text_of_a_deleted_person_is_left_by_any_order_of_changes(
    tmp_path: Path,
) -> None:
    """Ids, names, labels, references, sources, warnings, and answers that the ledger kept."""
    with closing(Store(tmp_path / FILE_NAME)) as store:
        store.journal.connection.execute("PRAGMA synchronous = OFF")  # nothing is killed here
        history = History(store, seed=1)
        for number in range(PEOPLE):
            history.happen(number)
        while len(history.living) > PEOPLE // 20:
            history.delete(history.anybody())
        store.purge()
        deleted = set(range(PEOPLE)) - history.known
        assert len(deleted) > 2500
        assert tags_in(tmp_path) & deleted == set()
        assert set(history.living) <= tags_in(tmp_path)
        assert check_file(store.path).findings == ()


def test_without_clearing_the_gaps_texts_would_be_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the test above can fail: SQLite itself leaves some, wherever it was measured."""
    monkeypatch.setattr(Scrubber, "scrub", lambda *_: 0)
    with closing(Store(tmp_path / FILE_NAME)) as store:
        store.journal.connection.execute("PRAGMA synchronous = OFF")
        history = History(store, seed=1)
        for number in range(PEOPLE):
            history.happen(number)
        while len(history.living) > PEOPLE // 20:
            history.delete(history.anybody())
        store.purge()
        assert tags_in(tmp_path) - history.known


def test_each_text_is_gone_when_its_deletion_is_acknowledged(
    galleries: Galleries, data: Path
) -> None:
    for number in range(40):
        look = looks(1, seed=number)[0]
        about = About(tag(number), {"label": tag(number)}, tag(number), f"{tag(number)}.jpg")
        galleries.enroll(
            "staff",
            f"id-{tag(number)}",
            look,
            MODEL,
            sha256(look),
            about=about,
            request_id=f"request of {tag(number)}",
        )
        galleries.update_subject("staff", f"id-{tag(number)}", SubjectChange(consent_ref="x"))
    for number in range(0, 40, 2):
        galleries.delete_subject("staff", f"id-{tag(number)}", request_id=f"of {tag(number)}")
        assert prove_absent(data, text=tag(number)) == []
    assert tags_in(data) == set(range(1, 40, 2))


def test_the_id_and_the_unused_texts_of_who_was_merged_away_are_gone(
    galleries: Galleries, data: Path
) -> None:
    for subject_id, look in zip(["ann", "bob-lee"], looks(2), strict=True):
        told = About(f"{subject_id} in full", {"a": f"label of {subject_id}"})
        galleries.enroll("staff", subject_id, look, MODEL, sha256(look), about=told)
    galleries.merge_subjects("staff", "ann", ["bob-lee"], request_id="r")
    assert prove_absent(data, text="bob-lee") == []
    assert prove_absent(data, text="label of ann")


def test_a_gallerys_labels_go_with_it(galleries: Galleries, data: Path) -> None:
    galleries.create("told", MODEL, DIM, labels={"site": tag(7)}, request_id="r")
    look = looks(1)[0]
    about = About(labels={"a": tag(8)})
    galleries.enroll("told", "ann", look, MODEL, sha256(look), about=about, request_id="s")
    assert tags_in(data) == {7, 8}
    galleries.delete("told")
    assert tags_in(data) == set()


def test_a_ledger_keeps_no_vector(galleries: Galleries, data: Path) -> None:
    look = looks(1)[0]
    galleries.enroll("staff", "ann", look, MODEL, sha256(look), request_id="r")
    galleries.delete_subject("staff", "ann", request_id="s")
    assert prove_absent(data, look, sha256(look)) == []
    with galleries._store.reading() as connection:
        answers = [row[0] for row in connection.execute("SELECT answer FROM ledger ORDER BY key")]
    assert answers[0] is None
    assert json.loads(answers[1]) == {"samples": 1, "revision": 2, "not_found": []}
