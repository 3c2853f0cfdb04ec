"""Who may call what: every call of every service, in one table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor

from mien.errors import PermissionDenied
from mien.server.access.keys import Key, Role

VERIFY, ENROLL, ADMIN = Role.VERIFY, Role.ENROLL, Role.ADMIN


@dataclass(frozen=True)
class Access:
    """What one call asks of its caller."""

    roles: frozenset[Role]
    """Any of them will do; empty: nobody has to say who he is."""
    over_all: bool = False
    """It looks into every gallery, so that a key for some may not use it."""
    audited: bool = True
    """It is about people."""


def _by(*roles: Role, over_all: bool = False, audited: bool = True) -> Access:
    return Access(frozenset(roles), over_all, audited)


OPEN = Access(frozenset(), audited=False)
"""For those who watch whether the server is up: they hold no key."""

TABLE = {
    "/mien.v1.EmbeddingService/Embed": _by(VERIFY, ENROLL, audited=False),
    "/mien.v1.EmbeddingService/EmbedStream": _by(VERIFY, ENROLL, audited=False),
    "/mien.v1.EmbeddingService/Verify": _by(VERIFY),
    "/mien.v1.MatchService/Identify": _by(VERIFY),
    "/mien.v1.MatchService/IdentifyStream": _by(VERIFY),
    "/mien.v1.MatchService/FindDuplicates": _by(ADMIN),
    "/mien.v1.GalleryService/CreateGallery": _by(ADMIN),
    "/mien.v1.GalleryService/GetGallery": _by(VERIFY, ENROLL, ADMIN, audited=False),
    "/mien.v1.GalleryService/ListGalleries": _by(VERIFY, ENROLL, ADMIN, audited=False),
    "/mien.v1.GalleryService/UpdateGallery": _by(ADMIN),
    "/mien.v1.GalleryService/DeleteGallery": _by(ADMIN),
    "/mien.v1.GalleryService/EnrollSample": _by(ENROLL),
    "/mien.v1.GalleryService/EnrollBatch": _by(ENROLL),
    "/mien.v1.GalleryService/GetSubject": _by(ENROLL, ADMIN),
    "/mien.v1.GalleryService/ListSubjects": _by(ENROLL, ADMIN),
    "/mien.v1.GalleryService/UpdateSubject": _by(ENROLL),
    "/mien.v1.GalleryService/MergeSubjects": _by(ENROLL),
    "/mien.v1.GalleryService/DeleteSamples": _by(ENROLL),
    "/mien.v1.GalleryService/DeleteSubject": _by(ENROLL),
    "/mien.v1.GalleryService/ExportSubject": _by(ADMIN),
    "/mien.v1.ModelService/GetModel": _by(VERIFY, ENROLL, ADMIN, audited=False),
    "/mien.v1.ModelService/GetCalibration": _by(VERIFY, ENROLL, ADMIN, audited=False),
    "/mien.v1.MaintenanceService/GetGalleryStats": _by(ADMIN, audited=False),
    "/mien.v1.MaintenanceService/CheckGallery": _by(ADMIN),
    "/mien.v1.MaintenanceService/SnapshotGallery": _by(ADMIN),
    "/mien.v1.MaintenanceService/RestoreGallery": _by(ADMIN),
    "/mien.v1.MaintenanceService/ExportGallery": _by(ADMIN),
    "/mien.v1.MaintenanceService/ExpireSamples": _by(ADMIN, over_all=True),
    "/mien.v1.MaintenanceService/ProveAbsent": _by(ADMIN, over_all=True),
    "/grpc.health.v1.Health/Check": OPEN,
    "/grpc.health.v1.Health/List": OPEN,
    "/grpc.health.v1.Health/Watch": OPEN,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _by(
        VERIFY, ENROLL, ADMIN, audited=False
    ),
}


def access_of(method: str) -> Access:
    """What a call asks; one that the table lacks, which a test rules out for ours, asks for all."""
    return TABLE.get(method, Access(frozenset({Role.ADMIN}), over_all=True))


def check_role(key: Key, method: str) -> None:
    """Raises PermissionDenied if the key does not allow for the call."""
    access = access_of(method)
    if access.roles and not access.roles & key.roles:
        wanted = " or ".join(sorted(access.roles))
        raise PermissionDenied(f"{method} takes a key of the role {wanted}; this one has none")
    if access.over_all and key.galleries is not None:
        raise PermissionDenied(f"{method} is over all galleries; this key is for some")


def check_scope(key: Key, galleries: frozenset[str]) -> None:
    """Raises PermissionDenied for a gallery that the key is not for, be there one or not."""
    if key.galleries is not None and (others := sorted(galleries - key.galleries)):
        raise PermissionDenied(f"this key is not for gallery {others[0][:140]!r}")


def galleries_in(message: Any) -> frozenset[str]:
    """Every gallery that a request names, however deep; an empty id names none."""
    return frozenset(_found(message))


def _found(message: Any) -> Iterator[str]:
    for name, read in _readers(message.DESCRIPTOR):
        yield from read(getattr(message, name)) if _is_there(message, name) else ()


def _is_there(message: Any, name: str) -> bool:
    field = message.DESCRIPTOR.fields_by_name[name]
    return not field.has_presence or message.HasField(name)


@cache
def _readers(kind: Descriptor) -> list[tuple[str, Callable[[Any], Iterator[str]]]]:
    """Of a kind of message the fields that name galleries, and how to read them."""
    readers: list[tuple[str, Callable[[Any], Iterator[str]]]] = []
    for field in kind.fields:
        if field.name == "gallery_id":
            readers.append((field.name, _text))
        elif field.message_type is not None and _names_any(field.message_type):
            readers.append((field.name, _each if field.is_repeated else _found))
    return readers


def _names_any(kind: Descriptor, above: frozenset[str] = frozenset()) -> bool:
    """Whether such a message can name a gallery; a kind within itself is looked at once."""
    if kind.full_name in above:
        return False
    return any(
        field.name == "gallery_id"
        or (
            field.message_type is not None
            and _names_any(field.message_type, above | {kind.full_name})
        )
        for field in kind.fields
    )


def _text(value: str) -> Iterator[str]:
    if value:
        yield value


def _each(values: Any) -> Iterator[str]:
    for value in values:
        yield from _found(value)
