"""Deadlines of streams, step by step; those of single calls are in `test_batching`."""

from collections.abc import Iterator
from typing import Any

import pytest

from mien import deadline
from mien.deadline import Deadline
from mien.errors import CallerGone, DeadlineExceeded
from mien.server.calls import admission
from mien.server.calls.admission import _stream

NOBODY: Any = None
"""A context that nothing is asked of."""


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> list[Deadline]:
    """The deadline of the call that comes."""
    told: list[Deadline] = [Deadline()]
    monkeypatch.setattr(admission, "deadline_of", lambda _: told[0])
    return told


class Work:
    """A handler of a stream that notes whom it worked for."""

    def __init__(self) -> None:
        self.seen: list[Deadline] = []
        self.ended = False

    def __call__(self, _request: Any, _context: Any) -> Iterator[int]:
        try:
            for number in range(3):
                self.seen.append(deadline.current())
                yield number
        finally:
            self.ended = True


def test_every_step_has_the_deadline_and_none_is_left_behind(patience: list[Deadline]) -> None:
    patience[0], before = Deadline(at=2.0**40), deadline.current()
    work, answers = Work(), []
    for answer in _stream(work)(None, NOBODY):
        answers.append(answer)
        assert deadline.current() is before
    assert answers == [0, 1, 2]
    assert work.seen == [patience[0]] * 3
    assert work.ended


def test_a_stream_ends_when_its_time_is_up(patience: list[Deadline]) -> None:
    work = Work()
    patience[0] = Deadline(at=0.0)
    with pytest.raises(DeadlineExceeded, match="go on"):
        list(_stream(work)(None, NOBODY))
    assert work.seen == []


def test_a_stream_ends_when_its_caller_has_gone_and_its_handler_is_closed(
    patience: list[Deadline],
) -> None:
    gone: list[bool] = []
    patience[0] = Deadline(gone=lambda: bool(gone))
    work = Work()
    answers = _stream(work)(None, NOBODY)
    assert next(answers) == 0
    gone.append(True)
    with pytest.raises(CallerGone):
        next(answers)
    assert work.ended


def test_who_stops_taking_answers_closes_the_handler(patience: list[Deadline]) -> None:
    work = Work()
    answers = _stream(work)(None, NOBODY)
    next(answers)
    answers.close()
    assert work.ended
