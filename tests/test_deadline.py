import threading
import time

import pytest

from mien import deadline
from mien.deadline import Deadline
from mien.errors import CallerGone, DeadlineExceeded


def test_without_a_caller_nobody_s_patience_ends() -> None:
    deadline.check("begin")
    assert not deadline.current().over()
    assert deadline.current().remaining() == threading.TIMEOUT_MAX


def test_a_deadline_that_passed_names_the_stage() -> None:
    passed = Deadline(time.monotonic())
    assert passed.over()
    assert passed.remaining() == 0
    with pytest.raises(DeadlineExceeded, match="before the server could search; allow more time"):
        passed.check("search")


def test_who_hung_up_waits_no_more_however_far_the_deadline() -> None:
    gone = threading.Event()
    caller = Deadline(time.monotonic() + 60, gone.is_set)
    caller.check("search")
    assert 59 < caller.remaining() <= 60
    gone.set()
    assert caller.over()
    with pytest.raises(CallerGone, match="hung up before the server could search"):
        caller.check("search")


def test_it_is_kept_for_what_is_inside_and_for_one_thread() -> None:
    seen: list[Deadline] = []
    mine = Deadline(time.monotonic() + 60)
    with deadline.kept(mine):
        with deadline.kept(Deadline(0)), pytest.raises(DeadlineExceeded):
            deadline.check("begin")
        assert deadline.current() is mine
        other = threading.Thread(target=lambda: seen.append(deadline.current()))
        other.start()
        other.join()
    assert seen[0].remaining() == threading.TIMEOUT_MAX
    assert not deadline.current().over()
