from typing import Any

import pytest
from pydantic import ValidationError

from mien.evaluation.contract import Acquisition, Deployed, Section, ends
from mien.matching.intervals import Interval

DEPLOYED: dict[str, Any] = {
    "threshold": 0.5, "target_fmr": None, "expected_fmr": None, "expected_fmr_upper95": None,
    "expected_fnmr": None,
    "fmr": 0.0, "fmr_interval95": (0.0, 0.1), "fnmr": 0.2, "fnmr_interval95": (0.1, 0.3),
}  # fmt: skip


def test_a_section_is_read_as_it_was_written() -> None:
    section = Deployed(**DEPLOYED)
    assert Deployed.model_validate_json(section.model_dump_json()) == section
    assert '"target_fmr":null' in section.model_dump_json()


@pytest.mark.parametrize(
    "change",
    [{"fmr": float("nan")}, {"fmr": None}, {"fnmr": "0.2"}, {"confidence": 0.9},
     {"fmr_interval95": (0.0,)}],
)  # fmt: skip
def test_what_is_no_report_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Deployed(**(DEPLOYED | change))


def test_a_missing_key_is_refused() -> None:
    for key in DEPLOYED:
        with pytest.raises(ValidationError, match=key):
            Deployed(**{k: v for k, v in DEPLOYED.items() if k != key})


def test_a_section_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Deployed(**DEPLOYED).fmr = 0.1


def test_every_section_says_what_it_is_or_is_named_for_it() -> None:
    names = [section.__name__ for section in Section.__subclasses__()]
    assert Acquisition.__name__ in names
    assert len(names) == len(set(names))


def test_an_interval_is_its_ends() -> None:
    assert ends(Interval(0.1, 0.2)) == (0.1, 0.2)
