"""Rules of the wire contract that no compiler checks."""

import re
from pathlib import Path

import pytest

PROTOS = sorted((Path(__file__).parent.parent / "proto" / "mien" / "v1").glob("*.proto"))
ELEMENT = re.compile(
    r"^\s*(message|enum|service|rpc|oneof|[\w.<>, ]+ \w+ = \d+;|[A-Z_0-9]+ = \d+;)"
)


@pytest.mark.parametrize("proto", PROTOS, ids=lambda path: path.stem)
def test_every_element_is_commented(proto: Path) -> None:
    lines = proto.read_text().splitlines()
    for number, line in enumerate(lines):
        if ELEMENT.match(line) and not line.startswith(("syntax", "package")):
            assert lines[number - 1].strip().startswith("//"), f"{proto.name}:{number + 1}: {line}"


@pytest.mark.parametrize("proto", PROTOS, ids=lambda path: path.stem)
def test_enum_values_bear_the_name_of_their_enum_and_zero_is_unspecified(proto: Path) -> None:
    for name, body in re.findall(r"^enum (\w+) {(.*?)^}", proto.read_text(), re.S | re.M):
        prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() + "_"
        values = re.findall(r"^\s+(\w+) = (\d+);", body, re.M)
        assert all(value.startswith(prefix) for value, _ in values)
        assert (f"{prefix}UNSPECIFIED", "0") in values


@pytest.mark.parametrize("proto", PROTOS, ids=lambda path: path.stem)
def test_fields_are_lower_snake_case_and_numbers_are_unique_in_a_message(proto: Path) -> None:
    for name, body in re.findall(r"^message (\w+) {(.*?)^}", proto.read_text(), re.S | re.M):
        body = re.sub(r"^  message \w+ {.*?^  }", "", body, flags=re.S | re.M)  # noqa: PLW2901
        fields = re.findall(r"^\s+[\w.<>, ]+ (\w+) = (\d+);", body, re.M)
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", field) for field, _ in fields), name
        assert len({number for _, number in fields}) == len(fields), name
