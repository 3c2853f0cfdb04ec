"""Forgetting in time: by age, by the last match, by a date of one's own; and odd clocks."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mien.errors import InvalidRequest, SubjectNotFound
from mien.gallery import integrity, times, upkeep
from mien.gallery.galleries import Galleries
from mien.gallery.records import About, Expired, Retention, SubjectChange
from tests.gallery.looks import DIM, MODEL, assert_index_equals_store, enroll, looks, sha256
from tests.gallery.test_deletion import traces

START = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)

SetClock = Callable[[timedelta], datetime]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Sets the machine's clock to so long after START, which is what it shows at first."""

    def show(after: timedelta) -> datetime:
        moment = START + after
        for module in (times, upkeep, integrity):
            monkeypatch.setattr(module, "wall", lambda: times.to_microseconds(moment))
        return moment

    show(timedelta(0))
    return show


def ids(galleries: Galleries, gallery_id: str = "staff") -> list[str]:
    return [each.subject_id for each in galleries.subjects(gallery_id)]


@pytest.fixture
def staff(clock: SetClock, data: Path) -> Iterator[Galleries]:
    """A gallery of that name, created at START."""
    with closing(Galleries(data)) as galleries:
        galleries.create("staff", MODEL, DIM)
        yield galleries


def test_nobody_is_forgotten_where_nothing_says_so(staff: Galleries, clock: SetClock) -> None:
    enroll(staff, "ann", looks(1)[0])
    clock(100_000 * DAY)
    assert staff.expire() == []
    assert ids(staff) == ["ann"]


def test_samples_go_when_they_are_too_old_and_subjects_with_their_last(
    staff: Galleries, clock: SetClock, data: Path
) -> None:
    staff.update("staff", retention=Retention(max_age=10 * DAY))
    first, second, third = looks(3)
    enroll(staff, "ann", first)
    enroll(staff, "bob", second)
    clock(6 * DAY)
    enroll(staff, "ann", third)
    clock(10 * DAY - timedelta(microseconds=1))
    assert staff.expire() == []
    clock(10 * DAY)
    assert staff.expire() == [Expired("staff", subjects=1, samples=2, revision=5)]
    assert ids(staff) == ["ann"]
    assert [len(staff.get_subject("staff", "ann").samples), staff.get("staff").revision] == [1, 5]
    assert_index_equals_store(staff, ["ann"])
    assert traces(data, first) == traces(data, second) == []
    assert traces(data, third)
    clock(16 * DAY)
    assert staff.expire() == [Expired("staff", subjects=1, samples=1, revision=6)]
    assert staff.check().findings == ()


def test_subjects_go_when_they_were_not_matched_for_too_long(
    staff: Galleries, clock: SetClock
) -> None:
    staff.update("staff", retention=Retention(since_last_match=10 * DAY))
    for subject_id, look in zip(["ann", "bob", "cid"], looks(3), strict=True):
        enroll(staff, subject_id, look)
    clock(5 * DAY)
    staff.matched("staff", ["bob", "nobody"])
    clock(8 * DAY)
    staff.matched("staff", ["cid"])
    clock(10 * DAY)
    (expired,) = staff.expire()
    assert (expired.subjects, expired.samples) == (1, 1)
    assert ids(staff) == ["bob", "cid"]
    assert staff.get_subject("staff", "bob").last_match == START + 5 * DAY
    clock(15 * DAY)
    staff.expire()
    assert ids(staff) == ["cid"]


def test_samples_and_subjects_go_by_dates_of_their_own(staff: Galleries, clock: SetClock) -> None:
    for number, (subject_id, look) in enumerate(zip("aabbc", looks(5), strict=True)):
        about = About(expires=START + number * DAY)
        staff.enroll("staff", subject_id, look, MODEL, sha256(look), about=about)
    staff.update_subject("staff", "c", SubjectChange(expires=START + 3 * DAY))
    seen = []
    for days in range(1, 5):
        clock(days * DAY)
        staff.expire()
        seen.append({each.subject_id: len(each.samples) for each in staff.subjects("staff")})
    # The sample of "c" would have stayed a day longer, had the subject not had a date.
    assert seen == [{"b": 2, "c": 1}, {"b": 1, "c": 1}, {}, {}]


def test_only_the_gallery_that_says_so_forgets(staff: Galleries, clock: SetClock) -> None:
    staff.create("short", MODEL, DIM, retention=Retention(max_age=DAY))
    look = looks(1)[0]
    enroll(staff, "ann", look)
    enroll(staff, "ann", look, "short")
    clock(2 * DAY)
    assert [each.gallery_id for each in staff.expire()] == ["short"]
    assert (ids(staff), ids(staff, "short")) == (["ann"], [])


def test_more_than_one_transaction_takes(
    staff: Galleries, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "AT_ONCE", 3)
    staff.update("staff", retention=Retention(max_age=DAY))
    for number, look in enumerate(looks(20)):
        if number == 10:
            clock(DAY)
        enroll(staff, f"person{number % 4}", look)
    (expired,) = staff.expire()
    assert (expired.samples, expired.subjects) == (10, 0)
    assert expired.revision == staff.get("staff").revision
    assert_index_equals_store(staff, [f"person{number}" for number in range(4)])


def test_a_moment_may_be_given_and_must_have_a_time_zone(staff: Galleries, clock: SetClock) -> None:
    staff.update("staff", retention=Retention(max_age=DAY))
    enroll(staff, "ann", looks(1)[0])
    with pytest.raises(InvalidRequest, match="of no time zone"):
        staff.expire(datetime(2031, 1, 1))
    assert staff.expire(START + DAY)[0].samples == 1


def test_who_is_matched_while_others_expire_stays(
    staff: Galleries, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff.update("staff", retention=Retention(since_last_match=DAY))
    for subject_id, look in zip(["ann", "bob"], looks(2), strict=True):
        enroll(staff, subject_id, look)
    clock(2 * DAY)
    due = staff._store.due

    def then_match(gallery_id: str, now: int) -> object:
        found = due(gallery_id, now)
        staff.matched("staff", ["bob"])
        return found

    monkeypatch.setattr(staff._store, "due", then_match)
    staff.expire()
    assert ids(staff) == ["bob"]


def test_a_search_writes_nothing_and_a_match_is_durable_on_closing(
    staff: Galleries, clock: SetClock, data: Path
) -> None:
    enroll(staff, "ann", looks(1)[0])
    revision = staff.get("staff").revision
    clock(DAY)
    staff.matched("staff", ["ann"])
    assert staff.get_subject("staff", "ann").last_match is None
    staff.close()
    with Galleries(data) as galleries:
        assert galleries.get_subject("staff", "ann").last_match == START + DAY
        assert galleries.get("staff").revision == revision
        assert galleries.check().findings == ()


def test_the_match_of_a_subject_that_was_deleted_is_not_its_successors(
    staff: Galleries, clock: SetClock
) -> None:
    for delete in (
        lambda: staff.delete_subject("staff", "ann"),
        lambda: (staff.delete("staff"), staff.create("staff", MODEL, DIM)),
    ):
        enroll(staff, "ann", looks(1)[0])
        staff.matched("staff", ["ann"])
        delete()
        enroll(staff, "ann", looks(1)[0])
        staff.flush_matches()
        assert staff.get_subject("staff", "ann").last_match is None


def test_an_earlier_match_does_not_replace_a_later_one(staff: Galleries, clock: SetClock) -> None:
    enroll(staff, "ann", looks(1)[0])
    for days in (3, 1):
        staff._store.match({("staff", "ann"): times.to_microseconds(START + days * DAY)})
    assert staff.get_subject("staff", "ann").last_match == START + 3 * DAY


def test_matches_that_could_not_be_written_are_kept(
    staff: Galleries, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    enroll(staff, "ann", looks(1)[0])
    staff.matched("staff", ["ann"])

    def fail(_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(staff._store, "match", fail)
        with pytest.raises(MemoryError):
            staff.flush_matches()
    staff.flush_matches()
    assert staff.get_subject("staff", "ann").last_match == START


def test_a_clock_that_goes_back_expires_nobody_early(staff: Galleries, clock: SetClock) -> None:
    """Enrolled while the clock is a month behind, and that is set right: the age counts from then
    on that the clock had shown before, and so not from a month ago."""
    staff.update("staff", retention=Retention(max_age=10 * DAY))
    clock(40 * DAY)
    enroll(staff, "ann", looks(2)[0])
    clock(10 * DAY)
    enroll(staff, "bob", looks(2)[1])
    assert staff.expire() == []
    clock(49 * DAY)
    assert staff.expire() == []
    assert ids(staff) == ["ann", "bob"]
    clock(50 * DAY)
    staff.expire()
    assert ids(staff) == []


def test_a_clock_that_goes_back_between_two_starts_expires_nobody_early(
    staff: Galleries, clock: SetClock, data: Path
) -> None:
    staff.update("staff", retention=Retention(max_age=10 * DAY, since_last_match=10 * DAY))
    clock(40 * DAY)
    enroll(staff, "ann", looks(2)[0])
    staff.delete_subject("staff", "ann")
    staff.close()
    clock(10 * DAY)
    with Galleries(data) as galleries:
        enroll(galleries, "bob", looks(2)[1])
        galleries.matched("staff", ["bob"])
        galleries.flush_matches()
        assert galleries.get_subject("staff", "bob").last_match == START + 40 * DAY
        clock(49 * DAY)
        assert galleries.expire() == []
        clock(50 * DAY)
        galleries.expire()
        with pytest.raises(SubjectNotFound):
            galleries.get_subject("staff", "bob")


def test_a_clock_that_goes_back_does_not_break_the_order_of_samples(
    staff: Galleries, clock: SetClock
) -> None:
    sample_ids = []
    for days, look in zip([5, 3, 7, 1, 6], looks(5), strict=True):
        clock(days * DAY)
        sample_ids.append(enroll(staff, "ann", look))
    samples = staff.get_subject("staff", "ann").samples
    assert [each.sample_id for each in samples] == sample_ids
    created = [each.created for each in samples]
    assert created == sorted(created)


def test_a_clock_that_is_behind_is_said(staff: Galleries, clock: SetClock) -> None:
    clock(40 * DAY)
    enroll(staff, "ann", looks(1)[0])
    clock(10 * DAY)
    (finding,) = staff.check().findings
    assert finding.what == "clock"
    assert "30 days, 0:00:00 behind" in finding.message
