"""What is kept of people beside their vectors: reading, changing, merging, exporting."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mien.errors import InvalidId, InvalidRequest, SubjectNotFound
from mien.gallery.galleries import Galleries
from mien.gallery.records import About, Quality, Retention, SubjectChange
from tests.gallery.looks import MODEL, assert_index_equals_store, enroll, looks, sha256

TOLD = About(
    display_name="Ann Lee",
    labels={"site": "berlin", "role": "guard"},
    consent_ref="form 17",
    source="ann/1.jpg",
    quality=Quality(score=0.5, sharpness=12.25, warnings=("LOW_BRIGHTNESS",)),
    expires=datetime(2099, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
)

Calls = list[Callable[[], object]]


def tell(galleries: Galleries, subject_id: str, seed: int, about: About) -> str:
    look = looks(1, seed=seed)[0]
    enrolled = galleries.enroll("staff", subject_id, look, MODEL, sha256(look), about=about)
    return enrolled.sample.sample_id


def test_what_was_told_at_enrolment_is_read_back(galleries: Galleries) -> None:
    before = datetime.now(UTC)
    sample_id = tell(galleries, "ann", 0, TOLD)
    ann = galleries.get_subject("staff", "ann")
    assert (ann.subject_id, ann.display_name, ann.consent_ref) == ("ann", "Ann Lee", "form 17")
    assert ann.labels == TOLD.labels
    assert before <= ann.created <= datetime.now(UTC)
    assert (ann.expires, ann.last_match) == (None, None)
    (sample,) = ann.samples
    assert (sample.sample_id, sample.source) == (sample_id, "ann/1.jpg")
    assert (sample.quality, sample.expires) == (TOLD.quality, TOLD.expires)
    assert sample.content_sha256 == sha256(looks(1)[0])


def test_a_later_enrolment_adds_to_what_is_known_and_overwrites_what_it_says_anew(
    galleries: Galleries,
) -> None:
    tell(galleries, "ann", 0, TOLD)
    tell(galleries, "ann", 1, About(labels={"site": "rome", "floor": "2"}, consent_ref="form 18"))
    tell(galleries, "ann", 2, About(source="ann/3.jpg"))
    ann = galleries.get_subject("staff", "ann")
    assert ann.labels == {"site": "rome", "role": "guard", "floor": "2"}
    assert (ann.display_name, ann.consent_ref) == ("Ann Lee", "form 18")
    assert [sample.source for sample in ann.samples] == ["ann/1.jpg", "", "ann/3.jpg"]


def test_content_that_is_known_changes_nothing_of_what_is_told(galleries: Galleries) -> None:
    tell(galleries, "ann", 0, TOLD)
    before = galleries.get_subject("staff", "ann")
    tell(galleries, "ann", 0, About(display_name="Somebody else", labels={"site": "rome"}))
    assert galleries.get_subject("staff", "ann") == before
    assert galleries.get("staff").revision == 1


def test_a_change_replaces_what_it_names_and_leaves_the_rest(galleries: Galleries) -> None:
    tell(galleries, "ann", 0, TOLD)
    moment = datetime(2040, 5, 6, tzinfo=UTC)
    changed = galleries.update_subject("staff", "ann", SubjectChange(labels={"site": "rome"}))
    assert changed.revision == galleries.get("staff").revision == 2
    assert changed.subject.labels == {"site": "rome"}
    assert changed.subject.display_name == "Ann Lee"
    galleries.update_subject("staff", "ann", SubjectChange(display_name="", expires=moment))
    changed = galleries.update_subject("staff", "ann", SubjectChange(consent_ref="form 19"))
    assert changed.subject == galleries.get_subject("staff", "ann")
    assert (changed.subject.display_name, changed.subject.expires) == ("", moment)
    assert (changed.subject.consent_ref, changed.subject.labels) == ("form 19", {"site": "rome"})
    forever = galleries.update_subject("staff", "ann", SubjectChange(keep_for_ever=True))
    assert forever.subject.expires is None
    assert_index_equals_store(galleries, ["ann"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (SubjectChange(), "nothing is to be changed; give what is new"),
        (SubjectChange(expires=datetime(2040, 1, 1)), "of no time zone; give it one"),
        (
            SubjectChange(expires=datetime(2040, 1, 1, tzinfo=UTC), keep_for_ever=True),
            "exclude each other",
        ),
        (SubjectChange(labels={"a b": "x"}), "label name 'a b' is not accepted"),
        (SubjectChange(labels={"": "x"}), "label name '' is not accepted"),
        (SubjectChange(labels={"a": "x" * 257}), "label 'a' has 257 characters; use at most 256"),
        (SubjectChange(labels={f"a{n}": "x" for n in range(65)}), "65 labels are too many"),
        (SubjectChange(display_name="x" * 1025), "display_name has 1025 characters"),
        (SubjectChange(consent_ref="a\0b"), "leave out NUL"),
        (SubjectChange(display_name="\udc80"), "unpaired surrogates"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_written(
    galleries: Galleries, change: SubjectChange, message: str
) -> None:
    tell(galleries, "ann", 0, TOLD)
    before = galleries.get_subject("staff", "ann")
    with pytest.raises(InvalidRequest, match=message):
        galleries.update_subject("staff", "ann", change)
    assert galleries.get_subject("staff", "ann") == before


@pytest.mark.parametrize("bad", ["", "a b", "é", "a" * 129])
def test_bad_ids_are_refused_everywhere(galleries: Galleries, bad: str) -> None:
    enroll(galleries, "ann", looks(1)[0])
    change = SubjectChange(display_name="x")
    calls: Calls = [
        lambda: galleries.get_subject("staff", bad),
        lambda: galleries.get_subject(bad, "ann"),
        lambda: galleries.subjects(bad),
        lambda: galleries.update_subject("staff", bad, change),
        lambda: galleries.update_subject(bad, "ann", change),
        lambda: galleries.merge_subjects("staff", bad, ["ann"]),
        lambda: galleries.merge_subjects("staff", "ann", [bad]),
        lambda: galleries.merge_subjects(bad, "ann", ["bob"]),
        lambda: galleries.delete_samples("staff", [bad]),
        lambda: galleries.delete_samples(bad, ["a"]),
        lambda: galleries.export_subject("staff", bad),
        lambda: galleries.update(bad, labels={}),
    ]
    for call in calls:
        with pytest.raises(InvalidId):
            call()
    assert galleries.get("staff").revision == 1


def test_an_unknown_subject_is_refused_everywhere(galleries: Galleries) -> None:
    enroll(galleries, "ann", looks(1)[0])
    calls: Calls = [
        lambda: galleries.get_subject("staff", "bob"),
        lambda: galleries.update_subject("staff", "bob", SubjectChange(display_name="x")),
        lambda: galleries.merge_subjects("staff", "bob", ["ann"]),
        lambda: galleries.merge_subjects("staff", "ann", ["bob"]),
        lambda: galleries.export_subject("staff", "bob"),
    ]
    for call in calls:
        with pytest.raises(SubjectNotFound, match="no subject 'bob'"):
            call()
    assert galleries.get("staff").revision == 1


def test_subjects_are_paged_by_id_and_filtered_by_all_labels_that_are_given(
    galleries: Galleries,
) -> None:
    for number in range(12):
        labels = {"parity": str(number % 2), "third": str(number % 3)}
        tell(galleries, f"p{number:02}", number, About(labels=labels))

    def ids(**given: object) -> list[str]:
        return [each.subject_id for each in galleries.subjects("staff", **given)]  # type: ignore[arg-type]

    everybody = [f"p{number:02}" for number in range(12)]
    assert ids() == everybody
    assert ids(limit=5) == everybody[:5]
    assert ids(after="p04", limit=5) == everybody[5:10]
    assert ids(labels={"parity": "1"}) == everybody[1::2]
    assert ids(labels={"parity": "1", "third": "0"}) == ["p03", "p09"]
    assert ids(after="p03", labels={"parity": "1", "third": "0"}) == ["p09"]
    assert ids(labels={"parity": "2"}) == ids(labels={"other": "1"}) == []
    assert ids(labels={"third": "1"}, limit=2) == ["p01", "p04"]


def test_a_label_of_another_gallery_is_not_found(galleries: Galleries) -> None:
    galleries.create("visitors", MODEL, 16)
    look = looks(1)[0]
    about = About(labels={"site": "rome"})
    galleries.enroll("visitors", "bob", look, MODEL, sha256(look), about=about)
    tell(galleries, "ann", 1, About())
    assert galleries.subjects("staff", labels={"site": "rome"}) == []
    assert len(galleries.search("staff", look, MODEL, 5, labels={"site": "rome"}).matches) == 0
    assert len(galleries.search("visitors", look, MODEL, 5, labels={"site": "rome"}).matches) == 1


def test_a_search_by_labels_finds_everybody_who_bears_them_and_nobody_else(
    galleries: Galleries,
) -> None:
    for number in range(60):
        tell(galleries, f"p{number:02}", number, About(labels={"tenth": str(number % 10)}))
    galleries.update_subject("staff", "p07", SubjectChange(labels={"tenth": "3"}))
    galleries.update_subject("staff", "p13", SubjectChange(labels={}))
    found = galleries.search("staff", looks(1, seed=99)[0], MODEL, 50, labels={"tenth": "3"})
    expected = {"p03", "p07", "p23", "p33", "p43", "p53"}
    assert {match.subject_id for match in found.matches} == expected
    assert found.subjects == 6


def test_merging_gives_the_samples_of_all_to_one(galleries: Galleries) -> None:
    vectors = looks(6)
    ids = ["ann", "ann", "bob", "cid", "cid", "dan"]
    sample_ids = [enroll(galleries, *each) for each in zip(ids, vectors, strict=True)]
    changed = galleries.merge_subjects("staff", "bob", ["ann", "cid"])
    assert changed.revision == galleries.get("staff").revision == 7
    assert {each.sample_id for each in changed.subject.samples} == set(sample_ids[:5])
    assert [each.subject_id for each in galleries.subjects("staff")] == ["bob", "dan"]
    for vector in vectors[:5]:
        match = galleries.search("staff", vector, MODEL, 1).matches[0]
        assert (match.subject_id, match.similarity > 0.9999) == ("bob", True)
    assert_index_equals_store(galleries, ["bob", "dan"])
    galleries.delete_subject("staff", "bob")
    assert_index_equals_store(galleries, ["dan"])


def test_merging_keeps_what_is_told_of_the_first_before_that_of_the_others(
    galleries: Galleries,
) -> None:
    early, late = datetime(2040, 1, 1, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)
    tell(galleries, "ann", 0, About(labels={"a": "1"}, consent_ref="form 1"))
    tell(galleries, "bob", 1, About(display_name="Bob", labels={"a": "2", "b": "2"}))
    tell(galleries, "cid", 2, About(display_name="Cid", labels={"b": "3", "c": "3"}))
    galleries.update_subject("staff", "bob", SubjectChange(expires=late))
    galleries.update_subject("staff", "cid", SubjectChange(expires=early))
    galleries.matched("staff", ["cid"])
    first = galleries.get_subject("staff", "ann").created
    ann = galleries.merge_subjects("staff", "ann", ["bob", "cid"]).subject
    assert (ann.display_name, ann.consent_ref) == ("Bob", "form 1")
    assert ann.labels == {"a": "1", "b": "2", "c": "3"}
    assert (ann.created, ann.expires) == (first, early)
    assert ann.last_match is not None


def test_of_samples_with_the_same_content_one_is_left_by_a_merge(galleries: Galleries) -> None:
    same, other = looks(2)
    enroll(galleries, "bob", same)
    mine = enroll(galleries, "ann", same)
    third = enroll(galleries, "cid", other)
    enroll(galleries, "bob", other)
    ann = galleries.merge_subjects("staff", "ann", ["bob", "cid"]).subject
    assert [each.sample_id for each in ann.samples] == [mine, third]
    assert_index_equals_store(galleries, ["ann"])
    assert galleries.check().findings == ()


@pytest.mark.parametrize(
    ("into", "others", "message"),
    [
        ("ann", [], "nothing is to be merged into 'ann'"),
        ("ann", ["ann"], "named twice"),
        ("ann", ["bob", "bob"], "named twice"),
    ],
)
def test_a_merge_of_less_than_two_different_subjects_is_refused(
    galleries: Galleries, into: str, others: list[str], message: str
) -> None:
    enroll(galleries, "ann", looks(1)[0])
    with pytest.raises(InvalidRequest, match=message):
        galleries.merge_subjects("staff", into, others)


def test_deleting_samples_says_which_were_not_there(galleries: Galleries) -> None:
    first, second, third = (enroll(galleries, "ann", look) for look in looks(3))
    deletion = galleries.delete_samples("staff", [first, "nobody", third, first, "nothing"])
    assert (deletion.samples, deletion.revision) == (2, 4)
    assert deletion.not_found == ("nobody", "nothing")
    ann = galleries.get_subject("staff", "ann")
    assert [sample.sample_id for sample in ann.samples] == [second]
    np.testing.assert_array_equal(galleries.vectors("staff", "ann", MODEL), looks(3)[1:2])
    assert_index_equals_store(galleries, ["ann"])


def test_a_subject_goes_with_its_last_sample(galleries: Galleries) -> None:
    enroll(galleries, "bob", looks(2)[1])
    galleries.delete_samples("staff", [enroll(galleries, "ann", looks(1)[0])])
    with pytest.raises(SubjectNotFound):
        galleries.get_subject("staff", "ann")
    assert_index_equals_store(galleries, ["bob"])


def test_deleting_samples_that_are_not_there_changes_nothing(galleries: Galleries) -> None:
    enroll(galleries, "ann", looks(1)[0])
    deletion = galleries.delete_samples("staff", ["nothing"])
    assert (deletion.samples, deletion.revision, deletion.not_found) == (0, 1, ("nothing",))


def test_a_sample_of_another_gallery_is_not_deleted(galleries: Galleries) -> None:
    galleries.create("visitors", MODEL, 16)
    sample_id = enroll(galleries, "ann", looks(1)[0])
    assert galleries.delete_samples("visitors", [sample_id]).not_found == (sample_id,)
    assert galleries.get("staff").samples == 1


@pytest.mark.parametrize("count", [0, 10_001])
def test_a_call_deletes_from_1_to_10000_samples(galleries: Galleries, count: int) -> None:
    with pytest.raises(InvalidRequest, match=f"{count} sample ids; a call takes 1 to 10000"):
        galleries.delete_samples("staff", ["a"] * count)


def test_a_missing_subject_may_be_allowed_when_deleting(galleries: Galleries) -> None:
    enroll(galleries, "ann", looks(1)[0])
    deletion = galleries.delete_subject("staff", "bob", allow_missing=True)
    assert (deletion.samples, deletion.revision, deletion.not_found) == (0, 1, ("bob",))


def test_an_export_has_everything_that_is_held(galleries: Galleries) -> None:
    look, other = looks(2)
    galleries.enroll("staff", "ann", look, MODEL, sha256(look), about=TOLD, request_id="r1")
    galleries.enroll("staff", "ann", other, MODEL, sha256(other))
    galleries.enroll("staff", "bob", look, MODEL, sha256(look), request_id="r2")
    galleries.matched("staff", ["ann"])
    export = galleries.export_subject("staff", "ann")
    assert (export.gallery_id, export.model_fingerprint) == ("staff", MODEL)
    assert export.subject == galleries.get_subject("staff", "ann")
    assert export.subject.last_match is not None
    np.testing.assert_array_equal(export.vectors, looks(2))
    (request,) = export.requests
    assert request.method == "enroll"
    assert export.subject.samples[0].sample_id in request.answer


def test_a_gallery_has_labels_and_retention(galleries: Galleries) -> None:
    kept = Retention(max_age=timedelta(days=30), since_last_match=timedelta(hours=1))
    info = galleries.create("visitors", MODEL, 16, labels={"site": "rome"}, retention=kept)
    assert (info.labels, info.retention) == ({"site": "rome"}, kept)
    assert galleries.get("visitors") == info
    changed = galleries.update("visitors", labels={"a": "1"})
    assert (changed.labels, changed.retention, changed.revision) == ({"a": "1"}, kept, 1)
    changed = galleries.update("visitors", retention=Retention())
    assert (changed.labels, changed.retention, changed.revision) == ({"a": "1"}, Retention(), 2)
    assert galleries.search("visitors", looks(1)[0], MODEL, 1).revision == 2
    assert galleries.page()[1] == galleries.get("visitors") == changed


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_retention_that_keeps_nobody_is_refused(galleries: Galleries, seconds: int) -> None:
    for kept in (
        Retention(max_age=timedelta(seconds=seconds)),
        Retention(since_last_match=timedelta(seconds=seconds)),
    ):
        with pytest.raises(InvalidRequest, match="keeps nobody; give more than 0"):
            galleries.update("staff", retention=kept)
        with pytest.raises(InvalidRequest, match="keeps nobody; give more than 0"):
            galleries.create("other", MODEL, 16, retention=kept)
