"""A request that is sent again is answered and not done twice."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mien.errors import InvalidRequest, MienError, RequestIdReused
from mien.gallery import times
from mien.gallery.galleries import Galleries
from mien.gallery.records import About, Retention, SubjectChange
from mien.gallery.store.store import FILE_NAME
from mien.gallery.store.tables import ledger
from tests.gallery.looks import DIM, MODEL, enroll, looks, sha256

LOOK, OTHER = looks(2)

Change = Callable[[Galleries, str], object]


def enroll_ann(galleries: Galleries, request_id: str) -> object:
    return galleries.enroll("staff", "ann", LOOK, MODEL, sha256(LOOK), request_id=request_id)


CHANGES: dict[str, Change] = {
    "create": lambda g, r: g.create("new", MODEL, DIM, labels={"a": "1"}, request_id=r),
    "update": lambda g, r: g.update("staff", retention=Retention(timedelta(1)), request_id=r),
    "delete": lambda g, r: g.delete("gone", request_id=r),
    "enroll": enroll_ann,
    "update_subject": lambda g, r: g.update_subject(
        "staff", "bob", SubjectChange(labels={"a": "1"}), request_id=r
    ),
    "merge_subjects": lambda g, r: g.merge_subjects("staff", "bob", ["cid"], request_id=r),
    "delete_samples": lambda g, r: g.delete_samples("staff", [sample_of(g, "dan")], request_id=r),
    "delete_subject": lambda g, r: g.delete_subject("staff", "eve", request_id=r),
}

OTHER_GALLERY = {"create", "delete"}
"""These are of galleries of their own, all others of "staff"."""

REMEMBERED: dict[str, str] = {}


def sample_of(galleries: Galleries, subject_id: str) -> str:
    """The id that the subject's sample had at first, also when it is gone."""
    if subject_id not in REMEMBERED:
        subject = galleries.get_subject("staff", subject_id)
        REMEMBERED[subject_id] = subject.samples[0].sample_id
    return REMEMBERED[subject_id]


@pytest.fixture
def staffed(galleries: Galleries) -> Galleries:
    """The gallery "staff" with four people, and "gone" with one."""
    REMEMBERED.clear()
    galleries.create("gone", MODEL, DIM)
    enroll(galleries, "fay", looks(1, seed=50)[0], "gone")
    for number, subject_id in enumerate(["bob", "cid", "dan", "eve"]):
        enroll(galleries, subject_id, looks(1, seed=60 + number)[0])
    return galleries


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_is_repeated_has_its_first_answer_and_is_made_once(
    staffed: Galleries, name: str
) -> None:
    first = CHANGES[name](staffed, "request 1")
    enroll(staffed, "somebody", OTHER)
    revision = staffed.get("staff").revision
    assert CHANGES[name](staffed, "request 1") == first
    assert staffed.get("staff").revision == revision
    assert staffed.check().findings == ()


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_remembered_when_the_directory_is_opened_again(data: Path, name: str) -> None:
    REMEMBERED.clear()
    with Galleries(data) as galleries:
        for gallery_id in ("staff", "gone"):
            galleries.create(gallery_id, MODEL, DIM)
        for number, subject_id in enumerate(["bob", "cid", "dan", "eve"]):
            enroll(galleries, subject_id, looks(1, seed=60 + number)[0])
        first = CHANGES[name](galleries, "\N{GREEK SMALL LETTER OMEGA} 1")
    with Galleries(data) as galleries:
        assert CHANGES[name](galleries, "\N{GREEK SMALL LETTER OMEGA} 1") == first


@pytest.mark.parametrize("name", [name for name in CHANGES if name not in OTHER_GALLERY])
@pytest.mark.parametrize("before", ["enroll", "update"])
def test_a_request_id_of_another_request_is_refused(
    staffed: Galleries, name: str, before: str
) -> None:
    CHANGES[before](staffed, "request 1")
    if name == before:
        return
    revision = staffed.get("staff").revision
    with pytest.raises(RequestIdReused, match="used before, for another request; use a new one"):
        CHANGES[name](staffed, "request 1")
    assert staffed.get("staff").revision == revision


@pytest.mark.parametrize("name", CHANGES)
def test_what_another_gallery_did_under_an_id_is_neither_told_nor_in_the_way(
    staffed: Galleries, name: str
) -> None:
    """Not even when it is deleted, since an id that is refused tells that somebody used it."""
    staffed.create("others", MODEL, DIM, request_id="request 1")
    theirs = staffed.enroll("others", "ann", OTHER, MODEL, sha256(OTHER), request_id="request 2")
    mine = CHANGES[name](staffed, "request 2")
    assert mine != theirs
    assert CHANGES[name](staffed, "request 2") == mine
    again = staffed.enroll("others", "ann", OTHER, MODEL, sha256(OTHER), request_id="request 2")
    assert again == theirs
    staffed.delete_subject("others", "ann")
    assert CHANGES[name](staffed, "request 2") == mine
    staffed.delete("others")
    enroll(staffed, "gil", looks(1, seed=70)[0])
    staffed.delete_subject("staff", "gil", request_id="request 1")


def test_a_gallery_of_the_same_id_goes_on_with_its_ids(staffed: Galleries) -> None:
    """A late repetition must not enrol into the new gallery who was deleted with the old one."""
    enroll_ann(staffed, "r")
    staffed.delete("staff")
    staffed.create("staff", MODEL, DIM)
    with pytest.raises(RequestIdReused, match="deleted since"):
        enroll_ann(staffed, "r")


@pytest.mark.parametrize("name", CHANGES)
def test_without_a_request_id_nothing_is_remembered(staffed: Galleries, name: str) -> None:
    CHANGES[name](staffed, "")
    with staffed._store.reading() as connection:
        assert connection.execute("SELECT count(*) FROM ledger").fetchone() == (0,)


@pytest.mark.parametrize("name", CHANGES)
def test_a_request_id_may_have_128_characters_and_no_more(staffed: Galleries, name: str) -> None:
    with pytest.raises(InvalidRequest, match="129 characters; use at most 128"):
        CHANGES[name](staffed, "x" * 129)
    CHANGES[name](staffed, "x" * 128)


def test_each_part_of_an_enrolment_makes_it_another_request(galleries: Galleries) -> None:
    def ask(**changed: object) -> object:
        asked = {
            "gallery_id": "staff",
            "subject_id": "ann",
            "content_sha256": sha256(LOOK),
            "about": About(labels={"a": "1", "b": "2"}, source="x"),
        } | changed
        return galleries.enroll(vector=LOOK, model_fingerprint=MODEL, request_id="r", **asked)  # type: ignore[arg-type]

    first = ask()
    assert ask(about=About(labels={"b": "2", "a": "1"}, source="x")) == first
    for changed in (
        {"subject_id": "bob"},
        {"content_sha256": sha256(OTHER)},
        {"about": About(labels={"a": "1"}, source="x")},
        {"about": About(labels={"a": "1", "b": "2"}, source="y")},
    ):
        with pytest.raises(RequestIdReused):
            ask(**changed)


def test_a_refused_request_is_not_remembered(galleries: Galleries) -> None:
    with pytest.raises(MienError):
        galleries.delete_subject("staff", "ann", request_id="r")
    enroll_ann(galleries, "s")
    assert galleries.delete_subject("staff", "ann", request_id="r").samples == 1


def test_a_late_repetition_does_not_enrol_who_was_deleted(galleries: Galleries) -> None:
    enroll_ann(galleries, "r")
    galleries.delete_subject("staff", "ann")
    with pytest.raises(RequestIdReused, match="for something that is deleted since"):
        enroll_ann(galleries, "r")
    assert galleries.get("staff").samples == 0
    enroll_ann(galleries, "s")


def test_what_an_answer_says_goes_with_the_sample_and_the_others_stay(
    galleries: Galleries,
) -> None:
    first = galleries.enroll("staff", "ann", LOOK, MODEL, sha256(LOOK), request_id="1")
    second = galleries.enroll("staff", "ann", OTHER, MODEL, sha256(OTHER), request_id="2")
    galleries.update_subject("staff", "ann", SubjectChange(display_name="Ann"), request_id="3")
    galleries.delete_samples("staff", [first.sample.sample_id])
    with pytest.raises(RequestIdReused, match="deleted since"):
        galleries.enroll("staff", "ann", LOOK, MODEL, sha256(LOOK), request_id="1")
    # It told of both samples.
    with pytest.raises(RequestIdReused, match="deleted since"):
        galleries.update_subject("staff", "ann", SubjectChange(display_name="Ann"), request_id="3")
    again = galleries.enroll("staff", "ann", OTHER, MODEL, sha256(OTHER), request_id="2")
    assert again == second


def test_a_merged_subjects_requests_go_with_the_one_it_became(galleries: Galleries) -> None:
    first = enroll_ann(galleries, "1")
    enroll(galleries, "bob", OTHER)
    galleries.merge_subjects("staff", "bob", ["ann"])
    assert enroll_ann(galleries, "1") == first
    galleries.delete_subject("staff", "bob")
    with pytest.raises(RequestIdReused, match="deleted since"):
        enroll_ann(galleries, "1")


def test_entries_say_neither_who_asked_nor_for_whom(galleries: Galleries, data: Path) -> None:
    galleries.enroll("staff", "ann", LOOK, MODEL, sha256(LOOK), request_id="for-ann-lee")
    galleries.delete_subject("staff", "ann", request_id="farewell-ann-lee")
    galleries.close()
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        rows = connection.execute("SELECT * FROM ledger ORDER BY key").fetchall()
    assert len(rows) == 2
    assert not any("ann" in str(value) for row in rows for value in row)


def test_a_request_is_remembered_for_24_hours(
    galleries: Galleries, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = enroll_ann(galleries, "r")
    now, hour = times.wall(), 3_600_000_000
    monkeypatch.setattr(times, "wall", lambda: now + 23 * hour)
    assert enroll_ann(galleries, "r") == first
    monkeypatch.setattr(times, "wall", lambda: now + 25 * hour)
    galleries.delete_subject("staff", "ann")
    assert enroll_ann(galleries, "r") != first
    galleries.expire()
    with galleries._store.reading() as connection:
        assert connection.execute("SELECT count(*) FROM ledger").fetchone() == (1,)


def test_the_oldest_requests_are_pushed_out(
    galleries: Galleries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "LIMIT", 10)
    for number, look in enumerate(looks(25)):
        galleries.enroll("staff", "ann", look, MODEL, sha256(look), request_id=str(number))
    with galleries._store.reading() as connection:
        assert connection.execute("SELECT count(*) FROM ledger").fetchone() == (10,)
    newest = looks(25)[24]
    again = galleries.enroll("staff", "ann", newest, MODEL, sha256(newest), request_id="24")
    assert not again.already_existed


def test_answers_keep_everything_they_say(galleries: Galleries) -> None:
    about = About(labels={"a": "\N{GREEK SMALL LETTER OMEGA}"}, source='"x"')
    asked = ("staff", "ann", LOOK, MODEL, sha256(LOOK))
    first = galleries.enroll(*asked, about=about, request_id="r")
    again = galleries.enroll(*asked, about=about, request_id="r")
    assert again == first
    assert again.sample.created.utcoffset() == timedelta(0)
    assert replace(again.sample, source="") != first.sample
