"""A short `make fuzz`."""

from pathlib import Path

from tests.server.every_call import METHODS
from tests.server.fuzz import fuzz
from tests.server.hostile import Hostile

REQUESTS = 500


def test_malformed_requests_are_refused_by_reason_and_the_server_lives(tmp_path: Path) -> None:
    findings = fuzz(REQUESTS, seed=3, folder=tmp_path)
    assert findings.wrong == []
    assert findings.requests == REQUESTS
    assert findings.outcomes["OK"] > 0
    assert len(findings.outcomes) > 8  # it comes further than to the first check


def test_a_seed_gives_the_same_requests_and_another_gives_others() -> None:
    def drawn(seed: int) -> list[bytes]:
        hostile = Hostile(seed, "f" * 64)
        return [hostile.request(method) for method in METHODS] + [hostile.frames()]

    assert drawn(1) == drawn(1) != drawn(2)
