"""API keys: what is handed out once, and what is kept of it.

A key is `mien_<id>_<secret>`: an id that may be told to anybody, and 32 random bytes. The file
keeps their SHA-256, no slow hash: that is for passwords, which people choose and others can guess.
Nobody guesses 256 random bits, however fast he may try (NIST SP 800-63B, 5.1.2.2, asks for no more
than a hash of look-up secrets of 112 bits and above), and each call would pay for the slowness.
"""

import base64
import fcntl
import hashlib
import hmac
import json
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from mien.errors import KeyNotFound, KeysInvalid
from mien.files import replaced, sync
from mien.gallery.ids import check_id

SECRET_BYTES = 32
ID_BYTES = 6
MODE = 0o600


class Role(StrEnum):
    """What a key allows for; none includes another. `access.table` says what a call needs."""

    VERIFY = "verify"
    ENROLL = "enroll"
    ADMIN = "admin"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Key(_Strict):
    """What is kept of a key."""

    id: str
    sha256: str
    roles: frozenset[Role]
    galleries: frozenset[str] | None = None
    """The galleries that it is for; None means all, and calls over all."""
    created: AwareDatetime
    expires: AwareDatetime | None = None
    note: str = ""

    def is_expired(self, now: datetime) -> bool:
        return self.expires is not None and now >= self.expires


class _File(_Strict):
    format: int = 1
    keys: tuple[Key, ...] = ()


_NOBODY = hashlib.sha256(b"").hexdigest()
"""Compared with where there is no key of an id, so that both cases take as long."""


def accepted(keys: dict[str, Key], text: str, now: datetime) -> Key | None:
    """The key that a caller's text is, if it is one and has not expired."""
    _, id_, secret = [*text.split("_", 2), "", ""][:3]
    key = keys.get(id_)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    same = hmac.compare_digest(digest, key.sha256 if key else _NOBODY)
    if key is None or not same or not text.startswith("mien_") or key.is_expired(now):
        return None
    return key


def read(path: Path) -> dict[str, Key]:
    """The keys by id. Raises KeysInvalid: a file is missing, damaged, or others may write it."""
    try:
        if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise KeysInvalid(
                f"{path} can be written by others, who could add keys; chmod {MODE:o} {path}"
            )
        file = _File.model_validate_json(path.read_bytes())
    except OSError as error:
        raise KeysInvalid(
            f"{path} cannot be read ({error.strerror}); `mien keys create` makes it"
        ) from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise KeysInvalid(f"{path} is no file of keys: {first['loc']}: {first['msg']}") from None
    return {key.id: key for key in file.keys}


def create(
    path: Path,
    roles: frozenset[Role],
    galleries: frozenset[str] | None = None,
    expires: datetime | None = None,
    note: str = "",
) -> tuple[Key, str]:
    """Add a key. Returns what is kept of it, and the key itself, which is kept nowhere.

    Raises KeysInvalid and InvalidId.
    """
    for gallery in galleries or ():
        check_id("gallery", gallery)
    id_ = secrets.token_hex(ID_BYTES)
    random = secrets.token_bytes(SECRET_BYTES)
    secret = base64.urlsafe_b64encode(random).rstrip(b"=").decode()
    key = Key(
        id=id_,
        sha256=hashlib.sha256(secret.encode()).hexdigest(),
        roles=roles,
        galleries=galleries,
        created=datetime.now(UTC).replace(microsecond=0),
        expires=expires,
        note=note,
    )
    with _changing(path) as keys:
        keys[id_] = key
    return key, f"mien_{id_}_{secret}"


def revoke(path: Path, id_: str) -> Key:
    """Forget a key. Raises KeyNotFound and KeysInvalid."""
    with _changing(path) as keys:
        if id_ not in keys:
            raise KeyNotFound(f"{path} has no key {id_!r}; `mien keys list` shows what it has")
        return keys.pop(id_)


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, Key]]:
    """The keys to change, written when the block has ended well; one process at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = read(path) if path.exists() else {}
        yield keys
        _write(path, keys)


def _write(path: Path, keys: dict[str, Key]) -> None:
    content = _File(keys=tuple(keys.values())).model_dump(mode="json")
    for key in content["keys"]:
        key["roles"].sort()
        if key["galleries"] is not None:
            key["galleries"].sort()
    with replaced(path, MODE) as file:
        file.write(json.dumps(content, indent=1).encode() + b"\n")
    sync(path.parent)
