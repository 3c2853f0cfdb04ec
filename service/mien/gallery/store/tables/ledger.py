"""Requests that were carried out, so that one sent again is answered and not done twice.

An entry says neither who asked nor for whom: it has a SHA-256 of the request's id and its gallery,
an HMAC of what was asked under that id, which tells nothing to those who do not know the id, and
the answer. Each gallery has ids of its own: who may use one neither learns which ids were used in
another, nor takes any away there.
The answer goes when what it speaks of is deleted. What stays then is that the id was used, so that
a late repetition does not enrol a deleted person again.

Functions that write are called inside a transaction.
"""

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import TypeAdapter

from mien.errors import InvalidRequest, RequestIdReused
from mien.gallery.records import Request
from mien.gallery.times import MICROSECOND, to_moment

LIFETIME = timedelta(hours=24)
"""How long a request is remembered, unless LIMIT younger ones push it out."""

LIMIT = 1_000_000
"""Requests that are remembered at most."""

MAX_ID = 128
"""Characters of a request's id."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Asked:
    """A request under an id: what the ledger knows it by."""

    id_hash: bytes
    digest: bytes
    method: str

    @classmethod
    def of(cls, request_id: str, method: str, gallery_id: str, *what: object) -> "Asked | None":
        """None without an id. `what` is JSON, or a dataclass of it. Raises InvalidRequest."""
        if not request_id:
            return None
        check_request_id(request_id)
        plain = [method, gallery_id, *(_plain(each) for each in what)]
        asked = json.dumps(plain, sort_keys=True).encode()
        key = request_id.encode(errors="surrogatepass")
        id_hash = hash_within(gallery_id, hashlib.sha256(key).digest())
        return cls(id_hash, hmac.digest(key, asked, "sha256"), method)


def hash_within(gallery_id: str, id_hash: bytes) -> bytes:
    """Of a request's id within a gallery, from the SHA-256 of the id.

    That was all that was kept before a gallery had ids of its own, and files are migrated.
    """
    gallery = hashlib.sha256(gallery_id.encode(errors="surrogatepass"))
    return hashlib.sha256(gallery.digest() + id_hash).digest()


def teach(connection: sqlite3.Connection) -> None:
    """Make `hash_within` known to SQL, for migrations."""
    connection.create_function("hash_within", 2, hash_within, deterministic=True)


def check_request_id(request_id: str) -> None:
    """Raise InvalidRequest if it is too long. An empty one is none."""
    if len(request_id) > MAX_ID:
        raise InvalidRequest(
            f"the request id has {len(request_id)} characters; use at most {MAX_ID}"
        )


def recall(
    connection: sqlite3.Connection, asked: Asked | None, kind: type[Answer], now: int
) -> Answer | None:
    """The answer that this very request was given before; None if it is new.

    Raises RequestIdReused if the id was used for something else, or for what is deleted since.
    """
    if asked is None:
        return None
    row = connection.execute(
        "SELECT digest, answer FROM ledger WHERE request = ? AND created > ?",
        (asked.id_hash, _oldest(now)),
    ).fetchone()
    if row is None:
        return None
    digest, answer = row
    if answer is None:
        raise RequestIdReused(
            "the request id was used before, for something that is deleted since; use a new one"
        )
    if digest != asked.digest:
        raise RequestIdReused(
            "the request id was used before, for another request; use a new one for each request "
            "and the same one only to repeat it"
        )
    remembered: Answer = _adapter(kind).validate_json(answer)
    return remembered


@dataclass(frozen=True)
class Topic:
    """What an answer speaks of, by keys: it goes from the ledger when that goes."""

    gallery: int
    subject: int | None = None
    sample: int | None = None


def record(
    connection: sqlite3.Connection,
    entries: Iterable[tuple[Asked | None, Topic, object]],
    now: int,
) -> None:
    """Remember requests and their answers; without an id there is nothing to remember."""
    rows = [
        (
            asked.id_hash,
            asked.digest,
            asked.method,
            topic.gallery,
            topic.subject,
            topic.sample,
            _adapter(type(answer)).dump_json(answer).decode(),
            now,
        )
        for asked, topic, answer in entries
        if asked is not None
    ]
    if not rows:
        return
    connection.executemany(
        "INSERT OR REPLACE INTO ledger (request, digest, method, gallery, subject, sample, answer,"
        " created) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    connection.execute(
        "DELETE FROM ledger WHERE key <= (SELECT max(key) FROM ledger) - ?", (LIMIT,)
    )


def forget_samples(connection: sqlite3.Connection, keys: Iterable[int]) -> None:
    """Empty the entries that speak of samples, by key."""
    _empty(connection, "sample", keys)


def forget_subjects(connection: sqlite3.Connection, keys: Iterable[int]) -> None:
    """Empty the entries that speak of subjects, by key."""
    _empty(connection, "subject", keys)


def forget_descriptions(connection: sqlite3.Connection, keys: Iterable[int]) -> None:
    """Empty the entries that tell all of a subject, by key; those of single samples stay."""
    _empty(connection, "sample IS NULL AND subject", keys)


def forget_gallery(connection: sqlite3.Connection, gallery: int) -> None:
    """Empty every entry of a gallery."""
    _empty(connection, "gallery", [gallery])


def move(connection: sqlite3.Connection, subjects: Iterable[int], into: int) -> None:
    """What is said of samples of subjects is now said of those of another one."""
    connection.execute(
        "UPDATE ledger SET subject = ? WHERE subject IN (SELECT value FROM json_each(?))",
        (into, json.dumps(list(subjects))),
    )


def prune(connection: sqlite3.Connection, now: int) -> None:
    """Remove the entries that are past their lifetime."""
    connection.execute("DELETE FROM ledger WHERE created <= ?", (_oldest(now),))


def requests_about(connection: sqlite3.Connection, subject: int) -> tuple[Request, ...]:
    """What is remembered of a subject, oldest first."""
    rows = connection.execute(
        "SELECT method, created, answer FROM ledger WHERE subject = ? AND answer IS NOT NULL"
        " ORDER BY key",
        (subject,),
    )
    return tuple(Request(method, to_moment(at), answer) for method, at, answer in rows)


def _empty(connection: sqlite3.Connection, column: str, keys: Iterable[int]) -> None:
    connection.execute(
        "UPDATE ledger SET answer = NULL, digest = zeroblob(32), subject = NULL, sample = NULL"  # noqa: S608
        f" WHERE {column} IN (SELECT value FROM json_each(?))",
        (json.dumps(list(keys)),),
    )


def _oldest(now: int) -> int:
    return now - LIFETIME // MICROSECOND


def _plain(value: object) -> Any:
    return _adapter(type(value)).dump_python(value, mode="json")


_ADAPTERS: dict[type[object], TypeAdapter[Any]] = {}
"""Made once for each type: making one takes longer than using it."""


def _adapter(kind: type[object]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
