"""Many samples at once."""

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from mien.errors import (
    InvalidArgument,
    InvalidEmbedding,
    InvalidId,
    InvalidRequest,
    ModelMismatch,
    RequestIdReused,
)
from mien.gallery.galleries import Galleries
from mien.gallery.ids import new_sample_ids
from mien.gallery.records import About, Enrolled, Enrolment
from mien.gallery.store.tables import samples, subjects
from tests.gallery.looks import DIM, MODEL, assert_index_equals_store, enroll, looks, sha256


def items(count: int, subjects: int, seed: int = 0) -> list[Enrolment]:
    return [
        Enrolment(f"person{number % subjects}", look, sha256(look))
        for number, look in enumerate(looks(count, seed=seed))
    ]


BAD = [
    (replace(items(1, 1)[0], subject_id="a b"), InvalidId, "subject id 'a b'"),
    (replace(items(1, 1)[0], content_sha256="AB"), InvalidRequest, "give 64 hexadecimal digits"),
    (replace(items(1, 1)[0], vector=np.full(DIM, np.nan, np.float32)), InvalidEmbedding, "NaN"),
    (replace(items(1, 1)[0], vector=np.full(DIM, np.inf, np.float32)), InvalidEmbedding, "infin"),
    (replace(items(1, 1)[0], vector=np.zeros(DIM, np.float32)), InvalidEmbedding, "norm 0"),
    (replace(items(1, 1)[0], vector=np.ones(DIM, np.float32)), InvalidEmbedding, "norm 4"),
    (replace(items(1, 1)[0], vector=np.eye(5, dtype=np.float32)[0]), InvalidEmbedding, "shape"),
    (replace(items(1, 1)[0], vector=np.eye(DIM)[0]), InvalidEmbedding, "float64"),
    (replace(items(1, 1)[0], about=About(labels={"a b": ""})), InvalidRequest, "label name"),
    (replace(items(1, 1)[0], about=About(source="x" * 1025)), InvalidRequest, "source has 1025"),
    (replace(items(1, 1)[0], request_id="x" * 129), InvalidRequest, "129 characters"),
]


def test_many_are_kept_in_one_revision_and_found(galleries: Galleries) -> None:
    enrolled = galleries.enroll_many("staff", items(100, 7), MODEL)
    assert [each.revision for each in enrolled] == [1] * 100
    assert len({each.sample.sample_id for each in enrolled}) == 100
    assert not any(each.already_existed for each in enrolled)
    for item, each in zip(items(100, 7), enrolled, strict=True):
        (match,) = galleries.search("staff", item.vector, MODEL, 1).matches
        assert (match.subject_id, match.sample_id) == (item.subject_id, each.sample.sample_id)
    assert_index_equals_store(galleries, [f"person{number}" for number in range(7)])


def test_many_are_the_same_as_one_by_one(galleries: Galleries) -> None:
    galleries.create("single", MODEL, DIM)
    batch = [
        replace(each, about=About(labels={"n": str(number % 4), f"k{number % 3}": "x"}))
        for number, each in enumerate(items(40, 5))
    ]
    galleries.enroll_many("staff", batch[:15], MODEL)
    galleries.enroll_many("staff", batch[15:], MODEL)
    for each in batch:
        galleries.enroll(
            "single", each.subject_id, each.vector, MODEL, each.content_sha256, about=each.about
        )
    for one, many in zip(galleries.subjects("single"), galleries.subjects("staff"), strict=True):
        assert (one.subject_id, one.labels) == (many.subject_id, many.labels)
        assert [each.content_sha256 for each in one.samples] == [
            each.content_sha256 for each in many.samples
        ]
        for_one = galleries.vectors("single", one.subject_id, MODEL)
        np.testing.assert_array_equal(for_one, galleries.vectors("staff", one.subject_id, MODEL))


def test_content_that_comes_twice_or_is_known_is_kept_once(galleries: Galleries) -> None:
    first, second, third = items(3, 1)
    known = enroll(galleries, "person0", first.vector)
    outcomes = galleries.enroll_many("staff", [first, second, second, third], MODEL)
    assert [each.already_existed for each in outcomes] == [True, False, True, False]
    assert outcomes[0].sample.sample_id == known
    assert outcomes[1].sample == outcomes[2].sample
    assert galleries.get("staff").samples == 3
    assert_index_equals_store(galleries, ["person0"])


def test_nothing_new_is_no_revision(galleries: Galleries) -> None:
    galleries.enroll_many("staff", items(3, 2), MODEL)
    again = galleries.enroll_many("staff", items(3, 2), MODEL)
    assert [each.revision for each in again] == [1, 1, 1]
    assert galleries.enroll_many("staff", [], MODEL) == []
    assert galleries.get("staff").revision == 1


@pytest.mark.parametrize(("bad", "error", "message"), BAD)
def test_one_bad_item_refuses_all_or_only_itself(
    galleries: Galleries, bad: Enrolment, error: type[InvalidArgument], message: str
) -> None:
    good = items(4, 2, seed=5)
    with pytest.raises(error, match=f"item 2: .*{message}"):
        galleries.enroll_many("staff", [*good[:2], bad, *good[2:]], MODEL)
    assert galleries.get("staff").samples == 0
    outcomes = galleries.enroll_each("staff", [*good[:2], bad, *good[2:]], MODEL)
    assert isinstance(outcomes.pop(2), error)
    assert all(isinstance(each, Enrolled) for each in outcomes)
    assert galleries.get("staff").samples == 4
    assert_index_equals_store(galleries, ["person0", "person1"])


def test_another_models_vectors_are_refused(galleries: Galleries) -> None:
    for enroll_some in (galleries.enroll_many, galleries.enroll_each):
        with pytest.raises(ModelMismatch):
            enroll_some("staff", items(3, 1), "sha256:another")
    assert galleries.get("staff").revision == 0


def test_a_batch_fills_zeroed_slots_first(galleries: Galleries) -> None:
    galleries.enroll_many("staff", items(20, 2), MODEL)
    galleries.delete_subject("staff", "person0")
    galleries.enroll_many("staff", items(15, 3, seed=1), MODEL)
    rows = galleries._store.journal.connection
    assert rows.execute("SELECT count(*) FROM vectors").fetchone() == (25,)
    assert galleries.check().findings == ()
    assert_index_equals_store(galleries, ["person0", "person1", "person2"])


def test_validating_says_what_would_be_and_keeps_nothing(galleries: Galleries) -> None:
    known, new = items(2, 1)
    kept = galleries.enroll("staff", "person0", known.vector, MODEL, known.content_sha256)

    def validate(item: Enrolment) -> Enrolled:
        return galleries.enroll(
            "staff",
            item.subject_id,
            item.vector,
            MODEL,
            item.content_sha256,
            request_id="r",
            validate_only=True,
        )

    assert validate(known) == replace(kept, already_existed=True)
    would_be = validate(new)
    assert (would_be.sample.sample_id, would_be.already_existed, would_be.revision) == (
        "",
        False,
        1,
    )
    assert galleries.get("staff").samples == 1
    assert galleries.search("staff", new.vector, MODEL, 1).samples == 1
    with pytest.raises(InvalidEmbedding):
        validate(replace(new, vector=new.vector * np.float32(2)))
    assert not galleries.enroll(
        "staff", "person9", new.vector, MODEL, new.content_sha256, request_id="r"
    ).already_existed


def test_a_request_id_that_comes_twice_in_a_batch(galleries: Galleries) -> None:
    first, second = (replace(each, request_id="r") for each in items(2, 2))
    with pytest.raises(RequestIdReused, match=r"item 1: .* comes twice in this batch"):
        galleries.enroll_many("staff", [first, second], MODEL)
    assert galleries.get("staff").samples == 0
    outcomes = galleries.enroll_each("staff", [first, second, first], MODEL)
    assert isinstance(outcomes[1], RequestIdReused)
    assert outcomes[0] == outcomes[2]
    assert isinstance(outcomes[0], Enrolled)
    assert not outcomes[0].already_existed
    assert galleries.get("staff").samples == 1


def test_sample_ids_are_uuids_of_version_7_in_order_of_time() -> None:
    ids = [*new_sample_ids(50, 1_700_000_000_000_000), *new_sample_ids(50, 1_700_000_001_000_000)]
    assert len(set(ids)) == 100
    assert {(len(each), each[12]) for each in ids} == {(32, "7")}
    assert {each[16] for each in ids} <= set("89ab")
    assert max(ids[:50]) < min(ids[50:])
    assert int(ids[0][:12], 16) == 1_700_000_000_000


@pytest.mark.parametrize("table", [subjects, samples])
def test_looking_up_some_of_many_does_not_look_at_all(
    galleries: Galleries, table: ModuleType
) -> None:
    """In steps of SQLite's machine: by its index a few for each, else several for every row."""
    enrolled = galleries.enroll_many("staff", items(3000, 3000), MODEL)
    ids = [each.sample.sample_id for each in enrolled]
    ids = [f"person{number}" for number in range(3000)] if table is subjects else ids
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with galleries._store.reading() as connection:
        connection.set_progress_handler(count, 1)
        assert len(table.keys_of(connection, 1, [*ids[:10], "nobody"])) == 10
        connection.set_progress_handler(None, 1)
    assert 10 < steps < 1000
