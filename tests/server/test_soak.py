"""A short `make soak`."""

import json
from pathlib import Path

import pytest

from tests.server.soak import Caller, Findings, soak


def test_mixed_load_is_answered_and_memory_is_looked_at(tmp_path: Path) -> None:
    findings = soak(6, seed=1, folder=tmp_path)
    assert findings.wrong == []
    assert findings.operations.total() > 20
    assert len(findings.rss) >= 2
    assert set(json.loads(findings.as_json())) >= {"seconds", "operations", "growth", "wrong"}


def test_growth_is_of_the_end_over_the_time_after_the_warm_up() -> None:
    assert Findings(1, rss=[10] * 20 + [100] * 80).growth == 0
    assert Findings(1, rss=[100] * 40 + [110] * 60).growth == pytest.approx(0.1)


def test_every_operation_is_one_that_callers_choose() -> None:
    caller = Caller("127.0.0.1:1", 1, 0.0, Findings(1))
    named = {name for name in vars(Caller) if not name.startswith("_")} - {"run"}
    assert {each.__name__ for each in caller._operations} == named
