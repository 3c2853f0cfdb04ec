import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mien.enrolling.items import Entry, Said, Unusable
from mien.enrolling.manifest import read
from mien.errors import DatasetInvalid

CSV = """path,subject,labels,consent_ref,expires
a/1.jpg,anna,site=oslo; role=guard,C-17,2030-12-31
/abs/2.jpg,Ольга,,,2030-06-01T12:00:00+02:00
"""


def write(folder: Path, text: str, name: str = "list.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def expected(folder: Path) -> list[Entry]:
    labels = {"site": "oslo", "role": "guard"}
    end = datetime(2030, 12, 31, tzinfo=UTC)
    noon = datetime(2030, 6, 1, 10, tzinfo=UTC)
    return [
        Entry("a/1.jpg", folder / "a/1.jpg", "anna", Said("", labels, "C-17", end)),
        Entry("/abs/2.jpg", Path("/abs/2.jpg"), "Ольга", Said("Ольга", {}, "", noon)),
    ]


def test_a_csv_says_whose_each_picture_is(tmp_path: Path) -> None:
    assert list(read(write(tmp_path, CSV))) == expected(tmp_path)
    assert list(read(write(tmp_path, "\ufeff" + CSV))) == expected(tmp_path)


def test_json_lines_say_the_same(tmp_path: Path) -> None:
    rows = [
        {
            "path": "a/1.jpg",
            "subject": "anna",
            "labels": {"site": "oslo", "role": "guard"},
            "consent_ref": "C-17",
            "expires": "2030-12-31",
        },
        {"path": "/abs/2.jpg", "subject": "Ольга", "expires": "2030-06-01T12:00:00+02:00"},
    ]
    text = "\n\n".join(json.dumps(row) for row in rows)
    assert list(read(write(tmp_path, text, "list.jsonl"))) == expected(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"path": "a.jpg"}', "there is no subject"),
        ('{"subject": "a"}', "there is no path"),
        ('{"path": "a.jpg", "subject": 7}', "subject is 7, which is no text"),
        ('{"path": "a.jpg", "subject": "a", "name": "x"}', "'name' is none of path"),
        ('{"path": "a.jpg", "subject": "a", "labels": ["x"]}', "labels are"),
        ('{"path": "a.jpg", "subject": "a", "labels": "x"}', "label 'x' has no value"),
        ('{"path": "a.jpg", "subject": "a", "expires": "soon"}', "expires is 'soon'"),
        ('{"path": "a.jpg", "subject": "a\\ud800"}', "unpaired surrogates"),
        ('{"path": "a\\u0000.jpg", "subject": "a"}', "leave out NUL"),
        ("[1]", "is no object"),
        ("{", "Expecting property name"),
        ("[" * 100_000, ""),
    ],
)
def test_a_bad_line_is_unusable_and_the_next_is_read(
    tmp_path: Path, line: str, message: str
) -> None:
    good = '{"path": "b.jpg", "subject": "b"}'
    bad, after = read(write(tmp_path, f"{line}\n{good}\n", "list.jsonl"))
    assert isinstance(bad, Unusable)
    assert bad.refusal.reason == "LINE_INVALID"
    assert bad.refusal.message.startswith("line 1: ")
    assert message in bad.refusal.message
    assert after.key == "b.jpg"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,subject,nmae\n", "has a column 'nmae'"),
        ("path\n", "has no column 'subject'"),
        ("", "has no column 'path'"),
        ('path,subject\n"a,b\n', "cannot be read"),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetInvalid, match=message):
        list(read(write(tmp_path, text)))


def test_a_list_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match="cannot be read"):
        list(read(tmp_path / "none.csv"))
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(DatasetInvalid, match="cannot be read"):
        list(read(tmp_path / "x.csv"))


def test_a_csv_row_with_too_many_fields_is_unusable(tmp_path: Path) -> None:
    (bad,) = read(write(tmp_path, "path,subject\na.jpg,a,b,c\n"))
    assert isinstance(bad, Unusable)
