"""Rules of the wire contract that no compiler checks: as buf's STANDARD and COMMENTS lint them."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FileDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)

from mien.v1 import (
    decision_pb2,
    embedding_pb2,
    gallery_pb2,
    maintenance_pb2,
    match_pb2,
    model_pb2,
    probe_pb2,
    reason_pb2,
)

PROTOS = sorted((Path(__file__).parent.parent / "proto" / "mien" / "v1").glob("*.proto"))
MODULES = (
    decision_pb2,
    embedding_pb2,
    gallery_pb2,
    maintenance_pb2,
    match_pb2,
    model_pb2,
    probe_pb2,
    reason_pb2,
)
FILES: list[FileDescriptor] = [module.DESCRIPTOR for module in MODULES]
SERVICES: list[ServiceDescriptor] = [
    service for file in FILES for service in file.services_by_name.values()
]
METHODS: list[MethodDescriptor] = [
    method for service in SERVICES for method in service.methods_by_name.values()
]
RESOURCES = {
    "Calibration",
    "DeleteReceipt",
    "Gallery",
    "GalleryStats",
    "Model",
    "Subject",
    "SubjectExport",
}
"""What there is to ask for, and what is left of it."""

ELEMENT = re.compile(
    r"^\s*(message|enum|service|rpc|oneof|[\w.<>, ]+ \w+ = \d+;|[A-Z_0-9]+ = \d+;)"
)
PASCAL = re.compile(r"([A-Z][a-z0-9]*)+")
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def messages() -> Iterator[Descriptor]:
    """All of them, with those inside others."""
    found = [message for file in FILES for message in file.message_types_by_name.values()]
    while found:
        message = found.pop()
        yield message
        found += [each for each in message.nested_types if not each.GetOptions().map_entry]


def enums() -> Iterator[EnumDescriptor]:
    for file in FILES:
        yield from file.enum_types_by_name.values()
    for message in messages():
        yield from message.enum_types


def constant(name: str) -> str:
    """PascalCase to UPPER_SNAKE_CASE."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()


def test_every_file_is_looked_at() -> None:
    assert sorted(Path(file.name).name for file in FILES) == [path.name for path in PROTOS]


@pytest.mark.parametrize("proto", PROTOS, ids=lambda path: path.stem)
class TestFiles:
    def test_every_element_is_commented(self, proto: Path) -> None:
        lines = proto.read_text().splitlines()
        for number, line in enumerate(lines):
            if ELEMENT.match(line) and not line.startswith(("syntax", "package")):
                above = lines[number - 1].strip()
                assert above.startswith("//"), f"{proto.name}:{number + 1}: {line}"

    def test_it_says_its_syntax_and_its_package_which_is_its_folder(self, proto: Path) -> None:
        lines = proto.read_text().splitlines()
        assert lines[0] == 'syntax = "proto3";'
        package = ".".join(proto.parent.relative_to(proto.parents[2]).parts)
        assert lines[2] == f"package {package};"
        assert re.search(r"\.v[1-9]\d*$", package)
        assert SNAKE.fullmatch(proto.stem)

    def test_it_imports_what_it_uses_once_and_in_order(self, proto: Path) -> None:
        text = proto.read_text()
        imports = re.findall(r'^import (?:public |weak )?"(.+)";$', text, re.M)
        assert imports == sorted(set(imports))
        assert "import public" not in text
        assert "import weak" not in text
        (file,) = (file for file in FILES if file.name.endswith(f"/{proto.name}"))
        assert set(imports) == _used(file)

    def test_nothing_is_required_and_nothing_has_a_default(self, proto: Path) -> None:
        code = re.sub(r"//.*", "", proto.read_text())
        assert not re.search(r"\b(required|group|extend|default)\b", code)


def _used(file: FileDescriptor) -> set[str]:
    """Files whose messages and enums a file names, beside itself."""
    types = [
        kind
        for message in messages()
        if message.file is file
        for each in message.fields
        for kind in _types(each.message_type, each.enum_type)
    ]
    for service in file.services_by_name.values():
        for method in service.methods_by_name.values():
            types += [method.input_type, method.output_type]
    return {kind.file.name for kind in types} - {file.name}


def _types(
    message: Descriptor | None, enum: EnumDescriptor | None
) -> list[Descriptor | EnumDescriptor]:
    if message is not None and message.GetOptions().map_entry:
        value = message.fields_by_name["value"]
        return _types(value.message_type, value.enum_type)
    return [each for each in (message, enum) if each is not None]


class TestMessages:
    def test_names_are_in_pascal_case(self) -> None:
        for message in messages():
            assert PASCAL.fullmatch(message.name), message.full_name

    def test_fields_are_in_lower_snake_case_and_numbers_are_unique(self) -> None:
        for message in messages():
            for name in [*(each.name for each in message.fields), *message.oneofs_by_name]:
                assert SNAKE.fullmatch(name.removeprefix("_")), f"{message.full_name}.{name}"
            numbers = [each.number for each in message.fields]
            assert len(set(numbers)) == len(numbers)
            assert all(1 <= number < 19000 for number in numbers)

    def test_every_message_is_used(self) -> None:
        used = {each.input_type for each in METHODS} | {each.output_type for each in METHODS}
        before = -1
        while before != len(used):
            before = len(used)
            used |= {
                kind
                for message in list(used)
                for each in message.fields
                for kind in _types(each.message_type, None)
                if isinstance(kind, Descriptor)
            }
        assert {message for message in messages() if message not in used} == set()


class TestEnums:
    def test_values_bear_the_name_of_their_enum_and_zero_is_unspecified(self) -> None:
        for enum in enums():
            assert PASCAL.fullmatch(enum.name)
            prefix = constant(enum.name)
            for value in enum.values:
                assert re.fullmatch(rf"{prefix}(_[A-Z0-9]+)+", value.name), value.name
            assert enum.values_by_number[0].name == f"{prefix}_UNSPECIFIED"
            assert enum.values[0].number == 0

    def test_no_number_has_two_names(self) -> None:
        for enum in enums():
            assert not enum.GetOptions().allow_alias
            assert len({value.number for value in enum.values}) == len(enum.values)


class TestServices:
    def test_names_end_in_service_and_methods_are_in_pascal_case(self) -> None:
        for service in SERVICES:
            assert PASCAL.fullmatch(service.name)
            assert service.name.endswith("Service")
            assert service.methods_by_name
        assert all(PASCAL.fullmatch(method.name) for method in METHODS)

    def test_every_method_has_a_request_of_its_own_name(self) -> None:
        for method in METHODS:
            assert method.input_type.name == f"{method.name}Request"
        assert Counter(method.input_type for method in METHODS).most_common(1)[0][1] == 1

    def test_a_method_answers_with_a_resource_or_a_response_of_its_own_name(self) -> None:
        for method in METHODS:
            name = method.output_type.name
            assert name in RESOURCES or name == f"{method.name}Response", method.full_name

    def test_what_changes_something_takes_a_request_id(self) -> None:
        """Or is a stream or an errand of the operator, which may be repeated as it is."""
        changing = re.compile(r"(Create|Update|Delete|Merge|Enroll)")
        for method in METHODS:
            named = "request_id" in method.input_type.fields_by_name
            expected = bool(changing.match(method.name)) and method.name != "EnrollBatch"
            assert named == expected, method.full_name


FIRST_NUMBERS = {
    "mien.v1.Embedding": {"model_fingerprint": 1, "f32le": 2, "dim": 3},
    "mien.v1.Probe": {"image": 1, "embedding": 2, "subject": 3},
    "mien.v1.DecisionPolicy": {"target_fmr": 1, "target_fpir": 2, "raw_threshold": 3},
    "mien.v1.Score": {"similarity": 1, "expected_fmr": 2, "expected_fnmr": 3, "log10_lr": 4},
    "mien.v1.Candidate": {
        "rank": 1,
        "subject_id": 2,
        "sample_id": 3,
        "score": 4,
        "accepted": 5,
        "labels": 6,
    },
    "mien.v1.EnrollSampleRequest": {
        "gallery_id": 1,
        "subject_id": 2,
        "image": 3,
        "embedding": 4,
        "request_id": 5,
        "validate_only": 6,
        "duplicates": 7,
        "labels": 8,
        "consent_ref": 9,
        "expire_time": 10,
    },
    "mien.v1.EnrollBatchResponse": {"seq": 1, "response": 2, "durable_through_seq": 3},
}


@pytest.mark.parametrize("name", FIRST_NUMBERS)
def test_numbers_that_callers_were_compiled_with_do_not_change(name: str) -> None:
    (message,) = (each for each in messages() if each.full_name == name)
    numbers = {each.name: each.number for each in message.fields}
    assert numbers.items() >= FIRST_NUMBERS[name].items()
