"""Messages of the contract as JSON for people's tools: numbers are numbers."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message


def plain(message: "Message") -> dict[str, Any]:
    """Fields named as in the contract; an integer is one, where protobuf's JSON has a text."""
    from google.protobuf.json_format import MessageToDict

    fields = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    by_name = message.DESCRIPTOR.fields_by_name
    return {name: _number(by_name[name], getattr(message, name), v) for name, v in fields.items()}


def line(fields: dict[str, Any]) -> str:
    """On one line."""
    return json.dumps(fields, ensure_ascii=False)


def _number(field: Any, value: Any, written: Any) -> Any:
    if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
        return int(written)
    if not _is_ours(field):
        return written
    return [plain(each) for each in value] if field.is_repeated else plain(value)


def _is_ours(field: Any) -> bool:
    """A message of the contract; Google's have a form of their own in JSON, maps are texts."""
    kind = field.message_type
    if kind is None or kind.GetOptions().map_entry:
        return False
    return bool(kind.full_name.startswith("mien."))
