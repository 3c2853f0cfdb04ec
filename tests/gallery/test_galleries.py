"""What callers of the room see: galleries, enrolment, refusals."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mien.errors import (
    GalleryExists,
    GalleryNotFound,
    InvalidEmbedding,
    InvalidId,
    InvalidRequest,
    ModelMismatch,
    SettingsInvalid,
    StoreInvalid,
    SubjectNotFound,
)
from mien.gallery.galleries import Galleries
from mien.gallery.index.sample_index import SampleIndex
from mien.gallery.store import store
from mien.matching.metrics import Vectors
from tests.gallery.looks import DIM, MODEL, assert_index_equals_store, enroll, looks, sha256

OTHER_MODEL = "sha256:model-b"
LOOK = looks(1)[0]

Calls = list[Callable[[], object]]

BAD_IDS = [
    "",
    "-a",
    ".a",
    "_a",
    "a b",
    "a/b",
    "a\n",
    "é",
    "a" * 129,
    "a\x00",
    "\N{ARABIC-INDIC DIGIT ONE}",
]


def test_a_new_gallery_is_empty_and_bound_to_its_model(galleries: Galleries) -> None:
    before = datetime.now(UTC)
    info = galleries.create("visitors", MODEL, DIM)
    assert (info.gallery_id, info.model_fingerprint, info.dim) == ("visitors", MODEL, DIM)
    assert (info.subjects, info.samples, info.revision) == (0, 0, 0)
    assert before <= info.created <= datetime.now(UTC)
    assert galleries.get("visitors") == info


def test_a_gallery_is_created_once(galleries: Galleries) -> None:
    with pytest.raises(GalleryExists, match="there is a gallery 'staff' already; choose another"):
        galleries.create("staff", OTHER_MODEL, DIM)
    assert galleries.get("staff").model_fingerprint == MODEL


@pytest.mark.parametrize("bad", BAD_IDS)
def test_an_id_that_does_not_match_the_pattern_is_refused_everywhere(
    galleries: Galleries, bad: str
) -> None:
    calls: Calls = [
        lambda: galleries.create(bad, MODEL, DIM),
        lambda: galleries.get(bad),
        lambda: galleries.delete(bad),
        lambda: galleries.enroll(bad, "ann", LOOK, MODEL, sha256(LOOK)),
        lambda: galleries.enroll("staff", bad, LOOK, MODEL, sha256(LOOK)),
        lambda: galleries.delete_subject("staff", bad),
        lambda: galleries.delete_subject(bad, "ann"),
        lambda: galleries.vectors("staff", bad, MODEL),
        lambda: galleries.vectors(bad, "ann", MODEL),
        lambda: galleries.search(bad, LOOK, MODEL, 1),
    ]
    for call in calls:
        with pytest.raises(InvalidId, match=r"id .* is not accepted; use 1 to 128 letters"):
            call()
    assert galleries.get("staff").revision == 0


@pytest.mark.parametrize("good", ["a", "7", "A.b_c-9", "a" * 128, "ann.", "a--"])
def test_an_id_of_the_pattern_is_accepted(galleries: Galleries, good: str) -> None:
    galleries.create(good, MODEL, DIM)
    assert galleries.enroll(good, good, LOOK, MODEL, sha256(LOOK)).revision == 1


@pytest.mark.parametrize("dim", [0, -1])
def test_a_gallery_without_dimensions_is_refused(galleries: Galleries, dim: int) -> None:
    with pytest.raises(InvalidRequest, match=f"cannot have {dim} values"):
        galleries.create("flat", MODEL, dim)


def test_an_unknown_gallery_is_refused_with_the_nearest_known_one(galleries: Galleries) -> None:
    calls: Calls = [
        lambda: galleries.get("stafff"),
        lambda: galleries.delete("stafff"),
        lambda: galleries.enroll("stafff", "ann", LOOK, MODEL, sha256(LOOK)),
        lambda: galleries.delete_subject("stafff", "ann"),
        lambda: galleries.vectors("stafff", "ann", MODEL),
        lambda: galleries.search("stafff", LOOK, MODEL, 1),
    ]
    for call in calls:
        with pytest.raises(GalleryNotFound, match=r"no gallery 'stafff'; did you mean 'staff'\?"):
            call()


def test_an_unknown_gallery_like_no_other_is_to_be_created_first(galleries: Galleries) -> None:
    with pytest.raises(GalleryNotFound, match="there is no gallery 'zzz'; create it first"):
        galleries.get("zzz")


def test_an_unknown_subject_is_refused_with_the_nearest_known_one(galleries: Galleries) -> None:
    enroll(galleries, "ann-lee", LOOK)
    calls: Calls = [
        lambda: galleries.delete_subject("staff", "ann-le"),
        lambda: galleries.vectors("staff", "ann-le", MODEL),
    ]
    for call in calls:
        with pytest.raises(SubjectNotFound, match=r"'ann-le' in .*; did you mean 'ann-lee'\?"):
            call()
    assert galleries.get("staff").revision == 1


def test_an_unknown_subject_like_no_other_is_to_be_enrolled_first(galleries: Galleries) -> None:
    with pytest.raises(SubjectNotFound, match="'bob' in this gallery; enrol a sample of it first"):
        galleries.delete_subject("staff", "bob")


def test_galleries_are_paged_in_order_of_id(data: Path) -> None:
    ids = ["B", "a", "a.1", "b", "c"]
    with Galleries(data) as galleries:
        for gallery_id in reversed(ids):
            galleries.create(gallery_id, MODEL, DIM)
        assert [each.gallery_id for each in galleries.page()] == ids
        assert [each.gallery_id for each in galleries.page(limit=2)] == ids[:2]
        assert [each.gallery_id for each in galleries.page(after="a", limit=2)] == ids[2:4]
        assert galleries.page(after="c") == []


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(galleries: Galleries, limit: int) -> None:
    calls: Calls = [
        lambda: galleries.page(limit=limit),
        lambda: galleries.search("staff", LOOK, MODEL, limit),
    ]
    for call in calls:
        with pytest.raises(InvalidRequest, match=f"a limit of {limit} asks for nothing"):
            call()


def test_enrolment_answers_with_the_sample_and_the_revision(galleries: Galleries) -> None:
    before = datetime.now(UTC)
    enrolled = galleries.enroll("staff", "ann", LOOK, MODEL, sha256(LOOK))
    assert (enrolled.already_existed, enrolled.revision) == (False, 1)
    assert enrolled.sample.content_sha256 == sha256(LOOK)
    assert before <= enrolled.sample.created <= datetime.now(UTC)
    found = galleries.search("staff", LOOK, MODEL, 1)
    assert found.matches[0].sample_id == enrolled.sample.sample_id
    assert (found.subjects, found.revision) == (1, 1)


def test_the_revision_grows_by_one_with_each_change(galleries: Galleries) -> None:
    for count, look in enumerate(looks(5), start=1):
        assert galleries.enroll("staff", "ann", look, MODEL, sha256(look)).revision == count
    assert galleries.delete_subject("staff", "ann").revision == 6
    assert galleries.get("staff").revision == 6
    assert galleries.delete("staff").revision == 7


def test_the_same_content_of_the_same_subject_changes_nothing(galleries: Galleries) -> None:
    first = galleries.enroll("staff", "ann", LOOK, MODEL, sha256(LOOK))
    again = galleries.enroll("staff", "ann", LOOK, MODEL, sha256(LOOK))
    assert again.already_existed
    assert again.sample == first.sample
    assert again.revision == first.revision == galleries.get("staff").revision
    assert len(galleries.vectors("staff", "ann", MODEL)) == 1


def test_the_same_content_may_belong_to_two_subjects_and_two_galleries(
    galleries: Galleries,
) -> None:
    galleries.create("visitors", MODEL, DIM)
    samples = {
        enroll(galleries, "ann", LOOK),
        enroll(galleries, "ann-too", LOOK),
        enroll(galleries, "ann", LOOK, "visitors"),
    }
    assert len(samples) == 3
    assert galleries.get("staff").subjects == 2


def test_another_models_vector_is_refused_on_every_path(galleries: Galleries) -> None:
    enroll(galleries, "ann", LOOK)
    calls: Calls = [
        lambda: galleries.enroll("staff", "bob", LOOK, OTHER_MODEL, sha256(LOOK)),
        lambda: galleries.enroll("staff", "ann", LOOK, OTHER_MODEL, sha256(LOOK)),
        lambda: galleries.vectors("staff", "ann", OTHER_MODEL),
        lambda: galleries.search("staff", LOOK, OTHER_MODEL, 1),
    ]
    for call in calls:
        with pytest.raises(ModelMismatch, match=f"bound to model '{MODEL}'.*'{OTHER_MODEL}'"):
            call()
    assert galleries.get("staff").revision == 1


def with_value(value: float) -> Vectors:
    return np.where(np.arange(DIM) == 3, np.float32(value), LOOK)


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (with_value(np.nan), "NaN or infinite"),
        (with_value(np.inf), "NaN or infinite"),
        (with_value(-np.inf), "NaN or infinite"),
        (np.zeros(DIM, np.float32), "norm 0, not 1 within 0.001; divide it by its norm"),
        (LOOK * np.float32(1.002), "norm 1.002, not 1"),
        (LOOK * np.float32(0.998), "norm 0.998, not 1"),
        (LOOK * np.float32(3e38), "not 1 within"),
        (LOOK[:-1], r"shape \[15\].*have \[16\]|shape \[1, 15\].*have \[16\]"),
        (np.zeros(0, np.float32), "shape"),
        (LOOK.astype(np.float64), "type float64; convert it to float32"),
        (LOOK.astype(np.float16), "type float16; convert it to float32"),
        (LOOK.astype(">f4"), "type >f4; convert it to float32"),
    ],
)
def test_what_is_no_unit_vector_of_the_gallery_is_refused_before_anything_is_written(
    galleries: Galleries, vector: Vectors, message: str
) -> None:
    with pytest.raises(InvalidEmbedding, match=message):
        galleries.enroll("staff", "ann", vector, MODEL, "0" * 64)
    with pytest.raises(InvalidEmbedding, match=message):
        galleries.search("staff", vector, MODEL, 1)
    info = galleries.get("staff")
    assert (info.subjects, info.samples, info.revision) == (0, 0, 0)


def test_several_vectors_at_once_are_no_sample(galleries: Galleries) -> None:
    with pytest.raises(InvalidEmbedding, match=r"shape \[2, 16\]"):
        galleries.enroll("staff", "ann", looks(2), MODEL, "0" * 64)


@pytest.mark.parametrize("scale", [0.9991, 1.0009])
def test_a_norm_within_the_tolerance_is_accepted(galleries: Galleries, scale: float) -> None:
    vector = LOOK * np.float32(scale)
    enroll(galleries, "ann", vector)
    np.testing.assert_array_equal(galleries.vectors("staff", "ann", MODEL), vector[None])


@pytest.mark.parametrize("bad", ["", "0" * 63, "0" * 65, "g" * 64, "A" * 64, "0" * 64 + "\n"])
def test_a_content_hash_that_is_none_is_refused(galleries: Galleries, bad: str) -> None:
    with pytest.raises(InvalidRequest, match="give 64 hexadecimal digits in lower case"):
        galleries.enroll("staff", "ann", LOOK, MODEL, bad)


def test_vectors_come_back_to_the_bit_oldest_first(galleries: Galleries) -> None:
    for look in looks(7):
        enroll(galleries, "ann", look)
    vectors = galleries.vectors("staff", "ann", MODEL)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, looks(7))


def test_a_vector_that_is_a_strided_view_is_kept_as_its_values(galleries: Galleries) -> None:
    view = np.repeat(LOOK, 2)[::2]
    enroll(galleries, "ann", view)
    np.testing.assert_array_equal(galleries.vectors("staff", "ann", MODEL)[0], LOOK)
    assert galleries.search("staff", view, MODEL, 1).matches[0].similarity > 0.999999


def test_galleries_of_different_dimensions_live_in_one_directory(galleries: Galleries) -> None:
    wide = looks(1, dim=600)[0]
    galleries.create("wide", MODEL, 600)
    enroll(galleries, "ann", wide, "wide")
    enroll(galleries, "bob", LOOK)
    assert galleries.search("wide", wide, MODEL, 5).matches[0].subject_id == "ann"
    assert galleries.search("staff", LOOK, MODEL, 5).matches[0].subject_id == "bob"


def test_reopening_gives_the_same_answers(data: Path) -> None:
    probes = looks(10, seed=1)
    with Galleries(data) as galleries:
        galleries.create("staff", MODEL, DIM)
        for number, look in enumerate(looks(60)):
            enroll(galleries, f"person{number % 9}", look)
        galleries.delete_subject("staff", "person4")
        info = galleries.get("staff")
        before = [galleries.search("staff", probe, MODEL, 5) for probe in probes]
    with Galleries(data) as galleries:
        assert galleries.get("staff") == info
        assert [galleries.search("staff", probe, MODEL, 5) for probe in probes] == before


def test_an_index_is_built_from_more_samples_than_are_read_at_a_time(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BATCH", 4)
    with Galleries(data) as galleries:
        galleries.create("empty", MODEL, DIM)
        galleries.create("staff", MODEL, DIM)
        for number, look in enumerate(looks(13)):
            enroll(galleries, f"person{number % 3}", look)
    with Galleries(data) as galleries:
        assert_index_equals_store(galleries, ["person0", "person1", "person2"])


def test_an_index_that_could_not_follow_the_store_is_built_anew(
    galleries: Galleries, monkeypatch: pytest.MonkeyPatch
) -> None:
    enroll(galleries, "ann", LOOK)
    second = looks(2)[1]

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(SampleIndex, "add", fail)
        with pytest.raises(MemoryError):
            enroll(galleries, "bob", second)
    assert galleries.enroll("staff", "bob", second, MODEL, sha256(second)).already_existed
    assert_index_equals_store(galleries, ["ann", "bob"])


def test_a_file_in_place_of_the_data_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(SettingsInvalid, match=r"cannot use .*data as data directory"):
        Galleries(tmp_path / "data")


def test_a_data_directory_is_for_its_owner_alone(galleries: Galleries, data: Path) -> None:
    assert data.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in data.iterdir()} == {0o600}


def test_a_file_that_is_no_database_is_refused_and_left_alone(data: Path) -> None:
    data.mkdir()
    (data / store.FILE_NAME).write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(StoreInvalid, match="cannot be used as the database of galleries"):
        Galleries(data)
    assert (data / store.FILE_NAME).read_bytes().startswith(b"not a database")
