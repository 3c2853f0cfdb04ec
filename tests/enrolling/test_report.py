import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mien.enrolling import page, report
from mien.enrolling.items import REASONS, Refusal
from mien.enrolling.ledger import Ledger, Row
from tests.faces import encoded
from tests.vision.test_hostile import NO_PICTURE, TOO_LARGE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A picture of each kind, in a source that has two of them."""
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "1.png").write_bytes(encoded(1, 1))
    (tmp_path / "anna" / "2.png").write_bytes(b"broken")
    found = Ledger(tmp_path / "ledger")
    found.begin("staff")
    one = Row("anna/1.png", "anna", "anna", sha256="ab", outcome="enrolled", sample_id="S1")
    found.see(replace(one, misfit="not alike", warnings=(Refusal("W", "<b>w</b>"),)))
    found.see(Row("anna/2.png", "anna", "anna", outcome="refused", refusal=Refusal("R", "why")))
    found.see(Row("anna/3\udcff.png", "anna", "Ańńa", outcome="removed"))
    return found


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_line_tells_what_became_of_a_picture_and_why(ledger: Ledger, tmp_path: Path) -> None:
    report.write(ledger, tmp_path / "new" / "r.jsonl")
    first, second, third = lines(tmp_path / "new" / "r.jsonl")
    assert first == {
        "picture": "anna/1.png",
        "subject": "anna",
        "subject_id": "anna",
        "outcome": "enrolled",
        "reason": "",
        "message": "",
        "warnings": [
            {"reason": "W", "message": "<b>w</b>"},
            {"reason": "MISFIT", "message": "not alike"},
        ],
        "sample_id": "S1",
        "sha256": "ab",
    }
    assert (second["outcome"], second["reason"], second["message"]) == ("refused", "R", "why")
    assert (third["picture"], third["subject"]) == ("anna/3?.png", "Ańńa")


def test_the_totals(ledger: Ledger) -> None:
    totals = report.Totals.of(ledger)
    assert totals.outcomes == {"enrolled": 1, "refused": 1, "removed": 1}
    assert totals.refused == {"R": 1}
    assert totals.subjects == 1


class Elements(HTMLParser):
    """Names of elements, and addresses that they name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_needs_nothing_else(ledger: Ledger, tmp_path: Path) -> None:
    page.write(ledger, tmp_path, "people into staff", ["a <note>"], tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text("utf-8")
    found = Elements(text)
    assert "script" not in found.names
    assert "link" not in found.names
    (address,) = found.addresses
    assert address.startswith("data:image/jpeg;base64,")
    assert "url(" not in text
    assert "a &lt;note&gt;" in text
    assert "&lt;b&gt;w&lt;/b&gt;" in text
    rows = re.findall(r"<td>(anna/[^<]*)</td>", text)
    assert rows == ["anna/2.png", "anna/3?.png", "anna/1.png"]


def test_a_page_of_many_pictures_shows_some(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "SHOWN", 2)
    page.write(ledger, tmp_path, "t", [], tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text("utf-8")
    assert "2 of 3: those refused first" in text
    assert re.findall(r"<td>(anna/[^<]*)</td>", text) == ["anna/2.png", "anna/3?.png"]


def test_a_small_picture_of_a_picture_and_none_of_what_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    assert page.thumbnail(path) == ""
    for content in (*NO_PICTURE.values(), *TOO_LARGE.values()):
        path.write_bytes(content)
        assert page.thumbnail(path) == ""
    path.write_bytes(encoded(1, 1))
    assert page.thumbnail(path).startswith("data:image/jpeg")


def test_every_reason_is_documented() -> None:
    text = (ROOT / "docs" / "enrolling.md").read_text()
    for reason, meaning in REASONS.items():
        assert f"| `{reason}` | {meaning}" in text, reason
    contract = (ROOT / "proto" / "mien" / "v1" / "reason.proto").read_text()
    assert not [reason for reason in REASONS if f"REASON_{reason} " in contract]


def test_every_reason_is_given_somewhere() -> None:
    code = "".join(
        path.read_text()
        for path in (ROOT / "service" / "mien" / "enrolling").glob("*.py")
        if path.name != "items.py"
    )
    assert not [reason for reason in REASONS if f'"{reason}"' not in code]
