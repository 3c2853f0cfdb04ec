"""Which call may refuse for which reason, as docs/api.md says it; and a sound request of each."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from mien.client import Client, requests
from mien.matching.decision import RawThreshold
from mien.v1 import embedding_pb2, gallery_pb2, maintenance_pb2, match_pb2, model_pb2, probe_pb2
from mien.v1.reason_pb2 import Reason
from tests.faces import encoded
from tests.server.every_call import METHODS

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
CALLS = TEXT.partition("## Calls")[2].partition("## Reasons")[0]
GALLERY = "people"

NAMES = {method.name: method for method in METHODS}
CHANGES = {
    *("CreateGallery", "UpdateGallery", "DeleteGallery", "EnrollSample", "EnrollBatch"),
    *("UpdateSubject", "MergeSubjects", "DeleteSamples", "DeleteSubject", "RestoreGallery"),
    "ExpireSamples",
}
NO_REQUEST_ID = {"RestoreGallery", "ExpireSamples"}
ALL_STREAMS = {
    method.name for method in METHODS if method.client_streaming or method.server_streaming
}
NO_IDS = {
    *("Embed", "EmbedStream", "ListGalleries", "GetModel", "GetCalibration", "ExpireSamples"),
    "ProveAbsent",
}


def documented() -> dict[str, frozenset[str]]:
    """Reasons by the name of the call."""
    rows = dict(re.findall(r"^\| `\w+\.(\w+)` \|[^|]*\|([^|]*)\|$", CALLS, re.M))
    assert set(rows) == set(NAMES)
    return {name: frozenset(_own(name, rows)) | _any(name) for name in rows}


def _own(name: str, rows: dict[str, str]) -> Iterator[str]:
    yield from re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", rows[name])
    for group in re.findall(r"of an? (\w+)", rows[name]):
        yield from _group(group)
    for other in re.findall(r"\bas (\w+)", rows[name]):
        yield from _own(other, rows)


def _group(noun: str) -> list[str]:
    """Of a picture, a vector or a decision."""
    (sentence,) = re.findall(rf"Of an? {noun}:([^.]*)\.", CALLS)
    return re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", sentence)


def _any(name: str) -> frozenset[str]:
    """What the sentences below the table say of all calls."""
    of_all = {"INVALID_REQUEST", "DEADLINE_EXCEEDED", "INTERNAL"}
    assert of_all | {"INVALID_ID", "QUEUE_FULL"} <= set(re.findall(r"\b[A-Z_]+\b", CALLS))
    of_all |= set() if name in NO_IDS else {"INVALID_ID"}
    of_all |= set() if name in ALL_STREAMS else {"QUEUE_FULL"}
    if name in CHANGES:
        of_all |= {"STORAGE_FULL", "STORE_INVALID", "DATA_DIRECTORY_LOCKED"}
        of_all |= set() if name in NO_REQUEST_ID else {"REQUEST_ID_REUSED"}
    return frozenset(of_all)


def sound(client: Client, snapshot: bytes, name: str) -> Any:
    """A request that is answered, once, where there are `person-0` and `person-1` in GALLERY."""
    person = probe_pb2.SubjectRef(gallery_id=GALLERY, subject_id="person-1")
    search = requests.identify(GALLERY, encoded(1, 9), RawThreshold(0.5))
    sample = requests.enrolment(GALLERY, "person-0", encoded(0, 7))
    change = gallery_pb2.Gallery(gallery_id=GALLERY, labels={"a": "b"})
    made: dict[str, Any] = {
        "Embed": requests.embed([encoded(1, 0)]),
        "EmbedStream": requests.embed_item("t", encoded(1, 0)),
        "Verify": requests.verify(encoded(1, 0), person, RawThreshold(0.5)),
        "Identify": search,
        "IdentifyStream": match_pb2.IdentifyStreamRequest(tag="t", request=search),
        "FindDuplicates": match_pb2.FindDuplicatesRequest(gallery_id=GALLERY, raw_threshold=0.9),
        "CreateGallery": requests.create_gallery("new"),
        "UpdateGallery": gallery_pb2.UpdateGalleryRequest(
            gallery=change, update_mask=FieldMask(paths=["labels"]), request_id="r"
        ),
        "EnrollSample": sample,
        "EnrollBatch": gallery_pb2.EnrollBatchRequest(seq=1, item=sample),
        "GetSubject": requests.get_subject(GALLERY, "person-1"),
        "UpdateSubject": requests.update_subject(GALLERY, "person-1", display_name="x"),
        "MergeSubjects": requests.merge_subjects(GALLERY, "person-1", ["person-0"]),
        "DeleteSubject": requests.delete_subject(GALLERY, "person-1"),
        "ExportSubject": requests.export_subject(GALLERY, "person-1"),
        "RestoreGallery": maintenance_pb2.RestoreGalleryRequest(
            gallery_id="restored", content=snapshot
        ),
        "ProveAbsent": maintenance_pb2.ProveAbsentRequest(text="nobody at all"),
        "GetModel": model_pb2.GetModelRequest(),
        "GetCalibration": requests.calibration(),
        "ListGalleries": requests.list_galleries(),
        "ExpireSamples": maintenance_pb2.ExpireSamplesRequest(),
    }
    if name == "DeleteSamples":
        return requests.delete_samples(GALLERY, _samples(client))
    if name in made:
        return made[name]
    kinds = {"DeleteGallery": gallery_pb2.DeleteGalleryRequest(gallery_id=GALLERY, request_id="d")}
    for other in ("GetGallery", "ListSubjects"):
        kinds[other] = getattr(gallery_pb2, f"{other}Request")(gallery_id=GALLERY)
    for other in ("GetGalleryStats", "CheckGallery", "SnapshotGallery", "ExportGallery"):
        kinds[other] = getattr(maintenance_pb2, f"{other}Request")(gallery_id=GALLERY)
    return kinds[name]


def _samples(client: Client) -> list[str]:
    return [each.sample_id for each in client.get_subject(GALLERY, "person-0").samples[:1]]


def each_message(message: Any) -> Iterator[Any]:
    """It, and every message within it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type and not field.message_type.GetOptions().map_entry:
            for each in value if field.is_repeated else (value,):
                yield from each_message(each)


def replaced(request: Any, field: str, value: Any) -> Any:
    """The request with another value wherever a message within it has the field set."""
    found = 0
    for each in each_message(request):
        known = {of.name for of, _ in each.ListFields()}
        if field in known:
            setattr(each, field, value)
            found += 1
    assert found, f"{request} has no {field}"
    return request


def reasons_in(message: Any) -> Iterator[str]:
    """Of every Rejection within a message."""
    for each in each_message(message):
        if isinstance(each, embedding_pb2.Rejection):
            for number in each.reasons:
                yield Reason.Name(number).removeprefix("REASON_")
