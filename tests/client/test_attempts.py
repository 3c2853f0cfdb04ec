"""When a call is made again, and for how long."""

import pytest

from mien import errors
from mien.client import attempts
from mien.client.attempts import Attempts

GONE = errors.ServerUnavailable("gone")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its first value is the time."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_an_unreachable_server_is_asked_again_with_growing_pauses(clock: list[float]) -> None:
    tried = Attempts(safe=True, deadline=60)
    pauses = [tried.pause(GONE) for _ in range(attempts.MOST)]
    assert pauses[-1] is None
    longest = [attempts.FIRST_PAUSE * 2 ** (n + 1) for n in range(attempts.MOST - 1)]
    for pause, most in zip(pauses[:-1], longest, strict=True):
        assert pause is not None
        assert most / 2 <= pause <= most


def test_no_pause_is_longer_than_the_longest(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MOST", 50)
    tried = Attempts(safe=True, deadline=None)
    pauses = [tried.pause(GONE) or 0 for _ in range(49)]
    assert max(pauses) <= attempts.LONGEST_PAUSE


def test_the_server_s_word_on_when_to_come_back_is_kept(clock: list[float]) -> None:
    full = errors.QueueFull("full", 7.0)
    pause = Attempts(safe=True, deadline=60).pause(full)
    assert pause is not None
    assert 7 < pause <= 7 + attempts.LONGEST_PAUSE


def test_where_waiting_does_not_help_it_is_final(clock: list[float]) -> None:
    assert Attempts(safe=True, deadline=60).pause(errors.QueueFull("full", None)) is None


def test_what_is_not_safe_is_made_once(clock: list[float]) -> None:
    assert Attempts(safe=False, deadline=60).pause(GONE) is None


@pytest.mark.parametrize(
    "error",
    [errors.InvalidRequest(""), errors.DeadlineExceeded(""), errors.Internal("")],
    ids=lambda error: type(error).__name__,
)
def test_what_would_fail_again_is_final(clock: list[float], error: errors.MienError) -> None:
    assert Attempts(safe=True, deadline=60).pause(error) is None


def test_the_deadline_is_for_all_attempts_together(clock: list[float]) -> None:
    tried = Attempts(safe=True, deadline=10)
    assert tried.left == 10
    clock[0] += 4
    assert tried.left == 6
    assert tried.pause(errors.QueueFull("full", 7.0)) is None
    clock[0] += 7
    assert tried.left == 0
    assert Attempts(safe=True, deadline=None).left is None


def test_progress_begins_anew(clock: list[float]) -> None:
    tried = Attempts(safe=True, deadline=None)
    for _ in range(3 * attempts.MOST):
        assert tried.pause(GONE) is not None
        tried.progressed()


def test_who_waits_longer_than_others_says_for_what_and_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    usual, patient = (Attempts(safe=True, deadline=None, most=most) for most in (None, 150))
    for _ in range(5):
        usual.pause(GONE)
    assert caplog.messages == []
    for _ in range(20):
        assert patient.pause(GONE) is not None
    assert caplog.messages == [f"{GONE}; tried 5 times, going on up to 150"]
    patient.progressed()
    for _ in range(20):
        patient.pause(GONE)
    assert len(caplog.messages) == 2
